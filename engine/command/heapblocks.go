package command

import (
	"context"
	"fmt"
	"math"
	"strings"

	"kdap/engine/windows/heap"
)

// A blockTable prints blocks as "-flt" and "-p" do.
type blockTable struct {
	s       *Session
	heap    heap.Heap
	started bool
	prev    uint64 // size of the row before
}

func (t *blockTable) row(b heap.Block) {
	digits := len(heapAddr(t.heap, 0))
	if !t.started {
		t.started = true
		if t.heap.Narrow() {
			t.s.printf("      HEAP_ENTRY Size Prev Flags    UserPtr UserSize - state\n")
		} else {
			t.s.printf("              HEAP_ENTRY Size Prev Flags            UserPtr UserSize - state\n")
		}
	}
	state := "free"
	if b.Busy {
		state = "busy"
	}
	entry := b.Entry.Address
	if b.Kind == heap.Large {
		state += " VirtualAlloc"
		entry = b.Address - t.heap.UserOffset() // its header stands right before the block
	}
	size := b.Total / t.heap.Unit()
	user := b.Size
	if !b.Busy {
		user = b.Total - min(b.Total, t.heap.UserOffset())
	}
	t.s.printf("        %0*x %04x %04x  [00]   %0*x    %05x - (%s)\n", digits, entry, size, t.prev&0xffff, digits, b.Address, user, state)
	t.prev = size
}

// filter prints the busy blocks of a size or of a range of sizes.
func (h *heapCall) filter(ctx context.Context) error {
	low, high := uint64(0), uint64(math.MaxUint64)
	switch word := strings.ToLower(h.c.Word()); word {
	case "s":
		v, err := h.s.extensionNumber(h.c)
		if err != nil {
			return err
		}
		low, high = v, v
	case "r":
		for _, n := range []*uint64{&low, &high} {
			v, err := h.s.extensionNumber(h.c)
			if err != nil {
				return err
			}
			*n = v
		}
	default:
		return Failf("Invalid filter %s", word)
	}
	return h.eachHeap(ctx, func(p heap.Heap) error {
		h.s.printf("    _HEAP @ %x\n", p.Address)
		return h.rows(ctx, p, func(b heap.Block) bool { return b.Busy && low <= b.Size && b.Size <= high })
	})
}

func (h *heapCall) eachHeap(ctx context.Context, do func(heap.Heap) error) error {
	for p, err := range h.owner.Heaps(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			h.s.notef("%v", err)
			continue
		}
		if err := do(p); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (h *heapCall) rows(ctx context.Context, p heap.Heap, keep func(heap.Block) bool) error {
	t := blockTable{s: h.s, heap: p}
	for b, err := range p.Blocks(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			h.s.notef("%v", err)
		}
		if b.Address != 0 && keep(b) {
			t.row(b)
		}
	}
	return ctx.Err()
}

// explain prints the block that an address lies in.
func (h *heapCall) explain(ctx context.Context) error {
	verbose := false
	option := func() {
		if h.c.Peek() == "-v" {
			h.c.Word()
			verbose = true
		}
	}
	option()
	va, err := h.s.extensionNumber(h.c)
	if err != nil {
		return err
	}
	option()
	p, b, ok, err := h.find(ctx, va)
	if err != nil {
		return err
	}
	if ok {
		h.showBlock(p, b)
	}
	if ok && verbose {
		return h.pointers(ctx, b)
	}
	h.s.printf("\n")
	return nil
}

// find looks for an address in all heaps.
func (h *heapCall) find(ctx context.Context, va uint64) (p heap.Heap, b heap.Block, found bool, err error) {
	for p, err := range h.owner.Heaps(ctx) {
		if ctx.Err() != nil {
			return p, b, false, ctx.Err()
		}
		if err != nil {
			h.s.notef("%v", err)
			continue
		}
		b, ok, err := p.Find(ctx, va)
		if err != nil {
			h.s.notef("%v", err)
		}
		if ok {
			return p, b, true, nil
		}
	}
	return p, b, false, ctx.Err()
}

func (h *heapCall) showBlock(p heap.Heap, b heap.Block) {
	h.blockHead(p)
	h.blockRow(p, b)
}

func (h *heapCall) blockHead(p heap.Heap) {
	if p.Narrow() {
		h.s.printf("Entry     User      Heap      Segment       Size  PrevSize  Unused    Flags\n%s\n", strings.Repeat("-", 77))
	} else {
		h.s.printf("Entry             User              Heap              Segment               Size  PrevSize  Unused    Flags\n%s\n", strings.Repeat("-", 109))
	}
}

func (h *heapCall) blockRow(p heap.Heap, b heap.Block) {
	segment, previous, flags := b.Segment, fmt.Sprintf("%10x", b.Entry.PreviousSize), blockFlags(b)
	if b.Kind == heap.LFH {
		segment, previous, flags = b.Subsegment, fmt.Sprintf("%7s   ", "-"), "LFH;"+flags
	}
	h.s.printf("%s  %s  %s  %s%10x%s%10x  %s\n", heapAddr(p, b.Entry.Address), heapAddr(p, b.Address), heapAddr(p, p.Address),
		heapAddr(p, segment), b.Total, previous, b.Entry.Unused, flags)
}

func blockFlags(b heap.Block) string {
	words := "free "
	if b.Entry.Flags&heap.FlagBusy != 0 {
		words = "busy "
	}
	if b.Entry.Flags&heap.FlagExtra != 0 {
		words += "extra "
	}
	if b.Entry.Flags&heap.FlagFill != 0 {
		words += "fill "
	}
	switch {
	case b.Kind == heap.Large:
		words += "virtual "
	case b.Entry.State == heap.Internal:
		words += "internal "
	}
	return words
}

// pageHeap prints blocks in the form of the page heap's commands.
func (h *heapCall) pageHeap(ctx context.Context) error {
	option, ok := h.c.Option()
	switch {
	case !ok && h.c.Args.Done():
		return h.activeHeaps(ctx)
	case option == "all":
		return h.eachHeap(ctx, func(p heap.Heap) error { return h.allRows(ctx, p) })
	case option != "a" && option != "h":
		return Failf("Invalid option -%s", option)
	}
	v, err := h.s.extensionNumber(h.c)
	if err != nil {
		return err
	}
	if option == "h" {
		p, err := h.heap(ctx, v)
		if err != nil {
			return err
		}
		return h.allRows(ctx, p)
	}
	p, b, ok, err := h.find(ctx, v)
	if err != nil || !ok {
		return err
	}
	h.s.printf("    address %s found in\n    _HEAP @ %x\n", heapAddr(p, v), p.Address)
	b.Busy = b.Busy || b.Entry.Flags&heap.FlagBusy != 0
	t := blockTable{s: h.s, heap: p}
	t.row(b)
	h.s.printf("\n")
	return nil
}

func (h *heapCall) allRows(ctx context.Context, p heap.Heap) error {
	h.s.printf("    _HEAP @ %x\n", p.Address)
	return h.rows(ctx, p, func(heap.Block) bool { return true })
}

// heapFlagNames are the flags of a heap that the list of active heaps names.
var heapFlagNames = []struct {
	bit  uint64
	name string
}{
	{0x1, "HEAP_NO_SERIALIZE"},
	{0x2, "HEAP_GROWABLE"},
	{0x4, "HEAP_GENERATE_EXCEPTIONS"},
	{0x10, "HEAP_REALLOC_IN_PLACE_ONLY"},
	{0x20, "HEAP_TAIL_CHECKING_ENABLED"},
	{0x40, "HEAP_FREE_CHECKING_ENABLED"},
	{0x80, "HEAP_DISABLE_COALESCE_ON_FREE"},
}

// activeHeaps prints the heaps with the names of their flags.
func (h *heapCall) activeHeaps(ctx context.Context) error {
	h.s.printf("    active heaps:\n\n")
	return h.eachHeap(ctx, func(p heap.Heap) error {
		h.s.printf("  - %x\n", p.Address)
		if p.Kind == heap.Segment {
			return nil
		}
		n, err := p.Numbers()
		if err != nil {
			h.s.notef("%v", err)
			return nil
		}
		names := ""
		for _, f := range heapFlagNames {
			if n.Flags&f.bit != 0 {
				names += f.name + " "
			}
		}
		h.s.printf("      %s\n", names)
		return nil
	})
}
