package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kdap/engine/dumptest"
	"kdap/engine/list"
)

// scratch is a folder for what several tests use.
var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kdap-rpc-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	scratch = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// made writes a dump of our own with its symbols, once for all tests.
var made = sync.OnceValues(func() (p OpenParams, err error) {
	dir := scratch
	d := dumptest.Small()
	p.Path, p.SymbolPath, p.CacheDir = filepath.Join(dir, "memory.dmp"), filepath.Join(dir, "symbols"), filepath.Join(dir, "cache")
	p.ImagePath = p.SymbolPath
	if err := d.WriteFile(p.Path, dumptest.Full); err != nil {
		return p, err
	}
	return p, d.WriteSymbols(p.SymbolPath, dumptest.PDBs|dumptest.Images)
})

func dial(t testing.TB, e *Engine) *Client {
	t.Helper()
	here, there := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Serve(context.Background(), there, t.Output())
	}()
	c := NewClient(here)
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	return c
}

func openMade(t testing.TB, e *Engine) *Client {
	t.Helper()
	p, err := made()
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, e)
	r, err := c.Open(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Path != p.Path || r.System.Build == 0 || r.BugCheck.Name == "" {
		t.Errorf("open: %+v", r)
	}
	return c
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestNotOpen(t *testing.T) {
	c := dial(t, NewEngine("1.2"))
	var init Initialize
	if err := c.Call(t.Context(), "initialize", nil, &init); err != nil || init.Version != "1.2" || init.Protocol != Version {
		t.Errorf("initialize: %+v, %v", init, err)
	}
	for name := range methods() {
		if name == "initialize" || name == "open" {
			continue
		}
		var e *Error
		if err := c.Call(t.Context(), name, nil, nil); !errors.As(err, &e) || e.Code != CodeNotOpen {
			t.Errorf("%s without a dump: %v", name, err)
		}
	}
	var e *Error
	if err := c.Call(t.Context(), "dance", nil, nil); !errors.As(err, &e) || e.Code != -32601 {
		t.Errorf("unknown method: %v", err)
	}
	if err := c.Call(t.Context(), "open", []int{1}, nil); !errors.As(err, &e) || e.Code != -32602 {
		t.Errorf("parameters of the wrong kind: %v", err)
	}
	if _, err := c.Open(t.Context(), OpenParams{}, nil); !errors.As(err, &e) || e.Message != errNoSingleDump.Error() {
		t.Errorf("joining an engine without a dump: %v", err)
	}
	if _, err := c.Open(t.Context(), OpenParams{Path: filepath.Join(t.TempDir(), "none")}, nil); !errors.As(err, &e) || e.Code != CodeOpen {
		t.Errorf("opening nothing: %v", err)
	}
}

// TestShared: clients of one engine share the dump and disturb each other in nothing.
func TestShared(t *testing.T) {
	e := NewEngine("test")
	a, b := openMade(t, e), openMade(t, e)
	joined := dial(t, e)
	if _, err := joined.Open(t.Context(), OpenParams{}, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(e.targets); n != 1 {
		t.Errorf("%d dumps are open", n)
	}
	sa, sb := must[Context](t)(a.NewSession(t.Context(), NewSessionParams{})), must[Context](t)(b.NewSession(t.Context(), NewSessionParams{}))
	groups := must[GroupsResult](t)(a.Groups(t.Context()))
	last := groups.Groups[len(groups.Groups)-1]
	for _, g := range groups.Groups {
		if len(g.Threads) > 0 && !slices.ContainsFunc(g.Threads, func(t GroupThread) bool { return t.Thread == groups.Crash }) {
			last = g
		}
	}
	moved := must[Context](t)(a.Focus(t.Context(), FocusParams{Session: sa.Session, Thread: last.Threads[0].Thread}))
	if moved.Thread != last.Threads[0].Thread || moved.Process != last.EPROCESS {
		t.Errorf("focus: %+v", moved)
	}
	var other Context
	if err := b.Call(t.Context(), "session/context", SessionParams{sb.Session}, &other); err != nil || other.Thread != sb.Thread {
		t.Errorf("the other client's context: %+v, %v", other, err)
	}
}

// TestLists: every kind of listing can be had, in pages as well as at once.
func TestLists(t *testing.T) {
	c := openMade(t, NewEngine("test"))
	for _, k := range list.Kinds() {
		all, why, err := List[map[string]any](t.Context(), c, ListParams{Kind: k.Name})
		if err != nil {
			t.Fatalf("%s: %v", k.Name, err)
		}
		paged, _, err := List[map[string]any](t.Context(), c, ListParams{Kind: k.Name, Limit: 3})
		if err != nil || fmt.Sprint(paged) != fmt.Sprint(all) {
			t.Errorf("%s in pages: %d entries, %d at once (%v)", k.Name, len(paged), len(all), err)
		}
		if len(all) == 0 {
			t.Logf("%s is empty (%v)", k.Name, why)
		}
	}
	var r ListResult
	if err := c.Call(t.Context(), "list", ListParams{Kind: "threads", Limit: 1}, &r); err != nil || r.Cursor == 0 {
		t.Fatalf("one thread: %+v, %v", r, err)
	}
	if err := c.Call(t.Context(), "list/close", ListNextParams{Cursor: r.Cursor}, nil); err != nil {
		t.Error(err)
	}
	if err := c.Call(t.Context(), "list/next", ListNextParams{Cursor: r.Cursor}, nil); err == nil {
		t.Error("a closed listing goes on")
	}
	for range maxCursors + 1 { // the client's end closes them
		_ = c.Call(t.Context(), "list", ListParams{Kind: "threads", Limit: 1}, nil)
	}
}

// TestStacks compares what the service tells with what the writer laid down.
func TestStacks(t *testing.T) {
	c := openMade(t, NewEngine("test"))
	for _, p := range dumptest.Small().Truth().Processes {
		for _, th := range p.Threads {
			name := Thread(Hex(th.ETHREAD).String())
			all := must[StackResult](t)(c.Stack(t.Context(), StackParams{Thread: name}))
			if all.Total != len(th.Stack) || len(all.Frames) != len(th.Stack) {
				t.Errorf("%s %x: %d frames of %d, want %d (%s)", p.Name, th.TID, len(all.Frames), all.Total, len(th.Stack), all.Ended)
				continue
			}
			for i, f := range all.Frames {
				if uint64(f.IP) != th.Stack[i].IP {
					t.Errorf("%s %x: frame %d at %v, want %#x", p.Name, th.TID, i, f.IP, th.Stack[i].IP)
				}
			}
			part := must[StackResult](t)(c.Stack(t.Context(), StackParams{Thread: name, Start: 1, Levels: 2}))
			if want := min(2, len(th.Stack)-1); len(part.Frames) != want || part.Total != all.Total {
				t.Errorf("%s %x: 2 frames from 1 on: %d of %d", p.Name, th.TID, len(part.Frames), part.Total)
			}
		}
	}
	for _, bad := range []Thread{"", "x", "0x1", "stop:-1", "stop:99", "0xfffff80000000000"} {
		if _, err := c.Stack(t.Context(), StackParams{Thread: bad}); err == nil {
			t.Errorf("thread %q has a stack", bad)
		}
	}
	if r, err := c.Stack(t.Context(), StackParams{Thread: "stop:0"}); err != nil || r.Total == 0 {
		t.Errorf("processor 0: %+v, %v", r, err)
	}
}

// TestFunctionText: the line that a frame names is the line that the text marks.
func TestFunctionText(t *testing.T) {
	c := openMade(t, NewEngine("test"))
	groups := must[GroupsResult](t)(c.Groups(t.Context()))
	checked := 0
	for _, g := range groups.Groups {
		for _, th := range g.Threads {
			st := must[StackResult](t)(c.Stack(t.Context(), StackParams{Thread: th.Thread}))
			for _, f := range st.Frames {
				src := must[SourceResult](t)(c.Source(t.Context(), PlaceParams{st.Process, f.IP}))
				lines := strings.Split(src.Text, "\n")
				if src.Line != f.TextLine || f.TextLine < 1 || f.TextLine > len(lines) || !strings.HasPrefix(lines[f.TextLine-1], "=> ") {
					t.Fatalf("%s at %v: line %d, the text says %d:\n%s", src.Name, f.IP, f.TextLine, src.Line, src.Text)
				}
				// The same function, disassembled from behind: instructions come in step.
				dis := must[DisassembleResult](t)(c.Disassemble(t.Context(), DisassembleParams{Process: st.Process, Address: f.IP, Offset: -3, Count: 4}))
				if len(dis.Instructions) != 4 || dis.Instructions[3].Address != f.IP {
					t.Fatalf("3 instructions before %v: %+v", f.IP, dis.Instructions)
				}
				checked++
			}
		}
	}
	if checked == 0 {
		t.Error("no frames")
	}
}

// TestOutput: output comes in order, whole, before the answer.
func TestOutput(t *testing.T) {
	c := openMade(t, NewEngine("test"))
	s := must[Context](t)(c.NewSession(t.Context(), NewSessionParams{}))
	var out, notes strings.Builder
	take := func(text string, note bool) {
		if note {
			notes.WriteString(text)
		} else {
			out.WriteString(text)
		}
	}
	r, err := c.Execute(t.Context(), ExecuteParams{s.Session, "? 1; ? 2; ? nosuch; ? 3"}, take)
	if err != nil || !r.Failed {
		t.Fatalf("%+v, %v", r, err)
	}
	if want := "Evaluate expression: 1 = 00000000`00000001\nEvaluate expression: 2 = 00000000`00000002\n"; !strings.HasPrefix(out.String(), want) || !strings.Contains(out.String(), "Couldn't resolve") {
		t.Errorf("output: %q", out.String())
	}
	out.Reset()
	if r, err := c.Execute(t.Context(), ExecuteParams{s.Session, "nosuchcommand"}, take); err != nil || !r.Failed || out.Len() == 0 {
		t.Errorf("unknown command: %+v, %v, %q", r, err, out.String())
	}
	if _, err := c.Execute(t.Context(), ExecuteParams{99, "k"}, take); err == nil {
		t.Error("a session that does not exist runs commands")
	}
}

// TestCancelCommand: the answer to a cancelled command comes within 100 ms, and
// the session goes on with the next.
func TestCancelCommand(t *testing.T) {
	c := openMade(t, NewEngine("test"))
	s := must[Context](t)(c.NewSession(t.Context(), NewSessionParams{}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.Execute(ctx, ExecuteParams{s.Session, ".for (r $t0=0; 1; r $t0=@$t0+1) { ? @$t0 }"}, func(string, bool) {})
		ended <- err
	}()
	time.Sleep(100 * time.Millisecond)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled command: %v", err)
	}
	began := time.Now()
	if _, err := c.Execute(t.Context(), ExecuteParams{s.Session, "? 1"}, func(string, bool) {}); err != nil {
		t.Error(err)
	}
	t.Logf("the next command was answered after %v", time.Since(began))
}

// TestWholeRunes: output is cut between characters.
func TestWholeRunes(t *testing.T) {
	for in, want := range map[string]int{"": 0, "a": 1, "aé": 3, "a\xc3": 1, "a\xe2\x82": 1, "a€": 4, "a\xf0\x9f\x98": 1, "a\xff": 2, "\x80\x80\x80\x80": 4} {
		if got := wholeRunes([]byte(in)); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}

// TestMemoryGap: what cannot be read says how much of it there is, and why.
func TestMemoryGap(t *testing.T) {
	c := openMade(t, NewEngine("test"))
	var sys struct{ KernelBase Hex }
	if err := c.Call(t.Context(), "system", nil, &sys); err != nil {
		t.Fatal(err)
	}
	r := must[ReadResult](t)(c.ReadMemory(t.Context(), ReadParams{Address: sys.KernelBase - 64, Count: 128}))
	if len(r.Data) != 0 || r.Gap != 64 || r.Reason == "" {
		t.Errorf("across the kernel's start: %+v", r)
	}
	r = must[ReadResult](t)(c.ReadMemory(t.Context(), ReadParams{Address: sys.KernelBase, Count: 128}))
	if len(r.Data) != 128 || string(r.Data[:2]) != "MZ" || r.Gap != 0 {
		t.Errorf("the kernel's header: %+v", r)
	}
	for _, bad := range []ReadParams{{Count: -1}, {Count: maxRead + 1}, {Process: 0x1234, Count: 1}} {
		if _, err := c.ReadMemory(t.Context(), bad); err == nil {
			t.Errorf("%+v was read", bad)
		}
	}
}

// TestValues walks a tree down and back through the evaluator.
func TestValues(t *testing.T) {
	c := openMade(t, NewEngine("test"))
	truth := dumptest.Small().Truth()
	p := truth.Processes[len(truth.Processes)-1]
	for _, q := range truth.Processes {
		if q.Name == "QuillPress.exe" {
			p = q
		}
	}
	var v Value
	if err := c.Call(t.Context(), "object", ObjectParams{Type: "nt!_EPROCESS", Address: Hex(p.EPROCESS)}, &v); err != nil || v.Ref == 0 {
		t.Fatalf("object: %+v, %v", v, err)
	}
	members := must[ChildrenResult](t)(c.Children(t.Context(), ChildrenParams{Ref: v.Ref})).Values
	if len(members) != v.Named {
		t.Errorf("%d members, %d were promised", len(members), v.Named)
	}
	at := func(name string) Value {
		t.Helper()
		for _, m := range members {
			if m.Name == name {
				return m
			}
		}
		t.Fatalf("no member %s", name)
		return Value{}
	}
	if id := at("UniqueProcessId"); id.Text != fmt.Sprintf("%#x", p.PID) {
		t.Errorf("UniqueProcessId: %+v, want %#x", id, p.PID)
	}
	if name := at("ImageFileName"); !strings.Contains(name.Text, `"QuillPress.exe"`) || name.Indexed != 15 {
		t.Errorf("ImageFileName: %+v", name)
	}
	// The head of a list shows its links and what is on the list; nobody counts
	// that before it is opened.
	onList := func(v Value) []Value {
		return must[ChildrenResult](t)(c.Children(t.Context(), ChildrenParams{Ref: v.Ref, Filter: "indexed"})).Values
	}
	threads := at("ThreadListHead")
	if on := onList(threads); threads.Indexed != 0 || len(on) != len(p.Threads) {
		t.Errorf("ThreadListHead: %+v, %d elements, want %d", threads, len(on), len(p.Threads))
	}
	if on := onList(at("VadRoot")); len(on) != len(p.Vads) {
		t.Errorf("VadRoot: %d elements, want %d", len(on), len(p.Vads))
	}
	page := must[ChildrenResult](t)(c.Children(t.Context(), ChildrenParams{Ref: threads.Ref, Filter: "indexed", Start: 1, Count: 1})).Values
	if len(page) != 1 || uint64(page[0].Address) != p.Threads[1].ETHREAD {
		t.Errorf("element 1: %+v, want %#x", page, p.Threads[1].ETHREAD)
	}
	if _, err := c.Children(t.Context(), ChildrenParams{Ref: 1 << 40}); err == nil {
		t.Error("a reference that was never given opens something")
	}
	if again := onList(threads); again[1].Ref != onList(threads)[1].Ref || again[1].Ref == again[0].Ref {
		t.Errorf("an element has reference %d, another one %d", again[1].Ref, again[0].Ref)
	}
}

// TestShownAgain: looking at the same values again gives the same references.
func TestShownAgain(t *testing.T) {
	c := openMade(t, NewEngine("test"))
	groups := must[GroupsResult](t)(c.Groups(t.Context())).Groups
	seen := map[uint64]string{}
	look := func(p ScopesParams) {
		t.Helper()
		for _, s := range must[ScopesResult](t)(c.Scopes(t.Context(), p)).Scopes {
			where := fmt.Sprint(p, s.Name)
			if old, ok := seen[s.Ref]; ok && old != where {
				t.Fatalf("reference %d is that of %s and of %s", s.Ref, old, where)
			}
			seen[s.Ref] = where
			for _, v := range must[ChildrenResult](t)(c.Children(t.Context(), ChildrenParams{Ref: s.Ref})).Values {
				if v.Ref == 0 {
					continue
				}
				in := where + "/" + v.Name
				if old, ok := seen[v.Ref]; ok && old != in {
					t.Fatalf("reference %d is that of %s and of %s", v.Ref, old, in)
				}
				seen[v.Ref] = in
			}
		}
	}
	all := func() {
		for _, g := range groups {
			for _, th := range g.Threads {
				look(ScopesParams{FrameParams: FrameParams{Thread: th.Thread}})
			}
		}
	}
	all()
	before := len(seen)
	if before == 0 {
		t.Fatal("no values")
	}
	if all(); len(seen) != before {
		t.Errorf("%d references at first, %d when seen again", before, len(seen))
	}
}

// TestCompletions: commands first, then names, each with what it replaces.
func TestCompletions(t *testing.T) {
	c := openMade(t, NewEngine("test"))
	s := must[Context](t)(c.NewSession(t.Context(), NewSessionParams{}))
	tests := []struct {
		line          string
		start, length int
		want, kind    string
	}{
		{"!proc", 0, 5, "!process", "command"},
		{"? 1; !proc", 5, 5, "!process", "command"},
		{"dt nt!_EPRO", 3, 8, "nt!_EPROCESS", "type"},
		{"u nt!PsActiveProcessHe", 2, 20, "nt!PsActiveProcessHead", "symbol"},
		{"lm m n", 5, 1, "nt!", "module"},
		{"!process 0 0 Quill", 13, 5, "QuillPress.exe", "process"},
	}
	for _, tt := range tests {
		r := must[CompletionsResult](t)(c.Completions(t.Context(), CompletionsParams{s.Session, tt.line, len(tt.line)}))
		if r.Start != tt.start || r.Length != tt.length || !slices.ContainsFunc(r.Items, func(i Completion) bool { return i.Text == tt.want && i.Kind == tt.kind }) {
			t.Errorf("%q: %+v, want %s at %d, %d long", tt.line, r, tt.want, tt.start, tt.length)
		}
	}
	for _, column := range []int{-5, 0, 1, 500} {
		_ = must[CompletionsResult](t)(c.Completions(t.Context(), CompletionsParams{s.Session, "lé 😀 x", column}))
	}
}

func TestCheckLoopback(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:1": true, "localhost:0": true, "[::1]:5": true, "0.0.0.0:1": false, ":1": false, "192.0.2.1:1": false,
		"example.com:1": false, "127.0.0.1": false, "": false,
	} {
		if err := CheckLoopback(addr); (err == nil) != ok {
			t.Errorf("%q: %v", addr, err)
		}
	}
}
