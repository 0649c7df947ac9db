package analyze

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/engine/windows"
)

var le = binary.LittleEndian

// laid makes a machine that crashes, writes it as a dump and explains it.
func laid(t *testing.T, o dumptest.Options, add func(*dumptest.Machine)) (*Report, *dumptest.Machine) {
	t.Helper()
	m := dumptest.SmallWith(o)
	if add != nil {
		add(m)
	}
	path, symbols := dumptest.WriteFile(t, m.Finish())
	target, err := engine.Open(context.Background(), path, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	sys := target.System
	return New(context.Background(), sys, sys.Kernel(), sys.KernelModules(context.Background())), m
}

func (r *Report) text(label string) string {
	for _, d := range r.Details {
		if d.Label == label {
			return d.Text
		}
	}
	return ""
}

// faulted is a driver that touches bad memory in its interrupt routine.
var faulted = []string{
	"trap nt!KiInterruptDispatchNoLockNoEtw", "nt!KiInterruptSubDispatchNoLock", "nt!KiCallInterruptServiceRoutine",
	"keypad!KeypadInterruptService", "keypad!KeypadCheckCrashKeys", "trap nt!KiPageFault",
}

// interrupted is a driver that the clock interrupts.
var interrupted = []string{
	"trap nt!KiInterruptDispatchNoLockNoEtw", "nt!KiInterruptSubDispatchNoLock", "nt!KiCallInterruptServiceRoutine",
	"keypad!KeypadInterruptService", "trap nt!KiInterruptDispatchNoLockNoEtw", "nt!KiInterruptSubDispatchNoLock",
}

// A laidCase is a crash that the writer lays, and what must be told of it.
type laidCase struct {
	name   string
	code   uint32
	stack  []string
	lay    func(*dumptest.Machine, *dumptest.CrashState) [4]uint64
	want   map[string]string // details: how they begin
	symbol string            // of the culprit, how it begins; "" for none
	bucket string
	sure   bool
}

const badAddress = 0xffffc58f7fff0010

func params(p ...uint64) func(*dumptest.Machine, *dumptest.CrashState) [4]uint64 {
	return func(*dumptest.Machine, *dumptest.CrashState) [4]uint64 {
		var a [4]uint64
		copy(a[:], p)
		return a
	}
}

func laidCases() []laidCase {
	fault := func(irqlFirst bool, access uint64) func(*dumptest.Machine, *dumptest.CrashState) [4]uint64 {
		return func(_ *dumptest.Machine, c *dumptest.CrashState) [4]uint64 {
			if irqlFirst {
				return [4]uint64{badAddress, 2, access, c.IP()}
			}
			return [4]uint64{badAddress, access, c.IP(), 2}
		}
	}
	context := func(first uint64) func(*dumptest.Machine, *dumptest.CrashState) [4]uint64 {
		return func(_ *dumptest.Machine, c *dumptest.CrashState) [4]uint64 {
			return [4]uint64{first, c.IP(), c.Exception(uint32(first), 0, badAddress), c.Context()}
		}
	}
	const keypad = "keypad!KeypadCheckCrashKeys+"
	return []laidCase{
		{"irql", 0xa, faulted, fault(true, 1), map[string]string{"WRITE_ADDRESS": "ffffc58f7fff0010", "CURRENT_IRQL": "2"}, keypad, "AV_keypad!KeypadCheckCrashKeys", true},
		{"driver irql", 0xd1, faulted, fault(true, 8), map[string]string{"EXECUTE_ADDRESS": "ffffc58f7fff0010"}, keypad, "AV_keypad!KeypadCheckCrashKeys", true},
		{"pool irql", 0xc5, faulted, fault(true, 0), map[string]string{"READ_ADDRESS": "ffffc58f7fff0010"}, keypad, "AV_keypad!KeypadCheckCrashKeys", true},
		{"page fault", 0x50, faulted, fault(false, 2), map[string]string{"WRITE_ADDRESS": "ffffc58f7fff0010", "MM_INTERNAL_CODE": "2"}, keypad, "AV_W_INVALID_keypad!KeypadCheckCrashKeys", true},
		{"page fault, executed", 0x50, faulted, fault(false, 0x10), map[string]string{"EXECUTE_ADDRESS": ""}, keypad, "AV_X_INVALID_keypad!KeypadCheckCrashKeys", true},
		{
			"unloaded driver", 0xce, faulted, params(0xfffff80319c41000, 0, 0xfffff80319c41000),
			map[string]string{"READ_ADDRESS": "fffff80319c41000 (<Unloaded_hwpolicy.sys>+0x1000)"},
			keypad, "AV_keypad!KeypadCheckCrashKeys", true,
		},
		{"system thread", 0x7e, faulted, context(0xffffffffc0000005), map[string]string{"READ_ADDRESS": "ffffc58f7fff0010"}, keypad, "AV_keypad!KeypadCheckCrashKeys", true},
		{"system thread, divided", 0x7e, faulted, context(0xffffffffc0000094), nil, keypad, "0x7E_keypad!KeypadCheckCrashKeys", true},
		{"system service", 0x3b, faulted, func(_ *dumptest.Machine, c *dumptest.CrashState) [4]uint64 {
			return [4]uint64{0xc0000005, c.IP(), c.Context(), 0}
		}, nil, keypad, "AV_keypad!KeypadCheckCrashKeys", true},
		{"kernel exception", 0x1e, faulted, func(_ *dumptest.Machine, c *dumptest.CrashState) [4]uint64 {
			return [4]uint64{0xffffffffc0000005, c.IP(), 1, 0x38}
		}, map[string]string{"WRITE_ADDRESS": "0000000000000038"}, keypad, "AV_keypad!KeypadCheckCrashKeys", true},
		{"kernel exception with a trap frame", 0x8e, faulted, func(_ *dumptest.Machine, c *dumptest.CrashState) [4]uint64 {
			return [4]uint64{0xc000001d, c.IP(), c.Trap, 0}
		}, nil, keypad, "0x8E_keypad!KeypadCheckCrashKeys", true},
		{"fast fail", 0x139, faulted, func(_ *dumptest.Machine, c *dumptest.CrashState) [4]uint64 {
			return [4]uint64{3, c.Trap, c.Exception(0xc0000409, 3), 0}
		}, map[string]string{"FAST_FAIL": "0x3 FAST_FAIL_CORRUPT_LIST_ENTRY"}, keypad, "0x139_3_CORRUPT_LIST_ENTRY_keypad!KeypadCheckCrashKeys", true},
		{"double fault", 0x7f, faulted, func(_ *dumptest.Machine, c *dumptest.CrashState) [4]uint64 {
			return [4]uint64{8, c.Trap, c.SP(), c.IP()}
		}, map[string]string{"TRAP_NUMBER": "8 - EXCEPTION_DOUBLE_FAULT"}, keypad, "0x7F_8_keypad!KeypadCheckCrashKeys", true},
		{"execute", 0xfc, faulted, func(_ *dumptest.Machine, c *dumptest.CrashState) [4]uint64 {
			return [4]uint64{badAddress, 0x8000000000000963, c.Trap, 2}
		}, map[string]string{"EXECUTE_ADDRESS": "ffffc58f7fff0010"}, keypad, "0xFC_keypad!KeypadCheckCrashKeys", true},
		{"store", 0x154, faulted, func(m *dumptest.Machine, c *dumptest.CrashState) [4]uint64 {
			pointers := le.AppendUint64(nil, c.Exception(0xc0000006, 0, badAddress, 0xc000000e))
			return [4]uint64{badAddress, m.Lay(le.AppendUint64(pointers, c.Context()))}
		}, nil, keypad, "0x154_keypad!KeypadCheckCrashKeys", true},
		{"watchdog", 0x133, interrupted, params(0, 0x501, 0x500), map[string]string{"DPC_TIMEOUT_TYPE": "SINGLE_DPC_TIMEOUT_EXCEEDED"}, "keypad!KeypadInterruptService", "0x133_DPC_keypad!KeypadInterruptService", true},
		{"watchdog, in sum", 0x133, interrupted, params(1, 0x1e00), map[string]string{"DPC_TIMEOUT_TYPE": "DPC_QUEUE_EXECUTION_TIMEOUT_EXCEEDED"}, "keypad!KeypadInterruptService", "0x133_ISR_keypad!KeypadInterruptService", true},
		{"cookie", 0xf7, nil, params(0x1234, 0x5678, ^uint64(0x5678)), map[string]string{"SECURITY_COOKIE": "Expected 0000000000005678 found 0000000000001234"}, keypad, "0xF7_keypad!KeypadCheckCrashKeys", true},
		{"power", 0x9f, nil, func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			device := m.NewDevice("keypad", "")
			driver := le.Uint64(m.Kernel.Read(device+uint64(dumptest.OffsetOf("_DEVICE_OBJECT", "DriverObject")), 8))
			m.Set("_DRIVER_OBJECT", driver, "DriverStart", m.DriverBase("keypad"))
			return [4]uint64{3, device, 0, m.Lay(powerRequest(device))}
		}, map[string]string{
			"DRVPOWERSTATE_SUBCODE": "3", "IRP_ADDRESS": "", "DRIVER_NAME": `\Driver\keypad`, "IRP_FUNCTION": "IRP_MN_SET_POWER", "DEVICE_STACK": "\n",
		}, "keypad", "0x9F_3_keypad", true},
		{"power, the lock", 0x9f, nil, func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			return [4]uint64{4, 300, m.IdleThread(2), 0}
		}, map[string]string{"DRVPOWERSTATE_SUBCODE": "4"}, "nt!", "0x9F_4_nt!HalProcessorIdle", false},
		{"critical process", 0xef, nil, func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			p := m.System().EPROCESS()
			m.Set("_EPROCESS", p, "ExitStatus", 0xc0000005)
			return [4]uint64{p}
		}, map[string]string{"CRITICAL_PROCESS": "System", "EXIT_STATUS": "c0000005 - STATUS_ACCESS_VIOLATION"}, keypad, "0xEF_System_TERMINATED_c0000005_keypad!KeypadCheckCrashKeys", true},
		{"critical object", 0xf4, nil, func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			return [4]uint64{3, m.System().EPROCESS(), 0, m.Lay([]byte("Terminating critical process\x00"))}
		}, map[string]string{"CRITICAL_PROCESS": "System", "TERMINATION_REASON": "Terminating critical process"}, keypad, "0xF4_System_keypad!KeypadCheckCrashKeys", true},
		{"clock", 0x101, nil, func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			return [4]uint64{0x10, 0, m.PRCB(2), 2}
		}, map[string]string{"FAULTING_PROCESSOR": "2"}, "nt!HalProcessorIdle", "CLOCK_WATCHDOG_TIMEOUT_2_PROC_nt!HalProcessorIdle", false},
		{"display", 0x116, nil, func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			return [4]uint64{badAddress, m.DriverBase("keypad") + 0x1010, 0xc000009a}
		}, map[string]string{"FAULTING_MODULE": ""}, "keypad", "0x116_keypad!KeypadCheckCrashKeys", true},
		{"pool header", 0x19, nil, func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			return [4]uint64{0x20, m.Lay(quillBlock()), badAddress, 0x4020005}
		}, map[string]string{"POOL_ADDRESS": "", "FREED_POOL_TAG": "Quil"}, keypad, "0x19_20_keypad!KeypadCheckCrashKeys", false},
		{"pool caller", 0xc2, nil, func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			return [4]uint64{7, 0x126c, 0x4020005, m.Lay(quillBlock()) + 0x10}
		}, map[string]string{"FREED_POOL_TAG": "Quil"}, keypad, "0xC2_7_keypad!KeypadCheckCrashKeys", true},
		{"reference", 0x18, nil, func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			return [4]uint64{0, m.System().EPROCESS(), 2, 0}
		}, map[string]string{"OBJECT_ADDRESS": ""}, keypad, "0x18_keypad!KeypadCheckCrashKeys", true},
		{"memory", 0x1a, nil, params(0x41790, badAddress, 0, 1), nil, keypad, "0x1A_41790_keypad!KeypadCheckCrashKeys", false},
		{"page list", 0x4e, nil, params(0x99, 0x1234, 2, 0), nil, keypad, "0x4E_99_keypad!KeypadCheckCrashKeys", false},
		{"bad page", 0x12b, nil, params(badAddress, 0x1234), map[string]string{"PHYSICAL_PAGE": "1234"}, "", "0x12B", false},
		{"power manager", 0xa0, nil, params(0xb, 0x1000, 0x800), nil, keypad, "0xA0_b_keypad!KeypadCheckCrashKeys", true},
		{"verifier", 0xc4, nil, func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			return [4]uint64{0x62, m.Lay([]byte("keypad.sys\x00")), 0, 3}
		}, map[string]string{"DRIVER_NAME": "keypad.sys"}, "keypad", "0xC4_62_keypad", true},
		{"scheduler of graphics", 0x119, nil, func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			return [4]uint64{2, 0xc000000d, m.DriverBase("keypad") + 0x1010}
		}, nil, "keypad", "0x119_2_keypad!KeypadCheckCrashKeys", true},
		{"hardware", 0x124, nil, func(m *dumptest.Machine, _ *dumptest.CrashState) [4]uint64 {
			return [4]uint64{0, m.Lay(errorRecord()), 0xbf800000, 0x00000124}
		}, map[string]string{"WHEA_SECTION_0": "Processor Generic (primary)", "MCI_STATUS": "bf80000000000124 DCACHEL0_WR_ERR"}, "", "0x124_0_GenuineIntel_PROCESSOR", false},
	}
}

// powerRequest renders an _IRP with one stack location, which is the current one.
func powerRequest(device uint64) []byte {
	size, location := dumptest.SizeOf("_IRP"), dumptest.SizeOf("_IO_STACK_LOCATION")
	b := make([]byte, size+location)
	le.PutUint16(b[dumptest.OffsetOf("_IRP", "Type"):], 6)
	le.PutUint16(b[dumptest.OffsetOf("_IRP", "Size"):], uint16(len(b)))
	b[dumptest.OffsetOf("_IRP", "StackCount")] = 1
	b[dumptest.OffsetOf("_IRP", "CurrentLocation")] = 1
	at := b[size:]
	at[dumptest.OffsetOf("_IO_STACK_LOCATION", "MajorFunction")] = 0x16
	at[dumptest.OffsetOf("_IO_STACK_LOCATION", "MinorFunction")] = 2
	le.PutUint64(at[dumptest.OffsetOf("_IO_STACK_LOCATION", "DeviceObject"):], device)
	return b
}

// quillBlock renders a block of pool with its header.
func quillBlock() []byte {
	b := make([]byte, 0x50)
	copy(b[dumptest.OffsetOf("_POOL_HEADER", "PoolTag"):], "Quil")
	return b
}

// errorRecord renders a record of two sections: the processor's generic one,
// and a machine check of an Intel processor.
func errorRecord() []byte {
	const sections, generic, check = 2, 128 + 2*72, 128 + 2*72 + 192
	b := make([]byte, check+264)
	copy(b, "CPER")
	le.PutUint16(b[4:], 0x210)
	le.PutUint16(b[10:], sections)
	le.PutUint32(b[12:], 1)
	le.PutUint32(b[20:], uint32(len(b)))
	descriptor := func(i int, offset, length, flags uint32, guid []byte) {
		d := b[128+72*i:]
		le.PutUint32(d, offset)
		le.PutUint32(d[4:], length)
		le.PutUint32(d[12:], flags)
		copy(d[16:], guid)
		le.PutUint32(d[48:], 1)
	}
	descriptor(0, generic, 192, 1, []byte{0xad, 0xcc, 0x76, 0x98, 0xb4, 0x47, 0xdb, 0x4b, 0xb6, 0x5e, 0x16, 0xf1, 0x93, 0xc4, 0xf3, 0xdb})
	descriptor(1, check, 264, 0, []byte{0x01, 0x1d, 0x1e, 0x8a, 0xf9, 0x42, 0x57, 0x45, 0x9c, 0x33, 0x56, 0x5e, 0x5c, 0xc3, 0xf7, 0xe8})
	g := b[generic:]
	le.PutUint64(g, 0x7)
	g[9], g[10] = 2, 1
	c := b[check:]
	le.PutUint32(c[4:], 1)
	le.PutUint64(c[40:], 0xbf80000000000124)
	return b
}

// TestLaidCrashes: for each family a crash whose cause the writer knows.
func TestLaidCrashes(t *testing.T) {
	for _, tt := range laidCases() {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := laid(t, dumptest.Options{Processors: 3, BugCheck: tt.code, Crash: dumptest.Crash{Stack: tt.stack, Lay: tt.lay}}, nil)
			for label, begin := range tt.want {
				if text := r.text(label); text == "" || !strings.HasPrefix(text, begin) {
					t.Errorf("%s: %q, want it to begin with %q", label, text, begin)
				}
			}
			f, ok := r.Culprit()
			if ok != (tt.symbol != "") || !strings.HasPrefix(f.Symbol(), tt.symbol) || r.Sure != tt.sure || r.Why == "" {
				t.Errorf("blamed %q (%v), sure %v: %s", f.Symbol(), ok, r.Sure, r.Why)
			}
			if r.Bucket != tt.bucket {
				t.Errorf("bucket %s, want %s", r.Bucket, tt.bucket)
			}
			for _, err := range r.Missing {
				if !strings.Contains(err.Error(), "DeviceObjectExtension") { // these devices have none
					t.Errorf("missing: %v", err)
				}
			}
			for _, f := range r.Frames {
				if f.Kind == windows.TrapFrame && r.family().inTrap && r.TrapFrame == 0 {
					t.Errorf("no trap frame told")
				}
			}
			if len(r.Description) == 0 {
				t.Error("no description")
			}
		})
	}
}
