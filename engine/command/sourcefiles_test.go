package command

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
)

// TestFetchedSource: lsa shows a file that the symbols say a server has, once
// the source path allows asking, and tells what it did not do.
func TestFetchedSource(t *testing.T) {
	code, err := os.ReadFile(filepath.Join("..", "..", "testdata", "src", "keypad.c"))
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/keypad.c" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(code)
	}))
	defer server.Close()

	dir := t.TempDir()
	d := dumptest.Small()
	dump, symbols, cache := filepath.Join(dir, "memory.dmp"), filepath.Join(dir, "symbols"), filepath.Join(dir, "sources")
	for _, err := range []error{
		d.WriteFile(dump, dumptest.Full), d.WriteSymbols(symbols, dumptest.PDBs|dumptest.Images),
		dumptest.IndexSources(symbols, "keypad.pdb", "sourcelink", []byte(`{"documents": {"src\\*": "`+server.URL+`/*"}}`)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	target, err := engine.Open(t.Context(), dump, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: filepath.Join(dir, "cache")})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	s := NewSession(target, Options{})
	run := func(line string) (text, notes string) {
		t.Helper()
		var out bytes.Buffer
		if err := s.Execute(t.Context(), line, Output{Out: &out, Note: func(n string) { notes += n + "\n" }}); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		return out.String(), notes
	}
	const lsa = "lsa keypad!KeypadCheckCrashKeys,0,2"
	if text, notes := run(lsa); text != "" || !strings.Contains(notes, server.URL+`/keypad.c: with "srv*"`) || asked.Load() != 0 {
		t.Errorf("without leave: %q, %q, asked %d times", text, notes, asked.Load())
	}
	run(".srcpath srv*" + cache)
	text, notes := run(lsa)
	lines := strings.Split(string(code), "\n")
	for l := range strings.Lines(text) {
		var n int
		head, rest, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(l, ">")), ": ")
		for _, c := range head {
			n = n*10 + int(c-'0')
		}
		if n < 1 || n > len(lines) || strings.TrimSpace(rest) != strings.TrimSpace(strings.ReplaceAll(lines[n-1], "\t", "        ")) {
			t.Errorf("line %q", l)
		}
	}
	if strings.Count(text, "\n") != 2 || notes != "" || asked.Load() != 1 {
		t.Errorf("%q, %q, asked %d times", text, notes, asked.Load())
	}
	if kept, err := filepath.Glob(filepath.Join(cache, "sources", "*", "keypad.c")); err != nil || len(kept) != 1 {
		t.Errorf("kept: %v, %v", kept, err)
	}
	if text2, _ := run(lsa); text2 != text || asked.Load() != 1 {
		t.Errorf("again: %q, asked %d times", text2, asked.Load())
	}
	// A file in a folder comes first.
	own := filepath.Join(dir, "own")
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(own, "keypad.c"), []byte(strings.Repeat("mine\n", 50)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(".srcpath srv*" + cache + ";" + own)
	if text, _ := run(lsa); strings.Count(text, ": mine\n") != 2 {
		t.Errorf("from a folder: %q", text)
	}
}
