package command

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/engine/dumptest"
)

// A waitingMachine has threads that wait for every kind of object, for an
// answer, for a request and for a processor.
type waitingMachine struct {
	*Session
	p                             *dumptest.Process
	mutant, semaphore, event, irp uint64
	holder, first, second, reader *dumptest.Thread
	ready                         []*dumptest.Thread
	high                          uint64 // a handle far up
}

var waitStack = []string{"svchost!mainCRTStartup", "svchost!WaitForTheEnd", "kernel32!WaitForSingleObjectEx", "ntdll!NtWaitForSingleObject"}

func openWaiting(t *testing.T) waitingMachine {
	t.Helper()
	m := dumptest.SmallWith(dumptest.Options{Computer: "HARBOUR7"})
	p := m.AddProcess(dumptest.ProcessOptions{PPID: 4, Name: "svchost.exe", Image: "svchost.exe", CommandLine: `C:\Windows\system32\svchost.exe -k Boats -p -s Ferry`, User: "ines"})
	w := waitingMachine{p: p}
	wait := func(objects ...uint64) *dumptest.Thread {
		return p.AddThread(dumptest.ThreadOptions{Stack: waitStack, Objects: objects})
	}
	w.holder = p.AddThread(dumptest.ThreadOptions{Stack: []string{"svchost!LetterThread", "svchost!AnswerOneLetter", "ntdll!NtAlpcSendWaitReceivePort"}})
	w.mutant = m.NewMutant("Gangway", w.holder.ETHREAD())
	w.semaphore = m.NewSemaphore("Berths", 3)
	w.event = m.NewEvent("Horn", true, false)
	w.first, w.second = wait(w.mutant, w.semaphore), wait(w.mutant)
	w.reader = wait(w.event)
	m.NewDevice("keypad", "Keypad0")
	file := m.NewFile(`\logs\harbour.log`)
	w.irp = m.NewIrp(w.reader, file)
	w.reader.Set("Tcb.Priority", 11)

	for i, priority := range []int{8, 13, 8} {
		thread := wait(w.event)
		m.QueueReady(thread, i%2, priority)
		w.ready = append(w.ready, thread)
	}
	p.AddHandle(w.event, 0x1f0003, 1) // protected
	p.SkipHandles(0x80404)
	w.high = p.AddHandle(w.mutant, 0x1f0001, 2|1)
	w.Session = writtenSession(t, m.Finish())
	return w
}

// TestReadyQueues: layout of reference/commands/thread.md; who waits where is
// what was laid.
func TestReadyQueues(t *testing.T) {
	w := openWaiting(t)
	got := answer(w.Session, "!ready 0")
	line := func(n int) string { return fmt.Sprintf("    THREAD %016x", w.ready[n].ETHREAD()) }
	var short []string
	for _, l := range strings.Split(strings.TrimSpace(got), "\n") {
		if i := strings.Index(l, "  Cid "); i > 0 {
			if !strings.Contains(l, " READY on processor ") {
				t.Errorf("state of %q", l)
			}
			l = l[:i]
		}
		short = append(short, l)
	}
	want := []string{
		"Processor 0: Ready Threads at priority 8", line(0), line(2),
		"Processor 1: Ready Threads at priority 13", line(1),
	}
	if diff := cmp.Diff(want, short); diff != "" {
		t.Errorf("-want +here\n%s\n%s", diff, got)
	}
	if got := answer(w.Session, "!mex.ready"); !strings.HasSuffix(got, "\nCount: 4\n") { // with an idle thread
		t.Errorf("!mex.ready:\n%s", got)
	}
	if got := answer(w.Session, fmt.Sprintf("!tl -t %x", w.p.EPROCESS())); !strings.Contains(got, "svchost.exe(Ferry)  .  .  3  4  .  1  .\n") {
		t.Errorf("!tl -t:\n%s", got)
	}
}

// TestWaits: what a thread waits for, who else does, who holds it.
func TestWaits(t *testing.T) {
	w := openWaiting(t)
	got := answer(w.Session, fmt.Sprintf("!thread %x 2", w.first.ETHREAD()))
	want := fmt.Sprintf("    %016x  Mutant - owning thread %016x\n    %016x  Semaphore Limit 0x3\n", w.mutant, w.holder.ETHREAD(), w.semaphore)
	if !strings.Contains(got, want) {
		t.Errorf("!thread lacks\n%s\n%s", want, got)
	}
	got = answer(w.Session, fmt.Sprintf("!mex.t -a %x", w.second.ETHREAD()))
	want = fmt.Sprintf(`
WaitBlockList:
    Object           Type   Other Waiters    Info
    %016x Mutant %016x Owner: %016x

Wait:
    Thread           Waits for               Owner
    %016x Mutant %016x %016x
`, w.mutant, w.first.ETHREAD(), w.holder.ETHREAD(), w.second.ETHREAD(), w.mutant, w.holder.ETHREAD())
	if !strings.Contains(got, want) {
		t.Errorf("!mex.t -a lacks%s\n%s", want, got)
	}
	got = answer(w.Session, fmt.Sprintf("!mex.t %x", w.reader.ETHREAD()))
	want = fmt.Sprintf(`
Irp List:
    IRP              File              Driver
    %016x \logs\harbour.log

Priority:
    Current Base Decrement ForegroundBoost IO Page
`, w.irp)
	if !strings.Contains(got, want) {
		t.Errorf("!mex.t lacks%s\n%s", want, got)
	}
}

// TestDeepHandles: a table of three levels; the words for attributes are those
// of reference/commands/objects.md.
func TestDeepHandles(t *testing.T) {
	w := openWaiting(t)
	got := answer(w.Session, fmt.Sprintf("!handle 0 1 %x", w.p.EPROCESS()))
	for _, want := range []string{
		"with 2 entries in use\n",
		fmt.Sprintf("%04x: Object: %016x  GrantedAccess: 001f0001 (Protected) (Inherit) Entry: ", w.high, w.mutant),
		fmt.Sprintf("0004: Object: %016x  GrantedAccess: 001f0003 (Protected) Entry: ", w.event),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("!handle lacks %q\n%s", want, got)
		}
	}
	if got := answer(w.Session, fmt.Sprintf("!handle %x 1 %x", w.high, w.p.EPROCESS())); !strings.Contains(got, fmt.Sprintf("%04x: Object: %016x ", w.high, w.mutant)) {
		t.Errorf("one handle:\n%s", got)
	}
}

// TestForEachLine: words that run commands for each of many things.
func TestForEachLine(t *testing.T) {
	w := openWaiting(t)
	if got := answer(w.Session, `!fel -x ".echo [${@#Line}]" !cut -f 3 !tl lsass`); got != "[Name]\n[====]\n[====]\n[Name]\n" {
		t.Errorf("!fel: %q", got)
	}
	got := answer(w.Session, `!foreachprocess -x "!grep Image: !process -1 0"`)
	if !strings.Contains(got, "    Image: System\n") || strings.Count(got, "Image: svchost.exe\n") != 2 {
		t.Errorf("!foreachprocess:\n%s", got)
	}
}
