package spans

import (
	"math/rand/v2"
	"testing"
)

// TestFlatten compares with painting every address, least important span first.
func TestFlatten(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 5000 {
		var in []Span
		base := uint64(0)
		if round%2 == 1 {
			base = ^uint64(0) - 63 // the end of the address space must not wrap
		}
		for id := range r.IntN(9) {
			first := base + r.Uint64N(64)
			in = append(in, Span{first, first + r.Uint64N(64-(first-base)), id})
		}
		r.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
		var want [64]int
		for id := len(in) - 1; id >= 0; id-- {
			for _, s := range in {
				for a := s.First; s.ID == id; a++ {
					want[a-base] = id + 1
					if a == s.Last {
						break
					}
				}
			}
		}
		n := len(in)
		out := Flatten(in)
		if len(out) > 2*n {
			t.Fatalf("%d pieces from %d spans", len(out), n)
		}
		for a := range uint64(64) {
			got := 0
			if i, ok := Find(out, base+a); ok {
				got = out[i].ID + 1
			}
			if got != want[a] {
				t.Fatalf("round %d: address %d belongs to %d, want %d: %v", round, a, got, want[a], out)
			}
		}
	}
}
