// Package engine opens crash dumps. A Target is what commands, services and
// programs work on: the dump, the Windows system in it and where its symbols
// come from.
package engine

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/dump"
	"kdap/engine/source"
	"kdap/engine/symbols"
	"kdap/engine/windows"
)

// Options say where to look for what a dump does not hold. The zero value
// takes the environment's paths and the user's cache.
type Options struct {
	SymbolPath string // before _NT_SYMBOL_PATH
	ImagePath  string // before _NT_EXECUTABLE_IMAGE_PATH
	CacheDir   string // default: kdap below the user's cache folder

	// Progress, when set, is told how far unpacking has come.
	Progress func(done, total uint64)
}

// A Target is an open dump: a kernel's with all processes, or that of one user
// process. It is safe for concurrent use and never changes; Latest leads to the
// one that took its place when better symbols were found.
type Target struct {
	Dump    *dump.File     // without anything in it for a user minidump
	User    *dump.UserFile // nil for a kernel dump
	System  *windows.System
	Symbols *symbols.Finder
	Sources *source.Remote // fetches nothing by itself

	line *lineage
}

// Open opens the dump at path, finds its kernel and loads the kernel's
// symbols. The error is a *dump.OpenError when the file is no dump that can be
// read; a dump with missing parts opens, and System.Problems names them.
func Open(ctx context.Context, path string, o Options) (*Target, error) {
	cache, err := cacheDir(o.CacheDir)
	if err != nil {
		return nil, err
	}
	finder := newFinder(o, cache)
	sources := source.NewRemote(cache, finder.Timeouts)
	opt := dump.Options{CacheDir: cache, Progress: o.Progress}
	f, err := dump.Open(ctx, path, opt)
	var refused *dump.OpenError
	if errors.As(err, &refused) && refused.Reason == dump.UserDump {
		u, err := dump.OpenUser(ctx, path, opt)
		if err != nil {
			return nil, err
		}
		sys := windows.OpenUser(u, finder)
		return (&Target{Dump: sys.Dump(), User: u, System: sys, Symbols: finder, Sources: sources}).begin(), nil
	}
	if err != nil {
		return nil, err
	}
	sys, err := windows.Open(ctx, f, finder)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return (&Target{Dump: f, System: sys, Symbols: finder, Sources: sources}).begin(), nil
}

// Problems tells what is wrong with the dump and what is missing to read it
// fully, for a person, in the order found.
func (t *Target) Problems() []error {
	var all []error
	warnings := t.Dump.Warnings()
	if t.User != nil {
		warnings = t.User.Warnings()
	}
	for _, w := range warnings {
		all = append(all, errors.New(w.Msg))
	}
	return append(all, t.System.Problems()...)
}

// Close unmaps the dump. Nothing that was read from it may be used afterwards,
// by whichever of its targets.
func (t *Target) Close() error {
	if t.User != nil {
		return t.User.Close()
	}
	return t.Dump.Close()
}
