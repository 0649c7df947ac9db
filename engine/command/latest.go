package command

import (
	"context"

	"kdap/engine/symbols"
	"kdap/engine/windows"
)

// What a session finds with a path of its own serves all who share the target.
// Symbols that describe the system's structures, where it had none, move the
// whole target: sessions and services then see what a dump opened with those
// symbols shows. Symbols of other modules are added to it.

// offer notes that a module's symbols, just loaded, may serve the whole target.
// They are handed over when the command that loaded them has ended, for that
// command still works with what there was.
func (s *Session) offer(m *windows.Module, t *symbols.Table, err error) {
	switch {
	case m.DescribesSystem():
		s.better = s.better || err == nil && (!s.sys.HasSymbols() || !s.sys.Described() && s.sys.DescribedBy(m, t))
	case err == nil && s.symbols.own != nil:
		s.found = append(s.found, m)
	}
}

// improve hands over what a command found.
func (s *Session) improve(ctx context.Context) {
	if !s.better && len(s.found) == 0 || ctx.Err() != nil {
		return
	}
	f := cloneFinder(s.finder())
	f.LoadAnything = false // another build's symbols describe other structures
	before := s.target
	if s.better {
		s.target.Improve(ctx, f)
		s.catchUp(ctx)
	}
	if s.target != before {
		s.notef("the whole dump is now read with the symbols that were found")
	} else {
		s.target.Adopt(ctx, s.found, f) // the new target looks by itself
	}
	s.better, s.found = false, nil
}

// catchUp moves the session to the latest target of its dump. What is current
// stays so, and modules keep their load states.
func (s *Session) catchUp(ctx context.Context) {
	latest := s.target.Latest()
	if latest == s.target {
		return
	}
	s.target, s.sys = latest, latest.System
	s.debuggee = newDebuggee(latest)
	s.initial = s.rebound(s.initial)
	c := &s.scope
	c.process, c.memory = s.rebound(c.process), s.rebound(c.memory)
	if c.thread.Addr() != 0 {
		c.thread = s.sys.Thread(c.thread.Addr())
	}
	s.modules.rebind(ctx, s)
	if f := c.frame.walked; f != nil {
		again := *f
		again.Module = s.moduleSet(ctx).Find(f.IP)
		c.frame.walked = &again
	}
}

// rebound returns a process as the session's system shows it.
func (s *Session) rebound(p windows.Process) windows.Process {
	if p.Addr() == 0 {
		return p
	}
	return s.sys.Process(p.Addr())
}

// rebind takes the modules from the session's system instead of the one before.
func (l *moduleList) rebind(ctx context.Context, s *Session) {
	l.owner = s.rebound(l.owner)
	if l.user != nil {
		l.user = l.owner.UserModules(ctx)
	}
	type place struct {
		base uint64
		user bool
	}
	now := map[place]*windows.Module{}
	for _, m := range s.sys.KernelModules(ctx).All() {
		now[place{m.Base, m.User}] = m
	}
	if l.user != nil {
		for _, m := range l.user.All() {
			now[place{m.Base, m.User}] = m
		}
	}
	declared := map[*windows.Module]bool{}
	for i, m := range l.declared {
		l.declared[i] = m.In(s.sys)
		declared[l.declared[i]] = true
		if st := l.states[m]; st != nil {
			delete(l.states, m)
			l.states[l.declared[i]] = st
		}
	}
	states, removed := map[*windows.Module]*moduleState{}, map[*windows.Module]bool{}
	for m, st := range l.states {
		if !declared[m] {
			m = now[place{m.Base, m.User}]
		}
		if m == nil {
			continue
		}
		if st.failed && s.symbols.shared(s) {
			st.loaded, st.table = false, nil // the target may find it now
		}
		states[m] = st
	}
	for m := range l.removed {
		if m = now[place{m.Base, m.User}]; m != nil {
			removed[m] = true
		}
	}
	l.states, l.removed, l.joined = states, removed, nil
}
