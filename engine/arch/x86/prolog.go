package x86

import (
	"encoding/binary"

	"kdap/engine/arch/amd64"
)

// maxProlog is how far a prolog is followed.
const maxProlog = 64

// early finds the return address of a frame that was stopped where no rule of
// its body holds: in its prolog or at its return. It lies at at; ebp is where the
// prolog saved the caller's, 0 when it is still in place.
func (s *Stepper) early(regs *Context, info Info) (at, ebp uint64, ok bool) {
	eip, esp := regs.RIP, regs.GPR[amd64.RSP]
	var b [3]byte
	if n, _ := s.Memory.Read(eip, b[:]); n > 0 && (b[0] == 0xc3 || b[0] == 0xc2) {
		return esp, 0, true
	}
	begin := info.Function
	if info.Data != nil && info.Data.Start {
		begin = info.Piece
	}
	if begin == 0 || eip < begin || eip-begin >= maxProlog {
		return 0, 0, false
	}
	code := make([]byte, eip-begin)
	if n, _ := s.Memory.Read(begin, code); n < len(code) {
		return 0, 0, false
	}
	var depth, saved uint64 // bytes pushed; those pushed with ebp
	for len(code) > 0 {
		size, pushed, push := prologStep(code)
		if size == 0 || size > len(code) {
			return 0, 0, false
		}
		if push == amd64.RBP && saved == 0 {
			saved = depth + pushed
		}
		depth += pushed
		code = code[size:]
	}
	if saved != 0 {
		ebp = esp + depth - saved
	}
	return esp + depth, ebp, true
}

// noRegister is what a step pushes that pushes none.
const noRegister = -1

// prologStep decodes one instruction of those that prologs are made of: its
// size, by how much it lowers esp, and the register that it pushes. Size 0:
// none of them.
func prologStep(code []byte) (size int, lowers uint64, push int) {
	at := func(i int) byte {
		if i < len(code) {
			return code[i]
		}
		return 0
	}
	switch op := code[0]; {
	case op >= 0x50 && op <= 0x57:
		return 1, word, int(op - 0x50)
	case op == 0x6a:
		return 2, word, noRegister
	case op == 0x68:
		return 5, word, noRegister
	case op == 0x8b && at(1) == 0xff, op == 0x8b && at(1) == 0xec, op == 0x89 && at(1) == 0xe5: // mov edi,edi; mov ebp,esp
		return 2, 0, noRegister
	case op == 0x83 && at(1) == 0xec && len(code) >= 3 && code[2] < 0x80:
		return 3, uint64(code[2]), noRegister
	case op == 0x81 && at(1) == 0xec && len(code) >= 6 && code[5] < 0x80:
		return 6, uint64(binary.LittleEndian.Uint32(code[2:])), noRegister
	}
	return 0, 0, noRegister
}
