package adapter

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-dap"

	"kdap/engine/dumptest"
)

// TestCapabilities: what initialize promises is answered, and what is answered
// and has a capability is promised. The map says which request each
// capability is about, from the protocol's specification.
func TestCapabilities(t *testing.T) {
	about := map[string]string{
		"SupportsConfigurationDoneRequest": "configurationDone", "SupportsEvaluateForHovers": "evaluate",
		"SupportsCompletionsRequest": "completions", "CompletionTriggerCharacters": "completions",
		"SupportsModulesRequest": "modules", "SupportsRestartRequest": "restart",
		"SupportsExceptionInfoRequest": "exceptionInfo", "SupportsDelayedStackTraceLoading": "stackTrace",
		"SupportsLoadedSourcesRequest": "loadedSources", "SupportsTerminateRequest": "terminate",
		"SupportsReadMemoryRequest": "readMemory", "SupportsDisassembleRequest": "disassemble",
		"SupportsCancelRequest": "cancel", "SupportsClipboardContext": "evaluate",
		// Those that need a running target.
		"SupportsFunctionBreakpoints": "setFunctionBreakpoints", "SupportsStepBack": "stepBack",
		"SupportsSetVariable": "setVariable", "SupportsRestartFrame": "restartFrame",
		"SupportsGotoTargetsRequest": "gotoTargets", "SupportsStepInTargetsRequest": "stepInTargets",
		"SupportsTerminateThreadsRequest": "terminateThreads", "SupportsSetExpression": "setExpression",
		"SupportsDataBreakpoints": "dataBreakpointInfo", "SupportsWriteMemoryRequest": "writeMemory",
		"SupportsBreakpointLocationsRequest": "breakpointLocations", "SupportsInstructionBreakpoints": "setInstructionBreakpoints",
	}
	caps := reflect.ValueOf(capabilities().Capabilities)
	for i := range caps.NumField() {
		name := caps.Type().Field(i).Name
		promised := !caps.Field(i).IsZero()
		request := about[name]
		_, known := requests()[request]
		_, refused := refusals[request]
		if promised != (known && !refused) {
			t.Errorf("%s: promised %v, but the request %q is known %v, refused %v", name, promised, request, known, refused)
		}
	}
}

// TestPromises asks every request that initialize promises, of a dump that is
// open: none is unknown, none hangs.
func TestPromises(t *testing.T) {
	c := inProcess(t, Options{})
	stop := c.start(small(t))
	frame := ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": stop.Body.ThreadId}).Body.StackFrames[0].Id
	args := map[string]map[string]any{
		"evaluate":    {"expression": "1", "context": "clipboard", "frameId": frame},
		"completions": {"text": "l", "column": 2}, "modules": {}, "exceptionInfo": {"threadId": stop.Body.ThreadId},
		"loadedSources": {}, "readMemory": {"memoryReference": "0x1000", "count": 1},
		"disassemble": {"memoryReference": "0x1000", "instructionCount": 1}, "cancel": {}, "stackTrace": {"threadId": stop.Body.ThreadId},
		"restart": {}, "configurationDone": {},
	}
	for name, r := range requests() {
		if r.caps == nil || name == "terminate" || name == "restart" {
			continue
		}
		seq := c.send(name, args[name])
		if r := c.response(seq).GetResponse(); !r.Success {
			t.Errorf("%s is promised, but: %s", name, r.Message)
		}
	}
	ask[*dap.RestartResponse](c, "restart", args["restart"])
	ask[*dap.TerminateResponse](c, "terminate", map[string]any{})
	eventOf(c, "terminated", func(*dap.TerminatedEvent) bool { return true })
}

// TestRefusals: what a dump cannot do is refused in one sentence, and the stop stays.
func TestRefusals(t *testing.T) {
	c := inProcess(t, Options{})
	stop := c.start(small(t))
	for name := range refusals {
		msg := c.refused(name, map[string]any{"threadId": stop.Body.ThreadId})
		if !strings.HasPrefix(msg, "A crash dump") || strings.Count(msg, ". ") > 0 {
			t.Errorf("%s: %q", name, msg)
		}
	}
	ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": stop.Body.ThreadId})
	if n := c.count("stopped") + c.count("continued"); n != 1 {
		t.Errorf("%d events of stops and runs, want the first stop alone", n)
	}
	b := ask[*dap.SetBreakpointsResponse](c, "setBreakpoints", map[string]any{
		"source": map[string]any{"path": "/a.c"}, "breakpoints": []any{map[string]any{"line": 1}},
	}).Body.Breakpoints
	if len(b) != 1 || b[0].Verified || b[0].Message == "" {
		t.Errorf("breakpoints: %+v", b)
	}
}

// TestOutOfOrder: requests before their time, unknown, repeated, badly formed.
func TestOutOfOrder(t *testing.T) {
	c := inProcess(t, Options{})
	for _, name := range []string{"threads", "stackTrace", "scopes", "variables", "evaluate", "readMemory", "exceptionInfo", "restart"} {
		if msg := c.refused(name, map[string]any{}); msg != errNoDump.Error() {
			t.Errorf("%s without a dump: %q", name, msg)
		}
	}
	if msg := c.refused("dance", nil); !strings.Contains(msg, `"dance"`) {
		t.Errorf("unknown request: %q", msg)
	}
	if msg := c.refused("threads", "not an object"); !strings.Contains(msg, "arguments") {
		t.Errorf("arguments of the wrong kind: %q", msg)
	}
	if msg := c.refused("launch", map[string]any{}); !strings.Contains(msg, "dumpFile") {
		t.Errorf("launch without a dump: %q", msg)
	}
	if msg := c.refused("attach", map[string]any{}); !strings.Contains(msg, "engine") {
		t.Errorf("attach without an engine: %q", msg)
	}
	if msg := c.refused("attach", map[string]any{"engine": "192.0.2.1:9"}); !strings.Contains(msg, "TLS and a token") {
		t.Errorf("attach to another machine: %q", msg)
	}
	c.write([]byte("{ this is no JSON"))
	c.write([]byte(`{"seq":-3,"type":"event","event":"x"}`))

	// Everything at once: requests wait for the launch that came before them.
	args := small(t)
	init := c.send("initialize", map[string]any{"adapterID": "kdap"})
	launch := c.send("launch", args)
	threads := c.send("threads", nil)
	again := c.send("launch", args)
	done := c.send("configurationDone", nil)
	want[*dap.InitializeResponse](c, init)
	want[*dap.LaunchResponse](c, launch)
	if n := len(want[*dap.ThreadsResponse](c, threads).Body.Threads); n == 0 {
		t.Error("no threads")
	}
	if r := c.response(again).GetResponse(); r.Success {
		t.Error("a second launch succeeded")
	}
	want[*dap.ConfigurationDoneResponse](c, done)
	ask[*dap.ConfigurationDoneResponse](c, "configurationDone", nil)
	eventOf(c, "stopped", func(*dap.StoppedEvent) bool { return true })
	ask[*dap.ThreadsResponse](c, "threads", nil)
	if n := c.count("stopped"); n != 1 {
		t.Errorf("%d first stops", n)
	}
	for name, a := range map[string]map[string]any{
		"stackTrace": {"threadId": 1 << 30}, "scopes": {"frameId": 77}, "variables": {"variablesReference": 77},
		"source": {"sourceReference": 77}, "exceptionInfo": {"threadId": 0},
	} {
		if msg := c.refused(name, a); !strings.Contains(msg, "not known") {
			t.Errorf("%s of nothing: %q", name, msg)
		}
	}
	ask[*dap.DisconnectResponse](c, "disconnect", nil)
	c.wait("end of output", func() bool { return c.ended })
}

// TestOpeningErrors: one clear sentence for a file that is no dump.
func TestOpeningErrors(t *testing.T) {
	dir := t.TempDir()
	empty, text := filepath.Join(dir, "empty.dmp"), filepath.Join(dir, "text.dmp")
	for f, b := range map[string]string{empty: "", text: strings.Repeat("hello\n", 2000)} {
		if err := os.WriteFile(f, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{empty, text, filepath.Join(dir, "nosuch.dmp")} {
		c := inProcess(t, Options{})
		msg := c.refused("launch", map[string]any{"dumpFile": f})
		if !strings.HasPrefix(msg, f+": ") || strings.Contains(msg, "\n") {
			t.Errorf("%s: %q", f, msg)
		}
		// The session lives: another dump can be opened in it.
		ask[*dap.LaunchResponse](c, "launch", small(t))
	}
}

// TestLaunchNeverRan: nobody waits for a dump whose launch ended before it began.
func TestLaunchNeverRan(t *testing.T) {
	c := inProcess(t, Options{})
	if msg := c.refused("launch", map[string]any{"dumpFile": 5}); msg != `"dumpFile" cannot be given as number` {
		t.Errorf("refused with %q", msg)
	}
	if msg := c.refused("threads", nil); msg != errNoDump.Error() {
		t.Errorf("threads: %q", msg)
	}
	first, second := c.send("launch", small(t)), c.send("launch", small(t))
	ask[*dap.CancelResponse](c, "cancel", map[string]any{"requestId": second})
	for _, seq := range []int{first, second} {
		c.response(seq)
	}
	ask[*dap.ThreadsResponse](c, "threads", nil)
}

// TestCancel: a request that waits is taken back, one that runs is interrupted,
// both are answered, and at once.
func TestCancel(t *testing.T) {
	c := inProcess(t, Options{})
	c.start(small(t))
	long := c.send("evaluate", map[string]any{"expression": ".for (r $t0=0; 1; r $t0=@$t0+1) { .if (0) {} }", "context": "repl"})
	waiting := c.send("evaluate", map[string]any{"expression": "? 2", "context": "repl"})
	time.Sleep(50 * time.Millisecond) // so that the first one runs
	for _, seq := range []int{waiting, long} {
		began := time.Now()
		ask[*dap.CancelResponse](c, "cancel", map[string]any{"requestId": seq})
		r := c.response(seq).GetResponse()
		if r.Success || r.Message != "cancelled" {
			t.Errorf("cancelled request %d: %s", seq, c.raw[seq])
		}
		t.Logf("request %d ended %v after its cancel", seq, time.Since(began))
	}
	// Others were not touched, and the console is free again.
	if r := ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": "? 3", "context": "repl"}).Body.Result; !strings.Contains(r, "00000000`00000003") {
		t.Errorf("after the cancel: %q", r)
	}
	ask[*dap.CancelResponse](c, "cancel", map[string]any{"requestId": 12345})
	ask[*dap.CancelResponse](c, "cancel", map[string]any{"progressId": "nothing"})
}

// TestManyAtOnce: many requests beside each other, all answered once.
func TestManyAtOnce(t *testing.T) {
	c := inProcess(t, Options{})
	c.start(madeArguments(t, "demo", dumptest.Demo))
	threads := ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads
	var seqs []int
	for round := range 3 {
		for _, th := range threads {
			seqs = append(seqs, c.send("stackTrace", map[string]any{"threadId": th.Id, "levels": round}))
		}
		seqs = append(seqs, c.send("evaluate", map[string]any{"expression": fmt.Sprintf("? %d", round), "context": "repl"}), c.send("modules", nil))
	}
	for i, seq := range seqs {
		if i%7 == 0 {
			c.send("cancel", map[string]any{"requestId": seq})
		}
	}
	for _, seq := range seqs {
		if r := c.response(seq).GetResponse(); !r.Success && r.Message != "cancelled" {
			t.Errorf("request %d: %s", seq, c.raw[seq])
		}
	}
}

// TestEngineKilled: the adapter outlives its engine, says what happened, and
// opens the dump again on request.
func TestEngineKilled(t *testing.T) {
	c := inProcess(t, Options{})
	stop := c.start(small(t))
	before := ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads
	old := ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": stop.Body.ThreadId}).Body.StackFrames[0].Id
	killChildren(t)
	out := eventOf(c, "output", func(e *dap.OutputEvent) bool { return strings.Contains(e.Body.Output, "the engine stopped") })
	if !strings.Contains(out.Body.Output, "Restart") {
		t.Errorf("output: %q", out.Body.Output)
	}
	if msg := c.refused("evaluate", map[string]any{"expression": "? 1", "context": "repl"}); !strings.Contains(msg, "the engine stopped") {
		t.Errorf("evaluate without an engine: %q", msg)
	}
	ask[*dap.RestartResponse](c, "restart", map[string]any{})
	c.wait("second stop", func() bool {
		n := 0
		for _, e := range c.events {
			if _, ok := e.(*dap.StoppedEvent); ok {
				n++
			}
		}
		return n == 2
	})
	after := ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads
	if !reflect.DeepEqual(before, after) {
		t.Errorf("threads changed their numbers: %v, then %v", before, after)
	}
	if msg := c.refused("scopes", map[string]any{"frameId": old}); !strings.Contains(msg, "opened again") {
		t.Errorf("a frame from before: %q", msg)
	}
	fresh := ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": stop.Body.ThreadId}).Body.StackFrames[0].Id
	if fresh == old {
		t.Error("a frame's number was used again")
	}
}

// TestMalformedHeader: a stream that cannot be understood ends the session with
// a reason, after what came before was answered.
func TestMalformedHeader(t *testing.T) {
	for _, header := range []string{"no header at all\r\n\r\n", "Content-Length: -4\r\n\r\n", "Content-Length: 99999999999\r\n\r\n", "Content-Type: x\r\n\r\n"} {
		var out bytes.Buffer
		in := strings.NewReader("Content-Type: application/json\r\ncontent-length: 60\r\n\r\n" +
			`{"seq":1,"type":"request","command":"initialize","a":"12345"}`[:60] + header)
		err := Serve(t.Context(), in, &out, Options{})
		if err == nil || !strings.Contains(err.Error(), "header") {
			t.Errorf("%q: %v", header, err)
		}
	}
}

// TestPanicInHandler: a bug in a handler is an error of its request.
func TestPanicInHandler(t *testing.T) {
	var log bytes.Buffer
	table.once.Do(func() { table.m = register() })
	table.m["kdap/testPanic"] = request{handle: func(*Adapter, *call) (any, error) { panic("as planned") }}
	defer delete(table.m, "kdap/testPanic")
	c := inProcess(t, Options{Log: &log})
	if msg := c.refused("kdap/testPanic", nil); !strings.Contains(msg, "as planned") {
		t.Errorf("message: %q", msg)
	}
	if !strings.Contains(log.String(), "adapter_test.go") {
		t.Errorf("no stack in the log: %q", log.String())
	}
	c.refused("threads", nil) // it lives
}

// TestConsoleMovesContext: the console's own context is the truth; a frame that
// the client names moves it only when it is another one than before.
func TestConsoleMovesContext(t *testing.T) {
	d := dumptest.Small()
	c := inProcess(t, Options{})
	stop := c.start(small(t))
	repl := func(line string, frame int) string {
		t.Helper()
		a := map[string]any{"expression": line, "context": "repl"}
		if frame != 0 {
			a["frameId"] = frame
		}
		return ask[*dap.EvaluateResponse](c, "evaluate", a).Body.Result
	}
	current := func(frame int) string { return repl("? @$thread", frame) }
	top := func(thread int) int {
		return ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": thread}).Body.StackFrames[0].Id
	}
	crash := top(stop.Body.ThreadId)
	var other dumptest.TruthThread
	var otherID int
	for _, p := range d.Truth().Processes {
		if p.Name != "svchost.exe" {
			continue
		}
		other = p.Threads[0]
		for _, th := range ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads {
			if strings.HasPrefix(th.Name, fmt.Sprintf("[%x svchost.exe] %x ", p.PID, other.TID)) {
				otherID = th.Id
			}
		}
	}
	if otherID == 0 {
		t.Fatal("the made dump has no such thread")
	}
	first := current(crash)
	repl(fmt.Sprintf(".thread %x", other.ETHREAD), crash)
	moved := current(crash)
	if moved == first || moved != current(0) {
		t.Errorf("the console did not move: %q, then %q", first, moved)
	}
	if got := current(top(otherID)); got != moved {
		t.Errorf("frame of the other thread: %q, want %q", got, moved)
	}
	if got := current(crash); got != first {
		t.Errorf("frame of the first thread: %q, want %q", got, first)
	}
	// A watch in a frame moves nothing.
	if w := ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": "@$thread", "context": "watch", "frameId": top(otherID)}).Body; w.Type != "_ETHREAD *" || w.VariablesReference == 0 || w.Result != fmt.Sprintf("%#x", other.ETHREAD) {
		t.Errorf("watch: %+v", w)
	}
	if got := current(0); got != first {
		t.Errorf("after the watch: %q, want %q", got, first)
	}
	ask[*dap.ContinueResponse](c, "kdap/focus", map[string]any{"threadId": otherID})
	if got := current(0); got != moved {
		t.Errorf("after kdap/focus: %q, want %q", got, moved)
	}
	if n := c.count("stopped"); n != 1 {
		t.Errorf("%d stops: kdap/focus with a threadId sends none, and only VS Code gets one for .thread", n)
	}
	ask[*dap.ContinueResponse](c, "kdap/focus", map[string]any{"thread": fmt.Sprintf("%#x", other.ETHREAD)})
	pause := eventOf(c, "stopped", func(e *dap.StoppedEvent) bool { return e.Body.Reason == "pause" })
	if pause.Body.ThreadId != otherID || !pause.Body.AllThreadsStopped {
		t.Errorf("stop of kdap/focus: %+v", pause.Body)
	}
}

// TestProcessesFilter: the argument narrows the list.
func TestProcessesFilter(t *testing.T) {
	args := small(t)
	args["processes"] = []any{"Quill*", 4}
	c := inProcess(t, Options{})
	c.start(args)
	groups := map[string]bool{}
	for _, th := range ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads {
		groups[groupName.FindStringSubmatch(th.Name)[2]] = true
	}
	if len(groups) != 2 || !groups["QuillPress.exe"] || !groups["System"] {
		t.Errorf("groups: %v", groups)
	}
	args["processes"] = []any{"nosuch*"}
	c = inProcess(t, Options{})
	if msg := c.refused("launch", args); !strings.Contains(msg, "nosuch*") {
		t.Errorf("a filter that fits nothing: %q", msg)
	}
}

// TestProcessesChange: another choice is told, and the focus moves when its
// thread goes away.
func TestProcessesChange(t *testing.T) {
	c := inProcess(t, Options{})
	c.start(small(t))
	choose := func(p any) int { return c.send("kdap/processes", map[string]any{"processes": p}) }
	if r := c.response(choose([]any{"nosuch"})).GetResponse(); r.Success {
		t.Error("a choice that fits nothing is taken")
	}
	all := len(ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads)
	if r := c.response(choose([]any{"svchost.exe"})).GetResponse(); !r.Success {
		t.Fatal(r.Message)
	}
	pause := eventOf(c, "stopped", func(e *dap.StoppedEvent) bool { return e.Body.Reason == "pause" })
	some := ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads
	if len(some) == 0 || len(some) >= all || nameOf(some, pause.Body.ThreadId) == "" {
		t.Errorf("%d threads of %d, stopped on %d", len(some), all, pause.Body.ThreadId)
	}
	if r := c.response(choose("all")).GetResponse(); !r.Success || len(ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads) != all {
		t.Errorf("all again: %s", r.Message)
	}
}

// TestProgress: opening that takes long says so, and can be cancelled by it.
func TestProgress(t *testing.T) {
	a := &Adapter{progress: map[string]*call{}, out: writer{w: io.Discard}}
	var buf bytes.Buffer
	a.out.w = &buf
	a.client.SupportsProgressReporting = true
	c := &call{seq: 7}
	c.ctx, c.cancel = context.WithCancel(t.Context())
	p := a.startProgress(c, "Opening")
	p.update("unpacking", 1, 4)
	p.start() // as its timer does
	p.update("unpacking", 2, 4)
	if a.progress[p.id] != c {
		t.Error("a cancel by its progress would not find the request")
	}
	p.end()
	p.update("late", 3, 4)
	for _, want := range []string{`"progressStart"`, `"percentage":25`, `"cancellable":true`, `"progressUpdate"`, `"percentage":50`, `"progressEnd"`} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("no %s in %s", want, buf.String())
		}
	}
	if strings.Contains(buf.String(), "late") || len(a.progress) != 0 {
		t.Error("progress goes on after its end")
	}
}

// TestConsoleCap: what does not fit the console is said.
func TestConsoleCap(t *testing.T) {
	var buf bytes.Buffer
	a := &Adapter{out: writer{w: &buf}}
	o := &lineOutput{a: a}
	o.timer = time.NewTimer(time.Hour)
	o.add(strings.Repeat("é", maxConsole/2-1)+"ééé", false)
	o.add("more\x1b[31m", false)
	if rest := o.end(); len(rest) != maxConsole || !utf8.ValidString(rest) {
		t.Errorf("%d bytes, valid %v", len(rest), utf8.ValidString(rest))
	}
	if !strings.Contains(buf.String(), "1024 KB of a command's output; 1 KB more") {
		t.Errorf("note: %s", buf.String())
	}
}

// TestConsoleLines: several lines run one after the other until one fails; q
// ends the session.
func TestConsoleLines(t *testing.T) {
	c := inProcess(t, Options{})
	c.start(small(t))
	r := ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": "? 1\r\n\n? 2\n", "context": "repl"}).Body.Result
	if r != "Evaluate expression: 1 = 00000000`00000001\nEvaluate expression: 2 = 00000000`00000002" {
		t.Errorf("two lines: %q", r)
	}
	if msg := c.refused("evaluate", map[string]any{"expression": "? 1\n? nosuch\n? 3", "context": "repl"}); !strings.Contains(msg, "nosuch") || strings.Contains(msg, "00000003") {
		t.Errorf("the second line fails: %q", msg)
	}
	if r := ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": " ", "context": "repl"}).Body.Result; r != "" {
		t.Errorf("an empty line: %q", r)
	}
	ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": "q", "context": "repl"})
	eventOf(c, "terminated", func(*dap.TerminatedEvent) bool { return true })
}

// TestConsoleMovesVSCode: VS Code is shown the thread that a command goes to.
func TestConsoleMovesVSCode(t *testing.T) {
	d := dumptest.Small().Truth()
	c := inProcess(t, Options{})
	ask[*dap.InitializeResponse](c, "initialize", map[string]any{"clientID": "vscode", "adapterID": "kdap"})
	ask[*dap.LaunchResponse](c, "launch", small(t))
	ask[*dap.ConfigurationDoneResponse](c, "configurationDone", nil)
	var thread uint64
	for _, p := range d.Processes {
		if p.Name == "svchost.exe" {
			thread = p.Threads[0].ETHREAD
		}
	}
	ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": fmt.Sprintf(".thread %x", thread), "context": "repl"})
	stop := eventOf(c, "stopped", func(e *dap.StoppedEvent) bool { return e.Body.Reason == "pause" })
	threads := ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads
	if name := nameOf(threads, stop.Body.ThreadId); !strings.Contains(name, "svchost.exe") {
		t.Errorf("stopped on %q", name)
	}
}
