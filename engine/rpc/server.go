package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/sourcegraph/jsonrpc2"

	"kdap/engine/dump"
)

// Bounds of what one client may have going.
const (
	maxPending = 4096
	maxCursors = 16
)

// A client is one connection.
type client struct {
	e    *Engine
	conn *jsonrpc2.Conn
	log  io.Writer

	token string // that the client must know
	known bool   // it does; used by the reading loop alone

	running chan struct{} // one place a request that runs
	work    sync.WaitGroup

	mu       sync.Mutex
	pending  map[jsonrpc2.ID]context.CancelFunc
	opened   *opened
	values   values
	sessions map[uint64]*session
	cursors  map[uint64]*cursor
	lastID   uint64
}

// Serve answers one client until it goes away or the context ends. It returns
// when the last of its requests has ended.
func (e *Engine) Serve(ctx context.Context, rw io.ReadWriteCloser, log io.Writer) {
	e.serve(ctx, rw, log, "")
}

// serve is Serve for clients that must know a token, "" for none.
func (e *Engine) serve(ctx context.Context, rw io.ReadWriteCloser, log io.Writer, token string) {
	c := &client{
		e: e, log: log, token: token, known: token == "", running: make(chan struct{}, 4*runtime.GOMAXPROCS(0)),
		pending: map[jsonrpc2.ID]context.CancelFunc{}, sessions: map[uint64]*session{}, cursors: map[uint64]*cursor{},
	}
	ready := make(chan struct{})
	c.conn = jsonrpc2.NewConn(ctx, NewStream(rw), handlerFunc(func(ctx context.Context, conn *jsonrpc2.Conn, r *jsonrpc2.Request) {
		<-ready // c.conn is set
		c.handle(ctx, r)
	}), jsonrpc2.SetLogger(silent{}))
	close(ready)
	<-c.conn.DisconnectNotify()
	c.mu.Lock()
	for _, cancel := range c.pending {
		cancel()
	}
	c.mu.Unlock()
	if c.opened != nil {
		c.opened.leave(c)
	}
	c.work.Wait()
	for _, cur := range c.cursors {
		cur.stop()
	}
	if c.opened != nil {
		e.release(c.opened)
	}
}

type handlerFunc func(context.Context, *jsonrpc2.Conn, *jsonrpc2.Request)

func (f handlerFunc) Handle(ctx context.Context, c *jsonrpc2.Conn, r *jsonrpc2.Request) { f(ctx, c, r) }

type silent struct{}

func (silent) Printf(string, ...any) {}

// A method answers one sort of request.
type method func(c *client, ctx context.Context, r *jsonrpc2.Request) (any, error)

// of makes a method of a function with typed parameters.
func of[P any](f func(c *client, ctx context.Context, p P) (any, error)) method {
	return func(c *client, ctx context.Context, r *jsonrpc2.Request) (any, error) {
		p, err := params[P](r)
		if err != nil {
			return nil, err
		}
		return f(c, ctx, p)
	}
}

func params[P any](r *jsonrpc2.Request) (p P, err error) {
	if r.Params == nil {
		return p, nil
	}
	if err := json.Unmarshal(*r.Params, &p); err != nil {
		return p, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: fmt.Sprintf("%s: %v", r.Method, err)}
	}
	return p, nil
}

// withTarget is of for methods that need an open dump.
func withTarget[P any](f func(c *client, ctx context.Context, t *target, p P) (any, error)) method {
	return of(func(c *client, ctx context.Context, p P) (any, error) {
		t := c.openTarget()
		if t == nil {
			return nil, &jsonrpc2.Error{Code: CodeNotOpen, Message: "no dump is open"}
		}
		return f(c, ctx, t, p)
	})
}

func (c *client) openTarget() *target {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened == nil {
		return nil
	}
	return c.opened.now.Load()
}

// methods is the protocol. It is a function because a variable would depend on itself.
func methods() map[string]method {
	return map[string]method{
		"initialize":      of(onInitialize),
		"open":            of(onOpen),
		"system":          withTarget(onSystem),
		"bugcheck":        withTarget(onBugCheck),
		"analyze":         withTarget(onAnalyze),
		"list":            withTarget(onList),
		"list/next":       withTarget(onListNext),
		"list/close":      withTarget(onListClose),
		"groups":          withTarget(onGroups),
		"modules":         withTarget(onModules),
		"stack":           withTarget(onStack),
		"scopes":          withTarget(onScopes),
		"locals":          withTarget(onLocals),
		"registers":       withTarget(onRegisters),
		"children":        withTarget(onChildren),
		"object":          withTarget(onObject),
		"evaluate":        withTarget(onEvaluate),
		"memory/read":     withTarget(onMemoryRead),
		"disassemble":     withTarget(onDisassemble),
		"source/file":     withTarget(onSourceFile),
		"source/function": withTarget(onSourceFunction),
		"source/files":    withTarget(onSourceFiles),
		"symbols/at":      withTarget(onSymbolsAt),
		"symbols/find":    withTarget(onSymbolsFind),
		"session/new":     withTarget(onSessionNew),
		"session/execute": withTarget(onSessionExecute),
		"session/focus":   withTarget(onSessionFocus),
		"session/context": withTarget(onSessionContext),
		"session/close":   withTarget(onSessionClose),
		"completions":     withTarget(onCompletions),
	}
}

var table = sync.OnceValue(methods)

// handle runs in the reading loop: it must not wait.
func (c *client) handle(ctx context.Context, r *jsonrpc2.Request) {
	if !c.known && !c.admit(ctx, r) {
		return
	}
	switch {
	case r.Method == "$/cancelRequest":
		if p, err := params[cancelParams](r); err == nil {
			c.cancel(jsonrpc2.ID{Num: p.ID})
		}
		return
	case r.Method == "ping" && !r.Notif:
		// Answered here: it tells that the loop lives, whatever runs beside it.
		_ = c.conn.Reply(ctx, r.ID, struct{}{})
		return
	case r.Notif:
		return // unknown notifications are ignored, as JSON-RPC wants
	}
	m, ok := table()[r.Method]
	if !ok {
		c.reply(ctx, r, nil, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: fmt.Sprintf("unknown method %q", r.Method)})
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	_, twice := c.pending[r.ID]
	full := len(c.pending) >= maxPending
	if !twice && !full {
		c.pending[r.ID] = cancel
	}
	c.mu.Unlock()
	if twice || full {
		cancel()
		c.reply(ctx, r, nil, &jsonrpc2.Error{Code: CodeBusy, Message: "too many requests at once, or an id used twice"})
		return
	}
	turn := c.turnOf(r)
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		defer cancel()
		result, err := c.run(withRequest(ctx, r.ID.Num), m, r, turn)
		c.mu.Lock()
		delete(c.pending, r.ID)
		c.mu.Unlock()
		c.reply(ctx, r, result, err)
	}()
}

// admit looks at the first message of a client that must know a token. Without
// it the connection ends.
func (c *client) admit(ctx context.Context, r *jsonrpc2.Request) bool {
	p, err := params[InitializeParams](r)
	if err == nil && r.Method == "initialize" && !r.Notif && knows(c.token, p.Token) {
		c.known = true
		return true
	}
	if !r.Notif {
		c.reply(ctx, r, nil, &jsonrpc2.Error{Code: CodeToken, Message: "this engine wants its token, in the request initialize"})
	}
	go c.conn.Close() // not from its own reading loop
	return false
}

func (c *client) cancel(id jsonrpc2.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel, ok := c.pending[id]; ok {
		cancel()
	}
}

// run runs a request when its turn and a free place have come.
func (c *client) run(ctx context.Context, m method, r *jsonrpc2.Request, turn *turn) (result any, err error) {
	if turn != nil {
		defer turn.end()
		if err := turn.wait(ctx); err != nil {
			return nil, err
		}
		ctx = withTurn(ctx, turn)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case c.running <- struct{}{}:
		// A request that was cancelled gives its place up at once: one that does
		// not notice must not keep the others waiting.
		free := sync.OnceFunc(func() { <-c.running })
		defer free()
		defer context.AfterFunc(ctx, free)()
	}
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(c.log, "kdap engine: panic in %s: %v\n%s", r.Method, p, debug.Stack())
			err = &jsonrpc2.Error{Code: jsonrpc2.CodeInternalError, Message: fmt.Sprintf("internal error in %s: %v", r.Method, p)}
		}
	}()
	return m(c, ctx, r)
}

// reply sends the answer to a request.
func (c *client) reply(ctx context.Context, r *jsonrpc2.Request, result any, err error) {
	if err == nil {
		if err = c.conn.Reply(ctx, r.ID, result); err == nil || errors.Is(err, jsonrpc2.ErrClosed) {
			return
		}
		err = fmt.Errorf("%s: the answer cannot be sent: %w", r.Method, err)
	}
	_ = c.conn.ReplyWithError(ctx, r.ID, asError(err))
}

func asError(err error) *jsonrpc2.Error {
	var e *jsonrpc2.Error
	var open *dump.OpenError
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &jsonrpc2.Error{Code: CodeCancelled, Message: "cancelled"}
	case errors.As(err, &open):
		return &jsonrpc2.Error{Code: CodeOpen, Message: open.Error()}
	}
	return &jsonrpc2.Error{Code: CodeFailed, Message: err.Error()}
}

func (c *client) notify(method string, params any) {
	_ = c.conn.Notify(context.Background(), method, params)
}

// nextID makes an id for something that the client holds; none is used twice.
// The client's lock is held.
func (c *client) nextID() uint64 {
	c.lastID++
	return c.lastID
}

type requestKey struct{}

func withRequest(ctx context.Context, id uint64) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// requestID returns the id of the request that runs.
func requestID(ctx context.Context) uint64 {
	id, _ := ctx.Value(requestKey{}).(uint64)
	return id
}

func onInitialize(c *client, _ context.Context, _ InitializeParams) (any, error) {
	return Initialize{Protocol: Version, Version: c.e.version, PID: os.Getpid()}, nil
}
