package command

import (
	"regexp"
	"strings"
	"testing"
)

// contextWords are the commands whose recorded answers this file compares.
var contextWords = regexp.MustCompile(`^(\.(process|thread|frame|f\+|f-|trap|cxr|ecxr|exr|tss|context|effmach|kframes|lastevent|bugcheck|eventlog|time|ttime)($|[ -])|~|[kK]|\d+[kr]|r[MFXYZKm. ]|r$)`)

// pagedOutPEB is the process of the reference dump whose PEB is in the page
// file. WinDbg then knows none of its modules; kdap finds them by the VADs and
// names the user frames.
const pagedOutPEB = "0xffffe3871108a080"

// contextBlocks picks the blocks to compare: the commands of this file, but
// for those after .process of pagedOutPEB, and without those that but names.
func contextBlocks(but *regexp.Regexp) func(string) bool {
	better := false
	return func(command string) bool {
		if strings.HasPrefix(command, ".process") {
			better = strings.HasSuffix(command, pagedOutPEB)
		}
		return contextWords.MatchString(command) && !(better && command[0] == 'k') &&
			(but == nil || !but.MatchString(command))
	}
}

func TestRecordedContexts(t *testing.T) {
	for _, c := range []struct {
		record, dump string
		symbols      bool
		but          *regexp.Regexp // commands of the record that differ, and why
	}{
		{"lab/stacks-all.txt", "lab19041", true, nil},
		{"lab/stacks-k.txt", "lab19041", true, nil},
		{"lab/stacks-processors.txt", "lab19041", true, nil},
		{"lab/context.txt", "lab19041", true, nil},
		{"lab/registers.txt", "lab19041", true, nil},
		// A host error, and an x86 trap frame, whose layout is not known.
		{"lab/context-machine.txt", "lab19041", true, regexp.MustCompile(`^\.cxr /w|^\.trap`)},
		{"triage_x64/stacks.txt", "triage_x64", false, nil},
		{"written/lab_f.txt", "lab_f", true, nil},
		{"written/lab_k.txt", "lab_k", true, nil},
		{"written/lab_ka.txt", "lab_ka", true, nil},
		{"written/lab_m.txt", "lab_m", true, nil},
	} {
		t.Run(strings.ReplaceAll(c.record, "/", "_"), func(t *testing.T) {
			replay(t, dumpSession(t, c.dump, c.symbols), c.record, contextBlocks(c.but))
		})
	}
}

func TestPagedOutPEB(t *testing.T) {
	s := labSession(t)
	answer(s, ".process /p /r "+pagedOutPEB)
	answer(s, ".thread 0xffffe3871108b080")
	// The truth of the dump has this frame; WinDbg's record stops before it.
	if got := answer(s, "k"); !strings.Contains(got, "SearchIndexer!WaitForShutdown+0x12") {
		t.Errorf("no user frames:\n%s", got)
	}
}
