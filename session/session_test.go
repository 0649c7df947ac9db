package session

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"kdap/engine/dumptest"
	"kdap/engine/rpc"
)

// engineMark makes the test binary an engine, or what it says instead of one.
const engineMark = "KDAP_TEST_ENGINE"

func TestMain(m *testing.M) {
	switch os.Getenv(engineMark) {
	case "":
	case "crash":
		os.Stderr.WriteString("about to fall\n")
		panic("the engine's end")
	case "silent":
		time.Sleep(time.Hour)
	default:
		rpc.NewEngine("test").Serve(context.Background(), rpc.Stdio(), os.Stderr)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func program(t *testing.T, mark string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(engineMark, mark)
	return []string{self}
}

func madeOptions(t *testing.T) Options {
	t.Helper()
	dir := t.TempDir()
	d := dumptest.Small()
	if err := d.WriteFile(filepath.Join(dir, "memory.dmp"), dumptest.Full); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteSymbols(filepath.Join(dir, "symbols"), dumptest.PDBs|dumptest.Images); err != nil {
		t.Fatal(err)
	}
	return Options{
		DumpFile: filepath.Join(dir, "memory.dmp"), SymbolPath: filepath.Join(dir, "symbols"),
		ImagePath: filepath.Join(dir, "symbols"), CacheDir: filepath.Join(dir, "cache"),
	}
}

// TestEngineCrashes: the reason has the engine's last words, the first of them
// included, however long its stacks are.
func TestEngineCrashes(t *testing.T) {
	o := Options{DumpFile: "x", Program: program(t, "crash")}
	_, err := Open(t.Context(), o, NewHandles())
	var gone *EngineGoneError
	if !errors.As(err, &gone) {
		t.Fatalf("open: %v", err)
	}
	for _, want := range []string{"exit status 2", "about to fall", "panic: the engine's end"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
	o.Program = []string{filepath.Join(t.TempDir(), "nosuch")}
	if _, err := Open(t.Context(), o, NewHandles()); err == nil || !strings.Contains(err.Error(), "cannot be started") {
		t.Errorf("no program: %v", err)
	}
}

// TestSilentEngine: opening can be given up though the engine says nothing.
func TestSilentEngine(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, Options{DumpFile: "x", Program: program(t, "silent")}, NewHandles()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("open: %v", err)
	}
}

// TestHungEngine: an engine that no longer answers at all is ended, and that is
// the reason that is given.
func TestHungEngine(t *testing.T) {
	told := make(chan error, 1)
	_, err := Open(t.Context(), Options{
		DumpFile: "x", Program: program(t, "silent"), Gone: func(err error) { told <- err },
		pingEvery: 20 * time.Millisecond, patience: 100 * time.Millisecond,
	}, NewHandles())
	var gone *EngineGoneError
	if !errors.As(err, &gone) || !strings.Contains(err.Error(), "did not answer") {
		t.Errorf("open: %v", err)
	}
	if err := <-told; !strings.Contains(err.Error(), "did not answer") {
		t.Errorf("told: %v", err)
	}
}

// TestJoinedEngine: sessions on one engine that listens share it, and leave it
// running when they end.
func TestJoinedEngine(t *testing.T) {
	o := madeOptions(t)
	e := rpc.NewEngine("test")
	ctx, stop := context.WithCancel(t.Context())
	addr := make(chan string, 1)
	served := make(chan error, 1)
	go func() {
		served <- e.ListenAndServe(ctx, rpc.Listen{Addr: "127.0.0.1:0"}, t.Output(), func(a net.Addr) { addr <- a.String() })
	}()
	o.Engine = <-addr
	first, err := Open(t.Context(), o, NewHandles())
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open(t.Context(), Options{Engine: o.Engine}, NewHandles()) // joins what is open
	if err != nil {
		t.Fatal(err)
	}
	if first.Dump().Path != second.Dump().Path {
		t.Errorf("two dumps: %s, %s", first.Dump().Path, second.Dump().Path)
	}
	first.Close()
	if _, err := second.Stack(t.Context(), second.CrashThread().ID); err != nil {
		t.Errorf("after the other's end: %v", err)
	}
	second.Close()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := Open(t.Context(), o, NewHandles()); err == nil || !strings.Contains(err.Error(), "no engine answers") {
		t.Errorf("no engine: %v", err)
	}
}

// TestSelectors reads the launch argument's forms.
func TestSelectors(t *testing.T) {
	tests := []struct {
		in   string
		want Selector
		ok   bool
	}{
		{`3392`, Selector{PID: 3392}, true},
		{`"3392"`, Selector{PID: 3392}, true},
		{`"0x1a2c"`, Selector{PID: 0x1a2c}, true},
		{`"Potion*.exe"`, Selector{Pattern: "Potion*.exe"}, true},
		{`"[a"`, Selector{}, false},
		{`-1`, Selector{}, false},
		{`1.5`, Selector{}, false},
		{`1e40`, Selector{}, false},
		{`{}`, Selector{}, false},
		{`null`, Selector{}, false},
	}
	for _, tt := range tests {
		var s Selector
		err := json.Unmarshal([]byte(tt.in), &s)
		if tt.in == "null" { // the decoder takes null for "leave it"
			err = s.UnmarshalJSON([]byte(tt.in))
		}
		if (err == nil) != tt.ok || tt.ok && s != tt.want {
			t.Errorf("%s: %+v, %v", tt.in, s, err)
		}
	}
	pid := uint64(7)
	g := rpc.Group{PID: &pid, Name: "PotionShop.exe"}
	for s, want := range map[Selector]bool{{PID: 7}: true, {PID: 8}: false, {Pattern: "potionshop.EXE"}: true, {Pattern: "*shop*"}: true, {Pattern: "shop"}: false} {
		if s.matches(g) != want {
			t.Errorf("%v matches %v: %v", s, g.Name, !want)
		}
	}
}

// TestOrder: the process that crashed, the others as listed, the idle process last.
func TestOrder(t *testing.T) {
	r := rpc.GroupsResult{Crash: "0x3", Groups: []rpc.Group{
		{Name: "Idle", Idle: true, Threads: []rpc.GroupThread{{Thread: "0x1"}}},
		{Name: "System", Threads: []rpc.GroupThread{{Thread: "0x2"}}},
		{Name: "b"},
		{Name: "crashed", Threads: []rpc.GroupThread{{Thread: "0x3"}}},
	}}
	names := func() (out []string) {
		for _, g := range order(r) {
			out = append(out, g.Name)
		}
		return out
	}
	if got := names(); !reflect.DeepEqual(got, []string{"crashed", "System", "b", "Idle"}) {
		t.Errorf("%v", got)
	}
	r.Crash = "0x1"
	if got := names(); !reflect.DeepEqual(got, []string{"Idle", "System", "b", "crashed"}) {
		t.Errorf("crashed while idle: %v", got)
	}
}

func TestThreadTitle(t *testing.T) {
	id := func(v uint64) *uint64 { return &v }
	cpu := 2
	g := rpc.Group{PID: id(0x1a2c), Name: "PotionShop.exe"}
	for want, th := range map[string]rpc.GroupThread{
		"[1a2c PotionShop.exe] 1a54 Waiting UserRequest": {TID: id(0x1a54), State: "Waiting", WaitReason: "UserRequest"},
		"[1a2c PotionShop.exe] 1a54 letters":             {TID: id(0x1a54), State: "Waiting", WaitReason: "UserRequest", Name: "letters"},
		"[1a2c PotionShop.exe] 1a54 Running CPU 2":       {TID: id(0x1a54), State: "Running", CPU: &cpu},
		"[1a2c PotionShop.exe] 1a54 Ready":               {TID: id(0x1a54), State: "Ready"},
		"[1a2c PotionShop.exe] ?":                        {},
		"[1a2c PotionShop.exe] 8 a␛[31mb":                {TID: id(8), Name: "a\x1b[31mb"},
	} {
		if got := threadTitle(g, th); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestSourceMap: the longest folder wins, both systems' slashes count the same,
// and no path leads out of the folder it is mapped to.
func TestSourceMap(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"a/x.c", "b/x.c", "secret.c"} {
		p := filepath.Join(dir, filepath.FromSlash(f))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{SourceMap: map[string]string{`D:\build`: filepath.Join(dir, "a"), `d:/build/deep/`: filepath.Join(dir, "b")}}
	m := o.newSources("")
	for in, want := range map[string]string{
		`d:\BUILD\x.c`:            "a/x.c",
		`D:/build/x.c`:            "a/x.c",
		`D:\build\deep\x.c`:       "b/x.c",
		`D:\build\none.c`:         "",
		`D:\builder\x.c`:          "",
		`D:\build\..\secret.c`:    "",
		`D:\build\a\..\..\x.c`:    "",
		`D:\build\\x.c`:           "a/x.c",
		`D:\build`:                "",
		``:                        "",
		`C:\Windows\whatever.cpp`: "",
	} {
		got, ok := m.find(in)
		if want != "" {
			want = filepath.Join(dir, filepath.FromSlash(want))
		}
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestReferences(t *testing.T) {
	for _, tt := range []struct {
		addr    uint64
		process rpc.Hex
		want    string
	}{
		{0xfffff80451a00000, 0xffffe387110b1080, "0xfffff80451a00000"},
		{0x7ff6336c0000, 0xffffe387110b1080, "0x7ff6336c0000@ffffe387110b1080"},
		{0x7ff6336c0000, 0, "0x7ff6336c0000"},
	} {
		ref := Reference(tt.addr, tt.process)
		addr, process, err := parseReference(ref)
		if ref != tt.want || err != nil || addr != tt.addr || strings.Contains(ref, "@") && process != tt.process {
			t.Errorf("%q: %#x, %v, %v; want %q", ref, addr, process, err, tt.want)
		}
	}
	for in, want := range map[string]uint64{"0x10": 0x10, "fffff804`51a00000": 0xfffff80451a00000, "16": 16, " 0x1 ": 1} {
		if got, _, err := parseReference(in); err != nil || got != want {
			t.Errorf("%q: %#x, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "x", "0x1@", "0x1@zz", "0x10000000000000000"} {
		if _, _, err := parseReference(in); err == nil {
			t.Errorf("%q is a reference", in)
		}
	}
}

func TestLastLines(t *testing.T) {
	var l lastLines
	for i := range 50 {
		l.Write([]byte(strings.Repeat("x", i) + "\n"))
	}
	if n := len(l.lines); n != maxLastLines || l.lines[0] != strings.Repeat("x", 30) {
		t.Errorf("%d lines from %q on", n, l.lines[0])
	}
	l.Write([]byte("panic: oh\nno\n"))
	for range 100 {
		l.Write([]byte("goroutine 1\n"))
	}
	l.Write([]byte("half"))
	if s := l.String(); !strings.Contains(s, "panic: oh") || !strings.HasSuffix(s, "half") {
		t.Errorf("after a panic: %q", s)
	}
	l.Write([]byte(strings.Repeat("y", 1<<20)))
	if n := len(l.String()); n > 40*maxLineLength {
		t.Errorf("%d bytes are kept", n)
	}
}
