package memory

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
)

// naive finds the pattern byte by byte.
func naive(s Space, q Query) []uint64 {
	var out []uint64
	b := make([]byte, len(q.Pattern))
	for va := q.First; ; va++ {
		if q.Last-va < uint64(len(q.Pattern)-1) {
			return out
		}
		if n, _ := s.Read(va, b); n == len(b) && string(b) == string(q.Pattern) && (va-q.First)%max(q.Step, 1) == 0 {
			out = append(out, va)
		}
		if va == q.Last {
			return out
		}
	}
}

func TestSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	block := func(va uint64, n int) Block {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.UintN(3))
		}
		return Block{va, b}
	}
	const edge = searchWindow
	space := NewBlocks([]Block{
		block(edge-200, 400), block(edge+300, 77), block(edge+377, 23), block(2*edge-5, 9), block(5*edge, 100),
		{^uint64(0) - 7, []byte("\x01\x02\x01\x02\x01\x02\x01\x02")},
	})
	for range 300 {
		q := Query{First: edge - 300 + r.Uint64N(400), Step: []uint64{0, 1, 2, 4, 8}[r.IntN(5)]}
		q.Last = q.First + r.Uint64N(700)
		for range 1 + r.IntN(4) {
			q.Pattern = append(q.Pattern, byte(r.UintN(3)))
		}
		var got []uint64
		if err := Search(t.Context(), space, q, func(va uint64) bool { got = append(got, va); return true }); err != nil {
			t.Fatal(err)
		}
		if want := naive(space, q); !slices.Equal(got, want) {
			t.Fatalf("%+v: %x, want %x", q, got, want)
		}
	}
	// Over everything: holes cost nothing, the last byte counts.
	n := 0
	err := Search(t.Context(), space, Query{First: ^uint64(0) - 1<<40, Last: ^uint64(0), Pattern: []byte{1, 2}}, func(uint64) bool { n++; return true })
	if err != nil || n != 4 {
		t.Errorf("%d hits at the end, %v", n, err)
	}
	n = 0
	Search(t.Context(), space, Query{First: edge, Last: edge + 100, Pattern: []byte{1}}, func(uint64) bool { n++; return n < 3 })
	if n != 3 {
		t.Errorf("the search went on: %d", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Search(ctx, space, Query{Last: 1 << 62, Pattern: []byte{1}}, func(uint64) bool { return true }); err == nil {
		t.Error("a cancelled search does not say so")
	}
}

func BenchmarkSearch(b *testing.B) {
	data := make([]byte, 64<<20)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	space := NewBlocks([]Block{{0x10000, data}})
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		Search(b.Context(), space, Query{First: 0, Last: 0x10000 + uint64(len(data)), Pattern: []byte("needle")}, func(uint64) bool { return true })
	}
}

// BenchmarkSearchBlock is a search of what a heap's block has.
func BenchmarkSearchBlock(b *testing.B) {
	space := NewBlocks([]Block{{0x10000, make([]byte, 512)}})
	for b.Loop() {
		Search(b.Context(), space, Query{First: 0x10000, Last: 0x101ff, Pattern: []byte("needle")}, func(uint64) bool { return true })
	}
}
