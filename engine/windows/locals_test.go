package windows

import (
	"testing"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/types"
)

func TestRegisterBits(t *testing.T) {
	c := &amd64.Context{}
	c.GPR[amd64.RSI] = 0x1122334455667788
	copy(c.XMM[6][:], []byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	tests := []struct {
		regs arch.Registers
		name string
		want uint64
		ok   bool
	}{
		{c, "rsi", 0x1122334455667788, true},
		{c, "esi", 0x55667788, true},
		{c, "xmm6", 0x0807060504030201, true},
		{c, "ymm6", 0x0807060504030201, true},
		{c, "", 0, false},
		{c, "x0", 0, false},
		{nil, "rsi", 0, false},
		{(*amd64.Context)(nil), "rsi", 0, false}, // a frame of another machine
	}
	for _, tt := range tests {
		if got, ok := RegisterBits(tt.regs, tt.name); got != tt.want || ok != tt.ok {
			t.Errorf("RegisterBits(%s) = %#x, %v; want %#x, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestCutTo(t *testing.T) {
	const bits = 0xffffffffffffff80
	for size, want := range map[uint64]uint64{0: bits, 1: 0x80, 2: 0xff80, 4: 0xffffff80, 8: bits, 16: bits} {
		if got := cutTo(bits, &types.Type{Kind: types.Int, Size: size}); got != want {
			t.Errorf("%d bytes: %#x, want %#x", size, got, want)
		}
	}
	if got := cutTo(bits, nil); got != bits {
		t.Errorf("without a type: %#x", got)
	}
}
