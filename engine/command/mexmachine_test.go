package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMexDumpInfo: layout of reference/commands/extensions-and-mex.md, values
// of lab19041.json; the target's lines are those of vertarget.
func TestMexDumpInfo(t *testing.T) {
	s := labSession(t)
	want := "Computer Name: BENCH4\n" + strings.TrimSuffix(answer(s, "vertarget"), "\n") + `
SystemManufacturer = Aldermoor Instruments
SystemProductName = Bench 4
Processor: AMD Ryzen 5 3600 6-Core Processor
Bugcheck: E2 (0, 0, 0, 0)
KernelMode Full Memory Dump Path: ` + s.opts.DumpPath + "\n"
	if diff := cmp.Diff(want, answer(s, "!mex.di")); diff != "" {
		t.Errorf("-want +here\n%s", diff)
	}
	answer(s, ".process ffffe387110b1080")
	if got := answer(s, "!mex.w"); !strings.HasPrefix(got, "Session: 1\nProcess: ffffe387110b1080 PotionShop.exe\n") || !strings.Contains(got, "\nPid: 1a2c\n") {
		t.Errorf("!mex.w:\n%s", got)
	}
	if got := answer(s, "!mex.mods i8042"); !strings.Contains(got, "\nfffff804578f0000 fffff8045790f000 |       | 2035-06-09 15:39:53 |  No | i8042prt ") {
		t.Errorf("!mex.mods:\n%s", got)
	}
}

// TestMexCrash: the parts in the order of reference/commands/extensions-and-mex.md,
// the stack whatever context is set.
func TestMexCrash(t *testing.T) {
	s := labSession(t)
	rule := "\n" + strings.Repeat("=", 44) + "\n"
	want := "Dump Info" + rule + answer(s, "!mex.di") + "\n\nBugcheck details" + rule + answer(s, ".bugcheck") + "\n\nCrashing Stack" + rule + answer(s, "kn")
	if !strings.Contains(want, "nt!KeBugCheckEx") {
		t.Errorf("no crash:\n%s", want)
	}
	answer(s, ".process ffffe387110b1080")
	set := answer(s, ".process")
	if diff := cmp.Diff(want, answer(s, "!mex.crash")); diff != "" {
		t.Errorf("-want +here\n%s", diff)
	}
	if got := answer(s, ".process"); got != set {
		t.Errorf("the context is %q, was %q", got, set)
	}
}
