package command

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/internal/truth"
)

// cutLine ends the output of a block that the record holds in part.
var cutLine = regexp.MustCompile(`(?m)^\[\.\.\. \d+ more lines?\]\n?\z`)

// compareRecorded runs a recorded session and compares its blocks, those that
// are cut up to the cut. Commands that skip names are run for what they change.
func compareRecorded(t *testing.T, s *Session, name string, local func(string) string, skip func(command string) bool) {
	t.Helper()
	compared := 0
	for _, b := range recordBlocks(t, name) {
		if b.command == "open" {
			continue
		}
		got := answer(s, local(b.command))
		if skip(b.command) {
			continue
		}
		compared++
		output := b.output
		cut := cutLine.MatchString(output)
		want := strings.Split(level(local(cutLine.ReplaceAllString(output, ""))), "\n")
		if cut { // levelling takes long
			lines := strings.SplitAfter(got, "\n")
			got = strings.Join(lines[:min(len(lines), 2*strings.Count(b.output, "\n")+100)], "")
		}
		have := strings.Split(level(got), "\n")
		if cut {
			if len(want) == 1 && want[0] == "" {
				continue // nothing of it but messages
			}
			have = have[:min(len(want), len(have))]
		}
		if slices.Equal(want, have) {
			continue
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s: %s (-WinDbg +here)\n%s", name, b.command, diff)
		}
	}
	if compared == 0 {
		t.Errorf("%s: no command was compared", name)
	}
}

func asRecorded(text string) string { return text }

// A block's output that no other machine can give, or where kdap knows more.
// The reasons stand in docs/known-differences.txt.
var otherModuleWords = regexp.MustCompile(`^(\.fnent|!dbghelp|ss|\.lsrc|\.echo|\.srcpath S:|\.sympath|!chksym .* S:|!itoldyouso .* S:|ln @!|\? |dv|k|\.frame|u )`)

func TestRecordedModules(t *testing.T) {
	known := map[string]string{
		"ln-aliases.txt": `nt!_[_a]`,
		"reload.txt":     `^(\.reload( /user)? /f|lm m foo)$`,
	}
	for _, record := range []string{
		"lm.txt", "ln.txt", "ln-aliases.txt", "x.txt", "x-user.txt", "x-all.txt.xz", "reload.txt", "reload-names.txt", "reload-unload.txt",
		"modules-info.txt", "symbol-path-symopt.txt",
	} {
		t.Run(record, func(t *testing.T) {
			except := regexp.MustCompile(`^$`)
			if k, ok := known[record]; ok {
				except = regexp.MustCompile(k)
			}
			compareRecorded(t, labSession(t), "lab/"+record, asRecorded, func(c string) bool {
				return except.MatchString(c) || otherModuleWords.MatchString(c)
			})
		})
	}
}

func TestRecordedTriageModules(t *testing.T) {
	for dump, record := range map[string]string{"triage_x64": "triage_x64/modules.txt", "triage_arm64": "triage_arm64/modules.txt"} {
		t.Run(dump, func(t *testing.T) {
			compareRecorded(t, dumpSession(t, dump, false), record, asRecorded, func(c string) bool {
				// The record leaves out the box about the kernel's missing types
				// with a line of its own, and ARM64 registers come later.
				return c == "k" || strings.HasPrefix(c, ".fnent") || dump == "triage_x64" && strings.HasPrefix(c, ".reload")
			})
		})
	}
}

// recordedFolders makes the folders of the record's disk S:, with the files
// that decide the answers.
func recordedFolders(t *testing.T) (root string, local func(string) string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "s")
	symbols := truth.Path(t, "symbols")
	link := func(to string, from ...string) {
		t.Helper()
		to = filepath.Join(root, filepath.FromSlash(to))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(append([]string{symbols}, from...)...), to); err != nil {
			t.Skip(err)
		}
	}
	key := func(name string) string {
		t.Helper()
		keys, err := os.ReadDir(filepath.Join(symbols, name))
		if err != nil || len(keys) == 0 {
			t.Fatalf("%s: no store entry: %v", name, err)
		}
		return keys[0].Name()
	}
	for _, name := range []string{"ntkrnlmp.pdb", "PotionShop.pdb", "PotionShop.exe", "ntdll.pdb", "ntdll.dll", "kernel32.pdb", "kernelbase.pdb"} {
		link("lab/"+name, name, key(name), name)
	}
	link("lab_sub/symbols/exe/ntkrnlmp.pdb", "ntkrnlmp.pdb", key("ntkrnlmp.pdb"), "ntkrnlmp.pdb")
	link("lab_noimg/ntkrnlmp.pdb", "ntkrnlmp.pdb", key("ntkrnlmp.pdb"), "ntkrnlmp.pdb")
	link("src/x", "README.md")
	disk := regexp.MustCompile(`[Ss]:\\[\w.\\]*`)
	return root, func(text string) string {
		return disk.ReplaceAllStringFunc(text, func(path string) string {
			at := root
			if path[0] == 's' {
				at = strings.ToLower(root)
			}
			return at + strings.ReplaceAll(path[2:], `\`, "/")
		})
	}
}

// TestRecordedSymbolPaths replays what a session's own paths do, on folders of
// the test's own.
func TestRecordedSymbolPaths(t *testing.T) {
	for _, record := range []string{"symbol-path.txt", "symbol-path-symfix.txt"} {
		t.Run(record, func(t *testing.T) {
			root, local := recordedFolders(t)
			s := labSession(t)
			for _, path := range []string{".sympath ", ".exepath "} {
				answer(s, path+root+"/lab")
			}
			answer(s, ".reload nt")
			compareRecorded(t, s, "lab/"+record, local, func(c string) bool {
				return strings.HasPrefix(c, ".lsrcpath") || strings.HasPrefix(c, "ss") || strings.Contains(c, "s:/") ||
					c == ".show_sym_failures" // another family's words
			})
		})
	}
}

// TestSessionsApart: what one session does to its paths, options and modules
// does not show in another one on the same target.
func TestSessionsApart(t *testing.T) {
	a, b := labSession(t), labSession(t)
	before := answer(b, "lm m nt")
	answer(a, ".sympath "+t.TempDir())
	answer(a, ".symopt- 2")
	answer(a, ".reload /u CI")
	answer(a, ".reload ghost.sys=fffff80481000000,1000")
	answer(a, "ld hal")
	if got := answer(a, "x nt!KeBugCheck"); got != "" {
		t.Errorf("with an empty folder as symbol path: %q", got)
	}
	if got := answer(b, "lm m nt"); got != before {
		t.Errorf("lm m nt in the other session: got\n%swant\n%s", got, before)
	}
	for _, tt := range []struct{ line, want string }{
		{"x nt!KeBugCheck", "fffff804`51df5a60 nt!KeBugCheck (KeBugCheck)\n"},
		{"lm m ghost", "start             end                 module name\n"},
	} {
		if got := answer(b, tt.line); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.line, got, tt.want)
		}
	}
	if got := answer(b, "lm m hal"); !strings.Contains(got, "(deferred)") {
		t.Errorf("hal was loaded in the other session only: %s", got)
	}
	if got := answer(b, "lm m CI"); !strings.Contains(got, "CI") {
		t.Errorf("CI is gone in the other session: %s", got)
	}
}

// TestSortedParentheses: the recorded engine shows the last symbol's text
// behind all functions once it sorts; a user is given each its own.
func TestSortedParentheses(t *testing.T) {
	s := labSession(t)
	s.opts.Record = false
	want := "fffff804`51df5a60 nt!KeBugCheck (KeBugCheck)\nfffff804`51df5a80 nt!KeBugCheckEx (KeBugCheckEx)\nfffff804`51f10d20 nt!KeBugCheck2 (KeBugCheck2)\n"
	if got := answer(s, "x /f /a nt!KeBugCheck*"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
