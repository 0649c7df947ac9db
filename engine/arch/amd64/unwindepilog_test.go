package amd64

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The forms of epilogs that the x64 software conventions allow, as assembled by
// llvm-mc, and sequences that are none.
func TestDecodeEpilog(t *testing.T) {
	tests := []struct {
		name  string
		code  []byte
		frame uint8
		want  *epilogue
		jump  int32
	}{
		{"ret", []byte{0xc3}, 0, &epilogue{}, 0},
		{"rep ret", []byte{0xf3, 0xc3}, 0, &epilogue{}, 0},
		{"bnd ret", []byte{0xf2, 0xc3}, 0, &epilogue{}, 0},
		{"ret 16", []byte{0xc2, 0x10, 0}, 0, &epilogue{extra: 16}, 0},
		{"add rsp, 28h; ret", []byte{0x48, 0x83, 0xc4, 0x28, 0xc3}, 0, &epilogue{add: 0x28}, 0},
		{"add rsp, -80h; ret", []byte{0x48, 0x83, 0xc4, 0x80, 0xc3}, 0, &epilogue{add: -0x80}, 0},
		{"add rsp, 158h; pop r12; pop rbp; ret", []byte{0x48, 0x81, 0xc4, 0x58, 1, 0, 0, 0x41, 0x5c, 0x5d, 0xc3}, 0, &epilogue{add: 0x158, pops: []byte{R12, RBP}}, 0},
		{"lea rsp, [rbp+20h]; pop rbp; ret", []byte{0x48, 0x8d, 0x65, 0x20, 0x5d, 0xc3}, RBP, &epilogue{lea: true, add: 0x20, pops: []byte{RBP}}, 0},
		{"lea rsp, [r11+100h]; ret", []byte{0x49, 0x8d, 0xa3, 0, 1, 0, 0, 0xc3}, R11, &epilogue{lea: true, add: 0x100}, 0},
		{"pop rbx; jmp rel8", []byte{0x5b, 0xeb, 0x10}, 0, &epilogue{pops: []byte{RBX}}, 0x13},
		{"jmp rel32", []byte{0xe9, 0xfb, 0xff, 0xff, 0xff}, 0, &epilogue{}, 0},
		{"jmp [rip+x]", []byte{0xff, 0x25, 1, 2, 3, 4}, 0, &epilogue{}, 0},
		{"rex.w jmp rax", []byte{0x48, 0xff, 0xe0}, 0, &epilogue{}, 0},
		{"rex.w jmp [rip+x]", []byte{0x48, 0xff, 0x25, 1, 2, 3, 4}, 0, &epilogue{}, 0},

		{"lea of another register", []byte{0x48, 0x8d, 0x65, 0x20, 0xc3}, RBX, nil, 0},
		{"lea without frame register", []byte{0x48, 0x8d, 0x65, 0x20, 0xc3}, 0, nil, 0},
		{"pop rsp", []byte{0x5c, 0xc3}, 0, nil, 0},
		{"jmp rax without rex.w", []byte{0xff, 0xe0}, 0, nil, 0},
		{"call", []byte{0xe8, 0, 0, 0, 0}, 0, nil, 0},
		{"mov then ret", []byte{0x48, 0x89, 0xc1, 0xc3}, 0, nil, 0},
		{"add after pop", []byte{0x5b, 0x48, 0x83, 0xc4, 0x28, 0xc3}, 0, nil, 0},
		{"nothing", nil, 0, nil, 0},
		{"cut off add", []byte{0x48, 0x81, 0xc4, 1, 2}, 0, nil, 0},
		{"cut off jump", []byte{0xe9, 1}, 0, nil, 0},
	}
	for _, tt := range tests {
		e, jump, ok := decodeEpilog(tt.code, tt.frame)
		if ok != (tt.want != nil) {
			t.Errorf("%s: epilog: %v", tt.name, ok)
			continue
		}
		if ok {
			if diff := cmp.Diff(*tt.want, e, cmp.AllowUnexported(epilogue{})); diff != "" {
				t.Errorf("%s:\n%s", tt.name, diff)
			}
			if jump.target != tt.jump {
				t.Errorf("%s: jump %#x, want %#x", tt.name, jump.target, tt.jump)
			}
		}
	}
}

func TestRemainingPops(t *testing.T) {
	// pop r12; pop rbp; ret at the end of a function with version 2 data.
	u := &UnwindInfo{Codes: []UnwindCode{
		{Op: OpEpilog}, {Op: OpAllocSmall, Value: 32}, {Op: OpPushNonvol, Info: R12}, {Op: OpPushNonvol, Info: RBP},
	}}
	for offset, want := range map[uint32][]byte{0: {R12, RBP}, 2: {RBP}, 3: nil} {
		if e := remainingPops(u, offset); !cmp.Equal(e.pops, want) {
			t.Errorf("at %d: %v, want %v", offset, e.pops, want)
		}
	}
}
