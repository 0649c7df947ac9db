package command

import (
	"os"
	"sync/atomic"

	"kdap/engine/symbols"
)

// symbolSource is where a session finds symbols, images and sources, and how
// its tables answer. Until a command changes it the target's finder and shared
// tables serve; then the session has a finder and tables of its own, so that
// sessions never disturb each other.
type symbolSource struct {
	own    *symbols.Finder              // nil: the target's
	source atomic.Pointer[symbols.Path] // nil: that of the environment

	store string // what .symfix named as the local store; "" for the default

	noisy    bool // !sym noisy
	srcNoisy int  // .srcnoisy
	srcAll   bool // it filters nothing out
	started  bool // the kernel's symbols were loaded at the start
}

// tableBits are the symbol options that change what a table answers.
const tableBits = symbols.CaseInsensitive | symbols.Undname | symbols.LoadAnything | symbols.ExactSymbols |
	symbols.PublicsOnly | symbols.NoPublics | symbols.AutoPublics

// shared reports that the target's tables are what the session wants.
func (c *symbolSource) shared(s *Session) bool {
	return c.own == nil && s.tableOptions()&tableBits == symbols.DefaultOptions&tableBits
}

// tableOptions are the session's symbol options as tables know them.
func (s *Session) tableOptions() symbols.Options { return symbols.Options(s.settings.symopt) }

// finder returns what the session looks for symbols with.
func (s *Session) finder() *symbols.Finder {
	base := s.symbols.own
	if base == nil {
		base = s.target.Symbols
	}
	if anything := s.tableOptions()&symbols.LoadAnything != 0; anything != base.LoadAnything {
		base = cloneFinder(base)
		base.LoadAnything = anything
		s.symbols.own = base
	}
	return base
}

func cloneFinder(f *symbols.Finder) *symbols.Finder {
	return &symbols.Finder{
		Path: f.Path, Images: f.Images, CacheDir: f.CacheDir, LoadAnything: f.LoadAnything,
		Offline: f.Offline, Fresh: f.Fresh, Timeouts: f.Timeouts, Progress: f.Progress,
	}
}

// changePaths gives the session a finder of its own and puts every module back
// to deferred.
func (s *Session) changePaths(change func(f *symbols.Finder)) {
	f := cloneFinder(s.finder())
	change(f)
	s.symbols.own = f
	if s.symbols.noisy {
		s.printf("DBGHELP: Symbol Search Path: %s\n", s.symbols.expanded(f.Path))
	}
	s.deferAll()
}

// changeImagePath gives the session an image path of its own. What was loaded
// stays.
func (s *Session) changeImagePath(p symbols.Path) {
	f := cloneFinder(s.finder())
	f.Images = p
	s.symbols.own = f
}

// foldersExist reports a path whose folders, caches included, are all there.
// The debugger looks for nothing at once where one is missing.
func foldersExist(p symbols.Path) bool {
	for _, e := range p {
		if e.Kind == symbols.Server || e.Stores[0] == "" {
			continue
		}
		if st, err := os.Stat(e.Stores[0]); err != nil || !st.IsDir() {
			return false
		}
	}
	return len(p) > 0
}

// deferAll puts all modules back to deferred: the next use loads them anew.
func (s *Session) deferAll() {
	for _, st := range s.modules.states {
		st.loaded, st.table = false, nil
	}
	s.symbols.started = true // the kernel waits for its first use, too
	s.modules.scope, s.modules.scopes = nil, nil
	if nt := s.sys.Nt(); nt != nil && s.symbols.noisy && !s.modules.removed[nt] && foldersExist(s.finder().Path) {
		s.symbolsOf(s.ctx, nt) // what noisy mode tells of it comes first
	}
}
