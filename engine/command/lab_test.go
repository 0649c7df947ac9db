package command

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ulikunitz/xz"

	"kdap/engine"
	"kdap/internal/truth"
)

// The tests of this package replay recorded WinDbg sessions (reference/windbg)
// on the reference dumps and compare the answers, block by block.

// targets are the reference dumps that were opened; they are shared, because a
// Target is safe for that and sessions never disturb each other.
var targets sync.Map // name → func() (*engine.Target, error)

// dumpSession starts a session as the recorded ones started, on a reference
// dump, or skips the test where that is absent.
func dumpSession(t testing.TB, dump string, symbols bool) *Session {
	t.Helper()
	path := truth.Dump(t, dump)
	o := engine.Options{SymbolPath: filepath.Join(t.TempDir(), "none"), CacheDir: filepath.Join(os.TempDir(), "kdap-test-cache")}
	key := dump
	if symbols {
		o.SymbolPath = truth.Path(t, "symbols")
		o.ImagePath = o.SymbolPath
		key += "+symbols"
	}
	open, _ := targets.LoadOrStore(key, sync.OnceValues(func() (*engine.Target, error) {
		return engine.Open(context.Background(), path, o)
	}))
	target, err := open.(func() (*engine.Target, error))()
	if err != nil {
		t.Fatal(err)
	}
	return NewSession(target, Options{Record: true, DumpPath: path})
}

// labSession starts a session on lab19041.dmp with its symbols.
func labSession(t testing.TB) *Session { return dumpSession(t, "lab19041", true) }

// answer runs one command line and returns its output.
func answer(s *Session, line string) string {
	var out bytes.Buffer
	_ = s.Execute(context.Background(), line, Output{Out: &out})
	return out.String()
}

// A recordBlock is one command of a recorded session with what it printed.
type recordBlock struct{ command, output string }

// recordBlocks reads a recorded session, or skips the test where it is absent.
func recordBlocks(t testing.TB, name string) []recordBlock {
	t.Helper()
	f, err := os.Open(truth.Path(t, "reference", "windbg", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".xz") {
		if r, err = xz.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []recordBlock
	for part := range strings.SplitSeq("\n"+string(text), "\n<<< ") {
		command, output, ok := strings.Cut(part, "\n")
		end := strings.LastIndex(output, ">>>")
		if ok && end >= 0 && !strings.HasPrefix(part, "\n#") {
			blocks = append(blocks, recordBlock{command, output[:end]})
		}
	}
	return blocks
}

// Lines that are the recording machine's own, or only tell of symbol loading,
// are levelled on both sides.
var (
	noiseLine = regexp.MustCompile(`^(\*\*\* (WARNING|ERROR): .*|Unable to load image .*|Unable to change protection for image|HRESULT [0-9a-f]{8}|\s*debugger time: .*|` +
		`Loading (User|Kernel) Symbols|Loading unloaded module list|\.{1,64}|\*{60,}|\*\*\* .*\*\*\*)$`)
	extensions = `\.(?:pdb|dll|exe|sys|dmp|c|h|cpp)\b)`
	folder     = regexp.MustCompile(`(?i)(^|[^\w\\])[a-z]:\\(?:[^\\\s:*?"<>|]+\\)*([^\\\s]+` + extensions)
	unixFolder = regexp.MustCompile(`(?i)(^|[^\w/.])\.{0,2}/(?:[^/\s:]+/)*([^/\s]+` + extensions)
)

// level removes from an answer what depends on the machine.
func level(output string) string {
	var lines []string
	summary := false
	for l := range strings.SplitSeq(output, "\n") {
		l = strings.TrimRight(l, " \r")
		summary = summary || strings.HasPrefix(l, "************* Symbol Loading Error Summary")
		if summary {
			summary = !strings.HasPrefix(l, "You should also verify that your symbol")
			continue
		}
		if !noiseLine.MatchString(l) {
			l = folder.ReplaceAllString(l, "$1$2")
			lines = append(lines, unixFolder.ReplaceAllString(l, "$1$2"))
		}
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

// replay runs a recorded session and compares the answers to the commands that
// pick accepts; the others are run for what they change.
func replay(t *testing.T, s *Session, name string, pick func(command string) bool) {
	t.Helper()
	compared := 0
	for _, b := range recordBlocks(t, name) {
		if b.command == "open" {
			continue
		}
		got := answer(s, b.command)
		if !pick(b.command) {
			continue
		}
		compared++
		if diff := cmp.Diff(level(b.output), level(got)); diff != "" {
			t.Errorf("%s: %s (-WinDbg +here)\n%s", name, b.command, diff)
		}
	}
	if compared == 0 {
		t.Errorf("%s: no command was compared", name)
	}
}
