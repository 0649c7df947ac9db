package command

import (
	"context"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/arch/arm64"
	"kdap/engine/arch/x86"
	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/memory"
)

func savedContextCommands() []*Command {
	return []*Command{cmdTrap(), cmdCxr(), cmdEcxr(), cmdExr(), cmdTss()}
}

// resetSetContext is .cxr and .trap without an address.
func (s *Session) resetSetContext() {
	if s.scope.set {
		s.printf("Resetting default scope\n")
	}
	s.resetRegisters()
}

// contextAddress reads the address of a saved context; 0 when none is given.
func (s *Session) contextAddress(c *expr.Cursor) (uint64, error) {
	if c.Done() {
		return 0, nil
	}
	return s.number(c)
}

func cmdTrap() *Command {
	return &Command{
		Names: []string{".trap", "!trap"}, Args: "[Address]", Short: "use the registers of a trap frame",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			addr, err := s.contextAddress(c.Args)
			if err != nil {
				return err
			}
			if addr == 0 {
				s.resetSetContext()
				return nil
			}
			t, err := amd64.ReadTrapFrame(s.space(), addr, s.sys.TrapFrameLayout())
			if err != nil {
				s.notef("%v", err)
				return Tellf("Unable to read trap frame at %s", format.Addr(addr))
			}
			regs := t.Context()
			s.setRegisters(&regs)
			s.printf("NOTE: The trap frame does not contain all registers.\n" +
				"Some register values may be zeroed or incorrect.\n")
			// Segments are not shown: the frame has only two of them.
			s.showRegisters(ctx, &regs, maskInteger64)
			return nil
		},
	}
}

// canonicalError is what the engine says for a context record of another size.
const canonicalError = "Unable to convert context to canonical form, Win32 error 0n87"

func cmdCxr() *Command {
	return &Command{
		Names: []string{".cxr", "!cxr"}, Args: "[/f Size] [Address]", Short: "use the registers of a context record",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			record := s.contextRecord()
			size := uint64(record.size)
			for !c.Args.Done() && c.Args.Rest()[0] == '/' {
				c.Args.Pos++
				switch {
				case c.Args.Accept("f"):
					var err error
					if size, err = s.number(c.Args); err != nil {
						return err
					}
				case c.Args.Accept("w"):
				default:
					return expr.Caret("Syntax error", c.Args.Pos)
				}
			}
			addr, err := s.contextAddress(c.Args)
			switch {
			case err != nil:
				return err
			case addr == 0:
				s.resetSetContext()
				return nil
			case addr == ^uint64(0):
				return s.useException(ctx)
			case size != uint64(record.size):
				return Tellf(canonicalError)
			}
			b, err := memory.ReadBytes(s.space(), addr, record.size)
			if err != nil {
				s.notef("%v", err)
				return Tellf("Unable to read context, %s", s.unreadableStatus())
			}
			regs, err := record.parse(b)
			if err != nil {
				return err
			}
			s.setRegisters(regs)
			s.showRegisters(ctx, regs, s.settings.regMask)
			return nil
		},
	}
}

// A contextRecord is the CONTEXT of a machine.
type contextRecord struct {
	size  int
	parse func(b []byte) (arch.Registers, error)
}

// contextRecord returns that of the effective machine, where the dump is of
// it; a kernel's is always its own machine's.
func (s *Session) contextRecord() contextRecord {
	machine := s.ownMachine()
	if !s.debuggee.kernelMode() {
		machine = s.machine()
	}
	switch machine {
	case x86Machine:
		return contextRecord{x86.ContextSize, func(b []byte) (arch.Registers, error) { return x86.ParseContext(b) }}
	case arm64Machine:
		return contextRecord{arm64.ContextSize, func(b []byte) (arch.Registers, error) { return arm64.ParseContext(b) }}
	}
	return contextRecord{amd64.ContextSize, func(b []byte) (arch.Registers, error) { return amd64.ParseContext(b) }}
}

func cmdEcxr() *Command {
	return &Command{
		Names: []string{".ecxr", ".excr"}, Short: "use the registers of the exception (user dumps only)",
		Run: func(ctx context.Context, s *Session, _ *Call) error { return s.useException(ctx) },
	}
}

// useException makes the registers of the exception the register context.
func (s *Session) useException(ctx context.Context) error {
	regs, err := s.debuggee.exceptionRegisters()
	switch {
	case err != nil:
		s.notef("%v", err)
		return Tellf("Unable to get exception context, HRESULT 0x8000FFFF")
	case regs == nil:
		s.notef("a kernel dump has no exception context; the crash is the default context")
		return nil
	}
	s.setRegisters(regs)
	s.showRegisters(ctx, regs, s.settings.regMask)
	return nil
}

func cmdTss() *Command {
	return &Command{
		Names: []string{".tss", "!tss"}, Args: "[Selector]", Short: "use the registers of a 32-bit task segment",
		Run: func(_ context.Context, s *Session, c *Call) error {
			sel, err := s.contextAddress(c.Args)
			if err != nil || sel == 0 {
				return err
			}
			// A selector has 13 bits of index; the low three are privilege and table.
			if sel > 0xffff || !s.hasDescriptor(sel) {
				return Tellf("Unable to get descriptor for selector %x", uint32(sel))
			}
			return Tellf("%x is not a 32-bit TSS selector", sel)
		},
	}
}

// hasDescriptor reports whether the global descriptor table has an entry for
// the selector.
func (s *Session) hasDescriptor(sel uint64) bool {
	regs, err := s.specialRegisters()
	if err != nil {
		return false
	}
	return sel&^7+7 <= uint64(regs.GDTR.Limit)
}
