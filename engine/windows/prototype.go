package windows

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// prototypes finds the prototype PTEs of a process's mapped ranges: where the
// page table leaves a page to the VAD, or has no entry for it yet. Debuggers
// show such pages as unreadable; their contents are in memory all the same.
//
// A search asks for every page of its range, so the ranges are listed once.
type prototypes struct {
	proc   Process
	once   sync.Once
	ranges []mappedRange // by address
}

// A mappedRange is a VAD with prototype PTEs.
type mappedRange struct {
	start, end  uint64 // first and last byte
	first, last uint64 // addresses of its first and last contiguous PTE
}

// resolver returns the function that an address space asks for the prototype
// PTE of an address. It reads the kernel's address space only.
func (p Process) resolver() func(va uint64) (pte uint64, ok bool) {
	r := &prototypes{proc: p}
	return r.find
}

func (r *prototypes) load() {
	mmvad, err := r.proc.sys.Type("_MMVAD")
	if err != nil {
		return
	}
	for v, err := range r.proc.VADs(context.Background()) {
		if err != nil {
			continue // a branch that cannot be read; the others count
		}
		if first, last, ok := v.prototypes(mmvad); ok {
			r.ranges = append(r.ranges, mappedRange{v.Start, v.End, first, last})
		}
	}
	slices.SortStableFunc(r.ranges, func(a, b mappedRange) int { return cmp.Compare(a.start, b.start) })
}

// find looks for the range that holds va.
func (r *prototypes) find(va uint64) (uint64, bool) {
	if va >= userEnd {
		return 0, false
	}
	r.once.Do(r.load)
	i, found := slices.BinarySearchFunc(r.ranges, va, func(m mappedRange, va uint64) int { return cmp.Compare(m.start, va) })
	if !found {
		i--
	}
	if i < 0 || va > r.ranges[i].end {
		return 0, false
	}
	m := &r.ranges[i]
	pte := m.first + (va-m.start)>>memory.PageShift*pteSize
	return pte, pte <= m.last
}

// pteSize is the size of a prototype PTE.
const pteSize = 8

// prototypes returns the addresses of the first and the last prototype PTE of
// the range. They lie in one array as far as LastContiguousPte; those of
// further subsections are not looked for.
func (v VAD) prototypes(mmvad *types.Type) (first, last uint64, ok bool) {
	if private, err := v.obj.Field("u.VadFlags.PrivateMemory").Uint(); err != nil || private != 0 {
		return 0, 0, false
	}
	o := types.NewObject(v.proc.sys.kernel, mmvad, v.Addr())
	first, err := o.Field("FirstPrototypePte").Uint()
	if err != nil || first == 0 {
		return 0, 0, false
	}
	last, err = o.Field("LastContiguousPte").Uint()
	return first, last, err == nil
}
