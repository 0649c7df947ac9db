package dumptest_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ulikunitz/xz"

	"kdap/docs"
	"kdap/engine/command"
	"kdap/engine/dumptest"
	"kdap/engine/list"
	"kdap/engine/types"
	"kdap/internal/truth"
)

// without says what the readers do in the builds that lack a member they ask
// for. What stands here no other name has; whatever was renamed is asked for by
// all its names in one question, and needs no line.
var without = map[string]string{
	"_CMHIVE.UseCount":                               "a count of 1507 to 1607, shown where it is",
	"_CM_KEY_CONTROL_BLOCK.Discarded":                "a bit, shown where it is",
	"_CM_KEY_CONTROL_BLOCK.Freed":                    "a bit, shown where it is",
	"_CM_KEY_CONTROL_BLOCK.LayerHeight":              "layers came with 1607, shown where they are",
	"_ETHREAD.ThreadName":                            "names came with 1607; no name",
	"_HANDLE_TABLE_ENTRY.ProtectFromClose":           "a name of handle attributes before Attributes; asked behind it",
	"_HMAP_ENTRY.BinAddress":                         "Windows 8.1 and before; asked where BlockAddress is",
	"_KTHREAD.CallbackStack":                         "a member of stacks before 1507; 0",
	"_KWAIT_CHAIN_ENTRY.Thread":                      "the stack that the entry lies on tells whose it is",
	"_MI_HARDWARE_STATE.InvalidPteMask":              "came with the updates of 2018; no mask, and a search where symbols do not tell",
	"_MI_SYSTEM_PTE_STATE.KernelStackPteInfo":        "nt!MmKernelStackPages, or no line",
	"_MI_VISIBLE_PARTITION.SharedCommit":             "_MI_VISIBLE_STATE has it",
	"_MI_VISIBLE_STATE.SharedCommit":                 "_MI_VISIBLE_PARTITION has it",
	"_MI_VISIBLE_STATE.SpecialPagesInUse":            "special pool has no pages of its own since 1903; 0",
	"_MI_VISIBLE_PARTITION.MdlPagesAllocated":        "_MI_VISIBLE_STATE has it",
	"_MI_VISIBLE_STATE.MdlPagesAllocated":            "_MI_VISIBLE_PARTITION has it",
	"_MI_VISIBLE_PARTITION.ContiguousPagesAllocated": "_MI_VISIBLE_STATE has it",
	"_MI_VISIBLE_STATE.ContiguousPagesAllocated":     "_MI_VISIBLE_PARTITION has it, or no line",
	"_MI_VISIBLE_PARTITION.SkPagesInUnchargedSlabs":  "shown where it is",
	"_MI_VISIBLE_STATE.SkPagesInUnchargedSlabs":      "shown where it is",
	"_MI_VISIBLE_PARTITION.SlabAllocatorPages":       "shown where it is",
	"_MI_VISIBLE_STATE.PfnDatabaseCommit":            "shown where it is",
	"_MI_VISIBLE_STATE.SmallNonPagedPtesCommit":      "shown where it is",
	"_MI_VISIBLE_STATE.SessionWsList":                "nt!MiSessionWsList, or no line",
	"_MI_VISIBLE_STATE.SystemVaRegions":              "the use of each 512 GB by _MI_SYSTEM_VA_STATE",
	"_MMPFNENTRY1.Rom":                               "a bit of kernels before 1507, shown where it is",
	"_PEB.NtGlobalFlag2":                             "came with 1903, shown where it is",
	"_KPRCB.ArchitectureClass":                       "shown where it is",
}

// later is what listings of 26100 (Windows 11 24H2) lack of what 22000 had.
// Of a processor's block public symbols tell the members up to ProcessorFlags;
// what is behind them is had from the KDBG's offsets or is told as missing.
var later = map[string][]string{
	"_MI_VISIBLE_STATE": {"SessionWsList", "SessionIdBitmap", "MdlPagesAllocated", "ContiguousPagesAllocated"},
	"_EPROCESS":         {"AweInfo", "CommitDebt"},
}

// TestMembersOfBuilds records which members the readers ask for while every
// list is made and every example of the manual runs, and looks them up in the
// members that the kernels from 10240 to 22000 have, and in what went later. A
// member that a build lacks must have another name in the same question, be
// asked for with a question, or be told of in without.
func TestMembersOfBuilds(t *testing.T) {
	builds := memberLists(t)
	type key struct{ typ, names string }
	asked := map[key]bool{}
	maybe := map[string]bool{}
	var mu sync.Mutex
	defer types.ObserveLookups(func(l types.Lookup) {
		mu.Lock()
		defer mu.Unlock()
		if l.Maybe {
			maybe[l.Type.Name+"."+l.Names[0]] = true
		} else {
			asked[key{l.Type.Name, strings.Join(l.Names, " ")}] = true
		}
	})()
	askEverything(t)
	known := 0
	for k := range asked {
		names := strings.Fields(k.names)
		versions, ok := builds[k.typ]
		if !ok || maybe[k.typ+"."+names[0]] || without[k.typ+"."+names[0]] != "" {
			continue
		}
		known++
		for i, members := range versions {
			if !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(members, n) }) {
				t.Errorf("%s: no %s in version %d of %d, newest first", k.typ, strings.Join(names, " or "), i, len(versions))
				break
			}
		}
	}
	if known < 200 {
		t.Errorf("only %d members of known types were asked for", known)
	}
	t.Logf("%d questions, %d of them about types whose members in other builds are known", len(asked), known)
}

// askEverything makes all lists and runs all examples.
func askEverything(t *testing.T) {
	target := open(t, dumptest.Demo(), dumptest.Full, dumptest.PDBs|dumptest.Images)
	for _, k := range list.Kinds() {
		listed(t, target, k, list.Filter{Key: `\REGISTRY\MACHINE`})
	}
	for _, p := range docs.Pages() {
		s := command.NewSession(target, command.Options{})
		for l := range strings.Lines(p.Text) {
			if line, ok := strings.CutPrefix(strings.TrimRight(l, "\r\n"), "kd> "); ok && !layoutWords.MatchString(line) {
				answer(t, s, line)
			}
		}
		s.Close()
	}
}

// memberLists reads the members of each kernel type, one list a version of it,
// newest first.
func memberLists(t *testing.T) map[string][][]string {
	f, err := os.Open(truth.Path(t, "symbols", "member-order.json.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Types map[string][][]string }
	if err := json.NewDecoder(r).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	for name, gone := range later {
		newest := doc.Types[name][0]
		newest = slices.DeleteFunc(slices.Clone(newest), func(m string) bool { return slices.Contains(gone, m) })
		doc.Types[name] = append([][]string{newest}, doc.Types[name]...)
	}
	return doc.Types
}
