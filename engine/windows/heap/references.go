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
	return p.words(ctx, nil, visit)
}

// words is Words without the words that begin in some ranges, which are sorted.
func (p *Process) words(ctx context.Context, without []Range, visit func(at, value uint64) bool) error {
	space := p.peb.Object().Space()
	buf := make([]byte, scanPiece)
	for va := uint64(firstUser); va < lastUser; {
		if err := ctx.Err(); err != nil {
			return err
		}
		i, _ := slices.BinarySearchFunc(without, va+1, func(r Range, va uint64) int { return cmp.Compare(r.Address, va) })
		if i > 0 && va-without[i-1].Address < without[i-1].Size {
			va = (without[i-1].Address + without[i-1].Size + 7) &^ 7
			continue
		}
		piece := buf
		if i < len(without) {
			piece = buf[:min(uint64(len(buf)), (without[i].Address-va+7)&^7)]
		}
		n, err := space.Read(va, piece)
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
	Heap *Heap
	Block
}

// A Leak is what Unreachable finds.
type Leak struct {
	Busy, Bytes uint64 // of all blocks that were looked at
	Blocks      []HeapBlock
	Errs        []error // what of the heaps could not be read
}

// maxLeakBlocks bounds what a search for leaks holds: 24 bytes a block, and some
// 150 for each that it finds.
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
			s.blocks = append(s.blocks, leakBlock{address: b.Address, size: max(b.Size, 1)})
		}
	}
	slices.SortFunc(s.blocks, func(a, b leakBlock) int { return cmp.Compare(a.address, b.address) })
	slices.SortFunc(s.inside, func(a, b Range) int { return cmp.Compare(a.Address, b.Address) })
	err := p.words(ctx, s.inside, func(at, value uint64) bool {
		if _, ok := s.block(at); !ok {
			s.word(value)
		}
		return true
	})
	if err == nil {
		err = s.follow(ctx, p.peb.Object().Space())
	}
	if err == nil {
		l.Blocks, err = s.unreached(ctx, p)
	}
	return l, err
}

// unreached looks up once more the blocks that were not reached: while the
// search goes on it holds no more of a block than where it lies.
func (s *leakSearch) unreached(ctx context.Context, p *Process) ([]HeapBlock, error) {
	count := 0
	for _, b := range s.blocks {
		if !b.reached {
			count++
		}
	}
	if count == 0 {
		return nil, nil
	}
	out := make([]HeapBlock, 0, count)
	for h, err := range p.Heaps(ctx) {
		if err != nil {
			continue // it was noted
		}
		for b := range h.Blocks(ctx) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if i, ok := s.block(b.Address); ok && b.Busy && s.blocks[i].address == b.Address && !s.blocks[i].reached {
				out = append(out, HeapBlock{&h, b})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b HeapBlock) int { return cmp.Compare(a.Address, b.Address) })
	return out, nil
}

func (l *Leak) note(err error) {
	if len(l.Errs) < maxErrors {
		l.Errs = append(l.Errs, err)
	}
}

type leakBlock struct {
	address, size uint64
	reached       bool
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

// block finds the busy block that an address lies in.
func (s *leakSearch) block(va uint64) (int, bool) {
	if n := len(s.blocks); n == 0 || va < s.blocks[0].address || va-s.blocks[n-1].address >= s.blocks[n-1].size && va > s.blocks[n-1].address {
		return 0, false // as most words are
	}
	i, _ := slices.BinarySearchFunc(s.blocks, va+1, func(b leakBlock, va uint64) int { return cmp.Compare(b.address, va) })
	if i == 0 {
		return 0, false
	}
	return i - 1, va-s.blocks[i-1].address < s.blocks[i-1].size
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
		for at, end := b.address, b.address+b.size; at+8 <= end; {
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
