package command

import (
	"context"
	"fmt"

	"kdap/engine/arch/amd64"
	"kdap/engine/expr"
	"kdap/engine/memory"
)

// oldSpellingCommands are words that newer ones took the place of, and words of
// user dumps about structures that few programs have.
func oldSpellingCommands() []*Command {
	old := func(name, args, short, now string) *Command {
		return &Command{Names: []string{name}, Args: args, Short: short, Run: func(ctx context.Context, s *Session, c *Call) error {
			return s.runText(ctx, now+" "+c.restOfCall(), 0)
		}}
	}
	return []*Command{
		old("!kb", "[FrameCount]", "old spelling of kb", "kb"),
		old("!kv", "[FrameCount]", "old spelling of kv", "kv"),
		old("!dt", "Type [Address]", "old spelling of dt", "dt"),
		old("!do", "Type [Address]", "old spelling of dt", "dt"),
		{Names: []string{"!dml_proc"}, Args: "[Process]", Short: "list the processes with links, or show one", Run: runDMLProcess},
		{Names: []string{".fiber"}, Args: "[Address]", Short: "use the registers of a fiber; 0: back to the thread's", Run: runFiber},
		{Names: []string{".fpo"}, Args: "Address", Short: "show the frame data of a 32-bit function", Run: runFPO},
		cmdDMLFlow(),
		{Names: []string{".browse"}, Args: "Command", Short: "run a command, in WinDbg in a window of its own", Run: runBrowse},
		{Names: []string{"!version"}, Short: "show the version of the extension commands", Run: func(_ context.Context, s *Session, _ *Call) error {
			for _, g := range groups {
				s.printf("%s: built in, kdap %s\n", g, s.opts.Version)
			}
			return nil
		}},
	}
}

func runDMLProcess(ctx context.Context, s *Session, c *Call) error {
	if !c.Args.Done() {
		return s.runText(ctx, "!process "+c.restOfCall(), 0)
	}
	s.printf("Address          PID  Image file name\n")
	for p, err := range s.sys.ActiveProcesses(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return s.failure(err, "Unable to list the processes")
		}
		s.printf("%016x %-4s %s\n", p.Addr(), hexText("%x", p.PID), imageText(p))
	}
	return nil
}

// fiberContext is where a FIBER of 64-bit Windows keeps its CONTEXT: behind the
// pointers of its stack, aligned to 16. The first six members are its data,
// exception list, stack base, stack limit and the stack's allocation.
const fiberContext = 0x30

func runFiber(ctx context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		teb, err := s.currentBlock()
		if err != nil {
			return err
		}
		fiber, err := teb.Fiber()
		if err != nil {
			return s.failure(err, "Unable to read TEB")
		}
		if fiber == 0 {
			return Failf("The thread runs no fiber")
		}
		s.printf("Current fiber: %s\n", s.addressText(fiber))
		return nil
	}
	addr, err := s.address(c.Args)
	if err != nil {
		return err
	}
	if addr == 0 {
		s.resetRegisters()
		return nil
	}
	if s.ownMachine() != nativeMachine {
		return Failf("Fibers of this machine are not read")
	}
	b, err := memory.ReadBytes(s.space(), addr+fiberContext, amd64.ContextSize)
	if err != nil {
		return s.failure(err, fmt.Sprintf("Unable to read context, %s", s.unreadableStatus()))
	}
	regs, err := amd64.ParseContext(b)
	if err != nil {
		return err
	}
	s.setRegisters(regs)
	s.showRegisters(ctx, regs, s.settings.regMask)
	return nil
}

func runFPO(ctx context.Context, s *Session, c *Call) error {
	addr, err := s.number(c.Args)
	if err != nil {
		return err
	}
	m := s.moduleSet(ctx).Find(addr)
	if m == nil {
		return Failf("No FPO data for %s", s.addressText(addr))
	}
	if pdb := s.symbolsOf(ctx, m).PDB(); pdb != nil {
		rva := uint32(addr - m.Base)
		if f, ok := pdb.FPOAt(rva); ok {
			s.printf("FPO:       start %s, size %x, locals %x, params %x, prolog %x, saved registers %x, seh %t, uses ebp %t\n",
				s.addressText(m.Base+uint64(f.RVA)), f.Size, f.Locals, f.Params, f.Prolog, f.SavedRegs, f.HasSEH, f.UsesBP)
			return nil
		}
		if f, ok := pdb.FrameDataAt(rva); ok {
			s.printf("FrameData: start %s, size %x, locals %x, params %x, prolog %x, saved registers %x, seh %t\n           %s\n",
				s.addressText(m.Base+uint64(f.RVA)), f.Size, f.Locals, f.Params, f.Prolog, f.SavedRegs, f.HasSEH, f.Program)
			return nil
		}
	}
	return Failf("No FPO data for %s", s.addressText(addr))
}

// runBrowse runs the command here: a client has no window of its own for it.
func runBrowse(ctx context.Context, s *Session, c *Call) error {
	a := c.Args
	from, end := a.Pos, len(a.Text)
	if a.Done() {
		return expr.Caret("Syntax error", a.Pos)
	}
	text := a.Text[:end]
	a.Pos = end
	return s.runText(ctx, text, from)
}
