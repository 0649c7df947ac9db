package list

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kdap/engine"
	"kdap/engine/windows"
	"kdap/internal/truth"
)

// labTruth is the part of lab19041.json that the listings are compared with:
// what the dump's independent writer laid down.
type labTruth struct {
	System struct {
		Build    uint32
		BuildLab string
		CPUs     uint32
		Uptime   float64
		Computer string
	}
	Processes []labProcess
	Modules   []labModule
	Unloaded  []struct{ Name, Start, End string }
	Holes     []struct {
		Process uint64
		VA      string
		State   string
	}
}

type labProcess struct {
	Name             string
	PID, PPID        uint64
	EPROCESS, PEB    string
	DirBase          string
	Session          *uint32
	HandleCount      uint64
	ImagePath        string
	CommandLine      string
	CurrentDirectory string
	CreateTime       uint64
	WOW64            bool
	Numbers          struct{ WorkingSet, PrivatePages, Commit uint64 }
	Env              []string
	Threads          []labThread
	Modules          []labModule
}

type labThread struct {
	ETHREAD                         string
	CID                             [2]uint64
	TEB                             string
	State, WaitReason               uint64
	StartAddress, Win32StartAddress string
	Objects                         []struct{ Object, Type string }
	Priority, BasePriority          int64
	ContextSwitches                 uint64
	UserTime, KernelTime            uint64
	Name                            string
	CreateTime                      uint64
	Stack                           []struct{ ChildSP, Ret, Symbol string }
}

type labModule struct {
	Name, Path, Base string
	Size             uint64
	Timestamp        uint32
	Checksum         uint32
	PDB              struct {
		Name, GUID string
		Age        uint32
	}
}

func readLab(t testing.TB) labTruth {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(truth.Dir(t), "dumps", "lab19041.json"))
	if err != nil {
		t.Skip(err)
	}
	var v labTruth
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// openLab opens a reference dump with a symbol path below the shared folder.
func openLab(t testing.TB, dump, symbols string) *windows.System {
	t.Helper()
	dir := filepath.Join(truth.Dir(t), "symbols")
	target, err := engine.Open(context.Background(), truth.Dump(t, dump), engine.Options{
		SymbolPath: symbols, ImagePath: dir, CacheDir: filepath.Join(t.TempDir(), "cache"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target.System
}

// isfPath is a symbol path whose kernel symbols come from the ISF table: the
// user programs' PDBs are linked beside it.
func isfPath(t testing.TB, store string) string {
	t.Helper()
	dir := t.TempDir()
	entries, err := os.ReadDir(store)
	if err != nil {
		t.Skip(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".pdb") && e.Name() != "ntkrnlmp.pdb" || e.Name() == "isf" {
			if err := os.Symlink(filepath.Join(store, e.Name()), filepath.Join(dir, e.Name())); err != nil {
				t.Skip(err)
			}
		}
	}
	return dir
}

// collect gathers a listing, failing on errors that are not about a hole.
func collect[T any](t *testing.T, each func(func(T, error) bool), holes []string) []T {
	t.Helper()
	var out []T
	each(func(v T, err error) bool {
		switch {
		case err == nil:
			out = append(out, v)
		case !slices.ContainsFunc(holes, func(va string) bool { return strings.Contains(err.Error(), va) }):
			t.Error(err)
		}
		return true
	})
	return out
}

// TestLab compares the listings with the reference dump's truth, with the
// kernel's symbols from a PDB and from an ISF table. What the dump misses on
// purpose ("holes") must be said to be missing, and nothing else.
func TestLab(t *testing.T) {
	want := readLab(t)
	store := filepath.Join(truth.Dir(t), "symbols")
	for name, path := range map[string]string{"pdb": store, "isf": isfPath(t, store)} {
		t.Run(name, func(t *testing.T) {
			sys := openLab(t, "lab19041.dmp", path)
			if got := sys.Nt().Symbols(t.Context()).Rank.String(); got != name {
				t.Fatalf("kernel symbols are %s", got)
			}
			c := comparison{t: t, sys: sys, want: want}
			for _, h := range want.Holes {
				// Errors name an address inside the missing page.
				c.holes = append(c.holes, strings.TrimRight(h.VA, "0"))
			}
			t.Run("system", c.system)
			t.Run("processes", c.processes)
			t.Run("threads", c.threads)
			t.Run("stacks", c.stacks)
			t.Run("modules", c.modules)
			t.Run("envs", c.envs)
		})
	}
}

type comparison struct {
	t     *testing.T
	sys   *windows.System
	want  labTruth
	holes []string
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func hex(p *Hex) string { return deref(p).String() }

// filetime spells a FILETIME of the truth as the listings do.
func filetime(v uint64) string {
	at := time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC)
	days := v / (24 * 3600 * 1e7)
	at = at.AddDate(0, 0, int(days)).Add(time.Duration(v-days*24*3600*1e7) * 100)
	return at.Format("2006-01-02T15:04:05.0000000Z")
}

func (c comparison) system(t *testing.T) {
	got := NewSystem(t.Context(), c.sys)
	want := c.want.System
	equal(t, "build", got.Build, want.Build)
	equal(t, "build lab", got.BuildLab, want.BuildLab)
	equal(t, "processors", got.CPUs, want.CPUs)
	equal(t, "uptime", deref(got.Uptime), want.Uptime)
	equal(t, "computer", got.ComputerName, want.Computer)
	equal(t, "bug check", got.BugCheck.Name, "MANUALLY_INITIATED_CRASH")
}

func (c comparison) processes(t *testing.T) {
	got := collect(t, Processes(t.Context(), c.sys, Filter{}), nil)
	if len(got) != len(c.want.Processes) {
		t.Fatalf("%d processes, want %d", len(got), len(c.want.Processes))
	}
	for i, w := range c.want.Processes {
		g := got[i]
		t.Run(w.Name, func(t *testing.T) {
			equal(t, "name", g.Name, w.Name)
			equal(t, "pid", deref(g.PID), w.PID)
			equal(t, "ppid", deref(g.PPID), w.PPID)
			equal(t, "eprocess", g.EPROCESS.String(), w.EPROCESS)
			equal(t, "dtb", hex(g.DTB), w.DirBase)
			equal(t, "peb", hex(g.PEB), w.PEB)
			equal(t, "session", fmt.Sprint(deref(g.Session), g.Session == nil), fmt.Sprint(deref(w.Session), w.Session == nil))
			equal(t, "threads", deref(g.Threads), uint64(len(w.Threads)))
			equal(t, "handles", deref(g.Handles), w.HandleCount)
			equal(t, "created", deref(g.Created).String(), filetime(w.CreateTime))
			equal(t, "wow64", deref(g.WOW64), w.WOW64)
			equal(t, "imagePath", g.ImagePath, w.ImagePath)
			equal(t, "working set", deref(g.WorkingSetPages), w.Numbers.WorkingSet)
			equal(t, "private pages", deref(g.PrivatePages), w.Numbers.PrivatePages)
			equal(t, "commit", deref(g.CommitPages), w.Numbers.Commit)
			for field, pair := range map[string][2]string{
				"commandLine": {g.CommandLine, w.CommandLine}, "currentDirectory": {g.CurrentDirectory, w.CurrentDirectory},
			} {
				if why := g.Unreadable[field]; why != "" {
					c.isHole(t, field, why)
				} else {
					equal(t, field, pair[0], pair[1])
				}
			}
		})
	}
}

// isHole fails unless why speaks of a page that the dump misses on purpose.
func (c comparison) isHole(t *testing.T, what, why string) {
	t.Helper()
	if !slices.ContainsFunc(c.holes, func(va string) bool { return strings.Contains(why, va) }) {
		t.Errorf("%s: %s", what, why)
	}
}

// stateNames are the numbers of _KTHREAD_STATE.
var stateNames = []string{"Initialized", "Ready", "Running", "Standby", "Terminated", "Waiting"}

func (c comparison) threads(t *testing.T) {
	got := collect(t, Threads(t.Context(), c.sys, Filter{}), nil)
	i := 0
	for _, p := range c.want.Processes {
		for _, w := range p.Threads {
			if i >= len(got) {
				t.Fatalf("only %d threads", len(got))
			}
			g := got[i]
			i++
			what := fmt.Sprintf("%s %x ", p.Name, w.CID[1])
			equal(t, what+"ethread", g.ETHREAD.String(), w.ETHREAD)
			equal(t, what+"cid", [2]uint64{deref(g.PID), deref(g.TID)}, w.CID)
			equal(t, what+"teb", hex(g.TEB), w.TEB)
			equal(t, what+"state", g.State, stateNames[w.State])
			equal(t, what+"start", hex(g.StartAddress), w.StartAddress)
			equal(t, what+"win32 start", hex(g.Win32StartAddress), w.Win32StartAddress)
			equal(t, what+"priority", deref(g.Priority), w.Priority)
			equal(t, what+"base priority", deref(g.BasePriority), w.BasePriority)
			equal(t, what+"switches", deref(g.ContextSwitches), w.ContextSwitches)
			equal(t, what+"user", deref(g.UserTime), w.UserTime)
			equal(t, what+"kernel", deref(g.KernelTime), w.KernelTime)
			equal(t, what+"name", g.Name, w.Name)
			equal(t, what+"created", deref(g.Created).String(), filetime(w.CreateTime))
			var objects, wantObjects []string
			for _, o := range g.WaitObjects {
				objects = append(objects, o.Object.String()+" "+o.Type)
			}
			for _, o := range w.Objects {
				wantObjects = append(wantObjects, o.Object+" "+o.Type)
			}
			if !slices.Equal(objects, wantObjects) {
				t.Errorf("%sobjects: got %v, want %v", what, objects, wantObjects)
			}
		}
	}
	equal(t, "threads", len(got), i)
}

func (c comparison) stacks(t *testing.T) {
	got := collect(t, Stacks(t.Context(), c.sys, Filter{}), nil)
	i := 0
	for _, p := range c.want.Processes {
		for _, w := range p.Threads {
			if i >= len(got) {
				t.Fatalf("only %d stacks", len(got))
			}
			c.stack(t, fmt.Sprintf("%s %x", p.Name, w.CID[1]), got[i], w)
			i++
		}
	}
}

func (c comparison) stack(t *testing.T, what string, g Stack, w labThread) {
	if guessed(g) {
		// A processor's idle thread while another thread runs: the dump has
		// no registers for it, so only what a scan finds can be compared.
		return
	}
	switch {
	case g.Ended == "" && len(g.Frames) != len(w.Stack):
		t.Errorf("%s: %d frames, want %d", what, len(g.Frames), len(w.Stack))
	case g.Ended != "" && len(g.Frames) >= len(w.Stack):
		t.Errorf("%s: ended without need: %s", what, g.Ended)
	case g.Ended != "" && !strings.Contains(g.Ended, "paged out") && !strings.Contains(g.Ended, "demand zero"):
		t.Errorf("%s: %s", what, g.Ended)
	}
	for i, f := range g.Frames[:min(len(g.Frames), len(w.Stack))] {
		x := w.Stack[i]
		ret := f.Return.String()
		if g.Ended != "" && i == len(g.Frames)-1 {
			ret = x.Ret // what could not be read
		}
		if f.SP.String() != x.ChildSP || ret != x.Ret || symbolText(f) != x.Symbol {
			t.Errorf("%s frame %d: got %v %v %s, want %s %s %s", what, i, f.SP, f.Return, symbolText(f), x.ChildSP, x.Ret, x.Symbol)
		}
	}
}

func guessed(s Stack) bool {
	return len(s.Frames) > 0 && (s.Frames[0].IP == 0 || slices.ContainsFunc(s.Frames, func(f Frame) bool { return f.Unwind == "scan" }))
}

func symbolText(f Frame) string {
	s := f.Module
	if f.Symbol != "" {
		s += "!" + f.Symbol
	}
	if f.Offset != nil && *f.Offset != 0 {
		s += "+" + f.Offset.String()
	}
	return s
}

func (c comparison) modules(t *testing.T) {
	got := collect(t, Modules(t.Context(), c.sys, Filter{}), c.holes)
	byPID := map[string]map[string]Module{}
	unloaded := 0
	for _, m := range got {
		owner := "kernel"
		switch {
		case m.Unloaded:
			unloaded++
			continue
		case m.PID != nil:
			owner = strconv.FormatUint(*m.PID, 10)
		}
		if byPID[owner] == nil {
			byPID[owner] = map[string]Module{}
		}
		byPID[owner][m.Base.String()] = m
	}
	equal(t, "unloaded", unloaded, len(c.want.Unloaded))
	compareModules(t, "kernel", byPID["kernel"], c.want.Modules)
	for _, p := range c.want.Processes {
		compareModules(t, p.Name, byPID[strconv.FormatUint(p.PID, 10)], p.Modules)
	}
}

func compareModules(t *testing.T, owner string, got map[string]Module, want []labModule) {
	t.Helper()
	equal(t, owner+" modules", len(got), len(want))
	for _, w := range want {
		g, ok := got[w.Base]
		what := owner + " " + w.Name + " "
		if !ok {
			t.Errorf("%sis missing", what)
			continue
		}
		equal(t, what+"size", g.Size, w.Size)
		// Where the loader's list is out, the file's own spelling of its path is used.
		if !strings.EqualFold(g.Path, w.Path) {
			t.Errorf("%spath: got %s, want %s", what, g.Path, w.Path)
		}
		equal(t, what+"time stamp", deref(g.Timestamp), w.Timestamp)
		if owner == "kernel" {
			equal(t, what+"checksum", deref(g.Checksum), w.Checksum)
		}
		guid := strings.ToUpper(strings.ReplaceAll(w.PDB.GUID, "-", ""))
		equal(t, what+"PDB", deref(g.PDB), PDB{w.PDB.Name, guid, w.PDB.Age})
	}
}

func (c comparison) envs(t *testing.T) {
	got := map[uint64][]string{}
	for _, e := range collect(t, Envs(t.Context(), c.sys, Filter{}), c.holes) {
		got[e.PID] = append(got[e.PID], e.Name+"="+e.Value)
	}
	for _, p := range c.want.Processes {
		hole := slices.ContainsFunc(c.want.Holes, func(h struct {
			Process uint64
			VA      string
			State   string
		},
		) bool {
			return h.Process == p.PID && h.State == "pagefile"
		})
		if hole && len(got[p.PID]) < len(p.Env) {
			continue
		}
		if !slices.Equal(got[p.PID], p.Env) {
			t.Errorf("%s: got %q, want %q", p.Name, got[p.PID], p.Env)
		}
	}
}
