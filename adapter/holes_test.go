package adapter

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-dap"

	"kdap/engine/dumptest"
)

// touched is what a hole may change of the editor's threads; nothing, of one
// that is not here.
var touched = map[string]change{
	"processes": lostThreads, "threads": lostThreads, "processors": lostThreads, "modules": lostThreads, "debugger_data": lostThreads,
	"kernel_stacks": shortStacks, "user_stacks": shortStacks, "directories": shortStacks,
	"pebs": otherNames, "loaders": otherNames, "heaps": otherNames, // the names of modules are told by them
}

// A change is the worst that may become of a thread.
type change int

const (
	unchanged   change = iota
	otherNames         // the frames' addresses are the same
	shortStacks        // the stack ends early, and says why
	lostThreads        // it is not listed
	wrongFrames        // it has other frames without a word
)

// A holedVisit is an editor's look at a dump that lacks memory.
type holedVisit struct {
	t    *testing.T
	c    *client
	name string
	sent []asked
}

type asked struct {
	seq  int
	what string
}

// send sends a request whose answer may be a failure.
func (v *holedVisit) send(command string, args any) int {
	seq := v.c.send(command, args)
	b, _ := json.Marshal(args)
	v.sent = append(v.sent, asked{seq, command + " " + string(b)})
	return seq
}

// answer is the body of a response, nil when it failed.
func answer[R dap.ResponseMessage](v *holedVisit, seq int) (r R, ok bool) {
	r, ok = v.c.response(seq).(R)
	return r, ok && r.GetResponse().Success
}

// sentence is what a failure must be: words, not a number or a Go value.
var sentence = regexp.MustCompile(`\pL{2,} .*\pL{2,}`)

// check looks at how all that was sent ended.
func (v *holedVisit) check() {
	for _, a := range v.sent {
		r := v.c.response(a.seq).GetResponse()
		switch {
		case r.Success:
		case strings.Contains(r.Message, "internal error"), strings.Contains(r.Message, "engine"), !sentence.MatchString(r.Message):
			v.t.Errorf("%s: %s: %q", v.name, a.what, r.Message)
		}
	}
}

// A tree is what the editor's tree of threads shows: the frames of each thread.
type tree map[string][]dap.StackFrame

// threadKey is a thread's group and number, what stays when its state is lost.
// Idle threads have only their processor.
func threadKey(name string) string {
	if m := groupName.FindStringSubmatch(name); m != nil && m[3] != "0" {
		return "[" + m[1] + " " + m[2] + "] " + m[3]
	}
	return name
}

// evaluations are what is typed, watched and pointed at.
var evaluations = []struct{ context, expression string }{
	{"watch", "@$proc"},
	{"watch", "@$thread->Tcb"},
	{"watch", "*(nt!_KPRCB**)nt!KiProcessorBlock"},
	{"hover", "nt!PsActiveProcessHead"},
	{"hover", "@rip"},
	{"variables", "@$peb->ProcessParameters"},
	{"clipboard", "@$teb"},
	{"repl", "k"},
	{"repl", "!process 0 0"},
	{"repl", "lm"},
	{"repl", "dq @rsp L4"},
	{"repl", "!peb"},
}

// look visits what an editor can show of a dump.
func (v *holedVisit) look(stop int) tree {
	threads := ask[*dap.ThreadsResponse](v.c, "threads", nil).Body.Threads
	stacks := make([]int, len(threads))
	for i, th := range threads {
		stacks[i] = v.send("stackTrace", map[string]any{"threadId": th.Id})
	}
	for _, request := range []string{"modules", "loadedSources"} {
		v.send(request, map[string]any{})
	}
	for _, text := range []string{"!pro", "dt nt!_EPR", "nt!Ki", "u keypad!"} {
		v.send("completions", map[string]any{"text": text, "column": len(text) + 1})
	}
	v.send("exceptionInfo", map[string]any{"threadId": stop})

	tree := tree{}
	for i, th := range threads {
		r, ok := answer[*dap.StackTraceResponse](v, stacks[i])
		if !ok {
			continue
		}
		frames := r.Body.StackFrames
		if len(frames) == 0 {
			v.t.Errorf("%s: thread %q has no frame, not even one that says why", v.name, th.Name)
			continue
		}
		tree[threadKey(th.Name)] = frames
		if th.Id == stop || i%24 == 0 {
			v.frame(frames[0])
		}
	}
	return tree
}

// frame looks at what hangs on a frame.
func (v *holedVisit) frame(f dap.StackFrame) {
	scopes := v.send("scopes", map[string]any{"frameId": f.Id})
	for _, e := range evaluations {
		v.send("evaluate", map[string]any{"expression": e.expression, "context": e.context, "frameId": f.Id})
	}
	if at := f.InstructionPointerReference; at != "" {
		v.send("readMemory", map[string]any{"memoryReference": at, "offset": -2048, "count": 8192})
		v.send("disassemble", map[string]any{"memoryReference": at, "instructionOffset": -50, "instructionCount": 100, "resolveSymbols": true})
	}
	if f.Source != nil && f.Source.SourceReference != 0 {
		v.send("source", map[string]any{"sourceReference": f.Source.SourceReference})
	}
	r, ok := answer[*dap.ScopesResponse](v, scopes)
	if !ok {
		return
	}
	var below []int
	for _, s := range r.Body.Scopes {
		below = append(below, v.send("variables", map[string]any{"variablesReference": s.VariablesReference}))
	}
	for _, seq := range below {
		r, ok := answer[*dap.VariablesResponse](v, seq)
		if !ok {
			continue
		}
		for i, line := range r.Body.Variables {
			if line.VariablesReference != 0 && i%8 == 0 {
				v.send("variables", map[string]any{"variablesReference": line.VariablesReference})
			}
		}
	}
}

// A logged is a log that tests read.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestHoles visits dumps that lack memory of one kind each, all of them, and
// pages here and there: every request is answered, by a sentence where what it
// asks for is gone, and what is left is that of the whole dump.
func TestHoles(t *testing.T) {
	dir := t.TempDir()
	symbols := filepath.Join(dir, "symbols")
	d := dumptest.Demo()
	if err := dumptest.WriteSymbols(symbols, dumptest.PDBs|dumptest.Images); err != nil {
		t.Fatal(err)
	}
	visit := func(name string) tree {
		path := filepath.Join(dir, "memory.dmp")
		_ = os.Remove(path) // the one before may be open still
		if err := d.WriteFile(path, dumptest.ActiveBitmap); err != nil {
			t.Fatal(err)
		}
		var log logged
		v := &holedVisit{t: t, name: name, c: inProcess(t, Options{Log: &log})}
		stop := v.c.start(map[string]any{"dumpFile": path, "symbolPath": symbols, "imagePath": symbols, "cacheDir": filepath.Join(dir, "cache")})
		tree := v.look(stop.Body.ThreadId)
		v.check()
		ask[*dap.DisconnectResponse](v.c, "disconnect", map[string]any{})
		if strings.Contains(log.String(), "panic") {
			t.Errorf("%s: %s", name, log.String())
		}
		return tree
	}
	whole := visit("whole")
	for _, hole := range dumptest.Holes() {
		d.Without(hole)
		compareTrees(t, hole.Name, visit(hole.Name), whole, touched[hole.Name])
	}
	d.Without(dumptest.Holes()...)
	compareTrees(t, "all", visit("all"), whole, lostThreads)
	for seed, part := range []uint64{20, 3} {
		d.WithoutSome(part, uint64(seed))
		name := fmt.Sprint("random ", part)
		compareTrees(t, name, visit(name), whole, lostThreads)
	}
}

// compareTrees compares the threads of a holed dump with those of the whole one.
func compareTrees(t *testing.T, name string, got, whole tree, worst change) {
	t.Helper()
	for key, want := range whole {
		frames, ok := got[key]
		is := lostThreads
		if ok {
			is = changed(frames, want)
		}
		if is > worst {
			t.Errorf("%s: thread %s has the frames\n%s\nwant\n%s", name, key, spelled(frames), spelled(want))
		}
	}
}

// changed tells what became of a thread's frames.
func changed(frames, want []dap.StackFrame) change {
	last := frames[len(frames)-1]
	is := unchanged
	for i, f := range frames {
		switch {
		case i < len(want) && len(frames) == len(want) && f.InstructionPointerReference == want[i].InstructionPointerReference:
			if f.Name != want[i].Name {
				is = max(is, otherNames)
			}
		case last.PresentationHint == "label", strings.HasPrefix(last.Name, "no stack: "):
			return shortStacks
		default:
			return wrongFrames
		}
	}
	return is
}

func spelled(frames []dap.StackFrame) string {
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintln(&b, f.InstructionPointerReference, f.Name)
	}
	return b.String()
}
