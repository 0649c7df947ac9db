package command

import (
	"context"
	"fmt"

	"kdap/engine/windows/heap"
)

// Flags of a heap that the list of heaps tells in words.
var heapChecks = []struct {
	bit  uint64
	name string
}{
	{0x20, "tail checking"},
	{0x40, "free checking"},
	{0x40000000, "validate parameters"},
	{0x20000000, "validate all"},
}

// show prints heaps: their segments, and what of them is wanted.
func (h *heapCall) show(ctx context.Context, w heapShow) error {
	heaps, all, err := h.heaps(ctx)
	if err != nil {
		return err
	}
	if all && w == (heapShow{entries: true}) {
		w = heapShow{} // -h 0: only the index
	}
	// Public symbols lack the name, and then the extension says so.
	if _, ok := h.owner.Symbol(ctx, "RtlpHeapInvalidBadAddress", false); !ok {
		h.s.printf("HEAPEXT: Unable to get address of ntdll!RtlpHeapInvalidBadAddress.\n")
	}
	h.s.printf("Index   Address  Name      Debugging options enabled\n")
	for p := range heaps {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if p.Kind == heap.Segment {
			h.s.printf("%3d:   %08x \n", p.Index, p.Address)
			if w.any() {
				if err := h.showSegmentHeap(ctx, p); err != nil {
					return err
				}
			}
			continue
		}
		if err := h.showHeap(ctx, p, w); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// showSegmentHeap prints the blocks of a segment heap; the layout is ours.
func (h *heapCall) showSegmentHeap(ctx context.Context, p heap.Heap) error {
	titles := map[string]string{heap.Backend: "Page ranges", heap.VS: "VS", heap.LFH: "LFH", heap.Large: "Large Allocations"}
	h.s.printf("    Segment Heap\n")
	last := heap.Block{Kind: "none"}
	for b, err := range p.Blocks(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			h.s.notef("%v", err)
		}
		if b.Address == 0 {
			continue
		}
		sub := b.Subsegment
		if b.Kind == heap.Large {
			sub = 0 // every large block has a node of its own
		}
		if b.Kind != last.Kind || sub != last.Subsegment {
			h.s.printf("\n    %s", titles[b.Kind])
			if sub != 0 {
				h.s.printf(" subsegment at %s", heapAddr(p, sub))
			}
			h.s.printf("\n")
		}
		last = b
		last.Subsegment = sub
		state := "free"
		if b.Busy {
			state = fmt.Sprintf("busy (%x)", b.Size)
		}
		h.s.printf("        %s: %05x - %s\n", heapAddr(p, b.Entry.Address), b.Total, state)
	}
	return ctx.Err()
}

func (h *heapCall) showHeap(ctx context.Context, p heap.Heap, w heapShow) error {
	n, err := p.Numbers()
	if err != nil {
		h.s.notef("%v", err)
	}
	h.s.printf("%3d:   %08x ", p.Index, p.Address)
	for _, c := range heapChecks {
		if (n.Flags|n.ForceFlags)&c.bit != 0 {
			h.s.printf("%s ", c.name)
		}
	}
	h.s.printf("\n")
	for s, err := range p.Segments(ctx) {
		if err != nil {
			h.s.notef("%v", err)
			continue
		}
		h.s.printf("    Segment at %s to %s (%08x bytes committed)\n", heapAddr(p, s.Base), heapAddr(p, s.End), s.Committed())
	}
	if !w.any() {
		return ctx.Err()
	}
	h.showNumbers(ctx, p, n)
	h.showFree(ctx, p, n, w.free)
	for s, err := range p.Segments(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			h.s.notef("%v", err)
			continue
		}
		if w.segments {
			h.showSegment(s)
		}
		if w.entries {
			if err := h.showEntries(ctx, p, s, w.front); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (h *heapCall) showNumbers(ctx context.Context, p heap.Heap, n heap.Numbers) {
	row := func(label, form string, args ...any) {
		h.s.printf("    %-22s%s\n", label, fmt.Sprintf(form, args...))
	}
	row("Flags:", "%08x", n.Flags)
	row("ForceFlags:", "%08x", n.ForceFlags)
	row("Granularity:", "%d bytes", p.Unit())
	row("Segment Reserve:", "%08x", n.SegmentReserve)
	row("Segment Commit:", "%08x", n.SegmentCommit)
	row("DeCommit Block Thres:", "%08x", n.DeCommitFree)
	row("DeCommit Total Thres:", "%08x", n.DeCommitTotal)
	row("Total Free Size:", "%08x", n.TotalFree)
	row("Max. Allocation Size:", "%s", heapAddr(p, n.MaximumAllocation))
	row("Lock Variable at:", "%s", heapAddr(p, n.Lock))
	row("Next TagIndex:", "%04x", n.NextTag)
	row("Maximum TagIndex:", "%04x", n.MaximumTag)
	row("Tag Entries:", "%08x", n.TagEntries)
	row("PsuedoTag Entries:", "%08x", n.PseudoTagEntries)
	row("Virtual Alloc List:", "%08x", n.VirtualBlocks)
	for v, err := range p.Virtual(ctx) {
		if err != nil {
			h.s.notef("%v", err)
		}
		if v.Address != 0 {
			h.s.printf("        %s: %08x [commited %x, unused %x] - busy (%x)\n",
				heapAddr(p, v.Entry.Address), v.Size, v.Total, v.Total-v.Size, v.Size)
		}
	}
	row("Uncommitted ranges:", "%08x", n.UCRList)
	for r, err := range p.AllUncommitted(ctx) {
		if err != nil {
			h.s.notef("%v", err)
			break
		}
		h.s.printf("            %08x: %08x  (%d bytes)\n", r.Address, r.Size, r.Size)
	}
}

// showFree prints the free list: its blocks, or only how many there are.
func (h *heapCall) showFree(ctx context.Context, p heap.Heap, n heap.Numbers, blocks bool) {
	first, last, err := p.Ends()
	if err != nil {
		h.s.notef("%v", err)
		return
	}
	h.s.printf("    FreeList[ 00 ] at %s: %s . %s", heapAddr(p, n.FreeLists), heapAddr(p, last), heapAddr(p, first))
	if !blocks {
		count, err := p.FreeList(ctx)
		if err != nil {
			h.s.notef("%v", err)
		}
		plural := "s"
		if count == 1 {
			plural = " "
		}
		h.s.printf("   (%d block%s)\n", count, plural)
		return
	}
	h.s.printf("\n")
	for e, err := range p.FreeEntries(ctx) {
		if err != nil {
			h.s.notef("%v", err)
		}
		if e.Size != 0 {
			h.s.printf("        %s: %05x . %05x [%03x] - free\n", heapAddr(p, e.Address), e.PreviousSize, e.Size, heapFlags(e))
		}
	}
}

func (h *heapCall) showSegment(s heap.SegmentInfo) {
	h.s.printf("\n    Segment%02d at %08x:\n", s.Index, uint32(s.Address))
	row := func(label, form string, v uint64) { h.s.printf("        %-17s"+form+"\n", label, v) }
	row("Flags:", "%08x", uint64(s.Flags))
	row("Base:", "%08x", s.Base)
	row("First Entry:", "%08x", uint64(uint32(s.First)))
	row("Last Entry:", "%08x", s.End)
	row("Total Pages:", "%08x", s.Pages)
	row("Total UnCommit:", "%08x", s.UncommittedPages)
	row("Largest UnCommit:", "%08x", 0) // the header has no such number any more
	h.s.printf("        UnCommitted Ranges: (%d)\n", s.UncommittedRanges)
}

// heapFlags are a block's flags as listings print them: 0x100 is the
// listing's own, and what the heap has for itself is told in words.
func heapFlags(e heap.Entry) uint16 {
	flags := uint16(e.Flags)
	if e.State == heap.Internal {
		flags &^= heap.FlagVirtual
	}
	return flags | 0x100
}

func (h *heapCall) showEntries(ctx context.Context, p heap.Heap, s heap.SegmentInfo, front bool) error {
	h.s.printf("\n    Heap entries for Segment%02d in Heap %s\n", s.Index, heapAddr(p, p.Address))
	h.s.printf("        %*s: psize . size  flags   state (requested size)\n", len(heapAddr(p, 0)), "address")
	for e, err := range p.Entries(ctx, s) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			h.s.notef("%v", err)
		}
		switch e.State {
		case 0, heap.Broken:
			continue
		case heap.Uncommitted:
			h.s.printf("        %s:      %08x      - uncommitted bytes.\n", heapAddr(p, e.Address), e.Size)
			continue
		}
		h.s.printf("        %s: %05x . %05x [%03x]%s\n", heapAddr(p, e.Address), e.PreviousSize, e.Size, heapFlags(e), entryState(e))
		if front && e.State == heap.Internal {
			if err := h.showFront(ctx, p, s, e); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func entryState(e heap.Entry) string {
	if e.Flags&heap.FlagBusy == 0 {
		if e.Flags&heap.FlagFill != 0 {
			return " free fill"
		}
		return ""
	}
	text := fmt.Sprintf(" - busy (%x)", e.Requested())
	if e.State == heap.Internal {
		return text + " Internal "
	}
	if e.Flags&heap.FlagFill != 0 {
		text += ", tail fill"
	}
	return text
}

// showFront prints the blocks that the front end has in an internal block.
func (h *heapCall) showFront(ctx context.Context, p heap.Heap, s heap.SegmentInfo, in heap.Entry) error {
	first := true
	for b, err := range p.FrontBlocks(ctx, s, in) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			h.s.notef("%v", err)
		}
		if b.Address == 0 {
			continue
		}
		if first {
			h.s.printf("\n        LFH data region at %s (subsegment %s):\n", heapAddr(p, in.Address+p.UserOffset()), heapAddr(p, b.Subsegment))
			first = false
		}
		state := "free"
		if b.Busy {
			state = fmt.Sprintf("busy (%x)", b.Size)
		}
		h.s.printf("            %s: %05x - %s\n", heapAddr(p, b.Entry.Address), b.Total, state)
	}
	if !first {
		h.s.printf("\n")
	}
	return ctx.Err()
}
