// Package adapter is the Debug Adapter Protocol server: it translates between
// an editor's requests and a session, and does nothing else.
//
// A reader decodes messages, queues them and answers "cancel"; workers run the
// handlers, one file per family of requests. Every request gets a response,
// also one that is cancelled, unknown or makes a handler panic. What initialize
// promises is derived from the handlers that are registered.
package adapter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/go-dap"

	"kdap/engine/rpc"
	"kdap/session"
)

// Options say how an adapter runs.
type Options struct {
	// Engine starts an engine: the path of kdap and its arguments.
	Engine []string
	// Trace gets a line for every request; it may be nil.
	Trace io.Writer
	// Log gets stacks of panics.
	Log io.Writer
}

// An Adapter serves one client.
type Adapter struct {
	opts  Options
	out   writer
	trace *tracer

	lifecycle, console, parallel queue
	handles                      *session.Handles
	parent                       *Adapter // of a child session
	family                       family

	mu       sync.Mutex
	pending  map[int]*call
	progress map[string]*call // by progress id
	client   clientInfo
	session  *session.Session
	opening  chan struct{} // closed when no launch, attach or restart is under way
	openers  int
	args     launchArguments
	ready    bool // configurationDone has come
	stopped  bool // the first stop was told
	leaving  bool // disconnect or the end of input has come
}

// maxMessage bounds what a client may send.
const maxMessage = 4 << 20

// workers is how many requests run beside each other, apart from the console's
// and those that open and close.
const workers = 8

// Serve answers one client until it disconnects, its input ends, or the
// context does. It returns an error only when the input cannot be understood
// any further.
func Serve(ctx context.Context, r io.Reader, w io.Writer, o Options) error {
	return serve(ctx, r, w, o, nil)
}

func serve(ctx context.Context, r io.Reader, w io.Writer, o Options, parent *Adapter) error {
	if o.Log == nil {
		o.Log = os.Stderr
	}
	a := &Adapter{
		opts: o, out: writer{w: w}, trace: newTracer(o.Trace), handles: session.NewHandles(),
		pending: map[int]*call{}, progress: map[string]*call{}, parent: parent,
	}
	if parent != nil {
		parent.family.add(a)
		defer parent.family.remove(a)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	for q, n := range map[*queue]int{&a.lifecycle: 1, &a.console: 1, &a.parallel: workers} {
		q.init()
		for range n {
			running.Go(func() { a.work(q) })
		}
	}
	read := make(chan error, 1)
	go func() { read <- a.read(ctx, bufio.NewReaderSize(r, 64<<10)) }()
	var err error
	select {
	case err = <-read:
	case <-ctx.Done():
	case <-a.lifecycle.done: // disconnect was answered
	}
	a.leave(0)
	a.family.end()
	cancel()
	for _, q := range []*queue{&a.lifecycle, &a.console, &a.parallel} {
		q.close()
	}
	running.Wait()
	if s := a.current(); s != nil {
		s.Close()
	}
	return err
}

// read is the reading loop. It never waits for a handler.
func (a *Adapter) read(ctx context.Context, r *bufio.Reader) error {
	for {
		b, err := rpc.ReadMessage(r, maxMessage)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("client: %w", err)
		}
		a.receive(ctx, b)
	}
}

// A call is a request on its way to its response.
type call struct {
	seq      int
	command  string
	args     []byte
	ctx      context.Context
	cancel   context.CancelFunc
	request  request
	lane     lane
	received time.Time
	started  time.Time
	after    []func() // run when the response is out

	opens    bool // it opens a dump: others wait until it is answered
	answered sync.Once
}

// then runs f after the response was sent.
func (c *call) then(f func()) { c.after = append(c.after, f) }

// receive takes one message: it queues requests, and answers those that
// cannot be queued.
func (a *Adapter) receive(ctx context.Context, b []byte) {
	m, err := decodeMessage(b)
	if err != nil || m.Type != "request" {
		// Not even a number to answer: responses and events of the client are
		// of no interest, anything else is left out.
		if err != nil {
			a.trace.note("message that is no JSON: %v", err)
		}
		return
	}
	c := &call{seq: m.Seq, command: m.Command, args: m.Arguments, received: time.Now()}
	c.ctx, c.cancel = context.WithCancel(ctx)
	if m.Command == "cancel" {
		a.onCancel(c)
		return
	}
	var known bool
	if c.request, known = requests()[m.Command]; !known {
		a.respond(c, nil, fmt.Errorf("kdap does not know the request %q", m.Command))
		return
	}
	c.lane = laneOf(c.command, c.args, c.request)
	a.mu.Lock()
	_, twice := a.pending[c.seq]
	full, leaving := len(a.pending) >= maxPending, a.leaving
	if !twice && !full && !leaving {
		a.pending[c.seq] = c
	}
	a.mu.Unlock()
	switch {
	case twice:
		a.respond(c, nil, fmt.Errorf("request %d is still being worked on: its number cannot be used again", c.seq))
		return
	case full:
		a.respond(c, nil, fmt.Errorf("more than %d requests are waiting", maxPending))
		return
	case leaving:
		a.respond(c, nil, errLeaving)
		return
	}
	switch c.command {
	case "launch", "attach", "restart":
		c.opens = true
		a.beginOpening()
	case "disconnect", "terminate":
		a.leave(c.seq)
	}
	a.queueOf(c.lane).put(c)
}

// maxPending bounds the requests of one client that wait or run.
const maxPending = 10000

var errLeaving = errors.New("the session is ending")

func (a *Adapter) queueOf(l lane) *queue {
	switch l {
	case lifecycleLane:
		return &a.lifecycle
	case consoleLane:
		return &a.console
	}
	return &a.parallel
}

// work runs the requests of a queue.
func (a *Adapter) work(q *queue) {
	for {
		c, ok := q.take()
		if !ok {
			return
		}
		c.started = time.Now()
		var body any
		err := c.ctx.Err() // cancelled while it waited
		if err == nil {
			body, err = a.run(c)
		}
		a.respond(c, body, err)
	}
}

func (a *Adapter) run(c *call) (body any, err error) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(a.opts.Log, "kdap dap: panic in %s: %v\n%s", c.command, p, debug.Stack())
			err = fmt.Errorf("internal error in %s: %v", c.command, p)
		}
	}()
	return c.request.handle(a, c)
}

// respond answers a call, once.
func (a *Adapter) respond(c *call, body any, err error) {
	c.answered.Do(func() {
		a.mu.Lock()
		if a.pending[c.seq] == c {
			delete(a.pending, c.seq)
		}
		a.mu.Unlock()
		if c.opens {
			a.endOpening()
		}
		r := &response{Response: dap.Response{Command: c.command, RequestSeq: c.seq, Success: err == nil}, Body: body}
		r.Type = "response"
		if err != nil {
			r.Message, r.Body = errorBody(c, err)
		}
		a.trace.request(c, err)
		a.out.send(&r.ProtocolMessage, r)
		c.cancel()
		for _, f := range c.after {
			f()
		}
	})
}

// errorBody makes what a client shows of an error.
func errorBody(c *call, err error) (string, any) {
	if errors.Is(err, context.Canceled) {
		return "cancelled", nil
	}
	text := session.Visible(err.Error())
	show := c.command == "launch" || c.command == "attach" || c.command == "restart"
	return text, dap.ErrorResponseBody{Error: &dap.ErrorMessage{Id: 1, Format: "{text}", Variables: map[string]string{"text": text}, ShowUser: show}}
}

// event sends an event.
func (a *Adapter) event(name string, body any) {
	e := &event{Event: dap.Event{Event: name}, Body: body}
	e.Type = "event"
	a.out.send(&e.ProtocolMessage, e)
}

// onCancel answers a cancel at once: it takes back a request that waits and
// interrupts one that runs.
func (a *Adapter) onCancel(c *call) {
	args, err := decode[dap.CancelArguments](c.args)
	if err != nil {
		a.respond(c, nil, err)
		return
	}
	a.mu.Lock()
	target := a.pending[args.RequestId]
	if p := a.progress[args.ProgressId]; args.ProgressId != "" && p != nil {
		target = p
	}
	a.mu.Unlock()
	if target != nil {
		target.cancel()
		if a.queueOf(target.lane).remove(target) {
			a.respond(target, nil, context.Canceled)
		}
	}
	a.respond(c, nil, nil)
}

// leave cancels what is under way: the session ends. The request with the
// number except goes on.
func (a *Adapter) leave(except int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leaving = except == 0
	for _, c := range a.pending {
		if c.seq != except || except == 0 {
			c.cancel()
		}
	}
}

// current returns the session, nil without one.
func (a *Adapter) current() *session.Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session
}

var errNoDump = errors.New("no dump is open: launch or attach comes first")

// need returns the session; it waits for one that is being opened.
func (a *Adapter) need(c *call) (*session.Session, error) {
	a.mu.Lock()
	s, opening := a.session, a.opening
	a.mu.Unlock()
	if opening != nil {
		select {
		case <-opening:
		case <-c.ctx.Done():
			return nil, c.ctx.Err()
		}
		s = a.current()
	}
	if s == nil {
		return nil, errNoDump
	}
	return s, nil
}
