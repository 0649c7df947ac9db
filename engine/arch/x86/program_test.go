package x86

import (
	"encoding/binary"
	"errors"
	"testing"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/pdb"
)

// words is a stack of dwords at 0x1000.
type words []uint32

func (m words) Read(va uint64, p []byte) (int, error) {
	for i := range p {
		w := va + uint64(i) - 0x1000
		if w/word >= uint64(len(m)) {
			return i, &memory.ReadError{Addr: va + uint64(i)}
		}
		var b [word]byte
		binary.LittleEndian.PutUint32(b[:], m[w/word])
		p[i] = b[w%word]
	}
	return len(p), nil
}

func TestProgram(t *testing.T) {
	tests := []struct {
		name, text       string
		eip, esp, ebp, b uint32
		bad              bool
	}{
		{name: "frame pointer", text: "$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + =", eip: 0xc0de03, esp: 0x1018, ebp: 0x2000, b: 7},
		{name: "search, with a saved register by number", text: "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + = $20 $T0 4 - ^ =", eip: 0xc0de02, esp: 0x1010, ebp: 0x1010, b: 0xb},
		{name: "aligned", text: "$T1 .raSearch = $T0 $T1 4 - 8 @ = $ebp $T0 4 + ^ = $eip $T1 ^ = $esp $T1 4 + =", eip: 0xc0de02, esp: 0x1010, ebp: 0xc0de02, b: 7},
		{name: "names", text: "$T0 $esp .cbCalleeParams + .cbSavedRegs + .cbLocals + = $eip $T0 ^ = $esp $T0 4 + =", eip: 0xc0de02, esp: 0x1010, ebp: 0x1010, b: 7},
		{name: "no operands", text: "$eip =", bad: true},
		{name: "number as target", text: "4 5 =", bad: true},
		{name: "division", text: "$eip 4 0 / =", bad: true},
		{name: "unknown name", text: "$eip .cbWhat =", bad: true},
		{name: "unset variable", text: "$eip $T9 =", bad: true},
		{name: "down the stack", text: "$eip $ebp 4 + ^ = $esp $esp 4 - =", bad: true},
		{name: "outside", text: "$eip 9999999 ^ =", bad: true},
		{name: "empty", text: "   ", bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Stepper{Memory: words{1, 2, 0xb, 0xc0de02, 0x2000, 0xc0de03}, Returns: func(va uint64) bool { return va>>8 == 0xc0de }}
			regs := &Context{}
			regs.GPR[amd64.RSP], regs.GPR[amd64.RBP], regs.GPR[amd64.RBX] = 0x1000, 0x1010, 7
			d := &pdb.FrameData{Program: tt.text, Locals: 4, SavedRegs: 4}
			_, err := s.runProgram(regs, d, 4)
			if (err != nil) != tt.bad {
				t.Fatalf("error %v", err)
			}
			got := [4]uint32{uint32(regs.RIP), uint32(regs.GPR[amd64.RSP]), uint32(regs.GPR[amd64.RBP]), uint32(regs.GPR[amd64.RBX])}
			if want := [4]uint32{tt.eip, tt.esp, tt.ebp, tt.b}; err == nil && got != want {
				t.Errorf("eip esp ebp ebx %x, want %x", got, want)
			}
		})
	}
}

// FPO_DATA: parameters of the callee, saved registers, locals, return address.
func TestFPO(t *testing.T) {
	s := Stepper{
		Memory:  words{0xaaaa /* callee's */, 1 /* edi */, 2 /* esi */, 0x1050 /* ebp */, 4 /* ebx */, 0, 0 /* locals */, 0xc0de01, 9},
		Returns: func(va uint64) bool { return va>>8 == 0xc0de },
	}
	regs := &Context{}
	regs.GPR[amd64.RSP] = 0x1000
	step, err := s.Step(regs, Info{FPO: &pdb.FPO{SavedRegs: 4, Locals: 8, UsesBP: true}}, false, 4)
	if err != nil || step.Rule != FPO || step.ReturnAt != 0x101c || regs.RIP != 0xc0de01 || regs.GPR[amd64.RSP] != 0x1020 || regs.GPR[amd64.RBP] != 0x1050 {
		t.Errorf("%+v, %v: eip %x esp %x ebp %x", step, err, regs.RIP, regs.GPR[amd64.RSP], regs.GPR[amd64.RBP])
	}
}

// A program, whatever it says, ends: with an error, or with a stack that went up.
func FuzzProgram(f *testing.F) {
	f.Add("$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + =", uint32(4))
	f.Add("$T1 .raSearch = $T0 $T1 4 - 8 @ = $eip $T1 ^ = $esp $T1 4 + =", uint32(0xffffffff))
	f.Fuzz(func(t *testing.T, text string, callee uint32) {
		s := Stepper{Memory: words{1, 2, 0xc0de03, 5}, Returns: func(va uint64) bool { return va>>8 == 0xc0de }}
		regs := &Context{}
		regs.GPR[amd64.RSP], regs.GPR[amd64.RBP] = 0x1000, 0x1004
		_, err := s.runProgram(regs, &pdb.FrameData{Program: text}, callee)
		if err == nil && (regs.GPR[amd64.RSP] <= 0x1000 || !s.returns(uint32(regs.RIP))) {
			t.Errorf("%q leads to %x, esp %x", text, regs.RIP, regs.GPR[amd64.RSP])
		}
		if errors.Is(err, errNotUp) && regs.GPR[amd64.RSP] != 0x1000 {
			t.Errorf("%q changed the registers", text)
		}
	})
}
