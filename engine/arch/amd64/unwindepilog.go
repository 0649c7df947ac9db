package amd64

import "encoding/binary"

// An epilogue is the rest of an epilog, from rip on.
type epilogue struct {
	add   int64  // added to rsp first
	lea   bool   // rsp is the frame register plus add
	pops  []byte // registers
	extra uint64 // bytes that ret drops
}

// epilogWindow is enough for the longest epilog: an adjustment of 7 bytes, 16
// pops, a jump of 7.
const epilogWindow = 48

// epilog tells whether rip stands in an epilog and what is left of it. Only few
// forms of instructions may be there: an optional "add rsp, imm" or "lea rsp,
// disp[frame register]", pops of registers, and a return or a jump that leaves
// the function. Version 2 of the unwind data lists the epilogs, from the first
// pop on; the bytes are decoded all the same, as they say what is left.
func (s *stepper) epilog(rva uint32, f RuntimeFunction, u *UnwindInfo) (epilogue, bool) {
	listed := Epilog{}
	if u.Version >= 2 {
		for _, e := range u.Epilogs(f) {
			if rva >= e.Begin && rva < e.End {
				listed = e
			}
		}
		if listed == (Epilog{}) {
			return epilogue{}, false
		}
	}
	buf := s.code[:]
	n, err := s.mem.Read(s.ctx.RIP, buf)
	if err != nil {
		// The code may be out while the image's file is there.
		if m, _ := s.table.ReadRVA(rva, buf); m > n {
			n = m
		}
	}
	e, jump, ok := decodeEpilog(buf[:n], u.FrameRegister)
	if !ok && listed != (Epilog{}) {
		return remainingPops(u, rva-listed.Begin), true
	}
	if !ok {
		return e, false
	}
	if listed == (Epilog{}) && jump.direct && !s.leaves(f, u, rva+uint32(jump.target)) {
		return e, false
	}
	return e, true
}

// remainingPops tells from the prolog what an epilog does from an offset on, for
// code that cannot be read: it pops in the order of the unwind codes, with
// instructions of 1 byte, or 2 for r8 … r15.
func remainingPops(u *UnwindInfo, offset uint32) (e epilogue) {
	at := uint32(0)
	for _, c := range u.Codes {
		if c.Op != OpPushNonvol {
			continue
		}
		if at >= offset {
			e.pops = append(e.pops, c.Info)
		}
		at += 1 + uint32(c.Info)>>3
	}
	return e
}

// A jumpEnd describes the jump at the end of an epilog: its target relative to
// rip when that is in the instruction.
type jumpEnd struct {
	direct bool
	target int32
}

func decodeEpilog(b []byte, frameRegister uint8) (e epilogue, jump jumpEnd, ok bool) {
	at := func(i int) byte { // 0 behind the end matches nothing below
		if i < len(b) {
			return b[i]
		}
		return 0
	}
	imm := func(i, size int) (int64, bool) {
		switch {
		case i+size > len(b):
			return 0, false
		case size == 1:
			return int64(int8(b[i])), true
		}
		return int64(int32(binary.LittleEndian.Uint32(b[i:]))), true
	}
	i := 0
	switch {
	case at(0) == 0x48 && (at(1) == 0x83 || at(1) == 0x81) && at(2) == 0xc4: // add rsp, imm8 or imm32
		size := 1
		if at(1) == 0x81 {
			size = 4
		}
		if e.add, ok = imm(3, size); !ok {
			return e, jump, false
		}
		i = 3 + size
	case at(0)&0xfe == 0x48 && at(1) == 0x8d && frameRegister != 0: // lea rsp, disp[register]
		size := 0
		switch at(2) & 0xf8 {
		case 0x60:
			size = 1
		case 0xa0:
			size = 4
		}
		if size == 0 || at(0)&1<<3|at(2)&7 != frameRegister || at(2)&7 == RSP {
			return e, jump, false
		}
		if e.add, ok = imm(3, size); !ok {
			return e, jump, false
		}
		e.lea = true
		i = 3 + size
	}
	for {
		reg, size := at(i), 1
		if reg&0xf8 == 0x40 { // any REX prefix; only its bit 0 matters here
			reg, size = at(i+1), 2
		}
		if reg&0xf8 != 0x58 {
			break
		}
		reg &= 7
		if size == 2 {
			reg |= at(i) & 1 << 3
		}
		if reg == RSP {
			return e, jump, false
		}
		e.pops = append(e.pops, reg)
		i += size
	}
	switch {
	case at(i) == 0xc3, (at(i) == 0xf3 || at(i) == 0xf2) && at(i+1) == 0xc3: // ret, rep ret, bnd ret
		return e, jump, true
	case at(i) == 0xc2 && i+3 <= len(b): // ret imm16
		e.extra = uint64(binary.LittleEndian.Uint16(b[i+1:]))
		return e, jump, true
	case at(i) == 0xeb || at(i) == 0xe9: // jmp rel8, rel32
		size := 1
		if at(i) == 0xe9 {
			size = 4
		}
		d, ok := imm(i+1, size)
		return e, jumpEnd{true, int32(d) + int32(i+1+size)}, ok
	case at(i) == 0xff && at(i+1) == 0x25: // jmp [rip+disp]
		return e, jump, true
	case at(i)&0xf8 == 0x48 && at(i+1) == 0xff && at(i+2)&0x38 == 0x20: // rex.w jmp: marks a tail call
		return e, jump, true
	}
	return e, jump, false
}

// leaves tells whether a jump to target ends the function: it goes to another
// one, or calls this one again.
func (s *stepper) leaves(f RuntimeFunction, u *UnwindInfo, target uint32) bool {
	if target >= f.Begin && target < f.End {
		return target == f.Begin && u.Flags&UnwindChained == 0
	}
	// Parts of one function have entries of their own, chained to the first.
	other, found, err := s.table.Lookup(target)
	if err != nil || !found {
		return true
	}
	to, err := s.table.Primary(other)
	if err != nil {
		return true
	}
	from, err := s.table.Primary(f)
	return err != nil || from != to || target == to.Begin
}

// runEpilog executes what is left of an epilog.
func (s *stepper) runEpilog(e epilogue) error {
	if e.lea {
		s.ctx.GPR[RSP] = s.ctx.GPR[s.res.Info.FrameRegister]
	}
	s.ctx.GPR[RSP] += uint64(e.add)
	for _, reg := range e.pops {
		s.pop(reg)
	}
	return s.ret(e.extra)
}
