package command

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kdap/engine"
	"kdap/engine/dumptest"
)

// TestRecordedUserDump replays the recorded sessions on a user minidump, and
// those on an ARM64 system's small dump.
func TestRecordedUserDump(t *testing.T) {
	tests := []struct {
		record, dump string
		but          *regexp.Regexp // what the recording engine's host said, or could not say
	}{
		{"minidump_calc/open-header.txt", "minidump_calc", nil},
		{"minidump_calc/stacks.txt", "minidump_calc", regexp.MustCompile(`^!(teb|peb|address|gle|runaway|locks)`)},
		// A warning stands within a row.
		{"minidump_calc/display.txt", "minidump_calc", regexp.MustCompile(`^dps @rsp L10$`)},
		// Every image that is not there is told in a line of its own; lists are cut.
		{"minidump_calc/modules.txt", "minidump_calc", regexp.MustCompile(`^(\.reload /f|lm\w*)$`)},
		{"triage_arm64/stacks.txt", "triage_arm64", nil},
	}
	for _, tt := range tests {
		t.Run(tt.record, func(t *testing.T) {
			replay(t, dumpSession(t, tt.dump, false), tt.record, func(command string) bool {
				return tt.but == nil || !tt.but.MatchString(command)
			})
		})
	}
}

// TestEveryCommandOnUserDump runs every command of kernel dumps on a user
// minidump: whatever it answers, it finds nothing to fall over.
func TestEveryCommandOnUserDump(t *testing.T) {
	s := dumpSession(t, "minidump_calc", false)
	for _, c := range All() {
		for _, name := range c.Names {
			switch name {
			case "q", "qq", "qd", "z", ".sleep":
				continue
			}
			for _, line := range []string{name, name + " 7776ae10", name + " calc"} {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if err := s.Execute(ctx, line, Output{Out: io.Discard}); errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s does not end", line)
				}
				cancel()
			}
		}
	}
	if got := answer(s, "? 1"); got != "Evaluate expression: 1 = 00000000`00000001\n" {
		t.Errorf("afterwards ? 1 is %q", got)
	}
}

func openMinidump(t *testing.T, m *dumptest.Minidump) *Session {
	t.Helper()
	path := filepath.Join(t.TempDir(), "small.dmp")
	if err := os.WriteFile(path, m.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	target, err := engine.Open(context.Background(), path, engine.Options{SymbolPath: t.TempDir(), CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return NewSession(target, Options{Record: true, DumpPath: "small.dmp"})
}

func quads(v ...uint64) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

// A minidump of an ARM64 process: two threads, an exception in the second. The
// context's layout is that of ARM64_NT_CONTEXT (winnt.h), the forms of the
// answers those that are recorded for x64 processes and for ARM64 systems.
func TestARM64Minidump(t *testing.T) {
	context := func(pc, lr, sp uint64) []byte {
		b := make([]byte, 0x390)
		binary.LittleEndian.PutUint32(b, 0x400007)
		copy(b[0x08:], quads(0x1111))
		copy(b[0xf8:], quads(lr, sp, pc))
		return b
	}
	s := openMinidump(t, &dumptest.Minidump{
		Architecture: 12, Build: 22621, PID: 0xabc, Created: 1000, Stamp: 1061,
		Threads: []dumptest.MinidumpThread{
			{ID: 0x10, TEB: 0x7000, Context: context(0x10004, 0x10008, 0x20000)},
			{ID: 0x14, TEB: 0x9000, Context: context(0x10000, 0x10010, 0x20000)},
		},
		Modules: []dumptest.MinidumpModule{{Path: `C:\app\arm.exe`, Base: 0x10000, Size: 0x4000, Stamp: 5}},
		Memory: []dumptest.MinidumpMemory{
			{VA: 0x10000, Data: []byte{0x60, 0x02, 0x01, 0x91, 0xc0, 0x03, 0x5f, 0xd6}}, // add x0,x19,#0x40; ret
			{VA: 0x20000, Data: quads(1, 2, 3, 4)},
		},
		Exception: &dumptest.MinidumpException{ThreadID: 0x14, Code: 0xc0000005, Address: 0x10000, Parameters: []uint64{0, 0x18}, Context: context(0x10000, 0x10010, 0x20000)},
	})
	for line, want := range map[string]string{
		"~":          "   0  Id: abc.10 Suspend: 0 Teb: 00000000`00007000 Unfrozen\n.  1  Id: abc.14 Suspend: 0 Teb: 00000000`00009000 Unfrozen\n",
		"lm1m":       "arm\n",
		"? @$ip":     "Evaluate expression: 65536 = 00000000`00010000\n",
		"r x0":       "x0=0000000000001111\n",
		"k":          "Child-SP          RetAddr               Call Site\n00000000`00020000 00000000`00010010     arm\n00000000`00020000 00000000`00000000     arm+0x10\n",
		"u @pc L2":   "arm:\n00000000`00010000 91010260 add         x0,x19,#0x40\n00000000`00010004 d65f03c0 ret\n",
		".effmach":   "Effective machine: ARM 64-bit (AArch64) (arm64)\n",
		"~0k 1":      "Child-SP          RetAddr               Call Site\n00000000`00020000 00000000`00010008     arm+0x4\n",
		"dq @sp L2":  "00000000`00020000  00000000`00000001 00000000`00000002\n",
		".exr -1":    "ExceptionAddress: 0000000000010000 (arm+0x0000000000000000)\n   ExceptionCode: c0000005 (Access violation)\n  ExceptionFlags: 00000000\nNumberParameters: 2\n   Parameter[0]: 0000000000000000\n   Parameter[1]: 0000000000000018\nAttempt to read from address 0000000000000018\n",
		"!process 0": "process is not extension gallery command\nNo export process found\n",
	} {
		if got := answer(s, line); got != want {
			t.Errorf("%s:\n%swant:\n%s", line, got, want)
		}
	}
	if got := answer(s, ".lastevent"); !strings.HasPrefix(got, "Last event: abc.14: Access violation - code c0000005") {
		t.Errorf(".lastevent: %s", got)
	}
	if got := answer(s, "~0s"); got != "arm+0x4:\n00000000`00010004 d65f03c0 ret\n" {
		t.Errorf("~0s: %s", got)
	}
	if got := s.Prompt(); got != "0:000> " {
		t.Errorf("prompt %q", got)
	}
}

// A minidump of a process of 32-bit Windows with a chain of ebp frames.
func TestX86Minidump(t *testing.T) {
	regs := make([]byte, 0x2cc)
	le := binary.LittleEndian
	le.PutUint32(regs, 0x10007)
	le.PutUint32(regs[0xb0:], 0x77)    // eax
	le.PutUint32(regs[0xb4:], 0x20010) // ebp
	le.PutUint32(regs[0xb8:], 0x10000) // eip
	le.PutUint32(regs[0xc4:], 0x20000) // esp
	stack := make([]byte, 0x40)
	le.PutUint32(stack[0x10:], 0x20020)
	le.PutUint32(stack[0x14:], 0x10100)
	s := openMinidump(t, &dumptest.Minidump{
		Architecture: 0, Build: 19041, PID: 0x20,
		Threads: []dumptest.MinidumpThread{{ID: 0x10, TEB: 0x7000, Context: regs}},
		Modules: []dumptest.MinidumpModule{{Path: `C:\app\small.exe`, Base: 0x10000, Size: 0x4000}},
		Memory: []dumptest.MinidumpMemory{
			{VA: 0x10000, Data: []byte{0x90, 0xc3}},
			{VA: 0x20000, Data: stack},
			{VA: 0x7030, Data: []byte{0, 0x50, 0, 0}},
		},
	})
	for line, want := range map[string]string{
		"r eax":        "eax=00000077\n",
		"? @$ptrsize":  "Evaluate expression: 4 = 00000004\n",
		"? @$teb":      "Evaluate expression: 28672 = 00007000\n",
		"? @$peb":      "Evaluate expression: 20480 = 00005000\n",
		"dd 20010 L2":  "00020010  00020020 00010100\n",
		"dps 20014 L1": "00020014  00010100 small+0x100\n",
		"u @eip L1":    "small:\n00010000 90              nop\n",
		"kn":           " # ChildEBP RetAddr      \nWARNING: Stack unwind information not available. Following frames may be wrong.\n00 00020010 00010100     small\n01 00020020 00000000     small+0x100\n",
		"lm":           "start    end        module name\n00010000 00014000   small    T (no symbols)           \n",
	} {
		if got := answer(s, line); strings.TrimRight(got, " \n") != strings.TrimRight(want, " \n") {
			t.Errorf("%s:\n%swant:\n%s", line, got, want)
		}
	}
}
