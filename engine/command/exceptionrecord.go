package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kdap/engine/dump"
	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

func eventCommands() []*Command {
	return []*Command{cmdBugcheck(), cmdLastEvent(), cmdEventLog(), cmdTime(), cmdTtime(), cmdTlist()}
}

// Exception codes whose parameters are explained.
const (
	codeAccessViolation = 0xc0000005
	codeInPageError     = 0xc0000006
)

func cmdExr() *Command {
	return &Command{
		Names: []string{".exr", "!exr"}, Args: "Address | -1", Short: "show an exception record; -1: of the last event",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			addr, err := s.number(c.Args)
			if err != nil {
				return err
			}
			if addr == ^uint64(0) {
				s.showException(ctx, s.exception())
				return nil
			}
			size := dump.ExceptionSize
			if s.machine() == x86Machine {
				size = exception32Size
			}
			b, err := memory.ReadBytes(s.space(), addr, size)
			switch {
			case err != nil:
				s.notef("%v", err)
				return Tellf("Cannot read Exception record @ %s", s.wholeAddress(addr))
			case s.machine() == x86Machine:
				s.showException(ctx, parseException32(b))
			default:
				s.showException(ctx, dump.ParseException(b))
			}
			return nil
		},
	}
}

func (s *Session) showException(ctx context.Context, e dump.Exception) {
	name := ""
	if text := s.exceptionPlace(ctx, e.Address); text != "" {
		name = " (" + text + ")"
	}
	s.printf("ExceptionAddress: %s%s\n", s.wholeAddress(e.Address), name)
	what := ""
	if text, ok := windows.ExceptionName(e.Code); ok {
		what = " (" + text + ")"
	}
	s.printf("   ExceptionCode: %08x%s\n  ExceptionFlags: %08x\nNumberParameters: %d\n",
		e.Code, what, e.Flags, e.NumberParameters)
	shown := e.Information[:min(int64(e.NumberParameters), int64(len(e.Information)))]
	for i, p := range shown {
		s.printf("   Parameter[%d]: %s\n", i, s.wholeAddress(p))
	}
	if len(shown) < 2 {
		return
	}
	switch {
	case e.Code == codeAccessViolation && shown[0] == 0:
		s.printf("Attempt to read from address %s\n", s.wholeAddress(shown[1]))
	case e.Code == codeAccessViolation && shown[0] == 1:
		s.printf("Attempt to write to address %s\n", s.wholeAddress(shown[1]))
	case e.Code == codeAccessViolation && shown[0] == 8:
		s.printf("Attempt to execute non-executable address %s\n", s.wholeAddress(shown[1]))
	case e.Code == codeInPageError && len(shown) > 2:
		s.printf("Inpage operation failed at %s, due to I/O error %s\n", s.wholeAddress(shown[1]), s.wholeAddress(shown[2]))
	}
}

// wholeAddress writes an address with all digits of the effective machine.
func (s *Session) wholeAddress(va uint64) string {
	if s.machine() == x86Machine {
		return format.Addr32(va)
	}
	return format.Hex16(va)
}

// exceptionPlace names the address of an exception. Without symbols the
// distance from the module has all its digits.
func (s *Session) exceptionPlace(ctx context.Context, va uint64) string {
	if p, ok := s.place(ctx, va); ok && p.Name == "" {
		return fmt.Sprintf("%s+0x%s", p.Module.Name, format.Hex16(p.Offset))
	}
	return s.symbolText(ctx, va)
}

func cmdBugcheck() *Command {
	return &Command{
		Names: []string{".bugcheck"}, Short: "show the bug check's code and parameters",
		Run: func(_ context.Context, s *Session, _ *Call) error {
			b := s.sys.BugCheck()
			s.printf("Bugcheck code %08X\nArguments", b.Code)
			for _, p := range b.Params {
				s.printf(" %s", format.Addr(p))
			}
			s.printf("\n")
			return nil
		},
	}
}

// printLastEvent prints what stopped the system, named with its thread if
// asked for, and the host's clock.
func (s *Session) printLastEvent(named bool) {
	e, who := s.debuggee.event()
	if !named {
		who = ""
	}
	s.printf("Last event: %s%s - code %08x (first/second chance not available)\n", who, exceptionWords(e.Code), e.Code)
	s.printf("  debugger time: %s\n", hostTime())
}

// hostTime is the clock of the computer the session runs on.
func hostTime() string {
	now := time.Now()
	_, offset := now.Zone()
	return format.SessionTime(uint64(now.UnixNano()/100)+unixEpoch, time.Duration(offset)*time.Second)
}

// unixEpoch is 1 January 1970 as a FILETIME.
const unixEpoch = 116444736000000000

func cmdLastEvent() *Command {
	return &Command{
		Names: []string{".lastevent"}, Short: "show what stopped the system",
		Run: func(_ context.Context, s *Session, _ *Call) error {
			s.printLastEvent(true)
			return nil
		},
	}
}

func cmdEventLog() *Command {
	return &Command{
		Names: []string{".eventlog"}, Short: "show the latest events: in a dump the last one",
		Run: func(_ context.Context, s *Session, _ *Call) error {
			s.printf("Event log is empty\n")
			s.printLastEvent(false)
			return nil
		},
	}
}

func cmdTime() *Command {
	return &Command{
		Names: []string{".time"}, Args: "[-h Hours]", Short: "show when the system stopped and how long it had run",
		Run: func(_ context.Context, s *Session, c *Call) error {
			a := c.Args
			a.SkipBlanks()
			hours := uint64(0)
			if a.Accept("-h") || a.Accept("/h") {
				const noun = "Hour adjustment"
				if a.SkipBlanks(); strings.HasPrefix(a.Rest(), "-") {
					return expr.Quote(noun+" missing from", a, a.Pos)
				}
				var err error
				if hours, err = expr.Evaluate(s.env(), a, expr.DefaultKind, noun); err != nil {
					return err
				}
			}
			s.debuggee.printTimes(s, time.Duration(min(hours, maxHours))*time.Hour)
			return nil
		},
	}
}

// maxHours bounds what .time adds.
const maxHours = 1 << 20

func cmdTtime() *Command {
	return &Command{
		Names: []string{".ttime"}, Short: "show a thread's times (user dumps only)",
		Run: func(_ context.Context, s *Session, _ *Call) error {
			created, times, ok := s.debuggee.threadClock(s.scope.cpu)
			if !ok {
				s.printf("Thread times not available\n")
				return nil
			}
			s.printf("Created: %s\nKernel:  %s\nUser:    %s\n", format.SessionTime(created, 0), runText(times.kernel), runText(times.user))
			return nil
		},
	}
}
