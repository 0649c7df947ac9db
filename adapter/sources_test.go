package adapter

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-dap"

	"kdap/engine/dumptest"
)

// A sourceStory is a dump with a frame in keypad.c, whose symbols say that the
// file is on a server.
type sourceStory struct {
	args  map[string]any
	code  string // what was compiled
	give  atomic.Value
	asked atomic.Int32
}

func newSourceStory(t *testing.T) *sourceStory {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "src", "keypad.c"))
	if err != nil {
		t.Fatal(err)
	}
	s := &sourceStory{code: string(b)}
	s.give.Store(s.code)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		_, _ = w.Write([]byte(s.give.Load().(string)))
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	symbols := filepath.Join(dir, "symbols")
	d := dumptest.Small()
	for _, err := range []error{
		d.WriteFile(filepath.Join(dir, "memory.dmp"), dumptest.Full), d.WriteSymbols(symbols, dumptest.PDBs|dumptest.Images),
		dumptest.IndexSources(symbols, "keypad.pdb", "sourcelink", []byte(`{"documents": {"src\\*": "`+server.URL+`/*"}}`)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.args = map[string]any{
		"dumpFile": filepath.Join(dir, "memory.dmp"), "symbolPath": symbols, "imagePath": symbols, "cacheDir": filepath.Join(dir, "cache"),
	}
	return s
}

func (s *sourceStory) start(c *client, more map[string]any) (thread int) {
	args := maps.Clone(s.args)
	maps.Copy(args, more)
	ask[*dap.InitializeResponse](c, "initialize", map[string]any{"clientID": "test", "adapterID": "kdap", "supportsInvalidatedEvent": true})
	ask[*dap.LaunchResponse](c, "launch", args)
	ask[*dap.ConfigurationDoneResponse](c, "configurationDone", map[string]any{})
	return eventOf(c, "stopped", func(*dap.StoppedEvent) bool { return true }).Body.ThreadId
}

// keypad is the frame in keypad.c.
func keypad(c *client, thread int) dap.StackFrame {
	c.t.Helper()
	for _, f := range ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": thread}).Body.StackFrames {
		if strings.HasPrefix(f.Name, "keypad!") {
			return f
		}
	}
	c.t.Fatal("no frame of keypad")
	return dap.StackFrame{}
}

// TestFetchedSource: a frame's file is shown from the server when the user
// allowed to ask it, which the console may do later.
func TestFetchedSource(t *testing.T) {
	s := newSourceStory(t)
	c, _ := overStdio(t)
	thread := s.start(c, nil)
	f := keypad(c, thread)
	if f.Source.Name == "keypad.c" || !strings.Contains(f.Source.Origin, `/keypad.c, fetched with "srv*"`) {
		t.Errorf("without leave: %+v", f.Source)
	}
	ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": ".srcpath srv*", "context": "repl"})
	eventOf(c, "invalidated", func(e *dap.InvalidatedEvent) bool { return slices.Contains(e.Body.Areas, "stacks") })
	f = keypad(c, thread)
	if f.Source.Name != "keypad.c" || f.Source.SourceReference == 0 || f.Line < 2 || s.asked.Load() != 0 {
		t.Errorf("with leave: %+v, line %d, asked %d times", f.Source, f.Line, s.asked.Load())
	}
	for range 2 {
		if text := ask[*dap.SourceResponse](c, "source", map[string]any{"sourceReference": f.Source.SourceReference}).Body.Content; text != s.code {
			t.Errorf("the text is %.200q", text)
		}
	}
	if s.asked.Load() != 1 {
		t.Errorf("asked %d times", s.asked.Load())
	}
}

// TestRefusedSource: a file that is not the one that was compiled is not shown;
// its frames show their code.
func TestRefusedSource(t *testing.T) {
	s := newSourceStory(t)
	s.give.Store(s.code + "// not this\n")
	c, _ := overStdio(t)
	thread := s.start(c, map[string]any{"sourcePath": "srv*"})
	f := keypad(c, thread)
	if msg := c.refused("source", map[string]any{"sourceReference": f.Source.SourceReference}); !strings.Contains(msg, "not the file that was compiled") {
		t.Errorf("refused with %q", msg)
	}
	eventOf(c, "invalidated", func(e *dap.InvalidatedEvent) bool { return slices.Contains(e.Body.Areas, "stacks") })
	f = keypad(c, thread)
	text := ask[*dap.SourceResponse](c, "source", map[string]any{"sourceReference": f.Source.SourceReference}).Body.Content
	if f.Source.Name == "keypad.c" || !strings.Contains(f.Source.Origin, "not the file that was compiled") || !strings.HasPrefix(text, "keypad!") {
		t.Errorf("then %+v: %.100q", f.Source, text)
	}
}

// TestLocalSource: files here come before those that could be fetched: those
// of the map, then those of the path.
func TestLocalSource(t *testing.T) {
	s := newSourceStory(t)
	mapped, other := t.TempDir(), t.TempDir()
	for _, dir := range []string{mapped, other} {
		if err := os.WriteFile(filepath.Join(dir, "keypad.c"), []byte(s.code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		more map[string]any
		want string
	}{
		{map[string]any{"sourcePath": "srv*;" + other, "sourceMap": map[string]string{"src": mapped}}, mapped},
		{map[string]any{"sourcePath": "srv*;" + other}, other},
	} {
		c, _ := overStdio(t)
		f := keypad(c, s.start(c, tt.more))
		if f.Source.Path != filepath.Join(tt.want, "keypad.c") || f.Source.SourceReference != 0 {
			t.Errorf("%v: %+v", tt.more, f.Source)
		}
	}
	if s.asked.Load() != 0 {
		t.Errorf("the server was asked %d times", s.asked.Load())
	}
}
