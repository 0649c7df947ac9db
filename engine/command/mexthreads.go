package command

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"

	"kdap/engine/windows"
)

func mexThreadCommands() []*Command {
	return []*Command{
		{Names: []string{"!lt", "!listthreads"}, Args: "[-v] [-s State] [-wr Reason] [-bk] [-a] [-p PID] [Process]", Short: "threads of a process in a table", Run: runListThreads},
		{Names: []string{"!mex.running"}, Short: "running threads in a table", Run: mexByState("Running")},
		{Names: []string{"!mex.ready"}, Short: "ready threads in a table", Run: mexByState("Ready", "DeferredReady")},
		{Names: []string{"!standby"}, Short: "threads chosen to run next, in a table", Run: mexByState("Standby")},
		{Names: []string{"!us", "!uniquestacks"}, Args: "[-a] [-k] [-p Process] [-r] [-e Text] [Filter]", Short: "stacks of threads, equal ones together", Run: runUniqueStacks},
		{Names: []string{"!t"}, Args: "[Address | -t TID]", Short: "a thread in a table with its stack; makes it the thread context", Run: runMexThread},
	}
}

// threadRow are the cells that tables of threads are made of.
type threadRow struct {
	process, pid, thread, id, priority, base, next, switches, user, kernel, state, time, reason string
}

func (s *Session) threadRow(p windows.Process, t windows.Thread) threadRow {
	tick := s.sys.TickLength()
	num := func(v uint64, err error) string {
		if err != nil {
			return "?"
		}
		return fmt.Sprint(v)
	}
	span := func(v uint64, err error) string {
		if err != nil {
			return "?"
		}
		return mexTime(time.Duration(min(v, 1<<40)) * tick)
	}
	signed := func(v int64, err error) string { return num(uint64(v), err) }
	r := threadRow{
		process: mexName(p), pid: hexText("%x", p.PID), thread: fmt.Sprintf("%016x", t.Addr()), id: hexText("%x", t.TID),
		priority: signed(t.Priority()), base: signed(t.BasePriority()), next: num(t.CPU()), switches: num(t.ContextSwitches()),
		user: span(t.UserTicks()), kernel: span(t.KernelTicks()), state: s.mexState(t),
		time: mexTime(time.Duration(s.waitedTicks(t)) * tick),
	}
	if reason, err := t.WaitReason(); err == nil {
		r.reason = s.sys.WaitReasonName(reason)
	}
	return r
}

func (s *Session) mexState(t windows.Thread) string {
	state, err := t.State()
	if err != nil {
		return "?"
	}
	return s.sys.StateName(state)
}

func wideThreadGrid() *grid {
	return newGrid("Process", ">PID", "Thread", ">Id", ">Pri", ">Base Pri", ">Next CPU", ">CSwitches", ">User", ">Kernel", "State", ">Time", "Reason")
}

func (r threadRow) wide() []string {
	return []string{r.process, r.pid, r.thread, r.id, r.priority, r.base, r.next, r.switches, r.user, r.kernel, r.state, r.time, r.reason}
}

// threadsOf yields the threads of processes with the process of each.
func threadsOf(ctx context.Context, processes iter.Seq2[windows.Process, error]) iter.Seq2[windows.Process, windows.Thread] {
	return func(yield func(windows.Process, windows.Thread) bool) {
		for p, err := range processes {
			if err != nil {
				return
			}
			for t, err := range p.Threads(ctx) {
				if err != nil || ctx.Err() != nil {
					break
				}
				if !yield(p, t) {
					return
				}
			}
		}
	}
}

// mexByState lists the threads of all processes that are in one of the states.
func mexByState(states ...string) func(context.Context, *Session, *Call) error {
	return func(ctx context.Context, s *Session, _ *Call) error {
		g := wideThreadGrid()
		for p, t := range threadsOf(ctx, s.idleAndActive(ctx)) {
			if slices.Contains(states, s.mexState(t)) {
				g.add(s.threadRow(p, t).wide()...)
			}
		}
		g.print(s, "")
		s.printf("\nCount: %d\n", len(g.rows))
		return ctx.Err()
	}
}

func runListThreads(ctx context.Context, s *Session, c *Call) error {
	var wide, all, blocked bool
	var states []string
	reason := ""
	p, err := s.debuggee.process(s)
	for !c.Args.Done() {
		switch w := strings.ToLower(c.Peek()); w {
		case "-v", "-a", "-bk", "-b":
			wide, all, blocked = wide || w == "-v", all || w == "-a", blocked || w == "-bk" || w == "-b"
			c.Word()
		case "-s", "-state":
			c.Word()
			states = strings.Split(strings.ToLower(c.Word()), ",")
		case "-wr", "-r":
			c.Word()
			reason = c.Word()
		default:
			if w[0] == '-' && w != "-p" && w != "-pid" {
				return Failf("Unknown option: %s", w)
			}
			if p, err = s.mexProcessArgument(ctx, c); err != nil {
				return err
			}
		}
	}
	if err != nil {
		return err
	}
	processes := iter.Seq2[windows.Process, error](func(yield func(windows.Process, error) bool) { yield(p, nil) })
	if all {
		processes = s.idleAndActive(ctx)
	}
	g := newGrid("Process", ">PID", "Thread", ">Id", "State", ">Time", "Reason")
	if wide {
		g = wideThreadGrid()
	}
	for p, t := range threadsOf(ctx, processes) {
		r := s.threadRow(p, t)
		switch {
		case states != nil && !slices.Contains(states, strings.ToLower(r.state)):
		case reason != "" && !strings.EqualFold(reason, r.reason):
		case blocked && (r.state != "Waiting" || !isBlockedReason(r.reason)):
		case wide:
			g.add(r.wide()...)
		default:
			g.add(r.process, r.pid, r.thread, r.id, r.state, r.time, r.reason)
		}
	}
	g.print(s, "")
	if reason == "" {
		s.printf("\nThread Count: %d\n", len(g.rows))
	}
	return ctx.Err()
}

// stackGroup are threads with one stack.
type stackGroup struct {
	frames  []windows.Frame
	names   []string
	threads []groupThread
}

type groupThread struct {
	addr, ran uint64
}

// shownThreads is how many threads of a group are named.
const shownThreads = 10

func runUniqueStacks(ctx context.Context, s *Session, c *Call) error {
	var all, regular bool
	except := ""
	p, err := s.debuggee.process(s)
	for !c.Args.Done() && c.Args.Rest()[0] == '-' {
		switch w := strings.ToLower(c.Word()); w {
		case "-a", "-k":
			all = true
		case "-r":
			regular = true
		case "-e":
			except = strings.ToLower(c.quotedWord())
		case "-p":
			if p, err = s.mexProcessArgument(ctx, c); err != nil {
				return err
			}
		default:
			return Failf("Unknown option: %s", w)
		}
	}
	filter := c.restOfCall()
	if !regular {
		filter = regexp.QuoteMeta(filter)
	}
	re, rerr := regexp.Compile("(?i)" + filter)
	if rerr != nil {
		return Failf("%v", rerr)
	}
	processes := iter.Seq2[windows.Process, error](func(yield func(windows.Process, error) bool) { yield(p, err) })
	if all {
		processes = s.idleAndActive(ctx)
	} else if err != nil {
		return err
	}
	groups, total, missing := s.groupStacks(ctx, processes)
	matching, stacks := 0, 0
	for _, g := range groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		text := strings.Join(g.names, "\n")
		if !re.MatchString(text) || except != "" && strings.Contains(strings.ToLower(text), except) {
			continue
		}
		matching += len(g.threads)
		stacks++
		s.printGroup(g)
	}
	if filter != "" || except != "" {
		s.printf("Threads matching filter: %d out of %d\n", matching, total)
		return ctx.Err()
	}
	s.printf("%d stack(s) with %d threads displayed (%d Total threads)\n", stacks, matching, total)
	if missing > 0 {
		s.printf("%d stack(s) were not displayed because we could not switch to thread context, or stack trace was empty\n", missing)
	}
	return ctx.Err()
}

// groupStacks walks the threads' stacks and puts equal ones together, the
// smallest groups first.
func (s *Session) groupStacks(ctx context.Context, processes iter.Seq2[windows.Process, error]) (groups []*stackGroup, total, missing int) {
	byKey := map[string]*stackGroup{}
	for _, t := range threadsOf(ctx, processes) {
		total++
		st, err := t.Stack(ctx, maxFrames)
		if err != nil || len(st.Frames) == 0 {
			missing++
			continue
		}
		var key strings.Builder
		for _, f := range st.Frames {
			fmt.Fprintf(&key, "%x ", f.IP)
		}
		g := byKey[key.String()]
		if g == nil {
			g = &stackGroup{frames: st.Frames}
			for _, f := range st.Frames {
				g.names = append(g.names, s.frameName(ctx, f))
			}
			byKey[key.String()] = g
			groups = append(groups, g)
		}
		user, _ := t.UserTicks()
		kernel, _ := t.KernelTicks()
		g.threads = append(g.threads, groupThread{t.Addr(), user + kernel})
	}
	slices.SortStableFunc(groups, func(a, b *stackGroup) int { return len(a.threads) - len(b.threads) })
	return groups, total, missing
}

func (s *Session) printGroup(g *stackGroup) {
	slices.SortStableFunc(g.threads, func(a, b groupThread) int {
		switch {
		case a.ran > b.ran:
			return -1
		case a.ran < b.ran:
			return 1
		}
		return 0
	})
	word := "threads"
	if len(g.threads) == 1 {
		word = "thread"
	}
	s.printf("%d %s [stats]:", len(g.threads), word)
	for i, t := range g.threads {
		if i == shownThreads {
			s.printf(" ...")
			break
		}
		s.printf(" %016x", t.addr)
	}
	s.printf("\n")
	for i, f := range g.frames {
		s.printf("    %016x %s\n", f.IP, g.names[i])
	}
	s.printf("\n")
}

func runMexThread(ctx context.Context, s *Session, c *Call) error {
	t := s.scope.thread
	if !c.Args.Done() {
		byTID := strings.EqualFold(c.Peek(), "-t")
		if byTID {
			c.Word()
		}
		v, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		if byTID {
			if t, err = s.threadByTID(ctx, v); err != nil {
				return err
			}
		} else if t = s.sys.Thread(v); !t.IsThread() {
			return Failf("TYPE mismatch for thread object at %016x", v)
		}
	}
	if t.Addr() == 0 {
		return Failf("Unable to get the current thread")
	}
	p, err := t.Process()
	if err != nil {
		return err
	}
	s.setProcess(p)
	regs, err := t.Registers(ctx)
	if err == nil {
		s.scope.thread = t
		s.setRegisters(regs)
	} else {
		s.printf("Could not switch to thread. Error d0000147\n")
		s.notef("%v", err)
	}
	s.showMexThread(ctx, p, t)
	st, serr := t.Stack(ctx, maxFrames)
	if err != nil || serr != nil {
		if errors.Is(err, windows.ErrNotResident) {
			s.printf("Kernel stack not resident\n")
		}
		return nil
	}
	width := len(fmt.Sprintf("%x", max(len(st.Frames)-1, 0)))
	s.printf("%-*s Child-SP         Return           Call Site\n", width, "#")
	for i, f := range st.Frames {
		s.printf("%*x %016x %016x %s\n", width, i, f.SP, f.Return, s.frameName(ctx, f))
	}
	return ctx.Err()
}

// showMexThread prints the thread's row and the blocks that have something to say.
func (s *Session) showMexThread(ctx context.Context, p windows.Process, t windows.Thread) {
	r := s.threadRow(p, t)
	state := r.state
	if n, ok := t.RunsOn(ctx); ok {
		state = fmt.Sprintf("Running on processor %d", n)
	}
	heads := []string{"Process", "Thread", "CID", ">UserTime", ">KernelTime", ">ContextSwitches", "Wait Reason", ">Time", "State"}
	row := []string{fmt.Sprintf("%s (%016x)", r.process, p.Addr()), r.thread + " (E|K|W|R|V)", r.pid + "." + r.id, r.user, r.kernel, r.switches, r.reason, r.time, state}
	if teb, err := t.TEB(); err == nil && teb != 0 {
		heads = slices.Insert(heads, 3, "TEB")
		row = slices.Insert(row, 3, fmt.Sprintf("%016x", teb))
	}
	g := newGrid(heads...)
	g.add(row...)
	g.plain(s, "")
	if v, err := t.State(); err == nil && v == windows.StateWaiting {
		w := newGrid("Object", "Type", "Other Waiters")
		for o, err := range t.WaitObjects() {
			if err != nil {
				s.notef("%v", err)
				break
			}
			w.add(fmt.Sprintf("%016x", o.Addr), o.Type, "")
		}
		if len(w.rows) > 0 {
			s.printf("\nWaitBlockList:\n")
			w.plain(s, "    ")
		}
	}
	irps := newGrid("IRP")
	for irp, err := range t.IRPs(ctx) {
		if err != nil {
			s.notef("%v", err)
			break
		}
		irps.add(fmt.Sprintf("%016x", irp.Addr))
	}
	if len(irps.rows) > 0 {
		s.printf("\nIrp List:\n")
		irps.plain(s, "    ")
	}
	if r.priority != r.base {
		d := t.Details()
		b := newGrid("Current", "Base", "Decrement", "IO", "Page")
		b.add(r.priority, r.base, fmt.Sprint(d.PriorityDecrement), fmt.Sprint(d.IoPriority), fmt.Sprint(d.PagePriority))
		s.printf("\nPriority:\n")
		b.plain(s, "    ")
	}
	s.printf("\n")
}
