package command

import (
	"context"
	"fmt"

	"kdap/engine/windows"
)

// A threadQuery is what !findthreads looks for: addresses of objects, and
// ranges of addresses, each with what it is.
type threadQuery struct {
	ranges  []queryRange
	verbose bool
}

type queryRange struct {
	first, last uint64
	what        string
}

func (q *threadQuery) add(first, last uint64, format string, args ...any) {
	q.ranges = append(q.ranges, queryRange{first, last, fmt.Sprintf(format, args...)})
}

func (q *threadQuery) match(va uint64) (string, bool) {
	for _, r := range q.ranges {
		if va >= r.first && va <= r.last {
			return r.what, true
		}
	}
	return "", false
}

// addDevice adds a device, the others of its stack, and the images of their drivers.
func (q *threadQuery) addDevice(s *Session, d windows.Device) {
	stack, err := d.Stack()
	if err != nil || len(stack) == 0 {
		stack = []windows.Device{d}
	}
	for _, d := range stack {
		q.add(d.Addr(), d.Addr(), "device %016x", d.Addr())
		addr, err := d.Driver()
		if err != nil {
			s.notef("%v", err)
			continue
		}
		driver := s.sys.Driver(addr)
		start, serr := driver.Start()
		size, zerr := driver.Size()
		name, _ := driver.Name()
		if serr == nil && zerr == nil && size > 0 {
			q.add(start, start+size-1, "driver %s", visible(name))
		}
	}
}

func (q *threadQuery) addRequest(s *Session, r windows.Request) {
	q.add(r.Addr(), r.Addr(), "IRP %016x", r.Addr())
	if t, err := r.Thread(); err == nil && t != 0 {
		q.add(t, t, "thread %016x", t)
	}
	if l, ok, err := r.Current(); err == nil && ok && l.Device != 0 {
		q.addDevice(s, s.sys.Device(l.Device))
	}
}

func (q *threadQuery) addThread(ctx context.Context, s *Session, t windows.Thread) {
	q.add(t.Addr(), t.Addr(), "thread %016x", t.Addr())
	for o, err := range t.WaitObjects() {
		if err != nil {
			s.notef("%v", err)
			break
		}
		if o.Addr != 0 { // waits by thread id have no object
			q.add(o.Addr, o.Addr, "%s %016x", o.Type, o.Addr)
		}
		if o.Owner != 0 {
			q.add(o.Owner, o.Owner, "owner %016x", o.Owner)
		}
	}
	for irp, err := range t.IRPs(ctx) {
		if err != nil {
			s.notef("%v", err)
			break
		}
		q.addRequest(s, s.sys.Request(irp.Addr))
	}
}

func (s *Session) threadQuery(ctx context.Context, c *Call) (q threadQuery, err error) {
	var first, last uint64
	given := false
	for !c.Args.Done() {
		option, _ := c.Option()
		if option == "v" {
			q.verbose = true
			continue
		}
		if option == "" || c.Args.Done() {
			return q, Failf("Usage: !findthreads [-v] -t Thread | -i Irp | -d Device | -a Address [-e End | -l Length]")
		}
		v, err := s.extensionNumber(c)
		if err != nil {
			return q, err
		}
		switch option {
		case "t":
			q.addThread(ctx, s, s.sys.Thread(v))
		case "i":
			q.addRequest(s, s.sys.Request(v))
		case "d":
			q.addDevice(s, s.sys.Device(v))
		case "a":
			first, last, given = v, v, true
		case "e":
			last = v
		case "l":
			last = first + max(v, 1) - 1
		default:
			return q, Failf("!findthreads: unknown option -%s", option)
		}
	}
	if given {
		q.add(first, last, "address range %016x-%016x", first, last)
	}
	if len(q.ranges) == 0 {
		return q, Failf("Usage: !findthreads [-v] -t Thread | -i Irp | -d Device | -a Address [-e End | -l Length]")
	}
	return q, nil
}

func runFindThreads(ctx context.Context, s *Session, c *Call) error {
	q, err := s.threadQuery(ctx, c)
	if err != nil {
		return err
	}
	if q.verbose {
		for _, r := range q.ranges {
			s.printf("Looking for %s: %016x-%016x\n", r.what, r.first, r.last)
		}
		s.printf("\n")
	}
	type hit struct {
		process windows.Process
		thread  windows.Thread
		matches []string
	}
	var hits []hit
	for p, t := range threadsOf(ctx, s.idleAndActive(ctx)) {
		if matches := s.threadMatches(ctx, &q, t); len(matches) > 0 {
			hits = append(hits, hit{p, t, matches})
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.printf("Found %d threads matching the search criteria\n", len(hits))
	for _, h := range hits {
		s.printf("\nFound %d criteria matches for THREAD 0x%016x, PROCESS 0x%016x\n", len(h.matches), h.thread.Addr(), h.process.Addr())
		for _, m := range h.matches {
			s.printf("    %s\n", m)
		}
	}
	return nil
}

// threadMatches tells what of a thread the query is about: itself, its frames,
// what it waits for, its requests.
func (s *Session) threadMatches(ctx context.Context, q *threadQuery, t windows.Thread) (matches []string) {
	if what, ok := q.match(t.Addr()); ok {
		matches = append(matches, "It is "+what)
	}
	if state, err := t.State(); err == nil && state == windows.StateWaiting {
		for o, err := range t.WaitObjects() {
			if err != nil {
				break
			}
			if what, ok := q.match(o.Addr); ok {
				matches = append(matches, fmt.Sprintf("Waits for %s %016x: %s", o.Type, o.Addr, what))
			}
		}
	}
	for irp, err := range t.IRPs(ctx) {
		if err != nil {
			break
		}
		if what, ok := q.match(irp.Addr); ok {
			matches = append(matches, fmt.Sprintf("IRP %016x: %s", irp.Addr, what))
		}
		if l, ok, err := s.sys.Request(irp.Addr).Current(); err == nil && ok {
			if what, ok := q.match(l.Device); ok {
				matches = append(matches, fmt.Sprintf("IRP %016x is for %s", irp.Addr, what))
			}
		}
	}
	st, err := t.Stack(ctx, maxFrames)
	if err != nil {
		return matches
	}
	for i, f := range st.Frames {
		if what, ok := q.match(f.IP); ok {
			matches = append(matches, fmt.Sprintf("Frame %02x %016x %s: %s", i, f.SP, s.frameName(ctx, f), what))
		}
	}
	return matches
}
