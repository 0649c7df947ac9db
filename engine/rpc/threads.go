package rpc

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"kdap/engine/list"
	"kdap/engine/windows"
)

// threadName makes the protocol's name of a thread.
func threadName(t windows.Thread) Thread { return Thread(Hex(t.Addr()).String()) }

// stopPrefix names a place where code stopped: what a processor ran, or a thread
// of a user minidump.
const stopPrefix = "stop:"

// A place is a thread that was looked up. One that is known only as a stop has
// no Thread and no Process.
type place struct {
	name    Thread
	thread  windows.Thread
	process windows.Process
	cpu     int // number of the stop, -1 for a thread
}

func (t *target) place(name Thread) (place, error) {
	if n, ok := strings.CutPrefix(string(name), stopPrefix); ok {
		cpu, err := strconv.Atoi(n)
		if err != nil || cpu < 0 || cpu >= max(1, t.System.StopCount()) {
			return place{}, fmt.Errorf("%w: %s", errNoThread, name)
		}
		return place{name: name, cpu: cpu}, nil
	}
	addr, err := strconv.ParseUint(string(name), 0, 64)
	if err != nil || addr == 0 {
		return place{}, fmt.Errorf("%w: %q", errNoThread, name)
	}
	th := t.System.Thread(addr)
	p, err := th.Process()
	if err != nil && !th.IsThread() {
		// Small dumps save less of a thread than tells that it is one. What
		// the lists and processors name is one all the same.
		if _, listed := t.listed.Load(addr); !listed {
			return place{}, fmt.Errorf("%w: %s: %v", errNoThread, name, err)
		}
	}
	return place{name: threadName(th), thread: th, process: p, cpu: -1}, nil
}

// crashPlace returns the thread that an editor shows first.
func (t *target) crashPlace() place {
	if t.System.User() != nil {
		n := t.System.CrashStop()
		return place{name: stopName(n), cpu: n}
	}
	cpu := t.System.CrashProcessor()
	if addr, err := t.System.CurrentThread(cpu); err == nil {
		t.listed.Store(addr, true)
		if p, err := t.place(Thread(Hex(addr).String())); err == nil {
			return p
		}
	}
	return place{name: stopName(cpu), cpu: cpu}
}

func stopName(n int) Thread { return Thread(fmt.Sprintf("%s%d", stopPrefix, n)) }

// userGroup lists the threads of a user minidump.
func userGroup(u *windows.UserProcess) Group {
	g := Group{Name: u.Name(), Threads: []GroupThread{}}
	if pid, ok := u.PID(); ok {
		id := uint64(pid)
		g.PID = &id
	}
	for i, th := range u.File().Threads {
		tid := uint64(th.ID)
		gt := GroupThread{Thread: stopName(i), TID: &tid, Name: th.Name}
		if th.SuspendCount > 0 {
			gt.State = "Suspended"
		}
		g.Threads = append(g.Threads, gt)
	}
	return g
}

func onGroups(_ *client, ctx context.Context, t *target, _ struct{}) (any, error) {
	crash := t.crashPlace()
	r := GroupsResult{Groups: []Group{}, Crash: crash.name}
	if u := t.System.User(); u != nil {
		r.Groups = append(r.Groups, userGroup(u))
		return r, nil
	}
	running := t.running(ctx)
	names := stateNames{sys: t.System, states: map[uint64]string{}, reasons: map[uint64]string{}}
	listed := false
	for p, err := range list.AllProcesses(ctx, t.System) {
		if err != nil {
			r.Errors = append(r.Errors, list.Error{Where: "processes", Why: err.Error()})
			continue
		}
		g := newGroup(p)
		for th, err := range p.Threads(ctx) {
			if err != nil {
				r.Errors = append(r.Errors, list.Error{Where: "threads", Why: err.Error()})
				continue
			}
			t.listed.Store(th.Addr(), true)
			gt := names.thread(th, running)
			listed = listed || gt.Thread == crash.name
			g.Threads = append(g.Threads, gt)
		}
		r.Groups = append(r.Groups, g)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !listed {
		// A dump without lists, or one whose lists are broken, still has the
		// thread that crashed.
		r.addCrash(crash, names, running)
	}
	return r, nil
}

func newGroup(p windows.Process) Group {
	g := Group{EPROCESS: Hex(p.Addr()), Idle: p.Source() == windows.SourceIdle, Threads: []GroupThread{}}
	if pid, err := p.PID(); err == nil {
		g.PID = &pid
	}
	g.Name, _ = p.ImageName()
	return g
}

func (r *GroupsResult) addCrash(crash place, names stateNames, running map[uint64]int) {
	gt := GroupThread{Thread: crash.name}
	if crash.cpu >= 0 {
		gt.CPU, gt.State = &crash.cpu, "Running"
	} else {
		gt = names.thread(crash.thread, running)
	}
	addr := Hex(0)
	if crash.cpu < 0 {
		addr = Hex(crash.process.Addr())
	}
	for i := range r.Groups {
		if r.Groups[i].EPROCESS == addr {
			r.Groups[i].Threads = append(r.Groups[i].Threads, gt)
			return
		}
	}
	g := Group{Name: "?", Threads: []GroupThread{}}
	if crash.cpu < 0 {
		g = newGroup(crash.process)
	}
	g.Threads = append(g.Threads, gt)
	r.Groups = append([]Group{g}, r.Groups...)
}

// running returns the processor of every thread that runs.
func (t *target) running(ctx context.Context) map[uint64]int {
	m := map[uint64]int{}
	for c, err := range t.System.Processors(ctx) {
		if err != nil {
			continue
		}
		if addr, err := c.CurrentThread(); err == nil && addr != 0 {
			m[addr] = c.Number()
		}
	}
	return m
}

// stateNames spells states and reasons, each looked up once.
type stateNames struct {
	sys             *windows.System
	states, reasons map[uint64]string
}

func (n stateNames) thread(t windows.Thread, running map[uint64]int) GroupThread {
	g := GroupThread{Thread: threadName(t)}
	if tid, err := t.TID(); err == nil {
		g.TID = &tid
	}
	g.Name, _ = t.Name()
	state, err := t.State()
	if err != nil {
		return g
	}
	g.State = spell(n.states, state, n.sys.StateName)
	switch state {
	case windows.StateRunning:
		if cpu, ok := running[t.Addr()]; ok {
			g.CPU = &cpu
		}
	case windows.StateWaiting:
		if reason, err := t.WaitReason(); err == nil {
			g.WaitReason = spell(n.reasons, reason, n.sys.WaitReasonName)
		}
	}
	return g
}

func spell(known map[uint64]string, v uint64, name func(uint64) string) string {
	s, ok := known[v]
	if !ok {
		if s = name(v); s == "" {
			s = fmt.Sprint(v)
		}
		known[v] = s
	}
	return s
}

// walk returns the stack of a thread, from the cache when it was walked before.
func (t *target) walk(ctx context.Context, p place) (*walked, error) {
	return t.stacks.get(ctx, p.name, func() (*walked, error) { return t.walkNow(ctx, p) })
}

func (t *target) walkNow(ctx context.Context, p place) (*walked, error) {
	if p.cpu >= 0 {
		return t.walkStop(ctx, p.cpu)
	}
	st, err := p.thread.WholeStack(ctx, 0)
	if err != nil && p.name == t.crashPlace().name {
		if w, cerr := t.walkStop(ctx, t.System.CrashStop()); cerr == nil {
			return w, nil
		}
	}
	if cerr := ctx.Err(); cerr != nil {
		return nil, cerr
	}
	w := &walked{stack: st, modules: t.System.KernelModules(ctx), space: t.System.Kernel()}
	if p.process.Addr() != 0 {
		w.modules, w.process = p.process.Modules(ctx), Hex(p.process.Addr())
		if space, serr := p.process.Space(); serr == nil {
			w.space = space
		}
	}
	w.ended = errors.Join(err, st.Doubt())
	return w, nil
}

// walkStop walks from the registers at a stop.
func (t *target) walkStop(ctx context.Context, cpu int) (*walked, error) {
	w := &walked{modules: t.System.KernelModules(ctx), space: t.System.Kernel()}
	regs, err := t.System.StopRegisters(cpu)
	if err != nil {
		w.ended = err
		return w, nil
	}
	if u := t.System.User(); u != nil {
		w.stack, err = u.WholeStack(ctx, cpu, 0)
		w.ended = errors.Join(err, w.stack.Doubt())
		return w, ctx.Err()
	}
	w.stack = t.System.Walk(ctx, windows.Walk{Regs: regs, Space: w.space, Modules: w.modules})
	w.ended = w.stack.Doubt()
	return w, ctx.Err()
}
