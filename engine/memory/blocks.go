package memory

import (
	"iter"
	"math"

	"kdap/engine/internal/spans"
)

// A Block is bytes at a virtual address.
type Block struct {
	VA   uint64
	Data []byte
}

// Blocks is the virtual memory of a dump without page tables: what it saved,
// block by block.
type Blocks struct {
	blocks []Block
	pieces []spans.Span // sorted; ID counts from the last block
}

var _ Space = (*Blocks)(nil)

// NewBlocks returns the space of the given blocks. They may overlap: the later
// one wins. A block that would wrap at the end of the address space is cut
// there.
func NewBlocks(blocks []Block) *Blocks {
	b := &Blocks{blocks: blocks}
	pieces := make([]spans.Span, 0, len(blocks))
	for i, blk := range blocks {
		if n := uint64(len(blk.Data)); n > 0 {
			last := blk.VA + min(n-1, math.MaxUint64-blk.VA)
			pieces = append(pieces, spans.Span{First: blk.VA, Last: last, ID: len(blocks) - 1 - i})
		}
	}
	b.pieces = spans.Flatten(pieces)
	return b
}

func (b *Blocks) piece(p spans.Span) Block {
	blk := b.blocks[len(b.blocks)-1-p.ID]
	return Block{p.First, blk.Data[p.First-blk.VA:][:p.Last-p.First+1]}
}

// All yields the readable memory in ascending order, in pieces that do not
// overlap. The data must not be changed.
func (b *Blocks) All() iter.Seq[Block] {
	return func(yield func(Block) bool) {
		for _, p := range b.pieces {
			if !yield(b.piece(p)) {
				return
			}
		}
	}
}

// Read implements Space.
func (b *Blocks) Read(va uint64, p []byte) (int, error) {
	done := 0
	for i, ok := spans.Find(b.pieces, va); done < len(p); i++ {
		at := va + uint64(done)
		if at < va { // the end of the address space
			return done, &ReadError{Addr: at - 1, Kind: NonCanonical}
		}
		if !ok || i == len(b.pieces) || b.pieces[i].First > at {
			e := &ReadError{Addr: at, Kind: NoAddressSpace}
			return done, e
		}
		blk := b.piece(b.pieces[i])
		done += copy(p[done:], blk.Data[at-blk.VA:])
	}
	return done, nil
}

// Next returns the first readable address at or after va.
func (b *Blocks) Next(va uint64) (uint64, bool) {
	i, ok := spans.Find(b.pieces, va)
	switch {
	case ok:
		return va, true
	case i < len(b.pieces):
		return b.pieces[i].First, true
	}
	return 0, false
}
