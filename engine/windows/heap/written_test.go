package heap_test

import (
	"bytes"
	"context"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/engine/windows/heap"
)

// TestWrittenHeap compares every block with what the dump writer gave out: back
// end, front end and virtual blocks, later segments, gaps and freed blocks.
func TestWrittenHeap(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{})
	p := m.AddProcess(dumptest.ProcessOptions{PPID: 4, Name: "heaps.exe", Image: "svchost.exe"})
	h := p.NewHeap(dumptest.HeapOptions{})
	busy, freed := map[uint64]uint64{}, map[uint64]bool{}
	take := func(size uint64) uint64 {
		user := h.Alloc(size)
		busy[user] = size
		p.Space.Write(user, bytes.Repeat([]byte{0xa5}, int(min(size, 0x100))))
		return user
	}
	for i := range uint64(300) {
		user := take(i * 7 % 0x900)
		switch {
		case i%11 == 3:
			h.Free(user)
			delete(busy, user)
			freed[user] = true
		case i == 100, i == 200:
			h.Uncommit(i / 20)
		case i == 150:
			h.Grow(0, 0x40000, 0x20000)
		}
	}
	take(0xff000)
	take(0x123456)
	for i, user := range h.AllocFront(0x58, 70, 33) {
		busy[user] = 0x58
		p.Space.U64(user, uint64(i))
	}
	h.Grow(0, 0x100000, 0)
	take(0x30)

	path, symbols := dumptest.WriteFile(t, m.Finish())
	target, err := engine.Open(t.Context(), path, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	owner, err := heap.Of(target.System.Process(p.EPROCESS()))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for found, err := range owner.Heaps(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; found.Address == h.VA() {
			compareBlocks(t, found, busy, freed)
		}
	}
	if n != 2 {
		t.Errorf("%d heaps", n)
	}
}

func compareBlocks(t *testing.T, h heap.Heap, busy map[uint64]uint64, freed map[uint64]bool) {
	t.Helper()
	for b, err := range h.Blocks(context.Background()) {
		if err != nil {
			t.Error(err)
			continue
		}
		size, ok := busy[b.Address]
		delete(busy, b.Address)
		switch {
		case b.Busy && (!ok || size != b.Size):
			t.Errorf("block %#x of %#x bytes: given out %v, of %#x", b.Address, b.Size, ok, size)
		case !b.Busy && ok:
			t.Errorf("block %#x is not busy", b.Address)
		}
		delete(freed, b.Address)
	}
	if len(busy) > 0 {
		t.Errorf("%d blocks were not found", len(busy))
	}
	var free, units uint64
	for e, err := range h.FreeEntries(context.Background()) {
		if err != nil {
			t.Error(err)
		}
		free++
		units += e.Size / 16
	}
	n, err := h.Numbers()
	if err != nil || n.TotalFree != units || n.Segments != 4 || !n.FrontEnd {
		t.Errorf("%+v, %d free blocks of %#x units: %v", n, free, units, err)
	}
	gaps := 0
	for _, err := range h.AllUncommitted(context.Background()) {
		if err != nil {
			t.Error(err)
		}
		gaps++
	}
	if uint64(gaps) != n.UCRs || gaps != 6 {
		t.Errorf("%d uncommitted ranges, %d counted", gaps, n.UCRs)
	}
}

// BenchmarkUnreachable looks for leaks in a heap of 60,000 blocks, of which a
// list reaches half.
func BenchmarkUnreachable(b *testing.B) {
	m := dumptest.SmallWith(dumptest.Options{Runs: []dumptest.Run{{Base: 1, Count: 0x9e}, {Base: 0x100, Count: 0x8000}}})
	p := m.AddProcess(dumptest.ProcessOptions{PPID: 4, Name: "heaps.exe", Image: "svchost.exe"})
	h := p.NewHeap(dumptest.HeapOptions{})
	head := p.Reserve(0x1000)
	for i := range 60_000 {
		if user := h.Alloc(uint64(16 + i%50*8)); i%2 == 0 {
			p.Space.U64(head, user)
			head = user
		}
	}
	path, symbols := dumptest.WriteFile(b, m.Finish())
	target, err := engine.Open(b.Context(), path, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer target.Close()
	owner, err := heap.Of(target.System.Process(p.EPROCESS()))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l, err := owner.Unreachable(b.Context())
		if err != nil || len(l.Blocks) < 30_000 || len(l.Blocks) > 31_000 {
			b.Fatalf("%d of %d blocks, %v", len(l.Blocks), l.Busy, err)
		}
	}
}
