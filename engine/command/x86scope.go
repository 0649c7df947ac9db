package command

import (
	"context"
	"encoding/binary"
	"fmt"

	"kdap/engine/arch/amd64"
	"kdap/engine/arch/x86"
	"kdap/engine/dump"
	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// x86Machine is the effective machine of 32-bit code.
const x86Machine = "x86"

// setX86Thread is .thread /w: the registers of a thread's 32-bit code. Those of
// a WOW64 thread are in a block its TEB points at; of other threads there are
// only the lower halves of the 64-bit ones.
func (s *Session) setX86Thread(t windows.Thread) {
	regs, err := s.wow64Registers(t)
	if err != nil {
		s.notef("%v", err)
		s.printf("The context is partially valid. Only x86 user-mode context is available.\n")
		regs = &x86.Context{}
		if c := amd64Part(s.scope.regs); c != nil {
			regs.Context = lowerHalves(c)
		}
	}
	s.setRegisters(regs)
	s.settings.machine = x86Machine
	s.printf("x86 context set\n")
}

func lowerHalves(c *amd64.Context) amd64.Context {
	low := *c
	low.RIP &= 0xffffffff
	for i := range low.GPR {
		low.GPR[i] &= 0xffffffff
	}
	return low
}

// Where the 32-bit registers are, in WOW64_CPURESERVED (agreed by public
// descriptions of WOW64): slot 1 of the 64-bit thread's TLS points at it.
const (
	wow64Slot   = 1
	wow64Header = 4
)

// wow64Registers reads the 32-bit registers that a WOW64 thread saved when it
// went into 64-bit code.
func (s *Session) wow64Registers(t windows.Thread) (*x86.Context, error) {
	p, err := t.Process()
	if err != nil {
		return nil, err
	}
	if wow, err := p.WOW64(); err != nil || !wow {
		return nil, fmt.Errorf("thread %#x runs no 32-bit code", t.Addr())
	}
	space, err := p.Space()
	if err != nil {
		return nil, err
	}
	teb, err := t.TEB()
	if err != nil {
		return nil, err
	}
	tebType, err := s.sys.Type("_TEB")
	if err != nil {
		return nil, err
	}
	block, err := types.NewObject(space, tebType, teb).Field("TlsSlots").Index(wow64Slot).Uint()
	if err != nil {
		return nil, err
	}
	b, err := memory.ReadBytes(space, block+wow64Header, x86.ContextMinimum)
	if err != nil {
		return nil, fmt.Errorf("32-bit registers of thread %#x: %w", t.Addr(), err)
	}
	return x86.ParseContext(b)
}

// showX86 prints the integer registers of 32-bit code.
func (s *Session) showX86(c *amd64.Context) {
	g := func(r int) uint32 { return uint32(c.GPR[r]) }
	s.printf("eax=%08x ebx=%08x ecx=%08x edx=%08x esi=%08x edi=%08x\n",
		g(amd64.RAX), g(amd64.RBX), g(amd64.RCX), g(amd64.RDX), g(amd64.RSI), g(amd64.RDI))
	// The names of the parity flag are the right way round here.
	const parity = 1 << 2
	s.printf("eip=%08x esp=%08x ebp=%08x %s\n", uint32(c.RIP), g(amd64.RSP), g(amd64.RBP), flagsText(c.EFlags^parity))
}

// printX86Stack prints the frames that ebp links.
func (s *Session) printX86Stack(ctx context.Context, v stackView, c *amd64.Context, count int) error {
	number, width := "", len(s.addressText(0))
	if v.numbers {
		number = " # "
	}
	s.printf("%s%-*s %-*s\n", number, width, "ChildEBP", width+len("     "), "RetAddr")
	warned := false
	st := s.walk(ctx, &x86.Context{Context: *c}, min(count, maxFrames))
	for i, f := range st.Frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := s.symbolText(ctx, f.IP)
		if name == "" {
			name = bareAddress(f.IP)
			if !warned {
				s.printf("WARNING: Frame IP not in any known module. Following frames may be wrong.\n")
			}
			warned = true
		}
		if v.numbers {
			number = frameNumber(s.scope.base+i) + " "
		}
		s.printf("%s%s %s     %s\n", number, format.Addr32(f.Context().GPR[amd64.RBP]), format.Addr32(f.Return), name)
	}
	if st.Ended != nil {
		s.notef("the walk ended: %v", st.Ended)
	}
	return ctx.Err()
}

// exception32Size is the size of a 32-bit EXCEPTION_RECORD.
const exception32Size = 0x50

// parseException32 decodes a 32-bit EXCEPTION_RECORD.
func parseException32(b []byte) dump.Exception {
	u32 := func(off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
	e := dump.Exception{
		Code: u32(0), Flags: u32(4), Record: uint64(u32(8)), Address: uint64(u32(12)), NumberParameters: u32(16),
	}
	for i := range e.Information {
		e.Information[i] = uint64(u32(20 + 4*i))
	}
	return e
}
