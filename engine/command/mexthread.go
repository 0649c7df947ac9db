package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kdap/engine/analyze"
	"kdap/engine/windows"
)

func mexThreadViewCommands() []*Command {
	return []*Command{{
		Names: []string{"!t"}, Args: "[-a] [-d] [Address | -t TID]",
		Short: "a thread in a table with its stack; makes it the thread context", Run: runMexThread,
	}}
}

// mexThreadArgument is the thread that an address or an id names, else that of
// the context; explain that its wait shall be told.
func (s *Session) mexThreadArgument(ctx context.Context, c *Call) (t windows.Thread, explain bool, err error) {
	t = s.scope.thread
	for !c.Args.Done() {
		switch word := strings.ToLower(c.Peek()); word {
		case "-a", "-av":
			c.Word()
			explain = true
		case "-d": // back to the thread that the dump was opened with
			c.Word()
			if err := s.runBlock(ctx, ".thread"); err != nil {
				return t, explain, err
			}
			t = s.scope.thread
		case "-t":
			c.Word()
			v, err := s.extensionNumber(c)
			if err != nil {
				return t, explain, err
			}
			if t, err = s.threadByTID(ctx, v); err != nil {
				return t, explain, err
			}
		default:
			if word[0] == '-' {
				return t, explain, Failf("Unknown option: %s", word)
			}
			v, err := s.extensionNumber(c)
			if err != nil {
				return t, explain, err
			}
			if t = s.sys.Thread(v); !t.IsThread() {
				return t, explain, Failf("TYPE mismatch for thread object at %016x", v)
			}
		}
	}
	if t.Addr() == 0 {
		return t, explain, Failf("Unable to get the current thread")
	}
	return t, explain, nil
}

func runMexThread(ctx context.Context, s *Session, c *Call) error {
	t, explain, err := s.mexThreadArgument(ctx, c)
	if err != nil {
		return err
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
	if explain {
		s.explainWait(ctx, t)
	}
	if err != nil {
		if errors.Is(err, windows.ErrNotResident) {
			s.printf("Kernel stack not resident\n")
		}
		return nil
	}
	s.mexStack(ctx, t)
	return ctx.Err()
}

// mexStack prints a thread's stack: user and kernel frames in one list.
func (s *Session) mexStack(ctx context.Context, t windows.Thread) {
	st, err := t.Stack(ctx, maxFrames)
	if errors.Is(err, windows.ErrNotResident) {
		s.printf("Kernel stack not resident\n")
	}
	if err != nil {
		s.notef("%v", err)
		return
	}
	width := len(fmt.Sprintf("%x", max(len(st.Frames)-1, 0)))
	s.printf("%-*s Child-SP         Return           Call Site\n", width, "#")
	for i, f := range st.Frames {
		s.printf("%*x %016x %016x %s\n", width, i, f.SP, f.Return, s.frameName(ctx, f))
	}
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
	s.showMexWaits(ctx, t)
	s.showMexRequests(ctx, t)
	s.showMexPriority(t)
	s.printf("\n")
}

func (s *Session) showMexWaits(ctx context.Context, t windows.Thread) {
	if v, err := t.State(); err != nil || v != windows.StateWaiting {
		return
	}
	var rows [][]string
	info := false
	for o, err := range t.WaitObjects() {
		if err != nil {
			s.notef("%v", err)
			break
		}
		text := ""
		switch {
		case o.Limit != 0:
			text = fmt.Sprintf("Limit: %d", o.Limit)
		case o.Owner != 0:
			text = fmt.Sprintf("Owner: %016x", o.Owner)
		}
		info = info || text != ""
		rows = append(rows, []string{fmt.Sprintf("%016x", o.Addr), o.Type, s.otherWaiters(ctx, o.Addr, t), text})
	}
	if len(rows) == 0 {
		return
	}
	g := newGrid("Object", "Type", "Other Waiters")
	if info {
		g.head("Info")
	}
	for _, row := range rows {
		g.add(row[:len(g.heads)]...)
	}
	s.printf("\nWaitBlockList:\n")
	g.plain(s, "    ")
}

// otherWaiters names the threads that wait for an object, too.
func (s *Session) otherWaiters(ctx context.Context, object uint64, t windows.Thread) string {
	if object == 0 {
		return ""
	}
	var others []string
	for o, err := range s.sys.Waiters(ctx, object) {
		if err != nil {
			s.notef("%v", err)
			break
		}
		if o.Addr() == t.Addr() {
			continue
		}
		if len(others) == shownThreads {
			others = append(others, "...")
			break
		}
		others = append(others, fmt.Sprintf("%016x", o.Addr()))
	}
	return strings.Join(others, " ")
}

func (s *Session) showMexRequests(ctx context.Context, t windows.Thread) {
	g := newGrid("IRP", "File", "Driver")
	for irp, err := range t.IRPs(ctx) {
		if err != nil {
			s.notef("%v", err)
			break
		}
		file, driver := s.requestPlace(s.sys.Request(irp.Addr))
		g.add(fmt.Sprintf("%016x", irp.Addr), file, driver)
	}
	if len(g.rows) > 0 {
		s.printf("\nIrp List:\n")
		g.plain(s, "    ")
	}
}

// requestPlace tells the file a request is for and the driver that has it now.
func (s *Session) requestPlace(r windows.Request) (file, driver string) {
	l, ok, err := r.Current()
	if err != nil {
		s.notef("%v", err)
	}
	at, err := r.File()
	if err == nil && at == 0 && ok {
		at = l.File
	}
	if err == nil && at != 0 {
		if name, err := s.sys.FileObject(at).Name(); err == nil {
			file = visible(name)
		}
	}
	if ok && l.Device != 0 {
		if name, err := s.sys.Device(l.Device).DriverName(); err == nil {
			driver = visible(name[strings.LastIndexByte(name, '\\')+1:])
		}
	}
	return file, driver
}

// showMexPriority tells of a thread that does not run at its own priority.
func (s *Session) showMexPriority(t windows.Thread) {
	d := t.Details()
	if d.Priority == d.BasePriority && d.PriorityDecrement == 0 {
		return
	}
	boost, _ := t.Object().Field("Tcb.ForegroundBoost").Uint()
	g := newGrid("Current", "Base", "Decrement", "ForegroundBoost", "IO", "Page")
	g.add(fmt.Sprint(d.Priority), fmt.Sprint(d.BasePriority), fmt.Sprint(d.PriorityDecrement), fmt.Sprint(boost), fmt.Sprint(d.IoPriority), fmt.Sprint(d.PagePriority))
	s.printf("\nPriority:\n")
	g.plain(s, "    ")
}

// explainWait tells who can end the thread's wait, thread by thread up to one
// that waits for nobody.
func (s *Session) explainWait(ctx context.Context, t windows.Thread) {
	h := analyze.FindHang(ctx, s.sys)
	g := newGrid("Thread", "Waits for", "Owner")
	for at, seen := t.Addr(), map[uint64]bool{}; !seen[at]; {
		seen[at] = true
		w, ok := h.Waits[at]
		if !ok || len(w.Owners) == 0 {
			break
		}
		g.add(fmt.Sprintf("%016x", at), w.String(), fmt.Sprintf("%016x", w.Owners[0]))
		at = w.Owners[0]
	}
	if m, ok, err := t.MessageWait(); err == nil && ok {
		g.add(fmt.Sprintf("%016x", t.Addr()), fmt.Sprintf("ALPC message %016x", m.Message), fmt.Sprintf("%016x", m.Server))
	}
	if len(g.rows) > 0 {
		s.printf("Wait:\n")
		g.plain(s, "    ")
		s.printf("\n")
	}
}
