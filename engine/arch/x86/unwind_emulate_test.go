package x86_test

import (
	"encoding/binary"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"kdap/engine/arch/amd64"
	"kdap/engine/arch/x86"
	"kdap/engine/memory"
	"kdap/engine/pdb"
	"kdap/engine/pe"
	"kdap/internal/truth"
)

// sparse is memory in pieces, for tests.
type sparse map[uint64][]byte

func (m sparse) Read(va uint64, p []byte) (int, error) {
	for base, b := range m {
		if va >= base && va < base+uint64(len(b)) {
			if n := copy(p, b[va-base:]); n == len(p) {
				return n, nil
			}
		}
	}
	return 0, &memory.ReadError{Addr: va}
}

// A machine runs the straight beginning of a function.
type machine struct {
	reg   [8]uint32 // by the numbers that amd64 has them under
	stack []byte    // at stackBase
}

const (
	stackBase = 0x0010_0000
	stackSize = 0x10000
	imageBase = 0x0040_0000
	caller    = 0x0077_1234
)

var registerOf = map[x86asm.Reg]int{
	x86asm.EAX: amd64.RAX, x86asm.ECX: amd64.RCX, x86asm.EDX: amd64.RDX, x86asm.EBX: amd64.RBX,
	x86asm.ESP: amd64.RSP, x86asm.EBP: amd64.RBP, x86asm.ESI: amd64.RSI, x86asm.EDI: amd64.RDI,
}

func (m *machine) push(v uint32) {
	m.reg[amd64.RSP] -= 4
	binary.LittleEndian.PutUint32(m.stack[m.reg[amd64.RSP]-stackBase:], v)
}

// step runs one instruction; false for those that leave the straight line.
func (m *machine) step(inst x86asm.Inst) bool {
	to, isReg := inst.Args[0].(x86asm.Reg)
	n := registerOf[to]
	from, fromReg := inst.Args[1].(x86asm.Reg)
	imm, isImm := inst.Args[1].(x86asm.Imm)
	switch inst.Op {
	case x86asm.PUSH:
		if isReg {
			m.push(m.reg[n])
		} else {
			m.push(0x5555)
		}
	case x86asm.POP:
		if !isReg {
			return false
		}
		m.reg[n] = binary.LittleEndian.Uint32(m.stack[m.reg[amd64.RSP]-stackBase:])
		m.reg[amd64.RSP] += 4
	case x86asm.MOV, x86asm.XOR, x86asm.OR, x86asm.LEA, x86asm.MOVZX, x86asm.SUB, x86asm.ADD, x86asm.AND, x86asm.SETE, x86asm.SETNE:
		switch {
		case !isReg: // into memory: not onto what the prolog saved
		case inst.Op == x86asm.MOV && fromReg && inst.DataSize == 32:
			m.reg[n] = m.reg[registerOf[from]]
		case to == x86asm.ESP && isImm && inst.Op == x86asm.SUB:
			m.reg[n] -= uint32(imm)
		case to == x86asm.ESP && isImm && inst.Op == x86asm.AND:
			m.reg[n] &= uint32(imm)
		case to == x86asm.ESP || to == x86asm.EBP:
			return false
		default:
			if _, ok := registerOf[to]; ok {
				m.reg[n] = 0xdead0000 | uint32(n)
			}
		}
	case x86asm.CMP, x86asm.TEST, x86asm.NOP:
	default:
		return false
	}
	return true
}

// TestEmulatedProlog runs each function of a sample up to its first branch or
// call. Behind every instruction its frame must lead to the caller, with the
// registers that calls keep.
func TestEmulatedProlog(t *testing.T) {
	dir := truth.Path(t, "symbols", "samples")
	img, err := pe.Open(dir + "/vs2019_cpp_override.exe")
	if err != nil {
		t.Fatal(err)
	}
	file, err := pdb.Open(dir + "/vs2019_cpp_override.pdb")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	functions, places := 0, 0
	for _, start := range file.FrameDataAll() {
		if !start.Start || start.Size > 1<<16 {
			continue
		}
		code := make([]byte, start.Size)
		if _, err := img.ReadRVA(start.RVA, code); err != nil {
			t.Fatal(err)
		}
		functions++
		m := machine{stack: make([]byte, stackSize)}
		for i := range m.reg {
			m.reg[i] = 0x1111_1111 * uint32(i+1)
		}
		m.reg[amd64.RSP], m.reg[amd64.RBP] = stackBase+stackSize-0x1000, stackBase+stackSize-0x800
		m.push(caller)
		first := m
		space := sparse{stackBase: m.stack, imageBase + uint64(start.RVA): code}
		for off := uint32(0); off < start.Size; {
			checkCaller(t, file, space, start.RVA, off, &m, &first)
			places++
			inst, err := x86asm.Decode(code[off:], 32)
			if err != nil || !m.step(inst) {
				break
			}
			off += uint32(inst.Len)
		}
	}
	t.Logf("%d places in %d functions", places, functions)
}

func checkCaller(t *testing.T, file *pdb.File, space memory.Space, start, off uint32, m, first *machine) {
	rva := start + off
	regs := &x86.Context{}
	regs.RIP = imageBase + uint64(rva)
	for i, v := range m.reg {
		regs.GPR[i] = uint64(v)
	}
	info := x86.Info{Function: imageBase + uint64(start)}
	if d, ok := file.FrameDataAt(rva); ok {
		info.Data, info.Piece = &d, imageBase+uint64(d.RVA)
	}
	if f, ok := file.FPOAt(rva); ok {
		info.FPO = &f
	}
	s := x86.Stepper{Memory: space, Returns: func(va uint64) bool { return va == caller }}
	if _, err := s.Step(regs, info, true, 0); err != nil {
		t.Errorf("%#x+%#x: %v", start, off, err)
		return
	}
	if regs.RIP != caller || regs.GPR[amd64.RSP] != uint64(first.reg[amd64.RSP]+4) {
		t.Errorf("%#x+%#x: caller %#x, esp %#x, want %#x, %#x", start, off, regs.RIP, regs.GPR[amd64.RSP], caller, first.reg[amd64.RSP]+4)
	}
	if regs.GPR[amd64.RBP] != uint64(first.reg[amd64.RBP]) {
		t.Errorf("%#x+%#x: ebp %#x, want %#x (%+v)", start, off, regs.GPR[amd64.RBP], first.reg[amd64.RBP], info.Data)
	}
}
