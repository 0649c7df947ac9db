package command

import (
	"context"
	"strings"

	"kdap/engine/windows"
)

func userLockCommands() []*Command {
	return []*Command{
		{
			Names: []string{"!cs"}, Args: "[-l] [-s] [-o] [Address | First Last | -d DebugInfo]",
			Short: "show critical sections of the process", Run: runCriticalSections,
		},
		{Names: []string{"!critsec"}, Args: "Address", Short: "show one critical section", Run: runCriticalSection},
		{
			Names: []string{"!ntsdexts.locks"}, Args: "[-v] [-o] [Address]",
			Short: "list the locked critical sections of the process, or with -v all", Run: runUserLocks,
		},
	}
}

// userLocksCommand is !locks in the dump of a process.
func userLocksCommand() *Command {
	return &Command{
		Names: []string{"!locks", "!ntsdexts.locks"}, Args: "[-v] [-o] [Address]",
		Short: "list the locked critical sections, or with -v all", Run: runUserLocks,
	}
}

// csRuler stands above every section of !cs.
var csRuler = strings.Repeat("-", 41)

// A csCall is what !cs was asked for.
type csCall struct {
	locked, owners, traces, debug bool
	bounds                        []uint64
}

func runCriticalSections(ctx context.Context, s *Session, c *Call) error {
	var call csCall
	for !c.Args.Done() {
		option, ok := c.Option()
		if !ok {
			v, err := s.extensionNumber(c)
			if err != nil {
				return err
			}
			call.bounds = append(call.bounds, v)
			continue
		}
		switch strings.ToLower(option) {
		case "l":
			call.locked = true
		case "o":
			call.owners = true
		case "s":
			call.traces = true
		case "d":
			call.debug = true
		case "t":
			return Failf("The tree of critical sections is Application Verifier's; it is not read")
		default:
			s.printf("Usage: !cs [-l] [-s] [-o] [Address | First Last | -d DebugInfo]\n")
			return nil
		}
	}
	b, err := s.processBlock()
	if err != nil {
		return err
	}
	if len(call.bounds) == 1 && !call.debug {
		cs, err := windows.ReadCriticalSection(s.space(), call.bounds[0], b.pointer)
		if err != nil {
			return s.failure(err, "Cannot read structure field value at the address, error 0")
		}
		return s.showSection(ctx, cs, call)
	}
	shown := 0
	for cs, err := range b.process.CriticalSections(ctx, b.peb, b.pointer) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.incomplete(err)
			continue
		}
		switch {
		case call.locked && !cs.Locked(),
			call.debug && len(call.bounds) > 0 && cs.DebugInfo != call.bounds[0],
			!call.debug && len(call.bounds) > 1 && (cs.Addr < call.bounds[0] || cs.Addr > call.bounds[1]):
			continue
		}
		shown++
		if err := s.showSection(ctx, cs, call); err != nil {
			return err
		}
	}
	if shown == 0 && call.debug {
		return Failf("No critical section has this debug information")
	}
	return nil
}

// sectionName is a section's symbol, with the offset always: "(m!Lock+0x0)".
func (s *Session) sectionName(ctx context.Context, va uint64) string {
	name := s.symbolText(ctx, va)
	if name != "" && !strings.Contains(name, "+0x") {
		name += "+0x0"
	}
	return name
}

func (s *Session) showSection(ctx context.Context, cs windows.CriticalSection, call csCall) error {
	digits := 2 * s.userPointer()
	s.printf("%s\n", csRuler)
	s.printf("Critical section   = 0x%0*x", digits, cs.Addr)
	if name := s.sectionName(ctx, cs.Addr); name != "" {
		s.printf(" (%s)", name)
	}
	s.printf("\nDebugInfo          = 0x%0*x\n", digits, cs.DebugInfo)
	if cs.Locked() {
		woken := "No"
		if cs.WaiterWoken() {
			woken = "Yes"
		}
		s.printf("LOCKED\nLockCount          = 0x%X\nWaiterWoken        = %s\nOwningThread       = 0x%0*x\nRecursionCount     = 0x%X\n",
			cs.Waiters(), woken, digits, cs.Owner, uint32(cs.Recursion))
	} else {
		s.printf("NOT LOCKED\n")
	}
	s.printf("LockSemaphore      = 0x%X\nSpinCount          = 0x%0*x\n", cs.Semaphore, digits, cs.Spin)
	if call.owners && cs.Locked() {
		if err := s.showOwner(ctx, cs.Owner); err != nil {
			return err
		}
	}
	if call.traces {
		s.printf("\nStack trace for DebugInfo = 0x%0*x:\n\n", digits, cs.DebugInfo)
		s.notef("the stack trace database of the process (index %#x) is not read", cs.CreatorBackTrace)
	}
	return nil
}

// showOwner prints the stack of the thread that owns a section.
func (s *Session) showOwner(ctx context.Context, tid uint64) error {
	for t, err := range s.debuggee.threads(ctx, s) {
		if err != nil {
			s.notef("%v", err)
			break
		}
		if t.tid != tid {
			continue
		}
		s.printf("\nOwningThread Stack =\n")
		return s.printThreadStack(ctx, t, maxFrames)
	}
	s.printf("\nOwningThread is not a thread of the process\n")
	return ctx.Err()
}

// printThreadStack prints a thread's stack with return addresses.
func (s *Session) printThreadStack(ctx context.Context, t processThread, limit int) error {
	st, err := t.stack(ctx, limit)
	if err != nil {
		s.notef("thread %x: %v", t.tid, err)
		s.printf("Unable to get the thread's stack\n")
		return nil
	}
	s.printf(" # Child-SP          RetAddr               Call Site\n")
	for i, f := range st.Frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.printf("%s %s %s     %s\n", frameNumber(i), s.addressText(f.SP), s.addressText(f.Return), s.frameName(ctx, f))
	}
	return nil
}

func runCriticalSection(ctx context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		s.printf("Usage: !critsec Address\n")
		return nil
	}
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	cs, err := windows.ReadCriticalSection(s.space(), addr, s.userPointer())
	if err != nil {
		return s.failure(err, "Unable to read the critical section")
	}
	s.showLock(ctx, cs)
	return nil
}

// showLock prints a section as the extensions for user code do.
func (s *Session) showLock(ctx context.Context, cs windows.CriticalSection) {
	name := s.symbolText(ctx, cs.Addr)
	if name != "" && !strings.Contains(name, "+") {
		name += "+0"
	}
	if name != "" {
		name += " "
	}
	s.printf("\nCritSec %sat %0*x\n", name, 2*s.userPointer(), cs.Addr)
	if cs.Locked() {
		woken := "No"
		if cs.WaiterWoken() {
			woken = "Yes"
		}
		s.printf("WaiterWoken        %s\nLockCount          %d\n", woken, cs.Waiters())
	} else {
		s.printf("LockCount          NOT LOCKED\n")
	}
	s.printf("RecursionCount     %d\nOwningThread       %x\n", cs.Recursion, cs.Owner)
	if cs.HasDebug {
		s.printf("EntryCount         %x\nContentionCount    %x\n", cs.Entries, cs.Contentions)
	}
	if cs.Locked() {
		s.printf("*** Locked\n")
	}
}

func runUserLocks(ctx context.Context, s *Session, c *Call) error {
	var all, orphans bool
	for !c.Args.Done() {
		option, ok := c.Option()
		if !ok {
			return runCriticalSection(ctx, s, c)
		}
		all, orphans = all || option == "v", orphans || option == "o"
		if option != "v" && option != "o" {
			s.printf("Usage: !locks [-v] [-o] [Address]\n")
			return nil
		}
	}
	b, err := s.processBlock()
	if err != nil {
		return err
	}
	owners := map[uint64]bool{}
	if orphans {
		for t, err := range s.debuggee.threads(ctx, s) {
			if err != nil {
				s.notef("%v", err)
				break
			}
			owners[t.tid] = true
		}
	}
	scanned := 0
	for cs, err := range b.process.CriticalSections(ctx, b.peb, b.pointer) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.incomplete(err)
			continue
		}
		scanned++
		if !all && !cs.Locked() {
			continue
		}
		s.showLock(ctx, cs)
		if orphans && cs.Locked() && !owners[cs.Owner] {
			s.printf("*** Orphaned: no thread of the process has this id\n")
		}
	}
	s.printf("\nScanned %d critical sections\n", scanned)
	return nil
}
