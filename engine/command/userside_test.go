package command

import (
	"fmt"
	"strings"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
)

// A ferrySide is a dump with a process whose user side is laid down here: three
// critical sections that ntdll lists, TLS slots, last errors.
type ferrySide struct {
	s                *Session
	symbols          string
	process          uint64
	fast, ramp, deck uint64 // sections
	ids              [2]uint64
}

func ferryDump(t *testing.T) ferrySide {
	t.Helper()
	m := dumptest.SmallWith(dumptest.Options{})
	p := m.AddProcess(dumptest.ProcessOptions{PPID: 4, Name: "ferry.exe", Image: "ferry.exe", Session: 1})
	wait := []string{
		"ferry!LoadingThread", "ferry!MoveCars", "ntdll!RtlEnterCriticalSection#2", "ntdll!RtlpEnterCriticalSectionContended",
		"ntdll!RtlpWaitOnCriticalSection", "ntdll!NtWaitForAlertByThreadId",
	}
	p.AddThread(dumptest.ThreadOptions{TID: 0x5000, Stack: wait, UserTicks: 64, KernelTick: 6400, LastError: 5, LastStatus: 0xc0000022})
	p.AddThread(dumptest.ThreadOptions{TID: 0x5004, Stack: append([]string{"ferry!UnloadingThread"}, wait[1:]...), UserTicks: 640, LastError: 0x7b})
	f := ferrySide{ids: [2]uint64{0x5000, 0x5004}, fast: p.Symbol("ntdll!FastPebLock"), ramp: p.Symbol("ferry!RampLock"), deck: p.Symbol("ferry!DeckLock")}

	// The list's head is in ntdll, where no symbol of this ntdll names it.
	head := f.fast + 0x200
	links := []uint64{head}
	for _, l := range []struct {
		at      uint64
		count   int32
		owner   uint64
		entered uint32
	}{{f.fast, -1, 0, 0}, {f.ramp, -6, f.ids[0], 17}, {f.deck, -6, 0x7777, 4}} {
		debug := p.Alloc(0x30)
		p.Space.U64(l.at, debug)
		p.Space.U32(l.at+8, uint32(l.count))
		if l.owner != 0 {
			p.Space.U32(l.at+0xc, 1)
		}
		p.Space.U64(l.at+0x10, l.owner)
		p.Space.U64(l.at+0x20, 0x4000fa0)
		p.Space.U64(debug+8, l.at)
		p.Space.U32(debug+0x24, l.entered)
		links = append(links, debug+0x10)
	}
	for i, at := range links {
		p.Space.U64(at, links[(i+1)%len(links)])
		p.Space.U64(at+8, links[(i+len(links)-1)%len(links)])
	}
	path, symbols := dumptest.WriteFile(t, m.Finish())
	target, err := engine.Open(t.Context(), path, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	f.s, f.symbols = NewSession(target, Options{DumpPath: path}), symbols
	for _, process := range dumpProcesses(t, f.s) {
		if process.name == "ferry.exe" {
			f.process = process.addr
		}
	}
	answer(f.s, fmt.Sprintf(".process /p /r %x", f.process))
	return f
}

type listedProcess struct {
	name string
	addr uint64
}

func dumpProcesses(t *testing.T, s *Session) (all []listedProcess) {
	t.Helper()
	for p, err := range s.sys.ActiveProcesses(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		name, err := p.Name()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, listedProcess{name, p.Addr()})
	}
	return all
}

// The forms are those of reference/commands/user-mode.md and thread.md; !locks
// and !tls are Microsoft's documented samples.
func TestCriticalSections(t *testing.T) {
	f := ferryDump(t)
	section := func(at uint64, name string, locked string) string {
		return strings.Repeat("-", 41) + fmt.Sprintf("\nCritical section   = 0x%016x (%s+0x0)\nDebugInfo          = DEBUG\n%sLockSemaphore      = 0x0\nSpinCount          = 0x0000000004000fa0\n", at, name, locked)
	}
	locked := func(owner uint64) string {
		return fmt.Sprintf("LOCKED\nLockCount          = 0x1\nWaiterWoken        = No\nOwningThread       = 0x%016x\nRecursionCount     = 0x1\n", owner)
	}
	fast := section(f.fast, "ntdll!FastPebLock", "NOT LOCKED\n")
	ramp, deck := section(f.ramp, "ferry!RampLock", locked(f.ids[0])), section(f.deck, "ferry!DeckLock", locked(0x7777))
	for line, want := range map[string]string{
		"!cs":                            fast + ramp + deck,
		"!cs -l":                         ramp + deck,
		"!cs ferry!RampLock":             ramp,
		"!cs ferry!DeckLock":             deck,
		"!cs 0 1":                        "",
		"!cs -o ferry!DeckLock":          deck + "\nOwningThread is not a thread of the process\n",
		"!ntsdexts.cs ntdll!FastPebLock": fast,
	} {
		if got := hideDebugInfo(answer(f.s, line)); got != want {
			t.Errorf("%s:\n%swant:\n%s", line, got, want)
		}
	}
	if got := answer(f.s, "!cs -o ferry!RampLock"); !strings.Contains(got, "\nOwningThread Stack =\n # Child-SP") || !strings.Contains(got, "ferry!MoveCars") {
		t.Errorf("!cs -o:\n%s", got)
	}
	row := func(at uint64, name, state string, owner uint64, entered int) string {
		return fmt.Sprintf("\nCritSec %s+0 at %016x\n%sOwningThread       %x\nEntryCount         0\nContentionCount    %x\n", name, at, state, owner, entered)
	}
	held := "WaiterWoken        No\nLockCount          1\nRecursionCount     1\n"
	free := "LockCount          NOT LOCKED\nRecursionCount     0\n"
	rampRow := row(f.ramp, "ferry!RampLock", held, f.ids[0], 17) + "*** Locked\n"
	deckRow := row(f.deck, "ferry!DeckLock", held, 0x7777, 4) + "*** Locked\n"
	for line, want := range map[string]string{
		"!ntsdexts.locks":         rampRow + deckRow + "\nScanned 3 critical sections\n",
		"!ntsdexts.locks -v":      row(f.fast, "ntdll!FastPebLock", free, 0, 0) + rampRow + deckRow + "\nScanned 3 critical sections\n",
		"!ntsdexts.locks -o":      rampRow + deckRow + "*** Orphaned: no thread of the process has this id\n\nScanned 3 critical sections\n",
		"!critsec ferry!RampLock": rampRow,
		"!critsec 1000":           "Unable to read the critical section\n",
	} {
		if got := answer(f.s, line); got != want {
			t.Errorf("%s:\n%swant:\n%s", line, got, want)
		}
	}
}

// hideDebugInfo levels the addresses of debug information, which the writer chose.
func hideDebugInfo(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "DebugInfo ") {
			line = "DebugInfo          = DEBUG\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

func TestLastErrors(t *testing.T) {
	f := ferryDump(t)
	first := "LastErrorValue: (Win32) 0x5 (5) - Access is denied.\n" +
		"LastStatusValue: (NTSTATUS) 0xc0000022 - {Access Denied} A process has requested access to an object, but has not been granted those access rights.\n"
	second := "LastErrorValue: (Win32) 0x7b (123) - The filename, directory name, or volume label syntax is incorrect.\n" +
		"LastStatusValue: (NTSTATUS) 0 - STATUS_SUCCESS\n"
	if got, want := answer(f.s, "!gle -all"), "Last error for thread 0:\n"+first+"\nLast error for thread 1:\n"+second; got != want {
		t.Errorf("!gle -all:\n%swant:\n%s", got, want)
	}
	for thread := range f.s.scope.process.Threads(t.Context()) {
		answer(f.s, fmt.Sprintf(".thread %x", thread.Addr()))
		break
	}
	for line, want := range map[string]string{
		"!gle":           first,
		"!error 5":       "Error code: (Win32) 0x5 (5) - Access is denied.\n",
		"!error 5 1":     "Error code: (NTSTATUS) 0x5 (5) - <Unable to get error code text>\n",
		"!error 1234567": "Error code: (Win32) 0x1234567 (19088743) - <Unable to get error code text>\n",
		"!error c0000005": "Error code: (NTSTATUS) 0xc0000005 (3221225477) - " +
			"The instruction at 0x%p referenced memory at 0x%p. The memory could not be %s.\n",
		"!error 80070005": "Error code: (HRESULT) 0x80070005 (2147942405) - Access is denied.\n",
	} {
		if got := answer(f.s, line); got != want {
			t.Errorf("%s:\n%swant:\n%s", line, got, want)
		}
	}
}

func TestRunaway(t *testing.T) {
	f := ferryDump(t)
	const want = ` User Mode Time
  Thread       Time
    1:5004     0 days 0:00:10.000
    0:5000     0 days 0:00:01.000
 Kernel Mode Time
  Thread       Time
    0:5000     0 days 0:01:40.000
    1:5004     0 days 0:00:00.000
`
	if got := answer(f.s, "!runaway 3"); got != want {
		t.Errorf("!runaway 3:\n%swant:\n%s", got, want)
	}
}

func TestStacksOfProcess(t *testing.T) {
	f := ferryDump(t)
	got := answer(f.s, "!findstack ferry!LoadingThread")
	if !strings.HasPrefix(got, "Thread 000, 1 frame(s) match\n        * ") || !strings.Contains(got, " ferry!LoadingThread+0x") || strings.Contains(got, "Thread 001") {
		t.Errorf("!findstack:\n%s", got)
	}
	if got := answer(f.s, "!findstack MoveCars 0"); got != "Thread 000, 1 frame(s) match\n\nThread 001, 1 frame(s) match\n\n" {
		t.Errorf("!findstack, level 0:\n%s", got)
	}
	if got := answer(f.s, "!uniqstack"); !strings.HasPrefix(got, "Processing 2 threads, please wait\n\n") || !strings.HasSuffix(got, "Total threads: 2\nDuplicate callstacks: 0\n") {
		t.Errorf("!uniqstack:\n%s", got)
	}
}

// TestDLLs compares with what the reference dump's writer says.
func TestDLLs(t *testing.T) {
	f := ferryDump(t)
	got := answer(f.s, "!dlls")
	var names []string
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "0x") {
			_, path, _ := strings.Cut(strings.TrimSpace(line), `: C:\`)
			names = append(names, path[strings.LastIndexByte(path, '\\')+1:])
		}
	}
	if want := "ferry.exe ntdll.dll KERNEL32.DLL"; strings.Join(names, " ") != want {
		t.Errorf("load order %q, want %q\n%s", names, want, got)
	}
	ntdll := answer(f.s, "!dlls -c ntdll!FastPebLock")
	base := answer(f.s, "? ntdll")
	base = "0x" + strings.ReplaceAll(strings.TrimSpace(base[strings.LastIndexByte(base, '=')+1:]), "`", "")[4:]
	for _, want := range []string{
		"Dump dll containing 0x", "      Base   " + base + "  EntryPoint  0x00000000  Size        0x0000", "    DdagNode     0x",
		"      Flags  0x000022cc  TlsIndex    0x00000000  LoadCount   0xffffffff    NodeRefCount 0x00000000\n             <unknown>\n             LDRP_IMAGE_DLL\n",
	} {
		if !strings.Contains(ntdll, want) {
			t.Errorf("!dlls -c lacks %q:\n%s", want, ntdll)
		}
	}
	if got := answer(f.s, "!dlls -i"); strings.Contains(got, "ferry.exe") || strings.Count(got, "\n0x") != 2 {
		t.Errorf("!dlls -i:\n%s", got)
	}
	if got := answer(f.s, "!dlls -s -c ntdll"); !strings.Contains(got, "SECTION HEADER #1") {
		t.Errorf("!dlls -s:\n%s", got)
	}
	if got := answer(f.s, "!envvar computername"); !strings.HasPrefix(got, "        COMPUTERNAME = ") {
		t.Errorf("!envvar: %q", got)
	}
}
