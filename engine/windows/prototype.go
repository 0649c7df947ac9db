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

// withPrototypes returns an address space of the process that knows its
// prototype PTEs. They are looked for in the kernel's address space only.
func (p Process) withPrototypes(a *memory.AddressSpace) *memory.AddressSpace {
	r := &prototypes{proc: p}
	return a.WithResolver(r.find, r.gap)
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

// below returns the index of the last range that begins at or below va, or -1.
func (r *prototypes) below(va uint64) int {
	r.once.Do(r.load)
	i, found := slices.BinarySearchFunc(r.ranges, va, func(m mappedRange, va uint64) int { return cmp.Compare(m.start, va) })
	if !found {
		i--
	}
	return i
}

// gap returns the first and the last address around va that lie in no range.
func (r *prototypes) gap(va uint64) (first, last uint64) {
	if va >= userEnd {
		return userEnd, ^uint64(0)
	}
	i := r.below(va)
	last = userEnd - 1
	if i+1 < len(r.ranges) {
		last = r.ranges[i+1].start - 1
	}
	switch {
	case i < 0:
		return 0, last
	case va <= r.ranges[i].end:
		return va, va // in a range, but behind its PTEs
	}
	return r.ranges[i].end + 1, last
}

// find looks for the range that holds va.
func (r *prototypes) find(va uint64) (uint64, bool) {
	if va >= userEnd {
		return 0, false
	}
	i := r.below(va)
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
