package command

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"kdap/engine/arch"
	"kdap/engine/memory"
	"kdap/engine/pe"
	"kdap/engine/symbols"
	"kdap/engine/windows"
)

// moduleState is what this session did with a module. Going back to deferred
// drops the table; that it was loaded before, and failed, stays.
type moduleState struct {
	loaded bool // its symbols were asked for
	table  *symbols.Table
	err    error // why there is no symbol file
	report *symbols.Report

	tried   bool // was loaded at least once: its letter shows
	failed  bool // the last load found no symbol file
	noisy   bool // was loaded in noisy mode, which looks at private symbols
	badSum  bool // the image's checksum field is 0
	badTime bool // the image's header cannot be read
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

// symbolsOf returns a module's symbols, loading them on first use.
func (s *Session) symbolsOf(ctx context.Context, m *windows.Module) *symbols.Table {
	if st := s.modules.state(m); st.loaded {
		return st.table
	}
	return s.loadSymbols(ctx, m)
}

// loadSymbols loads a module's symbols the way the session is set up: from the
// target's tables, or from its own when its path or its options are others.
func (s *Session) loadSymbols(ctx context.Context, m *windows.Module) *symbols.Table {
	f := s.fetchSymbols(ctx, m)
	if ctx.Err() != nil {
		return &symbols.Table{} // not kept: the search was given up
	}
	s.keepSymbols(m, f.table, f.report, f.err)
	return f.table
}

// fetchedSymbols is what looking for a module's symbols brought.
type fetchedSymbols struct {
	table  *symbols.Table
	report *symbols.Report
	err    error
}

// fetchSymbols looks for a module's symbols without making them the session's.
// Unlike the rest of a session it may run beside itself.
func (s *Session) fetchSymbols(ctx context.Context, m *windows.Module) (f fetchedSymbols) {
	// What the system is read with does not change in place: where it was not
	// found it is looked for anew, to make a better target of.
	if s.symbols.shared(s) && !(m.DescribesSystem() && m.SymbolsErr() != nil) {
		f.table = m.Symbols(ctx)
		f.report, f.err = m.SymbolReport(), m.SymbolsErr()
		return f
	}
	f.table, f.report, f.err = m.LoadSymbols(ctx, s.finder(), s.tableOptions())
	return f
}

// fetchers is how many modules' symbols are looked for at a time: most of that
// time is spent waiting for servers.
const fetchers = 16

// fetchAll looks for the symbols of many modules side by side and tells how
// far it is once that takes long.
func (s *Session) fetchAll(ctx context.Context, mods []*windows.Module) []fetchedSymbols {
	out := make([]fetchedSymbols, len(mods))
	done := make(chan struct{}, len(mods))
	var group errgroup.Group
	group.SetLimit(fetchers)
	s.finder() // made once, before it is shared
	go func() {
		for i, m := range mods {
			group.Go(func() error {
				if ctx.Err() == nil {
					out[i] = s.fetchSymbols(ctx, m)
				}
				done <- struct{}{}
				return nil
			})
		}
	}()
	told := time.Now()
	for n := range mods {
		<-done
		if time.Since(told) >= progressAfter {
			told = time.Now()
			s.notef("symbols: %d of %d modules", n+1, len(mods))
		}
	}
	return out
}

// progressAfter is how long work may be silent.
const progressAfter = 500 * time.Millisecond

// keepSymbols makes a table the module's, and tells of it.
func (s *Session) keepSymbols(m *windows.Module, t *symbols.Table, report *symbols.Report, err error) {
	st := s.modules.state(m)
	st.loaded, st.table, st.report, st.err, st.failed = true, t, report, err, err != nil
	s.offer(m, t, err)
	st.noisy = s.symbols.noisy
	if st.noisy && !st.tried {
		s.tellImage(m)
	}
	s.examineImage(m, st)
	if err != nil && !s.modules.quiet && !errors.Is(err, context.Canceled) {
		s.notef("%s: %v", m.Name, err)
	}
	if st.noisy {
		s.tellLoad(m, st)
	}
}

// examineImage finds out what the debugger warns of when it first loads a
// module.
func (s *Session) examineImage(m *windows.Module, st *moduleState) {
	st.tried = true
	img, err := m.Image()
	switch {
	case err != nil:
		st.badTime = true
	case img.CheckSum == 0:
		st.badSum = true
	}
	switch {
	case s.modules.quiet:
	case st.badSum:
		s.notef("Unable to verify checksum for %s", m.ImageName)
	case st.badTime:
		s.notef("Unable to verify timestamp for %s", m.ImageName)
	}
}

// mappedImage returns the path of the image file that was found for a module
// whose symbols were asked for, "" without one. A file that would have to be
// relocated is not mapped. Servers are not asked for it.
func (s *Session) mappedImage(ctx context.Context, m *windows.Module) string {
	if !s.modules.state(m).loaded {
		return ""
	}
	im, path, err := m.LocalFile(ctx, s.finder())
	if err != nil {
		return ""
	}
	defer im.Close()
	if im.ImageBase != m.Base && im.Directory(pe.DirBaseReloc).RVA != 0 {
		return ""
	}
	return path
}

// hasPrivateData reports that a table's file has private symbols of data.
func hasPrivateData(t *symbols.Table) bool {
	f := t.PDB()
	if f == nil || t.Rank != symbols.PrivatePDB {
		return false
	}
	for g := range f.Globals() {
		if !g.IsFunction() && !g.NoRVA {
			return true
		}
	}
	return false
}

// loadNtdll loads the symbols of the process's ntdll, as the debugger does at
// the end of some commands.
func (s *Session) loadNtdll(ctx context.Context) {
	if m := s.ntdll(ctx); m != nil {
		s.symbolsOf(ctx, m)
	}
}

// ntdll returns the process's ntdll among the modules, nil without one.
func (s *Session) ntdll(ctx context.Context) *windows.Module {
	for _, m := range s.moduleSet(ctx).All() {
		if m.User && !m.WOW64 && strings.EqualFold(m.ImageName, "ntdll.dll") {
			return m
		}
	}
	return nil
}

// A usedScope is a register context that an expression was evaluated in. The
// debugger then looks at the caller of the frame, and so loads the symbols of
// its module.
type usedScope struct {
	regs  arch.Registers
	space memory.Space
}

// maxScopes bounds the contexts that wait for being looked at.
const maxScopes = 64

// useScope remembers the current context; settle looks at it.
func (s *Session) useScope() {
	l := &s.modules
	regs := s.scope.regs
	if regs == nil || regs == l.scope || len(l.scopes) >= maxScopes {
		return
	}
	l.scope = regs
	l.scopes = append(l.scopes, usedScope{regs, s.space()})
}

// settle loads the modules that the debugger would have loaded by now: the
// kernel, and the callers' modules of the contexts that were used. Commands
// that show load states call it.
func (s *Session) settle(ctx context.Context) {
	set := s.moduleSet(ctx)
	if !s.symbols.started {
		if first := s.debuggee.firstModule(ctx, s); first != nil && set.Find(first.Base) == first {
			s.symbolsOf(ctx, first)
		}
	}
	s.symbols.started = true
	scopes := s.modules.scopes
	s.modules.scopes = nil
	for _, u := range scopes {
		st := s.sys.Walk(ctx, windows.Walk{Regs: u.regs, Space: u.space, Modules: set, Limit: 1})
		for _, f := range st.Frames {
			if m := set.Find(f.Return); m != nil {
				s.symbolsOf(ctx, m)
			}
		}
	}
}
