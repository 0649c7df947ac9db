package windows

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/memory"
)

// A PageState says whether an address can be used.
type PageState uint8

// The states of pages.
const (
	StateUnknown  PageState = iota // the page tables are not in the dump
	StateReserved                  // the address is taken, but has no memory
	StateCommitted
)

// A Region is consecutive pages of a process that are alike, as VirtualQuery
// gives them.
type Region struct {
	Base, Size uint64
	State      PageState
	Protection PageProtection // of committed pages
	VAD        VAD
}

// Contains reports whether the region holds an address.
func (r Region) Contains(va uint64) bool { return va-r.Base < r.Size }

// RegionFrom returns the pages of a range that are like the one at va, from it
// onwards.
func (v VAD) RegionFrom(ctx context.Context, va uint64) (Region, error) {
	if !v.Contains(va) {
		return Region{}, fmt.Errorf("%#x is not in the range %#x", va, v.Start)
	}
	q, err := v.newQuery()
	if err != nil {
		return Region{}, err
	}
	return q.from(ctx, va&^(memory.PageSize-1))
}

// RegionAt returns the region of the range that holds va, with the pages before.
func (v VAD) RegionAt(ctx context.Context, va uint64) (Region, error) {
	if !v.Contains(va) {
		return Region{}, fmt.Errorf("%#x is not in the range %#x", va, v.Start)
	}
	q, err := v.newQuery()
	if err != nil {
		return Region{}, err
	}
	for at := v.Start; ; {
		r, err := q.from(ctx, at)
		if err != nil || r.Contains(va) || r.Size == 0 || at+r.Size-1 >= v.End {
			return r, err
		}
		at += r.Size
	}
}

// A regionQuery asks for the pages of one range.
type regionQuery struct {
	v         VAD
	space     *memory.AddressSpace
	db        *PFNDatabase // nil without one
	private   bool
	image     bool
	committed bool
	protect   PageProtection
	protos    uint64 // address of the first prototype PTE, or 0
}

func (v VAD) newQuery() (*regionQuery, error) {
	space, err := v.proc.Space()
	if err != nil {
		return nil, err
	}
	pages, ok := space.(*memory.AddressSpace)
	if !ok {
		return nil, errors.New("the dump has no page tables")
	}
	q := &regionQuery{v: v, space: pages, image: v.Image(), committed: v.Committed()}
	if q.private, err = v.Private(); err != nil {
		return nil, err
	}
	if q.protect, err = v.Protection(); err != nil {
		return nil, err
	}
	q.db, _ = v.proc.sys.PFNDatabase()
	if mmvad, err := v.proc.sys.Type("_MMVAD"); err == nil {
		if first, _, ok := v.prototypes(mmvad); ok {
			q.protos = first
		}
	}
	return q, nil
}

// from returns the pages that are like the one at a page's address.
func (q *regionQuery) from(ctx context.Context, at uint64) (Region, error) {
	r := Region{Base: at, VAD: q.v}
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return r, ctx.Err()
		}
		state, protect, end := q.page(at)
		if n == 0 {
			r.State, r.Protection = state, protect
		} else if state != r.State || protect != r.Protection {
			break
		}
		if end >= q.v.End {
			at = q.v.End + 1
			break
		}
		at = end + 1
	}
	r.Size = at - r.Base
	return r, nil
}

// decommitted is the protection of pages of a committed range that were given
// back.
const decommitted = protectGuard

// page returns the state of one page, and the last byte up to which the others
// are the same for the same reason.
func (q *regionQuery) page(va uint64) (state PageState, p PageProtection, end uint64) {
	t, err := q.space.Translate(va)
	one := va | (memory.PageSize - 1)
	if err == nil {
		switch {
		case t.Flags&memory.ByPrototype != 0:
			return StateCommitted, q.shared(&t), one
		case t.State == memory.Valid:
			return StateCommitted, hardwareProtection(t.Entry), va | (max(t.PageSize, memory.PageSize) - 1)
		}
		state, p = q.software(t.Entry)
		return state, p, one
	}
	var e *memory.ReadError
	if !errors.As(err, &e) {
		return StateUnknown, 0, one
	}
	all := va | (max(e.Span, memory.PageSize) - 1)
	proto := t.Flags&memory.ByPrototype != 0
	switch e.Kind {
	case memory.NotInDump:
		return StateUnknown, 0, all
	case memory.PageFile, memory.DemandZero, memory.InFile:
		if proto {
			return StateCommitted, q.fromPrototype(e.Entry), one
		}
		state, p = q.software(e.Entry)
		return state, p, all
	case memory.Prototype:
		return StateCommitted, q.protect, q.prototypeHole(va, &t, e)
	}
	switch {
	case proto:
		return StateReserved, 0, one
	case q.private && !q.committed:
		return StateReserved, 0, all
	case !q.private:
		return StateCommitted, q.protect, q.prototypeHole(va, &t, e)
	}
	return StateCommitted, q.protect, all
}

// prototypeHole returns the last byte up to which prototype PTEs are missing
// like the one of va: there is no page table of the process's own, and they lie
// in memory that cannot be read for one reason. Sections of terabytes are
// mostly such holes.
func (q *regionQuery) prototypeHole(va uint64, t *memory.Translation, e *memory.ReadError) uint64 {
	one := va | (memory.PageSize - 1)
	span := e.Span
	for _, step := range t.Steps {
		if step.Level == "PTE" || step.Virtual {
			return one
		}
		span = levelSpans[step.Level] // the last one is the entry that is missing
	}
	end := va | (max(span, memory.PageSize) - 1)
	if q.protos == 0 {
		return end
	}
	at := q.protos + (va-q.v.Start)>>memory.PageShift*pteSize
	_, err := memory.ReadUint(q.v.proc.sys.Kernel(), at, pteSize)
	var gap *memory.ReadError
	if !errors.As(err, &gap) {
		return one
	}
	size := max(gap.Span, memory.PageSize)
	left := min((size-at%size)/pteSize, 1<<40) // in that memory, itself too
	return min(end, one+(left-1)<<memory.PageShift)
}

// levelSpans are what an entry of each level maps.
var levelSpans = map[string]uint64{"PML5E": 1 << 48, "PML4E": 1 << 39, "PDPTE": 1 << 30, "PDE": 1 << 21}

// software reads an entry that is not valid and of the process's own.
func (q *regionQuery) software(entry uint64) (PageState, PageProtection) {
	p := q.entryProtection(entry)
	if p == decommitted {
		return StateReserved, 0
	}
	return StateCommitted, p
}

func (q *regionQuery) entryProtection(entry uint64) PageProtection {
	o := q.v.proc.sys.paging.Load().Options()
	return PageProtection(o.Protection.Get(entry))
}

// shared returns the rights of a page that was found through its prototype PTE.
func (q *regionQuery) shared(t *memory.Translation) PageProtection {
	if !q.image {
		return q.protect
	}
	entry := t.Entry
	if t.State == memory.Valid {
		// What the prototype goes back to has the rights.
		if q.db == nil {
			return hardwareProtection(entry)
		}
		pfn, err := q.db.Entry(t.PFN())
		if err != nil || pfn.OriginalPte == 0 {
			return hardwareProtection(entry)
		}
		entry = pfn.OriginalPte
	}
	return q.fromPrototype(entry)
}

func (q *regionQuery) fromPrototype(entry uint64) PageProtection {
	if !q.image {
		return q.protect
	}
	if p := q.entryProtection(entry); p != 0 {
		return p
	}
	return q.protect
}

// Bits of valid entries (_MMPTE_HARDWARE): a page that may be written has the
// software's bit also while the processor's is clear.
const (
	pteWrite     = 1 << 1
	pteCopy      = 1 << 9
	pteSoftWrite = 1 << 11
	pteNoExecute = 1 << 63
)

func hardwareProtection(entry uint64) PageProtection {
	write := entry&(pteWrite|pteSoftWrite) != 0
	copied := entry&pteCopy != 0
	if entry&pteNoExecute == 0 {
		switch {
		case copied:
			return protectExecuteWriteCopy
		case write:
			return protectExecuteReadWrite
		}
		return protectExecuteRead
	}
	switch {
	case copied:
		return protectWriteCopy
	case write:
		return protectReadWrite
	}
	return protectReadOnly
}
