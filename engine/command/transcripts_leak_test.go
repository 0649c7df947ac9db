package command

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"kdap/engine/dumptest"
)

// The machine of the transcripts about processes and memory: a kernel whose
// waiting functions lie where the stacks show them, the leaking process with
// its threads and heaps, one whose environment is shown, and 16 GB of pages.

const (
	leakProcess  = 0xffffcb0c950ea0c0
	leakHeap     = 0x1244e6d0000
	leakBlock    = 0x1244ea51c60 // the block that is dumped
	leakSize     = 0x1000
	storyNT      = 0xfffff80672c00000
	storyPages   = 4167656
	storyLetters = `==> Allocated addr: %016X`
)

// storyKernel is the kernel with the functions that threads wait in.
func storyKernel() *dumptest.Image {
	calls := func(at uint32, name string) map[uint32]string { return map[uint32]string{at: name} }
	return dumptest.LoadImage("ntoskrnl.exe").Placed(0x1046000,
		dumptest.PlacedFunction{Name: "KeWaitForSingleObject", RVA: 0x21a840, Frame: 0xf0, Calls: calls(0x233, "KiCommitThreadWait")},
		dumptest.PlacedFunction{Name: "KiCommitThreadWait", RVA: 0x21b080, Frame: 0xa0, Calls: calls(0x14f, "KiSwapThread")},
		dumptest.PlacedFunction{Name: "KiSwapThread", RVA: 0x21b7a0, Frame: 0xb0, Calls: calls(0x500, "KiSwapContext")},
		dumptest.PlacedFunction{Name: "KiSwapContext", RVA: 0x406a40, Frame: 0x140, Calls: calls(0x76, "SwapContext")},
		dumptest.PlacedFunction{Name: "KeWaitForAlertByThreadId", RVA: 0x2f50e0, Frame: 0x60, Calls: calls(0xc4, "KiCommitThreadWait")},
		dumptest.PlacedFunction{Name: "IopWaitForSynchronousIoEvent", RVA: 0x3f1444, Frame: 0x50, Calls: calls(0x50, "KeWaitForSingleObject")},
		dumptest.PlacedFunction{
			Name: "KiSystemCall64", Copy: "KiSystemCall64", Return: 0x4105f5,
			Labels: map[string]uint32{"KiSystemServiceStart": 0x4105c0, "KiSystemServiceCopyEnd": 0x4105d0, "KiSystemServiceExit": 0x410600},
		},
		dumptest.PlacedFunction{Name: "IopSynchronousServiceTail", RVA: 0x601000, Frame: 0xa0, Calls: calls(0x1ab, "IopWaitForSynchronousIoEvent")},
		dumptest.PlacedFunction{Name: "NtWaitForSingleObject", RVA: 0x601a00, Frame: 0x40, Calls: calls(0x6a, "ObWaitForSingleObject")},
		dumptest.PlacedFunction{Name: "ObWaitForSingleObject", RVA: 0x601a80, Frame: 0x60, Calls: calls(0x91, "KeWaitForSingleObject")},
		dumptest.PlacedFunction{Name: "NtReadFile", RVA: 0x6a0000, Frame: 0x280, Calls: calls(0x8b9, "IopSynchronousServiceTail")},
		dumptest.PlacedFunction{Name: "NtWaitForAlertByThreadId", RVA: 0x6b1cf0, Frame: 0x30, Calls: calls(0x30, "KeWaitForAlertByThreadId")},
	)
}

// leakMachine lays the machine down.
func leakMachine(t testing.TB) *dumptest.Dump {
	m := dumptest.NewMachine(dumptest.Options{
		Runs:       []dumptest.Run{{Base: 1, Count: 0x9e}, {Base: 0x100, Count: 0x8bf00}, {Base: 0x100000, Count: storyPages - 0x9e - 0x8bf00}},
		Processors: 8, Relative: "tutorial", NtdllTypes: true, Shadow: true, Computer: "THINKPAD-X280", BuildLab: "19041.1.amd64fre.vb_release.191206-1406",
		Kernel: storyKernel(), KernelBase: storyNT, XSave: 0x440, Root: 0x1ad,
		System: dumptest.Placement{EPROCESS: 0xffffcb0c8a6bf080, ObjectTable: 0xffffa58427e2e600, Handles: 3952},
	})
	m.PlaceImage("d4c.exe", 0x7ff6d4a10000)
	m.PlaceImage("kernel32.dll", 0x7ffa1d4e0000)
	m.PlaceImage("ntdll.dll", 0x7ffa1e350000)
	m.AddProcess(dumptest.ProcessOptions{
		PID: 0x7c, PPID: 4, Name: "Registry", Session: -1,
		Placement: dumptest.Placement{EPROCESS: 0xffffcb0c8a71f080, ObjectTable: 0xffffa58427e5c5c0, Root: 0x7dc},
	})
	storyEnvironment(t, m)
	storyLeak(m)
	m.AddProcess(dumptest.ProcessOptions{PPID: 4, Name: "setup.exe", Image: "svchost.exe", Exited: true, Session: 1})
	storyMemory(t, m)
	return m.Finish()
}

// storyEnvironment adds the process whose environment is shown.
func storyEnvironment(t testing.TB, m *dumptest.Machine) {
	tr := findTranscript(t, "5", "!peb")
	var env []string
	at := uint64(0)
	for _, l := range tr.lines {
		l = strings.TrimSpace(l)
		if v, ok := strings.CutPrefix(l, "Environment:"); ok {
			at = parseHex(t, v)
		} else if strings.Contains(l, "=") {
			env = append(env, l)
		}
	}
	m.AddProcess(dumptest.ProcessOptions{
		PID: 0x1f2c, PPID: 4, Name: "svchost.exe", Image: "svchost.exe", Session: 0, Environment: withGaps(env),
		Placement: dumptest.Placement{EPROCESS: storyEnvProcess, Heap: at &^ 0xffff, EnvironmentBlock: at},
	})
}

const storyEnvProcess = 0xffffcb0c93a2c0c0

// withGaps puts a variable where the author left some out: each gap stands for
// at least nothing, so the ends get one.
func withGaps(env []string) []string {
	return append(append([]string{`ALLUSERSPROFILE=C:\ProgramData`}, env...), `windir=C:\WINDOWS`)
}

// storyLeak adds the leaking process.
func storyLeak(m *dumptest.Machine) {
	p := m.AddProcess(dumptest.ProcessOptions{
		PID: 0xd40, PPID: 0x3758, Name: "D4C.exe", Image: "svchost.exe", Folder: `C:\Users\Win10\Desktop`, Session: 3, User: "Win10",
		CommandLine: `"C:\Users\Win10\Desktop\D4C.exe" `, CurrentDirectory: `C:\Users\Win10\Desktop\`, Age: 192504 * time.Millisecond,
		Placement: dumptest.Placement{
			EPROCESS: leakProcess, ObjectTable: 0xffffa5843cdd8c00, Handles: 51, Root: 0x27cd1f,
			PEB: 0x13c75e4000, Heap: leakHeap, Stacks: 0x13c7360000, StackCommit: 0x4000,
		},
	})
	main := p.AddThread(dumptest.ThreadOptions{
		TID: 0x29c8, ETHREAD: 0xffffcb0c93f24080, KernelStack: 0xffffef812c6f0000, Stack: mainStack, LastStatus: 0xc0000034,
		Objects: []uint64{m.PlaceEvent(0xffffcb0c93ce5060, true)}, UserTicks: 57, KernelTick: 142,
	})
	main.SetTEB("ThreadLocalStoragePointer", 0x1244e6d33c0)
	p.AddThread(dumptest.ThreadOptions{
		TID: 0x2bd8, ETHREAD: 0xffffcb0c93d17080, KernelStack: 0xffffef812c748000, Priority: 9,
		Stack:  []string{"ntdll!TppWorkerThread", "ntdll!NtWaitForWorkViaWorkerFactory"},
		Kernel: []string{"NtWaitForAlertByThreadId", "KeWaitForAlertByThreadId"}, Reason: "WrAlertByThreadId",
	})
	reader := p.AddThread(dumptest.ThreadOptions{
		TID: 0x0c34, ETHREAD: 0xffffcb0c95645080, KernelStack: 0xffffef812c848000, Alertable: true,
		Objects: []uint64{m.PlaceEvent(0xffffcb0c95f1c2d8, false)},
		Stack:   []string{"svchost!ReaderThread", "kernel32!ReadFile", "ntdll!NtReadFile"},
		Kernel:  []string{"NtReadFile", "IopSynchronousServiceTail", "IopWaitForSynchronousIoEvent", "KeWaitForSingleObject"},
	})
	reader.Set("Tcb.WaitMode", 0)
	for path, v := range map[string]uint64{
		"CommitCharge": 872309, "SharedCommitCharge": 371, "NumberOfPrivatePages": 871204, "VirtualSize": 7583 << 20,
		"Vm.Instance.WorkingSetLeafSize": 872210, "Vm.Instance.PeakWorkingSetSize": 872181, "Vm.Instance.PageFaultCount": 873911,
	} {
		p.Set(path, v)
	}
	storyHeaps(p)
}

var mainStack = []string{"svchost!mainCRTStartup", "svchost!WaitForTheEnd", "kernel32!WaitForSingleObjectEx", "ntdll!NtWaitForSingleObject"}

// parseHex reads a number of a transcript.
func parseHex(t testing.TB, text string) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var storyCounter = regexp.MustCompile(`^ *([A-Za-z/ ]+): +([0-9]+) \( *[0-9]+ [Kk]b\)$`)

// storyCounters reads the figures of a transcript: "label: pages (kb)".
func storyCounters(t testing.TB, number, command string) map[string]uint64 {
	t.Helper()
	return countersOf(findTranscript(t, number, command).lines)
}

func countersOf(lines []string) map[string]uint64 {
	all := map[string]uint64{}
	for _, l := range lines {
		if m := storyCounter.FindStringSubmatch(l); m != nil {
			all[m[1]], _ = strconv.ParseUint(m[2], 10, 64)
		}
	}
	return all
}
