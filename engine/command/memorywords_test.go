package command

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"
)

// otherCommands of the records of memory and types belong to other tests.
var otherCommands = regexp.MustCompile(`^(!list|ld|dx|dtx|\.reload|\.symopt|\.lines|x|\.process|\.thread|\.frame|k|dv)\b`)

func TestRecordedMemory(t *testing.T) {
	for _, c := range []struct {
		record, dump string
		symbols      bool
		but          string // commands that differ, and why
	}{
		{"lab/display-rows.txt", "lab19041", true, `^!d`}, // WinDbg ran without the extension
		{"lab/display-errors.txt", "lab19041", true, `^!eb`},
		// A mapped view whose entries leave it to the VAD: kdap reads it.
		{"lab/display-holes.txt", "lab19041", true, `^d[ab] 18f6000[34]`},
		// A message of the recording machine in the middle of a row; d after dx.
		{"lab/display-more.txt", "lab19041", true, `^dps 18f60000000|^d$`},
		{"lab/display-refs.txt", "lab19041", true, `^dps 0xffffe38720111c80`},
		{"lab/display-strings.txt", "lab19041", true, ``},
		{"lab/search.txt", "lab19041", true, ``},
		{"lab/search-flags.txt", "lab19041", true, ``},
		{"lab/dt-types.txt", "lab19041", true, ``},
		// The same message; text at a physical address, which WinDbg reads as virtual.
		{"lab/dt-values.txt", "lab19041", true, `^dt nt!_DRIVER_OBJECT ffffe38720111c80$|^dt -p nt!_EPROCESS`},
		{"lab/dt-fields.txt", "lab19041", true, `^dt nt!_DRIVER_OBJECT ffffe38720111c80 DriverName MajorFunction`},
		{"lab/dt-base.txt", "lab19041", true, `DriverObject->MajorFunction$`},
		// Which types an empty name lists is not known; an error's words.
		{"lab/dt-errors.txt", "lab19041", true, `^dt nt!$|@@\(nt!`},
		{"lab/dt-options.txt", "lab19041", true, ``},
		{"lab/dt-user.txt", "lab19041", true, ``},
		{"lab/dt-locals.txt", "lab19041", true, ``},
		{"lab/dt-all-types.txt.xz", "lab19041", true, ``},
		{"lab/dt-objects.txt.xz", "lab19041", true, ``},
		{"triage_x64/display.txt", "triage_x64", false, `^dps @rsp L10`},
		{"written/lab_m.txt", "lab_m", true, `^[^ds]`},
		{"written/lab_k.txt", "lab_k", true, `^[^ds]`},
	} {
		t.Run(strings.ReplaceAll(c.record, "/", "_"), func(t *testing.T) {
			t.Parallel()
			but := regexp.MustCompile(c.but)
			replay(t, dumpSession(t, c.dump, c.symbols), c.record, func(command string) bool {
				return !otherCommands.MatchString(command) && (c.but == "" || !but.MatchString(command))
			})
		})
	}
}

// Rows of the C++ evaluator that dt's printer makes.
func TestRecordedMembers(t *testing.T) {
	rows := regexp.MustCompile(`^\?\? .*(->|\.)[A-Z]`)
	s := labSession(t)
	replay(t, s, "lab/expressions-cpp.txt", func(command string) bool {
		return rows.MatchString(command) && !strings.Contains(command, "$retreg")
	})
}

func TestDisplayForm(t *testing.T) {
	for _, c := range []struct {
		text, form string
		n          int
	}{
		{"d", "d", 1},
		{"d nt", "d", 1},
		{"db", "db", 2},
		{"DBnt", "db", 2},
		{"dD x", "dD", 2},
		{"DD x", "dD", 2},
		{"dd x", "dd", 2},
		{"dW", "dW", 2},
		{"dPS", "dpS", 3},
		{"dDs", "dD", 2},
		{"dqU", "dqu", 3},
		{"dyb", "dyb", 3},
		{"dlb", "dlb", 3},
		{"dlB", "dl", 2},
		{"dL x", "dl", 2},
		{"ds x", "ds", 2},
		{"d@rip", "d", 1},
		{"dyx", "dy", 2},
		{"dy", "dy", 2},
		{"dyB", "dy", 2},
		{"dzz", "d", 1},
		{"dk", "d", 1},
	} {
		if form, n := displayForm(c.text, 0); form != c.form || n != c.n {
			t.Errorf("%q: %q, %d; want %q, %d", c.text, form, n, c.form, c.n)
		}
	}
}

// A letter that is no form is the address' (record: lab/scripting-words.txt,
// dz); behind a dy that failed it is a syntax error (lab/display-errors.txt).
func TestDisplayUnknownLetter(t *testing.T) {
	s := labSession(t)
	for _, c := range []struct{ line, want string }{
		{"dz", "Couldn't resolve error at 'z'\n"},
		{"dps nt L1", "fffff804`51a00000  00000003`00905a4d\n"},
		{"dnt L1", "fffff804`51a00000  00000003`00905a4d\n"},
		{"dyx nt", "         ^ Syntax error in 'dyx nt'\n"},
		{"dz nt", "        ^ Syntax error in 'dz nt'\n"},
		{"db nt L1", "fffff804`51a00000  4d                                               M\n"},
		{"dz nt", "Couldn't resolve error at 'z nt'\n"},
	} {
		if got := answer(s, c.line); got != c.want {
			t.Errorf("%s: %q, want %q", c.line, got, c.want)
		}
	}
}

// Long displays and searches end soon after a cancel, and what came before it
// was written.
func TestMemoryCancel(t *testing.T) {
	s := labSession(t)
	for _, line := range []string{
		"db nt L?ffffffff", "s -b 0 L?ffffffff 0", "s -sa ffff800000000000 L?ffffffff", "c nt L?ffffffff nt", "dt -r9 nt!_EPROCESS @$proc",
		"dt -a1000000 nt!_EPROCESS nt", "dpp nt L?1fffffff", "!search 0 10",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		start := time.Now()
		_ = s.Execute(ctx, line, Output{Out: new(countingWriter)})
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("%s: ended %v after the cancel", line, d)
		}
		cancel()
	}
}

func TestPhysicalMemory(t *testing.T) {
	s := labSession(t)
	for line, want := range map[string]string{
		"!dq 1adf68 L4": "#1adf68 00000000`00000000 00000000`00000000\n#1adf78 00000000`12ed6063 00000000`12ec0063\n",
		"!dd 1adf78 L1": "#1adf78 12ed6063\n",
		"!dc 1adf78 L2": "#1adf78 12ed6063 00000000                   c`......\n",
		"!dd 6f0a1000":  "Physical memory read at 6f0a1000 failed (the page is not in the dump)\n",
	} {
		if got := answer(s, line); got != want {
			t.Errorf("%s:\n%swant\n%s", line, got, want)
		}
	}
	// The links of a process that truth and record know.
	if got := answer(s, "!search ffffe387110b14c8"); !strings.Contains(got, "FFFFE387110B14C8 FFFFE387110AC4C8 ") {
		t.Errorf("!search does not find the neighbour's link:\n%s", got)
	}
}
