package windows

import (
	"context"
	"encoding/binary"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
)

// A PTEHit is an entry of a page table that leads to a page.
type PTEHit struct {
	PTELevel
	Mapped  uint64  // the first address that the entry is about
	Process Process // whose table it is; without an address: the kernel's
}

// SearchPTEs calls hit with the entries that lead to a page, in the tables of
// the kernel and of all processes, until it returns false: valid ones and those
// in transition. Each table is looked at once. It fails with the context.
func (s *System) SearchPTEs(ctx context.Context, pfn uint64, hit func(PTEHit) bool) error {
	if !s.Paged() {
		return nil
	}
	w := pteSearch{sys: s, ctx: ctx, pfn: pfn, hit: hit, seen: map[uint64]bool{}}
	w.tables, _ = s.selfMap()
	top := s.TableLevels() - 1
	w.table(s.dtb, top, 0, kernelPart)
	for p, err := range s.Processes(ctx) {
		if err != nil || w.stop {
			break
		}
		dtb, err := p.DTB()
		if err != nil || w.seen[amd64.CleanDTB(dtb)|rootMark] {
			continue
		}
		w.seen[amd64.CleanDTB(dtb)|rootMark] = true
		w.process = p
		w.table(amd64.CleanDTB(dtb), top, 0, userPart)
	}
	return ctx.Err()
}

// rootMark makes a root known apart from the same page as a table below.
const rootMark = 1

// The parts of a root table.
const (
	wholeTable = iota
	userPart   // the lower half
	kernelPart // the upper half
)

type pteSearch struct {
	sys     *System
	ctx     context.Context
	pfn     uint64
	tables  selfMap
	hit     func(PTEHit) bool
	process Process
	seen    map[uint64]bool
	stop    bool
}

func (w *pteSearch) table(pa uint64, level int, va uint64, part int) {
	if w.ctx.Err() != nil {
		w.stop = true
	}
	page, ok := w.sys.dump.Page(pa >> memory.PageShift)
	if !ok || w.stop {
		return
	}
	first, last := 0, memory.PageSize/8
	switch part {
	case userPart:
		last /= 2
	case kernelPart:
		first = last / 2
	}
	shift := uint(memory.PageShift + 9*level)
	for i := first; i < last && !w.stop; i++ {
		value := binary.LittleEndian.Uint64(page[8*i:])
		if value == 0 {
			continue
		}
		e := w.sys.DecodePTE(value, level)
		if e.Kind != PTEValid && e.Kind != PTETransition {
			continue
		}
		at := va | uint64(i)<<shift
		if w.sys.TableLevels() == 4 {
			at = uint64(int64(at<<16) >> 16)
		}
		if e.holds(w.pfn, level) && !w.hit(w.result(e, level, pa+8*uint64(i), at)) {
			w.stop = true
		}
		next := e.PFN << memory.PageShift
		// The entry that leads back to the root maps the tables themselves.
		if level > 0 && !e.Large && next != pa && !w.seen[next] {
			w.seen[next] = true
			w.table(next, level-1, at, wholeTable)
		}
	}
}

// holds reports whether the entry leads to a page, which may be a part of a
// large one.
func (e PTE) holds(pfn uint64, level int) bool {
	if e.Large {
		return (e.PFN^pfn)>>(9*level) == 0
	}
	return e.PFN == pfn
}

func (w *pteSearch) result(e PTE, level int, phys, va uint64) PTEHit {
	return PTEHit{
		PTELevel: PTELevel{Level: level, Phys: phys, VA: w.tables.entry(va, level), PTE: e},
		Mapped:   va, Process: w.process,
	}
}
