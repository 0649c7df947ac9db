package windows

import (
	"testing"

	"kdap/engine/memory"
)

// code is memory with bytes in front of an address.
type code struct {
	base uint64
	b    []byte
}

func (c code) Read(va uint64, p []byte) (int, error) {
	if va < c.base || va-c.base > uint64(len(c.b)) {
		return 0, &memory.ReadError{Addr: va}
	}
	n := copy(p, c.b[va-c.base:])
	if n < len(p) {
		return n, &memory.ReadError{Addr: va + uint64(n)}
	}
	return n, nil
}

func TestFollowsCall(t *testing.T) {
	// Encodings of call from the processor's manual.
	for _, c := range []struct {
		name string
		code []byte
		want bool
	}{
		{"call rel32", []byte{0x90, 0x90, 0xe8, 1, 2, 3, 4}, true},
		{"call rax", []byte{0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0}, true},
		{"call [rax]", []byte{0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x10}, true},
		{"call [rax+8]", []byte{0x90, 0x90, 0x90, 0x90, 0xff, 0x50, 8}, true},
		{"call [rax+rcx*8]", []byte{0x90, 0x90, 0x90, 0x90, 0xff, 0x14, 0xc8}, true},
		{"call [rip+x]", []byte{0x90, 0xff, 0x15, 1, 2, 3, 4}, true},
		{"call [rax+x]", []byte{0x90, 0xff, 0x90, 1, 2, 3, 4}, true},
		{"call [rsp+8]", []byte{0x90, 0x90, 0x90, 0xff, 0x54, 0x24, 8}, true},
		{"call [rsp+x]", []byte{0xff, 0x94, 0x24, 1, 2, 3, 4}, true},
		{"jmp [rip+x]", []byte{0x90, 0xff, 0x25, 1, 2, 3, 4}, false},
		{"nothing", []byte{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90}, false},
	} {
		const at = 0x1000
		if got := followsCall(code{at, c.code}, at+uint64(len(c.code))); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
