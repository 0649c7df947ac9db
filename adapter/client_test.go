package adapter

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-dap"

	"kdap/engine/rpc"
	"kdap/internal/truth"
)

// engineMark makes the test binary an engine: adapters of the tests start it.
const engineMark = "KDAP_TEST_ENGINE"

func TestMain(m *testing.M) {
	if os.Getenv(engineMark) != "" {
		rpc.NewEngine("test").Serve(context.Background(), rpc.Stdio(), os.Stderr)
		os.Exit(0)
	}
	os.Setenv(engineMark, "1") // for the children
	dir, err := os.MkdirTemp("", "kdap-adapter-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	scratch = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// scratch is a folder for what several tests use.
var scratch string

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// A client speaks the protocol with go-dap's types.
type client struct {
	t     testing.TB
	w     io.WriteCloser
	codec *dap.Codec

	mu        sync.Mutex
	changed   *sync.Cond
	seq       int
	responses map[int]dap.ResponseMessage
	raw       map[int][]byte
	events    []dap.EventMessage
	requests  []*dap.StartDebuggingRequest
	ended     bool
	readErr   error
}

func newClient(t testing.TB, r io.Reader, w io.WriteCloser) *client {
	c := &client{t: t, w: w, codec: dap.NewCodec(), responses: map[int]dap.ResponseMessage{}, raw: map[int][]byte{}}
	c.changed = sync.NewCond(&c.mu)
	for _, name := range []string{"kdap/focus", "kdap/processes"} {
		if err := c.codec.RegisterRequest(name, func() dap.Message { return &dap.ThreadsRequest{} }, func() dap.Message { return &dap.ContinueResponse{} }); err != nil {
			t.Fatal(err)
		}
	}
	go c.read(bufio.NewReader(r))
	return c
}

func (c *client) read(r *bufio.Reader) {
	for {
		b, err := dap.ReadBaseMessage(r)
		c.mu.Lock()
		if err != nil {
			c.ended = true
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, os.ErrClosed) {
				c.readErr = err
			}
			c.changed.Broadcast()
			c.mu.Unlock()
			return
		}
		c.take(b)
		c.changed.Broadcast()
		c.mu.Unlock()
	}
}

func (c *client) take(b []byte) {
	m, err := c.codec.DecodeMessage(b)
	if err != nil {
		// Responses to requests that go-dap does not know.
		var r dap.ErrorResponse
		if jerr := json.Unmarshal(b, &r); jerr != nil || r.Type != "response" {
			c.t.Errorf("message that go-dap cannot decode: %v\n%s", err, b)
			return
		}
		m = &r
	}
	switch m := m.(type) {
	case dap.ResponseMessage:
		seq := m.GetResponse().RequestSeq
		if c.responses[seq] != nil {
			c.t.Errorf("two responses to request %d", seq)
		}
		c.responses[seq], c.raw[seq] = m, b
	case dap.EventMessage:
		c.events = append(c.events, m)
	case *dap.StartDebuggingRequest:
		c.requests = append(c.requests, m)
	default:
		c.t.Errorf("unexpected message %s", b)
	}
}

// send sends a request and returns its number.
func (c *client) send(command string, args any) int {
	c.t.Helper()
	c.mu.Lock()
	c.seq++
	seq := c.seq
	c.mu.Unlock()
	b, err := json.Marshal(map[string]any{"seq": seq, "type": "request", "command": command, "arguments": args})
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(b)
	return seq
}

func (c *client) write(body []byte) {
	c.t.Helper()
	if err := dap.WriteBaseMessage(c.w, body); err != nil {
		c.t.Fatalf("writing: %v", err)
	}
}

// wait waits until done is true; it fails the test when the adapter goes away
// or the time is over.
func (c *client) wait(what string, done func() bool) {
	c.t.Helper()
	stop := time.AfterFunc(patience, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.readErr = errors.Join(c.readErr, fmt.Errorf("no %s after %v", what, patience))
		c.ended = true
		c.changed.Broadcast()
	})
	defer stop.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !done() {
		if c.ended {
			c.t.Fatalf("waiting for %s: the adapter's output ended (%v)", what, c.readErr)
		}
		c.changed.Wait()
	}
}

func (c *client) response(seq int) dap.ResponseMessage {
	c.t.Helper()
	c.wait(fmt.Sprintf("response to %d", seq), func() bool { return c.responses[seq] != nil })
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.responses[seq]
}

// ask sends a request and returns its response, which must be a success.
func ask[R dap.ResponseMessage](c *client, command string, args any) R {
	c.t.Helper()
	return want[R](c, c.send(command, args))
}

func want[R dap.ResponseMessage](c *client, seq int) R {
	c.t.Helper()
	m := c.response(seq)
	r, ok := m.(R)
	if !ok || !m.GetResponse().Success {
		c.t.Fatalf("response to request %d: %s", seq, c.raw[seq])
	}
	return r
}

// refused sends a request that must fail and returns the sentence.
func (c *client) refused(command string, args any) string {
	c.t.Helper()
	seq := c.send(command, args)
	r := c.response(seq).GetResponse()
	if r.Success {
		c.t.Fatalf("%s succeeded: %s", command, c.raw[seq])
	}
	return r.Message
}

// eventOf waits for an event of a type that fits.
func eventOf[E dap.EventMessage](c *client, what string, fits func(E) bool) E {
	c.t.Helper()
	var found E
	c.wait("event "+what, func() bool {
		for _, e := range c.events {
			if e, ok := e.(E); ok && fits(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

func (c *client) count(event string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if e.GetEvent().Event == event {
			n++
		}
	}
	return n
}

// inProcess serves a client in this process; the engine is a child.
func inProcess(t testing.TB, o Options) *client {
	t.Helper()
	toAdapter, fromClient := io.Pipe()
	toClient, fromAdapter := io.Pipe()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if o.Engine == nil {
		o.Engine = []string{self}
	}
	if o.Log == nil {
		o.Log = t.Output()
	}
	served := make(chan error, 1)
	go func() {
		err := Serve(context.Background(), toAdapter, fromAdapter, o)
		fromAdapter.Close()
		served <- err
	}()
	c := newClient(t, toClient, fromClient)
	t.Cleanup(func() {
		fromClient.Close()
		select {
		case <-served:
		case <-time.After(patience):
			t.Error("the adapter did not end with its input")
		}
	})
	return c
}

// binary builds kdap once.
var binary = sync.OnceValues(func() (string, error) {
	out := filepath.Join(scratch, "kdap")
	cmd := exec.Command("go", "build", "-o", out, "kdap")
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, b)
	}
	return out, nil
})

// overStdio starts the real binary. The returned function waits for its end.
func overStdio(t testing.TB, args ...string) (*client, func() error) {
	t.Helper()
	kdap, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(kdap, append([]string{"dap"}, args...)...)
	cmd.Stderr = t.Output()
	cmd.Env = append(os.Environ(), engineMark+"=")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return newClient(t, out, in), sync.OnceValue(func() error {
		in.Close()
		return cmd.Wait()
	})
}

// labArguments opens the reference dump with its symbols.
func labArguments(t testing.TB) map[string]any {
	t.Helper()
	symbols := filepath.Join(truth.Dir(t), "symbols")
	return map[string]any{
		"dumpFile": truth.Dump(t, "lab19041"), "symbolPath": symbols, "imagePath": symbols, "cacheDir": t.TempDir(),
	}
}

// start initializes, opens and configures; it returns the first stop.
func (c *client) start(args map[string]any) *dap.StoppedEvent {
	c.t.Helper()
	ask[*dap.InitializeResponse](c, "initialize", map[string]any{"clientID": "test", "adapterID": "kdap", "linesStartAt1": true, "columnsStartAt1": true})
	ask[*dap.LaunchResponse](c, "launch", args)
	eventOf(c, "initialized", func(*dap.InitializedEvent) bool { return true })
	ask[*dap.ConfigurationDoneResponse](c, "configurationDone", map[string]any{})
	return eventOf(c, "stopped", func(*dap.StoppedEvent) bool { return true })
}
