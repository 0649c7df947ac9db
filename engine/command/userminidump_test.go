package command

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"kdap/engine"
	"kdap/engine/arch/amd64"
	"kdap/engine/dumptest"
	"kdap/engine/memory"
)

// minidumpOf writes the process context of a kernel dump as a user minidump,
// with all of its memory, and starts a session on that.
func minidumpOf(t *testing.T, s *Session, symbols string) *Session {
	t.Helper()
	p := s.scope.process
	space, err := p.Space()
	if err != nil {
		t.Fatal(err)
	}
	m := &dumptest.Minidump{Architecture: 9, Build: s.sys.Build(), Created: 1, Stamp: 2}
	for tr, err := range space.(*memory.AddressSpace).Mapped(t.Context(), 0, 1<<47-1) {
		if err != nil {
			t.Fatal(err)
		}
		page := make([]byte, tr.PageSize)
		if _, err := space.Read(tr.VA, page); err != nil {
			continue
		}
		m.Memory = append(m.Memory, dumptest.MinidumpMemory{VA: tr.VA, Data: page})
	}
	for _, mod := range p.UserModules(t.Context()).Listed() {
		m.Modules = append(m.Modules, dumptest.MinidumpModule{
			Path: mod.Path, Base: mod.Base, Size: uint32(mod.Size), Stamp: mod.TimeDateStamp, CheckSum: mod.CheckSum,
		})
	}
	for th := range p.Threads(t.Context()) {
		pid, _ := th.PID()
		tid, _ := th.TID()
		teb, _ := th.TEB()
		context := make([]byte, amd64.ContextSize)
		binary.LittleEndian.PutUint32(context[0x30:], 0x10000b)
		if st, err := th.Stack(t.Context(), 0); err == nil {
			for _, f := range st.Frames {
				if regs := f.Context(); regs != nil && regs.RIP < 1<<47 {
					binary.LittleEndian.PutUint64(context[0x98:], regs.GPR[amd64.RSP])
					binary.LittleEndian.PutUint64(context[0xf8:], regs.RIP)
					break
				}
			}
		}
		m.PID = uint32(pid)
		m.Threads = append(m.Threads, dumptest.MinidumpThread{ID: uint32(tid), TEB: teb, Context: context})
	}
	path := filepath.Join(t.TempDir(), "process.dmp")
	if err := os.WriteFile(path, m.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	target, err := engine.Open(t.Context(), path, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return NewSession(target, Options{DumpPath: path})
}

// TestSameProcess: a process says the same of itself in a kernel dump and in a
// dump of its own.
func TestSameProcess(t *testing.T) {
	f := ferryDump(t)
	user := minidumpOf(t, f.s, f.symbols)
	for th := range f.s.scope.process.Threads(t.Context()) {
		answer(f.s, fmt.Sprintf(".thread %x", th.Addr()))
		break
	}
	for _, line := range []string{
		"!dlls", "!dlls -m", "!dlls -i", "!dlls -c ntdll", "!dlls -f -c ferry", "!peb", "!teb", "!gle", "!gle -all", "!envvar temp",
		"!cs", "!cs -l", "!cs ferry!RampLock", "!critsec ferry!DeckLock", "!ntsdexts.locks -v", "!ntsdexts.locks -o", "!tls 0", "!tls -1", "!imgreloc",
		"!findstack MoveCars 0", "!error 5", "!heap", // not -s: the ntdll of these dumps has no types, and the writer's heaps a layout of their own
	} {
		kernel, process := answer(f.s, line), answer(user, line)
		if kernel != process {
			t.Errorf("%s in the kernel dump:\n%sin the process's:\n%s", line, kernel, process)
		}
	}
	if got, want := answer(user, "!locks -v"), answer(user, "!ntsdexts.locks -v"); got != want || !bytes.Contains([]byte(got), []byte("Scanned 3")) {
		t.Errorf("!locks:\n%s", got)
	}
}

// TestThreadTimes: a minidump with a ThreadInfoList tells how long threads ran.
func TestThreadTimes(t *testing.T) {
	const second = 10_000_000
	context := make([]byte, amd64.ContextSize)
	binary.LittleEndian.PutUint32(context[0x30:], 0x10000b)
	s := openMinidump(t, &dumptest.Minidump{
		Architecture: 9, Build: 19041, PID: 0x20, Stamp: 1_700_000_010,
		Threads: []dumptest.MinidumpThread{
			{ID: 0x10, TEB: 0x7000, Context: context, Created: 116444736000000000 + 1_700_000_000*second, Kernel: second / 2, User: second},
			{ID: 0x14, TEB: 0x9000, Context: context, Created: 116444736000000000 + 1_700_000_005*second, User: 3 * second},
		},
	})
	for line, want := range map[string]string{
		".ttime": "Created: Tue Nov 14 22:13:20.000 2023 (UTC + 0:00)\nKernel:  0 days 0:00:00.500\nUser:    0 days 0:00:01.000\n",
		"!runaway 7": " User Mode Time\n  Thread       Time\n    1:14       0 days 0:00:03.000\n    0:10       0 days 0:00:01.000\n" +
			" Kernel Mode Time\n  Thread       Time\n    0:10       0 days 0:00:00.500\n    1:14       0 days 0:00:00.000\n" +
			" Elapsed Time\n  Thread       Time\n    0:10       0 days 0:00:10.000\n    1:14       0 days 0:00:05.000\n",
	} {
		if got := answer(s, line); got != want {
			t.Errorf("%s:\n%swant:\n%s", line, got, want)
		}
	}
}
