package command

import (
	"strings"
	"testing"
)

// TestSessions compares with reference/commands/process.md; the sessions are
// those of lab19041.json.
func TestSessions(t *testing.T) {
	s := labSession(t)
	if got := answer(s, ".process ffffe387110b1080; !session"); !strings.HasSuffix(got, "Sessions on machine: 2\nValid Sessions: 0 1\nCurrent Session 1\n") {
		t.Errorf("!session: %q", got)
	}
	want := "Dumping Session 0\n_MM_SESSION_SPACE ffffd68000000000\n_MMSESSION        ffffd680000000c0\nPROCESS ffffe38711021080\n    SessionId: 0  Cid: 01bc"
	if got := answer(s, "!sprocess 0"); !strings.HasPrefix(got, want) {
		t.Errorf("!sprocess: %.300s", got)
	}
	if got := answer(s, "!session -s 1"); !strings.HasPrefix(got, "Sessions on machine: 2\nImplicit process is now ffffe387`1102a080\n.cache forcedecodeptes done\nUsing session 1\n") {
		t.Errorf("!session -s: %q", got)
	}
	if got := answer(s, "!job ffffe387110b1080"); got != "Process ffffe387110b1080 is not part of a job\n" {
		t.Errorf("!job: %q", got)
	}
}
