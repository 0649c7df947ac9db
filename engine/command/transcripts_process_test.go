package command

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

const inLeak = ".process /r /p 0xffffcb0c950ea0c0"

// TestTranscriptsProcess replays what the investigation says to the letter about
// processes, threads, heaps and memory.
func TestTranscriptsProcess(t *testing.T) {
	s := writtenSession(t, leakMachine(t))
	for _, c := range []struct {
		number, command, before string
		cut                     []string // gaps that the author left unmarked
		oneBlank                bool     // the author left out a blank line (deviation 2)
	}{
		{number: "5", command: "!peb", before: ".process /p ffffcb0c93a2c0c0", cut: []string{"USERPROFILE"}},
		{number: "12", command: "!memusage 0x08"},
		{number: "13", command: "!process 0 0"},
		{number: "14", command: "!process 0 0 D4C.exe"},
		{number: "21-23", command: ".thread 0xffffcb0c93f24080; k"},
		{number: "21-23", command: ".thread 0xffffcb0c93d17080; k"},
		{number: "21-23", command: ".thread 0xffffcb0c95645080; k"},
		{number: "25", command: "dt ntdll!_ETHREAD 0xffffcb0c93f24080 Tcb->Teb", before: inLeak},
		{number: "25", command: "!teb 0x00000013c75e5000", before: inLeak},
		{number: "26", command: "!heap", before: inLeak, oneBlank: true},
		{number: "26", command: "!heap -a", before: inLeak},
	} {
		t.Run(c.number+" "+c.command, func(t *testing.T) {
			tr := findTranscript(t, c.number, c.command)
			if c.command == "!heap" {
				tr = exactTranscript(t, c.number, c.command)
			}
			if !tr.text {
				t.Fatal("its values are invented")
			}
			for _, after := range c.cut {
				tr = tr.cut(after)
			}
			answer(s, c.before)
			got := answer(s, tr.command)
			if c.oneBlank {
				got = strings.ReplaceAll(got, "\n\n", "\n")
			}
			tr.check(t, got)
			answer(s, ".process; .thread; .cxr")
		})
	}
}

// TestTranscriptsForEachProcess replays the command lines of entry 16 that
// change the context: offsets of members are the machine's own.
func TestTranscriptsForEachProcess(t *testing.T) {
	s := writtenSession(t, leakMachine(t))
	var lines []string
	for _, tr := range transcripts(t) {
		if tr.number == "16" && tr.command == "" {
			lines = tr.lines
		}
	}
	if len(lines) == 0 {
		t.Fatal("transcripts.md has no command lines in 16")
	}
	offset := regexp.MustCompile(`\+0x[0-9a-f]+`)
	level := func(text string) string {
		return strings.Join(levelTranscript(strings.Split(offset.ReplaceAllString(text, "+0x"), "\n")), "\n")
	}
	answer(s, inLeak) // ntdll is known then
	got := level(answer(s, `!for_each_process ".process @#Process; dt ntdll!_EPROCESS @#Process Peb->ProcessParameters->CommandLine"`))
	if want := level(strings.Join(lines, "\n")); !strings.Contains(got, want) {
		t.Errorf("no\n%s\nin\n%s", want, got)
	}
	got = answer(s, `!for_each_process ".process /r /p @#Process; lm"`)
	processes := strings.Count(answer(s, "!for_each_process \".echo @#Process\""), "\n")
	for text, n := range map[string]int{"Implicit process is now ": processes, "start             end                 module name\n": processes, "   D4C   ": 1} {
		if strings.Count(got, text) != n {
			t.Errorf("not %d times %q:\n%s", n, text, got)
		}
	}
}

// TestTranscriptsProcessPictures replays the entries whose values are invented:
// their heads, the order of their lines and the forms of numbers.
func TestTranscriptsProcessPictures(t *testing.T) {
	s := writtenSession(t, leakMachine(t))
	for _, c := range []struct {
		number, command, before string
		skip                    []string // what in a line says that it is not of this machine, or not shown any more
	}{
		{number: "5", command: "!peb", before: inLeak, skip: []string{"=::="}},
		{number: "11", command: "!vm"},
		// Flag 8 clear shows arguments, too, in current debuggers (24).
		{number: "15", command: "!process 0 7 D4C.exe", skip: []string{"Child-SP", "nt!", "0x00007ffa`", "Win32 Start"}},
		{number: "16", command: "!for_each_process \".echo"},
		{number: "17", command: "!mex.tlist"},
		{number: "18", command: "!mex.commandline -a", skip: []string{"smss.exe", "csrss.exe"}},
		{number: "19", command: ".process /r /p"},
		{number: "19", command: "lm", before: inLeak, skip: []string{"pdb symbols", "KERNELBASE", "dump_storport"}},
		// A thread that waits for an alert waits for no object.
		{number: "20", command: "!process 0 2 D4C.exe", skip: []string{"0000000000000000 NotificationEvent"}},
		{number: "24", command: "!thread 0xffffcb0c93d17080", skip: []string{"0000000000000000 NotificationEvent"}},
		{number: "27", command: "db 000001244ea51c60", before: inLeak},
		{number: "27", command: "da 000001244ea51c60", before: inLeak},
		{number: "27", command: "s -a 000001244e6d0000", before: inLeak},
	} {
		t.Run(c.number+" "+c.command, func(t *testing.T) {
			tr := pictureTranscript(t, c.number, c.command)
			answer(s, c.before)
			if diff := tr.looks(answer(s, tr.command), c.skip); diff != "" {
				t.Errorf("%s %s: no line here that looks like %q", tr.number, tr.command, diff)
			}
			answer(s, ".process; .thread; .cxr")
		})
	}
	for name, want := range storyCounters(t, "11", "!vm") {
		switch name {
		case "Total Private", "Misc/Transient Commit": // of the processes that are shown, and others
			continue
		}
		if got := countersOf(strings.Split(answer(s, "!vm"), "\n")); got[name] != want {
			t.Errorf("!vm: %s: %d, want %d", name, got[name], want)
		}
	}
	// What is dumped is laid down as it is shown.
	answer(s, inLeak)
	pictureTranscript(t, "27", "da").check(t, answer(s, "da 000001244ea51c60"))
}

// exactTranscript is findTranscript for the whole command.
func exactTranscript(t testing.TB, number, command string) transcript {
	t.Helper()
	for _, tr := range transcripts(t) {
		if tr.number == number && tr.command == command {
			return tr
		}
	}
	t.Fatalf("transcripts.md has no %s %q", number, command)
	return transcript{}
}

// pictureTranscript is findTranscript among those whose values are invented.
func pictureTranscript(t testing.TB, number, command string) transcript {
	t.Helper()
	for _, tr := range transcripts(t) {
		if !tr.text && tr.number == number && strings.HasPrefix(tr.command, command) {
			return tr
		}
	}
	t.Fatalf("transcripts.md has no picture %s %q", number, command)
	return transcript{}
}

var (
	lookAddress = regexp.MustCompile("[0-9a-f]{8}`[0-9a-f]{8}")
	lookPointer = regexp.MustCompile(`\b[0-9a-f]{16}\b`)
	lookNumber  = regexp.MustCompile(`\b(0[xn])?[0-9a-f]*[0-9][0-9a-f]*(KB)?\b`)
	lookRule    = regexp.MustCompile(`=+|-{3,}`)
	lookText    = regexp.MustCompile(`(['"]).*(['"])|: C:.*| C:.*|(_NT|symbols\)).*|\b[A-Za-z0-9]+\.exe\b|Mar|[A-Z][a-z]{2} N`)
)

// look is the form of a line: its words, and what kinds of numbers stand where.
func look(line string) string {
	line = strings.Join(strings.Fields(line), " ")
	line = lookAddress.ReplaceAllString(line, "A")
	line = lookPointer.ReplaceAllString(line, "P")
	line = lookNumber.ReplaceAllString(line, "N")
	line = lookRule.ReplaceAllString(line, "=")
	return lookText.ReplaceAllString(line, "T")
}

// looks compares a picture with an answer: each line of it must have one of its
// form, in order. It returns the first that has none.
func (tr transcript) looks(got string, skip []string) string {
	var forms []string
	for l := range strings.SplitSeq(got, "\n") {
		forms = append(forms, look(l))
	}
	for _, l := range levelTranscript(tr.lines) {
		if l == "" || l == gapMark || slices.ContainsFunc(skip, func(s string) bool { return strings.Contains(l, s) }) {
			continue
		}
		form := look(strings.TrimSuffix(l, "..."))
		i := slices.IndexFunc(forms, func(f string) bool {
			return f == form || strings.HasSuffix(l, "...") && strings.HasPrefix(f, strings.TrimSpace(form))
		})
		if i < 0 {
			return l + " (" + form + ") among\n" + strings.Join(forms[:min(len(forms), 60)], "\n")
		}
		if i+1 < len(forms) && forms[i+1] != form { // a list may go on
			i++
		}
		forms = forms[i:]
	}
	return ""
}
