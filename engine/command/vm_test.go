package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/internal/truth"
)

// TestVMText compares with the text that the reference dump's independent
// writer says (lab19041.json, pfn.text).
func TestVMText(t *testing.T) {
	var want struct {
		PFN struct {
			Text struct{ VM, Memusage []string }
		}
	}
	truth.JSON(t, &want, "dumps", "lab19041.json")
	s := labSession(t)
	for command, lines := range map[string][]string{
		"!vm 1": want.PFN.Text.VM, "!memusage 8": want.PFN.Text.Memusage, "!memusage 0x08": want.PFN.Text.Memusage,
	} {
		if len(lines) == 0 {
			t.Fatalf("%s: the reference has no text", command)
		}
		if diff := cmp.Diff(strings.Join(lines, "\n")+"\n", answer(s, command)); diff != "" {
			t.Errorf("%s (-reference +here)\n%s", command, diff)
		}
	}
	_, processes, ok := strings.Cut(answer(s, "!vm"), "Commit limit:              392860 (    1571440 Kb)\n")
	// The layout is that of reference/transcripts.md, 11.
	const first = `
  Pid ImageName                        Commit   SharedCommit        Debt

 1a2c PotionShop.exe                  84008 Kb         800 Kb        0 Kb
    4 System                          25956 Kb         800 Kb        0 Kb
`
	if !ok || !strings.HasPrefix(processes, first) {
		t.Errorf("processes:\n%.300s\nwant\n%s", processes, first)
	}
}

// TestMemusageTable: the table accounts for every page that the summary counts.
func TestMemusageTable(t *testing.T) {
	s := labSession(t)
	_, table, ok := strings.Cut(answer(s, "!memusage"), "Control       Valid Standby Dirty Shared Locked PageTables  name\n")
	if !ok {
		t.Fatal("no table")
	}
	var valid, standby, dirty int
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		valid += atoi(t, f[1])
		standby += atoi(t, f[2])
		dirty += atoi(t, f[3])
	}
	if valid != 383308 || standby != 120000 || dirty != 6068+24+44 {
		t.Errorf("valid %d, standby %d, dirty %d kb", valid, standby, dirty)
	}
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	for _, c := range s {
		if c < '0' || c > '9' {
			t.Fatalf("%q is no number", s)
		}
		n = 10*n + int(c-'0')
	}
	return n
}
