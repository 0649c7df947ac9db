package command

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/format"
	"kdap/engine/windows"
)

func cmdTimer() *Command {
	return &Command{
		Names: []string{"!timer"},
		Short: "show the timers that wait on every processor",
		Run:   runTimer,
	}
}

// timerKinds names the rows of a timer table; a table of one row has only
// standard timers.
var timerKinds = []string{"High precision", "Standard"}

func runTimer(ctx context.Context, s *Session, c *Call) error {
	c.rest()
	now, err := s.sys.InterruptTime()
	clock, cerr := s.sys.SystemTime()
	if err := errors.Join(err, cerr); err != nil {
		return s.unable("Unable to read the system's clocks", err)
	}
	w := timerWalk{s: s, ctx: ctx, now: now, clock: clock}
	s.printf("Dump system timers\n\nInterrupt time: %08x %08x [%s]\n\n", now&0xffffffff, now>>32, fireTime(clock))
	for cpu, err := range s.sys.Processors(ctx) {
		if err != nil {
			s.notef("%v", err)
			continue
		}
		if err := w.processor(cpu); err != nil {
			return err
		}
	}
	hand := now >> timerHandShift & 0xff
	search, _ := s.sys.GlobalUint("KiMaximumSearchCount", 4)
	s.printf("\nTotal Timers: %d, Maximum List: %d\nCurrent Hand: %d, Maximum Search: %d\n\nWakeable timers:\n\n", w.total, w.longest, hand, search)
	return ctx.Err()
}

// timerHandShift makes the list that the clock stands at of an interrupt time:
// a list is for 2^18 units of 100 ns.
const timerHandShift = 18

type timerWalk struct {
	s              *Session
	ctx            context.Context
	now, clock     uint64
	total, longest int
}

func (w *timerWalk) processor(cpu windows.Processor) error {
	table, kinds, err := cpu.TimerTable()
	if err != nil {
		w.s.notef("timers of processor %d: %v", cpu.Number(), err)
		return nil
	}
	for kind := range kinds {
		label := ""
		if kinds == len(timerKinds) {
			label = fmt.Sprintf(" - Type %d - %s", kind, timerKinds[kind])
		}
		w.s.printf("PROCESSOR %d (nt!_KTIMER_TABLE %016x%s)\n", cpu.Number(), table, label)
		w.s.printf("List Timer             Interrupt Low/High Fire Time                  DPC/thread\n")
		list, length := -1, 0
		for t, err := range cpu.Timers(w.ctx, kind) {
			if w.ctx.Err() != nil {
				return w.ctx.Err()
			}
			if err != nil {
				w.s.notef("list %d of processor %d: %v", t.List, cpu.Number(), err)
				continue
			}
			number := "   "
			if t.List != list {
				list, length = t.List, 0
				number = fmt.Sprintf("%3d", list)
			}
			length++
			w.total++
			w.longest = max(w.longest, length)
			w.timer(number, t)
		}
		w.s.printf("\n")
	}
	return nil
}

func (w *timerWalk) timer(list string, t windows.Timer) {
	when := "         NEVER         "
	if due := w.clock + t.DueTime - w.now; t.DueTime>>63 == 0 && format.ValidFileTime(due) {
		when = fireTime(due)
	}
	w.s.printf("%s %016x%2s  %08x %08x [%s]  ", list, t.Addr, either(t.Period != 0, " P", ""), t.DueTime&0xffffffff, t.DueTime>>32, when)
	switch {
	case t.DPC != 0:
		name := w.s.symbolText(w.ctx, t.Routine)
		if name == "" {
			w.s.printf(" (DPC @ %016x)+%016x \n", t.DPC, t.Routine)
			return
		}
		w.s.printf("%s (DPC @ %016x) \n", name, t.DPC)
	case t.Thread != 0:
		w.s.printf("thread %016x \n", t.Thread)
	default:
		w.s.printf("\n")
	}
}

// fireTime spells a FILETIME in 23 characters, " 5/29/2026 13:39:16.007".
func fireTime(v uint64) string {
	t := format.FileTime(v)
	return fmt.Sprintf("%2d/%2d/%d %02d:%02d:%02d.%03d", int(t.Month()), t.Day(), t.Year(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond()/1e6)
}
