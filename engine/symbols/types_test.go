package symbols

import (
	"testing"

	"kdap/engine/types"
)

// TestTypesAgree: every named type of the kernel has the same members whether
// it is read from the PDB or from the ISF table.
func TestTypesAgree(t *testing.T) {
	a, b := kernelTables(t)
	n := 0
	for ta := range a.Types().Types() {
		if ta.Forward || ta.Name[0] == '<' {
			continue
		}
		n++
		tb, ok := b.Types().Type(ta.Name)
		if !ok || tb.Kind != ta.Kind || tb.Size != ta.Size {
			t.Errorf("%s: PDB kind %d size %#x, ISF %+v", ta.Name, ta.Kind, ta.Size, tb)
			continue
		}
		if len(ta.Fields()) != len(tb.Fields()) || len(ta.Enumerators()) != len(tb.Enumerators()) {
			t.Errorf("%s: PDB %d members, %d enumerators; ISF %d, %d", ta.Name,
				len(ta.Fields()), len(ta.Enumerators()), len(tb.Fields()), len(tb.Enumerators()))
		}
		for _, fa := range ta.Fields() {
			fb := tb.Field(fa.Name)
			if fb == nil || fb.Offset != fa.Offset || !alike(fa.Type, fb.Type, 0) {
				t.Errorf("%s.%s: PDB %#x %+v, ISF %+v", ta.Name, fa.Name, fa.Offset, fa.Type, fb)
			}
		}
		values := map[string]int64{}
		for _, e := range tb.Enumerators() {
			values[e.Name] = e.Value
		}
		for _, e := range ta.Enumerators() {
			if v, ok := values[e.Name]; !ok || v != e.Value {
				t.Errorf("%s.%s: PDB %d, ISF %d %v", ta.Name, e.Name, e.Value, v, ok)
			}
		}
	}
	if n < 1500 {
		t.Errorf("%d types compared", n)
	}
}

func alike(a, b *types.Type, depth int) bool {
	if a == nil || b == nil || depth > 5 {
		return a == nil && b == nil || depth > 5
	}
	if a.Kind != b.Kind || a.Name != b.Name || a.Count != b.Count || a.BitPos != b.BitPos || a.BitLen != b.BitLen {
		return false
	}
	switch a.Kind {
	case types.Function: // a table does not say what it returns
		return true
	case types.Pointer, types.Array, types.BitField:
		return a.Size == b.Size && alike(a.Elem(), b.Elem(), depth+1)
	}
	return a.Forward || b.Forward || a.Size == b.Size
}
