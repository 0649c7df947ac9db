package command

import (
	"context"
	"encoding/binary"
	"errors"

	"kdap/engine/arch/amd64"
	"kdap/engine/arch/x86"
	"kdap/engine/dump"
	"kdap/engine/windows"
)

// x86Machine is the effective machine of 32-bit code.
const x86Machine = "x86"

// setX86Thread is .thread /w: the registers of a thread's 32-bit code; of a thread
// that runs none the lower halves of the 64-bit ones.
func (s *Session) setX86Thread(ctx context.Context) {
	s.printf("The context is partially valid. Only x86 user-mode context is available.\n")
	s.settings.machine = x86Machine
	if err := s.enterX86(ctx); err != nil {
		s.notef("%v", err)
		regs := &x86.Context{}
		if c := amd64Part(s.scope.regs); c != nil {
			regs = x86.Lower(c)
		}
		s.setRegisters(regs)
	}
	s.scope.set = true
	s.printf("x86 context set\n")
}

// setMachine makes a machine the effective one. The registers of the thread in
// whose 32-bit code one looks are those of that code.
func (s *Session) setMachine(ctx context.Context, name string) {
	s.settings.machine = name
	switch {
	case name == x86Machine:
		if err := s.enterX86(ctx); err != nil && !errors.Is(err, windows.ErrNotWOW64) {
			s.notef("%v", err)
		}
	case s.scope.wide != nil:
		s.scope.regs, s.scope.wide = s.scope.wide, nil
		s.scope.base, s.scope.frame = 0, frameScope{}
	}
}

// enterX86 makes the registers of the current thread's 32-bit code the context.
// It leaves a context alone that .trap or .cxr set.
func (s *Session) enterX86(ctx context.Context) error {
	if _, ok := s.scope.regs.(*amd64.Context); !ok || s.scope.ofOther || s.scope.thread.Addr() == 0 {
		return windows.ErrNotWOW64
	}
	regs, err := s.scope.thread.Registers32(ctx)
	if err != nil {
		return err
	}
	s.scope.wide, s.scope.regs = s.scope.regs, regs
	s.scope.base, s.scope.frame = 0, frameScope{}
	s.code.next = nil
	return nil
}

// hasX86 tells whether the thread at addr, 0 for the current processor's, runs
// 32-bit code.
func (s *Session) hasX86(addr uint64) bool {
	t := s.sys.Thread(addr)
	if addr == 0 {
		t, _ = s.processorThread(s.scope.cpu)
	}
	_, err := t.WOW64()
	return err == nil
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
