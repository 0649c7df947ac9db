package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kdap/engine/windows"
	"kdap/engine/windows/heap"
)

func heapCommands() []*Command {
	return []*Command{{
		Names: []string{"!heap"},
		Args:  "[-a|-h|-hl|-f|-m|-s|-stat|-flt|-srch|-x|-p|-i|-l|-triage] [Heap]",
		Short: "show the heaps of the current process and their blocks",
		Run:   runHeap,
	}}
}

// A heapCall is one use of !heap.
type heapCall struct {
	s     *Session
	c     *Call
	owner *heap.Process
}

func runHeap(ctx context.Context, s *Session, c *Call) error {
	owner, err := s.heapOwner()
	if err != nil {
		return err
	}
	h := &heapCall{s: s, c: c, owner: owner}
	if c.Args.Done() {
		return h.list(ctx)
	}
	option, ok := c.Option()
	if !ok {
		return h.show(ctx, heapShow{})
	}
	switch option {
	case "s":
		return h.summary(ctx)
	case "stat":
		return h.stat(ctx)
	case "flt":
		return h.filter(ctx)
	case "x":
		return h.explain(ctx)
	case "p":
		return h.pageHeap(ctx)
	case "i":
		return h.detail(ctx)
	case "l":
		return h.leaks(ctx)
	case "srch":
		return h.searchPattern(ctx)
	case "triage", "v":
		return h.triage(ctx)
	case "b", "B", "d", "D", "e", "E":
		return &refusal{sentence(refuseRun, c.Name+" -"+option)}
	}
	what, ok := parseHeapShow(option)
	for ok && !c.Args.Done() {
		if option, ok = c.Option(); !ok {
			return h.show(ctx, what)
		}
		var more heapShow
		more, ok = parseHeapShow(option)
		what = what.join(more)
	}
	if !ok {
		return Failf("Invalid option -%s", option)
	}
	return h.show(ctx, what)
}

// heapOwner is the process context as the owner of heaps.
func (s *Session) heapOwner() (*heap.Process, error) {
	p, err := s.debuggee.process(s)
	if err != nil {
		return nil, err
	}
	addr, err := s.debuggee.peb(s)
	if err == nil && addr == 0 {
		err = windows.ErrNoPEB
	}
	if err != nil {
		return nil, s.failure(err, "Unable to read PEB")
	}
	peb, err := p.EnvironmentAt(addr)
	if err != nil {
		return nil, s.failure(err, "Unable to read PEB")
	}
	return heap.OfBlock(p, peb), nil
}

// list prints the heaps and their kinds.
func (h *heapCall) list(ctx context.Context) error {
	h.s.printf("        Heap Address      NT/Segment Heap\n\n")
	for p, err := range h.owner.Heaps(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			h.s.notef("%v", err)
		}
		if p.Address == 0 {
			continue
		}
		kind := "Unknown"
		switch p.Kind {
		case heap.NT, heap.NT32:
			kind = "NT Heap"
		case heap.Segment:
			kind = "Segment Heap"
		}
		h.s.printf("%20x %20s\n", p.Address, kind)
	}
	return nil
}

// heaps are the heaps that the rest of the arguments names: all for none and
// for 0, else one by its number or its address.
func (h *heapCall) heaps(ctx context.Context) (func(func(heap.Heap) bool), bool, error) {
	var which uint64
	given := !h.c.Args.Done()
	if given {
		v, err := h.s.extensionNumber(h.c)
		if err != nil {
			return nil, false, err
		}
		which = v
	}
	if which == 0 {
		return func(yield func(heap.Heap) bool) {
			for p, err := range h.owner.Heaps(ctx) {
				if err != nil {
					h.s.notef("%v", err)
				}
				if p.Address != 0 && p.Kind != "" && !yield(p) {
					return
				}
			}
		}, given, nil
	}
	one, err := h.heap(ctx, which)
	if err != nil {
		return nil, false, err
	}
	return func(yield func(heap.Heap) bool) { yield(one) }, false, nil
}

// heap returns a heap by its number or its address.
func (h *heapCall) heap(ctx context.Context, which uint64) (heap.Heap, error) {
	for p, err := range h.owner.Heaps(ctx) {
		if uint64(p.Index) == which || p.Address == which && which != 0 {
			if err != nil {
				h.s.notef("%v", err)
				return p, Failf("Unable to read ntdll!_HEAP at %016x", p.Address)
			}
			return p, nil
		}
	}
	p, err := h.owner.At(ctx, which)
	switch {
	case ctx.Err() != nil:
		return p, ctx.Err()
	case errors.Is(err, heap.ErrNoHeap):
		h.s.notef("%v", err)
		return p, Failf("Invalid heap specified")
	case err != nil:
		h.s.notef("%v", err)
		return p, Failf("Invalid heap specified")
	}
	return p, nil
}

// heapAddr spells an address with all digits of the heap's pointers.
func heapAddr(p heap.Heap, v uint64) string {
	if p.Narrow() {
		return fmt.Sprintf("%08x", v)
	}
	return fmt.Sprintf("%016x", v)
}

// heapShow is what of a heap the listing forms show.
type heapShow struct{ entries, front, free, segments bool }

func (w heapShow) join(o heapShow) heapShow {
	return heapShow{w.entries || o.entries, w.front || o.front, w.free || o.free, w.segments || o.segments}
}

func (w heapShow) any() bool { return w != heapShow{} }

func parseHeapShow(option string) (heapShow, bool) {
	var w heapShow
	for _, letter := range strings.Split(option, "") {
		switch letter {
		case "a":
			w = w.join(heapShow{entries: true, free: true, segments: true})
		case "h":
			w.entries = true
		case "l":
			w.front = true
		case "f":
			w.free = true
		case "m":
			w.segments = true
		case "t", "T", "g": // tags: heaps of released systems have none
		default:
			return w, false
		}
	}
	// The front end's blocks are a part of the entries.
	return w, !w.front || w.entries
}
