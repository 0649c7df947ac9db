package list

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"kdap/engine"
	"kdap/engine/windows"
	"kdap/internal/truth"
)

// openWith opens a dump whose symbols can come from one folder only.
func openWith(t *testing.T, dump, symbols string) *windows.System {
	t.Helper()
	t.Setenv("_NT_SYMBOL_PATH", "")
	t.Setenv("_NT_ALT_SYMBOL_PATH", "")
	t.Setenv("_NT_EXECUTABLE_IMAGE_PATH", "")
	target, err := engine.Open(context.Background(), dump, engine.Options{SymbolPath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target.System
}

// values lists one kind as generic JSON values.
func values(t *testing.T, sys *windows.System, name string) (out []map[string]any, errs []string) {
	t.Helper()
	k, _ := KindNamed(name)
	for v, err := range k.Each(context.Background(), sys, Filter{}) {
		if err != nil {
			errs = append(errs, err.Error())
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out, errs
}

// dropNames removes what only a symbol file can tell: names of routines that
// are not exported, where symbols came from, and what a token looks like.
func dropNames(m map[string]any) {
	delete(m, "user")
	delete(m, "startSymbol")
	delete(m, "symbols")
	frames, _ := m["frames"].([]any)
	for _, f := range frames {
		frame := f.(map[string]any)
		for _, name := range []string{"symbol", "offset", "source", "line"} {
			delete(frame, name)
		}
	}
}

// Without any symbol file the lab's listings are the same, value for value, as
// with its PDB.
func TestProfileListsAsSymbolsDo(t *testing.T) {
	dump := truth.Dump(t, "lab19041")
	with := openWith(t, dump, truth.Path(t, "symbols"))
	without := openWith(t, dump, filepath.Join(t.TempDir(), "none"))
	if got := without.SymbolRank(); got != "profile" {
		t.Fatalf("rank %q: %v", got, without.Problems())
	}
	for _, kind := range []string{"system", "processes", "threads", "stacks", "modules", "envs", "unloaded"} {
		want, wantErrs := values(t, with, kind)
		got, gotErrs := values(t, without, kind)
		if len(want) == 0 || len(got) != len(want) || len(gotErrs) != len(wantErrs) {
			t.Errorf("%s: %d entries and errors %q; with symbols %d and %q", kind, len(got), gotErrs, len(want), wantErrs)
			continue
		}
		wrong := 0
		for i := range want {
			dropNames(want[i])
			dropNames(got[i])
			w, _ := json.Marshal(want[i])
			g, _ := json.Marshal(got[i])
			if string(w) != string(g) {
				if wrong++; wrong <= 3 {
					t.Errorf("%s entry %d:\n got %s\nwant %s", kind, i, g, w)
				}
			}
		}
		if wrong > 0 {
			t.Errorf("%s: %d of %d differ", kind, wrong, len(want))
		}
	}
}

// A triage dump saves one process and one thread; the profile reads them. The
// values are those WinDbg's users see in the file itself.
func TestProfileOfTriageDump(t *testing.T) {
	sys := openWith(t, truth.Dump(t, "triage_x64"), filepath.Join(t.TempDir(), "none"))
	if got := sys.SymbolRank(); got != "profile" {
		t.Fatalf("rank %q: %v", got, sys.Problems())
	}
	procs, errs := values(t, sys, "processes")
	if len(procs) != 1 || len(errs) != 0 || procs[0]["name"] != "System" || procs[0]["pid"] != float64(4) || procs[0]["unreadable"] != nil {
		t.Errorf("processes %v, errors %q", procs, errs)
	}
	threads, errs := values(t, sys, "threads")
	if len(threads) != 1 || len(errs) != 0 || threads[0]["state"] != "Running" || threads[0]["pid"] != float64(4) {
		t.Errorf("threads %v, errors %q", threads, errs)
	}
}
