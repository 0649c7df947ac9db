package command

import (
	"context"
	"errors"

	"kdap/engine/symbols"
	"kdap/engine/windows"
)

// moduleList is the session's list of modules, as lm shows it: the kernel's
// and the user modules that .reload or .process /p /r last loaded, which stay
// when the process context changes. Which of them had their symbols loaded is
// the session's own affair; the engine shares the tables.
type moduleList struct {
	user   *windows.ModuleSet
	chosen bool // user was loaded, or left out, on request
	joined *windows.ModuleSet
	states map[*windows.Module]*moduleState
}

// moduleState is what this session did with a module.
type moduleState struct {
	loaded  bool // its symbols were asked for
	private bool // its private symbols were looked at
}

func (l *moduleList) set(ctx context.Context, s *Session) *windows.ModuleSet {
	if l.joined == nil {
		if !l.chosen {
			// The modules of the crashing process are there from the start.
			l.loadUser(ctx, s.initial)
		}
		l.joined = s.sys.KernelModules(ctx)
		if l.user != nil {
			l.joined = l.joined.Join(l.user)
		}
	}
	return l.joined
}

// loadUser makes the modules of p the user modules; the zero Process leaves none.
func (l *moduleList) loadUser(ctx context.Context, p windows.Process) *windows.ModuleSet {
	l.user, l.joined, l.chosen = nil, nil, true
	if p.Addr() != 0 {
		l.user = p.UserModules(ctx)
	}
	return l.user
}

func (l *moduleList) state(m *windows.Module) *moduleState {
	st := l.states[m]
	if st == nil {
		if l.states == nil {
			l.states = map[*windows.Module]*moduleState{}
		}
		st = &moduleState{}
		l.states[m] = st
	}
	return st
}

// symbolsOf returns a module's symbols and remembers that they were loaded.
func (s *Session) symbolsOf(ctx context.Context, m *windows.Module) *symbols.Table {
	st := s.modules.state(m)
	if !st.loaded {
		st.loaded = true
		t := m.Symbols(ctx)
		if err := m.SymbolsErr(); err != nil && !errors.Is(err, context.Canceled) {
			s.notef("%s: %v", m.Name, err)
		}
		return t
	}
	return m.Symbols(ctx)
}
