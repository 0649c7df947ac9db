package heap

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/memory"
)

// Find returns the block of the heap that an address lies in: the front end's
// where there is one, else the segment's, whatever its state. It is false when
// the heap has no such block; the error is the last that the walk met.
func (h Heap) Find(ctx context.Context, va uint64) (b Block, ok bool, err error) {
	if h.Kind == Segment {
		for b, e := range h.Blocks(ctx) {
			if e != nil {
				err = e
			} else if va >= b.Entry.Address && va < b.Entry.End() {
				return b, true, err
			}
		}
		return b, false, err
	}
	for s, e := range h.Segments(ctx) {
		if e != nil {
			err = e
			continue
		}
		if va < s.Base || va >= s.End {
			continue
		}
		for entry, e := range h.Entries(ctx, s) {
			if e != nil {
				err = e
			}
			if entry.State == 0 || va < entry.Address || va >= entry.End() {
				continue
			}
			b := h.block(Block{Kind: Backend, Segment: s.Address}, entry)
			if entry.State == Internal {
				for f, e := range h.FrontBlocks(ctx, s, entry) {
					if e != nil {
						err = e
					}
					if f.Address != 0 && va >= f.Entry.Address && va < f.Entry.End() {
						return f, true, err
					}
				}
			}
			return b, entry.State != Uncommitted && entry.State != Broken, err
		}
		return b, false, err
	}
	for v, e := range h.Virtual(ctx) {
		if e != nil {
			err = e
		}
		if v.Address != 0 && va >= v.Entry.Address && va < v.Entry.End() {
			return v, true, err
		}
	}
	return b, false, err
}

// Ends returns the first and the last link of the free list.
func (h Heap) Ends() (first, last uint64, err error) {
	head := h.Address + h.l.freeLists
	if first, err = memory.ReadUint(h.space, head, h.l.ptr); err == nil {
		last, err = memory.ReadUint(h.space, head+uint64(h.l.ptr), h.l.ptr)
	}
	if err != nil {
		err = fmt.Errorf("heap %#x: free list: %w", h.Address, err)
	}
	return first, last, err
}

// FreeEntries yields the blocks of the free list in its order, which is by size.
func (h Heap) FreeEntries(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		r := newReader(h.space)
		for at, err := range h.links(ctx, h.Address+h.l.freeLists, maxVirtual) {
			if err != nil {
				yield(Entry{}, fmt.Errorf("heap %#x: free list: %w", h.Address, err))
				return
			}
			e := Entry{Address: at - h.l.header, State: Free}
			var b [8]byte
			if err := r.bytes(e.Address+h.l.codeOff, b[:]); err != nil {
				if !yield(e, fmt.Errorf("heap %#x: free block %#x: %w", h.Address, e.Address, err)) {
					return
				}
				continue
			}
			raw := h.decode(b)
			e.Size, e.PreviousSize, e.Flags = raw.size*h.l.unit, raw.previous*h.l.unit, raw.flags
			var damage error
			switch {
			case raw.encoded && raw.sum != raw.tag:
				damage = &Damage{
					Heap: h.Address, Address: e.Address, Reason: "header checksum",
					Expected: uint64(raw.sum), Found: uint64(raw.tag), Bytes: b[:],
				}
			case raw.flags&FlagBusy != 0:
				damage = &Damage{Heap: h.Address, Address: e.Address, Reason: "flags of a free block", Found: uint64(raw.flags)}
			}
			if !yield(e, damage) {
				return
			}
		}
	}
}
