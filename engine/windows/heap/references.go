package heap

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"kdap/engine/memory"
)

// Where programs have their memory: the first 64 KB are never mapped, and user
// addresses end below the middle of a 48-bit space.
const (
	firstUser = 0x10000
	lastUser  = 0x7fff_ffff_ffff
)

// scanPiece is how much memory is read at a time; a cancel waits for no more.
const scanPiece = 1 << 20

// Words calls visit with each aligned word of the process's memory that can be
// read, in the order of addresses, until visit returns false. It fails with the
// context only.
func (p *Process) Words(ctx context.Context, visit func(at, value uint64) bool) error {
	space := p.peb.Object().Space()
	buf := make([]byte, scanPiece)
	for va := uint64(firstUser); va < lastUser; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := space.Read(va, buf)
		n &^= 7
		for i := 0; i < n; i += 8 {
			if !visit(va+uint64(i), binary.LittleEndian.Uint64(buf[i:])) {
				return nil
			}
		}
		va += uint64(n)
		if err == nil && n > 0 {
			continue
		}
		next, ok := memory.Behind(space, va, err)
		if !ok || next <= va {
			return nil
		}
		va = (next + 7) &^ 7
	}
	return nil
}

// A HeapBlock is a busy block and the heap it is of.
type HeapBlock struct {
	Heap Heap
	Block
}

// A Leak is what Unreachable finds.
type Leak struct {
	Busy, Bytes uint64 // of all blocks that were looked at
	Blocks      []HeapBlock
	Errs        []error // what of the heaps could not be read
}

// maxLeakBlocks bounds what a search for leaks holds: some 100 bytes a block.
const maxLeakBlocks = 1 << 23

// Unreachable returns the busy blocks that no pointer leads to: none outside the
// heaps, and none in a block that is reached itself. Any word counts as a
// pointer, and one into a block's middle, too, so that what it returns is not
// used any more, unless the program hides its pointers or the dump lacks pages.
func (p *Process) Unreachable(ctx context.Context) (Leak, error) {
	var l Leak
	s := leakSearch{}
	for h, err := range p.Heaps(ctx) {
		if err != nil {
			l.note(err)
			continue
		}
		s.narrow = s.narrow || h.Narrow()
		s.heapMemory(ctx, h)
		for b, err := range h.Blocks(ctx) {
			if ctx.Err() != nil {
				return l, ctx.Err()
			}
			if err != nil {
				l.note(err)
			}
			if !b.Busy || b.Address == 0 || len(s.blocks) >= maxLeakBlocks {
				continue
			}
			l.Busy++
			l.Bytes += b.Size
			s.blocks = append(s.blocks, leakBlock{HeapBlock: HeapBlock{h, b}})
		}
	}
	slices.SortFunc(s.blocks, func(a, b leakBlock) int { return cmp.Compare(a.Address, b.Address) })
	slices.SortFunc(s.inside, func(a, b Range) int { return cmp.Compare(a.Address, b.Address) })
	err := p.Words(ctx, func(at, value uint64) bool {
		if !s.within(at) {
			s.word(value)
		}
		return true
	})
	if err == nil {
		err = s.follow(ctx, p.peb.Object().Space())
	}
	for _, b := range s.blocks {
		if !b.reached {
			l.Blocks = append(l.Blocks, b.HeapBlock)
		}
	}
	return l, err
}

func (l *Leak) note(err error) {
	if len(l.Errs) < maxErrors {
		l.Errs = append(l.Errs, err)
	}
}

type leakBlock struct {
	HeapBlock
	reached bool
}

type leakSearch struct {
	blocks []leakBlock
	inside []Range // memory of heaps, whose words are no roots
	todo   []int
	narrow bool // there are 32-bit heaps
}

// heapMemory notes where a heap lies: headers and lists name blocks that nobody
// uses, and a block's content counts once the block is reached.
func (s *leakSearch) heapMemory(ctx context.Context, h Heap) {
	if h.Kind == Segment {
		return // its blocks are looked up one by one
	}
	for seg, err := range h.Segments(ctx) {
		if err == nil {
			s.inside = append(s.inside, Range{Address: seg.Base, Size: seg.End - seg.Base})
		}
	}
}

// within reports whether an address lies in a heap.
func (s *leakSearch) within(at uint64) bool {
	i, _ := slices.BinarySearchFunc(s.inside, at+1, func(r Range, va uint64) int { return cmp.Compare(r.Address, va) })
	if i > 0 && at-s.inside[i-1].Address < s.inside[i-1].Size {
		return true
	}
	_, ok := s.block(at)
	return ok
}

// block finds the busy block that an address lies in.
func (s *leakSearch) block(va uint64) (int, bool) {
	i, _ := slices.BinarySearchFunc(s.blocks, va+1, func(b leakBlock, va uint64) int { return cmp.Compare(b.Address, va) })
	if i == 0 {
		return 0, false
	}
	b := s.blocks[i-1].Block
	return i - 1, va-b.Address < max(b.Size, 1)
}

// word reaches what a word can point to; in a 32-bit program it is two.
func (s *leakSearch) word(value uint64) {
	s.reach(value)
	if s.narrow {
		s.reach(value & 0xffff_ffff)
		s.reach(value >> 32)
	}
}

func (s *leakSearch) reach(value uint64) {
	if i, ok := s.block(value); ok && !s.blocks[i].reached {
		s.blocks[i].reached = true
		s.todo = append(s.todo, i)
	}
}

// follow reaches what reached blocks point to.
func (s *leakSearch) follow(ctx context.Context, space memory.Space) error {
	buf := make([]byte, scanPiece)
	for len(s.todo) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := s.blocks[s.todo[len(s.todo)-1]]
		s.todo = s.todo[:len(s.todo)-1]
		for at, end := b.Address, b.Address+b.Size; at+8 <= end; {
			n, err := space.Read(at, buf[:min(uint64(len(buf)), end-at)])
			n &^= 7
			for i := 0; i < n; i += 8 {
				s.word(binary.LittleEndian.Uint64(buf[i:]))
			}
			at += uint64(n)
			if err == nil && n > 0 {
				continue
			}
			next, ok := memory.Behind(space, at, err)
			if !ok || next <= at {
				break
			}
			at = next // pages begin at whole words
		}
	}
	return nil
}
