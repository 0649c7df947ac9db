package command

import (
	"context"

	"kdap/engine/arch/amd64"
	"kdap/engine/arch/x86"
	"kdap/engine/windows"
)

// The commands of the WOW64 extension. Their texts are those of public
// transcripts of sessions with it.
func wow64Commands() []*Command {
	return []*Command{
		{
			Names: []string{"!wow64exts.sw", "!sw"}, Short: "switch between the 32-bit and the 64-bit side of a WOW64 thread",
			Run: runWow64Switch,
		},
		{
			Names: []string{"!wow64exts.k"}, Args: "[FrameCount]", Short: "show the 64-bit and the 32-bit stack of a WOW64 thread",
			Run: runWow64Stack,
		},
		{
			Names: []string{"!wow64exts.info"}, Short: "show where a WOW64 process and thread keep their 32-bit blocks",
			Run: runWow64Info,
		},
		{
			Names: []string{"!wow64exts.r"}, Args: "[Address]", Short: "show the 32-bit registers of a WOW64 thread, or a 32-bit context at an address",
			Run: runWow64Registers,
		},
	}
}

// wow64Side returns the 32-bit side of the current thread.
func (s *Session) wow64Side() (*windows.WOW64Thread, error) {
	side, err := s.scope.thread.WOW64()
	if err != nil {
		s.notef("%v", err)
		return nil, Failf("The current thread doesn't have an x86 context.")
	}
	return side, nil
}

func runWow64Switch(ctx context.Context, s *Session, _ *Call) error {
	if s.machine() == x86Machine && s.ownMachine() != x86Machine {
		s.setMachine(ctx, s.ownMachine())
		s.printf("Switched to Host mode\n")
		return nil
	}
	if _, err := s.wow64Side(); err != nil {
		return err
	}
	s.setMachine(ctx, x86Machine)
	s.printf("Switched to Guest (WoW) mode\n")
	return nil
}

func runWow64Stack(ctx context.Context, s *Session, c *Call) error {
	count := uint64(s.settings.kframes)
	if !c.Args.Done() {
		var err error
		if count, err = s.number(c.Args); err != nil {
			return err
		}
	}
	if _, err := s.wow64Side(); err != nil {
		return err
	}
	before, machine := s.scope, s.settings.machine
	defer func() { s.scope, s.settings.machine = before, machine }()
	for _, part := range []struct{ machine, title string }{
		{nativeMachine, "Walking 64bit Stack..."}, {x86Machine, "\nWalking 32bit Stack..."},
	} {
		s.setMachine(ctx, part.machine)
		s.printf("%s\n", part.title)
		regs, err := s.anyRegisters()
		if err == nil {
			err = s.printStack(ctx, stackView{}, regs, int(min(count, maxFrames)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wow64SlotNames are the TLS slots of a 64-bit thread that WOW64 uses.
var wow64SlotNames = [windows.WOW64Slots]string{
	"STACKPTR64", "CPURESERVED", "INCPUSIMULATION", "LOCALTHREADHEAP", "EXCEPTIONADDR", "USERCALLBACKDATA",
	"EXTENDED_FLOAT", "APCLIST", "FILESYSREDIR", "LASTWOWCALL", "WOW64INFO",
}

func runWow64Info(_ context.Context, s *Session, _ *Call) error {
	side, err := s.wow64Side()
	if err != nil {
		return err
	}
	peb32, err := side.PEB32()
	if err != nil {
		s.notef("PEB32: %v", err)
	}
	peb, err := s.debuggee.peb(s) // of a minidump's one process
	if p, perr := s.scope.thread.Process(); perr == nil {
		peb, err = p.PEB()
	}
	if err != nil {
		s.notef("PEB: %v", err)
	}
	s.printf("PEB32: 0x%x\nPEB64: 0x%x\n\nWow64 information for current thread:\n\nTEB32: 0x%x\nTEB64: 0x%x\n\n", peb32, peb, side.TEB32, side.TEB)
	narrow, wide, err := side.Stacks(s.sys)
	if err != nil {
		s.notef("values shown as 0 could not be read: %v", err)
	}
	for _, r := range []struct {
		bits int
		at   windows.StackRange
	}{{32, narrow}, {64, wide}} {
		s.printf("%d bit, StackBase   : 0x%x\n        StackLimit  : 0x%x\n        Deallocation: 0x%x\n\n", r.bits, r.at.Base, r.at.Limit, r.at.Deallocation)
	}
	s.printf("Wow64 TLS slots:\n\n")
	for i, v := range side.Slots {
		s.printf("%-27s 0x%016x\n", "WOW64_TLS_"+wow64SlotNames[i]+":", v)
	}
	return nil
}

func runWow64Registers(ctx context.Context, s *Session, c *Call) error {
	var regs *x86.Context
	if c.Args.Done() {
		if _, err := s.wow64Side(); err != nil {
			return err
		}
		var err error
		if regs, err = s.scope.thread.Registers32(ctx); err != nil {
			s.notef("%v", err)
			return Failf("The current thread doesn't have an x86 context.")
		}
	} else {
		at, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		b := make([]byte, x86.ContextSize)
		if n, err := s.space().Read(at, b); n < x86.ContextMinimum {
			s.notef("%v", err)
			return Failf("Unable to read context, %s", s.unreadableStatus())
		} else if n < len(b) {
			b = b[:x86.ContextMinimum]
		}
		if regs, err = x86.ParseContext(b); err != nil {
			return err
		}
	}
	s.showX86(&regs.Context)
	s.printSelectors(&regs.Context)
	return nil
}

// printSelectors prints the segment registers and the flags as a number.
func (s *Session) printSelectors(c *amd64.Context) {
	s.printf("cs=%04x  ss=%04x  ds=%04x  es=%04x  fs=%04x  gs=%04x             efl=%08x\n",
		c.CS, c.SS, c.DS, c.ES, c.FS, c.GS, c.EFlags)
}
