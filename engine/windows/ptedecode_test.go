package windows

import "testing"

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
