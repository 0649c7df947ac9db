package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestProcessorTables compares layouts with reference/commands/objects.md; the
// descriptors are those of every 64-bit Windows.
func TestProcessorTables(t *testing.T) {
	s := labSession(t)
	got := answer(s, "dg 10 18")
	want := "                                                    P Si Gr Pr Lo\n" +
		"Sel        Base              Limit          Type    l ze an es ng Flags\n" +
		"---- ----------------- ----------------- ---------- - -- -- -- -- --------\n" +
		"0010 00000000`00000000 00000000`00000000 Code RE Ac 0 Nb By P  Lo 0000029b\n" +
		"0018 00000000`00000000 00000000`ffffffff Data RW Ac 0 Bg Pg P  Nl 00000c93\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dg (-want +here)\n%s", diff)
	}
	got = answer(s, "!idt 0")
	want = "\nDumping IDT: ffffe387201fb000\n\n00:\tfffff80451e00500 nt!KiDivideErrorFault\n\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("!idt (-want +here)\n%s", diff)
	}
	if n := strings.Count(answer(s, "!idt -a"), "\n") - 4; n != 256 {
		t.Errorf("%d vectors, want 256", n)
	}
}

// TestQueues checks that queues without entries are told as such.
func TestQueues(t *testing.T) {
	s := labSession(t)
	if got := answer(s, "!dpcs"); got != "CPU Type      KDPC       Function\n" {
		t.Errorf("!dpcs: %q", got)
	}
	if got := answer(s, "!apc proc ffffe387110b1080"); got != "Process ffffe387110b1080 PotionShop.exe\n" {
		t.Errorf("!apc: %q", got)
	}
	if got := answer(s, "!timer"); strings.Count(got, "PROCESSOR ") != 8 || !strings.Contains(got, "\nTotal Timers: 0, Maximum List: 0\n") {
		t.Errorf("!timer: %s", got)
	}
}
