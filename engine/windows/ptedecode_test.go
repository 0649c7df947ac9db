package windows

import "testing"

// TestEntryAddress: the addresses are those of reference/commands/memory-translation.md.
func TestEntryAddress(t *testing.T) {
	const base, va = 0xFFFFFD8000000000, 0xfffff80672c00000
	for level, want := range []uint64{0xFFFFFDFC03396000, 0xFFFFFDFEFE019CB0, 0xFFFFFDFEFF7F00C8, 0xFFFFFDFEFF7FBF80} {
		if got := EntryAddress(base, va, level); got != want {
			t.Errorf("level %d: %#x, want %#x", level, got, want)
		}
	}
	if got, ok := tableAddress(base, 0xFFFFFDFC03396000); !ok || got != va {
		t.Errorf("back: %#x, %v", got, ok)
	}
	if _, ok := tableAddress(base, va); ok {
		t.Errorf("%#x is no PTE", uint64(va))
	}
}

// TestProtection: the numbers are winnt.h's.
func TestProtection(t *testing.T) {
	for p, want := range map[PageProtection]struct {
		text  string
		flags uint32
	}{
		0: {"NO_ACCESS", 1}, 1: {"READONLY", 2}, 4: {"READWRITE", 4}, 7: {"EXECUTE_WRITECOPY", 0x80},
		0x14: {"READWRITE|GUARD", 0x104}, 0x0c: {"READWRITE|NOCACHE", 0x204}, 0x1c: {"READWRITE|WRITECOMBINE", 0x404}, 0x18: {"NO_ACCESS", 1},
	} {
		if p.String() != want.text || p.Flags() != want.flags {
			t.Errorf("%#x: %v %#x, want %v", uint8(p), p, p.Flags(), want)
		}
	}
}
