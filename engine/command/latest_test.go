package command

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/internal/truth"
)

// A session that is led to the kernel's symbols moves the whole target to them,
// also the sessions and readers beside it.
func TestTargetMovesToBetterSymbols(t *testing.T) {
	path, store := truth.Dump(t, "lab19041"), truth.Path(t, "symbols")
	for _, name := range []string{"_NT_SYMBOL_PATH", "_NT_ALT_SYMBOL_PATH", "_NT_EXECUTABLE_IMAGE_PATH"} {
		t.Setenv(name, "")
	}
	target, err := engine.Open(t.Context(), path, engine.Options{SymbolPath: t.TempDir(), CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if got := target.System.SymbolRank(); got != "profile" {
		t.Fatalf("opened with %s, want the profile", got)
	}
	told := 0
	defer target.Watch(func(*engine.Target) { told++ })()

	one, other := NewSession(target, Options{Record: true}), NewSession(target, Options{Record: true})
	before := answer(other, "!process -1 0; .frame 2; !thread -1 0; lm m nt")
	// Readers go on meanwhile with what they began with.
	stop, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for stop.Err() == nil {
				for p, err := range target.System.ActiveProcesses(stop) {
					if err == nil {
						_, _ = p.Name()
						p.UserModules(stop)
					}
				}
			}
		})
	}
	var notes []string
	err = one.Execute(t.Context(), ".sympath "+store+"\n.reload; dt nt!_EPROCESS Pcb.Header.Type", Output{
		Out: &strings.Builder{}, Note: func(n string) { notes = append(notes, n) },
	})
	cancel()
	readers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(notes, "\n"), "the whole dump is now read") {
		t.Errorf("nothing tells of the move: %q", notes)
	}
	latest := target.Latest()
	if latest == target || latest.System.SymbolRank() != "pdb" || told != 1 {
		t.Fatalf("the target did not move: %s, told %d times", latest.System.SymbolRank(), told)
	}
	for _, p := range latest.Problems() {
		if strings.Contains(p.Error(), "profile") {
			t.Errorf("a problem of before: %v", p)
		}
	}
	for _, s := range []*Session{one, other, NewSession(target, Options{Record: true})} {
		// _EPROCESS.ImageFilePointer is in no profile.
		if got := answer(s, "dt nt!_EPROCESS ImageFilePointer @$proc"); !strings.Contains(got, "ImageFilePointer") {
			t.Errorf("a session was left behind: %s", got)
		}
		if s.sys != latest.System || s.scope.process.System() != s.sys || s.scope.thread.System() != s.sys {
			t.Error("what is current in a session was left behind")
		}
	}
	if after := answer(other, "!process -1 0; .frame; !thread -1 0"); !strings.Contains(after, "02 ") || len(before) == 0 {
		t.Errorf("the session beside it lost its frame:\n%s\nbefore:\n%s", after, before)
	}
	if again := target.Improve(t.Context(), latest.Symbols); again != latest {
		t.Error("what is described already was improved again")
	}
}

// A kernel that no profile describes shows nothing at first; with its symbols
// it shows all, whichever kind they are of.
func TestTargetMovesFromNothing(t *testing.T) {
	for _, name := range []string{"_NT_SYMBOL_PATH", "_NT_ALT_SYMBOL_PATH", "_NT_EXECUTABLE_IMAGE_PATH"} {
		t.Setenv(name, "")
	}
	for _, relative := range []string{"", "newer"} { // a PDB, an ISF table
		dump, store := dumptest.WriteFile(t, dumptest.SmallWith(dumptest.Options{Relative: relative}).Finish())
		folder := t.TempDir() // where the files appear later
		target, err := engine.Open(t.Context(), dump, engine.Options{SymbolPath: folder, CacheDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		s := NewSession(target, Options{Record: true})
		if got := answer(s, "!process 0 0"); strings.Contains(got, "QuillPress.exe") {
			t.Fatalf("relative %q: there is something to read it with: %s", relative, got)
		}
		// The path stays what it is; its folder gets the files.
		if err := os.CopyFS(folder, os.DirFS(store)); err != nil {
			t.Fatal(err)
		}
		answer(s, ".reload /f nt")
		if got := answer(s, "!process 0 0"); !strings.Contains(got, "QuillPress.exe") {
			t.Errorf("relative %q: the processes are not shown: %s", relative, got)
		}
		if got := target.Latest().System.SymbolRank(); got != "pdb" && got != "isf" {
			t.Errorf("relative %q: the target is read with %s", relative, got)
		}
	}
}
