package windows

import "testing"

// TestSelfMap: the addresses of four levels are those of
// reference/commands/memory-translation.md; those of five follow from the entry
// of the root that leads to it (0x1d1 of 512) and the processor's manual.
func TestSelfMap(t *testing.T) {
	for _, tt := range []struct {
		m       selfMap
		va      uint64
		entries []uint64
	}{
		{
			selfMap{0xFFFFFD8000000000, 48},
			0xfffff80672c00000,
			[]uint64{0xFFFFFDFC03396000, 0xFFFFFDFEFE019CB0, 0xFFFFFDFEFF7F00C8, 0xFFFFFDFEFF7FBF80},
		},
		{
			selfMap{0xffd1000000000000, 57},
			0xfffff80672c00000,
			[]uint64{0xffd1fffc03396000, 0xffd1e8fffe019cb0, 0xffd1e8f47fff00c8, 0xffd1e8f47a3fff80, 0xffd1e8f47a3d1ff8},
		},
	} {
		for level, want := range tt.entries {
			got := tt.m.entry(tt.va, level)
			if got != want {
				t.Errorf("level %d of %#x: %#x, want %#x", level, tt.va, got, want)
			}
			below := tt.va &^ 0xfff
			if level > 0 {
				below = tt.m.entry(tt.va, level-1) &^ 0xfff
			}
			if va, ok := tt.m.mapped(got); !ok || va != below {
				t.Errorf("back from %#x: %#x, %v, want %#x", got, va, ok, below)
			}
		}
		if _, ok := tt.m.mapped(tt.va); ok {
			t.Errorf("%#x is no PTE", tt.va)
		}
	}
}
