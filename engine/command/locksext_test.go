package command

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLocks compares the layout with reference/commands/objects.md; owners,
// waiters and counts are what lab19041.json says of the dump.
func TestLocks(t *testing.T) {
	s := labSession(t)
	want := `**** DUMP OF ALL RESOURCE OBJECTS ****
KD: Scanning for held locks.

Resource @ 0xffffe3872010f7e0    Exclusively owned
    Contention Count = 7
    NumberOfSharedWaiters = 1
    NumberOfExclusiveWaiters = 1
     Threads: ffffe38711017080-01<*> 

     Threads Waiting On Shared Access:
              ffffe38711019080       

     Threads Waiting On Exclusive Access:
              ffffe38711018080       

KD: Scanning for held locks

Resource @ 0xffffe3872010f6e0    Exclusively owned
    Contention Count = 3
    NumberOfExclusiveWaiters = 1
     Threads: ffffe38711018080-01<*> 

     Threads Waiting On Exclusive Access:
              ffffe38711017080       

KD: Scanning for held locks
2 total locks, 2 locks currently held
`
	if diff := cmp.Diff(want, answer(s, "!locks")); diff != "" {
		t.Errorf("-want +here\n%s", diff)
	}
	if got := answer(s, "!locks ffffe38711017080"); got != "ffffe38711017080 is not a valid resource\n" {
		t.Errorf("a thread is told to be a resource: %q", got)
	}
}

// TestDeadlockNote checks that a deadlock of resources is told although Driver
// Verifier did not look for it.
func TestDeadlockNote(t *testing.T) {
	var notes []string
	var out strings.Builder
	err := labSession(t).Execute(context.Background(), "!deadlock", Output{Out: &out, Note: func(text string) { notes = append(notes, text) }})
	if err != nil || out.String() != "Deadlock detection is not enabled\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if !strings.Contains(strings.Join(notes, "\n"), "ffffe38711017080, ffffe38711018080 wait for each other") {
		t.Errorf("notes: %q", notes)
	}
}

// TestQueuedLocks compares the head with reference/commands/objects.md.
func TestQueuedLocks(t *testing.T) {
	want := "Key: O = Owner, 1-n = Wait order, blank = not owned/waiting, C = Corrupt\n\n" +
		"                       Processor Number\n    Lock Name         0  1  2  3\n\nKE   - Dispatcher\n"
	if got := answer(labSession(t), "!qlocks"); !strings.HasPrefix(got, want) {
		t.Errorf("%q", got)
	}
}
