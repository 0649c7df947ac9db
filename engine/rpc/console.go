package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sourcegraph/jsonrpc2"

	"kdap/engine/command"
)

// maxSessions bounds a client's consoles.
const maxSessions = 64

// A session is one console. The command that runs has the console to itself:
// lane keeps the others waiting. aside is a console for expressions that are
// evaluated in frames of their own, which move nothing.
type session struct {
	id      uint64
	console *command.Session
	lane    lane

	aside     *command.Session
	asideLane lane
}

func errNoSession(id uint64) error { return fmt.Errorf("no console session %d", id) }

func (c *client) session(id uint64) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions[id]
}

func onSessionNew(c *client, _ context.Context, t *target, p NewSessionParams) (any, error) {
	o := command.Options{DumpPath: t.path}
	s := &session{console: command.NewSession(t.Target, o)}
	o.FrameRegisters = true
	s.aside = command.NewSession(t.Target, o)
	s.lookForSources(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sessions) >= maxSessions {
		return nil, &jsonrpc2.Error{Code: CodeBusy, Message: fmt.Sprintf("%d console sessions are open", maxSessions)}
	}
	s.id = c.nextID()
	c.sessions[s.id] = s
	return s.context(t), nil
}

func onSessionClose(c *client, _ context.Context, _ *target, p SessionParams) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, p.Session)
	return struct{}{}, nil
}

func (s *session) context(t *target) Context {
	f := s.console.Focus()
	c := Context{
		Session: s.id, Prompt: s.console.Prompt(), Process: Hex(f.Process.Addr()), Frame: f.Frame,
		SourcePath: s.console.SourcePath().String(),
	}
	c.Thread = stopName(f.CPU)
	if f.Thread.Addr() != 0 && t.System.User() == nil {
		c.Thread = threadName(f.Thread)
	}
	return c
}

func onSessionContext(c *client, _ context.Context, t *target, p SessionParams) (any, error) {
	s := c.session(p.Session)
	if s == nil {
		return nil, errNoSession(p.Session)
	}
	return s.context(t), nil
}

func onSessionFocus(c *client, ctx context.Context, t *target, p FocusParams) (any, error) {
	s := c.session(p.Session)
	if s == nil {
		return nil, errNoSession(p.Session)
	}
	if err := t.focus(ctx, s.console, p.Thread, p.Frame); err != nil {
		return nil, err
	}
	return s.context(t), nil
}

// focus makes a frame of a thread the context of a console.
func (t *target) focus(ctx context.Context, s *command.Session, name Thread, n int) error {
	f, err := t.frame(ctx, name, n)
	if err != nil {
		return err
	}
	row := command.Row{Number: n, Frame: f.row.frame, Inlined: f.row.inlined}
	if f.cpu >= 0 {
		s.SetStop(ctx, f.cpu, f.walked.stack.Frames, row)
		return nil
	}
	s.SetFocus(ctx, f.process, f.thread, f.walked.stack.Frames, row, f.walked.ended)
	return nil
}

func onSessionExecute(c *client, ctx context.Context, t *target, p ExecuteParams) (any, error) {
	s := c.session(p.Session)
	if s == nil {
		return nil, errNoSession(p.Session)
	}
	out := newOutput(c, s.id, requestID(ctx))
	type ended struct {
		err   error
		panic any
		stack []byte
	}
	done := make(chan ended, 1)
	turn := turnIn(ctx)
	turn.hold() // the console is free when the command has really ended
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		defer turn.end()
		defer func() {
			if v := recover(); v != nil {
				done <- ended{panic: v, stack: debug.Stack()}
			}
		}()
		done <- ended{err: s.console.Execute(ctx, p.Line, command.Output{Out: out, Note: out.note})}
	}()
	var e ended
	select {
	case e = <-done:
	case <-ctx.Done():
		// A command looks at its context between two things it does. The client
		// is not kept waiting for that; the next command is.
		select {
		case e = <-done:
		case <-time.After(cancelPatience):
			out.close()
			return nil, ctx.Err()
		}
	}
	out.close()
	if p := (*command.Panic)(nil); errors.As(e.err, &p) {
		fmt.Fprintf(c.log, "kdap engine: %v\n%s", p, p.Stack) // the client has read of it
	}
	if e.panic != nil {
		fmt.Fprintf(c.log, "kdap engine: panic in command %q: %v\n%s", p.Line, e.panic, e.stack)
		return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeInternalError, Message: fmt.Sprintf("internal error in this command: %v", e.panic)}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return ExecuteResult{
		Context: s.context(t), Failed: e.err != nil && !errors.Is(e.err, command.ErrQuit), Quit: errors.Is(e.err, command.ErrQuit),
	}, nil
}

// cancelPatience is how long a cancelled command may take to notice before its
// request is answered without it.
const cancelPatience = 50 * time.Millisecond

// Batches of output go out when they are this old or this big.
const (
	batchAge   = 20 * time.Millisecond
	batchBytes = 32 << 10
)

// An output sends what a command prints, in batches.
type output struct {
	c                *client
	session, request uint64

	mu      sync.Mutex
	buf     []byte
	timer   *time.Timer
	stopped bool
}

func newOutput(c *client, session, request uint64) *output {
	return &output{c: c, session: session, request: request}
}

// errStopped is what a command gets that prints on after its request has ended.
var errStopped = errors.New("the command was cancelled")

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopped {
		return 0, errStopped
	}
	o.buf = append(o.buf, p...)
	switch {
	case len(o.buf) >= batchBytes:
		o.flush()
	case o.timer == nil:
		o.timer = time.AfterFunc(batchAge, func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.flush()
		})
	}
	return len(p), nil
}

// flush sends what there is but for the start of a character whose rest is to
// come. The lock is held, so that batches keep their order.
func (o *output) flush() {
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	n := wholeRunes(o.buf)
	if n == 0 || o.stopped {
		return
	}
	text := string(o.buf[:n])
	o.buf = append(o.buf[:0], o.buf[n:]...)
	for len(text) > 0 {
		n := len(text)
		if n > pageBytes {
			n = wholeRunes([]byte(text[:pageBytes]))
		}
		o.send(text[:n], false)
		text = text[n:]
	}
}

// wholeRunes returns how many bytes of b are before a cut-off character.
func wholeRunes(b []byte) int {
	for i := 1; i <= min(utf8.UTFMax-1, len(b)); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-i:]) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}

func (o *output) send(text string, note bool) {
	o.c.notify("session/output", Output{Session: o.session, Request: o.request, Text: text, Note: note})
}

func (o *output) note(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopped {
		return
	}
	o.flush()
	o.send(text, true)
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	if len(o.buf) > 0 && !o.stopped {
		o.send(string(o.buf), false)
	}
	o.stopped = true
}
