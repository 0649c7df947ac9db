package list

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/windows"
	"kdap/engine/windows/heap"
)

// A Heap is an entry of the kind "heaps": a heap of a process.
type Heap struct {
	PID         uint64    `json:"pid"`
	Heap        Hex       `json:"heap"`
	Kind        heap.Kind `json:"kind,omitempty"`      // "nt", "nt32" (of a 32-bit program), "segment"
	Flags       *Hex      `json:"flags,omitempty"`     // HEAP_GROWABLE and so on
	Reserved    *uint64   `json:"reserved,omitempty"`  // bytes
	Committed   *uint64   `json:"committed,omitempty"` // bytes
	Free        *uint64   `json:"free,omitempty"`      // bytes
	BusyBlocks  *uint64   `json:"busyBlocks,omitempty"`
	BusyBytes   *uint64   `json:"busyBytes,omitempty"`   // as programs asked for them
	LFHBlocks   *uint64   `json:"lfhBlocks,omitempty"`   // busy ones of the front end
	LargeBlocks *uint64   `json:"largeBlocks,omitempty"` // with memory of their own

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// An Allocation is an entry of the kind "allocations": a block of a heap.
type Allocation struct {
	PID     uint64  `json:"pid"`
	Heap    Hex     `json:"heap"`
	Address Hex     `json:"address"`        // what the program got
	Size    *uint64 `json:"size,omitempty"` // that it asked for; absent in a free block
	Kind    string  `json:"kind"`           // what gave it out: "backend", "lfh", "vs", "large"
	State   string  `json:"state"`          // "busy" or "free"
	Total   uint64  `json:"total"`          // with header and slack
}

// Heaps yields the heaps of the processes that keep accepts. What is damaged in
// a heap comes as an error after its entry, which counts what could be read.
func Heaps(ctx context.Context, sys *windows.System, keep Filter) iter.Seq2[Heap, error] {
	return func(yield func(Heap, error) bool) {
		for h, err := range processHeaps(ctx, sys, keep) {
			if err != nil && h.Address == 0 {
				if !yield(Heap{}, err) {
					return
				}
				continue
			}
			e, errs := newHeap(ctx, h.pid, h.Heap, err)
			if ctx.Err() != nil {
				yield(Heap{}, ctx.Err())
				return
			}
			if !yield(e, nil) {
				return
			}
			for _, err := range errs {
				if !yield(Heap{}, fmt.Errorf("process %d: %w", h.pid, err)) {
					return
				}
			}
		}
	}
}

func newHeap(ctx context.Context, pid uint64, h heap.Heap, err error) (e Heap, errs []error) {
	e = Heap{PID: pid, Heap: Hex(h.Address), Kind: h.Kind}
	u := &e.Unreadable
	switch {
	case err != nil:
		u.add("kind", err)
	case h.Kind == heap.Segment:
		n, err := h.SegmentNumbers(ctx)
		e.Flags = readHex(u, "flags", n.Flags, err)
		e.Reserved = read(u, "reserved", n.Reserved, err)
		e.Committed = read(u, "committed", n.Committed, err)
		e.Free = read(u, "free", n.Free, err)
		errs = e.use(ctx, h)
	default:
		n, err := h.Numbers()
		e.Flags = readHex(u, "flags", n.Flags, err)
		e.Reserved = read(u, "reserved", n.Reserved, err)
		e.Committed = read(u, "committed", n.Committed, err)
		e.Free = read(u, "free", n.TotalFree*h.Unit(), err)
		errs = e.use(ctx, h)
	}
	return e, errs
}

// use counts the busy blocks.
func (e *Heap) use(ctx context.Context, h heap.Heap) []error {
	n, errs := h.Usage(ctx)
	e.BusyBlocks, e.BusyBytes, e.LFHBlocks, e.LargeBlocks = &n.BusyBlocks, &n.BusyBytes, &n.LFHBlocks, &n.LargeBlocks
	return errs
}

// Allocations yields the blocks of the heaps of the processes that keep accepts.
func Allocations(ctx context.Context, sys *windows.System, keep Filter) iter.Seq2[Allocation, error] {
	return func(yield func(Allocation, error) bool) {
		for h, err := range processHeaps(ctx, sys, keep) {
			if err != nil {
				if !yield(Allocation{}, err) {
					return
				}
				continue
			}
			for b, err := range h.Blocks(ctx) {
				if err != nil && !yield(Allocation{}, fmt.Errorf("process %d: %w", h.pid, err)) {
					return
				}
				if b.Address != 0 && !yield(newAllocation(h.pid, h.Heap, b), nil) {
					return
				}
			}
		}
	}
}

func newAllocation(pid uint64, h heap.Heap, b heap.Block) Allocation {
	a := Allocation{PID: pid, Heap: Hex(h.Address), Address: Hex(b.Address), Kind: b.Kind, State: "free", Total: b.Total}
	if b.Busy {
		a.State, a.Size = "busy", &b.Size
	}
	return a
}

type processHeap struct {
	heap.Heap
	pid uint64
}

// processHeaps yields the heaps of processes. An error is about a heap when the
// entry has an address.
func processHeaps(ctx context.Context, sys *windows.System, keep Filter) iter.Seq2[processHeap, error] {
	return ofProcesses(AllProcesses(ctx, sys), keep, func(p windows.Process, yield func(processHeap, error) bool) bool {
		pid, err := p.PID()
		if err != nil {
			return true // the listing of processes reports it
		}
		owner, err := heap.Of(p)
		switch {
		case errors.Is(err, windows.ErrNoPEB):
			return true
		case err != nil:
			return yield(processHeap{}, fmt.Errorf("process %d: %w", pid, err))
		}
		for h, err := range owner.Heaps(ctx) {
			if err != nil {
				err = fmt.Errorf("process %d: %w", pid, err)
			}
			if !yield(processHeap{h, pid}, err) {
				return false
			}
		}
		return true
	})
}
