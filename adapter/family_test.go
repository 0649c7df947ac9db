package adapter

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"kdap/engine/dumptest"
)

// opened is what the event kdap/openProcess brings.
type opened struct {
	Request       string
	Configuration map[string]any
}

// TestChildSessions: a process opens in a session of its own, on the same
// engine, and ends with its parent.
func TestChildSessions(t *testing.T) {
	d := dumptest.Small()
	c := inProcess(t, Options{})
	c.codec = dap.NewCodec()
	if err := c.codec.RegisterEvent("kdap/openProcess", func() dap.Message { return &openProcessEvent{} }); err != nil {
		t.Fatal(err)
	}
	ask[*dap.InitializeResponse](c, "initialize", map[string]any{"clientID": "vscode", "adapterID": "kdap"})
	ask[*dap.LaunchResponse](c, "launch", small(t))
	ask[*dap.ConfigurationDoneResponse](c, "configurationDone", nil)
	var pid uint32
	for _, p := range d.Truth().Processes {
		if p.Name == "QuillPress.exe" {
			pid = p.PID
		}
	}
	ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": fmt.Sprintf(".process /s %x", pid), "context": "repl"})
	e := eventOf(c, "kdap/openProcess", func(*openProcessEvent) bool { return true })
	config := e.Body.Configuration
	if e.Body.Request != "attach" || config["engine"] == "" {
		t.Errorf("event: %+v", e.Body)
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%v", config["debugServer"]))
	if err != nil {
		t.Fatal(err)
	}
	child := newClient(t, conn, conn)
	ask[*dap.InitializeResponse](child, "initialize", map[string]any{"clientID": "vscode", "adapterID": "kdap"})
	if msg := child.refused("attach", map[string]any{"kdapParent": "guessed", "processes": []any{pid}}); !strings.Contains(msg, "child sessions") {
		t.Errorf("without the secret: %q", msg)
	}
	ask[*dap.AttachResponse](child, "attach", config)
	ask[*dap.ConfigurationDoneResponse](child, "configurationDone", nil)
	stop := eventOf(child, "stopped", func(*dap.StoppedEvent) bool { return true })
	if !stop.Body.PreserveFocusHint || !stop.Body.AllThreadsStopped {
		t.Errorf("first stop: %+v", stop.Body)
	}
	threads := ask[*dap.ThreadsResponse](child, "threads", nil).Body.Threads
	for _, th := range threads {
		if !strings.HasPrefix(th.Name, fmt.Sprintf("[%x QuillPress.exe] ", pid)) {
			t.Errorf("thread %q", th.Name)
		}
	}
	if len(threads) == 0 {
		t.Error("no threads")
	}
	ask[*dap.StackTraceResponse](child, "stackTrace", map[string]any{"threadId": stop.Body.ThreadId})
	r := ask[*dap.EvaluateResponse](child, "evaluate", map[string]any{"expression": "? @$tpid", "context": "repl"}).Body.Result
	if !strings.HasSuffix(r, fmt.Sprintf("%08x", pid)) {
		t.Errorf("the child's console is in another process: %q, want %#x", r, pid)
	}
	ask[*dap.DisconnectResponse](c, "disconnect", nil)
	eventOf(child, "terminated", func(*dap.TerminatedEvent) bool { return true })
	child.wait("end of output", func() bool { return child.ended })
}

type openProcessEvent struct {
	dap.Event
	Body opened `json:"body"`
}

// TestGroupsAsSessions: where the client has the protocol's own request, it gets it.
func TestGroupsAsSessions(t *testing.T) {
	args := small(t)
	args["groups"] = "sessions"
	args["processes"] = []any{"Quill*", "svchost.exe"}
	c := inProcess(t, Options{})
	ask[*dap.InitializeResponse](c, "initialize", map[string]any{"clientID": "other", "adapterID": "kdap", "supportsStartDebuggingRequest": true})
	ask[*dap.LaunchResponse](c, "launch", args)
	ask[*dap.ConfigurationDoneResponse](c, "configurationDone", nil)
	c.wait("startDebugging", func() bool { return len(c.requests) == 1 })
	b, err := json.Marshal(c.requests[0].Arguments.Configuration)
	if err != nil || !strings.Contains(string(b), `"dumpFile"`) || !strings.Contains(string(b), `"processes":[`) {
		t.Errorf("configuration: %s, %v", b, err)
	}
}
