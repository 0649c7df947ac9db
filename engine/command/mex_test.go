package command

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kdap/internal/truth"
)

// TestMexVer compares with transcripts.md 6, on a dump of the same build.
func TestMexVer(t *testing.T) {
	want := `Platform ID: 2
Major Version: 10
Minor Version: 0
WinXP: False
Win2K3: False
Win2k3SP1OrNewer: True
Vista: False
VistaOrNewer: True
Win7: False
Win8: False
Blue: False
19041.1.amd64fre.vb_release.191206-1406
Build Number: 19041
Kernel Start Address: ffff800000000000
System Version Build String: 19041.1.amd64fre.vb_release.191206-1406
`
	s := labSession(t)
	if diff := cmp.Diff(want, answer(s, "!mex.ver")); diff != "" {
		t.Errorf("-want +here\n%s", diff)
	}
	if got := answer(s, "!mex.computername"); got != "Computer Name: BENCH4\n" {
		t.Errorf("!mex.computername: %q", got)
	}
}

// TestMexProcesses: every process of lab19041.json has its row.
func TestMexProcesses(t *testing.T) {
	s := labSession(t)
	var lab struct {
		Processes []struct {
			Name, EPROCESS, CommandLine, PEB string
			PID                              int
		}
	}
	truth.JSON(t, &lab, "dumps", "lab19041.json")
	list, lines := answer(s, "!mex.tlist -z"), answer(s, "!mex.commandline -a")
	for _, p := range lab.Processes {
		addr := strings.TrimPrefix(p.EPROCESS, "0x")
		row := fmt.Sprintf("0x%-5x0n%-5d %s %s", p.PID, p.PID, addr, p.Name)
		if !strings.Contains(list, row) {
			t.Errorf("!mex.tlist lacks %q", row)
		}
		if p.CommandLine == "" || p.PEB == "0x0" {
			continue
		}
		i := strings.Index(lines, addr+" ")
		if i < 0 {
			t.Errorf("!mex.commandline -a lacks %s", addr)
			continue
		}
		row, _, _ = strings.Cut(lines[i:], "\n")
		if !strings.HasSuffix(row, strings.TrimRight(p.CommandLine, " ")) && !strings.HasSuffix(row, notAccessible) {
			t.Errorf("!mex.commandline -a: %q, want %q", row, p.CommandLine)
		}
	}
	if strings.Count(lines, notAccessible) > 2 { // two blocks are paged out
		t.Errorf("!mex.commandline -a:\n%s", lines)
	}
}

func TestGrep(t *testing.T) {
	s := labSession(t)
	tests := []struct{ line, want string }{
		{`!grep b .printf "abc\nxyz\nB\n"`, "abc\nB\n"},
		{`!grep -v b .printf "abc\nxyz\nB\n"`, "xyz\n"},
		{`!grep -A 1 -B 1 3 .printf "1\n2\n3\n4\n5\n"`, "2\n3\n4\n"},
		{`!mex.grep -r "^[15]$" .printf "1\n2\n5\n15"; .echo next`, "1\n5\nnext\n"},
		{`!head -n 2 .printf "1\n2\n3\n"`, "1\n2\n"},
		{`!tail -n 2 .printf "1\n2\n3\n"`, "2\n3\n"},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, answer(s, tt.line)); diff != "" {
			t.Errorf("%s: -want +here\n%s", tt.line, diff)
		}
	}
}

// Forms of reference/commands/extensions-and-mex.md.
func TestMexFigures(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 16 * time.Millisecond: "16ms", 6718 * time.Millisecond: "6s.718",
		28*time.Minute + 16641*time.Millisecond: "28m:16.641", time.Hour + 2*time.Minute + 3456*time.Millisecond: "1h:02:03.456",
	} {
		if got := mexTime(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[uint64]string{2 << 40: "2 TB", 124232: "121.32 KB", 0: "0"} {
		if got := mexSize(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
