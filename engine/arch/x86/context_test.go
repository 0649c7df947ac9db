package x86_test

import (
	"encoding/binary"
	"testing"

	"kdap/engine/arch/x86"
)

// The offsets are those of the 32-bit CONTEXT in winnt.h.
func TestParseContext(t *testing.T) {
	b := make([]byte, x86.ContextMinimum)
	for off := 0; off < len(b); off += 4 {
		binary.LittleEndian.PutUint32(b[off:], uint32(off)|0xff000000)
	}
	c, err := x86.ParseContext(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint64{
		"edi": 0x9c, "esi": 0xa0, "ebx": 0xa4, "edx": 0xa8, "ecx": 0xac, "eax": 0xb0, "ebp": 0xb4, "eip": 0xb8, "efl": 0xc0, "esp": 0xc4,
	} {
		if v, _, ok := c.Get(name); !ok || v != want|0xff000000 {
			t.Errorf("%s = %#x, %v; want %#x", name, v, ok, want)
		}
	}
	if c.CS != 0xbc || c.SS != 0xc8 || c.GS != 0x8c || c.DS != 0x98 || c.ProgramCounter() != 0xff0000b8 || c.StackPointer() != 0xff0000c4 {
		t.Errorf("segments %x %x %x %x, pc %x, sp %x", c.CS, c.SS, c.GS, c.DS, c.ProgramCounter(), c.StackPointer())
	}
	if at := c.At(1<<32|5, 6); at.ProgramCounter() != 5 || at.StackPointer() != 6 || c.ProgramCounter() != 0xff0000b8 {
		t.Errorf("moved to %x %x from %x", at.ProgramCounter(), at.StackPointer(), c.ProgramCounter())
	}
	if _, err := x86.ParseContext(b[1:]); err == nil {
		t.Error("a short context was read")
	}
}
