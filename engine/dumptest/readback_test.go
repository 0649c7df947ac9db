package dumptest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/engine/list"
	"kdap/engine/memory"
)

// The readers and this writer share no code, so what one says about the
// other's dumps is a test of both.

func open(t testing.TB, d *dumptest.Dump, f dumptest.Format, kinds dumptest.SymbolKind) *engine.Target {
	t.Helper()
	dir := t.TempDir()
	if err := d.WriteFile(dir+"/memory.dmp", f); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteSymbols(dir+"/symbols", kinds); err != nil {
		t.Fatal(err)
	}
	target, err := engine.Open(t.Context(), dir+"/memory.dmp", engine.Options{
		SymbolPath: dir + "/symbols", ImagePath: dir + "/symbols", CacheDir: dir + "/cache",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return target
}

func compare[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func TestReadBack(t *testing.T) {
	tests := []struct {
		name  string
		dump  *dumptest.Dump
		f     dumptest.Format
		kinds dumptest.SymbolKind
	}{
		{"small_pdb", dumptest.Small(), dumptest.Full, dumptest.PDBs | dumptest.Images},
		{"small_isf", dumptest.Small(), dumptest.Full, dumptest.ISF | dumptest.Images},
		{"small_pages", dumptest.SmallWith(dumptest.Options{SmallPages: true, EncodeKDBG: true}).Finish(), dumptest.Full, dumptest.PDBs},
		{"small_active", dumptest.Small(), dumptest.ActiveBitmap, dumptest.PDBs},
		{"small_ranges", dumptest.Small(), dumptest.ActiveRange, dumptest.PDBs},
		{"small_complete", dumptest.Small(), dumptest.CompleteRange, dumptest.PDBs},
		{"corners", dumptest.Corners(), dumptest.Full, dumptest.PDBs},
		{"corners_la57", dumptest.CornersLA57(), dumptest.Full, dumptest.PDBs},
		{"older", dumptest.CornersOf("older"), dumptest.Full, dumptest.PDBs | dumptest.ISF},
		{"newer", dumptest.CornersOf("newer"), dumptest.Full, dumptest.PDBs | dumptest.ISF},
		{"demo", dumptest.Demo(), dumptest.Full, dumptest.PDBs | dumptest.Images},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target, truth := open(t, tt.dump, tt.f, tt.kinds), tt.dump.Truth()
			readSystem(t, target, truth)
			readProcesses(t, target, truth)
			readThreads(t, target, truth, tt.kinds&dumptest.PDBs != 0)
			readModules(t, target, truth)
			readEnvs(t, target, truth)
			readPages(t, target, truth)
			readKernel(t, target, truth)
		})
	}
}

func readSystem(t *testing.T, target *engine.Target, truth *dumptest.Truth) {
	s := list.NewSystem(t.Context(), target.System)
	compare(t, "build", s.Build, truth.Build)
	compare(t, "build lab", s.BuildLab, truth.BuildLab)
	compare(t, "processors", int(s.CPUs), len(truth.CPUs))
	compare(t, "bug check", uint32(s.BugCheck.Code), truth.BugCheck)
	compare(t, "kernel base", uint64(value(s.KernelBase)), truth.KernelBase)
}

func readProcesses(t *testing.T, target *engine.Target, truth *dumptest.Truth) {
	got := map[uint64]list.Process{}
	for p, err := range list.Processes(t.Context(), target.System, list.Filter{}) {
		if err != nil {
			t.Error(err)
		}
		got[uint64(p.EPROCESS)] = p
	}
	compare(t, "number of processes", len(got), len(truth.Processes))
	for _, want := range truth.Processes {
		p := got[want.EPROCESS]
		at := fmt.Sprintf("process %d ", want.PID)
		compare(t, at+"pid", value(p.PID), uint64(want.PID))
		compare(t, at+"ppid", value(p.PPID), uint64(want.PPID))
		compare(t, at+"name", p.Name, want.Name)
		compare(t, at+"dtb", uint64(value(p.DTB)), want.DTB)
		compare(t, at+"peb", uint64(value(p.PEB)), want.Peb)
		compare(t, at+"image", p.ImagePath, want.ImagePath)
		compare(t, at+"command line", p.CommandLine, want.CommandLine)
		compare(t, at+"directory", p.CurrentDirectory, want.CurrentDirectory)
		compare(t, at+"threads", value(p.Threads), uint64(len(want.Threads)))
		compare(t, at+"handles", value(p.Handles), uint64(len(want.Handles)))
		compare(t, at+"wow64", value(p.WOW64), want.Wow64)
		compare(t, at+"private pages", value(p.PrivatePages), want.Private)
		compare(t, at+"has a session", p.Session != nil, want.Session >= 0)
		compare(t, at+"session", int(value(p.Session)), max(want.Session, 0))
	}
}

func readThreads(t *testing.T, target *engine.Target, truth *dumptest.Truth, userSymbols bool) {
	threads, stacks := map[uint64]list.Thread{}, map[uint64]list.Stack{}
	for v, err := range list.Threads(t.Context(), target.System, list.Filter{}) {
		if err != nil {
			t.Error(err)
		}
		threads[uint64(v.ETHREAD)] = v
	}
	for v, err := range list.Stacks(t.Context(), target.System, list.Filter{}) {
		if err != nil {
			t.Error(err)
		}
		stacks[uint64(v.ETHREAD)] = v
	}
	for _, p := range truth.Processes {
		for _, want := range p.Threads {
			at := fmt.Sprintf("thread %d.%d ", p.PID, want.TID)
			got := threads[want.ETHREAD]
			compare(t, at+"id", value(got.TID), uint64(want.TID))
			compare(t, at+"teb", uint64(value(got.TEB)), want.Teb)
			compare(t, at+"state", got.State, want.State)
			compare(t, at+"reason", got.WaitReason, want.WaitReason)
			compare(t, at+"name", got.Name, want.Name)
			var objects []uint64
			for _, o := range got.WaitObjects {
				objects = append(objects, uint64(o.Object))
			}
			compare(t, at+"objects", fmt.Sprintf("%x", objects), fmt.Sprintf("%x", want.Objects))
			compare(t, at+"start", uint64(value(got.Win32StartAddress)), want.Start)
			if !want.NotResident {
				readStack(t, at, stacks[want.ETHREAD], want.Stack, userSymbols)
			} else if stacks[want.ETHREAD].Ended == "" {
				t.Errorf("%s: its stack is paged out, but nothing says so", at)
			}
		}
	}
}

func readStack(t *testing.T, at string, got list.Stack, want []dumptest.Frame, userSymbols bool) {
	compare(t, at+"end of stack", got.Ended, "")
	compare(t, at+"frames", len(got.Frames), len(want))
	for i := range min(len(got.Frames), len(want)) {
		g, w := got.Frames[i], want[i]
		name := w.Symbol
		if w.Kind == "wow64" { // symbols of 32-bit code are decorated: _name@8
			name, _, _ = strings.Cut(strings.TrimPrefix(name, "_"), "@")
		}
		symbol := fmt.Sprintf("%s!%s+%#x", w.Module, name, w.Offset)
		line := fmt.Sprintf("%s#%d %x %x %x", at, i, g.SP, g.IP, g.Return)
		compare(t, line, fmt.Sprintf("%x %x %x", uint64(g.SP), uint64(g.IP), uint64(g.Return)), fmt.Sprintf("%x %x %x", w.SP, w.IP, w.Return))
		if userSymbols || w.Module == "nt" {
			compare(t, line, fmt.Sprintf("%s!%s+%#x", g.Module, g.Symbol, uint64(value(g.Offset))), symbol)
		}
		compare(t, line+" kind", g.Kind, w.Kind)
	}
}

func readModules(t *testing.T, target *engine.Target, truth *dumptest.Truth) {
	type key struct{ pid, base uint64 }
	got := map[key]list.Module{}
	for m, err := range list.Modules(t.Context(), target.System, list.Filter{}) {
		if err != nil {
			t.Error(err)
		}
		if !m.Unloaded {
			got[key{value(m.PID), uint64(m.Base)}] = m
		}
	}
	want := map[key]dumptest.TruthModule{}
	for _, m := range truth.Drivers {
		want[key{0, m.Base}] = m
	}
	for _, p := range truth.Processes {
		for _, m := range p.Modules {
			want[key{uint64(p.PID), m.Base}] = m
		}
	}
	compare(t, "modules", len(got), len(want))
	for k, w := range want {
		g := got[k]
		at := fmt.Sprintf("module %x of %d ", k.base, k.pid)
		compare(t, at+"size", g.Size, uint64(w.Size))
		compare(t, at+"path", g.Path, w.Path)
		compare(t, at+"image name", g.ImageName, w.Name)
		compare(t, at+"stamp", value(g.Timestamp), w.TimeStamp)
		if w.PDB.Age != 0 {
			compare(t, at+"pdb", value(g.PDB).GUID, w.PDB.GUIDHex())
		}
	}
}

func readPages(t *testing.T, target *engine.Target, truth *dumptest.Truth) {
	for _, p := range truth.Processes {
		if len(p.Pages) == 0 {
			continue
		}
		space, err := target.System.Process(p.EPROCESS).Space()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range p.Pages {
			b := make([]byte, max(len(want.Text), 8))
			_, err := space.Read(want.VA, b)
			re := (*memory.ReadError)(nil)
			switch {
			case want.Text != "" && err != nil:
				t.Errorf("%s page %x: %v", want.State, want.VA, err)
			case want.Text != "":
				compare(t, fmt.Sprintf("%s page %x", want.State, want.VA), string(b), want.Text)
			case !errors.As(err, &re):
				t.Errorf("%s page %x: no reason (%v)", want.State, want.VA, err)
			default:
				kind := map[string]memory.Kind{
					"page file": memory.PageFile, "demand zero": memory.DemandZero, "no table entry": memory.NotValid, "in file": memory.InFile,
				}[want.State]
				compare(t, fmt.Sprintf("why not %s page %x (%v)", want.State, want.VA, err), re.Kind, kind)
			}
		}
	}
}

func readEnvs(t *testing.T, target *engine.Target, truth *dumptest.Truth) {
	got := map[uint64][]string{}
	for e, err := range list.Envs(context.Background(), target.System, list.Filter{}) {
		if err != nil {
			t.Error(err)
		}
		got[e.PID] = append(got[e.PID], e.Name+"="+e.Value)
	}
	for _, p := range truth.Processes {
		compare(t, fmt.Sprintf("environment of %d", p.PID), strings.Join(got[uint64(p.PID)], "\n"), strings.Join(p.Env, "\n"))
	}
}

// TestReadBackKernelOnly reads the formats without user pages: all that lies
// in kernel memory is there, and the stacks go as far as the system call.
func TestReadBackKernelOnly(t *testing.T) {
	for _, f := range []dumptest.Format{dumptest.Summary, dumptest.KernelBitmap, dumptest.KernelRange} {
		t.Run(fmt.Sprint(f), func(t *testing.T) {
			d := dumptest.Small()
			target := open(t, d, f, dumptest.PDBs)
			stacks := map[uint64]list.Stack{}
			for s := range list.Stacks(t.Context(), target.System, list.Filter{}) {
				stacks[uint64(s.ETHREAD)] = s
			}
			for _, p := range d.Truth().Processes {
				for _, th := range p.Threads {
					kernel := th.Stack
					for i, f := range kernel {
						if f.Kind == "user" {
							kernel = kernel[:i]
							break
						}
					}
					got := stacks[th.ETHREAD]
					if len(got.Frames) > len(kernel) {
						got.Frames = got.Frames[:len(kernel)]
					}
					if len(kernel) < len(th.Stack) {
						got.Ended = "" // it may well say that user memory is missing
					}
					readStack(t, fmt.Sprintf("thread %d ", th.TID), got, kernel, true)
				}
			}
		})
	}
}

func TestReadBackTriage(t *testing.T) {
	d := dumptest.Small()
	target, truth := open(t, d, dumptest.Triage, dumptest.PDBs|dumptest.Images), d.Truth()
	s := list.NewSystem(t.Context(), target.System)
	compare(t, "bug check", uint32(s.BugCheck.Code)&0x0fffffff, truth.BugCheck)
	var found bool
	for got := range list.Stacks(t.Context(), target.System, list.Filter{}) {
		if uint64(got.ETHREAD) == truth.CPUs[0].Current {
			found = true
			readStack(t, "crash ", got, truth.Crash, true)
		}
	}
	if !found {
		t.Error("the crashing thread is not listed")
	}
	drivers := 0
	for m := range list.Modules(t.Context(), target.System, list.Filter{}) {
		if m.PID == nil && !m.Unloaded {
			drivers++
		}
	}
	compare(t, "drivers", drivers, len(truth.Drivers))
}
