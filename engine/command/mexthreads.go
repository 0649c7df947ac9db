package command

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"kdap/engine/windows"
)

func mexThreadCommands() []*Command {
	return []*Command{
		{Names: []string{"!lt", "!listthreads"}, Args: "[-v] [-wf] [-z] [-s State] [-wr Reason] [-bk] [-a] [-p PID] [Process]", Short: "threads of a process in a table", Run: runListThreads},
		{Names: []string{"!mex.running"}, Args: "[-t]", Short: "running threads in a table, with -t their stacks, too", Run: mexByState("Running")},
		{Names: []string{"!mex.ready"}, Args: "[-t]", Short: "ready threads in a table", Run: mexByState("Ready", "DeferredReady")},
		{Names: []string{"!standby"}, Args: "[-t]", Short: "threads chosen to run next, in a table", Run: mexByState("Standby")},
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

// mexByState lists the threads of all processes that are in one of the states,
// and with -t their stacks.
func mexByState(states ...string) func(context.Context, *Session, *Call) error {
	return func(ctx context.Context, s *Session, c *Call) error {
		stacks := false
		for !c.Args.Done() {
			word := c.Word()
			if !strings.EqualFold(word, "-t") {
				return Failf("Unknown option: %s", word)
			}
			stacks = true
		}
		g := wideThreadGrid()
		var threads []windows.Thread
		for p, t := range threadsOf(ctx, s.idleAndActive(ctx)) {
			if slices.Contains(states, s.mexState(t)) {
				g.add(s.threadRow(p, t).wide()...)
				threads = append(threads, t)
			}
		}
		g.print(s, "")
		s.printf("\nCount: %d\n", len(g.rows))
		if !stacks {
			return ctx.Err()
		}
		for _, t := range threads {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.printf("\n%016x %s\n", t.Addr(), s.mexState(t))
			s.mexStack(ctx, t)
		}
		return ctx.Err()
	}
}

func runListThreads(ctx context.Context, s *Session, c *Call) error {
	var wide, all, blocked, function, ended bool
	var states []string
	reason := ""
	p, err := s.debuggee.process(s)
	for !c.Args.Done() {
		switch w := strings.ToLower(c.Peek()); w {
		case "-v", "-a", "-bk", "-b", "-wf", "-z":
			wide, all, blocked = wide || w == "-v", all || w == "-a", blocked || w == "-bk" || w == "-b"
			function, ended = function || w == "-wf", ended || w == "-z"
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
	if function {
		g.head("Wait Function")
	}
	for p, t := range threadsOf(ctx, processes) {
		r := s.threadRow(p, t)
		switch {
		case states != nil && !slices.Contains(states, strings.ToLower(r.state)):
		case reason != "" && !strings.EqualFold(reason, r.reason):
		case blocked && (r.state != "Waiting" || !isBlockedReason(r.reason)):
		case ended && r.state != "Terminated":
		default:
			row := []string{r.process, r.pid, r.thread, r.id, r.state, r.time, r.reason}
			if wide {
				row = r.wide()
			}
			if function {
				row = append(row, s.waitFunction(ctx, t))
			}
			g.add(row...)
		}
	}
	g.print(s, "")
	if reason == "" {
		s.printf("\nThread Count: %d\n", len(g.rows))
	}
	return ctx.Err()
}

// waitFunction is the function in which a thread waits: the first outside the
// kernel and the libraries that only hand the wait on.
func (s *Session) waitFunction(ctx context.Context, t windows.Thread) string {
	if state, err := t.State(); err != nil || state == windows.StateRunning {
		return ""
	}
	st, err := t.Stack(ctx, maxFrames)
	if errors.Is(err, windows.ErrNotResident) {
		return "Kernel stack not resident"
	}
	last := ""
	for _, f := range st.Frames {
		last = s.frameName(ctx, f)
		module, _, _ := strings.Cut(last, "!")
		if !slices.Contains(waitModules, strings.ToLower(module)) {
			return last
		}
	}
	return last
}

// waitModules only hand a wait on.
var waitModules = []string{"nt", "ntdll", "kernelbase", "kernel32", "win32u", "win32k", "win32kfull", "win32kbase"}
