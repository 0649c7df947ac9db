package command

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"kdap/engine/dumptest"
)

// A layout is what the reference says of a command's output, to the letter:
// the pattern is its format string, with digits where values stand.
type layout struct {
	file, command, pattern string
}

func checkLayouts(t *testing.T, s *Session, layouts []layout) {
	t.Helper()
	for _, l := range layouts {
		got := answer(s, l.command)
		if !regexp.MustCompile(`(?m)` + l.pattern).MatchString(got) {
			t.Errorf("%s: %s lacks %s:\n%.1500s", l.file, l.command, l.pattern, got)
		}
	}
}

// Columns and words of the reference's format strings (reference/commands), on
// the reference dump.
func TestLayouts(t *testing.T) {
	s := labSession(t)
	checkLayouts(t, s, []layout{
		{"process.md", "!process 4 0", `\ASearching for Process with Cid == 4\n\nPROCESS [0-9a-f]{16}\n    SessionId: none  Cid: 0004    Peb: 00000000  ParentCid: 0000\n`},
		{"process.md", "!process 123456", `\ASearching for Process with Cid == 123456\n\nProcess not found\n\z`},
		{"process.md", "!process ffff800000000000", `\ATYPE mismatch for process object at ffff800000000000\n\z`},
		{"process.md", ".tlist wininit*", `\A  0n524 wininit\.exe\n\z`},
		{"process.md", ".tlist potion*", `\A 0n6700 PotionShop\.exe\n\z`},
		{"thread.md", "!process 0 2 smss.exe", `^            [0-9a-f]{16}  Semaphore Limit 0x0$`},
		{"thread.md", "!thread 1234", `\A\*\*\* Invalid thread 0000000000001234\n\z`},
		{"objects.md", "!drvobj disk", `\ADriver object \\Driver\\disk not found\n\z`},
		{"objects.md", "!zombies", `\A(PROCESS [0-9a-f]{16} has 0 threads\n)+\z`},
		{"objects.md", "!handle 0 1 1a2c", `\A\nSearching for Process with Cid == 1a2c\n\nPROCESS `},
		{"extensions-and-mex.md", ".load mex", `\AMEX commands are built in\.\n\z`},
		{"extensions-and-mex.md", "!mods hal", `\ANumber of modules: loaded: \d+ unloaded: \d+ \n` +
			`Base             End                Flags   Time stamp            CLR   Module name        Version                                  Path\n=+\n` +
			`[0-9a-f]{16} [0-9a-f]{16} \|       \| \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \|  No \| hal              \| .{38} \| `},
	})
	const shop = "1a2c"
	for _, p := range dumpProcesses(t, s) {
		if p.name == "PotionShop.exe" {
			answer(s, fmt.Sprintf(".process /p %x", p.addr))
		}
	}
	checkLayouts(t, s, []layout{
		{"transcripts.md 5", "!peb", `^                    Base TimeStamp                     Module\n            [0-9a-f]{12} [0-9a-f]{8} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \d{4} C:\\`},
		{"transcripts.md 26", "!heap -a 1", `^    FreeList\[ 00 \] at [0-9a-f]{16}: [0-9a-f]{16} \. [0-9a-f]{16}\n`},
	})
	if got := answer(s, "!findthreads -t "+alertedThread(t, s, shop)); !strings.HasPrefix(got, "Found 1 threads ") {
		t.Errorf("a wait without an object matches another:\n%s", got)
	}
}

// alertedThread is a thread of a process that waits by its id alone.
func alertedThread(t *testing.T, s *Session, process string) string {
	t.Helper()
	m := regexp.MustCompile(`THREAD ([0-9a-f]{16})  .*WAIT: \(WrAlertByThreadId\)`).FindStringSubmatch(answer(s, "!process "+process+" 2"))
	if m == nil {
		t.Fatal("no thread waits by its id")
	}
	return m[1]
}

// What a dump without page tables or of one process cannot answer is said in the
// debugger's words; the reason is a note.
func TestLayoutsOfSmallDumps(t *testing.T) {
	checkLayouts(t, dumpSession(t, "lab_m", false), []layout{
		{"process.md", "!process 0 0", `\A\*\*\*\* NT ACTIVE PROCESS DUMP \*\*\*\*\nUnable to read _LIST_ENTRY @ [0-9a-f]{16}\n`},
		{"mex.md", "!mex.computername", `\AUnable to get the computer name\n\z`},
		{"memory-translation.md", "!pfn 1", `\AUnable to read the PFN database\n\z`},
	})
	checkLayouts(t, dumpSession(t, "triage_x64", false), []layout{
		{"objects.md", "!timer", `\AUnable to read the system's clocks\n\z`},
	})
	checkLayouts(t, dumpSession(t, "triage_arm64", false), []layout{
		{"process.md", "!process 0 0", `^NT symbols are incorrect, please fix symbols\n`},
		{"mex.md", "!mex.t", `\ANT symbols are incorrect, please fix symbols\n\z`},
	})
	checkLayouts(t, dumpSession(t, "minidump_calc", false), []layout{
		{"user-mode.md", "!peb", `\APEB NULL\.\.\.\n\z`},
	})
}

// Gaps in the lists of processes and threads are marked in the debugger's words,
// and what lies behind them is shown.
func TestLayoutsOfGaps(t *testing.T) {
	h := newHoledDemo(t)
	for _, hole := range dumptest.Holes() {
		var want layout
		switch hole.Name {
		case "processes":
			want = layout{"process.md", "!process 0 0", `^Unable to read _LIST_ENTRY @ [0-9a-f]{16}$`}
		case "threads":
			want = layout{"formats.md", "!process 0 2", `^        \*\*\* Error in reading nt!_ETHREAD @ [0-9a-f]{16}$`}
		default:
			continue
		}
		h.dump.Without(hole)
		s := NewSession(h.open(t), Options{})
		checkLayouts(t, s, []layout{want})
		if got := answer(s, want.command); strings.Count(got, "PROCESS ") < 8 {
			t.Errorf("%s: few processes behind the gap:\n%s", hole.Name, got)
		}
	}
}
