package command

import (
	"context"
	"fmt"
	"iter"
	"time"

	"kdap/engine"
	"kdap/engine/arch"
	"kdap/engine/dump"
	"kdap/engine/format"
	"kdap/engine/windows"
)

// A debuggee is what a session works on: the kernel of a dump with everything
// in it, or the one process of a user minidump. Commands that both have ask it
// for what differs; commands that only one has are in its vocabulary.
type debuggee interface {
	vocabulary() *vocabulary
	prompt(stop int) string

	loadingLine() string      // under "Loading Dump File"
	statusText() string       // what || says
	warnings() []dump.Warning // of the dump file
	printTarget(s *Session)   // what system it is
	printTimes(s *Session, offset time.Duration)
	printOpenTimes(s *Session)                   // the times that the opening tells
	printLoaded(ctx context.Context, s *Session) // what the opening says was loaded

	// event is what the dump was made for, and who it happened to, as .lastevent
	// writes it.
	event() (e dump.Exception, who string)
	// exceptionRegisters are the registers of .ecxr; nil where there are none.
	exceptionRegisters() (arch.Registers, error)
	// firstModule is the one whose symbols are loaded at the start, or nil.
	firstModule(ctx context.Context, s *Session) *windows.Module

	// process is the process context; teb and peb are the blocks of its thread
	// and its own, 0 for none.
	process(s *Session) (windows.Process, error)
	teb(s *Session) (uint64, error)
	peb(s *Session) (uint64, error)
	// threads are those of the process context.
	threads(ctx context.Context, s *Session) iter.Seq2[processThread, error]
	// threadClock is when thread n was created, a FILETIME, and how long it
	// ran; false where .ttime has nothing to say.
	threadClock(n int) (created uint64, times threadTimes, ok bool)

	// pseudo returns a pseudo-register that this kind has its own way.
	pseudo(name string) (pseudo, bool)
	// kernelMode tells that segments show: before the code of user mode, and in
	// the addresses of operands.
	kernelMode() bool
	registerMasks() registerMask
	machine() uint32 // of the dump, as IMAGE_FILE_MACHINE
}

func newDebuggee(t *engine.Target) debuggee {
	if u := t.System.User(); u != nil {
		return userDebuggee{u}
	}
	return kernelDebuggee{t}
}

// kernelDebuggee is the system of a kernel dump.
type kernelDebuggee struct{ t *engine.Target }

func (kernelDebuggee) vocabulary() *vocabulary { return &kernelVocabulary }

func (k kernelDebuggee) prompt(stop int) string {
	if k.t.System.ProcessorCount() <= 1 {
		return "kd> "
	}
	return fmt.Sprintf("%d: kd> ", stop)
}

func (k kernelDebuggee) loadingLine() string      { return k.t.Dump.Type().LoadingLine() }
func (k kernelDebuggee) statusText() string       { return k.t.Dump.Type().StatusText() }
func (k kernelDebuggee) warnings() []dump.Warning { return k.t.Dump.Warnings() }

// printTarget prints the lines that vertarget and the opening text begin with.
func (k kernelDebuggee) printTarget(s *Session) {
	h := k.t.Dump.Header
	s.printf("%s Kernel Version %d", systemName(h.MinorVersion), h.MinorVersion)
	if t, ok := k.t.Dump.Triage(); ok && t.Fields.ServicePackBuild != 0 {
		s.printf(" (Service Pack %d)", t.Fields.ServicePackBuild)
	}
	kind := "Free"
	if h.MajorVersion == checkedBuild {
		kind = "Checked"
	}
	s.printf(" %s %s %s\n", processorsText(h.NumberProcessors), kind, machineWords(h.MachineImageType))
	if h.HasProduct() {
		suite := h.SuiteMask
		if !h.HasSuiteMask() {
			suite = 0
		}
		s.printProduct(h.ProductType, suite)
	}
	if lab, err := s.sys.BuildLab(); err == nil && lab != "" {
		s.printf("Edition build lab: %s\n", visible(lab))
	}
	var base uint64
	if nt := s.sys.Nt(); nt != nil {
		base = nt.Base
	}
	list := h.PsLoadedModuleList
	if k := s.sys.KDBG(); k != nil && k.PsLoadedModuleList != 0 {
		list = k.PsLoadedModuleList
	}
	s.printf("Kernel base = 0x%s PsLoadedModuleList = 0x%s\n", format.Addr(base), format.Addr(list))
}

func (k kernelDebuggee) printOpenTimes(s *Session) { k.printTimes(s, 0) }

// printTimes prints when the dump was made, moved by an offset from UTC, and
// how long the system had run.
func (k kernelDebuggee) printTimes(s *Session, offset time.Duration) {
	h := k.t.Dump.Header
	switch {
	case !h.HasSystemTime():
	case !format.ValidFileTime(h.SystemTime):
		s.printf("Debug session time: ***** Invalid FILETIME\n")
	default:
		s.printf("Debug session time: %s\n", format.SessionTime(h.SystemTime, offset))
	}
	uptime := h.SystemUpTime
	if !h.HasSystemUpTime() {
		d, err := s.sys.Uptime()
		if err != nil {
			s.printf("System Uptime: not available\n")
			return
		}
		uptime = uint64(d / 100)
	}
	checked := ""
	if h.MajorVersion == checkedBuild {
		checked = " (checked kernels begin at 49 days)"
	}
	s.printf("System Uptime: %s%s\n", format.Uptime(uptime), checked)
}

func (k kernelDebuggee) printLoaded(ctx context.Context, s *Session) {
	if e, _ := k.event(); e.Code != exceptionBreakpoint && e.Code != exceptionWx86Breakpoint {
		s.printf("%s - code %08x (first/second chance not available)\n", exceptionWords(e.Code), e.Code)
	}
	s.printf("Loading Kernel Symbols\n")
	s.printDots(len(s.sys.KernelModules(ctx).All()))
	s.printf("Loading User Symbols\n\nLoading unloaded module list\n")
	unloaded := 0
	for _, err := range s.sys.UnloadedDrivers() {
		if err == nil {
			unloaded++
		}
	}
	s.printDots(unloaded)
	if nt := s.sys.Nt(); nt != nil {
		s.symbolsOf(ctx, nt)
	}
	s.printLoadErrors(ctx)
}

func (k kernelDebuggee) event() (dump.Exception, string) { return k.t.Dump.Header.Exception(), "" }

func (kernelDebuggee) exceptionRegisters() (arch.Registers, error) { return nil, nil }

func (k kernelDebuggee) firstModule(context.Context, *Session) *windows.Module {
	return k.t.System.Nt()
}

func (kernelDebuggee) process(s *Session) (windows.Process, error) {
	if s.scope.process.Addr() == 0 {
		return windows.Process{}, Tellf("Unable to get the current process data")
	}
	return s.scope.process, nil
}

func (kernelDebuggee) teb(s *Session) (uint64, error) { return s.scope.thread.TEB() }
func (kernelDebuggee) peb(s *Session) (uint64, error) { return s.scope.process.PEB() }

func (kernelDebuggee) pseudo(string) (pseudo, bool) { return nil, false }
func (kernelDebuggee) kernelMode() bool             { return true }
func (kernelDebuggee) registerMasks() registerMask  { return maskAll }

func (k kernelDebuggee) machine() uint32 { return k.t.Dump.Header.MachineImageType }

// exceptionWords names an exception.
func exceptionWords(code uint32) string {
	if name, ok := windows.ExceptionName(code); ok {
		return name
	}
	return "Unknown exception"
}

func processorsText(n uint32) string {
	if n == 1 {
		return "UP"
	}
	return fmt.Sprintf("MP (%d procs)", n)
}
