package amd64_test

import (
	"encoding/binary"
	"testing"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
)

func TestRegisterNames(t *testing.T) {
	var c amd64.Context
	c.GPR[amd64.RAX] = 0x1122334455667788
	c.GPR[amd64.RSI] = 0xf0f1f2f3f4f5f6f7
	c.GPR[amd64.R8] = 0x0102030405060708
	c.RIP, c.EFlags, c.CS = 0xfffff80012345678, 0x40246, 0x10
	tests := []struct {
		name  string
		value uint64
		bits  int
	}{
		{"rax", 0x1122334455667788, 64},
		{"EAX", 0x55667788, 32},
		{"ax", 0x7788, 16},
		{"al", 0x88, 8},
		{"ah", 0x77, 8},
		{"sil", 0xf7, 8},
		{"r8d", 0x05060708, 32},
		{"r8w", 0x0708, 16},
		{"r8b", 8, 8},
		{"rip", 0xfffff80012345678, 64},
		{"efl", 0x40246, 32},
		{"zf", 1, 1},
		{"cf", 0, 1},
		{"if", 1, 1},
		{"iopl", 0, 2},
		{"cs", 0x10, 16},
	}
	for _, tt := range tests {
		v, bits, ok := c.Get(tt.name)
		if !ok || v != tt.value || bits != tt.bits {
			t.Errorf("%s = %#x, %d bits, %v; want %#x, %d", tt.name, v, bits, ok, tt.value, tt.bits)
		}
	}
	for _, name := range []string{"r8l", "eflags", "ymm0", "k0", "r16", "", "rzx", "xmm0"} {
		if _, _, ok := c.Get(name); ok {
			t.Errorf("%s is a register", name)
		}
	}
}

func TestSetRegister(t *testing.T) {
	tests := []struct {
		name  string
		value uint64
		reg   string
		want  uint64
	}{
		{"ah", 0xff, "rax", 0x112233445566ff88},
		{"eax", 5, "rax", 0x1122334400000005},
		{"al", 0x1ff, "rax", 0x11223344556677ff},
		{"zf", 1, "efl", 0x242},
		{"zf", 0, "efl", 0x202},
		{"iopl", 3, "efl", 0x3202},
		{"rip", 7, "rip", 7},
		{"gs", 0x2b, "gs", 0x2b},
		{"dr7", 0x400, "dr7", 0x400},
	}
	for _, tt := range tests {
		var c amd64.Context
		c.GPR[amd64.RAX], c.EFlags = 0x1122334455667788, 0x202
		if !c.Set(tt.name, tt.value) {
			t.Errorf("%s cannot be set", tt.name)
		}
		if v, _, _ := c.Get(tt.reg); v != tt.want {
			t.Errorf("%s = %#x makes %s %#x, want %#x", tt.name, tt.value, tt.reg, v, tt.want)
		}
	}
	var c amd64.Context
	if c.Set("xyz", 1) {
		t.Error("xyz was set")
	}
}

func TestVector(t *testing.T) {
	var c amd64.Context
	c.XMM[15][0], c.ST[7][9] = 1, 2
	for name, size := range map[string]int{"xmm15": 16, "ST7": 10, "mm0": 8} {
		if b, ok := c.Vector(name); !ok || len(b) != size {
			t.Errorf("%s: %d bytes, %v", name, len(b), ok)
		}
	}
	for _, name := range []string{"xmm16", "xmm", "st8", "xmm01", "mm9", "rax", "xmm+1"} {
		if _, ok := c.Vector(name); ok {
			t.Errorf("%s exists", name)
		}
	}
}

func TestParseContextShort(t *testing.T) {
	if _, err := amd64.ParseContext(make([]byte, amd64.ContextSize-1)); err == nil {
		t.Error("a short CONTEXT was taken")
	}
}

// ram is a memory.Space of some bytes at an address.
type ram struct {
	at uint64
	b  []byte
}

func (r ram) Read(va uint64, p []byte) (int, error) {
	n := 0
	if va-r.at < uint64(len(r.b)) {
		n = copy(p, r.b[va-r.at:])
	}
	if n < len(p) {
		return n, &memory.ReadError{Addr: va + uint64(n), Kind: memory.NotValid}
	}
	return n, nil
}

func words(at uint64, v ...uint64) ram {
	r := ram{at: at}
	for _, w := range v {
		r.b = binary.LittleEndian.AppendUint64(r.b, w)
	}
	return r
}
