package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/format"
	"kdap/engine/windows"
)

func lockCommands() []*Command {
	return []*Command{cmdLocks(), cmdDeadlock(), cmdQlocks()}
}

func cmdLocks() *Command {
	return &Command{
		Names: []string{"!locks"}, Args: "[-v] [-p] [-d] [Address]",
		Short: "list the executive resources that are held, with owners and waiters",
		Run:   runLocks,
	}
}

type lockOptions struct {
	threads bool // -v: each owner as !thread shows it
	all     bool // -d, -p: also those that nobody holds
}

func runLocks(ctx context.Context, s *Session, c *Call) error {
	var o lockOptions
	for {
		letters, ok := c.Option()
		if !ok {
			break
		}
		switch letters {
		case "v":
			o.threads = true
		case "d", "p":
			o.all = true
		default:
			return Failf("!locks: unknown option -%s", letters)
		}
	}
	if !c.Args.Done() {
		addr, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		if addr != 0 {
			return s.showOneLock(ctx, addr, o)
		}
	}
	return s.showLocks(ctx, o)
}

func (s *Session) showOneLock(ctx context.Context, addr uint64, o lockOptions) error {
	r, err := s.sys.Resource(ctx, addr)
	if err != nil {
		s.notef("%v", err)
		return Failf("%016x is not a valid resource", addr)
	}
	s.printf("\n")
	if err := s.showResource(ctx, r, o); err != nil {
		return err
	}
	held := 0
	if r.Held() {
		held = 1
	}
	s.printf("1 total locks, %d locks currently held\n", held)
	return nil
}

// dotEvery is the number of resources for which one dot shows progress.
const dotEvery = 32

func (s *Session) showLocks(ctx context.Context, o lockOptions) error {
	const scanning = "KD: Scanning for held locks"
	s.printf("**** DUMP OF ALL RESOURCE OBJECTS ****\n%s", scanning)
	total, held := 0, 0
	for r, err := range s.sys.Resources(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			break
		}
		if total%dotEvery == 0 {
			s.printf(".")
		}
		total++
		if r.Held() {
			held++
		} else if !o.all {
			continue
		}
		s.printf("\n\n")
		if err := s.showResource(ctx, r, o); err != nil {
			return err
		}
		s.printf("\n%s", scanning)
	}
	s.printf("\n%d total locks, %d locks currently held\n", total, held)
	return nil
}

func (s *Session) showResource(ctx context.Context, r windows.Resource, o lockOptions) error {
	state := "Available"
	switch {
	case r.Held() && r.Exclusive:
		state = "Exclusively owned"
	case r.Held():
		state = fmt.Sprintf("Shared %d owning threads", len(r.Owners))
	}
	place := fmt.Sprintf("0x%016x", r.Addr)
	if name := s.symbolText(ctx, r.Addr); name != "" {
		place = name + " (" + place + ")"
	}
	s.printf("Resource @ %s    %s\n", place, state)
	for _, n := range []struct {
		label string
		value uint64
	}{
		{"Contention Count", r.Contention},
		{"NumberOfSharedWaiters", r.NumberOfSharedWaiters},
		{"NumberOfExclusiveWaiters", r.NumberOfExclusiveWaiters},
	} {
		if n.value != 0 {
			s.printf("    %s = %d\n", n.label, n.value)
		}
	}
	if err := s.showOwnerThreads(ctx, r, o); err != nil {
		return err
	}
	s.showWaiters("Shared", r.SharedWaiters)
	s.showWaiters("Exclusive", r.ExclusiveWaiters)
	for _, err := range r.Errs {
		s.notef("resource %x: %v", r.Addr, err)
	}
	return nil
}

func (s *Session) showOwnerThreads(ctx context.Context, r windows.Resource, o lockOptions) error {
	if !r.Held() {
		return nil
	}
	s.printf("     Threads: ")
	for _, owner := range r.Owners {
		s.printf("%016x-%02d<*> ", owner.Thread, owner.Count)
		if owner.Thread != owner.ThreadAddr() {
			s.printf("*** Actual Thread %016x ", owner.ThreadAddr())
		}
		if !o.threads {
			continue
		}
		s.printf("\n\n")
		if t := s.sys.Thread(owner.ThreadAddr()); t.IsThread() {
			if err := s.indented(5, func() error { return s.showThread(ctx, t, threadFlags(flagThreads|flagStacks)) }); err != nil {
				return err
			}
		}
	}
	s.printf("\n")
	return nil
}

// waitersPerLine is how many waiting threads stand in one line.
const waitersPerLine = 4

func (s *Session) showWaiters(kind string, threads []uint64) {
	if len(threads) == 0 {
		return
	}
	s.printf("\n     Threads Waiting On %s Access:\n", kind)
	for i, t := range threads {
		if i%waitersPerLine == 0 {
			s.printf("              ")
		}
		s.printf("%016x       ", t)
		if i%waitersPerLine == waitersPerLine-1 || i == len(threads)-1 {
			s.printf("\n")
		}
	}
}

func cmdDeadlock() *Command {
	return &Command{
		Names: []string{"!deadlock"}, Args: "[1]",
		Short: "tell of deadlocks: Driver Verifier's lock graph, circles among resources",
		Run:   runDeadlock,
	}
}

// runDeadlock tells what Driver Verifier's deadlock detection found. Where it
// was off, circles among the executive resources still show a deadlock: a note
// says so, because WinDbg's command does not.
func runDeadlock(ctx context.Context, s *Session, c *Call) error {
	c.rest()
	d, err := s.sys.VerifierDeadlock()
	switch {
	case err != nil:
		s.notef("%v", err)
		s.printf("Deadlock detection is not enabled\n")
	case !d.Enabled:
		s.printf("Deadlock detection is not enabled\n")
	default:
		s.showVerifierDeadlock(d)
	}
	var all []windows.Resource
	for r, err := range s.sys.Resources(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			break
		}
		if r.Held() {
			all = append(all, r)
		}
	}
	for _, cycle := range windows.WaitCycles(all) {
		names := make([]string, len(cycle))
		for i, t := range cycle {
			names[i] = format.Hex16(t)
		}
		s.notef("executive resources: threads %s wait for each other (!locks shows what they hold)", strings.Join(names, ", "))
	}
	return nil
}

func (s *Session) showVerifierDeadlock(d windows.VerifierDeadlock) {
	if d.Instigator == 0 {
		s.printf("No deadlock was found: %d resources and %d threads are tracked.\n", d.Resources, d.Threads)
		return
	}
	s.printf("Deadlock detected: thread %016x closed the circle; %d participants:\n", d.Instigator, len(d.Participants))
	for _, p := range d.Participants {
		s.printf("    Node %016x: thread %s acquired resource %s (%s)\n", p.Node, pointer(p.Thread), pointer(p.Resource), p.Type)
	}
}

func cmdQlocks() *Command {
	return &Command{
		Names: []string{"!qlocks"},
		Short: "show the state of the numbered queued spin locks of every processor",
		Run:   runQlocks,
	}
}

// queuedLockNames are the locks by number, in the words of WinDbg's
// documentation of !qlocks.
var queuedLockNames = []string{
	"KE   - Dispatcher", "MM   - Expansion", "MM   - PFN", "MM   - System Space", "CC   - Vacb", "CC   - Master", "EX   - NonPagedPool",
	"IO   - Cancel", "EX   - WorkQueue", "IO   - Vpb", "IO   - Database", "IO   - Completion", "NTFS - Struct", "AFD  - WorkQueue",
	"CC   - Bcb", "MM   - MM NonPagedPool",
}

func runQlocks(ctx context.Context, s *Session, _ *Call) error {
	locks, err := s.sys.QueuedLocks(ctx)
	if err != nil {
		s.notef("%v", err)
	}
	if len(locks) == 0 {
		return Failf("Unable to read the queued locks")
	}
	s.printf("Key: O = Owner, 1-n = Wait order, blank = not owned/waiting, C = Corrupt\n\n")
	s.printf("                       Processor Number\n    Lock Name       ")
	for cpu := range locks[0] {
		s.printf("%3d", cpu)
	}
	s.printf("\n\n")
	for i, row := range locks {
		name := fmt.Sprintf("     - Lock %d", i)
		if i < len(queuedLockNames) {
			name = queuedLockNames[i]
		}
		line := fmt.Sprintf("%-20s", name)
		for _, state := range row {
			line += fmt.Sprintf("%3s", state.String())
		}
		s.printf("%s\n", strings.TrimRight(line, " "))
	}
	return nil
}
