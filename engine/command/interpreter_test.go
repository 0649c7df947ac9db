package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kdap/internal/truth"
)

// scratchFile is a file of the recording machine's scratch folder: blocks that
// name one are replayed by TestRecordedFiles, with files of its own.
var scratchFile = regexp.MustCompile(`(?i)\bW:\\`)

// otherWords are blocks of the interpreter's records whose answers are other
// commands' (d, x, u …), or differ as docs/known-differences.txt says.
var otherWords = regexp.MustCompile(`^(Dd|DD|12|x |u |ln |!|\.cache|\.hh|\.dml_flow|\.fiber|\.fnret|\.fpo|\.jdinfo|[ef][bdD]? |\.printf "%m[au]\|\\n", nt|` +
	`\.echo (a3|\$\{a7\}|\$\{a21\}|\$CurrentDumpPath)|\.printf "\$\{a21\}"|al$)`)

func TestRecordedScripting(t *testing.T) {
	for _, record := range []string{"scripting-flow", "scripting-words", "aliases", "printf", "session", "header"} {
		t.Run(record, func(t *testing.T) {
			s := labSession(t)
			s.opts.DumpPath, s.opts.ScriptFiles = `D:\lab19041.dmp`, true
			replay(t, s, "lab/"+record+".txt", func(command string) bool {
				return !scratchFile.MatchString(command) && !otherWords.MatchString(command) && !scratchState(record, command)
			})
		})
	}
}

// scratchState reports blocks that show what a block with a scratch file did.
func scratchState(record, command string) bool {
	return record == "session" && (command == ".logfile" || command == ".logclose")
}

func TestRecordedAliasLists(t *testing.T) {
	s := labSession(t)
	seen := 0
	for _, b := range recordBlocks(t, "lab/aliases.txt") {
		if scratchFile.MatchString(b.command) { // as /f
			continue
		}
		got := answer(s, b.command)
		if b.command == "al" && !strings.Contains(b.output, "first line") {
			if seen++; got != b.output {
				t.Errorf("al: got\n%swant\n%s", got, b.output)
			}
		}
	}
	if seen == 0 {
		t.Error("no list was compared")
	}
}

// TestRecordedFiles replays the blocks with command files and logs: the files
// are copied to a folder, whose path takes the place of the recorded one.
func TestRecordedFiles(t *testing.T) {
	dir := t.TempDir()
	local := func(text string) string {
		return strings.NewReplacer(`W:\s\`, dir+"/", `W:\nosuch\`, dir+"/nosuch/").Replace(text)
	}
	from := truth.Path(t, "reference", "windbg", "lab", "scripting-files")
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, f.Name()), []byte(local(string(b))), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, record := range []string{"scripting-files", "scripting-flow"} {
		s := labSession(t)
		s.opts.ScriptFiles, s.opts.OutputDir = true, dir
		s.opts.DumpPath = `D:\lab19041.dmp`
		for _, b := range recordBlocks(t, "lab/"+record+".txt") {
			if record != "scripting-files" && !scratchFile.MatchString(b.command) {
				continue
			}
			got := answer(s, local(b.command))
			want := local(strings.TrimSuffix(b.output, "HRESULT 80040205\n"))
			if caret := strings.Index(want, "^ "); caret >= 0 && len(local(b.command)) != len(b.command) {
				want, got = strings.TrimLeft(want, " "), strings.TrimLeft(got, " ") // the path moved it
			}
			if got != want && !strings.HasPrefix(b.command, "$< W:") {
				t.Errorf("%s: got\n%swant\n%s", b.command, got, want)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLogHoldsCommandsAndOutput(t *testing.T) {
	dir := t.TempDir()
	s := labSession(t)
	s.opts.OutputDir = dir
	for _, line := range []string{".logopen a.txt", ".echo first", "? 1 x", ".logclose", ".echo not kept"} {
		answer(s, line)
	}
	got, err := os.ReadFile(filepath.Join(dir, "a.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := "Opened log file 'a.txt'\n0: kd> .echo first\nfirst\n0: kd> ? 1 x\nEvaluate expression: 1 = 00000000`00000001\n" +
		"            ^ Extra character error in '? 1 x'\n0: kd> .logclose\nClosing open log file a.txt\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLogStaysInItsFolder(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	s := labSession(t)
	if got := answer(s, ".logopen x.txt"); got != refuseFile+"\n" {
		t.Errorf("without a folder: %q", got)
	}
	s.opts.OutputDir = dir
	for _, name := range []string{"../x.txt", "/tmp/kdap-never.txt", "link/x.txt", outside + "/x.txt"} {
		if got := answer(s, ".logopen "+name); got != "Log file could not be opened\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if _, err := os.Stat(filepath.Join(outside, "x.txt")); err == nil {
		t.Error("a file was written outside")
	}
}

// TestRefusals checks words of every class; the sentences are those of the
// command index.
func TestRefusals(t *testing.T) {
	s := labSession(t)
	for _, c := range []struct{ line, output, note string }{
		{"g", "        ^ No runnable debuggees error in 'g'\n", "g needs a live target; this is a dump."},
		{".restart", ".restart needs a live target; this is a dump.\n", ""},
		{".Reboot", ".Reboot needs a live target; this is a dump.\n", ""},
		{"a fffff80451a00000", "Memory can't be changed: a dump is read-only.\n", ""},
		{".dvalloc 1000", "                    ^ Syntax error in '.dvalloc 1000'\n", "Memory can't be changed: a dump is read-only."},
		{"!driveinfo", "!driveinfo would show the computer kdap runs on, not the dump.\n", ""},
		{".shell dir", "kdap does not start programs.\n", ""},
		{"!!dir", "kdap does not start programs.\n", ""},
		{".dump /f x.dmp", "Writing files is off in this session; start kdap run or kdap shell with --output-dir to allow it.\n", ""},
		{".load foo", "kdap runs no extension DLLs; .load is not available.\n", ""},
		{`.load C:\dbg\mex.dll`, "kdap runs no extension DLLs; its commands are built in.\n", ""},
		{".flash_on_break", ".flash_on_break belongs to the WinDbg window; use the editor instead.\n", ""},
		{".server tcp:port=1", "kdap does not start debugging servers with .server; use 'kdap dap --listen' or 'kdap engine --listen'.\n", ""},
		{"!tt 0", "!tt needs a Time Travel trace; this is a dump.\n", ""},
		{"!btb", "!btb exists only for processors or Windows versions that kdap does not read.\n", ""},
		{"!logexts.help", "!logexts.help works on a user-mode dump; this is a kernel dump.\n", ""},
		{".scriptload x.js", "kdap does not run debugger scripts of that kind; use command files.\n", ""},
	} {
		var out bytes.Buffer
		var note string
		err := s.Execute(context.Background(), c.line+";.echo not run", Output{Out: &out, Note: func(text string) { note = text }})
		if got := strings.ReplaceAll(out.String(), ";.echo not run", ""); got != c.output || note != c.note || !errors.Is(err, ErrFailed) {
			t.Errorf("%s: %q, note %q, %v", c.line, got, note, err)
		}
	}
}

// TestFailures checks what Execute returns: whether something failed that was
// not caught.
func TestFailures(t *testing.T) {
	s := labSession(t)
	for line, want := range map[string]error{
		"? 1": nil, "foo": ErrFailed, "!foo;.echo x": ErrFailed, ".catch { foo }": nil, ".catch { !foo }": nil,
		".foreach (x { foo }) { }": ErrFailed, "q": ErrQuit, ".if (1) { qq }": ErrQuit, "? 1\n? 2": nil, "foo\n? 1": ErrFailed, "": nil,
	} {
		if err := s.Execute(context.Background(), line, Output{Out: &bytes.Buffer{}}); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%q: %v, want %v", line, err, want)
		}
	}
	if got := answer(s, "foo x\r\n? 2\r\n"); got != "Couldn't resolve error at 'oo x'\nEvaluate expression: 2 = 00000000`00000002\n" {
		t.Errorf("two lines: %q", got)
	}
}

func TestSuggestions(t *testing.T) {
	s := labSession(t)
	for line, want := range map[string]string{"!proces 0 0": "!process", "process 0 0": "!process", ".ecko x": ".echo", "vertarge": "vertarget"} {
		var notes []string
		_ = s.Execute(context.Background(), line, Output{Out: &bytes.Buffer{}, Note: func(text string) { notes = append(notes, text) }})
		if !strings.Contains(strings.Join(notes, "\n"), want) {
			t.Errorf("%s: notes %q", line, notes)
		}
	}
}

// TestAwkwardLines runs lines that must end quickly, with an error or without.
func TestAwkwardLines(t *testing.T) {
	s := labSession(t)
	for _, c := range []struct{ name, line, ends string }{
		{"a long line", ".echo " + strings.Repeat("x", 1<<20), "x\n"},
		{"many commands", strings.Repeat("; ", 1<<19) + ".echo end", "end\n"},
		{"nested blocks", strings.Repeat(".block { ", 10000) + ".echo x" + strings.Repeat(" }", 10000), "deep\n"},
		{"nested brackets", "? " + strings.Repeat("(", 1<<16), "'\n"},
		{"unclosed blocks", strings.Repeat("{", 1<<18), "'\n"},
		{"growing aliases", "aS a xxxxxxxxxxxxxxxx;.for (r $t0=0; @$t0<30; r $t0=@$t0+1) { as a ${a}${a}; };.echo end", "\n"},
		{"an endless alias", "as loop loop; loop", ""},
		{"wide conversions", `.printf "` + strings.Repeat("%999999999d", 100) + `\n"` + strings.Repeat(", 1", 100), "1\n"},
		{"only quotes", strings.Repeat(`"`, 1000), "'\n"},
		{"a lone dollar", "${", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			got := answer(s, c.line)
			if !strings.HasSuffix(got, c.ends) {
				t.Errorf("ends with %q", got[max(0, len(got)-80):])
			}
			if d := time.Since(start); d > 30*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

// TestCancel stops commands that would never end, or not for long.
func TestCancel(t *testing.T) {
	s := labSession(t)
	for _, line := range []string{
		".while (1) { }", ".do { .continue } (1)", ".for (;1;) { .if (1) { .echo x } }", ".echo x;z(1)", ".sleep 0n100000",
		".while (1) { .foreach /s (x \"a b\") { .catch { foo } } }", ".catch { .while (1) { } };.echo after",
	} {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(30*time.Millisecond, cancel)
		start := time.Now()
		err := s.Execute(ctx, line, Output{Out: &countingWriter{}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", line, err)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("%s: stopped after %v", line, d)
		}
	}
	if got := answer(s, ".break"); !strings.Contains(got, "outside of scope") {
		t.Errorf("the loop was not left: %s", got)
	}
}

type countingWriter struct{ n int }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.n += len(p)
	return len(p), nil
}

// TestOutputIsNotHeld checks that what a line has printed can be read while
// the line still runs.
func TestOutputIsNotHeld(t *testing.T) {
	s := labSession(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var w stoppingWriter
	w.stop = cancel
	if err := s.Execute(ctx, ".echo first;.sleep 0n60000", Output{Out: &w}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type stoppingWriter struct{ stop func() }

func (w *stoppingWriter) Write(p []byte) (int, error) {
	w.stop()
	return len(p), nil
}

func TestForEach(t *testing.T) {
	s := labSession(t)
	rows := strings.Split(strings.TrimSpace(answer(s, `!for_each_process ".echo @#Process"`)), "\n")
	form := regexp.MustCompile(`^0x[0-9a-f]{16}$`)
	for _, r := range rows {
		if !form.MatchString(r) {
			t.Fatalf("row %q", r)
		}
	}
	if len(rows) < 2 {
		t.Errorf("%d processes", len(rows))
	}
	if got := answer(s, "!for_each_process"); got != answer(s, "!process 0 0") {
		t.Error("without commands it is not !process 0 0")
	}
	// A failure goes on with the next object, and a quote inside the commands.
	got := answer(s, `!for_each_process ".printf \"%p\\n\", @#Process; foo"`)
	if n := strings.Count(got, "Couldn't resolve error"); n != len(rows) {
		t.Errorf("%d of %d objects\n%s", n, len(rows), got)
	}
	if got := answer(s, `!for_each_module ".echo ${@#ModuleName} @#Base"`); !strings.Contains(got, fmt.Sprintf("nt 0x%016x\n", s.sys.Nt().Base)) {
		t.Errorf("modules:\n%s", got)
	}
	if got := answer(s, `!for_each_process .if (1) { .break }`); got != "" {
		t.Errorf(".break: %s", got)
	}
}

func TestBanner(t *testing.T) {
	for _, c := range []struct{ dump, record string }{
		{"lab19041", "lab/open-t1.txt"},
		{"lab19041_t5", "lab/open-t5.txt"},
		{"lab19041_t6", "lab/open-t6.txt"},
		{"lab_f", "written/open-f.txt"},
		{"lab_k", "written/open-k.txt"},
		{"lab_ka", "written/open-ka.txt"},
		{"lab_m", "written/open-m.txt"},
	} {
		t.Run(c.dump, func(t *testing.T) {
			s := dumpSession(t, c.dump, true)
			var out bytes.Buffer
			s.Banner(context.Background(), &out)
			want := ""
			for _, b := range recordBlocks(t, c.record) {
				if b.command == "open" {
					want = b.output
				}
			}
			// The paths are each machine's own.
			paths := regexp.MustCompile(`(?m)(path is: ).*$`)
			text := func(s string) string {
				return strings.ReplaceAll(paths.ReplaceAllString(level(s), "$1"), "\n\n\n", "\n\n")
			}
			got := text(out.String())
			if want := text(want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestList(t *testing.T) {
	s := labSession(t)
	// Every process on the list, found through its links: as many as the
	// kernel's list has, each with the type of a process.
	want := len(strings.Split(strings.TrimSpace(answer(s, `!for_each_process ".echo x"`)), "\n"))
	got := answer(s, `!list -t nt!_LIST_ENTRY.Flink -x ".printf \"%p\n\", @$extret" nt!PsActiveProcessHead`)
	if n := strings.Count(got, "\n\n"); n != want+1 { // the head too
		t.Errorf("%d elements of %d\n%s", n, want, got)
	}
	whole := answer(s, `!list "-t nt!_LIST_ENTRY.Flink -e -x \"? @$extret\" nt!PsActiveProcessHead"`)
	if n := strings.Count(whole, "\n\n"); n != want+1 {
		t.Errorf("in quotes: %d elements of %d\n%s", n, want, whole)
	}
	got = answer(s, `!list -t nt!_EPROCESS.ActiveProcessLinks.Flink -m 2 -x ".printf \"%p %ma\n\", @$extret, @$extret+5a8" ffffe387110b1080`)
	if !strings.HasPrefix(got, "ffffe387110b1080 PotionShop.exe\n\n") || strings.Count(got, "\n\n") != 2 {
		t.Errorf("by the process's own type:\n%s", got)
	}
	if got := answer(s, "!validatelist nt!PsActiveProcessHead"); got != fmt.Sprintf("Found list end after %d entries\n", want) {
		t.Errorf("!validatelist: %s", got)
	}
	if got := answer(s, "!list -t nt!_LIST_ENTRY.Flink -x \"? @$extret\" 0;? @$extret"); got != "Evaluate expression: 0 = 00000000`00000000\n" {
		t.Errorf("an empty list: %s", got)
	}
}

// TestNamesAreUnique finds words that two commands claim: the second would
// hide the first.
func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		for _, name := range c.Names {
			key := strings.ToLower(name)
			if name[0] != '.' && name[0] != '!' {
				key = nativeKey(name, c.ExactCase)
			}
			if seen[key] {
				t.Errorf("%s is there twice", name)
			}
			seen[key] = true
		}
		if c.Short == "" {
			t.Errorf("%s says nothing about itself", c.Names[0])
		}
	}
}

// TestRecordedDumpDebug compares .dumpdebug and the session's words for every
// type of dump. In the record of a triage dump the last lines are what
// WinDbg's memory happened to hold.
func TestRecordedDumpDebug(t *testing.T) {
	words := regexp.MustCompile(`^(\|\||\||vertarget|\.dumpdebug|\.time|\.ttime)$`)
	for _, c := range []struct{ dump, record string }{
		{"lab19041_t5", "lab/open-t5.txt"},
		{"lab19041_t6", "lab/open-t6.txt"},
		{"lab_f", "written/open-f.txt"},
		{"lab_k", "written/open-k.txt"},
		{"lab_ka", "written/open-ka.txt"},
		{"minidump_calc", "minidump_calc/open-header.txt"},
	} {
		t.Run(c.dump, func(t *testing.T) {
			replay(t, dumpSession(t, c.dump, c.dump != "minidump_calc"), c.record, words.MatchString)
		})
	}
	s := dumpSession(t, "lab_m", true)
	for _, b := range recordBlocks(t, "written/open-m.txt") {
		want, _, _ := strings.Cut(b.output, "\nDUMP EXTENSION")
		if got := answer(s, b.command); b.command == ".dumpdebug" && !strings.HasPrefix(got, want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}
