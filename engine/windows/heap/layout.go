package heap

import (
	"context"

	"kdap/engine/types"
)

// A layout is where the members of heap structures lie, for one width of
// pointers.
type layout struct {
	ptr     int    // size of a pointer
	unit    uint64 // granularity of blocks
	header  uint64 // size of a block's header
	codeOff uint64 // of the encoded half of a header

	// _HEAP
	segmentSignature, heapHeap, flags, forceFlags, encodeFlagMask, encoding, virtualMemoryThreshold, signature,
	segmentReserve, segmentCommit, deCommitFree, deCommitTotal, totalFreeSize, maximumAllocation,
	nextTag, maximumTag, tagEntries, ucrList, virtualBlocks, segmentList, pseudoTagEntries,
	freeLists, lockVariable, frontEndHeap, frontEndType,
	reserved, committed, largeUCR, segments, ucrs, lockCollisions uint64

	// _HEAP_SEGMENT
	segmentFlags, segmentListEntry, baseAddress, pages, firstEntry, lastValidEntry,
	uncommittedPages, uncommittedRanges, ucrSegmentList uint64

	// _HEAP_UCR_DESCRIPTOR
	ucrSegmentEntry, ucrAddress, ucrSize uint64

	// _HEAP_VIRTUAL_ALLOC_ENTRY
	commitSize, reserveSize, busyBlock, virtualHeader uint64

	// _HEAP_SUBSEGMENT
	userBlocks, blockSize, blockCount uint64

	// _HEAP_USERDATA_HEADER
	subSegment, userSignature, encodedOffsets, busySize, busyBuffer, bitmapData uint64
}

// A member is one number of a layout: where a table has it when no symbols do.
type member struct {
	at        *uint64
	typ, path string // path "" is the size of the type
	x64, x86  uint64
}

// members lists the layout with the offsets of Windows 10 and 11 (kernel
// types of 10.0.14393 to 10.0.22621, which do not differ here; x86: the public
// types of wntdll.pdb of the same builds; the front end: public types of
// ntdll.pdb). Symbols come first wherever they have the type.
func (l *layout) members() []member {
	return []member{
		{&l.segmentSignature, "_HEAP", "SegmentSignature", 0x10, 0x08},
		{&l.heapHeap, "_HEAP", "Heap", 0x28, 0x18},
		{&l.flags, "_HEAP", "Flags", 0x70, 0x40},
		{&l.forceFlags, "_HEAP", "ForceFlags", 0x74, 0x44},
		{&l.encodeFlagMask, "_HEAP", "EncodeFlagMask", 0x7c, 0x4c},
		{&l.encoding, "_HEAP", "Encoding", 0x80, 0x50},
		{&l.virtualMemoryThreshold, "_HEAP", "VirtualMemoryThreshold", 0x94, 0x5c},
		{&l.signature, "_HEAP", "Signature", 0x98, 0x60},
		{&l.segmentReserve, "_HEAP", "SegmentReserve", 0xa0, 0x64},
		{&l.segmentCommit, "_HEAP", "SegmentCommit", 0xa8, 0x68},
		{&l.deCommitFree, "_HEAP", "DeCommitFreeBlockThreshold", 0xb0, 0x6c},
		{&l.deCommitTotal, "_HEAP", "DeCommitTotalFreeThreshold", 0xb8, 0x70},
		{&l.totalFreeSize, "_HEAP", "TotalFreeSize", 0xc0, 0x74},
		{&l.maximumAllocation, "_HEAP", "MaximumAllocationSize", 0xc8, 0x78},
		{&l.nextTag, "_HEAP", "NextAvailableTagIndex", 0xe0, 0x84},
		{&l.maximumTag, "_HEAP", "MaximumTagIndex", 0xe2, 0x86},
		{&l.tagEntries, "_HEAP", "TagEntries", 0xe8, 0x88},
		{&l.ucrList, "_HEAP", "UCRList", 0xf0, 0x8c},
		{&l.virtualBlocks, "_HEAP", "VirtualAllocdBlocks", 0x110, 0x9c},
		{&l.segmentList, "_HEAP", "SegmentList", 0x120, 0xa4},
		{&l.pseudoTagEntries, "_HEAP", "PseudoTagEntries", 0x148, 0xbc},
		{&l.freeLists, "_HEAP", "FreeLists", 0x150, 0xc0},
		{&l.lockVariable, "_HEAP", "LockVariable", 0x160, 0xc8},
		{&l.frontEndHeap, "_HEAP", "FrontEndHeap", 0x198, 0xe4},
		{&l.frontEndType, "_HEAP", "FrontEndHeapType", 0x1a2, 0xea},
		{&l.reserved, "_HEAP", "Counters.TotalMemoryReserved", 0x238, 0x1f4},
		{&l.committed, "_HEAP", "Counters.TotalMemoryCommitted", 0x240, 0x1f8},
		{&l.largeUCR, "_HEAP", "Counters.TotalMemoryLargeUCR", 0x248, 0x1fc},
		{&l.segments, "_HEAP", "Counters.TotalSegments", 0x258, 0x204},
		{&l.ucrs, "_HEAP", "Counters.TotalUCRs", 0x25c, 0x208},
		{&l.lockCollisions, "_HEAP", "Counters.LockCollisions", 0x26c, 0x218},

		{&l.segmentFlags, "_HEAP_SEGMENT", "SegmentFlags", 0x14, 0x0c},
		{&l.segmentListEntry, "_HEAP_SEGMENT", "SegmentListEntry", 0x18, 0x10},
		{&l.baseAddress, "_HEAP_SEGMENT", "BaseAddress", 0x30, 0x1c},
		{&l.pages, "_HEAP_SEGMENT", "NumberOfPages", 0x38, 0x20},
		{&l.firstEntry, "_HEAP_SEGMENT", "FirstEntry", 0x40, 0x24},
		{&l.lastValidEntry, "_HEAP_SEGMENT", "LastValidEntry", 0x48, 0x28},
		{&l.uncommittedPages, "_HEAP_SEGMENT", "NumberOfUnCommittedPages", 0x50, 0x2c},
		{&l.uncommittedRanges, "_HEAP_SEGMENT", "NumberOfUnCommittedRanges", 0x54, 0x30},
		{&l.ucrSegmentList, "_HEAP_SEGMENT", "UCRSegmentList", 0x60, 0x38},

		{&l.ucrSegmentEntry, "_HEAP_UCR_DESCRIPTOR", "SegmentEntry", 0x10, 0x08},
		{&l.ucrAddress, "_HEAP_UCR_DESCRIPTOR", "Address", 0x20, 0x10},
		{&l.ucrSize, "_HEAP_UCR_DESCRIPTOR", "Size", 0x28, 0x14},

		{&l.commitSize, "_HEAP_VIRTUAL_ALLOC_ENTRY", "CommitSize", 0x20, 0x10},
		{&l.reserveSize, "_HEAP_VIRTUAL_ALLOC_ENTRY", "ReserveSize", 0x28, 0x14},
		{&l.busyBlock, "_HEAP_VIRTUAL_ALLOC_ENTRY", "BusyBlock", 0x30, 0x18},
		{&l.virtualHeader, "_HEAP_VIRTUAL_ALLOC_ENTRY", "", 0x40, 0x20},

		{&l.userBlocks, "_HEAP_SUBSEGMENT", "UserBlocks", 0x08, 0x04},
		{&l.blockSize, "_HEAP_SUBSEGMENT", "BlockSize", 0x24, 0x14},
		{&l.blockCount, "_HEAP_SUBSEGMENT", "BlockCount", 0x28, 0x18},

		{&l.subSegment, "_HEAP_USERDATA_HEADER", "SubSegment", 0x00, 0x00},
		{&l.userSignature, "_HEAP_USERDATA_HEADER", "Signature", 0x14, 0x0c},
		{&l.encodedOffsets, "_HEAP_USERDATA_HEADER", "EncodedOffsets", 0x18, 0x10},
		{&l.busySize, "_HEAP_USERDATA_HEADER", "BusyBitmap.SizeOfBitMap", 0x20, 0x14},
		{&l.busyBuffer, "_HEAP_USERDATA_HEADER", "BusyBitmap.Buffer", 0x28, 0x18},
		{&l.bitmapData, "_HEAP_USERDATA_HEADER", "BitmapData", 0x30, 0x1c},
	}
}

// layout returns the process's layout of a width, made on first use.
func (p *Process) layout(ctx context.Context, narrow bool) *layout {
	i := 0
	if narrow {
		i = 1
	}
	p.once[i].Do(func() { p.layouts[i] = newLayout(p.sources(ctx, narrow), narrow) })
	return p.layouts[i]
}

// A lookup finds a type by name.
type lookup func(name string) (*types.Type, bool)

// sources returns where types come from, the best first.
func (p *Process) sources(ctx context.Context, narrow bool) []lookup {
	var from []lookup
	if m := p.ntdll(ctx, narrow); m != nil {
		from = append(from, m.Symbols(ctx).Type)
	}
	if !narrow {
		from = append(from, func(name string) (*types.Type, bool) {
			t, err := p.proc.System().Type(name)
			return t, err == nil
		})
	}
	return from
}

func newLayout(from []lookup, narrow bool) *layout {
	l := &layout{ptr: 8, unit: 16, header: 16, codeOff: 8}
	if narrow {
		l.ptr, l.unit, l.header, l.codeOff = 4, 8, 8, 0
	}
	for _, m := range l.members() {
		*m.at = m.x64
		if narrow {
			*m.at = m.x86
		}
		for _, find := range from {
			if v, ok := resolve(find, m); ok {
				*m.at = v
				break
			}
		}
	}
	return l
}

// maxStruct bounds an offset that symbols give: the largest heap structure is
// below two pages.
const maxStruct = 0x4000

func resolve(find lookup, m member) (uint64, bool) {
	t, ok := find(m.typ)
	if !ok || t == nil || t.Forward || t.Size == 0 {
		return 0, false
	}
	if m.path == "" {
		return t.Size, t.Size < maxStruct
	}
	o := types.NewObject(nil, t, 0).Field(m.path)
	return o.Addr(), o.Err() == nil && o.Addr() < maxStruct
}
