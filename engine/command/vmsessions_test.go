package command

import (
	"strings"
	"testing"

	"kdap/engine/dumptest"
)

// TestVMSessions: flag 4 divides the sessions' commit over them.
func TestVMSessions(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{})
	m.AddProcess(dumptest.ProcessOptions{PPID: 4, Name: "two.exe", Image: "svchost.exe", Session: 2})
	m.SetMemory(dumptest.MemoryCounters{Physical: 4000, SessionCommit: 11})
	s := writtenSession(t, m.Finish())
	_, got, ok := strings.Cut(answer(s, "!vm 5"), "Terminal Server Memory Usage By Session:\n\n")
	pages := 0
	for line := range strings.Lines(got) {
		if kb, ok := strings.CutPrefix(line, "Commit Usage:"); ok {
			pages += atoi(t, strings.Fields(kb)[0]) / 4
		}
	}
	if !ok || pages != 11 || !strings.Contains(got, "Session ID 2 @ ") {
		t.Errorf("%d pages in\n%s", pages, got)
	}
}
