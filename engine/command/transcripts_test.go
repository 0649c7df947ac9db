package command

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/internal/truth"
)

// The tests beside this file replay reference/transcripts.md: its values are
// laid down by the dump writer, its commands are run in kdap's own start
// state, and the answers are compared with its text.

// A transcript is one command of the file with what it printed.
type transcript struct {
	number  string // of its heading: "9", "21-23"
	command string // "" for a layout that is shown without its command
	lines   []string
	text    bool // a "Tutorial text", equal to the letter; else values may be invented
}

var (
	transcriptHead   = regexp.MustCompile(`^## ([0-9-]+)\. `)
	transcriptPrompt = regexp.MustCompile(`^[0-9]+: kd> (.*)`)
)

// transcripts reads the file, or skips the test where it is absent.
func transcripts(t testing.TB) []transcript {
	t.Helper()
	b, err := os.ReadFile(truth.Path(t, "reference", "transcripts.md"))
	if err != nil {
		t.Fatal(err)
	}
	var all []transcript
	var number string
	text, inside := false, false
	for line := range strings.SplitSeq(string(b), "\n") {
		m := transcriptHead.FindStringSubmatch(line)
		p := transcriptPrompt.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "```"):
			inside = !inside
			if inside {
				all = append(all, transcript{number: number, text: text})
			} else {
				text = false // what follows without a mark of its own is a layout
			}
		case !inside && m != nil:
			number = m[1]
		case !inside:
			text = text || line == "**Tutorial text**"
		case p != nil:
			last := &all[len(all)-1]
			if last.command != "" || len(last.lines) > 0 {
				all = append(all, transcript{number: number, text: text})
				last = &all[len(all)-1]
			}
			last.command = strings.TrimSpace(p[1])
		case strings.HasPrefix(line, "# "): // a comment of the author's
		default:
			last := &all[len(all)-1]
			last.lines = append(last.lines, line)
		}
	}
	return all
}

// findTranscript returns the first transcript below a heading whose command
// begins with some text.
func findTranscript(t testing.TB, number, command string) transcript {
	t.Helper()
	for _, tr := range transcripts(t) {
		if tr.number == number && strings.HasPrefix(tr.command, command) {
			return tr
		}
	}
	t.Fatalf("transcripts.md has no %s %q", number, command)
	return transcript{}
}

// gapMark stands for any number of lines.
const gapMark = "{{ omitted }}"

// cut returns the transcript with a place where the author left out lines
// without a mark: behind the line that has the text, or before the first line
// for "". Blank lines that stand there go with them.
func (tr transcript) cut(after string) transcript {
	at := 0
	if after != "" {
		for at < len(tr.lines) && !strings.Contains(tr.lines[at], after) {
			at++
		}
		at++
	}
	rest := tr.lines[min(at, len(tr.lines)):]
	for len(rest) > 0 && strings.TrimSpace(rest[0]) == "" {
		rest = rest[1:]
	}
	lines := append([]string{}, tr.lines[:min(at, len(tr.lines))]...)
	tr.lines = append(append(lines, gapMark), rest...)
	return tr
}

var progressLine = regexp.MustCompile(`[0-9]+% (complete|Complete)`)

// levelTranscript applies the deviations that the file allows: runs of blanks,
// blank lines at both ends, the number of progress lines.
func levelTranscript(lines []string) []string {
	var out []string
	for _, l := range lines {
		l = strings.Join(strings.Fields(l), " ")
		l = progressLine.ReplaceAllString(l, "N% $1")
		switch {
		case l == "" && len(out) == 0:
		case strings.Contains(l, "N% ") && len(out) > 0 && out[len(out)-1] == l:
		case l == "...":
			out = append(out, gapMark)
		default:
			out = append(out, l)
		}
	}
	for len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

// sameLine compares a line with one of a transcript, which may be cut short.
func sameLine(want, got string) bool {
	if head, ok := strings.CutSuffix(want, "..."); ok {
		return strings.HasPrefix(got, strings.TrimSpace(head))
	}
	return want == got
}

// check compares an answer with the transcript.
func (tr transcript) check(t *testing.T, got string) {
	t.Helper()
	if diff := tr.differs(got); diff != "" {
		t.Errorf("%s %s: %s", tr.number, tr.command, diff)
	}
}

// differs tells what of an answer is not as the transcript has it.
func (tr transcript) differs(got string) string {
	want, lines := levelTranscript(tr.lines), levelTranscript(strings.Split(got, "\n"))
	var parts [][]string // between the gaps
	part := []string{}
	for _, l := range append(want, gapMark) {
		if l != gapMark {
			part = append(part, l)
			continue
		}
		parts = append(parts, part)
		part = nil
	}
	at := 0
	for i, p := range parts {
		from, last := at, len(lines)-len(p) // where it can begin
		switch {
		case i == len(parts)-1 && len(p) > 0 && last >= at:
			at = max(at, last) // nothing follows it
		case i == 0:
			last = min(last, 0) // nothing stands before it
		}
		for ; ; at++ {
			if at > last {
				return fmt.Sprintf("%d lines are not there in one piece (-transcript +here)\n%s", len(p), cmp.Diff(p, lines[min(from, len(lines)):]))
			}
			if sameLines(p, lines[at:at+len(p)]) {
				break
			}
		}
		at += len(p)
	}
	if len(parts) == 1 && at < len(lines) {
		return fmt.Sprintf("%d more lines follow: %q", len(lines)-at, lines[at:min(len(lines), at+5)])
	}
	return ""
}

func sameLines(want, got []string) bool {
	for i, l := range want {
		if !sameLine(l, got[i]) {
			return false
		}
	}
	return true
}

// writtenSession starts a session as users have it on a dump that the writer
// made.
func writtenSession(t testing.TB, d *dumptest.Dump) *Session {
	t.Helper()
	return writtenSessionAs(t, d, dumptest.Full)
}

// writtenSessionAs does so on a dump of a format.
func writtenSessionAs(t testing.TB, d *dumptest.Dump, f dumptest.Format) *Session {
	t.Helper()
	path, symbols := dumptest.WriteFileAs(t, d, f)
	target, err := engine.Open(context.Background(), path, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return NewSession(target, Options{DumpPath: path})
}

// TestTranscriptFile guards the reader of the file and its comparison.
func TestTranscriptFile(t *testing.T) {
	all := transcripts(t)
	texts := 0
	for _, tr := range all {
		if tr.text {
			texts++
		}
	}
	if len(all) < 36 || texts < 19 {
		t.Errorf("%d transcripts, %d of them to the letter", len(all), texts)
	}
	keyinfo := findTranscript(t, "10", "!reg keyinfo")
	if !keyinfo.text || keyinfo.command != "!reg keyinfo ffffa58428b62000 22eab5b8524" || len(keyinfo.lines) < 15 {
		t.Errorf("%+v", keyinfo)
	}
	tr := transcript{lines: []string{"", "a  1", "{{ omitted }}", "b", "", "c ...", "..."}}
	for text, good := range map[string]bool{
		"a 1\nb\n\nc\n":                true,
		"a 1\nx\n\ny\nb\n\nc 5 6\nd\n": true,
		"a 1\nb\nc\n":                  false,
		"A 1\nb\n\nc\n":                false,
		"x\na 1\nb\n\nc\n":             false,
	} {
		if diff := tr.differs(text); (diff == "") != good {
			t.Errorf("%q: %s", text, diff)
		}
	}
}
