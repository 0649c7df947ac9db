package arm64_test

import (
	"encoding/binary"
	"testing"

	"kdap/engine/arch/arm64"
)

// The offsets are those of ARM64_NT_CONTEXT in winnt.h.
func TestParseContext(t *testing.T) {
	b := make([]byte, 0x390)
	le := binary.LittleEndian
	le.PutUint32(b, 0x400007)
	le.PutUint32(b[4:], 0x60000005)
	for off := 8; off < 0x110; off += 8 {
		le.PutUint64(b[off:], uint64(off))
	}
	c, err := arm64.ParseContext(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint64{
		"x0": 8, "x28": 0xe8, "fp": 0xf0, "lr": 0xf8, "sp": 0x100, "pc": 0x108, "w1": 0x10, "cpsr": 0x60000005,
	} {
		if v, _, ok := c.Get(name); !ok || v != want {
			t.Errorf("%s = %#x, %v; want %#x", name, v, ok, want)
		}
	}
	for _, name := range []string{"", "x", "x29", "x00", "w99", "rip", "psr", "v0"} {
		if _, _, ok := c.Get(name); ok {
			t.Errorf("there is a register %q", name)
		}
	}
	if got := c.Flags(); got != "-ZC- EL1" {
		t.Errorf("flags %q", got)
	}
	if _, err := arm64.ParseContext(b[:0x38f]); err == nil {
		t.Error("a short context was read")
	}
	le.PutUint32(b, 0x10001f)
	if _, err := arm64.ParseContext(b); err == nil {
		t.Error("another processor's context was read")
	}
}
