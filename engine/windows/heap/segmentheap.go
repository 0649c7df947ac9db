package heap

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/types"
)

// VS is the part of a segment heap that divides ranges into chunks of any size.
const VS = "vs"

// A segmentHeap is the walk over one segment heap. Its structures have types
// in every kernel's symbols since Windows 10 1703; how their words are encoded
// is no symbol file's matter and agreed on by public tools (MemProcFS and
// others) for 19041 to 22621.
type segmentHeap struct {
	Heap
	ctx     context.Context
	r       *reader
	yield   func(Block, error) bool
	heapKey uint64
	lfhKey  uint64
	missing error // the first type or member that the symbols lack

	contexts, contextSize, listHead, firstIndex, unitShift          uint64
	signature, descriptors, descriptorSize, flags, unitSize, unused uint64
	vsSize, vsSignature, vsHeader, chunkSize, chunkBits             uint64
	lfhCount, lfhWithheld, lfhOffsets, lfhBitmap                    uint64
	large, largeAddress, largePages                                 uint64
}

// member returns the offset of a member, or the size of a type for "".
func (w *segmentHeap) member(typ, path string) uint64 {
	for _, find := range w.proc.sources(w.ctx, false) {
		if v, ok := resolve(find, member{typ: typ, path: path}); ok {
			return v
		}
	}
	if w.missing == nil {
		w.missing = &types.NoFieldError{Type: typ, Field: path}
	}
	return 0
}

func (w *segmentHeap) prepare() error {
	w.contexts, w.contextSize = w.member("_SEGMENT_HEAP", "SegContexts"), w.member("_HEAP_SEG_CONTEXT", "")
	w.listHead = w.member("_HEAP_SEG_CONTEXT", "SegmentListHead")
	w.firstIndex, w.unitShift = w.member("_HEAP_SEG_CONTEXT", "FirstDescriptorIndex"), w.member("_HEAP_SEG_CONTEXT", "UnitShift")
	w.signature, w.descriptors = w.member("_HEAP_PAGE_SEGMENT", "Signature"), w.member("_HEAP_PAGE_SEGMENT", "DescArray")
	w.descriptorSize = w.member("_HEAP_PAGE_RANGE_DESCRIPTOR", "")
	w.flags, w.unitSize = w.member("_HEAP_PAGE_RANGE_DESCRIPTOR", "RangeFlags"), w.member("_HEAP_PAGE_RANGE_DESCRIPTOR", "UnitSize")
	w.unused = w.member("_HEAP_PAGE_RANGE_DESCRIPTOR", "UnusedBytes")
	w.vsSize, w.vsSignature = w.member("_HEAP_VS_SUBSEGMENT", "Size"), w.member("_HEAP_VS_SUBSEGMENT", "Signature")
	w.chunkSize, w.chunkBits = w.member("_HEAP_VS_CHUNK_HEADER", ""), w.member("_HEAP_VS_CHUNK_HEADER", "AllocatedChunkBits")
	w.vsHeader = (w.member("_HEAP_VS_SUBSEGMENT", "") + 15) &^ 15
	w.lfhCount, w.lfhWithheld = w.member("_HEAP_LFH_SUBSEGMENT", "BlockCount"), w.member("_HEAP_LFH_SUBSEGMENT", "WitheldBlockCount")
	w.lfhOffsets, w.lfhBitmap = w.member("_HEAP_LFH_SUBSEGMENT", "BlockOffsets"), w.member("_HEAP_LFH_SUBSEGMENT", "BlockBitmap")
	w.large = w.member("_SEGMENT_HEAP", "LargeAllocMetadata")
	w.largeAddress, w.largePages = w.member("_HEAP_LARGE_ALLOC_DATA", "VirtualAddress"), w.member("_HEAP_LARGE_ALLOC_DATA", "AllocatedPages")
	if w.missing != nil {
		return w.missing
	}
	globals, ok := w.proc.Symbol(w.ctx, "RtlpHpHeapGlobals", false)
	if !ok {
		return fmt.Errorf("no symbol ntdll!RtlpHpHeapGlobals, whose keys the blocks are encoded with")
	}
	var err error
	if w.heapKey, err = w.r.uint(globals, 8); err == nil {
		w.lfhKey, err = w.r.uint(globals+8, 8)
	}
	return err
}

// segmentBlocks yields the blocks of a segment heap.
func (h Heap) segmentBlocks(ctx context.Context) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		w := &segmentHeap{Heap: h, ctx: ctx, r: newReader(h.space), yield: yield}
		if err := w.prepare(); err != nil {
			w.fail("%w", err)
			return
		}
		for i := range uint64(2) {
			if !w.context(h.Address + w.contexts + i*w.contextSize) {
				return
			}
		}
		w.tree()
	}
}

func (w *segmentHeap) fail(format string, args ...any) bool {
	return w.yield(Block{}, fmt.Errorf("heap %#x: %w", w.Address, fmt.Errorf(format, args...)))
}

// segmentSalt is what a page segment's signature is salted with; builds since
// 26100 have none.
const segmentSalt = 0xa2e64eada2e64ead

func (w *segmentHeap) context(at uint64) bool {
	first, err := w.r.uint(at+w.firstIndex, 1)
	if err != nil {
		return w.fail("%w", err)
	}
	shift, err := w.r.uint(at+w.unitShift, 1)
	if err != nil {
		return w.fail("%w", err)
	}
	if shift < 12 || shift > 24 {
		return w.fail("units of 2^%d bytes", shift)
	}
	for segment, err := range w.links(w.ctx, at+w.listHead, maxSegments) {
		if err != nil {
			return w.fail("segments: %w", err) && w.ctx.Err() == nil
		}
		signature, err := w.r.uint(segment+w.signature, 8)
		if err == nil {
			if v := signature ^ segment ^ w.heapKey; v != at && v^segmentSalt != at {
				err = fmt.Errorf("signature %#x", signature)
			}
		}
		if err != nil {
			if !w.fail("segment %#x: %w", segment, err) {
				return false
			}
			continue
		}
		if !w.ranges(segment, first, shift) {
			return false
		}
	}
	return true
}

// Flags of a page range.
const (
	rangeAllocated  = 1
	rangeFirst      = 2
	rangeVS         = 4
	rangeSubsegment = 8
)

func (w *segmentHeap) ranges(segment, first, shift uint64) bool {
	const count = 256
	for i := first; i < count; {
		d := segment + w.descriptors + i*w.descriptorSize
		flags, err := w.r.uint(d+w.flags, 1)
		if err != nil {
			return w.fail("segment %#x: %w", segment, err)
		}
		units, err := w.r.uint(d+w.unitSize, 1)
		if err != nil {
			return w.fail("segment %#x: %w", segment, err)
		}
		if units == 0 || flags&rangeFirst == 0 {
			return true // the rest was never used
		}
		if units > count-i {
			return w.fail("segment %#x: descriptor %d has %d units", segment, i, units)
		}
		at, size, more := segment+i<<shift, units<<shift, true
		switch {
		case flags&rangeAllocated == 0:
		case flags&rangeSubsegment == 0:
			more = w.pages(segment, d, at, size)
		case flags&rangeVS != 0:
			more = w.vs(segment, at, size)
		default:
			more = w.lfh(segment, at, size)
		}
		if !more {
			return false
		}
		i += units
	}
	return w.ctx.Err() == nil || w.fail("%w", w.ctx.Err())
}

func (w *segmentHeap) pages(segment, descriptor, at, size uint64) bool {
	unused, err := w.r.uint(descriptor+w.unused, 4)
	if err == nil && unused > size {
		err = fmt.Errorf("%#x of %#x bytes unused", unused, size)
	}
	if err != nil {
		return w.fail("range %#x: %w", at, err)
	}
	return w.give(Backend, segment, 0, Entry{Address: at, Size: size, Flags: FlagBusy, State: Busy, Unused: unused}, 0)
}

// give yields a block whose user data begins header bytes behind its start.
func (w *segmentHeap) give(kind string, segment, sub uint64, e Entry, header uint64) bool {
	return w.yield(Block{
		Address: e.Address + header, Size: e.Requested(), Total: e.Size, Kind: kind, Busy: e.State == Busy,
		Entry: e, Segment: segment, Subsegment: sub,
	}, nil)
}

// vsSalt is what a VS subsegment's signature is made with.
const vsSalt = 0x2bed

func (w *segmentHeap) vs(segment, at, size uint64) bool {
	units, err := w.r.uint(at+w.vsSize, 2)
	if err != nil {
		return w.fail("VS subsegment %#x: %w", at, err)
	}
	signature, err := w.r.uint(at+w.vsSignature, 2)
	if err != nil {
		return w.fail("VS subsegment %#x: %w", at, err)
	}
	if want := (units ^ vsSalt) & 0x7fff; signature&0x7fff != want {
		return w.fail("VS subsegment %#x: signature %#x, not %#x", at, signature&0x7fff, want)
	}
	end := at + w.vsHeader + units*16
	if end > at+size {
		return w.fail("VS subsegment %#x: chunks up to %#x of %#x", at, end, at+size)
	}
	before, n := Entry{}, 0
	for chunk := at + w.vsHeader; chunk < end; n++ {
		if n&0xff == 0 && w.ctx.Err() != nil {
			return w.fail("%w", w.ctx.Err())
		}
		bits, err := w.r.uint(chunk, 8)
		if err != nil {
			return w.fail("VS chunk %#x: %w", chunk, err)
		}
		bits ^= chunk ^ w.heapKey
		e := Entry{Address: chunk, Size: bits >> 16 & 0xffff * 16, PreviousSize: bits >> 32 & 0xffff * 16, State: Free}
		d := &Damage{Heap: w.Address, Segment: at, Address: chunk, Before: before}
		switch {
		case bits>>56 != 0 || bits>>48&0xff > 1:
			d.Reason, d.Found = "VS chunk header", bits
		case e.Size < w.chunkSize || e.Size > end-chunk:
			d.Reason, d.Expected, d.Found = "size", end-chunk, e.Size
		case e.PreviousSize != before.Size:
			d.Reason, d.Expected, d.Found = "size of the previous block", before.Size, e.PreviousSize
		}
		if d.Reason != "" {
			return w.yield(Block{}, d)
		}
		if bits>>48&1 != 0 {
			e.State, e.Flags = Busy, FlagBusy
			if e.Unused, err = w.vsUnused(e); err != nil {
				return w.fail("VS chunk %#x: %w", chunk, err)
			}
		}
		if !w.give(VS, segment, at, e, w.chunkSize) {
			return false
		}
		before, chunk = e, e.End()
	}
	return true
}

func (w *segmentHeap) vsUnused(e Entry) (uint64, error) {
	bits, err := w.r.uint(e.Address+w.chunkBits, 4)
	if err != nil || bits>>8&1 == 0 {
		return w.chunkSize, err
	}
	n, err := w.tail(e, 0x1fff)
	return n + w.chunkSize, err
}

// tail reads how many bytes at a block's end are unused, from its last word.
func (w *segmentHeap) tail(e Entry, mask uint64) (uint64, error) {
	v, err := w.r.uint(e.End()-2, 2)
	switch {
	case err != nil:
		return 0, err
	case v>>15 != 0:
		return 1, nil
	case v&mask > e.Size:
		return 0, fmt.Errorf("%#x of %#x bytes unused", v&mask, e.Size)
	}
	return v & mask, nil
}

func (w *segmentHeap) lfh(segment, at, size uint64) bool {
	fail := func(err error) bool { return w.fail("LFH subsegment %#x: %w", at, err) }
	count, err := w.r.uint(at+w.lfhCount, 2)
	if err != nil {
		return fail(err)
	}
	withheld, err := w.r.uint(at+w.lfhWithheld, 1)
	if err != nil {
		return fail(err)
	}
	offsets, err := w.r.uint(at+w.lfhOffsets, 4)
	if err != nil {
		return fail(err)
	}
	code := uint32(offsets) ^ uint32(w.lfhKey) ^ uint32(at)>>12
	block, first := uint64(code&0xffff), uint64(code>>16)
	bitmap := (count + 31) / 32 * 8
	if block == 0 || first < w.lfhBitmap+bitmap || first > size || count*block > size-first {
		return fail(fmt.Errorf("%d blocks of %#x bytes from +%#x do not fit into %#x", count, block, first, size))
	}
	for i := range count {
		if i&0xff == 0 && w.ctx.Err() != nil {
			return w.fail("%w", w.ctx.Err())
		}
		e := Entry{Address: at + first + i*block, Size: block, State: Free}
		if withheld > 0 && e.Address/pageSize != (e.End()-1)/pageSize {
			continue // never given out
		}
		bits, err := w.r.uint(at+w.lfhBitmap+i/32*8, 8)
		if err != nil {
			return fail(err)
		}
		bits >>= i % 32 * 2
		if bits&1 != 0 {
			e.State, e.Flags = Busy, FlagBusy
			if bits&2 != 0 {
				if e.Unused, err = w.tail(e, 0x3fff); err != nil {
					return fail(err)
				}
			}
		}
		if !w.give(LFH, segment, at, e, 0) {
			return false
		}
	}
	return true
}

// tree yields the blocks with memory of their own, by address.
func (w *segmentHeap) tree() bool {
	at := w.Address + w.large
	root, err := w.r.uint(at, 8)
	if err != nil {
		return w.fail("large blocks: %w", err)
	}
	encoded, err := w.r.uint(at+8, 1)
	if err != nil {
		return w.fail("large blocks: %w", err)
	}
	if encoded&1 != 0 && root != 0 {
		root ^= at
	}
	return w.node(root, 0, encoded&1 != 0, 0)
}

// maxTreeDepth bounds a red-black tree: 2^32 nodes are no deeper.
const maxTreeDepth = 64

// node walks a branch. Every node names its parent, so that a branch that is
// not one ends and no memory is needed to see it.
func (w *segmentHeap) node(at, parent uint64, encoded bool, depth int) bool {
	if at == 0 {
		return true
	}
	if w.ctx.Err() != nil {
		return w.fail("%w", w.ctx.Err()) && false
	}
	var links [3]uint64 // left, right, parent
	for i := range links {
		v, err := w.r.uint(at+uint64(i)*8, 8)
		if err != nil {
			return w.fail("large blocks: node %#x: %w", at, err)
		}
		if encoded && v != 0 {
			v ^= at
		}
		links[i] = v
	}
	if links[2]&^7 != parent || depth > maxTreeDepth {
		return w.fail("large blocks: node %#x has parent %#x, not %#x", at, links[2]&^7, parent)
	}
	if links[0] != 0 && links[0] == links[1] {
		return w.fail("large blocks: node %#x has one child twice", at)
	}
	if !w.node(links[0], at, encoded, depth+1) {
		return false
	}
	address, err := w.r.uint(at+w.largeAddress, 8)
	if err != nil {
		return w.fail("large blocks: node %#x: %w", at, err)
	}
	pages, err := w.r.uint(at+w.largePages, 8)
	if err != nil {
		return w.fail("large blocks: node %#x: %w", at, err)
	}
	e := Entry{Address: address &^ 0xffff, Size: pages &^ 0xfff, Flags: FlagBusy, State: Busy, Unused: address & 0xffff}
	if e.Unused > e.Size {
		if !w.fail("large block %#x: %#x of %#x bytes unused", e.Address, e.Unused, e.Size) {
			return false
		}
	} else if !w.give(Large, 0, at, e, 0) {
		return false
	}
	return w.node(links[1], at, encoded, depth+1)
}
