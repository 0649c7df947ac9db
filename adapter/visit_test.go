package adapter

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-dap"

	"kdap/engine/dumptest"
	"kdap/internal/truth"
)

// groupName is the form of a thread's name: the group, the thread's id, then
// its description or state.
var groupName = regexp.MustCompile(`^\[([0-9a-f]+) ([^\]]+)\] ([0-9a-f]+)( .+)?$`)

// written keeps the dumps that tests have written: writing takes longer than reading.
var written struct {
	mu   sync.Mutex
	dirs map[string]string
}

// madeArguments writes a dump of our own with its symbols, once for each name.
func madeArguments(t testing.TB, name string, d func() *dumptest.Dump) map[string]any {
	t.Helper()
	written.mu.Lock()
	defer written.mu.Unlock()
	dir, ok := written.dirs[name]
	if !ok {
		var err error
		if dir, err = os.MkdirTemp(scratch, name); err != nil {
			t.Fatal(err)
		}
		made := d()
		if err := made.WriteFile(filepath.Join(dir, "memory.dmp"), dumptest.Full); err != nil {
			t.Fatal(err)
		}
		if err := made.WriteSymbols(filepath.Join(dir, "symbols"), dumptest.PDBs|dumptest.Images); err != nil {
			t.Fatal(err)
		}
		if written.dirs == nil {
			written.dirs = map[string]string{}
		}
		written.dirs[name] = dir
	}
	symbols := filepath.Join(dir, "symbols")
	return map[string]any{
		"dumpFile": filepath.Join(dir, "memory.dmp"), "symbolPath": symbols, "imagePath": symbols, "cacheDir": filepath.Join(dir, "cache"),
	}
}

func small(t testing.TB) map[string]any { return madeArguments(t, "small", dumptest.Small) }

// TestVisitMadeDump visits a dump of our own as an editor does and compares
// what it is told with what the writer laid down.
func TestVisitMadeDump(t *testing.T) {
	d := dumptest.Small()
	want := d.Truth()
	trace := filepath.Join(t.TempDir(), "trace")
	c, ended := overStdio(t, "--trace", trace)
	stop := c.start(small(t))
	if stop.Body.Reason != "exception" || !stop.Body.AllThreadsStopped || stop.Body.Text == "" || stop.Body.Description == "" {
		t.Errorf("first stop: %+v", stop.Body)
	}

	threads := ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads
	type wantThread struct {
		name  string
		stack []dumptest.Frame
	}
	byID := map[string]wantThread{}
	for _, p := range want.Processes {
		if p.PID == 0 {
			continue // its threads all have the id 0
		}
		for _, th := range p.Threads {
			byID[fmt.Sprintf("[%x %s] %x", p.PID, p.Name, th.TID)] = wantThread{th.Name, th.Stack}
		}
	}
	seen := map[string]bool{}
	for i, th := range threads {
		m := groupName.FindStringSubmatch(th.Name)
		if m == nil || th.Id == 0 {
			t.Fatalf("thread %+v", th)
		}
		if i == 0 && th.Id != stop.Body.ThreadId {
			// The crashing process comes first; its crashing thread need not be its first.
			if !strings.HasPrefix(nameOf(threads, stop.Body.ThreadId), fmt.Sprintf("[%s %s]", m[1], m[2])) {
				t.Errorf("the first group is %q, the stop was on %q", th.Name, nameOf(threads, stop.Body.ThreadId))
			}
		}
		key := fmt.Sprintf("[%s %s] %s", m[1], m[2], m[3])
		w, ok := byID[key]
		if !ok {
			continue
		}
		seen[key] = true
		if w.name != "" && m[4] != " "+w.name {
			t.Errorf("thread %q, its description is %q", th.Name, w.name)
		}
		frames := ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": th.Id}).Body
		if len(w.stack) == 0 {
			continue
		}
		if frames.TotalFrames != len(w.stack) || len(frames.StackFrames) != len(w.stack) {
			t.Errorf("%s: %d frames of %d, want %d", th.Name, len(frames.StackFrames), frames.TotalFrames, len(w.stack))
			continue
		}
		for i, f := range frames.StackFrames {
			if ip, err := strconv.ParseUint(f.InstructionPointerReference, 0, 64); err != nil || ip != w.stack[i].IP {
				t.Errorf("%s: frame %d at %s, want %#x", th.Name, i, f.InstructionPointerReference, w.stack[i].IP)
			}
			if f.Source == nil || f.Source.SourceReference == 0 && f.Source.Path == "" || f.Line == 0 {
				t.Errorf("%s: frame %d (%s) has no source", th.Name, i, f.Name)
			}
		}
	}
	for key := range byID {
		if !seen[key] {
			t.Errorf("thread %s is not listed", key)
		}
	}
	visitFrame(t, c, stop.Body.ThreadId)
	ask[*dap.DisconnectResponse](c, "disconnect", map[string]any{})
	if err := ended(); err != nil {
		t.Errorf("kdap dap: %v", err)
	}
	if b, err := os.ReadFile(trace); err != nil || !strings.Contains(string(b), "stackTrace waited=") {
		t.Errorf("trace: %v\n%.500s", err, b)
	}
}

func nameOf(threads []dap.Thread, id int) string {
	for _, th := range threads {
		if th.Id == id {
			return th.Name
		}
	}
	return ""
}

// visitFrame looks at all that hangs on a thread's top frame.
func visitFrame(t *testing.T, c *client, thread int) {
	t.Helper()
	top := ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": thread, "levels": 1}).Body.StackFrames[0]
	text := ask[*dap.SourceResponse](c, "source", map[string]any{"sourceReference": top.Source.SourceReference}).Body.Content
	lines := strings.Split(text, "\n")
	if top.Line > len(lines) || !strings.HasPrefix(lines[top.Line-1], "=> ") {
		t.Errorf("line %d is not marked in the text of %s:\n%.400s", top.Line, top.Name, text)
	}
	if ip := strings.TrimPrefix(top.InstructionPointerReference, "0x"); !strings.Contains(strings.ReplaceAll(lines[top.Line-1], "`", ""), ip) {
		t.Errorf("line %d is not that of %s: %s", top.Line, ip, lines[top.Line-1])
	}

	names := map[string]dap.Scope{}
	for _, s := range ask[*dap.ScopesResponse](c, "scopes", map[string]any{"frameId": top.Id}).Body.Scopes {
		names[s.Name] = s
	}
	for _, name := range []string{"Registers", "Thread", "Process"} {
		if names[name].VariablesReference == 0 {
			t.Fatalf("no scope %s: %v", name, names)
		}
	}
	regs := variables(c, names["Registers"].VariablesReference)
	if regs["rip"].Value != "0x"+leftPad(strings.TrimPrefix(top.InstructionPointerReference, "0x")) {
		t.Errorf("rip is %s, the frame is at %s", regs["rip"].Value, top.InstructionPointerReference)
	}
	proc := variables(c, names["Process"].VariablesReference)
	if proc["Pcb"].VariablesReference == 0 || proc["ImageFileName"].Value == "" {
		t.Errorf("Process: %+v", proc["Pcb"])
	}
	pcb := variables(c, proc["Pcb"].VariablesReference)
	if pcb["DirectoryTableBase"].Value == "" {
		t.Errorf("Process.Pcb has no DirectoryTableBase: %v", pcb)
	}
	// What the tree names, the evaluator finds, with the same value.
	dtb := pcb["DirectoryTableBase"]
	again := ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": dtb.EvaluateName, "context": "watch", "frameId": top.Id}).Body
	if again.Result != dtb.Value {
		t.Errorf("%s is %s, the tree says %s", dtb.EvaluateName, again.Result, dtb.Value)
	}

	mem := ask[*dap.ReadMemoryResponse](c, "readMemory", map[string]any{"memoryReference": top.InstructionPointerReference, "count": 16}).Body
	code, err := base64.StdEncoding.DecodeString(mem.Data)
	if err != nil || len(code) != 16 || mem.UnreadableBytes != 0 {
		t.Errorf("memory at %s: %+v (%v)", top.InstructionPointerReference, mem, err)
	}
	none := ask[*dap.ReadMemoryResponse](c, "readMemory", map[string]any{"memoryReference": "0x10", "count": 64}).Body
	if none.Data != "" || none.UnreadableBytes != 64 {
		t.Errorf("memory at 0x10: %+v", none)
	}
	ask[*dap.ReadMemoryResponse](c, "readMemory", map[string]any{"memoryReference": top.InstructionPointerReference, "offset": 4096, "count": 0})
	// All that is asked for is there or is counted as unreadable; what is too much is refused.
	large := ask[*dap.ReadMemoryResponse](c, "readMemory", map[string]any{"memoryReference": top.InstructionPointerReference, "count": maxRead}).Body
	if code, err := base64.StdEncoding.DecodeString(large.Data); err != nil || len(code) < 16 || len(code)+large.UnreadableBytes != maxRead {
		t.Errorf("%d bytes of memory, %d more are unreadable (%v), want %d", len(code), large.UnreadableBytes, err, maxRead)
	}
	if msg := c.refused("readMemory", map[string]any{"memoryReference": top.InstructionPointerReference, "count": maxRead + 1}); !strings.Contains(msg, "at most") {
		t.Errorf("too large a read: %q", msg)
	}
	dis := ask[*dap.DisassembleResponse](c, "disassemble", map[string]any{
		"memoryReference": top.InstructionPointerReference, "instructionOffset": -50, "instructionCount": 100, "resolveSymbols": true,
	}).Body.Instructions
	if len(dis) != 100 {
		t.Fatalf("%d instructions, want 100", len(dis))
	}
	if at, err := strconv.ParseUint(dis[50].Address, 0, 64); err != nil || fmt.Sprintf("%#x", at) != top.InstructionPointerReference {
		t.Errorf("instruction 50 is at %s, want %s", dis[50].Address, top.InstructionPointerReference)
	}
	if info := ask[*dap.ExceptionInfoResponse](c, "exceptionInfo", map[string]any{"threadId": thread}).Body; info.ExceptionId == "" || !strings.Contains(info.Description, "Bug check 0x") {
		t.Errorf("exceptionInfo: %+v", info)
	}
	if mods := ask[*dap.ModulesResponse](c, "modules", map[string]any{}).Body; mods.TotalModules == 0 || len(mods.Modules) != mods.TotalModules {
		t.Errorf("modules: %d of %d", len(mods.Modules), mods.TotalModules)
	}
	ask[*dap.LoadedSourcesResponse](c, "loadedSources", nil)
	if comp := ask[*dap.CompletionsResponse](c, "completions", map[string]any{"text": "!proc", "column": 6}).Body.Targets; len(comp) == 0 || comp[0].Start != 1 || comp[0].Length != 5 {
		t.Errorf("completions of !proc: %+v", comp)
	}
	repl := func(line string) string {
		return ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": line, "context": "repl", "frameId": top.Id}).Body.Result
	}
	if out := repl("!process 0 0"); !strings.HasPrefix(out, "**** NT ACTIVE PROCESS DUMP ****") {
		t.Errorf("!process 0 0: %.200s", out)
	}
	if out := repl("? 1+1"); out != "Evaluate expression: 2 = 00000000`00000002" {
		t.Errorf("? 1+1: %q", out)
	}
	if msg := c.refused("evaluate", map[string]any{"expression": "? nosuchname", "context": "repl"}); !strings.Contains(msg, "Couldn't resolve error at 'nosuchname'") {
		t.Errorf("? nosuchname: %q", msg)
	}
}

func leftPad(digits string) string { return strings.Repeat("0", max(0, 16-len(digits))) + digits }

// variables returns all lines below a reference by name.
func variables(c *client, ref int) map[string]dap.Variable {
	c.t.Helper()
	out := map[string]dap.Variable{}
	for _, v := range ask[*dap.VariablesResponse](c, "variables", map[string]any{"variablesReference": ref}).Body.Variables {
		out[v.Name] = v
	}
	return out
}

// TestVisitLab compares every frame of every thread with the reference dump's
// truth, through the whole way: engine, session, adapter, client.
func TestVisitLab(t *testing.T) {
	var want struct {
		Processes []struct {
			Name    string
			PID     uint64
			Threads []struct {
				CID   [2]uint64
				Name  string
				Stack []struct{ ChildSP, Ret, Symbol string }
			}
		}
	}
	truth.JSON(t, &want, "dumps", "lab19041.json")
	args := labArguments(t)
	c, ended := overStdio(t)
	stop := c.start(args)
	threads := ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads
	ids := map[string][]int{}
	for _, th := range threads {
		m := groupName.FindStringSubmatch(th.Name)
		if m == nil {
			t.Fatalf("thread %q", th.Name)
		}
		key := "[" + m[1] + " " + m[2] + "] " + m[3]
		ids[key] = append(ids[key], th.Id)
	}
	total := 0
	for _, p := range want.Processes {
		taken := map[string]int{}
		for _, th := range p.Threads {
			total++
			key := fmt.Sprintf("[%x %s] %x", p.PID, p.Name, th.CID[1])
			n := taken[key]
			taken[key]++
			if n >= len(ids[key]) {
				t.Errorf("thread %s is not listed", key)
				continue
			}
			frames := ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": ids[key][n]}).Body.StackFrames
			if last := len(frames) - 1; last >= 0 && (frames[last].PresentationHint == "label" || strings.HasPrefix(frames[last].Name, "no stack")) {
				// It ends early and says so: what is there must be right, the
				// listings' test knows which stacks these are.
				t.Logf("%s: %s", key, frames[last].Name)
				continue
			}
			if len(frames) != len(th.Stack) {
				t.Errorf("%s: %d frames, want %d", key, len(frames), len(th.Stack))
				continue
			}
			for i, f := range frames {
				if f.Name != th.Stack[i].Symbol {
					t.Errorf("%s: frame %d is %q, want %q", key, i, f.Name, th.Stack[i].Symbol)
				}
			}
		}
	}
	if total != len(threads) {
		t.Errorf("%d threads are listed, want %d", len(threads), total)
	}
	visitFrame(t, c, stop.Body.ThreadId)
	ask[*dap.DisconnectResponse](c, "disconnect", map[string]any{})
	if err := ended(); err != nil {
		t.Errorf("kdap dap: %v", err)
	}
}
