package command

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The recording machine had no texts for Windows' error codes, and told of its
// own attempt to write.
var (
	systemError = regexp.MustCompile(`(?m)^Error: .* \((0x8[0-9a-f]{7})\)$`)
	hostWrite   = regexp.MustCompile(`(?m)^Exception 0xc0000005 while accessing file mapping\n`)
)

func levelModel(s string) string {
	return level(systemError.ReplaceAllString(hostWrite.ReplaceAllString(s, ""), "Error: ($1)"))
}

// TestRecordedModel replays the recorded sessions about dx, but for what the
// file of known differences names.
func TestRecordedModel(t *testing.T) {
	for record, but := range map[string]string{
		"lab/dx-expr.txt": "",
		// Columns as wide as the path of a symbol file.
		"lab/dx-grid.txt": `Modules\.Take|ExecuteCommand`,
		// A thread whose stack is not in memory.
		"lab/dx-linq.txt": `^dx @\$cursession\.Processes\.SelectMany\(p => p\.Threads\)$`,
		// Memory of another process; the engine's own file and version; the symbol path.
		"lab/dx-model.txt":   `ProcessParameters->CommandLine$|DebuggerInformation$|Settings\.Symbols$`,
		"lab/dx-rest.txt":    "",
		"lab/dx-types.txt":   "",
		"lab/dx-user.txt":    "",
		"lab/dx-utility.txt": `ExecuteCommand\("lm m nt"\)(\[1\])?$`, // lengths of paths
	} {
		t.Run(record, func(t *testing.T) {
			t.Parallel()
			s := labSession(t)
			skip := regexp.MustCompile("^$|" + but)
			if but == "" {
				skip = regexp.MustCompile("^$")
			}
			for _, b := range recordBlocks(t, record) {
				got := answer(s, b.command)
				if skip.MatchString(b.command) || !strings.HasPrefix(b.command, "dx") && !strings.HasPrefix(b.command, "dtx") {
					continue
				}
				if diff := cmp.Diff(levelModel(b.output), levelModel(got)); diff != "" {
					t.Errorf("%s (-WinDbg +here)\n%s", b.command, diff)
				}
			}
		})
	}
}

// TestRecordedUserModel replays dx in a user minidump without symbols.
func TestRecordedUserModel(t *testing.T) {
	s := dumpSession(t, "minidump_calc", false)
	for _, b := range recordBlocks(t, "minidump_calc/dx.txt") {
		if !strings.HasPrefix(b.command, "dx") {
			continue
		}
		if diff := cmp.Diff(levelModel(b.output), levelModel(answer(s, b.command))); diff != "" {
			t.Errorf("%s (-WinDbg +here)\n%s", b.command, diff)
		}
	}
}

// TestDxOptions has what stands in front of an expression.
func TestDxOptions(t *testing.T) {
	for _, tt := range []struct {
		text, rest           string
		depth, skip, gridCut int
	}{
		{"-r2 x", "x", 2, -1, 0},
		{"-r 3 -c 4 x,d", "x,d", 3, 4, 0},
		{"-gc 8 x", "x", -1, -1, 8},
		{"-c 0x1e x", "-c 0x1e x", -1, -1, 0},
		{"-rx 1", "-rx 1", -1, -1, 0},
		{"-5", "-5", -1, -1, 0},
		{"-z 1", "-z 1", -1, -1, 0},
	} {
		o, rest := parseDxOptions(tt.text)
		if rest != tt.rest || o.Depth != tt.depth || o.Skip != tt.skip || o.GridWidth != tt.gridCut {
			t.Errorf("%q: rest %q, depth %d, skip %d, cut %d", tt.text, rest, o.Depth, o.Skip, o.GridWidth)
		}
	}
}
