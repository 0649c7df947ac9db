package command

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"kdap/engine/dumptest"
)

// ledger is a machine with a 32-bit process, as its writer knows it.
type ledger struct {
	*Session
	process dumptest.TruthProcess
}

// openLedger opens it; change may spoil what was written.
func openLedger(t *testing.T, change func(p *dumptest.Process)) ledger {
	t.Helper()
	m := dumptest.SmallWith(dumptest.Options{})
	p := dumptest.AddLedger(m, 4)
	if change != nil {
		change(p)
	}
	d := m.Finish()
	l := ledger{Session: writtenSession(t, d)}
	for _, tp := range d.Truth().Processes {
		if tp.EPROCESS == p.EPROCESS() {
			l.process = tp
		}
	}
	l.settings.numbers, l.settings.lines = false, false // as the recorded sessions start
	answer(l.Session, fmt.Sprintf(".process /p /r %x", l.process.EPROCESS))
	return l
}

func (l ledger) thread(t *testing.T, n int, lines ...string) string {
	t.Helper()
	answer(l.Session, ".effmach .")
	var out strings.Builder
	for _, line := range append([]string{fmt.Sprintf(".thread %x", l.process.Threads[n].ETHREAD)}, lines...) {
		out.Reset()
		out.WriteString(answer(l.Session, line))
	}
	return out.String()
}

// x86Rows are the rows that k has for the 32-bit frames of a thread: ebp stands
// 8 bytes below the stack pointer of the caller.
func x86Rows(frames []dumptest.Frame) string {
	var b strings.Builder
	for i, f := range frames {
		if f.Kind != "wow64" || i+1 == len(frames) {
			continue // the outermost one's caller has no stack pointer
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(f.Symbol, "_"), "@")
		if f.Offset != 0 {
			name += fmt.Sprintf("+%#x", f.Offset)
		}
		fmt.Fprintf(&b, "%08x %08x     %s!%s\n", frames[i+1].SP-8, f.Return, f.Module, name)
	}
	return b.String()
}

// The 32-bit stacks of a thread that waits, one that sleeps and one that was
// interrupted, by the writer's frames; the form is that of context-machine.txt.
func TestWow64Stacks(t *testing.T) {
	l := openLedger(t, nil)
	for n, th := range l.process.Threads {
		const head = "  *** Stack trace for last set context - .thread/.cxr resets it\nChildEBP          RetAddr               \n"
		want := head + x86Rows(th.Stack)
		if got := l.thread(t, n, ".effmach x86", "k"); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != strings.Count(want, "\n")+1 {
			t.Errorf("thread %d:\n%swant:\n%s", n, got, want)
		}
		if got := l.thread(t, n, "!wow64exts.k"); !strings.Contains(got, x86Rows(th.Stack)) || !strings.HasPrefix(got, "Walking 64bit Stack...\nChild-SP ") ||
			!strings.Contains(got, "\n\nWalking 32bit Stack...\nChildEBP ") {
			t.Errorf("thread %d: !wow64exts.k:\n%s", n, got)
		}
	}
	if got := l.Prompt(); strings.Contains(got, "x86") {
		t.Errorf("prompt %q", got)
	}
	// Frame kinds and sizes by llvm-pdbutil's list of the images' frame data.
	got := l.thread(t, 0, ".effmach x86", "kv 3")
	for i, want := range []string{"(FPO: [0,0,0])", "(FPO: [Non-Fpo])", "(FPO: [2,9,3])"} {
		if row := strings.Split(got, "\n")[i+1]; !strings.HasSuffix(row, want) {
			t.Errorf("row %q, want %s", row, want)
		}
	}
}

func TestWow64Switch(t *testing.T) {
	l := openLedger(t, nil)
	wide := l.thread(t, 0, "r rip")
	if got := l.thread(t, 0, "!wow64exts.sw"); got != "Switched to Guest (WoW) mode\n" {
		t.Errorf("to the guest: %q", got)
	}
	if got := l.Prompt(); !strings.HasSuffix(got, "kd:x86> ") {
		t.Errorf("prompt %q", got)
	}
	inner := l.process.Threads[0].Stack
	for _, f := range inner {
		if f.Kind == "wow64" {
			want := fmt.Sprintf("esp=%08x eip=%08x\n", f.SP, f.IP)
			if got := answer(l.Session, "r esp, eip"); !strings.HasSuffix(got, want) {
				t.Errorf("r: %q, want %q", got, want)
			}
			break
		}
	}
	if got := answer(l.Session, fmt.Sprintf(".thread %x; k 1", l.process.Threads[1].ETHREAD)); !strings.Contains(got, "NtDelayExecution") {
		t.Errorf("another thread in 32-bit mode: %q", got)
	}
	if got := answer(l.Session, "!sw"); got != "Switched to Host mode\n" {
		t.Errorf("to the host: %q", got)
	}
	if got := l.thread(t, 0, "r rip"); got != wide {
		t.Errorf("rip %q, before %q", got, wide)
	}
	answer(l.Session, ".thread")
	if got := answer(l.Session, "!wow64exts.sw"); !strings.HasPrefix(got, "The current thread doesn't have an x86 context.") {
		t.Errorf("a thread of the kernel: %q", got)
	}
}

func TestWow64Blocks(t *testing.T) {
	l := openLedger(t, nil)
	th := l.process.Threads[0]
	got := l.thread(t, 0, "!wow64exts.info")
	want := fmt.Sprintf("PEB32: 0x%x\nPEB64: 0x%x\n\nWow64 information for current thread:\n\nTEB32: 0x%x\nTEB64: 0x%x\n\n32 bit, StackBase   : 0x", l.process.Peb32, l.process.Peb, th.Teb32, th.Teb)
	if !strings.HasPrefix(got, want) {
		t.Errorf("%swant:\n%s", got, want)
	}
	got = l.thread(t, 0, "!teb")
	want = fmt.Sprintf("Wow64 TEB32 at %016x\n    ExceptionList:        00000000ffffffff\n", th.Teb32)
	if !strings.HasPrefix(got, want) || !strings.Contains(got, fmt.Sprintf("\nWow64 TEB at %016x\n", th.Teb)) {
		t.Errorf("%swant:\n%s", got, want)
	}
	got = l.thread(t, 0, ".effmach x86", "!peb")
	narrow, wide, _ := strings.Cut(got, fmt.Sprintf("\n\n\nWow64 PEB at %016x\n", l.process.Peb))
	for _, want := range []string{
		fmt.Sprintf("Wow64 PEB32 at %x\n", l.process.Peb32), `C:\Windows\SYSTEM32\KERNEL32.DLL`,
		"    CommandLine:  '" + l.process.CommandLine + "'\n", "        " + strings.Join(l.process.Env, "\n        "),
	} {
		if !strings.Contains(narrow, want) {
			t.Errorf("the 32-bit PEB lacks %q:\n%s", want, narrow)
		}
	}
	if !strings.Contains(wide, "wow64cpu.dll") || strings.Contains(wide, "KERNEL32.DLL") {
		t.Errorf("64-bit PEB:\n%s", wide)
	}
	// Both loaders' modules, the second of a name with its base.
	got = answer(l.Session, "lm1m u")
	for _, m := range []string{"OldLedger\n", "ntdll\n", "ntdll_", "wow64cpu\n", "KERNEL32\n"} {
		if !strings.Contains(got, m) {
			t.Errorf("lm lacks %q:\n%s", m, got)
		}
	}
}

// What WOW64 keeps in user memory may be anything: then there are the 64-bit
// side and a reason.
func TestWow64Spoiled(t *testing.T) {
	for name, slot := range map[string]uint64{"none": 0, "nowhere": 0x123456789000, "kernel": 0xfffff80312400000, "last page": ^uint64(0)} {
		t.Run(name, func(t *testing.T) {
			l := openLedger(t, func(p *dumptest.Process) {
				const teb, slots = 0x219000, 0x1480
				p.Space.U64(teb+slots+8, slot)
			})
			if l.process.Threads[0].Teb != 0x219000 {
				t.Fatal("the writer's TEB lies elsewhere")
			}
			if got := l.thread(t, 0, "k"); !strings.Contains(got, "ntdll!LdrInitializeThunk") {
				t.Errorf("the 64-bit stack:\n%s", got)
			}
			if got := l.thread(t, 0, "!wow64exts.r"); slot != 0xfffff80312400000 && !strings.HasPrefix(got, "The current thread doesn't have an x86 context.") {
				t.Errorf("registers: %q", got)
			}
			if got := l.thread(t, 0, ".thread /w "+fmt.Sprintf("%x", l.process.Threads[0].ETHREAD)); !strings.HasSuffix(got, "x86 context set\n") {
				t.Errorf(".thread /w: %q", got)
			}
			answer(l.Session, "k")
		})
	}
}

// A minidump of both sides of a 32-bit process: the 64-bit context in the layer,
// the 32-bit one behind slot 1, a frame that ebp links.
func TestWow64Minidump(t *testing.T) {
	put := func(b []byte, off int, v uint32) { binary.LittleEndian.PutUint32(b[off:], v) }
	wide, narrow := make([]byte, 0x4d0), make([]byte, 0x2d0)
	put(wide, 0x30, 0x10001f)
	put(wide, 0x98, 0x30000) // rsp
	put(wide, 0xf8, 0x60010) // rip
	put(narrow, 4, 0x1003f)
	put(narrow, 4+0xb4, 0x20010) // ebp
	put(narrow, 4+0xb8, 0x10000) // eip
	put(narrow, 4+0xbc, 0x23)
	put(narrow, 4+0xc4, 0x20000) // esp
	teb, teb32, stack, code := make([]byte, 0x1500), make([]byte, 0x100), make([]byte, 0x40), make([]byte, 0x110)
	put(teb, 0, 0x9000)
	put(teb, 0x1488, 0x31000)
	put(teb32, 0x18, 0x9000)
	put(stack, 0x14, 0x10100)
	code[0], code[0xfb] = 0x90, 0xe8
	s := openMinidump(t, &dumptest.Minidump{
		Architecture: 9, Build: 19041, PID: 0x20,
		Threads: []dumptest.MinidumpThread{{ID: 0x10, TEB: 0x7000, Context: wide}},
		Modules: []dumptest.MinidumpModule{
			{Path: `C:\app\small.exe`, Base: 0x10000, Size: 0x4000}, {Path: `C:\Windows\System32\wow64cpu.dll`, Base: 0x60000, Size: 0x1000},
		},
		Memory: []dumptest.MinidumpMemory{
			{VA: 0x7000, Data: teb},
			{VA: 0x9000, Data: teb32},
			{VA: 0x10000, Data: code},
			{VA: 0x20000, Data: stack},
			{VA: 0x30000, Data: make([]byte, 0x40)},
			{VA: 0x31000, Data: narrow},
		},
	})
	for _, step := range []struct{ line, want string }{
		{".effmach x86", "Effective machine: x86 compatible (x86)\n"},
		{"r eip, esp", "eip=00010000 esp=00020000\n"},
		{".effmach .", "Effective machine: x64 (AMD64)\n"},
		{"r rip", "rip=0000000000060010\n"},
	} {
		if got := answer(s, step.line); got != step.want {
			t.Errorf("%s: %q, want %q", step.line, got, step.want)
		}
	}
	if got := answer(s, "!wow64exts.info"); !strings.Contains(got, "TEB32: 0x9000\nTEB64: 0x7000\n") {
		t.Errorf("!wow64exts.info: %q", got)
	}
	answer(s, ".effmach x86")
	if got := answer(s, "kc"); !strings.HasSuffix(got, "small\nsmall\n") {
		t.Errorf("kc: %q", got)
	}
	if got := s.Prompt(); got != "0:000:x86> " {
		t.Errorf("prompt %q", got)
	}
}
