package command

import (
	"context"
	"strings"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/engine/format"
)

// laidSession starts a session on a dump that the writer makes.
func laidSession(t *testing.T, d *dumptest.Dump) *Session {
	t.Helper()
	path, symbols := dumptest.WriteFile(t, d)
	target, err := engine.Open(context.Background(), path, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return NewSession(target, Options{Record: true, DumpPath: path})
}

// inOrder checks that texts follow each other in an answer.
func inOrder(t *testing.T, answer string, texts ...string) {
	t.Helper()
	rest := answer
	for _, want := range texts {
		i := strings.Index(rest, want)
		if i < 0 {
			t.Errorf("no %q in what follows; the answer:\n%s", want, answer)
			return
		}
		rest = rest[i+len(want):]
	}
}

// TestAnalyzeFault: the blocks of a fault and their order are those of
// reference/commands/analyze.md; the writer knows the driver.
func TestAnalyzeFault(t *testing.T) {
	s := laidSession(t, dumptest.Faulted())
	got := answer(s, "!analyze -v")
	inOrder(t, got, "\nDRIVER_IRQL_NOT_LESS_OR_EQUAL (d1)\nA driver accessed pageable", "\nArg3: 0000000000000001, 0x1: it was written\n",
		"\nBUGCHECK_CODE:  d1\n\nBUGCHECK_P1: ffffc58f80000010\n\n", "WRITE_ADDRESS:  ffffc58f80000010\n\nCURRENT_IRQL:  2\n\n", "PROCESS_NAME:  System\n\nTRAP_FRAME:  ",
		" -- (.trap 0x", "NOTE: The trap frame does not contain all registers.\n", "keypad!KeypadCheckCrashKeys", "Resetting default scope\n\n",
		"FAULTING_IP: \nkeypad!KeypadCheckCrashKeys+", "STACK_TEXT:  \n", " : nt!KeBugCheckEx\n", " : nt!KiPageFault", " : keypad!KeypadCheckCrashKeys", " : nt!KiIdleLoop",
		"\n\nSYMBOL_NAME:  keypad!KeypadCheckCrashKeys+", "\n\nMODULE_NAME: keypad\n\nIMAGE_NAME:  keypad.sys\n\nSTACK_COMMAND:  .cxr; .ecxr ; kb\n\nBUCKET_ID_FUNC_OFFSET:  ",
		"\n\nFAILURE_BUCKET_ID:  AV_keypad!KeypadCheckCrashKeys\n\nOS_VERSION:  ", "\n\nFAILURE_ID_HASH:  {", "\n\nFollowup:     MachineOwner\n---------\n")
	if rest := answer(s, "!analyze -D AV_other!Function"); rest != "" {
		t.Errorf("a bucket of another name: %q", rest)
	}
	if rest := answer(s, "!analyze -D AV_keypad!KeypadCheckCrashKeys"); !strings.Contains(rest, "Probably caused by : keypad.sys ( keypad!KeypadCheckCrashKeys+") {
		t.Errorf("its bucket: %q", rest)
	}
}

// TestAnalyzeRecords: exception and context records are shown as .exr and .cxr do.
func TestAnalyzeRecords(t *testing.T) {
	stack := []string{"keypad!KeypadInterruptService", "keypad!KeypadCheckCrashKeys", "trap nt!KiPageFault"}
	stack = append([]string{"trap nt!KiInterruptDispatchNoLockNoEtw", "nt!KiInterruptSubDispatchNoLock", "nt!KiCallInterruptServiceRoutine"}, stack...)
	m := dumptest.SmallWith(dumptest.Options{BugCheck: 0x7e, Crash: dumptest.Crash{
		Stack: stack, Lay: func(_ *dumptest.Machine, c *dumptest.CrashState) [4]uint64 {
			return [4]uint64{0xffffffffc0000005, c.IP(), c.Exception(0xc0000005, 1, 0x38), c.Context()}
		},
	}})
	inOrder(t, answer(laidSession(t, m.Finish()), "!analyze -v"), "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED (7e)", "WRITE_ADDRESS:  0000000000000038",
		"EXCEPTION_RECORD:  ", " -- (.exr 0x", "ExceptionCode: c0000005 (Access violation)", "Attempt to write to address 0000000000000038\n\n",
		"CONTEXT:  ", " -- (.cxr 0x", "iopl=0", "Resetting default scope\n\n",
		"ERROR_CODE: (NTSTATUS) 0xc0000005 - The instruction at 0x%p referenced memory at 0x%p. The memory could not be %s.\n\nEXCEPTION_CODE_STR:  c0000005\n\n",
		"EXCEPTION_PARAMETER1:  0000000000000001\n\nEXCEPTION_PARAMETER2:  0000000000000038\n\nSTACK_TEXT:  \n", "keypad!KeypadCheckCrashKeys", "STACK_COMMAND:  .cxr 0x")
}

// TestAnalyzeTriage: the real small dumps. That the x64 one holds NTFS's
// records is what .enumtag of its record says.
func TestAnalyzeTriage(t *testing.T) {
	inOrder(t, answer(dumpSession(t, "triage_x64", false), "!analyze -v"), "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED (7e)", "BUGCHECK_CODE:  1000007e",
		"WRITE_ADDRESS:  ffffffffffffffff", "BLACKBOXNTFS: 1 (!blackboxntfs)\n\n\nCUSTOMER_CRASH_COUNT:  1\n\nPROCESS_NAME:  System\n\n",
		"EXCEPTION_RECORD:  ffff850429891ee8 -- (.exr 0xffff850429891ee8)", "Attempt to write to address ffffffffffffffff",
		"CONTEXT:  ffff850429891720 -- (.cxr 0xffff850429891720)", "amdppm+0x334c:", "SYMBOL_NAME:  amdppm+334c", "STACK_COMMAND:  .cxr 0xffff850429891720 ; kb")
	inOrder(t, answer(dumpSession(t, "triage_arm64", false), "!analyze -v"), "MANUALLY_INITIATED_POWER_BUTTON_HOLD (1c8)", "Arg1: 0000000000001b58, ",
		"CUSTOMER_CRASH_COUNT:  1", "STACK_TEXT:  \n", "FAILURE_BUCKET_ID:  ")
}

// TestAnalyzeProcess: the reference minidump; .ecxr and .exr -1 are in its record.
func TestAnalyzeProcess(t *testing.T) {
	s := dumpSession(t, "minidump_calc", false)
	inOrder(t, answer(s, "!analyze -v"), "Exception Analysis", "CONTEXT:  (.ecxr)\nrax=000007fffffd5000", "Resetting default scope\n\nEXCEPTION_RECORD:  (.exr -1)\n",
		"FAULTING_THREAD:  0000065c\n\nPROCESS_NAME:  calc.exe\n\n", "EXCEPTION_CODE_STR:  80000003\n\n", "STACK_TEXT:  \n", "STACK_COMMAND:  ~4s; .ecxr ; kb\n",
		"FAILURE_BUCKET_ID:  BREAKPOINT_80000003_ntdll.dll\n")
	if got := answer(s, "!analyze -hang"); !strings.HasPrefix(got, "!analyze: -hang needs the kernel's threads") {
		t.Errorf("-hang: %q", got)
	}
}

// TestAnalyzeHang: the deadlock that lab19041.json tells of.
func TestAnalyzeHang(t *testing.T) {
	inOrder(t, answer(labSession(t), "!analyze -hang"), "Scanning for threads blocked on locks ...\n", `
DERIVED_WAIT_CHAIN:  

Dl Thread            Cid        WaitType
-- ----------------- ---------- --------------------------
x  ffffe38711017080  0004.0048  Resource ffffe3872010f6e0 -->
x  ffffe38711018080  0004.004c  Resource ffffe3872010f7e0 --> ffffe38711017080 (deadlock)
`, "x  ffffe38711019080  0004.0050  Resource ffffe3872010f7e0 -->\n", "\nBLOCKING_THREAD:  ffffe38711017080\n\nBLOCKED_THREADS:  2\n\nPROCESS_NAME:  System\n\nSTACK_TEXT:  \n",
		"nt!ExpWaitForResource+0x", "Followup:     MachineOwner\n---------\n")
	if got := answer(dumpSession(t, "triage_x64", false), "!analyze -hang"); !strings.HasPrefix(got, "!analyze: -hang needs the threads of the whole system") {
		t.Errorf("of a small dump: %q", got)
	}
}

// TestErrorRecord compares the form with published answers to !errrec; the
// record is laid as appendix N of the UEFI specification has it.
func TestErrorRecord(t *testing.T) {
	var at uint64
	m := dumptest.SmallWith(dumptest.Options{BugCheck: 0x124, Crash: dumptest.Crash{
		Lay: func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			at = m.Lay(memoryRecord())
			return [4]uint64{4, at}
		},
	}})
	s := laidSession(t, m.Finish())
	a := format.Hex16(at)
	want := thickRule + "Common Platform Error Record @ " + a + "\n" + thinRule + `Record Id     : 0000000000000000
Severity      : Fatal (1)
Length        : 280
Creator       : {00000000-0000-0000-0000-000000000000}
Notify Type   : {00000000-0000-0000-0000-000000000000}
Flags         : 0x00000000

` + thickRule + "Section 0     : Memory Error\n" + thinRule + "Descriptor    @ " + format.Hex16(at+128) + "\nSection       @ " + format.Hex16(at+200) + `
Offset        : 200
Length        : 80
Flags         : 0x00000001 Primary
Severity      : Fatal

Error Type    : Multi-bit ECC
Physical Address: 0x0000000012345000
`
	if got := answer(s, "!errrec "+a); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	inOrder(t, answer(s, "!analyze -v"), "WHEA_UNCORRECTABLE_ERROR (124)", "Arg1: 0000000000000004, PCI Express Error", "WHEA_ERROR_RECORD:  "+a,
		"WHEA_SECTION_0:  Memory Error (primary)\n    Error Type: Multi-bit ECC\n", "MODULE_NAME: Unknown_Module", "FAILURE_BUCKET_ID:  0x124_4_MEMORY\n")
	if got := answer(s, "!errrec 10"); got != "Unable to read WHEA error record at 0000000000000010\n" {
		t.Errorf("no record: %q", got)
	}
}

// memoryRecord renders an error record with one section, of a memory error.
func memoryRecord() []byte {
	b := make([]byte, 280)
	copy(b, "CPER")
	b[10], b[12], b[128+48] = 1, 1, 1
	b[20], b[21] = 0x18, 1
	d := b[128:]
	d[0], d[4], d[12] = 200, 80, 1
	copy(d[16:], []byte{0x14, 0x11, 0xbc, 0xa5, 0x64, 0x6f, 0xde, 0x4e, 0xb8, 0x63, 0x3e, 0x83, 0xed, 0x7c, 0x83, 0xb1})
	s := b[200:]
	s[0], s[1] = 1<<1, 1<<6
	copy(s[16:], []byte{0, 0x50, 0x34, 0x12})
	s[72] = 3
	return b
}
