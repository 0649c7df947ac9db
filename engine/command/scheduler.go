package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kdap/engine/windows"
)

func schedulerCommands() []*Command {
	return []*Command{
		{Names: []string{"!running"}, Args: "[-i] [-t]", Short: "the thread each processor runs", Run: runRunning},
		{Names: []string{"!ready"}, Args: "[Flags]", Short: "threads that wait for a processor", Run: runReady},
		{Names: []string{"!stacks"}, Args: "[0|1|2 [Filter]]", Short: "every thread and what it is blocked in", Run: runStacks},
	}
}

func runRunning(ctx context.Context, s *Session, c *Call) error {
	var idle, stacks bool
	for !c.Args.Done() {
		letters, ok := c.Option()
		if !ok || strings.Trim(letters, "it") != "" {
			return Failf("Usage: !running [-i] [-t]")
		}
		idle = idle || strings.Contains(letters, "i")
		stacks = stacks || strings.Contains(letters, "t")
	}
	var active, idling uint64
	var list []windows.Processor
	for p, err := range s.sys.Processors(ctx) {
		if err != nil {
			s.notef("%v", err)
			continue
		}
		list = append(list, p)
		if p.Number() < 64 {
			active |= 1 << p.Number()
			if p.Idle() {
				idling |= 1 << p.Number()
			}
		}
	}
	s.printf("\nSystem Processors:  (%016x)\n  Idle Processors:  (%016x)\n\n", active, idling)
	s.printf("       Prcbs             Current         (pri) Next            (pri) Idle\n")
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.Idle() && !idle {
			continue
		}
		current, _ := p.CurrentThread()
		next, _ := p.NextThread()
		idleThread, _ := p.IdleThread()
		s.printf("%3d    %016x  %s %s %016x  %s\n", p.Number(), p.Addr(), s.withPriority(current), s.withPriority(next), idleThread, p.LockQueue())
		if !stacks {
			continue
		}
		s.printf("\n")
		if err := s.processorStack(ctx, p.Number()); err != nil {
			return err
		}
		s.printf("\n")
	}
	return nil
}

// withPriority is a thread's address with its priority, blank for none.
func (s *Session) withPriority(addr uint64) string {
	if addr == 0 {
		return strings.Repeat(" ", 21)
	}
	priority, _ := s.sys.Thread(addr).Priority()
	return fmt.Sprintf("%016x (%2d)", addr, priority)
}

// processorStack prints the stack of a processor in the process it runs.
func (s *Session) processorStack(ctx context.Context, n int) error {
	scope, modules := s.scope, s.modules
	defer func() { s.scope, s.modules = scope, modules }()
	s.switchProcessor(n)
	if s.scope.process.Addr() != scope.process.Addr() && s.scope.process.Addr() != 0 {
		s.modules.loadUser(ctx, s.scope.process)
	}
	if s.scope.regs == nil {
		s.notef("registers of processor %d: %v", n, s.scope.regsErr)
		return nil
	}
	return s.printStack(ctx, stackView{numbers: true}, s.scope.regs, s.settings.kframes)
}

func runReady(ctx context.Context, s *Session, c *Call) error {
	view := threadView{}
	if !c.Args.Done() {
		flags, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		view = threadFlags(flags)
	}
	shared := map[uint64]bool{}
	queued := map[uint64]bool{}
	for p, err := range s.sys.Processors(ctx) {
		if err != nil {
			s.notef("%v", err)
			continue
		}
		q, ok := p.SharedQueue()
		if !ok || shared[q.Addr()] {
			continue
		}
		shared[q.Addr()] = true
		index, _ := q.Index()
		mask, err := q.Affinity()
		if err != nil {
			s.notef("%v", err)
		}
		s.printf("KSHARED_READY_QUEUE %016x: (%02d) %s\n", q.Addr(), index, affinityText(mask))
		if err := s.showReady(ctx, fmt.Sprintf("SharedReadyQueue %016x", q.Addr()), q.Threads(), view, queued); err != nil {
			return err
		}
	}
	for p, err := range s.sys.Processors(ctx) {
		if err != nil {
			continue
		}
		if err := s.showReady(ctx, fmt.Sprintf("Processor %d", p.Number()), p.ReadyThreads(), view, queued); err != nil {
			return err
		}
	}
	s.noteUnqueued(ctx, queued)
	return ctx.Err()
}

// noteUnqueued tells of ready threads that no queue leads to: those of
// scheduling groups, and those behind a damaged list.
func (s *Session) noteUnqueued(ctx context.Context, queued map[uint64]bool) {
	for p, err := range s.sys.ActiveProcesses(ctx) {
		if err != nil || ctx.Err() != nil {
			return
		}
		for t, err := range p.Threads(ctx) {
			if err != nil {
				break
			}
			if state, err := t.State(); err == nil && state == windows.StateReady && !queued[t.Addr()] {
				s.notef("thread %x of process %x is READY, but in no queue", t.Addr(), p.Addr())
			}
		}
	}
}

// affinityText draws a set of processors: a star for each that is in it.
func affinityText(mask uint64) string {
	text := make([]byte, 64)
	for i := range text {
		text[i] = '-'
		if mask>>i&1 != 0 {
			text[i] = '*'
		}
	}
	return string(text)
}

func (s *Session) showReady(ctx context.Context, owner string, threads func(func(windows.ReadyThread, error) bool), view threadView, queued map[uint64]bool) error {
	last, broken := -1, false
	for r, err := range threads {
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		if err != nil {
			s.notef("%s: %v", owner, err)
			broken = true
			continue
		}
		queued[r.Thread.Addr()] = true
		if r.Priority != last {
			s.printf("%s: Ready Threads at priority %d\n", owner, r.Priority)
			last = r.Priority
		}
		if err := s.indented(4, func() error { return s.showThread(ctx, r.Thread, view) }); err != nil {
			return err
		}
	}
	if last < 0 && !broken {
		s.printf("%s: No threads in READY state\n", owner)
	}
	return nil
}

// stacksOptions are the arguments of !stacks.
type stacksOptions struct {
	detail uint64
	filter string
}

func runStacks(ctx context.Context, s *Session, c *Call) error {
	var o stacksOptions
	if !c.Args.Done() {
		v, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		if v > 2 {
			return Failf("Usage: !stacks [0|1|2 [FilterString]]")
		}
		o.detail = v
	}
	o.filter = strings.ToLower(c.restOfCall())
	s.printf("Proc.Thread  .Thread  Ticks   ThreadState Blocker\n")
	count := 0
	for p, err := range s.idleAndActive(ctx) {
		if err != nil {
			s.notef("%v", err)
			break
		}
		s.printf("                            [%016x %s]\n", p.Addr(), mexName(p))
		for t, err := range p.Threads(ctx) {
			if cerr := ctx.Err(); cerr != nil {
				return cerr
			}
			if err != nil {
				s.notef("threads of process %x: %v", p.Addr(), err)
				break
			}
			count++
			s.stacksRow(ctx, t, o)
		}
	}
	s.printf("\nThreads Processed: %d\n", count)
	return ctx.Err()
}

func (s *Session) stacksRow(ctx context.Context, t windows.Thread, o stacksOptions) {
	if o.detail == 0 && s.idlesInQueue(t) {
		return
	}
	names, err := s.stackNames(ctx, t)
	blocker := ""
	switch {
	case errors.Is(err, windows.ErrNotResident):
		if o.detail == 0 {
			return
		}
		blocker = "Kernel stack not resident"
	case err != nil:
		s.notef("%v", err)
		blocker = notAccessible
	}
	if o.filter != "" && !strings.Contains(strings.ToLower(strings.Join(names, "\n")), o.filter) {
		return
	}
	if o.detail < 2 {
		for len(names) > 1 && isWaitRoutine(names[0]) {
			names = names[1:]
		}
	}
	if len(names) > 0 {
		blocker, names = names[0], names[1:]
	}
	pid, _ := t.PID()
	tid, _ := t.TID()
	s.printf("%4x.%06x  %016x %07x %-10s %s\n", pid, tid, t.Addr(), s.waitedTicks(t), s.stacksState(t), blocker)
	if o.detail < 2 {
		return
	}
	for _, name := range names {
		s.printf("%40s%s\n", "", name)
	}
}

// idlesInQueue reports whether a thread of the system only waits for work.
func (s *Session) idlesInQueue(t windows.Thread) bool {
	pid, err := t.PID()
	if err != nil || pid != systemPID {
		return false
	}
	state, err := t.State()
	if err != nil || state != windows.StateWaiting {
		return false
	}
	reason, err := t.WaitReason()
	return err == nil && s.sys.WaitReasonName(reason) == "WrQueue"
}

// systemPID is the id of the process that the kernel's own threads belong to.
const systemPID = 4

// waitRoutines put a thread to sleep: what called them is what it is blocked in.
var waitRoutines = []string{"nt!KiSwapContext", "nt!KiSwapThread", "nt!KiCommitThreadWait", "nt!KeWait", "nt!KxWait"}

func isWaitRoutine(name string) bool {
	for _, w := range waitRoutines {
		if strings.HasPrefix(name, w) {
			return true
		}
	}
	return false
}

// waitedTicks is how many clock interrupts a thread has been as it is.
func (s *Session) waitedTicks(t windows.Thread) uint32 {
	since, err := t.WaitTicks()
	now, nerr := s.sys.TickCount()
	if err != nil || nerr != nil {
		return 0
	}
	return uint32(now) - uint32(since) // the counter of a thread has 32 bits
}

func (s *Session) stacksState(t windows.Thread) string {
	state, err := t.State()
	switch {
	case err != nil:
		return "UNKNOWN"
	case state == windows.StateWaiting || state == 8: // a gate, before Windows 8
		return "Blocked"
	}
	return strings.ToUpper(s.sys.StateName(state))
}

// stackNames are the names of a thread's frames.
func (s *Session) stackNames(ctx context.Context, t windows.Thread) ([]string, error) {
	st, err := t.Stack(ctx, maxFrames)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(st.Frames))
	for i, f := range st.Frames {
		names[i] = s.frameName(ctx, f)
	}
	return names, nil
}

// frameName names the place of a frame by the module it was walked in, which
// need not be one of the session's context.
func (s *Session) frameName(ctx context.Context, f windows.Frame) string {
	if f.Module == nil {
		if name := s.symbolText(ctx, f.IP); name != "" && strings.HasPrefix(name, "<Unloaded_") {
			return name
		}
		return fmt.Sprintf("0x%x", f.IP)
	}
	if s.moduleSet(ctx).Find(f.IP) == f.Module {
		return placeText(f.Module.PlaceIn(s.symbolsOf(ctx, f.Module), f.IP), f.IP)
	}
	return placeText(f.Module.SymbolAt(ctx, f.IP), f.IP)
}
