package adapter

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"kdap/internal/truth"
)

// TestBetterSymbols: when the console is led to the kernel's symbols the client
// is told to ask again, and then gets what it would have got from the start.
func TestBetterSymbols(t *testing.T) {
	for _, name := range []string{"_NT_SYMBOL_PATH", "_NT_ALT_SYMBOL_PATH", "_NT_EXECUTABLE_IMAGE_PATH"} {
		t.Setenv(name, "")
	}
	dump, store := truth.Dump(t, "lab19041"), truth.Path(t, "symbols")
	c := inProcess(t, Options{})
	ask[*dap.InitializeResponse](c, "initialize", map[string]any{"clientID": "test", "adapterID": "kdap", "supportsInvalidatedEvent": true})
	ask[*dap.LaunchResponse](c, "launch", map[string]any{"dumpFile": dump, "symbolPath": t.TempDir(), "cacheDir": t.TempDir()})
	ask[*dap.ConfigurationDoneResponse](c, "configurationDone", map[string]any{})
	thread := eventOf(c, "stopped", func(*dap.StoppedEvent) bool { return true }).Body.ThreadId
	names := func() (names []string) {
		for _, f := range ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": thread}).Body.StackFrames {
			names = append(names, f.Name)
		}
		return names
	}
	const internal = "nt!PoIdle+" // is not exported
	has := func(names []string) bool {
		return slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(s, internal) })
	}
	threadScope := func() int {
		top := ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": thread}).Body.StackFrames[0]
		for _, sc := range ask[*dap.ScopesResponse](c, "scopes", map[string]any{"frameId": top.Id}).Body.Scopes {
			if sc.Name == "Thread" {
				return len(variables(c, sc.VariablesReference))
			}
		}
		return 0
	}
	if got := names(); has(got) {
		t.Fatalf("there are symbols already: %v", got)
	}
	members := threadScope()
	ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": ".sympath " + store, "context": "repl"})
	ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": ".reload", "context": "repl"})
	eventOf(c, "invalidated", func(e *dap.InvalidatedEvent) bool { return slices.Contains(e.Body.Areas, "all") })
	if got := names(); !has(got) {
		t.Errorf("no frame %s in %v", internal, got)
	}
	if n := threadScope(); n <= members {
		t.Errorf("%d members of the thread, %d without symbols", n, members)
	}
}

// TestMoreSymbols: symbols of a program that the console is led to are shown,
// too, where the kernel's were there from the start.
func TestMoreSymbols(t *testing.T) {
	for _, name := range []string{"_NT_SYMBOL_PATH", "_NT_ALT_SYMBOL_PATH", "_NT_EXECUTABLE_IMAGE_PATH"} {
		t.Setenv(name, "")
	}
	dump, store := truth.Dump(t, "lab19041"), truth.Path(t, "symbols")
	kernel := t.TempDir()
	if err := os.Symlink(filepath.Join(store, "ntkrnlmp.pdb"), filepath.Join(kernel, "ntkrnlmp.pdb")); err != nil {
		t.Skip(err)
	}
	c := inProcess(t, Options{})
	ask[*dap.InitializeResponse](c, "initialize", map[string]any{"clientID": "test", "adapterID": "kdap", "supportsInvalidatedEvent": true})
	ask[*dap.LaunchResponse](c, "launch", map[string]any{
		"dumpFile": dump, "symbolPath": kernel, "cacheDir": t.TempDir(), "processes": []string{"PotionShop.exe"},
	})
	ask[*dap.ConfigurationDoneResponse](c, "configurationDone", map[string]any{})
	eventOf(c, "stopped", func(*dap.StoppedEvent) bool { return true })
	shown := func() (names string) {
		for _, th := range ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads {
			for _, f := range ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": th.Id}).Body.StackFrames {
				names += f.Name + "\n"
			}
		}
		return names
	}
	if names := shown(); strings.Contains(names, "PotionShop!") {
		t.Fatalf("there are symbols already:\n%s", names)
	}
	console := func(line string) {
		th := ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads[0]
		top := ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": th.Id}).Body.StackFrames[0]
		ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": line, "context": "repl", "frameId": top.Id})
	}
	console(".sympath+ " + store)
	console(".reload /f PotionShop.exe")
	eventOf(c, "invalidated", func(e *dap.InvalidatedEvent) bool { return slices.Contains(e.Body.Areas, "all") })
	if names := shown(); !strings.Contains(names, "PotionShop!TendShop") {
		t.Errorf("no symbols of the program:\n%s", names)
	}
}
