package expr

import (
	"regexp"
	"strings"
	"testing"

	"kdap/engine/format"
)

var rangeCommand = regexp.MustCompile(`^(db|dw|dd|dq|da|du|dps|dyb|dyd) ?`)

// TestRecordRanges replays the range operands of the d commands: what fails
// must fail in the same words, what is shown must begin at the same address.
func TestRecordRanges(t *testing.T) {
	names := newLabEnv(t, learn(t, append(record(t, "lab/expressions-masm.txt"), record(t, "lab/registers-pseudo.txt")...)))
	checked := 0
	for _, file := range []string{"lab/expressions-ranges.txt", "lab/display-errors.txt", "lab/display-rows.txt"} {
		for _, b := range record(t, file) {
			m := rangeCommand.FindStringSubmatch(b.command)
			if m == nil || strings.ContainsAny(b.command, "/;") || len(b.command) <= len(m[0]) {
				continue
			}
			size := map[string]uint64{"dw": 2, "du": 2, "dd": 4, "dyd": 4, "dq": 8, "dps": 8}[m[1]]
			c := NewCursor(b.command)
			c.Pos = len(m[1])
			r, err := ReadRange(names, c, RangeSpec{ElemSize: size, Default: 128, MaxUnlimited: 1<<32 - 1})
			extra := error(nil)
			if err == nil {
				extra = c.Extra()
			}
			checked++
			switch {
			case err != nil:
				if got := errorLine(err, c.Text); len(b.lines) == 0 || got != b.lines[len(b.lines)-1] {
					t.Errorf("%s: %s\n got %q\nwant %q", file, b.command, got, b.lines)
				}
			case extra != nil:
				if got := errorLine(extra, c.Text); len(b.lines) == 0 || got != b.lines[len(b.lines)-1] {
					t.Errorf("%s: %s\n got %q\nwant %q", file, b.command, got, b.lines)
				}
			case r.Count == 0:
				if len(b.lines) != 0 {
					t.Errorf("%s: %s: nothing to show, want %q", file, b.command, b.lines)
				}
			case !strings.Contains("\n"+strings.Join(b.lines, "\n"), "\n"+format.Addr(r.Addr)):
				t.Errorf("%s: %s: from %s, want %q", file, b.command, format.Addr(r.Addr), b.lines)
			}
		}
	}
	t.Logf("%d blocks checked", checked)
	if checked == 0 {
		t.Error("no blocks")
	}
}
