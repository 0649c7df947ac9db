package command

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/internal/truth"
)

// TestRunning: layout of reference/commands/thread.md, values of lab19041.json.
func TestRunning(t *testing.T) {
	want := `
System Processors:  (000000000000000f)
  Idle Processors:  (000000000000000b)

       Prcbs             Current         (pri) Next            (pri) Idle
  2    ffff8d8011d00180  ffffe38711087080 ( 8)                       ffffe38711004080  ................
`
	s := labSession(t)
	if diff := cmp.Diff(want, answer(s, "!running")); diff != "" {
		t.Errorf("-want +here\n%s", diff)
	}
	all := answer(s, "!running -it")
	if strings.Count(all, " # Child-SP          RetAddr               Call Site\n") != 4 || !strings.Contains(all, "fffff804`578f3b8e     nt!KeBugCheckEx\n") ||
		!strings.Contains(all, "ntdll!NtDelayExecution+0x12") {
		t.Errorf("!running -it:\n%s", all)
	}
}

// TestStacks: every thread of lab19041.json has its row, with the routine that
// its stack there is blocked in.
func TestStacks(t *testing.T) {
	s := labSession(t)
	var lab struct {
		Processes []struct {
			Threads []struct {
				ETHREAD  string
				CID      [2]int
				Resident bool `json:"kernelStackResident"`
				State    int
				Stack    []struct{ Symbol string }
			}
		}
	}
	truth.JSON(t, &lab, "dumps", "lab19041.json")
	got := answer(s, "!stacks 1")
	count := 0
	for _, p := range lab.Processes {
		for _, th := range p.Threads {
			count++
			row := fmt.Sprintf("%4x.%06x  %s ", th.CID[0], th.CID[1], strings.TrimPrefix(th.ETHREAD, "0x"))
			i := strings.Index(got, row)
			if i < 0 {
				t.Errorf("no row %q", row)
				continue
			}
			line, _, _ := strings.Cut(got[i:], "\n")
			if !th.Resident || len(th.Stack) == 0 || th.State != 5 { // waiting
				continue
			}
			names := th.Stack
			for len(names) > 1 && isWaitRoutine(names[0].Symbol) {
				names = names[1:]
			}
			if !strings.HasSuffix(line, " "+names[0].Symbol) {
				t.Errorf("%q, want %s", line, names[0].Symbol)
			}
		}
	}
	if want := fmt.Sprintf("\nThreads Processed: %d\n", count); !strings.HasSuffix(got, want) {
		t.Errorf("ends with %q, want %q", got[max(0, len(got)-40):], want)
	}
	if got := answer(s, "!stacks 2 potionshop!"); strings.Count(got, "1a2c.") == 0 || strings.Contains(got, "1bc.") {
		t.Errorf("!stacks 2 with a filter:\n%s", got)
	}
}
