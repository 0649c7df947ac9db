package adapter

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A tracer writes a line for every request: when it came, how long it waited
// and ran, and how it ended.
type tracer struct {
	mu sync.Mutex
	w  io.Writer
}

func newTracer(w io.Writer) *tracer { return &tracer{w: w} }

func (t *tracer) request(c *call, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.w == nil {
		return
	}
	now := time.Now()
	waited, ran := time.Duration(0), now.Sub(c.received)
	if !c.started.IsZero() {
		waited, ran = c.started.Sub(c.received), now.Sub(c.started)
	}
	outcome := "ok"
	if err != nil {
		outcome = fmt.Sprintf("failed: %.200q", err.Error())
	}
	fmt.Fprintf(t.w, "%s %d %s waited=%v took=%v %s\n",
		c.received.UTC().Format("15:04:05.000000"), c.seq, c.command, waited.Round(time.Microsecond), ran.Round(time.Microsecond), outcome)
}

func (t *tracer) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.w != nil {
		fmt.Fprintf(t.w, format+"\n", args...)
	}
}

func (t *tracer) active() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w != nil
}

// startTrace begins the trace that the launch argument asks for: a file's
// path, or true for one in the folder for temporary files.
func (a *Adapter) startTrace(arg any) error {
	var path string
	switch v := arg.(type) {
	case string:
		path = v
	case bool:
		if v {
			path = filepath.Join(os.TempDir(), fmt.Sprintf("kdap-%d.trace", os.Getpid()))
		}
	}
	if path == "" || a.trace.active() {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf(`"trace": %w`, err)
	}
	a.trace.mu.Lock()
	a.trace.w = f
	a.trace.mu.Unlock()
	a.note("requests are traced to " + path)
	return nil
}
