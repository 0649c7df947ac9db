package command

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"

	"kdap/engine/memory"
	"kdap/engine/windows/heap"
)

// detail sets the heap that entries are of ("-i HEAP"), or tells all about one
// entry ("-i ENTRY [-h HEAP]").
func (h *heapCall) detail(ctx context.Context) error {
	va, err := h.s.extensionNumber(h.c)
	if err != nil {
		return err
	}
	for p, err := range h.owner.Heaps(ctx) {
		if err == nil && (p.Address == va || uint64(p.Index) == va) {
			h.s.heapContext = p.Address
			h.s.printf("Heap context set to the heap 0x%s\n", heapAddr(p, p.Address))
			return nil
		}
	}
	which := h.s.heapContext
	if option, ok := h.c.Option(); ok {
		if option != "h" {
			return Failf("Invalid option -%s", option)
		}
		if which, err = h.s.extensionNumber(h.c); err != nil {
			return err
		}
	}
	if which == 0 {
		return Failf("Please select a heap with -i HEAP or -h HEAP first.")
	}
	p, err := h.heap(ctx, which)
	if err != nil {
		return err
	}
	if p.Kind == heap.Segment {
		return Failf("Blocks of segment heaps have no such header.")
	}
	return h.showEntry(ctx, p, va)
}

func (h *heapCall) showEntry(ctx context.Context, p heap.Heap, va uint64) error {
	raw, err := p.Header(va)
	if err != nil {
		h.s.notef("%v", err)
		return Failf("Unable to read the heap entry at 0x%s", heapAddr(p, va))
	}
	words := func(b [8]byte) (uint32, uint32) {
		return binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[4:])
	}
	s := h.s
	s.printf("Detailed information for block entry %s\n", heapAddr(p, va))
	s.printf("Assumed heap       : 0x%s (Use !heap -i NewHeapHandle to change)\n", heapAddr(p, p.Address))
	a, b := words(raw.Stored)
	c, d := words(raw.Decoded)
	s.printf("Header content     : 0x%08X 0x%08X (decoded : 0x%08X 0x%08X)\n", a, b, c, d)
	segment, found := h.segmentOf(ctx, p, va)
	if found {
		s.printf("Owning segment     : 0x%s (offset %x)\n", heapAddr(p, segment), raw.SegmentOffset)
	}
	state := "free "
	if raw.Flags&heap.FlagBusy != 0 {
		state = "busy "
	}
	s.printf("Block flags        : 0x%x (%s)\n", raw.Flags, state)
	s.printf("Total block size   : 0x%x units (0x%x bytes)\n", raw.Size/p.Unit(), raw.Size)
	if raw.Flags&heap.FlagBusy != 0 {
		s.printf("Requested size     : 0x%x bytes (unused 0x%x bytes)\n", raw.Size-min(raw.Size, raw.Unused), raw.Unused)
	}
	s.printf("Previous block size: 0x%x units (0x%x bytes)\n", raw.Previous/p.Unit(), raw.Previous)
	if raw.Sum == raw.Tag {
		s.printf("Block CRC          : OK - 0x%x  \n", raw.Tag)
	} else {
		s.printf("Block CRC          : ERROR - current 0x%x, expected 0x%x  \n", raw.Tag, raw.Sum)
	}
	if raw.Previous != 0 {
		s.printf("Previous block     : 0x%s\n", heapAddr(p, va-raw.Previous))
	}
	s.printf("Next block         : 0x%s\n", heapAddr(p, va+raw.Size))
	return nil
}

// segmentOf finds the segment that an address lies in.
func (h *heapCall) segmentOf(ctx context.Context, p heap.Heap, va uint64) (uint64, bool) {
	for s, err := range p.Segments(ctx) {
		if err == nil && va >= s.Base && va < s.End {
			return s.Address, true
		}
	}
	return 0, false
}

// triage checks heaps and prints what contradicts itself.
func (h *heapCall) triage(ctx context.Context) error {
	heaps, _, err := h.heaps(ctx)
	if err != nil {
		return err
	}
	for p := range heaps {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		bad := 0
		for b, err := range p.Blocks(ctx) {
			if err == nil {
				continue
			}
			bad++
			h.showDamage(p, b, err)
		}
		if ctx.Err() == nil && bad == 0 {
			h.s.printf("Heap %s: no errors found\n", heapAddr(p, p.Address))
		}
	}
	return ctx.Err()
}

const heapStars = "**************************************************************"

// showDamage prints an error in the form of the extension's own report.
func (h *heapCall) showDamage(p heap.Heap, b heap.Block, err error) {
	var d *heap.Damage
	var unreadable *memory.ReadError
	switch {
	case errors.As(err, &d):
		h.s.printf("%s\n*                                                            *\n", heapStars)
		h.s.printf("*                  HEAP ERROR DETECTED                       *\n")
		h.s.printf("*                                                            *\n%s\n\nDetails:\n\n", heapStars)
		h.s.printf("Heap address:  %s\nError address: %s\n", heapAddr(p, p.Address), heapAddr(p, d.Address))
		h.s.printf("Error type:    %s: expected %x, found %x\n", d.Reason, d.Expected, d.Found)
		if d.Before.Size != 0 {
			h.s.printf("Block before:  %s (%s, %x bytes)\n", heapAddr(p, d.Before.Address), d.Before.State, d.Before.Size)
		}
		if d.Resumed != 0 {
			h.s.printf("Goes on at:    %s\n", heapAddr(p, d.Resumed))
		}
		h.s.printf("\n")
	case errors.As(err, &unreadable):
		h.s.printf("Heap %s: %s\n", heapAddr(p, p.Address), strings.TrimPrefix(err.Error(), "heap "))
	default:
		h.s.printf("Heap %s: block %s: %v\n", heapAddr(p, p.Address), heapAddr(p, b.Entry.Address), err)
	}
}
