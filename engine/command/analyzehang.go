package command

import (
	"context"
	"fmt"

	"kdap/engine/analyze"
	"kdap/engine/dump"
	"kdap/engine/format"
	"kdap/engine/windows"
)

// maxChains is how many chains of waits are shown without -v.
const maxChains = 10

// analyzeHang shows who waits for whom, and the thread that most others wait
// for. The table of a chain has the debugger's form for processes; there is
// none of it for kernels.
func (s *Session) analyzeHang(ctx context.Context, verbose bool) error {
	if s.target.Dump.Type() == dump.Triage {
		return Failf("!analyze: -hang needs the threads of the whole system; a small memory dump holds one")
	}
	s.printf("%s", analyzeBanner)
	s.printf("Scanning for threads blocked on locks ...\n")
	h := analyze.FindHang(ctx, s.sys)
	for _, err := range h.Errs {
		s.notef("%v", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(h.Chains) == 0 {
		s.printf("\nNo thread is known to wait for another one.\n\n")
		s.notef("looked at: executive resources, mutants, fast mutexes, critical sections, waits for threads; " +
			"!running -it shows what the processors do, !stacks 1 all threads")
		return nil
	}
	shown := len(h.Chains)
	if !verbose {
		shown = min(shown, maxChains)
	}
	for _, c := range h.Chains[:shown] {
		s.waitChain(ctx, c)
	}
	if left := len(h.Chains) - shown; left > 0 {
		s.notef("%d more chains: !analyze -hang -v shows all", left)
	}
	return s.blockingThread(ctx, h)
}

// waitChain shows one chain: each thread and what it waits for.
func (s *Session) waitChain(ctx context.Context, c analyze.Chain) {
	s.printf("\nDERIVED_WAIT_CHAIN:  \n\nDl Thread            Cid        WaitType\n-- ----------------- ---------- --------------------------\n")
	for i, w := range c.Waits {
		mark, arrow := " ", "-->"
		if c.Deadlock {
			mark = "x"
		}
		if i == len(c.Waits)-1 && c.Deadlock {
			arrow = fmt.Sprintf("--> %016x (deadlock)", c.End)
		}
		what := w.String()
		if name := s.symbolIn(ctx, w.Thread, w.Object); name != "" {
			what += " (" + name + ")"
		}
		s.printf("%s  %-17s %-10s %s %s\n", mark, format.Hex16(w.Thread), s.chainID(w.Thread), what, arrow)
		if w.Guessed {
			s.notef("thread %016x: that it waits for the critical section %016x is taken from its stack", w.Thread, w.Object)
		}
	}
	if !c.Deadlock {
		s.printf("   %-17s %-10s %s\n", format.Hex16(c.End), s.chainID(c.End), s.stateWords(c.End))
	}
}

// symbolIn names an address in the process of a thread.
func (s *Session) symbolIn(ctx context.Context, thread, va uint64) string {
	p, err := s.sys.Thread(thread).Process()
	if err != nil {
		return ""
	}
	m := p.Modules(ctx).Find(va)
	if m == nil {
		return ""
	}
	return placeText(m.PlaceIn(s.symbolsOf(ctx, m), va), va)
}

// chainID is a thread's process and thread number, as wait chains show it.
func (s *Session) chainID(thread uint64) string {
	t := s.sys.Thread(thread)
	pid, err := t.PID()
	tid, terr := t.TID()
	if err != nil || terr != nil {
		return "?"
	}
	return fmt.Sprintf("%04x.%04x", pid, tid)
}

// stateWords tell what a thread does that waits for no other one.
func (s *Session) stateWords(thread uint64) string {
	t := s.sys.Thread(thread)
	state, err := t.State()
	if err != nil {
		return "?"
	}
	text := s.sys.StateName(state)
	if state != windows.StateWaiting {
		return text
	}
	if reason, err := t.WaitReason(); err == nil {
		if name := s.sys.WaitReasonName(reason); name != "" {
			text += " (" + name + ")"
		}
	}
	for o, err := range t.WaitObjects() {
		if err == nil && o.Addr != 0 {
			text += fmt.Sprintf(" %s %016x", o.Type, o.Addr)
			if o.Name != "" {
				text += " " + visible(o.Name)
			}
		}
	}
	return text
}

// blockingThread shows the thread that most others wait for.
func (s *Session) blockingThread(ctx context.Context, h *analyze.Hang) error {
	worst := h.Worst()
	if worst == 0 {
		return nil
	}
	b := blockWriter{s}
	t := s.sys.Thread(worst)
	s.printf("\n")
	b.line("BLOCKING_THREAD:  %016x", worst)
	b.line("BLOCKED_THREADS:  %d", h.Blocked[worst])
	process := uint64(0)
	if p, err := t.Process(); err == nil {
		process = p.Addr()
		if name, err := p.ImageName(); err == nil {
			b.line("PROCESS_NAME:  %s", visible(name))
		}
	}
	st, err := t.Stack(ctx, maxFrames)
	if err != nil {
		s.notef("the stack of thread %016x: %v", worst, err)
	} else if err := s.hangStack(ctx, st); err != nil {
		return err
	}
	b.line("STACK_COMMAND:  .process /r /p 0x%x; .thread 0x%x ; kb", process, worst)
	s.printf("Followup:     MachineOwner\n---------\n\n")
	for _, c := range h.Chains {
		if c.Deadlock && c.End == c.Waits[0].Thread {
			s.notef("%d threads wait for each other: none of them goes on by itself", len(c.Waits))
		}
	}
	return ctx.Err()
}

// hangStack prints the stack of a thread; its own process's modules name it.
func (s *Session) hangStack(ctx context.Context, st windows.Stack) error {
	s.printf("STACK_TEXT:  \n")
	for _, f := range st.Frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := "0x" + s.addressText(f.IP)
		if f.Module != nil {
			name = placeText(f.Module.PlaceIn(s.symbolsOf(ctx, f.Module), f.IP), f.IP)
		}
		s.printf("%s %s     : %s\n", s.addressText(f.SP), s.addressText(f.Return), name)
	}
	s.printf("\n\n")
	return nil
}
