package dumptest

import (
	"cmp"
	"fmt"
	"slices"
)

// Parts of an NT heap, as debuggers' public outputs and ntdll's public types
// have them: see layout/memory.types for the structures.
const (
	heapUnit       = 16
	heapHeader     = 16    // of a block
	heapFirst      = 0x740 // the header block of a heap
	segmentFirst   = 0x70  // of a later segment
	descriptorSize = 0x40  // of the block that describes an uncommitted range
	maxBlock       = 0xffff * heapUnit
	virtualBlock   = 0xff00 * heapUnit // larger ones have memory of their own

	blockBusy     = 1
	blockVirtual  = 8 // of the heap's own blocks
	encodedBit    = 0x10
	heapSignature = 0xeeffeeff
	segmentMark   = 0xffeeffee
)

// A Heap is an NT heap in the making. Blocks are taken one behind the other;
// the headers and lists that tell of them are written when the machine is
// finished.
type Heap struct {
	p        *Process
	opt      HeapOptions
	code     [8]byte // what headers are encoded with
	segments []*heapSegment
	large    []largeBlock
	front    uint64 // _LFH_HEAP, 0 without a front end
	frontTop uint64 // the next free byte behind it
}

// HeapOptions says what a heap is. The zero value is a growing one.
type HeapOptions struct {
	At      uint64 // 0: anywhere
	Reserve uint64 // of the first segment; default 1 MB
	Commit  uint64 // of the first segment; default what its blocks need
	Flags   uint32 // default HEAP_GROWABLE
	Plain   bool   // headers are not encoded
}

// A heapSegment is a stretch of a heap's memory.
type heapSegment struct {
	va, end uint64 // of its blocks: behind end lies a guard page
	commit  uint64 // bytes that are committed at least
	next    uint64
	blocks  []heapBlock
	gaps    []heapGap // without the last
	vad     int
}

// A heapBlock is a block of a segment.
type heapBlock struct {
	va, size, unused uint64
	flags            uint8
	after            bool // behind an uncommitted range or the first
	descriptor       bool
}

type heapGap struct{ descriptor, va, size uint64 }

type largeBlock struct{ entry, commit, requested uint64 }

// NewHeap makes a heap of the process. The first one is its default heap.
func (p *Process) NewHeap(opt HeapOptions) *Heap {
	if opt.Reserve == 0 {
		opt.Reserve = 0x100000
	}
	if opt.Flags == 0 {
		opt.Flags = 2
	}
	h := &Heap{p: p, opt: opt}
	p.heaps = append(p.heaps, h)
	h.Grow(opt.At, opt.Reserve, opt.Commit)
	seed := h.VA()*0x9e3779b97f4a7c15 + uint64(p.pid)
	if !opt.Plain {
		le.PutUint64(h.code[:], seed>>16&0x0000_ffff_ffff_ffff|encodedBit<<16)
	}
	h.take(heapFirst, heapFirst-1, blockBusy)
	h.take(0x110, 0x10f, blockBusy|blockVirtual) // counts of the front end
	return h
}

// VA is the heap's address.
func (h *Heap) VA() uint64 { return h.segments[0].va }

// Grow adds a segment to the heap: later blocks lie there. 0 takes any place,
// and commits what the blocks need.
func (h *Heap) Grow(at, reserve, commit uint64) {
	p := h.p
	if at == 0 {
		at = p.Reserve(reserve)
		p.vads = p.vads[:len(p.vads)-1]
	}
	p.addVad(vad{start: at, size: reserve, prot: ReadWrite, kind: "private", commit: 1})
	s := &heapSegment{va: at, end: at + reserve - pageSize, commit: commit, next: at, vad: len(p.vads) - 1}
	h.segments = append(h.segments, s)
	if len(h.segments) > 1 {
		h.take(segmentFirst, segmentFirst-1, blockBusy)
	}
}

func (h *Heap) last() *heapSegment { return h.segments[len(h.segments)-1] }

// room is how far blocks of a segment may reach, so that what follows them can
// be described.
func (s *heapSegment) room() uint64 {
	if s.commit != 0 && s.va+s.commit < s.end {
		return s.va + s.commit - descriptorSize
	}
	return s.end - descriptorSize - 2*heapUnit
}

// take makes the next block of a size and returns its header's place.
func (h *Heap) take(size, requested uint64, flags uint8) uint64 {
	s := h.last()
	for s.next+size > s.room() {
		if size > maxBlock {
			panic("dumptest: a block of a heap that is too large")
		}
		h.Grow(0, h.nextReserve(), 0)
		s = h.last()
	}
	va := s.next
	s.blocks = append(s.blocks, heapBlock{va: va, size: size, unused: size - requested, flags: flags})
	s.next += size
	return va
}

// nextReserve is the size of the segment that a full heap takes next.
func (h *Heap) nextReserve() uint64 {
	last := h.last()
	size := last.end + pageSize - last.va
	if len(h.segments) > 1 {
		size *= 2
	}
	return min(size, 0xfd0000)
}

// blockSize is what a request takes with its header. The last 8 bytes lie in
// the next block's header, which leaves them to this one.
func blockSize(size uint64) uint64 {
	return max(roundUp(size+heapHeader/2, heapUnit), 2*heapUnit)
}

// Alloc takes a block and returns what the program gets.
func (h *Heap) Alloc(size uint64) uint64 {
	if total := blockSize(size); total <= virtualBlock {
		return h.take(total, size, blockBusy) + heapHeader
	}
	commit := roundUp(size+uint64(h.p.m.l.size("_HEAP_VIRTUAL_ALLOC_ENTRY")), pageSize)
	entry := h.p.Reserve(commit)
	h.large = append(h.large, largeBlock{entry, commit, size})
	return entry + uint64(h.p.m.l.size("_HEAP_VIRTUAL_ALLOC_ENTRY"))
}

// Free gives a block back.
func (h *Heap) Free(user uint64) {
	for _, s := range h.segments {
		i, ok := slices.BinarySearchFunc(s.blocks, user-heapHeader, func(b heapBlock, va uint64) int { return cmp.Compare(b.va, va) })
		if ok {
			s.blocks[i].flags, s.blocks[i].unused = 0, 0
			return
		}
	}
	panic(fmt.Sprintf("dumptest: Free of %#x, which is no block", user))
}

// Uncommit leaves pages without memory behind the blocks so far.
func (h *Heap) Uncommit(pages uint64) {
	s := h.last()
	h.fill(s, roundUp(s.next+descriptorSize+2*heapUnit, pageSize), pages*pageSize)
}

// fill ends the blocks at a page boundary: a free block, and where size bytes
// behind it have no memory the block that describes them.
func (h *Heap) fill(s *heapSegment, to, size uint64) {
	end := to
	if size > 0 {
		end -= descriptorSize
	}
	if s.next > end || end-s.next == heapUnit {
		panic("dumptest: no room behind the blocks of a heap")
	}
	for s.next < end {
		n := min(end-s.next, maxBlock-heapUnit)
		if left := end - s.next - n; left == heapUnit {
			n -= heapUnit
		}
		s.blocks = append(s.blocks, heapBlock{va: s.next, size: n})
		s.next += n
	}
	if size == 0 {
		return
	}
	s.blocks = append(s.blocks, heapBlock{va: end, size: descriptorSize, unused: 3, flags: blockBusy, descriptor: true})
	s.gaps = append(s.gaps, heapGap{end + heapHeader, to, size})
	s.next = to + size
}

// join makes one block of free ones that touch.
func (s *heapSegment) join() {
	out := s.blocks[:0]
	for _, b := range s.blocks {
		if n := len(out) - 1; n >= 0 && out[n].flags == 0 && b.flags == 0 && out[n].va+out[n].size == b.va && out[n].size+b.size <= maxBlock {
			out[n].size += b.size
			continue
		}
		b.after = len(out) == 0 || out[len(out)-1].va+out[len(out)-1].size != b.va
		out = append(out, b)
	}
	s.blocks = out
}

// finish writes all that describes the blocks.
func (h *Heap) finish() {
	space := h.p.Space
	var free []heapBlock
	var ranges, links []uint64
	units, committed, reserved, far := uint64(0), uint64(0), uint64(0), uint64(0)
	for i, s := range h.segments {
		h.close(s)
		s.join()
		for k, b := range s.blocks {
			previous := uint64(0)
			if !b.after {
				previous = s.blocks[k-1].size
			}
			offset := uint64(0)
			if i > 0 {
				offset = (b.va-s.va)>>16 + 1
			}
			unused := uint8(min(b.unused, 0x3f))
			if unused == 0x3f { // the count stands behind the block
				space.U64(b.va+b.size, b.unused)
			}
			h.header(b.va, b.size/heapUnit, b.flags, previous/heapUnit, uint8(offset), unused)
			if b.flags == 0 {
				free = append(free, b)
				units += b.size / heapUnit
			}
		}
		n := h.segment(s)
		committed += n
		reserved += s.end - s.va
		h.p.vads[s.vad].commit = n / pageSize
		for _, g := range s.gaps {
			ranges = append(ranges, g.descriptor)
			if g.size >= 0x10000 {
				far += g.size
			}
		}
		links = append(links, space.obj("_HEAP_SEGMENT", s.va).addr("SegmentListEntry"))
	}
	slices.SortStableFunc(free, func(a, b heapBlock) int { return cmp.Compare(a.size, b.size) })
	o := h.head(units, committed, reserved, far, uint64(len(ranges)))
	space.link(o.addr("SegmentList"), links...)
	space.link(o.addr("UCRList"), ranges...)
	entries := make([]uint64, len(free))
	for i, b := range free {
		entries[i] = b.va + heapHeader
	}
	space.link(o.addr("FreeLists"), entries...)
	h.finishLarge(o)
}

// close ends a segment's blocks where its memory ends.
func (h *Heap) close(s *heapSegment) {
	to := s.va + s.commit
	if s.commit == 0 {
		to = roundUp(s.next+descriptorSize+2*heapUnit, pageSize)
	}
	if to >= s.end {
		h.fill(s, s.end, 0)
		return
	}
	h.fill(s, to, s.end-to)
}

// header writes a block's header, encoded, with its check sum. The first half
// is the end of the block before it.
func (h *Heap) header(va, units uint64, flags uint8, previous uint64, offset, unused uint8) {
	b := []byte{byte(units), byte(units >> 8), flags, 0, byte(previous), byte(previous >> 8), offset, unused}
	b[3] = b[0] ^ b[1] ^ b[2]
	for i := range b {
		b[i] ^= h.code[i]
	}
	h.p.Space.Write(va+heapHeader/2, b)
}

// segment writes a segment's header and its uncommitted ranges; it returns the
// committed bytes.
func (h *Heap) segment(s *heapSegment) uint64 {
	space, l := h.p.Space, h.p.m.l
	without := uint64(0)
	entries := make([]uint64, len(s.gaps))
	for i, g := range s.gaps {
		without += g.size
		space.obj("_HEAP_UCR_DESCRIPTOR", g.descriptor).set("Address", g.va).set("Size", g.size)
		entries[i] = g.descriptor + uint64(l.offset("_HEAP_UCR_DESCRIPTOR", "SegmentEntry"))
	}
	o := space.obj("_HEAP_SEGMENT", s.va)
	o.set("SegmentSignature", segmentMark).set("Heap", h.VA()).set("BaseAddress", s.va)
	o.set("NumberOfPages", (s.end-s.va)/pageSize).set("FirstEntry", s.va+s.blocks[0].size).set("LastValidEntry", s.end)
	o.set("NumberOfUnCommittedPages", without/pageSize).set("NumberOfUnCommittedRanges", uint64(len(s.gaps)))
	space.link(o.addr("UCRSegmentList"), entries...)
	return s.end - s.va - without
}

// head writes the heap's own header.
func (h *Heap) head(free, committed, reserved, far, ranges uint64) object {
	l := h.p.m.l
	o := h.p.Space.obj("_HEAP", h.VA())
	o.set("Flags", uint64(h.opt.Flags)).set("Signature", heapSignature).set("VirtualMemoryThreshold", virtualBlock/heapUnit)
	if !h.opt.Plain {
		o.set("EncodeFlagMask", encodedBit<<16)
		h.p.Space.Write(o.addr("Encoding")+heapHeader/2, h.code[:])
	}
	o.set("SegmentReserve", 0x100000).set("SegmentCommit", 0x2000).set("TotalFreeSize", free)
	o.set("DeCommitFreeBlockThreshold", 0x400).set("DeCommitTotalFreeThreshold", 0x1000).set("MaximumAllocationSize", 0x7ffffffdefff)
	o.set("LockVariable", h.VA()+uint64(l.size("_HEAP"))).set("FrontEndHeapUsageData", h.VA()+heapFirst+heapHeader)
	if h.front != 0 {
		o.set("FrontEndHeap", h.front).set("FrontEndHeapType", 2).set("RequestedFrontEndHeapType", 2)
	}
	c := "Counters."
	o.set(c+"TotalMemoryReserved", reserved+uint64(len(h.segments))*pageSize).set(c+"TotalMemoryCommitted", committed)
	o.set(c+"TotalMemoryLargeUCR", far).set(c+"TotalSegments", uint64(len(h.segments))).set(c+"TotalUCRs", ranges)
	return o
}

// finishLarge writes the blocks that have memory of their own.
func (h *Heap) finishLarge(o object) {
	space := h.p.Space
	var entries []uint64
	for _, b := range h.large {
		e := space.obj("_HEAP_VIRTUAL_ALLOC_ENTRY", b.entry).set("CommitSize", b.commit).set("ReserveSize", b.commit)
		h.header(e.addr("BusyBlock"), b.commit-b.requested, blockBusy|blockVirtual, 0, 0, 4) // its size counts bytes
		entries = append(entries, b.entry)
	}
	space.link(o.addr("VirtualAllocdBlocks"), entries...)
}

// PageOut moves all pages of the heap that nothing was written to into the
// paging file.
func (h *Heap) PageOut() {
	s := h.p.Space
	for i, seg := range h.segments {
		for va := seg.va; va < min(roundUp(seg.next, pageSize), seg.end); va += pageSize {
			if _, ok := s.lookup(va); !ok {
				s.PageFile(va, 0, 0x1000+uint64(i)<<12+(va-seg.va)>>12, ReadWrite)
			}
		}
	}
}
