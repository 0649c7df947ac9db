package engine

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"kdap/engine/symbols"
	"kdap/engine/windows"
)

// A lineage is what the targets of one open dump have in common. A target
// never changes: symbols that are found later make another one, so those who
// read meanwhile go on with what they began with.
type lineage struct {
	latest   atomic.Pointer[Target]
	improves sync.Mutex // one search at a time

	mu       sync.Mutex
	watchers []*func(*Target)
}

// begin makes t the first target of its dump.
func (t *Target) begin() *Target {
	t.line = &lineage{}
	t.line.latest.Store(t)
	return t
}

// Latest returns the target of the same dump that has the best symbols known by
// now. It is t itself until Improve found better ones.
func (t *Target) Latest() *Target { return t.line.latest.Load() }

// Improve looks with f for symbols that describe the system's structures, or at
// least name its routines, if the dump's latest target has none, and makes a
// target with them the latest. It returns the latest, moved or not.
func (t *Target) Improve(ctx context.Context, f *symbols.Finder) *Target {
	l := t.line
	l.improves.Lock()
	defer l.improves.Unlock()
	old := l.latest.Load()
	if old.System.Described() {
		return old
	}
	next := &Target{Dump: old.Dump, User: old.User, Symbols: f, Sources: old.Sources, line: l}
	if old.User != nil {
		next.System = windows.OpenUser(old.User, f)
		next.Dump = next.System.Dump()
	} else {
		sys, err := windows.Open(ctx, old.Dump, f)
		if err != nil {
			return old
		}
		next.System = sys
	}
	if quality(next.System) <= quality(old.System) || ctx.Err() != nil {
		return old
	}
	l.latest.Store(next)
	l.tell(next)
	return next
}

// quality ranks what a system is read with.
func quality(s *windows.System) int {
	switch {
	case s.Described():
		return 2
	case s.HasSymbols():
		return 1 // names, but no types
	}
	return 0
}

// Adopt looks with f for symbols of modules that the target found none for, and
// keeps them for all who share it. Where nobody watches nobody does.
func (t *Target) Adopt(ctx context.Context, mods []*windows.Module, f *symbols.Finder) {
	if len(t.line.watching()) == 0 {
		return
	}
	adopted := false
	for _, m := range mods {
		adopted = m.Adopt(ctx, f) || adopted
	}
	if adopted {
		t.line.tell(t.Latest())
	}
}

func (l *lineage) watching() []*func(*Target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.watchers)
}

func (l *lineage) tell(t *Target) {
	for _, w := range l.watching() {
		(*w)(t)
	}
}

// Watch calls f when there are better symbols than before, with the target that
// has them: one that became the latest of the dump, or the same with symbols of
// more modules. stop ends that; a call that has begun may still go on.
func (t *Target) Watch(f func(*Target)) (stop func()) {
	l := t.line
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &f
	l.watchers = append(l.watchers, w)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.watchers = slices.DeleteFunc(l.watchers, func(o *func(*Target)) bool { return o == w })
	}
}
