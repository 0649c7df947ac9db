package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMexThreads: layouts of reference/commands/extensions-and-mex.md, values
// of lab19041.json.
func TestMexThreads(t *testing.T) {
	s := labSession(t)
	want := `Process         PID Thread             Id State         Time Reason
============== ==== ================ ==== ======= ========== =======
PotionShop.exe 1a2c ffffe387110b7080 1a64 Waiting 21m:55.312 WrQueue
`
	if diff := cmp.Diff(want, answer(s, "!mex.lt -wr wrqueue 1a2c")); diff != "" {
		t.Errorf("-want +here\n%s", diff)
	}
	got := answer(s, "!mex.us -a potionshop!stoker")
	want = `1 thread [stats]: ffffe387110b4080
    fffff80451dfc806 nt!KiSwapContext+0x76
    fffff80451c65850 nt!KiSwapThread+0x500
    fffff80451c64d7f nt!KiCommitThreadWait+0x14f
    fffff80451c296d2 nt!KeDelayExecutionThread+0x122
    fffff80451fede3f nt!NtDelayExecution+0x5f
    fffff80451e074b5 nt!KiSystemServiceCopyEnd+0x25
    00007ffc3d2f10b4 ntdll!NtDelayExecution+0x14
    00007ffc3ae6110f KERNELBASE!SleepEx+0x2f
    00007ffc3ae6112b KERNELBASE!Sleep+0xb
    00007ff6336c158e PotionShop!Stoker+0x3e
    00007ffc3c0d1010 KERNEL32!BaseThreadInitThunk+0x10
    00007ffc3d2f1256 ntdll!RtlUserThreadStart+0x36

Threads matching filter: 1 out of 153
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +here\n%s", diff)
	}
	got = answer(s, "!mex.t ffffe38711028080")
	if !strings.Contains(got, "20c.210") || !strings.Contains(got, "\nWaitBlockList:\n    Object           Type") ||
		!strings.Contains(got, "ffffe3872010e870 SynchronizationEvent\n") || !strings.Contains(got, " fffffd0c3310e6e0 fffff80451c65850 nt!KiSwapContext+0x76\n") {
		t.Errorf("!mex.t:\n%s", got)
	}
	if got := answer(s, "!mex.running"); !strings.HasSuffix(got, "\nCount: 5\n") {
		t.Errorf("!mex.running:\n%s", got)
	}
}

// TestMexUsage: what -h prints, as reference/commands/extensions-and-mex.md has it.
func TestMexUsage(t *testing.T) {
	s := labSession(t)
	got := answer(s, "!mex.us -h")
	want := "!us (!uniquestacks) - stacks of threads, equal ones together\n\nUsage:\n    !us [-a] "
	if !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q …", got, want)
	}
	if got := answer(s, "!mex.crash -?"); !strings.HasSuffix(got, "\nUsage:\n    !crash\n") {
		t.Errorf("%q", got)
	}
}
