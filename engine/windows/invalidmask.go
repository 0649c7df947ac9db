package windows

import (
	"context"
	"encoding/binary"
	"math/bits"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
)

// Kernels on processors with the L1 terminal fault keep entries of page tables
// that are not valid exclusive-ored with nt!MiState.Hardware.InvalidPteMask, a
// bit beyond the memory of the machine. Without symbols the entries of pages in
// transition tell it: none of them can name a page the machine does not have,
// and all that do are wrong in the same bit.

// Bounds of the search for the mask.
const (
	maskProcesses = 32
	maskTables    = 4096
	maskEntries   = 2048
)

// Of entries that are not valid (_MMPTE_TRANSITION).
const (
	pteValid      = 1 << 0
	pteSwizzle    = 1 << 4
	pteLarge      = 1 << 7
	ptePrototype  = 1 << 10
	pteTransition = 1 << 11
	pteFrame      = 0x000ffffffffff000
)

// maskSearch collects frame bits of transition entries that lie beyond memory.
type maskSearch struct {
	sys     *System
	ctx     context.Context
	limit   uint64 // first bit beyond the frame numbers of the dump
	tables  int
	entries int
	plain   int            // entries that name memory as they stand
	beyond  map[uint64]int // by the bits beyond
}

// invalidMask finds the mask in the page tables of the kernel and of some
// processes; 0 when the entries do not agree on one bit.
func (s *System) invalidMask(ctx context.Context) uint64 {
	w := maskSearch{sys: s, ctx: ctx, beyond: map[uint64]int{}}
	var last uint64
	for r := range s.dump.Runs() {
		last = max(last, r.BasePage+r.PageCount)
	}
	w.limit = 1 << bits.Len64(last)
	w.table(s.dtb, w.levels(), true)
	n := 0
	for p, err := range s.ActiveProcesses(ctx) {
		if err != nil || n == maskProcesses || w.full() {
			break
		}
		if dtb, err := p.DTB(); err == nil {
			w.table(amd64.CleanDTB(dtb), w.levels(), false)
			n++
		}
	}
	if len(w.beyond) != 1 {
		return 0
	}
	for high, count := range w.beyond {
		if bits.OnesCount64(high) == 1 && count > 10*w.plain {
			return high << memory.PageShift
		}
	}
	return 0
}

func (w *maskSearch) levels() int {
	if w.sys.paging.Load().Options().LA57 {
		return 5
	}
	return 4
}

func (w *maskSearch) full() bool {
	return w.tables >= maskTables || w.entries >= maskEntries || w.ctx.Err() != nil
}

// table looks at one page of entries and at those below it. Of a topmost table
// the kernel's half is the same in all processes, and its entry that leads back
// to the table is no way down.
func (w *maskSearch) table(pa uint64, level int, kernel bool) {
	page, ok := w.sys.dump.Page(pa >> memory.PageShift)
	if !ok {
		return
	}
	w.tables++
	if level == w.levels() && !kernel {
		page = page[:memory.PageSize/2]
	}
	for ; len(page) >= 8 && !w.full(); page = page[8:] {
		e := binary.LittleEndian.Uint64(page)
		frame := e & pteFrame
		switch {
		case e&pteValid != 0 && level > 1:
			if frame != pa && (level > 3 || e&pteLarge == 0) {
				w.table(frame, level-1, kernel)
			}
		case level == 1 && e&(pteValid|ptePrototype|pteTransition|pteSwizzle) == pteTransition:
			w.entries++
			if high := frame >> memory.PageShift &^ (w.limit - 1); high == 0 {
				w.plain++
			} else {
				w.beyond[high]++
			}
		}
	}
}
