package command

import (
	"context"
	"errors"
	"slices"

	"kdap/engine/arch"
	"kdap/engine/symbols"
	"kdap/engine/windows"
)

// moduleList is the session's list of modules, as lm shows it: the kernel's
// and the user modules that .reload or .process /p /r last loaded, which stay
// when the process context changes, and those that were declared by hand.
// Which of them had their symbols loaded is the session's own affair; the
// engine shares the tables.
type moduleList struct {
	user     *windows.ModuleSet
	owner    windows.Process // of user
	chosen   bool            // user was loaded, or left out, on request
	declared []*windows.Module
	removed  map[*windows.Module]bool
	joined   *windows.ModuleSet // all of them; nil after a change
	states   map[*windows.Module]*moduleState

	quiet  bool           // the caller tells of loads itself
	scopes []usedScope    // contexts whose callers were not looked at yet
	scope  arch.Registers // the last one
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
		if len(l.declared) > 0 || len(l.removed) > 0 {
			mods := slices.DeleteFunc(slices.Clone(l.joined.All()), func(m *windows.Module) bool { return l.removed[m] })
			l.joined = windows.NewModuleSet(append(mods, l.declared...), l.joined.Errs()...)
		}
	}
	return l.joined
}

// loadUser makes the modules of p the user modules; the zero Process leaves
// none. Their symbols are deferred again.
func (l *moduleList) loadUser(ctx context.Context, p windows.Process) *windows.ModuleSet {
	for m := range l.states {
		if m.User {
			delete(l.states, m)
		}
	}
	for m := range l.removed {
		if m.User {
			delete(l.removed, m)
		}
	}
	l.declared = slices.DeleteFunc(l.declared, func(m *windows.Module) bool { return m.User })
	l.user, l.owner, l.joined, l.chosen = nil, p, nil, true
	if p.Addr() != 0 {
		l.user = p.UserModules(ctx)
	}
	return l.user
}

// loadKernel goes back to the kernel's modules as the dump has them.
func (l *moduleList) loadKernel() {
	for m := range l.states {
		if !m.User {
			delete(l.states, m)
		}
	}
	for m := range l.removed {
		if !m.User {
			delete(l.removed, m)
		}
	}
	l.declared = slices.DeleteFunc(l.declared, func(m *windows.Module) bool { return !m.User })
	l.joined = nil
}

// remove takes a module off the list.
func (l *moduleList) remove(m *windows.Module) {
	if i := slices.Index(l.declared, m); i >= 0 {
		l.declared = slices.Delete(l.declared, i, i+1)
	} else {
		if l.removed == nil {
			l.removed = map[*windows.Module]bool{}
		}
		l.removed[m] = true
	}
	delete(l.states, m)
	l.joined = nil
}

// restore puts a module of the dump back on the list.
func (l *moduleList) restore(m *windows.Module) {
	delete(l.removed, m)
	l.joined = nil
}

var errOverlapped = errors.New("another module was declared at a part of its addresses")

// declare adds a module that the user says is there, instead of the one at
// the same base. It gets a name of its own. A module that it overlaps, and
// whose symbols nobody has used yet, has none from then on.
func (l *moduleList) declare(ctx context.Context, s *Session, m *windows.Module) {
	var others []*windows.Module
	for _, o := range slices.Clone(l.set(ctx, s).All()) {
		if o.Base == m.Base {
			l.remove(o)
		} else {
			others = append(others, o)
		}
	}
	m.Name = windows.UniqueName(m, others)
	l.declared = append(l.declared, m)
	l.joined = nil
	for _, o := range others {
		if st := l.state(o); !st.loaded && o.Base < m.End() && m.Base < o.End() {
			*st = moduleState{loaded: true, table: &symbols.Table{}, err: errOverlapped}
		}
	}
}
