package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/engine/list"
	"kdap/internal/truth"
)

// manualLines are the command lines of the manual's examples on the demo dump:
// every command of the console is among them.
func manualLines(t testing.TB) []string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(truth.Root(t), "docs", "commands", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatal("no manual: ", err)
	}
	var lines []string
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(b)) {
			_, line, ok := strings.Cut(strings.TrimRight(l, "\r\n"), "kd> ")
			if ok && !slices.Contains(lines, line) && !strings.HasPrefix(line, "q") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// damagedLines are lines beside those of the manual that read much.
var damagedLines = []string{
	"!process 0 17", "!process 0 1f", "!stacks 2", "!sprocess 1 7", "!handle 0 7 0", "!heap -a", "!heap -l", "!memusage", "!vm 21", "!reg openkeys",
	"!reg viewlist", "!reg hashindex", "!reg translist", `!reg q \REGISTRY\MACHINE`, `!object \`, `!object \Driver`, "!irpfind -v", "!us -a", "!lt -a",
	"!running -i -t", "!pcr 1", "!vadump -v", "!address -summary", "!dlls -v", "!gle -all", "!runaway 7", "!sysinfo smbios -v", "!for_each_thread \"k\"",
	"dx -r3 @$cursession.Processes.Take(4)", "dx -r2 @$curprocess.Threads", "dt -r2 nt!_EPROCESS @$proc", "uf nt!KiIdleLoop", "lmv", "!locks -v", "!timer",
	"!dh -a nt", "x *!*", "!analyze -v",
}

// damage is what a test of broken dumps looks at: how a line or a listing ends.
type damage struct {
	t      *testing.T
	name   string
	target *engine.Target
}

// patience is how long one line may take; none comes near it unless it hangs.
const patience = time.Minute

func (d damage) lists() {
	for _, k := range list.Kinds() {
		ctx, cancel := context.WithTimeout(d.t.Context(), patience)
		var last error
		for _, err := range k.Each(ctx, d.target.System, list.Filter{}) {
			if err != nil {
				last = err
			}
		}
		if ctx.Err() != nil {
			d.t.Errorf("%s: list %s has no end: %v", d.name, k.Name, last)
		}
		cancel()
	}
}

func (d damage) lines(lines []string) {
	s := NewSession(d.target, Options{DumpPath: "damaged.dmp"})
	for _, line := range lines {
		ctx, cancel := context.WithTimeout(d.t.Context(), patience)
		notes := 0
		var out countingWriter
		err := s.Execute(ctx, line, Output{Out: &out, Note: func(string) { notes++ }})
		var p *Panic
		switch {
		case errors.As(err, &p):
			d.t.Errorf("%s: %v\n%s", d.name, p, p.Stack)
		case ctx.Err() != nil:
			d.t.Errorf("%s: %s has no end", d.name, line)
		case err != nil && !errors.Is(err, ErrFailed):
			d.t.Errorf("%s: %s: an error that nobody printed: %v", d.name, line, err)
		case notes > maxNotes+maxAlikeNotes+1:
			d.t.Errorf("%s: %s: %d notes", d.name, line, notes)
		}
		cancel()
	}
	if err := s.Close(); err != nil {
		d.t.Error(err)
	}
}

// A holedDemo makes dumps of the demo's machine that lack pages.
type holedDemo struct {
	dump          *dumptest.Dump
	path, symbols string
}

func newHoledDemo(t testing.TB) *holedDemo {
	dir := t.TempDir()
	h := &holedDemo{dump: dumptest.Demo(), path: filepath.Join(dir, "holes.dmp"), symbols: filepath.Join(dir, "symbols")}
	if err := dumptest.WriteSymbols(h.symbols, dumptest.PDBs|dumptest.Images); err != nil {
		t.Fatal(err)
	}
	return h
}

// open writes the dump as it is now.
func (h *holedDemo) open(t *testing.T) *engine.Target {
	t.Helper()
	_ = os.Remove(h.path) // the one before may be open still
	if err := h.dump.WriteFile(h.path, dumptest.ActiveBitmap); err != nil {
		t.Fatal(err)
	}
	return openWithDemoSymbols(t, h.path, h.symbols)
}

// TestHoles opens dumps that lack memory of one kind each, all of them, and
// pages here and there, and runs everything on each.
func TestHoles(t *testing.T) {
	h := newHoledDemo(t)
	look := func(name string, lines []string) {
		d := damage{t, name, h.open(t)}
		d.lists()
		d.lines(lines)
	}
	for _, hole := range dumptest.Holes() {
		h.dump.Without(hole)
		look(hole.Name, damagedLines)
	}
	h.dump.Without(dumptest.Holes()...)
	all := append(manualLines(t), damagedLines...)
	look("all", all)
	for seed, part := range []uint64{20, 3, 2} {
		h.dump.WithoutSome(part, uint64(seed))
		look("random", all)
	}
}

// TestHolesHideNothingElse: what a missing page does not hold is shown.
func TestHolesHideNothingElse(t *testing.T) {
	h := newHoledDemo(t)
	for _, tt := range []struct {
		hole, line string
		want       []string // in the output
		note       string   // in a note, "" for none
	}{
		{"processes", "!process 0 0", []string{"Image: <Data Not Accessible>", "Image: Ferry.exe", "Image: services.exe", "Image: explorer.exe", "Image: OldLedger.exe"}, ""},
		{"processes", "!for_each_process", []string{"Image: Ferry.exe", "Image: services.exe"}, ""},
		{"modules", "lm", []string{"nt ", "Unloaded modules:"}, ""},
		{"cids", "!process 0 0", []string{"Image: QuillPress.exe", "Image: Ferry.exe"}, ""},
		{"kernel_header", "!process 0 0", []string{"Image: QuillPress.exe", "Image: Ferry.exe"}, ""},
		{"kernel_header", "k", []string{"keypad!KeypadCheckCrashKeys", "nt!KiInterruptSubDispatchNoLock", "nt!KiIdleLoop"}, ""},
		{"kernel_code", "k", []string{"keypad!KeypadCheckCrashKeys", "nt!KiInterruptSubDispatchNoLock", "nt!KiIdleLoop"}, ""},
		{"pebs", "!process 0 1", []string{"Image: QuillPress.exe", "Image: Ferry.exe", "CommitCharge"}, ""},
		{"pebs", "!mex.cl -a", []string{"d0  <Data Not Accessible>", "e8  <Data Not Accessible>"}, "not in the dump"},
		{"handles", "!handle 0 0 0", []string{"handle table"}, "not in the dump"},
		{"kernel_stacks", "!stacks 2", []string{"QuillPress.exe", "Ferry.exe", "svchost.exe"}, "not in the dump"},
		{"cells", "!reg hivelist", []string{"HiveAddr", "SYSTEM"}, ""},
		{"directories", "!process 0 0", []string{"Image: Ferry.exe"}, ""},
		{"directories", `!object \`, nil, "not in the dump"},
		{"processors", "!process 0 0", []string{"Image: QuillPress.exe", "Image: Ferry.exe"}, ""},
		{"processors", "!pcr 1", []string{"Unable to read the PCR at"}, "not in the dump"},
		{"vads", "!vad @$proc 1", nil, ""},
	} {
		i := slices.IndexFunc(dumptest.Holes(), func(o dumptest.Hole) bool { return o.Name == tt.hole })
		h.dump.Without(dumptest.Holes()[i])
		s := NewSession(h.open(t), Options{})
		var out strings.Builder
		var notes []string
		_ = s.Execute(t.Context(), tt.line, Output{Out: &out, Note: func(text string) { notes = append(notes, text) }})
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %s: no %q in\n%s", tt.hole, tt.line, want, out.String())
			}
		}
		if all := strings.Join(notes, "\n"); !strings.Contains(all, tt.note) {
			t.Errorf("%s: %s: no %q in the notes %q\n%s", tt.hole, tt.line, tt.note, all, out.String())
		}
	}
}
