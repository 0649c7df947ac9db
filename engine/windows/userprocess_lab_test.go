package windows_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/engine"
	"kdap/engine/arch/amd64"
	"kdap/engine/dumptest"
	"kdap/engine/memory"
	"kdap/engine/windows"
	"kdap/internal/truth"
)

// context64 writes a CONTEXT of x64 (winnt.h).
func context64(c *amd64.Context) []byte {
	b := make([]byte, 0x4d0)
	le := binary.LittleEndian
	le.PutUint32(b[0x30:], 0x10000b)
	le.PutUint16(b[0x38:], 0x33)
	for i, v := range c.GPR {
		le.PutUint64(b[0x78+8*i:], v)
	}
	le.PutUint64(b[0xf8:], c.RIP)
	return b
}

// processDump makes a user minidump of a process of the lab's kernel dump: its
// user memory, modules, and the registers its threads had in user mode.
func processDump(t *testing.T, lab *engine.Target, name string) (path string, p windows.Process, stacks [][]windows.Frame) {
	t.Helper()
	ctx := context.Background()
	for q, err := range lab.System.ActiveProcesses(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if image, err := q.ImageName(); err == nil && strings.EqualFold(image, name) {
			p = q
			break
		}
	}
	pid, err := p.PID()
	if err != nil {
		t.Fatal(err)
	}
	space, err := p.Space()
	if err != nil {
		t.Fatal(err)
	}
	d := &dumptest.Minidump{Architecture: 9, Build: 19041, PID: uint32(pid), Created: 1000, Stamp: 1090}
	page := make([]byte, memory.PageSize)
	for v, err := range p.VADs(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		for at := v.Start; at < v.End && at-v.Start < 16<<20; at += memory.PageSize {
			if n, _ := space.Read(at, page); n == len(page) {
				d.Memory = append(d.Memory, dumptest.MinidumpMemory{VA: at, Data: append([]byte(nil), page...)})
			}
		}
	}
	for _, m := range p.UserModules(ctx).All() {
		d.Modules = append(d.Modules, dumptest.MinidumpModule{Path: m.Path, Base: m.Base, Size: uint32(m.Size), Stamp: m.TimeDateStamp, CheckSum: m.CheckSum})
	}
	for th, err := range p.Threads(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		st, err := th.Stack(ctx, 0)
		if err != nil {
			continue
		}
		for i, f := range st.Frames {
			if f.Kind != windows.UserFrame {
				continue
			}
			tid, _ := th.TID()
			teb, _ := th.TEB()
			d.Threads = append(d.Threads, dumptest.MinidumpThread{ID: uint32(tid), TEB: teb, Context: context64(f.Context())})
			stacks = append(stacks, st.Frames[i:])
			break
		}
	}
	if len(d.Threads) == 0 || len(d.Modules) < 3 {
		t.Fatalf("%d threads, %d modules", len(d.Threads), len(d.Modules))
	}
	first := d.Threads[0]
	d.Exception = &dumptest.MinidumpException{ThreadID: first.ID, Code: 0xc0000005, Address: stacks[0][0].IP, Parameters: []uint64{0, 0x10}, Context: first.Context}
	path = filepath.Join(t.TempDir(), "process.dmp")
	if err := os.WriteFile(path, d.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, p, stacks
}

// A process read out of the kernel dump and saved as a user minidump shows the
// same stacks, environment and modules as in the kernel dump.
func TestProcessAsMinidump(t *testing.T) {
	ctx := context.Background()
	lab := openLab(t)
	path, p, stacks := processDump(t, lab, "PotionShop.exe")
	u, err := engine.Open(ctx, path, engine.Options{SymbolPath: truth.Path(t, "symbols"), CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if got := u.Problems(); len(got) != 0 {
		t.Errorf("problems: %v", got)
	}
	up := u.System.User()
	for i, want := range stacks {
		got, err := up.Stack(ctx, i, 0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(frameTexts(ctx, want), frameTexts(ctx, got.Frames)); diff != "" {
			t.Errorf("stack of thread %d (-kernel dump +minidump):\n%s", i, diff)
		}
	}
	want, err := p.Environment()
	if err != nil {
		t.Fatal(err)
	}
	got, err := up.Environment()
	if err != nil {
		t.Fatal(err)
	}
	if got.Object().Addr() != want.Object().Addr() {
		t.Errorf("PEB at %#x, want %#x", got.Object().Addr(), want.Object().Addr())
	}
	line, err := got.CommandLine()
	wantLine, _ := want.CommandLine()
	if err != nil || line != wantLine || line == "" {
		t.Errorf("command line %q, want %q: %v", line, wantLine, err)
	}
	if up.Name() != "PotionShop.exe" {
		t.Errorf("process %q", up.Name())
	}
	if v, ok := up.Created(); !ok || v.Unix() != 1000 {
		t.Errorf("created %v", v)
	}
	mods, errs := up.Process().LoaderModulesAt(ctx, got.Object().Addr())
	if len(errs) > 0 || len(mods) != len(up.Modules(ctx).All()) {
		t.Errorf("%d modules by the loader, %d by the dump: %v", len(mods), len(up.Modules(ctx).All()), errs)
	}
}

func frameTexts(ctx context.Context, frames []windows.Frame) []string {
	var out []string
	for _, f := range frames {
		name := ""
		if f.Module != nil {
			name = f.Module.SymbolAt(ctx, f.IP).String()
		}
		out = append(out, name+" "+string(f.Kind))
	}
	return out
}
