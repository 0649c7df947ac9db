package heap

import (
	"context"
	"fmt"
	"iter"
)

// The parts of a heap that give out blocks.
const (
	Backend = "backend" // of a segment heap: a range of pages
	LFH     = "lfh"
	Large   = "large" // a block with memory of its own
)

// A Block is what a program got from a heap, or could get.
type Block struct {
	Address    uint64 // what the program has
	Size       uint64 // that it asked for; 0 in a free block
	Total      uint64 // with header and slack
	Kind       string // Backend, LFH, VS or Large
	Busy       bool
	Entry      Entry
	Segment    uint64 // the segment's header, 0 for large blocks
	Subsegment uint64 // of front-end blocks
}

// Blocks yields the blocks of programs, busy and free, by segment and address;
// those of the front end where the memory lies that it has them in; large ones
// last. The heap's own blocks are left out.
func (h Heap) Blocks(ctx context.Context) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		if h.Kind == Segment {
			h.segmentBlocks(ctx)(yield)
			return
		}
		f, hasFront, err := h.front(ctx)
		if err != nil && !yield(Block{}, fmt.Errorf("heap %#x: %w", h.Address, err)) {
			return
		}
		r := newReader(h.space)
		for s, err := range h.Segments(ctx) {
			if err != nil {
				if !yield(Block{}, err) {
					return
				}
				continue
			}
			for e, err := range h.Entries(ctx, s) {
				switch {
				case e.State == Internal && hasFront:
					if err != nil && !yield(Block{}, err) || !h.frontBlocks(ctx, r, f, s, e, yield) {
						return
					}
				case e.State == Busy, e.State == Free:
					b := Block{Kind: Backend, Segment: s.Address}
					if !yield(h.block(b, e), err) {
						return
					}
				case err != nil:
					if !yield(Block{}, err) {
						return
					}
				}
			}
		}
		for v, err := range h.Virtual(ctx) {
			if !yield(v, err) {
				return
			}
		}
	}
}

func (h Heap) block(b Block, e Entry) Block {
	b.Address, b.Size, b.Total, b.Busy, b.Entry = e.Address+h.l.header, e.Requested(), e.Size, e.State == Busy, e
	return b
}

func (h Heap) frontBlocks(ctx context.Context, r *reader, f front, s SegmentInfo, e Entry, yield func(Block, error) bool) bool {
	sub, ok, err := h.subsegment(r, f, e)
	if err != nil {
		return yield(Block{}, err)
	}
	if !ok {
		return true
	}
	for e, err := range h.blocks(ctx, r, f, sub) {
		if e.State == 0 || e.Size == 0 {
			return yield(Block{}, err)
		}
		b := Block{Kind: LFH, Segment: s.Address, Subsegment: sub.Address}
		if !yield(h.block(b, e), err) {
			return false
		}
	}
	return true
}

// FrontBlocks yields the front end's blocks in an internal block of a segment;
// nothing when it holds none.
func (h Heap) FrontBlocks(ctx context.Context, s SegmentInfo, e Entry) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		f, ok, err := h.front(ctx)
		if err != nil {
			yield(Block{}, fmt.Errorf("heap %#x: %w", h.Address, err))
			return
		}
		if ok {
			h.frontBlocks(ctx, newReader(h.space), f, s, e, yield)
		}
	}
}

// maxVirtual bounds the list of virtual blocks, of 64 KB at least.
const maxVirtual = 1 << 24

// Virtual yields the blocks that have memory of their own.
func (h Heap) Virtual(ctx context.Context) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		r := newReader(h.space)
		for at, err := range h.links(ctx, h.Address+h.l.virtualBlocks, maxVirtual) {
			if err != nil {
				yield(Block{}, fmt.Errorf("heap %#x: virtual blocks: %w", h.Address, err))
				return
			}
			b, err := h.virtual(r, at)
			if err != nil {
				err = fmt.Errorf("heap %#x: virtual block %#x: %w", h.Address, at, err)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

func (h Heap) virtual(r *reader, at uint64) (Block, error) {
	b := Block{Address: at + h.l.virtualHeader, Kind: Large, Busy: true}
	commit, err := r.uint(at+h.l.commitSize, h.l.ptr)
	if err != nil {
		return b, err
	}
	var header [8]byte
	if err := r.bytes(at+h.l.busyBlock+h.l.codeOff, header[:]); err != nil {
		return b, err
	}
	raw := h.decode(header)
	b.Total = commit
	b.Entry = Entry{Address: at, Size: commit, Flags: raw.flags, State: Busy, Unused: raw.size}
	switch {
	case raw.encoded && raw.sum != raw.tag:
		return b, &Damage{
			Heap: h.Address, Address: at, Reason: "header checksum",
			Expected: uint64(raw.sum), Found: uint64(raw.tag), Bytes: header[:],
		}
	case raw.size > commit:
		return b, &Damage{Heap: h.Address, Address: at, Reason: "unused bytes", Expected: commit, Found: raw.size}
	}
	// The header's size is what the program did not ask for, in bytes.
	b.Size = commit - raw.size
	return b, nil
}

// Usage is what the blocks of a heap add up to.
type Usage struct{ BusyBlocks, BusyBytes, LFHBlocks, LargeBlocks uint64 }

// Usage adds up the busy blocks. Errors are those of the walk; what could be
// read is counted all the same.
func (h Heap) Usage(ctx context.Context) (u Usage, errs []error) {
	for b, err := range h.Blocks(ctx) {
		if err != nil && len(errs) < maxErrors {
			errs = append(errs, err)
		}
		if !b.Busy {
			continue
		}
		u.BusyBlocks++
		u.BusyBytes += b.Size
		switch b.Kind {
		case LFH:
			u.LFHBlocks++
		case Large:
			u.LargeBlocks++
		}
	}
	return u, errs
}

// maxErrors bounds what Usage keeps: a damaged heap may have any number.
const maxErrors = 16
