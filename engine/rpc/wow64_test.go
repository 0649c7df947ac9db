package rpc

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kdap/engine/dumptest"
)

// TestWow64Frames goes through the stack of a 32-bit process's thread: its
// frames, the registers of one, its code, and the console in it.
func TestWow64Frames(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{})
	ledger := dumptest.AddLedger(m, 4)
	d := m.Finish()
	dir := t.TempDir()
	p := OpenParams{Path: filepath.Join(dir, "memory.dmp"), SymbolPath: filepath.Join(dir, "symbols"), CacheDir: filepath.Join(dir, "cache")}
	if err := d.WriteFile(p.Path, dumptest.Full); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteSymbols(p.SymbolPath, dumptest.PDBs); err != nil {
		t.Fatal(err)
	}
	c := dial(t, NewEngine("test"))
	_ = must[OpenResult](t)(c.Open(t.Context(), p, nil))
	s := must[Context](t)(c.NewSession(t.Context(), NewSessionParams{}))
	groups := must[GroupsResult](t)(c.Groups(t.Context()))
	g := slices.IndexFunc(groups.Groups, func(g Group) bool { return g.EPROCESS != 0 && uint64(g.EPROCESS) == ledger.EPROCESS() })
	if g < 0 {
		t.Fatal("the process is no group")
	}
	name := groups.Groups[g].Threads[0].Thread
	st := must[StackResult](t)(c.Stack(t.Context(), StackParams{Thread: name}))
	first := slices.IndexFunc(st.Frames, func(f Frame) bool { return f.Kind == "wow64" })
	if first < 1 || st.Frames[first-1].Kind != "user" || st.Ended != "" {
		t.Fatalf("32-bit frames from %d on, ended %q", first, st.Ended)
	}
	kinds := []string{"fpo", "frame-pointer", "leaf"}
	for _, f := range st.Frames[first:] {
		if !slices.Contains(kinds, f.Unwind) || uint64(f.IP)>>32 != 0 || f.Symbol == "" {
			t.Errorf("frame %d: %+v", f.Index, f)
		}
	}
	at := FrameParams{Thread: name, Frame: first + 1}
	scopes := must[ScopesResult](t)(c.Scopes(t.Context(), ScopesParams{at, s.Session})).Scopes
	var names []string
	for _, sc := range scopes {
		if sc.Name != "Registers" {
			continue
		}
		for _, v := range must[ChildrenResult](t)(c.Children(t.Context(), ChildrenParams{Ref: sc.Value.Ref, Count: 300})).Values {
			names = append(names, v.Name+"="+v.Text)
			if v.Ref == 0 {
				continue
			}
			for _, w := range must[ChildrenResult](t)(c.Children(t.Context(), ChildrenParams{Ref: v.Ref, Count: 300})).Values {
				names = append(names, w.Name+"="+w.Text)
			}
		}
	}
	f := st.Frames[first+1]
	for _, want := range []string{fmt.Sprintf("eip=0x%08x", uint64(f.IP)), fmt.Sprintf("esp=0x%08x", uint64(f.SP))} {
		if !slices.Contains(names, want) {
			t.Errorf("registers %v, want %s", names, want)
		}
	}
	moved := must[Context](t)(c.Focus(t.Context(), FocusParams{Session: s.Session, Thread: name, Frame: first + 1}))
	if !strings.HasSuffix(moved.Prompt, "kd:x86> ") || moved.Frame != first+1 {
		t.Errorf("focus: %+v", moved)
	}
	back := must[Context](t)(c.Focus(t.Context(), FocusParams{Session: s.Session, Thread: name, Frame: 1}))
	if strings.Contains(back.Prompt, "x86") || back.Frame != 1 {
		t.Errorf("back in 64-bit code: %+v", back)
	}
}
