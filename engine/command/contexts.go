package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/windows"
)

func contextCommands() []*Command {
	return []*Command{cmdProcess(), cmdThread()}
}

// letterOptions reads the options of the context commands: one letter behind
// each / or -. A letter that is not among known is complained about, and the
// command goes on without it.
func (s *Session) letterOptions(c *expr.Cursor, known string) (given map[byte]bool) {
	given = map[byte]bool{}
	for {
		c.SkipBlanks()
		rest := c.Rest()
		if len(rest) < 2 || rest[0] != '/' && rest[0] != '-' {
			return given
		}
		c.Pos += 2
		if strings.IndexByte(known, rest[1]) < 0 {
			s.printf("Unknown option '%c'\n", rest[1])
			continue
		}
		given[rest[1]] = true
	}
}

func cmdProcess() *Command {
	return &Command{
		Names: []string{".process"}, Args: "[/p [/r]] [/P] [Process]",
		Short: "choose the process whose memory and modules other commands see",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			opt := s.letterOptions(c.Args, "iprP")
			addr, _, err := s.optionalNumber(c)
			if err != nil {
				return err
			}
			if opt['i'] {
				return Tellf("This operation only works on live kernel debug sessions")
			}
			p, err := s.processOrDefault(addr)
			if err != nil {
				return err
			}
			s.setProcess(p)
			s.printf("Implicit process is now %s\n", format.Addr(p.Addr()))
			if opt['r'] && (opt['p'] || opt['P']) {
				s.reloadUser(ctx, p)
			}
			return nil
		},
	}
}

// processOrDefault returns the process at addr or, for 0, that of the current
// processor's thread.
func (s *Session) processOrDefault(addr uint64) (windows.Process, error) {
	if addr == 0 {
		t, p := s.processorThread(s.scope.cpu)
		if p.Addr() == 0 || s.scope.dtb != nil && !s.sessionCanRead(t.ProcessField()) {
			s.printf("Unable to read KTHREAD address %016x\n", t.ProcessField())
			return p, Tellf("Unable to get the current process data")
		}
		return p, nil
	}
	p := s.sys.Process(addr)
	if s.scope.dtb != nil && !s.sessionCanRead(addr) || !p.HasPageDirectories() {
		return p, Tellf("Process %s has invalid page directories", format.Addr(addr))
	}
	return p, nil
}

// reloadUser makes the modules of p the user modules and tells so.
func (s *Session) reloadUser(ctx context.Context, p windows.Process) {
	s.settle(ctx) // what was loaded for the modules until now is forgotten with them
	s.printf("Loading User Symbols\n")
	set := s.modules.loadUser(ctx, p)
	peb, err := p.PEB()
	switch {
	case err != nil && !s.sys.Paged():
		s.printf("Unable to get PEB pointer\n")
	case err != nil || peb == 0 && !p.IsSystem():
		s.printf("PEB address is NULL !\n")
	case s.tellPagedOutPEB(p, len(set.All())):
	default:
		s.printDots(len(set.All()))
		s.printLoadErrors(ctx)
	}
}

// tellPagedOutPEB prints WinDbg's line about a PEB that is paged out; modules
// counts those that are known without it. It reports whether it was needed.
func (s *Session) tellPagedOutPEB(p windows.Process, modules int) bool {
	if p.Addr() == 0 {
		return false
	}
	peb, err := p.PEB()
	if err != nil || peb == 0 || !p.PEBPagedOut() {
		return false
	}
	s.printf("PEB is paged out (Peb.Ldr = %s).  Type \".hh dbgerr001\" for details\n", format.Addr(p.LdrField(peb)))
	if modules > 0 {
		s.notef("%d user modules are known by the process's VADs", modules)
	}
	return true
}

// dotsInLine is how many modules a line of progress dots stands for.
const dotsInLine = 64

func (s *Session) printDots(n int) {
	for ; n > dotsInLine; n -= dotsInLine {
		s.printf("%s\n", strings.Repeat(".", dotsInLine))
	}
	s.printf("%s\n", strings.Repeat(".", n))
}

func cmdThread() *Command {
	return &Command{
		Names: []string{".thread"}, Args: "[/p [/r]] [/P] [/w] [Thread]",
		Short: "choose the thread whose registers other commands see",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			opt := s.letterOptions(c.Args, "prPw")
			addr, _, err := s.optionalNumber(c)
			if err != nil {
				return err
			}
			if s.machine() == x86Machine && s.contextMachine() == x86Machine && !s.hasX86(addr) {
				return nil // as the debugger has it, until .effmach amd64
			}
			t, err := s.setThread(ctx, addr)
			if err != nil {
				return err
			}
			if s.machine() == x86Machine && !opt['w'] {
				_ = s.enterX86(ctx) // without 32-bit code there is nothing to enter
			}
			if opt['w'] {
				defer s.setX86Thread(ctx)
			}
			s.printf("Implicit thread is now %s\n", format.Addr(t.Addr()))
			if !opt['p'] && !opt['P'] {
				return nil
			}
			p, err := t.Process()
			if err != nil { // without types only the process it runs in is known
				p, err = t.AttachedProcess()
			}
			if err != nil {
				return Tellf("Unable to get the current process data")
			}
			if s.scope.set {
				s.setProcess(p)
			} else if p, err = s.processOrDefault(0); err != nil {
				return err
			}
			s.printf("Implicit process is now %s\n", format.Addr(p.Addr()))
			if opt['r'] {
				s.reloadUser(ctx, p)
			}
			return nil
		},
	}
}

// setThread makes the registers of the thread at addr the register context; 0
// goes back to the current processor's.
func (s *Session) setThread(ctx context.Context, addr uint64) (windows.Thread, error) {
	if addr == 0 {
		t, _ := s.processorThread(s.scope.cpu)
		s.scope.thread = t
		s.resetRegisters()
		return t, nil
	}
	t := s.sys.Thread(addr)
	kind, err := t.DispatcherType()
	if err != nil || s.scope.dtb != nil && !s.sessionCanRead(addr) {
		return t, Tellf("Cannot read thread type from thread %s, %s", format.Addr(addr), s.unreadableStatus())
	}
	if kind != windows.DispatcherThread {
		return t, Tellf("Invalid thread @ %s type - context unchanged.", format.Addr(addr))
	}
	regs, err := t.Registers(ctx)
	if err != nil {
		if errors.Is(err, windows.ErrNotResident) {
			s.notef("%v", err)
		}
		return t, Tellf("Can't retrieve thread context, %s", s.unreadableStatus())
	}
	s.scope.thread = t
	s.setRegisters(regs)
	s.scope.ofOther = false
	return t, nil
}

// unreadableStatus is what the engine says of memory that is not there:
// STATUS_NO_PAGEFILE, or ERROR_READ_FAULT where a dump has no page tables.
func (s *Session) unreadableStatus() string {
	if !s.sys.Paged() {
		return "Win32 error 0n30"
	}
	return "NTSTATUS 0xC0000147"
}

// printLoadErrors prints the summary of the modules whose symbols were asked
// for and not found.
func (s *Session) printLoadErrors(ctx context.Context) {
	var failed []*windows.Module
	for _, m := range s.moduleSet(ctx).All() {
		if s.modules.state(m).failed {
			failed = append(failed, m)
		}
	}
	if len(failed) == 0 {
		return
	}
	s.printf("\n************* Symbol Loading Error Summary **************\nModule name            Error\n")
	for _, m := range failed {
		s.printf("%-22s %s\n", m.SummaryName(), "The system cannot find the file specified")
	}
	s.printf("\nYou can troubleshoot most symbol related issues by turning on symbol loading diagnostics (!sym noisy)" +
		" and repeating the command that caused symbols to be loaded.\n" +
		"You should also verify that your symbol search path (.sympath) is correct.\n")
}

// frameNumber is how frames are numbered: two hexadecimal digits at least.
func frameNumber(n int) string { return fmt.Sprintf("%02x", n) }
