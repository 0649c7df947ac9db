// Package rpc is the engine as a service: a JSON-RPC 2.0 server over standard
// input and output or a loopback port, and its client.
//
// Messages are framed as in the Language Server Protocol (Content-Length). The
// protocol is documented in docs/engine-protocol.md. Requests run beside each
// other, each with a context of its own that "$/cancelRequest" ends; command
// lines of one console session run one after the other. Nothing that a client
// sends ends the server, and a panic in a request becomes its error.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"kdap/engine"
)

// An Engine holds open dumps for any number of clients. Clients that open the
// same file with the same paths share it.
type Engine struct {
	version string

	mu      sync.Mutex
	targets map[targetKey]*opened
}

// NewEngine returns an engine without dumps. version is kdap's.
func NewEngine(version string) *Engine {
	return &Engine{version: version, targets: map[targetKey]*opened{}}
}

type targetKey struct{ path, symbols, images, cache string }

// An opened is a dump that clients share.
type opened struct {
	key   targetKey
	first *engine.Target // nil where it could not be opened
	now   atomic.Pointer[target]

	ready chan struct{} // closed when opening has come to an end
	err   error
	users int // under Engine.mu

	mu      sync.Mutex
	clients map[*client]bool // that have it open
}

// A target is a dump as it is read by now, with what its clients share. It gives
// way to another when better symbols are found; a request keeps the one it
// began with.
type target struct {
	*engine.Target
	path   string
	stacks stackCache
	listed *sync.Map // addresses of threads that the lists and processors name
	lines  sync.Map  // textKey → line of an instruction in its function's text
}

// errNoSingleDump is what joining an engine without a path can fail with.
var errNoSingleDump = errors.New("the engine has no dump open, or more than one: say which")

// acquire returns the open dump, opening it for the first who asks.
func (e *Engine) acquire(ctx context.Context, p OpenParams, progress func(done, total uint64)) (*opened, error) {
	t, first, err := e.enter(p)
	if err != nil {
		return nil, err
	}
	if first {
		// The context is the first client's: when it gives up, those who wait try themselves.
		t.first, t.err = engine.Open(ctx, t.key.path, engine.Options{
			SymbolPath: p.SymbolPath, ImagePath: p.ImagePath, CacheDir: p.CacheDir, Progress: progress,
		})
		if t.err != nil {
			e.mu.Lock()
			delete(e.targets, t.key)
			e.mu.Unlock()
		} else {
			t.now.Store(&target{Target: t.first, path: t.key.path, listed: &sync.Map{}})
			t.first.Watch(t.move)
		}
		close(t.ready)
		return t, t.err
	}
	select {
	case <-ctx.Done():
		e.release(t)
		return nil, ctx.Err()
	case <-t.ready:
	}
	if errors.Is(t.err, context.Canceled) && ctx.Err() == nil {
		return e.acquire(ctx, p, progress)
	}
	return t, t.err
}

// enter counts a user of a dump; first tells that it is still to be opened.
func (e *Engine) enter(p OpenParams) (t *opened, first bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.Path == "" {
		if len(e.targets) != 1 {
			return nil, false, errNoSingleDump
		}
		for _, t := range e.targets {
			t.users++
			return t, false, nil
		}
	}
	path, err := filepath.Abs(p.Path)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", p.Path, err)
	}
	key := targetKey{path, p.SymbolPath, p.ImagePath, p.CacheDir}
	t, known := e.targets[key]
	if !known {
		t = &opened{key: key, ready: make(chan struct{}), clients: map[*client]bool{}}
		e.targets[key] = t
	}
	t.users++
	return t, !known, nil
}

// release ends one use of a dump; the last one closes it. No request of that
// user may be running.
func (e *Engine) release(t *opened) {
	e.mu.Lock()
	t.users--
	last := t.users == 0 && e.targets[t.key] == t
	if last {
		delete(e.targets, t.key)
	}
	e.mu.Unlock()
	if last && t.first != nil {
		_ = t.first.Close()
	}
}

// Pin opens a dump that stays open while no client uses it.
func (e *Engine) Pin(ctx context.Context, p OpenParams, progress func(done, total uint64)) error {
	_, err := e.acquire(ctx, p, progress)
	return err
}

// move takes the dump with better symbols and tells all clients: what they were
// told before may look different now.
func (o *opened) move(better *engine.Target) {
	t := &target{Target: better, path: o.key.path, listed: o.now.Load().listed}
	o.now.Store(t)
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.clients {
		c.work.Go(func() { c.notify("symbols/changed", c.describe(context.Background(), t)) }) // none waits for another
	}
}

// join counts a client among those that are told.
func (o *opened) join(c *client) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clients[c] = true
}

func (o *opened) leave(c *client) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.clients, c)
}
