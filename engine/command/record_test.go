package command

import (
	"bufio"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/engine"
	"kdap/internal/truth"
)

// TestRecord replays every recorded session and compares every block. Blocks
// that differ on purpose are listed in docs/known-differences.txt; any other
// difference fails, and so does a line of the list that no block needs.
//
// The recording machine had folders: S:\lab with the symbols, W:\s with
// command files and others. The test makes them, with such names, in the
// current folder, which takes a system that allows them.
func TestRecord(t *testing.T) {
	if testing.Short() {
		t.Skip("replays the whole record")
	}
	if runtime.GOOS == "windows" {
		t.Skip(`folders such as S:\lab cannot be made here`)
	}
	record, err := filepath.Abs(truth.Path(t, "reference", "windbg"))
	if err != nil {
		t.Fatal(err)
	}
	known := readKnown(t)
	files := recordFiles(t, record)
	t.Setenv("KDAP_SHARED", absolute(t, truth.Dir(t)))
	t.Setenv("_NT_SYMBOL_PATH", "")
	here := recordFolders(t)
	t.Chdir(here)

	workers := make(chan struct{}, 2)
	var open recordTargets
	complete := t.Run("files", func(t *testing.T) {
		for _, f := range files {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				workers <- struct{}{}
				defer func() { <-workers }()
				f.replay(t, open.session(t, f), known)
			})
		}
	})
	if complete && !t.Failed() && len(files) > 50 {
		known.reportUnused(t)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// A recordFile is one recorded session and what its head says of it.
type recordFile struct {
	name    string // below the record's folder, with slashes
	dump    string
	symbols string // "S:\lab"; "" for none
	blocks  []lineBlock
	size    int
}

// A lineBlock is a block and the line of the record where it begins.
type lineBlock struct {
	recordBlock
	line int
}

var (
	headDump    = regexp.MustCompile(`^# dump: (\S+)\.dmp`)
	headSymbols = regexp.MustCompile(`symbols: (?:flat folder )?(S:\\\S+)`)
	headEmpty   = regexp.MustCompile(`symbols: none|S:\\none`)
)

// recordFiles reads every file of the record, the largest first.
func recordFiles(t *testing.T, root string) []recordFile {
	t.Helper()
	var files []recordFile
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		name = filepath.ToSlash(name)
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == "scripting-files" {
				return fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(name, ".txt") && !strings.HasSuffix(name, ".txt.xz") {
			return nil
		}
		text := recordText(t, path)
		head, _, _ := strings.Cut(text, "\n<<< ")
		m := headDump.FindStringSubmatch(head)
		if m == nil {
			return nil // no session
		}
		f := recordFile{name: name, dump: m[1], size: len(text), blocks: splitRecord(text)}
		if m := headSymbols.FindStringSubmatch(head); m != nil && !headEmpty.MatchString(head) {
			f.symbols = m[1]
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(files, func(a, b recordFile) int { return b.size - a.size })
	return files
}

// splitRecord reads blocks as reference/windbg/README.md describes them.
func splitRecord(text string) []lineBlock {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	var blocks []lineBlock
	var output []string
	inside := false
	for i, l := range lines {
		l = strings.TrimRight(l, "\r")
		last := i+1 == len(lines) || strings.HasPrefix(lines[i+1], "<<< ")
		end := func() {
			blocks[len(blocks)-1].output = strings.Join(output, "\n")
			inside = false
		}
		switch {
		case !inside && strings.HasPrefix(l, "<<< "):
			blocks = append(blocks, lineBlock{recordBlock{command: l[4:]}, i + 1})
			inside, output = true, nil
		case !inside:
		case l == ">>>":
			end()
		case strings.HasSuffix(l, ">>>") && last:
			output = append(output, strings.TrimSuffix(l, ">>>"))
			end()
		default:
			output = append(output, l)
		}
	}
	return blocks
}

// recordTargets are the opened dumps of the sessions; sessions share them.
type recordTargets struct{ m sync.Map }

func (r *recordTargets) session(t *testing.T, f recordFile) *Session {
	t.Helper()
	path := truth.Path(t, "reference", "windbg")
	if p := filepath.Join(path, filepath.Dir(filepath.FromSlash(f.name)), f.dump+".dmp"); exists(p) {
		path = p
	} else {
		path = truth.Dump(t, f.dump)
	}
	symbols := f.symbols
	if symbols == "" {
		symbols = `S:\none`
	}
	open, _ := r.m.LoadOrStore(f.dump+symbols, sync.OnceValues(func() (*engine.Target, error) {
		target, err := engine.Open(context.Background(), path, engine.Options{
			SymbolPath: symbols, ImagePath: symbols, CacheDir: filepath.Join(os.TempDir(), "kdap-test-cache"),
		})
		if err == nil {
			target.Symbols.Offline = true
		}
		return target, err
	}))
	target, err := open.(func() (*engine.Target, error))()
	if err != nil {
		t.Fatal(err)
	}
	return NewSession(target, Options{Record: true, ScriptFiles: true, OutputDir: t.TempDir(), DumpPath: `D:\` + f.dump + ".dmp"})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// cutRecord ends the output of a block that the record does not hold whole.
var cutRecord = regexp.MustCompile(`^\[\.\.\. \d+ more lines?\]$`)

// noExtension is what WinDbg answered to commands of its extensions, which it
// ran without. kdap has them.
var noExtension = regexp.MustCompile(`^(\w+) is not extension gallery command\n+No export (\w+) found$`)

// replay runs the session and compares its blocks.
func (f recordFile) replay(t *testing.T, s *Session, known *knownDifferences) {
	t.Helper()
	same, listed, unexplained := 0, 0, 0
	for _, b := range f.blocks {
		var got string
		if b.command == "open" {
			var out strings.Builder
			s.Banner(t.Context(), &out)
			got = out.String()
		} else {
			got = answer(s, b.command)
			f.checkEnd(t, s, b, known)
		}
		want := recordLevel(b.output)
		have := recordLevel(got)
		if lines := strings.Split(want, "\n"); cutRecord.MatchString(lines[len(lines)-1]) {
			want = strings.TrimRight(strings.Join(lines[:len(lines)-1], "\n"), "\n")
			n := 0
			if want != "" {
				n = 1 + strings.Count(want, "\n")
			}
			h := strings.Split(have, "\n")
			have = strings.Join(h[:min(len(h), n)], "\n")
		}
		switch {
		case want == have:
			same++
		case known.has(f.name, b), noExtension.MatchString(want):
			listed++
		default:
			unexplained++
			t.Errorf("%s:%d: %s (-WinDbg +here)\n%s", f.name, b.line, b.command, lineDiff(want, have))
		}
	}
	t.Logf("%s: %d same, %d known, %d unexplained, of %d", f.name, same, listed, unexplained, len(f.blocks))
}

// refusedWord are commands that kdap refuses and that so end their line. They fail
// in WinDbg, too, but the line goes on.
var refusedWord = regexp.MustCompile(`^(\.apply_dbp|\.opendump|\.writemem|\.readmem|\.dump|wrmsr|rdmsr|!eb) |^\.apply_dbp$`)

// checkEnd compares whether the command ended its line: WinDbg's interface
// returned an error then, which the record shows.
func (f recordFile) checkEnd(t *testing.T, s *Session, b lineBlock, known *knownDifferences) {
	t.Helper()
	lines := strings.Split(strings.TrimRight(b.output, "\n"), "\n")
	if refusedWord.MatchString(b.command) || cutRecord.MatchString(lines[len(lines)-1]) || known.has(f.name, b) {
		return
	}
	if ended := strings.HasPrefix(lines[len(lines)-1], "HRESULT 80040205"); ended != s.interp.ended {
		t.Errorf("%s:%d: %s: the line ends: %v, in WinDbg: %v", f.name, b.line, b.command, s.interp.ended, ended)
	}
}

// lineDiff shows the lines that differ, not more than a few.
func lineDiff(want, have string) string {
	diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(have, "\n"))
	if lines := strings.SplitAfter(diff, "\n"); len(lines) > 40 {
		diff = strings.Join(lines[:40], "") + "…\n"
	}
	return diff
}

// Folders that this test made have forward slashes below them, and their case
// is whatever was typed.
var madeFolder = regexp.MustCompile(`(?i)\b[sw]:[\\/][\w\\/.]*`)

// validationTime is the column of the path validation that the record leaves out.
var validationTime = regexp.MustCompile(`(?m)^((?:OK|Error|Deferred) +)(\d+)( +\S)`)

// The box about a type that is not known is shortened in some records.
var (
	starredBox   = regexp.MustCompile(`(?m)^\*{60,}\n(?:\*\*\* .*\*\*\*\n)*?\*\*\* +Type referenced: (.+?) +\*\*\*\n(?:\*\*\* .*\*\*\*\n)*\*{60,}\n`)
	shortenedBox = regexp.MustCompile(`(?m)^\[box of stars, \d+ lines, "Type referenced: ([^"]*)"\]$`)
)

// recordLevel is level for a session in the made folders.
func recordLevel(output string) string {
	if here, err := os.Getwd(); err == nil {
		output = strings.ReplaceAll(output, here+"/", "")
	}
	output = madeFolder.ReplaceAllStringFunc(output, func(path string) string {
		path = strings.ReplaceAll(path, "/", `\`)
		folder := len(path)
		if i := strings.LastIndexByte(path, '\\'); strings.Contains(path[i+1:], ".") {
			folder = i
		}
		return strings.ToLower(path[:folder]) + path[folder:]
	})
	output = starredBox.ReplaceAllString(output, "<box: Type referenced: $1>\n")
	output = shortenedBox.ReplaceAllString(output, "<box: Type referenced: $1>")
	return validationTime.ReplaceAllStringFunc(level(output), func(row string) string {
		m := validationTime.FindStringSubmatch(row)
		return m[1] + strings.Repeat(" ", len(m[2])) + m[3]
	})
}

// knownDifferences are the blocks that differ on purpose.
type knownDifferences struct {
	mu   sync.Mutex
	used map[string]bool // "command", "file | command" or "file:line | command"
}

// readKnown reads docs/known-differences.txt.
func readKnown(t *testing.T) *knownDifferences {
	t.Helper()
	f, err := os.Open(filepath.Join(truth.Root(t), "docs", "known-differences.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	known := &knownDifferences{used: map[string]bool{}}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		line := sc.Text()
		if strings.HasPrefix(line, "# For a replay that compares by command only") {
			break // the rest is not for this test
		}
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		entry, why, _ := strings.Cut(line, " # ")
		entry = strings.TrimSpace(entry)
		if strings.TrimSpace(why) == "" {
			t.Errorf("known-differences.txt gives no reason for %q", entry)
		}
		if _, twice := known.used[entry]; twice {
			t.Errorf("known-differences.txt lists %q twice", entry)
		}
		known.used[entry] = false
	}
	return known
}

func (k *knownDifferences) has(file string, b lineBlock) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	command := strings.TrimSpace(b.command)
	for _, entry := range []string{file + ":" + strconv.Itoa(b.line) + " | " + command, file + " | " + command, command} {
		if _, ok := k.used[entry]; ok {
			k.used[entry] = true
			return true
		}
	}
	return false
}

// reportUnused fails for lines of the list that excuse nothing.
func (k *knownDifferences) reportUnused(t *testing.T) {
	t.Helper()
	for entry, used := range k.used {
		if !used {
			t.Errorf("known-differences.txt lists %q, but no block of it differs", entry)
		}
	}
}
