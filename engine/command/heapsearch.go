package command

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"

	"kdap/engine/memory"
	"kdap/engine/windows/heap"
)

// leaks prints the busy blocks that nothing points to.
func (h *heapCall) leaks(ctx context.Context) error {
	h.s.printf("Searching the memory for potential unreachable busy blocks.\n")
	for p, err := range h.owner.Heaps(ctx) {
		if err == nil {
			h.s.printf("Heap %s\n", heapAddr(p, p.Address))
		}
	}
	h.s.printf("Scanning VM ...\n")
	l, err := h.owner.Unreachable(ctx)
	if err != nil {
		return err
	}
	for _, err := range l.Errs {
		h.s.notef("%v", err)
	}
	h.s.printf("Scanning references from %d busy blocks (%d MBytes) ...\n", l.Busy, l.Bytes>>20)
	for i, b := range l.Blocks {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if i == 0 {
			h.blockHead(*b.Heap)
		}
		h.blockRow(*b.Heap, b.Block)
	}
	h.s.printf("%d potential unreachable blocks were detected.\n", len(l.Blocks))
	return nil
}

// pointers prints the words that point into a block.
func (h *heapCall) pointers(ctx context.Context, b heap.Block) error {
	first, last := b.Entry.Address, b.Entry.End()-1
	h.s.printf("\nSearch VM for address range %016x - %016x : ", first, last)
	err := h.owner.Words(ctx, func(at, value uint64) bool {
		if value >= first && value <= last {
			h.s.printf("%016x (%016x), ", at, value)
		}
		return true
	})
	h.s.printf("\n")
	return err
}

// searchPattern prints the busy blocks that hold a value.
func (h *heapCall) searchPattern(ctx context.Context) error {
	size := 8
	if option := h.c.Peek(); strings.HasPrefix(option, "-") {
		n, ok := map[string]int{"-b": 1, "-w": 2, "-d": 4, "-q": 8}[option]
		if !ok {
			return Failf("Invalid option %s", option)
		}
		h.c.Word()
		size = n
	}
	v, err := h.s.extensionNumber(h.c)
	if err != nil {
		return err
	}
	pattern := binary.LittleEndian.AppendUint64(nil, v)[:size]
	return h.eachHeap(ctx, func(p heap.Heap) error {
		h.s.printf("    _HEAP @ %x\n", p.Address)
		return h.rows(ctx, p, func(b heap.Block) bool { return b.Busy && holds(ctx, p.Space(), b, pattern) })
	})
}

// holds reports whether a block has a value at a place that its size divides.
func holds(ctx context.Context, space memory.Space, b heap.Block, pattern []byte) bool {
	if b.Size < uint64(len(pattern)) {
		return false
	}
	found := false
	q := memory.Query{First: b.Address, Last: b.Address + b.Size - 1, Pattern: bytes.Clone(pattern), Step: uint64(len(pattern))}
	_ = memory.Search(ctx, space, q, func(uint64) bool {
		found = true
		return false
	})
	return found
}
