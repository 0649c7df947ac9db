package heap

import (
	"context"
	"fmt"
	"iter"
)

// lfhType is _HEAP.FrontEndHeapType of a heap with the low-fragmentation front
// end.
const lfhType = 2

// userBlocksSignature is _HEAP_USERDATA_HEADER.Signature.
const userBlocksSignature = 0xf0e0d0c0

// A front is what the front end's numbers are encoded with.
type front struct {
	heap  uint64 // _LFH_HEAP
	key   uint64
	keyed bool // key is known
}

// front reads the front end's part of the heap's header; false without one.
func (h Heap) front(ctx context.Context) (f front, ok bool, err error) {
	kind, err := h.uint(h.l.frontEndType, 1)
	if err != nil || kind != lfhType {
		return f, false, err
	}
	if f.heap, err = h.uint(h.l.frontEndHeap, h.l.ptr); err != nil || f.heap == 0 {
		return f, false, err
	}
	f.key, err = h.key(ctx)
	f.keyed = err == nil
	// Without the key blocks are found all the same, only not checked.
	return f, true, nil
}

// A Subsegment is a stretch of blocks of one size that the front end gives out.
type Subsegment struct {
	Address    uint64 // _HEAP_SUBSEGMENT
	UserBlocks uint64
	First      uint64 // of the first block, from UserBlocks
	Stride     uint64 // bytes from block to block
	Count      uint64

	bitmap uint64
}

// subsegment returns the front end's blocks that lie in an internal block;
// false when it holds something else.
func (h Heap) subsegment(r *reader, f front, e Entry) (s Subsegment, ok bool, err error) {
	l := h.l
	s.UserBlocks = e.Address + l.header
	room := e.Size - l.header
	if room < l.bitmapData {
		return s, false, nil
	}
	signature, err := r.uint(s.UserBlocks+l.userSignature, 4)
	if err != nil || signature != userBlocksSignature {
		return s, false, nil
	}
	fail := func(format string, args ...any) (Subsegment, bool, error) {
		return s, false, fmt.Errorf("heap %#x: front-end blocks %#x: %w", h.Address, s.UserBlocks, fmt.Errorf(format, args...))
	}
	get := func(va uint64, size int) (v uint64) {
		if err == nil {
			v, err = r.uint(va, size)
		}
		return v
	}
	s.Address = get(s.UserBlocks+l.subSegment, l.ptr)
	encoded := uint32(get(s.UserBlocks+l.encodedOffsets, 4))
	bits := get(s.UserBlocks+l.busySize, 4)
	s.bitmap = get(s.UserBlocks+l.busyBuffer, l.ptr)
	back := get(s.Address+l.userBlocks, l.ptr)
	units := get(s.Address+l.blockSize, 2)
	s.Count = get(s.Address+l.blockCount, 2)
	switch {
	case err != nil:
		return fail("%w", err)
	case back != s.UserBlocks:
		return fail("subsegment %#x has blocks %#x", s.Address, back)
	}
	s.Stride = units * l.unit
	if f.keyed {
		encoded ^= uint32(s.UserBlocks) ^ uint32(f.heap) ^ uint32(f.key)
		s.First = uint64(encoded & 0xffff)
		if stride := uint64(encoded >> 16); stride != s.Stride {
			return fail("blocks are %#x bytes apart, the subsegment's are %#x", stride, s.Stride)
		}
	} else {
		// The blocks begin behind the bits, which are whole words.
		word := uint64(l.ptr) * 8
		s.First = (l.bitmapData + (s.Count+word-1)/word*uint64(l.ptr) + l.unit - 1) &^ (l.unit - 1)
	}
	switch {
	case s.Stride < l.header, s.First < l.bitmapData, s.Count*s.Stride > room, s.First > room-s.Count*s.Stride:
		return fail("%d blocks of %#x bytes from +%#x do not fit into %#x", s.Count, s.Stride, s.First, room)
	case bits < s.Count, s.bitmap < s.UserBlocks, s.bitmap-s.UserBlocks+(s.Count+7)/8 > s.First:
		return fail("%d bits at %#x for %d blocks", bits, s.bitmap, s.Count)
	}
	return s, true, nil
}

// blocks yields the blocks of a subsegment.
func (h Heap) blocks(ctx context.Context, r *reader, f front, s Subsegment) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for i := range s.Count {
			if i&0xff == 0 && ctx.Err() != nil {
				yield(Entry{}, ctx.Err())
				return
			}
			e := Entry{Address: s.UserBlocks + s.First + i*s.Stride, Size: s.Stride, PreviousSize: s.Stride}
			bits, err := r.uint(s.bitmap+i/8, 1)
			if err != nil {
				yield(e, fmt.Errorf("heap %#x: front-end blocks %#x: %w", h.Address, s.UserBlocks, err))
				return
			}
			e.State = Free
			if bits>>(i%8)&1 != 0 {
				e.State, e.Flags = Busy, FlagBusy
			}
			if !yield(e, h.frontHeader(r, f, s, &e)) {
				return
			}
		}
	}
}

// frontHeader reads a block's header, which repeats what the bits say.
func (h Heap) frontHeader(r *reader, f front, s Subsegment, e *Entry) error {
	var b [8]byte
	if err := r.bytes(e.Address+h.l.codeOff, b[:]); err != nil {
		return fmt.Errorf("heap %#x: block %#x: %w", h.Address, e.Address, err)
	}
	damage := func(reason string, expected, found uint64) error {
		return &Damage{
			Heap: h.Address, Segment: s.UserBlocks, Address: e.Address,
			Reason: reason, Expected: expected, Found: found, Bytes: b[:],
		}
	}
	if f.keyed {
		code := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		shift := 12
		place := uint32(e.Address >> 4)
		if h.Narrow() {
			shift, place = 13, uint32(e.Address>>3)
		}
		want := uint32((e.Address - s.UserBlocks) << shift)
		if got := code ^ place ^ uint32(h.Address) ^ uint32(f.key); got != want {
			return damage("front-end header code", uint64(want), uint64(got))
		}
	}
	if e.State != Busy {
		if b[7] != unusedFront {
			return damage("front-end header of a free block", unusedFront, uint64(b[7]))
		}
		return nil
	}
	if b[7]&unusedFront == 0 || b[7] == unusedFront {
		return damage("front-end header of a busy block", unusedFront|h.l.header, uint64(b[7]))
	}
	n, err := h.unused(r, e.Address, e.Size, b[7])
	if err != nil {
		return fmt.Errorf("heap %#x: block %#x: its unused bytes: %w", h.Address, e.Address, err)
	}
	if n > e.Size {
		return damage("unused bytes", e.Size, n)
	}
	e.Unused = n
	return nil
}
