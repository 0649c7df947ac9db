package heap

import (
	"context"
	"fmt"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A Numbers is what the header of an NT heap says.
type Numbers struct {
	Flags, ForceFlags                     uint64
	SegmentReserve, SegmentCommit         uint64
	DeCommitFree, DeCommitTotal           uint64
	TotalFree                             uint64 // in units
	MaximumAllocation                     uint64
	Lock                                  uint64
	NextTag, MaximumTag                   uint64
	TagEntries, PseudoTagEntries          uint64
	VirtualBlocks, UCRList, FreeLists     uint64 // addresses of the list heads
	FrontEnd                              bool
	Reserved, Committed, LargeUncommitted uint64 // bytes
	Segments, UCRs, LockCollisions        uint64
}

// Numbers reads the header of an NT heap.
func (h Heap) Numbers() (n Numbers, err error) {
	l := h.l
	get := func(off uint64, size int) (v uint64) {
		if err == nil {
			v, err = h.uint(off, size)
		}
		return v
	}
	n = Numbers{
		Flags: get(l.flags, 4), ForceFlags: get(l.forceFlags, 4),
		SegmentReserve: get(l.segmentReserve, l.ptr), SegmentCommit: get(l.segmentCommit, l.ptr),
		DeCommitFree: get(l.deCommitFree, l.ptr), DeCommitTotal: get(l.deCommitTotal, l.ptr),
		TotalFree: get(l.totalFreeSize, l.ptr), MaximumAllocation: get(l.maximumAllocation, l.ptr),
		Lock:    get(l.lockVariable, l.ptr),
		NextTag: get(l.nextTag, 2), MaximumTag: get(l.maximumTag, 2),
		TagEntries: get(l.tagEntries, l.ptr), PseudoTagEntries: get(l.pseudoTagEntries, l.ptr),
		VirtualBlocks: h.Address + l.virtualBlocks, UCRList: h.Address + l.ucrList, FreeLists: h.Address + l.freeLists,
		FrontEnd: get(l.frontEndType, 1) == lfhType,
		Reserved: get(l.reserved, l.ptr), Committed: get(l.committed, l.ptr), LargeUncommitted: get(l.largeUCR, l.ptr),
		Segments: get(l.segments, 4), UCRs: get(l.ucrs, 4), LockCollisions: get(l.lockCollisions, 4),
	}
	if err != nil {
		err = fmt.Errorf("heap %#x: %w", h.Address, err)
	}
	return n, err
}

// A SegmentNumbers is what the header of a segment heap says.
type SegmentNumbers struct{ Flags, Reserved, Committed, Free uint64 }

// SegmentNumbers reads the header of a segment heap.
func (h Heap) SegmentNumbers(ctx context.Context) (n SegmentNumbers, err error) {
	o := h.object(ctx, "_SEGMENT_HEAP")
	get := func(paths ...string) (v uint64) {
		if err == nil {
			v, err = o.FirstField(paths...).Uint()
		}
		return v
	}
	n.Flags = get("GlobalFlags")
	n.Reserved = (get("MemStats.TotalReservedPages", "TotalReservedPages") + get("LargeReservedPages")) * memory.PageSize
	n.Committed = (get("MemStats.TotalCommittedPages", "TotalCommittedPages") + get("LargeCommittedPages")) * memory.PageSize
	n.Free = get("MemStats.FreeCommittedPages", "FreeCommittedPages") * memory.PageSize
	if err != nil {
		err = fmt.Errorf("heap %#x: %w", h.Address, err)
	}
	return n, err
}

// object returns the heap as an object of a type of ntdll's or the kernel's.
func (h Heap) object(ctx context.Context, name string) types.Object {
	for _, find := range h.proc.sources(ctx, h.Narrow()) {
		if t, ok := find(name); ok && !t.Forward && t.Size != 0 {
			return types.NewObject(h.space, t, h.Address)
		}
	}
	return types.FailedAt(h.Address, &types.NoTypeError{Name: "ntdll!" + name})
}

// FreeList returns the number of blocks on the heap's free lists.
func (h Heap) FreeList(ctx context.Context) (n int, err error) {
	for _, err := range h.links(ctx, h.Address+h.l.freeLists, maxVirtual) {
		if err != nil {
			return n, fmt.Errorf("heap %#x: free lists: %w", h.Address, err)
		}
		n++
	}
	return n, nil
}
