package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/sourcegraph/jsonrpc2"
)

// A Client is a connection to an engine.
type Client struct {
	conn *jsonrpc2.Conn
	next atomic.Uint64

	mu       sync.Mutex
	outputs  map[uint64]func(text string, note bool) // by request
	progress map[string]func(Progress)
	changed  func(OpenResult)
}

// NewClient returns a client over a connection, which it closes in the end.
func NewClient(rw io.ReadWriteCloser) *Client {
	c := &Client{outputs: map[uint64]func(string, bool){}, progress: map[string]func(Progress){}}
	c.conn = jsonrpc2.NewConn(context.Background(), NewStream(rw), handlerFunc(c.handle), jsonrpc2.SetLogger(silent{}))
	return c
}

// Close ends the connection. Calls that wait fail with ErrGone.
func (c *Client) Close() error { return c.conn.Close() }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.conn.DisconnectNotify() }

// ErrGone is what calls get when the connection has ended.
var ErrGone = errors.New("the connection to the engine has ended")

// handle takes notifications, in the order in which they were sent and before
// the answers that were sent after them.
func (c *Client) handle(ctx context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) {
	if r.Params == nil {
		return
	}
	switch r.Method {
	case "session/output":
		var o Output
		if json.Unmarshal(*r.Params, &o) != nil {
			return
		}
		c.mu.Lock()
		f := c.outputs[o.Request]
		c.mu.Unlock()
		if f != nil {
			f(o.Text, o.Note)
		}
	case "symbols/changed":
		var d OpenResult
		if json.Unmarshal(*r.Params, &d) != nil {
			return
		}
		c.mu.Lock()
		f := c.changed
		c.mu.Unlock()
		if f != nil {
			f(d)
		}
	case "$/progress":
		var p Progress
		if json.Unmarshal(*r.Params, &p) != nil {
			return
		}
		c.mu.Lock()
		f := c.progress[p.Token]
		c.mu.Unlock()
		if f != nil {
			f(p)
		}
	}
}

// Call asks the engine. When the context ends first the engine is told to give
// up, and the context's error comes back at once.
func (c *Client) Call(ctx context.Context, method string, params, result any) error {
	return c.call(ctx, c.next.Add(1), method, params, result)
}

func (c *Client) call(ctx context.Context, id uint64, method string, params, result any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if params == nil {
		params = struct{}{}
	}
	w, err := c.conn.DispatchCall(ctx, method, params, jsonrpc2.PickID(jsonrpc2.ID{Num: id}))
	if err == nil {
		err = w.Wait(ctx, result)
	}
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		_ = c.conn.Notify(context.Background(), "$/cancelRequest", cancelParams{ID: id})
		return ctx.Err()
	}
	var e *jsonrpc2.Error
	switch {
	case errors.Is(err, jsonrpc2.ErrClosed):
		return ErrGone
	case errors.As(err, &e):
		if e.Code == CodeCancelled {
			return context.Canceled
		}
		return &Error{Code: e.Code, Message: e.Message, Method: method}
	}
	return err
}

// An Error is the engine's answer that it cannot do something.
type Error struct {
	Code    int64
	Message string // for a person
	Method  string
}

func (e *Error) Error() string { return e.Message }

// OnSymbols tells f when the dump is read with better symbols than before, and
// what it is like now. f must not wait: it is called by the reading loop.
func (c *Client) OnSymbols(f func(OpenResult)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = f
}

// Open opens a dump and tells progress as it goes.
func (c *Client) Open(ctx context.Context, p OpenParams, progress func(Progress)) (OpenResult, error) {
	var r OpenResult
	if progress != nil {
		p.Token = "open"
		c.mu.Lock()
		c.progress[p.Token] = progress
		c.mu.Unlock()
		defer func() {
			c.mu.Lock()
			delete(c.progress, p.Token)
			c.mu.Unlock()
		}()
	}
	err := c.Call(ctx, "open", p, &r)
	return r, err
}

// Execute runs a command line in a console session. output is called from one
// goroutine, in order, and never after Execute has returned.
func (c *Client) Execute(ctx context.Context, p ExecuteParams, output func(text string, note bool)) (ExecuteResult, error) {
	id := c.next.Add(1)
	var mu sync.Mutex
	ended := false
	c.mu.Lock()
	c.outputs[id] = func(text string, note bool) {
		mu.Lock()
		defer mu.Unlock()
		if !ended {
			output(text, note)
		}
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.outputs, id)
		c.mu.Unlock()
		mu.Lock()
		ended = true
		mu.Unlock()
	}()
	var r ExecuteResult
	err := c.call(ctx, id, "session/execute", p, &r)
	return r, err
}

// List returns all entries of a listing, decoded, with what ended it early.
func List[T any](ctx context.Context, c *Client, p ListParams) ([]T, []string, error) {
	var all []T
	var why []string
	var next any = p
	for method := "list"; ; method = "list/next" {
		var r struct {
			Entries []T
			Errors  []struct{ Why string }
			Cursor  uint64
		}
		if err := c.Call(ctx, method, next, &r); err != nil {
			return all, why, err
		}
		all = append(all, r.Entries...)
		for _, e := range r.Errors {
			why = append(why, e.Why)
		}
		if r.Cursor == 0 {
			return all, why, nil
		}
		next = ListNextParams{Cursor: r.Cursor, Limit: p.Limit}
	}
}

// ask is Call with the result as a value.
func ask[R any](ctx context.Context, c *Client, method string, params any) (R, error) {
	var r R
	err := c.Call(ctx, method, params, &r)
	return r, err
}

// Groups lists all threads by process.
func (c *Client) Groups(ctx context.Context) (GroupsResult, error) {
	return ask[GroupsResult](ctx, c, "groups", nil)
}

// Analyze explains the crash.
func (c *Client) Analyze(ctx context.Context) (AnalyzeResult, error) {
	return ask[AnalyzeResult](ctx, c, "analyze", struct{}{})
}

// Stack returns frames of a thread.
func (c *Client) Stack(ctx context.Context, p StackParams) (StackResult, error) {
	return ask[StackResult](ctx, c, "stack", p)
}

// Scopes returns the scopes of a frame.
func (c *Client) Scopes(ctx context.Context, p ScopesParams) (ScopesResult, error) {
	return ask[ScopesResult](ctx, c, "scopes", p)
}

// Children returns lines below a value.
func (c *Client) Children(ctx context.Context, p ChildrenParams) (ChildrenResult, error) {
	return ask[ChildrenResult](ctx, c, "children", p)
}

// Evaluate evaluates a C++ expression.
func (c *Client) Evaluate(ctx context.Context, p EvaluateParams) (Value, error) {
	return ask[Value](ctx, c, "evaluate", p)
}

// ReadMemory reads memory of a process.
func (c *Client) ReadMemory(ctx context.Context, p ReadParams) (ReadResult, error) {
	return ask[ReadResult](ctx, c, "memory/read", p)
}

// Disassemble returns instructions.
func (c *Client) Disassemble(ctx context.Context, p DisassembleParams) (DisassembleResult, error) {
	return ask[DisassembleResult](ctx, c, "disassemble", p)
}

// Source returns the text of a function's disassembly.
func (c *Client) Source(ctx context.Context, p PlaceParams) (SourceResult, error) {
	return ask[SourceResult](ctx, c, "source/function", p)
}

// SourceFile returns the text of a source file.
func (c *Client) SourceFile(ctx context.Context, p SourceFileParams) (SourceFileResult, error) {
	return ask[SourceFileResult](ctx, c, "source/file", p)
}

// SourceFiles returns the names of source files.
func (c *Client) SourceFiles(ctx context.Context, process Hex) (FilesResult, error) {
	return ask[FilesResult](ctx, c, "source/files", PlaceParams{Process: process})
}

// NewSession starts a console session.
func (c *Client) NewSession(ctx context.Context, p NewSessionParams) (Context, error) {
	return ask[Context](ctx, c, "session/new", p)
}

// Focus makes a frame the context of a console session.
func (c *Client) Focus(ctx context.Context, p FocusParams) (Context, error) {
	return ask[Context](ctx, c, "session/focus", p)
}

// Completions returns continuations of a console line.
func (c *Client) Completions(ctx context.Context, p CompletionsParams) (CompletionsResult, error) {
	return ask[CompletionsResult](ctx, c, "completions", p)
}

// Ping asks whether the engine's reading loop lives.
func (c *Client) Ping(ctx context.Context) error { return c.Call(ctx, "ping", nil, nil) }

// Modules returns the kernel's modules and those of a process.
func (c *Client) Modules(ctx context.Context, process Hex) (ModulesResult, error) {
	return ask[ModulesResult](ctx, c, "modules", ProcessParams{Process: process})
}
