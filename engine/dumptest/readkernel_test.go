package dumptest_test

import (
	"fmt"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/engine/windows"
)

// readKernel compares what has no listing yet: address ranges, handles,
// processors.
func readKernel(t *testing.T, target *engine.Target, truth *dumptest.Truth) {
	sys := target.System
	for _, want := range truth.Processes {
		p := sys.Process(want.EPROCESS)
		readVads(t, p, want)
		table, err := p.ObjectTable()
		if err != nil || table == 0 {
			compare(t, fmt.Sprintf("handles of %d (%v)", want.PID, err), 0, len(want.Handles))
			continue
		}
		got := map[uint64]windows.HandleEntry{}
		for h, err := range sys.Handles(t.Context(), table) {
			if err != nil {
				t.Errorf("handles of %d: %v", want.PID, err)
			}
			got[h.Handle] = h
		}
		compare(t, fmt.Sprintf("handles of %d", want.PID), len(got), len(want.Handles))
		for _, w := range want.Handles {
			o := sys.ObjectAt(w.Object)
			at := fmt.Sprintf("handle %x of %d ", w.Handle, want.PID)
			compare(t, at+"header", got[w.Handle].Object, o.Header().Addr())
			typ, err := o.TypeName()
			compare(t, fmt.Sprintf("%stype (%v)", at, err), typ, w.Type)
			name, err := o.Name()
			if w.Type == "Key" { // its name is its path, which no directory has
				name, err = o.Title()
			}
			compare(t, fmt.Sprintf("%sname (%v)", at, err), name, w.Name)
		}
	}
	n := 0
	for c, err := range sys.Processors(t.Context()) {
		if err != nil {
			t.Error(err)
			continue
		}
		want := truth.CPUs[n]
		n++
		kpcr, _ := c.KPCR()
		current, _ := c.CurrentThread()
		idle, _ := c.IdleThread()
		compare(t, "KPRCB", c.Addr(), want.KPRCB)
		compare(t, "KPCR", kpcr, want.KPCR)
		compare(t, "current thread", current, want.Current)
		compare(t, "idle thread", idle, want.Idle)
		ctx, err := c.Context()
		if err != nil {
			t.Error(err)
			continue
		}
		compare(t, "rip", ctx.RIP, want.Rip)
	}
	compare(t, "processors", n, len(truth.CPUs))
}

func readVads(t *testing.T, p windows.Process, want dumptest.TruthProcess) {
	at := fmt.Sprintf("process %d VAD", want.PID)
	i := 0
	for v, err := range p.VADs(t.Context()) {
		if err != nil {
			t.Errorf("%s: %v", at, err)
			return
		}
		if i >= len(want.Vads) {
			t.Errorf("%s: more than %d", at, i)
			return
		}
		w := want.Vads[i]
		i++
		compare(t, at, fmt.Sprintf("%x %x-%x", v.Addr(), v.Start, v.End), fmt.Sprintf("%x %x-%x", w.VAD, w.Start, w.End))
		compare(t, at+" image", v.Image(), w.Kind == "image")
		if w.File != "" {
			file, err := v.File()
			compare(t, fmt.Sprintf("%s %x file (%v)", at, w.VAD, err), file, w.File)
		}
	}
	compare(t, at+"s", i, len(want.Vads))
}

// TestReadBackBlobs finds the secondary data behind the last page of every
// format.
func TestReadBackBlobs(t *testing.T) {
	d := dumptest.Small()
	for _, f := range dumptest.Formats {
		target := open(t, d, f, dumptest.PDBs)
		var sizes []uint32
		for b, err := range target.Dump.Blobs() {
			if err != nil {
				t.Errorf("type %d: %v", f, err)
				break
			}
			sizes = append(sizes, b.Size)
		}
		if len(sizes) != 2 || sizes[0] < 100 || sizes[1] != 0 {
			t.Errorf("type %d: blobs of %d bytes, want the SMBIOS table and an empty one", f, sizes)
		}
	}
}
