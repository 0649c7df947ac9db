package dumptest

import "testing"

// TestPair checks what the two promise: the same sizes, other places.
func TestPair(t *testing.T) {
	one, other := layoutsOf(roomy), layoutsOf(mutated)
	moved, all := 0, 0
	for n, a := range one {
		b := other[n]
		if a.size != b.size {
			t.Errorf("%s has %#x bytes and %#x", n, a.size, b.size)
		}
		for _, f := range a.fields {
			_, g, err := other.lookup(n, f.name)
			if err != nil {
				t.Error(err)
				continue
			}
			if all++; g.off != f.off || g.bit != f.bit {
				moved++
			}
		}
	}
	for _, n := range []string{"_EPROCESS", "_KTHREAD", "_KPRCB", "_CMHIVE", "_MMPFN"} {
		if one[n].size <= layouts[""][n].size {
			t.Errorf("%s did not grow", n)
		}
	}
	if moved*4 < all {
		t.Errorf("%d of %d members moved", moved, all)
	}
}
