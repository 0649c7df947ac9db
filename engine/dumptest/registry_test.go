package dumptest_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/engine/list"
	"kdap/engine/windows/registry"
)

// withRegistry adds hives that hold one of everything to a machine.
func withRegistry(m *dumptest.Machine) (system, software *dumptest.Hive) {
	system = m.AddHive(dumptest.HiveOptions{Mount: `\REGISTRY\MACHINE\SYSTEM`, Name: "SYSTEM", Dirty: []uint32{0, 1, 7}})
	hardware := m.AddHive(dumptest.HiveOptions{Mount: `\REGISTRY\MACHINE\HARDWARE`, Pool: true})
	hardware.Key(`DESCRIPTION\System\CentralProcessor\0`).SetString("Identifier", "Harbour Family 3").SetDword("~MHz", 2712)
	software = m.AddHive(dumptest.HiveOptions{Mount: `\REGISTRY\MACHINE\SOFTWARE`, File: `\SystemRoot\System32\Config\SOFTWARE`, Buckets: 64})
	old := m.AddHive(dumptest.HiveOptions{Mount: `\REGISTRY\USER\S-1-5-18`, File: `\??\C:\Users\ines\NTUSER.DAT`, Minor: 3, Root: "CMI-CreateHive"})

	set := system.Key(`ControlSet001\Control\ComputerName\ComputerName`).SetString("", "mnmsrvc").SetString("ComputerName", "HARBOUR7")
	set.Open(0)
	system.Root().VolatileSub("CurrentControlSet").Link(`\REGISTRY\MACHINE\SYSTEM\ControlSet001`)
	system.Key("Select").SetDword("Current", 1).VolatileSub("Last Night").Sub("Deeper").SetQword("Ticks", 1<<40)

	all := software.Key("All types")
	for typ := range uint32(12) {
		all.Set(fmt.Sprintf("type %d", typ), typ, bytes.Repeat([]byte{byte(typ), 0x41, 0}, int(typ)))
	}
	all.Set("odd type", 0x1234, []byte{1, 2, 3}).Set("big", dumptest.RegBinary, pattern(70_000)).Set("edge", dumptest.RegBinary, pattern(16344))
	all.SetStrings("texts", "one", "two").Set("über", dumptest.RegString, nil).Set("Ωmega", dumptest.RegExpandString, []byte{0x25, 0})
	all.Class("Sailing").Sub("Ωmega key").Written(time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC))
	many := software.Key("Many")
	for i := range 1100 {
		many.Sub(fmt.Sprintf("key %04d", i))
	}
	for _, kind := range []string{"li", "lf", "ri"} {
		k := software.Key("Lists").Sub(kind).Index(kind)
		for i := range 9 {
			k.Sub(fmt.Sprint("sub ", i))
		}
	}
	old.Key("Printers").Set("big", dumptest.RegBinary, pattern(20_000))
	software.Key(`Many\key 0007`).Open(0)
	m.System().AddKeyHandle(all, 0x20019)
	return system, software
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

func TestReadBackRegistry(t *testing.T) {
	for _, relative := range []string{"", "older", "newer"} {
		t.Run("kernel_"+relative, func(t *testing.T) {
			m := dumptest.SmallWith(dumptest.Options{Relative: relative, Runs: []dumptest.Run{{Base: 1, Count: 0x9e}, {Base: 0x100, Count: 0x1800}}})
			withRegistry(m)
			d := m.Finish()
			target := open(t, d, dumptest.Full, dumptest.PDBs|dumptest.ISF)
			readLists(t, target, d.Truth())
			readRegistry(t, target, d.Truth())
		})
	}
}

// readRegistry walks the whole registry from \REGISTRY on and compares it with
// what the writer says.
func readRegistry(t *testing.T, target *engine.Target, truth *dumptest.Truth) {
	ctx := t.Context()
	r, err := registry.Open(ctx, target.System)
	if err != nil {
		t.Fatal(err)
	}
	var hives []*registry.Hive
	for h, err := range r.Hives() {
		if err != nil {
			t.Error(err)
		}
		hives = append(hives, h)
	}
	compare(t, "hives", len(hives), len(truth.Hives))
	got := map[string]*registry.Key{}
	open := map[string]uint64{}
	for i, want := range truth.Hives {
		h := hives[i]
		at := "hive " + want.Mount
		compare(t, at, h.Addr(), want.Addr)
		compare(t, at+" path", h.Path(), want.Mount)
		file, err := h.File()
		compare(t, fmt.Sprintf("%s file (%v)", at, err), file, want.File)
		stable, _ := h.Storage(registry.Stable)
		volatile, _ := h.Storage(registry.Volatile)
		compare(t, at+" lengths", fmt.Sprint(stable.Length, volatile.Length), fmt.Sprint(want.Stable, want.Volatile))
		root, err := h.Root()
		if err != nil {
			t.Fatal(err)
		}
		walkKeys(t, root, want.Mount, got)
		for b, err := range r.OpenKeys(ctx, h) {
			path, perr := b.Path()
			if err != nil || perr != nil {
				t.Error(err, perr)
				continue
			}
			flags, _ := b.Flags()
			if flags&registry.KeyHiveExit == 0 {
				open[path] = b.Addr()
			}
		}
	}
	count := 0
	for _, h := range truth.Hives {
		for _, want := range h.Keys {
			if want.Exit {
				continue
			}
			count++
			k := got[want.Path]
			if k == nil {
				t.Errorf("%s is missing", want.Path)
				continue
			}
			compareKey(t, k, want)
			compare(t, want.Path+" control block", open[strings.ToUpper(want.Path)], want.ControlBlock)
			b, err := r.FindControlBlock(ctx, want.Path)
			if want.ControlBlock != 0 && (err != nil || b.Addr() != want.ControlBlock) {
				t.Errorf("%s: control block %x, %v; want %x", want.Path, b.Addr(), err, want.ControlBlock)
			}
		}
	}
	compare(t, "keys", len(got), count)
	readLink(t, r)
}

// readLink follows a symbolic link on the way to a key, and reads one at the end
// of the way.
func readLink(t *testing.T, r *registry.Registry) {
	ctx := t.Context()
	link, err := r.Lookup(ctx, `HKLM\SYSTEM\CurrentControlSet`)
	if err != nil {
		t.Skip("this registry has no link: ", err)
	}
	to, err := link.LinkTarget(ctx)
	compare(t, fmt.Sprintf("link (%v)", err), to, `\REGISTRY\MACHINE\SYSTEM\ControlSet001`)
	k, err := r.Lookup(ctx, `HKLM\SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName`)
	if err != nil {
		t.Fatal(err)
	}
	path, err := k.Path()
	compare(t, fmt.Sprintf("path behind the link (%v)", err), path, `\REGISTRY\MACHINE\SYSTEM\ControlSet001\Control\ComputerName\ComputerName`)
}

// readLists compares kdap list hives and list registry with the writer.
func readLists(t *testing.T, target *engine.Target, truth *dumptest.Truth) {
	i := 0
	for h, err := range list.Hives(t.Context(), target.System, list.Filter{}) {
		if err != nil || i >= len(truth.Hives) {
			t.Fatalf("hive %d: %v", i, err)
		}
		want := truth.Hives[i]
		i++
		compare(t, "list hives", fmt.Sprintf("%x %s %s %x %x", uint64(h.Hive), h.Name, h.File, value(h.Storage.Stable), value(h.Storage.Volatile)),
			fmt.Sprintf("%x %s %s %x %x", want.Addr, want.Mount, want.File, want.Stable, want.Volatile))
	}
	compare(t, "list hives", i, len(truth.Hives))
	for _, h := range truth.Hives {
		for n, want := range h.Keys {
			if want.Exit || n%97 > 3 { // enough of a long list
				continue
			}
			for k, err := range list.Keys(t.Context(), target.System, list.Filter{Key: want.Path}) {
				if err != nil {
					t.Errorf("list registry %s: %v", want.Path, err)
					continue
				}
				compare(t, "list registry", fmt.Sprintf("%s %x %d %s", k.Path, uint64(k.Cell), len(k.Values), k.Class),
					fmt.Sprintf("%s %x %d %s", want.Path, want.Cell, len(want.Values), want.Class))
			}
		}
	}
}

func walkKeys(t *testing.T, k *registry.Key, path string, all map[string]*registry.Key) {
	all[path] = k
	for sub, err := range k.SubKeys(t.Context()) {
		switch {
		case err != nil:
			t.Errorf("%s: %v", path, err)
		case sub.Flags&registry.KeyHiveExit == 0:
			walkKeys(t, sub, path+`\`+sub.Name, all)
		default:
			if to, err := sub.Exit(); err != nil || !strings.EqualFold(to.Hive.Path(), path+`\`+sub.Name) {
				t.Errorf("%s leads nowhere: %v", sub.Name, err)
			}
		}
	}
}

func compareKey(t *testing.T, k *registry.Key, want dumptest.TruthKey) {
	compare(t, want.Path+" cell", uint32(k.Cell), want.Cell)
	compare(t, want.Path+" node", k.Addr, want.Node)
	compare(t, want.Path+" time", k.WriteTime(), want.Written)
	class, err := k.Class()
	compare(t, fmt.Sprintf("%s class (%v)", want.Path, err), class, want.Class)
	path, err := k.Path()
	compare(t, fmt.Sprintf("path (%v)", err), path, want.Path)
	var values []string
	for v, err := range k.Values(t.Context()) {
		if err != nil {
			t.Errorf("%s: %v", want.Path, err)
			continue
		}
		data, err := v.Data()
		if err != nil {
			t.Errorf("%s, %s: %v", want.Path, v.Name, err)
		}
		values = append(values, fmt.Sprintf("%s %d %x", v.Name, v.Type, data))
	}
	var wanted []string
	for _, v := range want.Values {
		wanted = append(wanted, fmt.Sprintf("%s %d %x", v.Name, v.Type, v.Data))
	}
	if !slices.Equal(values, wanted) {
		t.Errorf("%s: values %.300q, want %.300q", want.Path, values, wanted)
	}
}
