package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kdap/engine/arch"
	"kdap/engine/dump"
	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/windows"
)

// userDebuggee is the process of a user minidump.
type userDebuggee struct{ *windows.UserProcess }

func (userDebuggee) vocabulary() *vocabulary { return &userVocabulary }

func (userDebuggee) prompt(stop int) string { return fmt.Sprintf("0:%03d> ", stop) }

func (u userDebuggee) loadingLine() string      { return u.File().LoadingLine() }
func (u userDebuggee) statusText() string       { return u.File().StatusText() }
func (u userDebuggee) warnings() []dump.Warning { return u.File().Warnings() }

// servicePack is the number in "Service Pack 1", 0 without one.
func servicePack(csd string) (n int) {
	fmt.Sscanf(csd, "Service Pack %d", &n)
	return n
}

func (u userDebuggee) printTarget(s *Session) {
	if sys := u.File().System; sys != nil {
		s.printf("%s Version %d", systemName(sys.BuildNumber), sys.BuildNumber)
		if n := servicePack(sys.CSDVersion); n != 0 {
			s.printf(" (Service Pack %d)", n)
		}
		s.printf(" %s Free %s\n", processorsText(uint32(sys.NumberOfProcessors)), machineWords(u.Machine()))
		if sys.ProductType != 0 {
			s.printProduct(uint32(sys.ProductType), uint32(sys.SuiteMask))
		}
	}
	if m := u.File().Misc; m != nil && m.BuildString != "" {
		s.printf("Edition build lab: %s\n", visible(m.BuildString))
	}
}

func (u userDebuggee) printOpenTimes(s *Session) { u.printClock(s, 0) }

// printClock prints when the dump was made and how long the process had run.
func (u userDebuggee) printClock(s *Session, offset time.Duration) {
	stamp := uint64(u.File().TimeDateStamp)
	s.printf("Debug session time: %s\n", format.SessionTime(unixEpoch+stamp*ticksPerSecond, offset))
	s.printf("System Uptime: not available\n")
	if m := u.File().Misc; u.HasTimes() && stamp >= uint64(m.CreateTime) {
		s.printf("Process Uptime: %s\n", format.Uptime((stamp-uint64(m.CreateTime))*ticksPerSecond))
	} else {
		s.printf("Process Uptime: not available\n")
	}
}

// ticksPerSecond is how many units of a FILETIME a second has.
const ticksPerSecond = 10000000

func (u userDebuggee) printTimes(s *Session, offset time.Duration) {
	u.printClock(s, offset)
	if m := u.File().Misc; u.HasTimes() {
		s.printf("  Kernel time: %s\n  User time: %s\n",
			format.Uptime(uint64(m.KernelTime)*ticksPerSecond), format.Uptime(uint64(m.UserTime)*ticksPerSecond))
	}
}

func (u userDebuggee) printLoaded(ctx context.Context, s *Session) {
	s.printDots(len(s.moduleSet(ctx).All()))
	e := u.File().Exception
	if e == nil {
		return
	}
	what := "an exception of interest"
	if e.Code == exceptionBreakpoint || e.Code == exceptionWx86Breakpoint {
		what = "a breakpoint exception"
	}
	s.printf("This dump file has %s stored in it.\nThe stored exception information can be accessed via .ecxr.\n", what)
	if e.Code != exceptionBreakpoint && e.Code != exceptionWx86Breakpoint {
		pid, _ := u.PID()
		s.printf("(%x.%x): %s - code %08x (first/second chance not available)\n", pid, e.ThreadID, exceptionWords(e.Code), e.Code)
	}
}

func (u userDebuggee) event() (e dump.Exception, who string) {
	pid, _ := u.PID()
	if x := u.File().Exception; x != nil {
		return x.Exception, fmt.Sprintf("%x.%x: ", pid, x.ThreadID)
	}
	return e, ""
}

func (u userDebuggee) exceptionRegisters() (arch.Registers, error) { return u.ExceptionRegisters() }

// firstModule is the module that the event's thread ran in.
func (u userDebuggee) firstModule(ctx context.Context, s *Session) *windows.Module {
	regs, err := s.sys.StopRegisters(s.sys.CrashStop())
	if err != nil {
		return nil
	}
	return s.moduleSet(ctx).Find(regs.ProgramCounter())
}

func (u userDebuggee) machine() uint32 { return u.Machine() }

func (userDebuggee) kernelMode() bool { return false }

func (userDebuggee) registerMasks() registerMask {
	return maskAll &^ (maskControl | maskDescriptor)
}

// userPseudos are the pseudo-registers that a process has its own way.
var userPseudos = map[string]pseudo{
	"$proc":     none,
	"$pcr":      none,
	"$prcb":     none,
	"$bug_code": none,
	"$teb":      plain(func(s *Session) (uint64, error) { return s.scope.thread.Addr(), nil }),
	"$thread":   plain(func(s *Session) (uint64, error) { return s.scope.thread.Addr(), nil }),
	"$peb":      plain(func(s *Session) (uint64, error) { return s.debuggee.peb(s) }),
	"$tid": plain(func(s *Session) (uint64, error) {
		_, tid, err := s.sys.User().ClientID(s.scope.thread.Addr())
		return tid, err
	}),
	"$tpid": plain(func(s *Session) (uint64, error) {
		pid, _, err := s.sys.User().ClientID(s.scope.thread.Addr())
		return pid, err
	}),
	"$exentry": of(codePointer, (*Session).programEntry),
}

func (userDebuggee) pseudo(name string) (pseudo, bool) {
	if strings.HasPrefix(name, "$bug_") {
		return none, true
	}
	p, ok := userPseudos[name]
	return p, ok
}

func (u userDebuggee) process(*Session) (windows.Process, error) { return u.Process(), nil }
func (userDebuggee) teb(s *Session) (uint64, error)              { return s.scope.thread.Addr(), nil }

func (u userDebuggee) peb(s *Session) (uint64, error) { return u.PEBOf(s.scope.thread.Addr()) }

// programEntry is the entry point of the process's program.
func (s *Session) programEntry() (uint64, error) {
	mods := s.moduleSet(s.ctx).Listed()
	if len(mods) == 0 {
		return 0, expr.ErrUnavailable
	}
	img, err := mods[0].Image()
	if err != nil {
		return 0, err
	}
	return mods[0].Base + uint64(img.AddressOfEntryPoint), nil
}
