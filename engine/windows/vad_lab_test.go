package windows_test

import (
	"testing"

	"kdap/engine/memory"
	"kdap/engine/windows"
)

// TestVADAtAndRegions: every range is found by its first and last byte, and its
// regions fill it without gaps; committed private pages are no more than the
// kernel charged for.
func TestVADAtAndRegions(t *testing.T) {
	sys := openLab(t).System
	ranges := 0
	for p, err := range sys.ActiveProcesses(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for v, err := range p.VADs(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			ranges++
			for _, va := range []uint64{v.Start, v.End} {
				if got, ok, err := p.VADAt(va); err != nil || !ok || got.Addr() != v.Addr() || got.Level != v.Level {
					t.Errorf("VAD at %#x: %#x, %v, %v; want %#x", va, got.Addr(), ok, err, v.Addr())
				}
			}
			committed := uint64(0)
			for at := v.Start; at <= v.End; {
				r, err := v.RegionFrom(t.Context(), at)
				if err != nil || r.Base != at || r.Size == 0 || r.Size%memory.PageSize != 0 || at+r.Size-1 > v.End {
					t.Fatalf("VAD %#x: region at %#x: %+v, %v", v.Addr(), at, r, err)
				}
				if whole, err := v.RegionAt(t.Context(), at+r.Size-1); err != nil || whole.Base != r.Base || whole.Size != r.Size {
					t.Errorf("VAD %#x: region of %#x: %#x %#x, want %#x %#x", v.Addr(), at+r.Size-1, whole.Base, whole.Size, r.Base, r.Size)
				}
				if r.State == windows.StateCommitted {
					committed += r.Size / memory.PageSize
				}
				at += r.Size
			}
			charged, counted, err := v.CommitPages()
			if private, _ := v.Private(); err == nil && counted && private && committed > charged {
				t.Errorf("VAD %#x: %d pages committed, %d charged", v.Addr(), committed, charged)
			}
		}
		if _, ok, err := p.VADAt(1); ok || err != nil {
			t.Errorf("an address of no range: %v, %v", ok, err)
		}
	}
	if ranges == 0 {
		t.Error("no ranges")
	}
}
