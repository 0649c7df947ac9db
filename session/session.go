// Package session is what one client of the debugger sees: an open dump in an
// engine of its own, with handles for threads, frames, values and sources, the
// threads in groups by process, and a console.
//
// It knows nothing of the Debug Adapter Protocol; package adapter translates.
// Handles are small numbers that are never used twice in a session's life, also
// not after the dump was opened again. A Session is safe for concurrent use.
package session

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"kdap/engine/rpc"
)

// Options say what to open and how.
type Options struct {
	DumpFile   string // "" with Engine: the dump that engine has open
	SymbolPath string
	ImagePath  string
	CacheDir   string

	Engine          string // host:port of a running engine, "tls://" in front for TLS; "" starts one
	EngineCA        string // file with the certificates to trust
	EngineTokenFile string // file with the engine's token

	Processes []Selector        // nil for all
	SourceMap map[string]string // folders that symbols name → folders here
	// SourcePath are folders with source files, and "srv*" to allow fetching them.
	SourcePath string

	// Program starts an engine: the path of kdap and its arguments.
	Program []string

	Progress func(text string, done, total uint64)
	// Gone is told once when the engine has ended by itself.
	Gone func(err error)
	// Changed is told when the dump is read with better symbols than before:
	// what was shown may look different. problems are what they brought to light.
	Changed func(problems []string)

	// How often an engine is asked whether it lives, and how long it may take
	// to say so; tests don't wait for the usual times.
	pingEvery, patience time.Duration
}

// A Session is an open dump.
type Session struct {
	opts    Options
	engine  *engineConn
	child   bool   // the engine is another session's
	console uint64 // the engine's console session

	handles *Handles

	mu      sync.Mutex
	sources *sources
	dump    rpc.OpenResult
	symbols int // how often they changed
	groups  []Group
	chosen  []Selector // what groups were made of
	crash   *Thread
	crashed bool
	errs    []string
	stacks  map[rpc.Thread]*Stack
	owners  map[uint64]rpc.Hex // code → the process it was shown for
	focus   focus

	// The console runs one line at a time, in the order they came.
	consoleMu sync.Mutex
}

// Open starts an engine, or joins one, and opens the dump in it.
func Open(ctx context.Context, o Options, h *Handles) (*Session, error) {
	e, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &Session{
		opts: o, engine: e, handles: h, sources: o.newSources(o.SourcePath), stacks: map[rpc.Thread]*Stack{},
	}
	if err := s.open(ctx); err != nil {
		e.close()
		return nil, err
	}
	return s, nil
}

func (s *Session) open(ctx context.Context) error {
	o := s.opts
	progress := func(p rpc.Progress) {
		if o.Progress != nil {
			o.Progress(p.Text, p.Done, p.Total)
		}
	}
	dump, err := s.engine.client.Open(ctx, rpc.OpenParams{
		Path: o.DumpFile, SymbolPath: o.SymbolPath, ImagePath: o.ImagePath, CacheDir: o.CacheDir,
	}, progress)
	if err != nil {
		return s.engine.explain(err)
	}
	s.mu.Lock()
	s.dump = dump
	s.mu.Unlock()
	return s.begin(ctx)
}

// begin lists the threads and starts a console.
func (s *Session) begin(ctx context.Context) error {
	s.engine.enter(s)
	if err := s.loadGroups(ctx, s.opts.Processes); err != nil {
		return s.engine.explain(err)
	}
	c, err := s.engine.client.NewSession(ctx, s.opts.sourceSettings())
	if err != nil {
		return s.engine.explain(err)
	}
	s.console = c.Session
	s.setContext(c)
	return nil
}

// Child returns a session for some processes of the same dump, in the same
// engine. It ends with its parent at the latest.
func (s *Session) Child(ctx context.Context, processes []Selector, h *Handles, changed func([]string)) (*Session, error) {
	o := s.opts
	o.Processes, o.Changed = processes, changed
	c := &Session{
		opts: o, engine: s.engine, child: true, dump: s.Dump(), handles: h, sources: o.newSources(s.sourceFinder().path), stacks: map[rpc.Thread]*Stack{},
	}
	if err := c.begin(ctx); err != nil {
		s.engine.leave(c)
		return nil, err
	}
	// The console begins where the session does, not where the dump stopped.
	if err := c.FocusThread(ctx, c.CrashThread().ID); err != nil {
		s.engine.leave(c)
		return nil, err
	}
	return c, nil
}

// Close ends the session and the engine it started.
func (s *Session) Close() {
	s.engine.leave(s)
	if s.child {
		ctx, cancel := context.WithTimeout(context.Background(), exitPatience)
		defer cancel()
		_ = s.engine.client.Call(ctx, "session/close", rpc.SessionParams{Session: s.console}, nil)
	} else {
		s.engine.close()
	}
	s.handles.drop(s)
}

// Dump describes what is open.
func (s *Session) Dump() rpc.OpenResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dump
}

// changeSymbols forgets what was made with other symbols and tells the client.
// It is called by the loop that reads from the engine, and does not wait.
func (s *Session) changeSymbols(now rpc.OpenResult) {
	s.mu.Lock()
	var problems []string
	for _, p := range now.Problems {
		if !slices.Contains(s.dump.Problems, p) {
			problems = append(problems, p)
		}
	}
	s.dump = now
	s.symbols++
	clear(s.stacks)
	chosen := s.chosen
	s.mu.Unlock()
	go func() {
		_ = s.loadGroups(context.Background(), chosen) // else the threads keep the names they had
		if s.opts.Changed != nil {
			s.opts.Changed(problems)
		}
	}()
}

// ErrNoHandle is what a handle gives that the session never handed out, or that
// was handed out before the dump was opened again.
var ErrNoHandle = errors.New("it is not known, was forgotten as it was not used for long, or was from before the dump was opened again")
