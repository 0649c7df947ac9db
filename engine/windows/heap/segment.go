package heap

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"kdap/engine/memory"
)

// A SegmentInfo is one stretch of a heap's memory.
type SegmentInfo struct {
	Index             int
	Address           uint64 // of its header
	Flags             uint32
	Base              uint64
	First             uint64 // first block behind the header
	End               uint64 // where the chain of blocks must end
	Pages             uint64
	UncommittedPages  uint64
	UncommittedRanges uint64
}

// Committed returns the committed bytes.
func (s SegmentInfo) Committed() uint64 {
	return (s.Pages - min(s.Pages, s.UncommittedPages)) * memory.PageSize
}

// maxSegments bounds a heap's list of segments: each is at least a page of a
// 47-bit space, and real ones double up to 16 MB.
const maxSegments = 1 << 20

// Segments yields the heap's segments in the order of its list.
func (h Heap) Segments(ctx context.Context) iter.Seq2[SegmentInfo, error] {
	return func(yield func(SegmentInfo, error) bool) {
		index := 0
		for entry, err := range h.links(ctx, h.Address+h.l.segmentList, maxSegments) {
			if err != nil {
				yield(SegmentInfo{}, fmt.Errorf("heap %#x: segments: %w", h.Address, err))
				return
			}
			s, err := h.segment(entry - h.l.segmentListEntry)
			s.Index = index
			index++
			if err != nil {
				err = fmt.Errorf("heap %#x: segment %#x: %w", h.Address, s.Address, err)
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

// maxSegmentPages bounds a segment's size, a number of 32 bits: 1 TB.
const maxSegmentPages = 1 << 28

func (h Heap) segment(addr uint64) (s SegmentInfo, err error) {
	s.Address = addr
	get := func(off uint64, size int) (v uint64) {
		if err == nil {
			v, err = memory.ReadUint(h.space, addr+off, size)
		}
		return v
	}
	signature := get(h.l.segmentSignature, 4)
	owner := get(h.l.heapHeap, h.l.ptr)
	s.Flags = uint32(get(h.l.segmentFlags, 4))
	s.Base = get(h.l.baseAddress, h.l.ptr)
	s.First = get(h.l.firstEntry, h.l.ptr)
	s.End = get(h.l.lastValidEntry, h.l.ptr)
	s.Pages = get(h.l.pages, 4)
	s.UncommittedPages = get(h.l.uncommittedPages, 4)
	s.UncommittedRanges = get(h.l.uncommittedRanges, 4)
	if err != nil {
		return s, err
	}
	switch {
	case signature != ntSignature:
		return s, fmt.Errorf("signature %#x", signature)
	case owner != h.Address:
		return s, fmt.Errorf("it belongs to heap %#x", owner)
	case s.Pages > maxSegmentPages, s.End < s.Base, s.End-s.Base > maxSegmentPages*memory.PageSize, s.Base > addr, addr > s.End:
		return s, fmt.Errorf("it reaches from %#x to %#x, %#x pages", s.Base, s.End, s.Pages)
	}
	return s, nil
}

// A Range is a stretch of a segment without pages.
type Range struct{ Descriptor, Address, Size uint64 }

// maxRanges bounds a list of uncommitted ranges.
const maxRanges = 1 << 20

// Uncommitted yields the uncommitted ranges of a segment in the order of its
// list.
func (h Heap) Uncommitted(ctx context.Context, s SegmentInfo) iter.Seq2[Range, error] {
	return h.ranges(ctx, s.Address+h.l.ucrSegmentList, h.l.ucrSegmentEntry, s)
}

// AllUncommitted yields the uncommitted ranges of the heap in the order of the
// heap's own list, which is by size.
func (h Heap) AllUncommitted(ctx context.Context) iter.Seq2[Range, error] {
	return h.ranges(ctx, h.Address+h.l.ucrList, 0, SegmentInfo{End: ^uint64(0)})
}

func (h Heap) ranges(ctx context.Context, head, link uint64, in SegmentInfo) iter.Seq2[Range, error] {
	return func(yield func(Range, error) bool) {
		fail := func(err error) { yield(Range{}, fmt.Errorf("heap %#x: uncommitted ranges: %w", h.Address, err)) }
		for entry, err := range h.links(ctx, head, maxRanges) {
			if err != nil {
				fail(err)
				return
			}
			r, err := h.descriptor(entry - link)
			if err != nil {
				fail(err)
				return
			}
			// A size of 0 is a descriptor that describes nothing yet.
			if r.Address < in.Base || r.Address > in.End || r.Size > in.End-r.Address {
				fail(fmt.Errorf("descriptor %#x: %#x bytes at %#x", r.Descriptor, r.Size, r.Address))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (h Heap) descriptor(addr uint64) (Range, error) {
	r := Range{Descriptor: addr}
	var err error
	if r.Address, err = memory.ReadUint(h.space, addr+h.l.ucrAddress, h.l.ptr); err == nil {
		r.Size, err = memory.ReadUint(h.space, addr+h.l.ucrSize, h.l.ptr)
	}
	return r, err
}

// links walks a LIST_ENTRY and yields the addresses of its links. Beside its
// bound it ends at a link whose back link does not fit, so that no memory is
// needed to see a circle: every link has one place in front of it.
func (h Heap) links(ctx context.Context, head uint64, limit int) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		at := head
		for n := 0; ; n++ {
			if err := ctx.Err(); err != nil {
				yield(0, err)
				return
			}
			next, err := memory.ReadUint(h.space, at, h.l.ptr)
			if err != nil {
				yield(0, fmt.Errorf("list %#x: after %d entries: %w", head, n, err))
				return
			}
			if next == head {
				return
			}
			back, err := memory.ReadUint(h.space, next+uint64(h.l.ptr), h.l.ptr)
			switch {
			case err != nil:
				err = fmt.Errorf("list %#x: after %d entries: %w", head, n, err)
			case back != at:
				err = fmt.Errorf("list %#x: entry %#x points back at %#x, not at %#x", head, next, back, at)
			case n >= limit:
				err = fmt.Errorf("list %#x: more than %d entries", head, limit)
			}
			if err != nil {
				yield(0, err)
				return
			}
			if !yield(next, nil) {
				return
			}
			at = next
		}
	}
}

// uncommitted returns a segment's ranges by their address, as far as its list
// can be followed, and what broke the list.
func (h Heap) uncommitted(ctx context.Context, s SegmentInfo) (ranges []Range, err error) {
	for r, e := range h.Uncommitted(ctx, s) {
		if e != nil {
			err = e
			break
		}
		ranges = append(ranges, r)
	}
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.Address, b.Address) })
	return ranges, err
}
