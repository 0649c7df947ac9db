package dumptest

import (
	"fmt"
	"time"
)

// Leak numbers of the demo: what QuillPress took and what of it is in memory.
const (
	demoBlocks   = 1016
	demoResident = 12 // newest blocks, whole
	demoBlock    = 0x10070
	pagePixels   = 0x10000
	quillMagic   = 0x4c495551
)

// Demo is the machine of "kdap demo": a small office computer that someone
// crashed by hand because QuillPress had eaten its memory, with two programs
// that stand still for other reasons.
func Demo() *Dump { return DemoOf("") }

// DemoOf is that machine with a relative of the kernel, and of ntdll's types.
func DemoOf(relative string) *Dump {
	m := NewMachine(Options{
		Runs: []Run{{1, 0x9e}, {0x100, 0x1400}, {0x8000, 0x600}}, Processors: 4, InvalidPteMask: 0x0000_2000_0000_0000, Shadow: true,
		Firmware: demoFirmware(), Relative: relative, NtdllTypes: relative != "",
	})
	m.AddAbsentDriver("hal.dll", 0x6000, 0x71b2c0de)
	m.AddAbsentDriver("stornvme.sys", 0x2f000, 0x5c3a1e77)
	m.AddAbsentDriver("ntfs.sys", 0x2d9000, 0x9d1e0b35)
	m.AddAbsentDriver("tcpip.sys", 0x2eb000, 0x42ad1f60)
	m.AddDriver("keypad.sys")
	m.AddAbsentDriver("wcifs.sys", 0x39000, 0xb7a94c11)
	demoSystem(m)
	services := demoServices(m)
	desk := demoDesktop(m, services)
	quill := demoQuill(m, desk)
	demoFerry(m, desk)
	demoRegistry(m, desk, quill)
	demoMemory(m)
	return m.Finish()
}

func demoSystem(m *Machine) {
	s := m.System()
	for range 4 {
		s.AddThread(ThreadOptions{Stack: []string{"ExpWorkerThread", "KeRemovePriQueue"}, Reason: "WrQueue", Priority: 12, KernelTick: 9})
	}
	s.AddThread(ThreadOptions{Stack: []string{"KeBalanceSetManager", "KeWaitForMultipleObjects"}, Priority: 17, Objects: []uint64{
		m.NewEvent("", true, false), m.NewEvent("", true, false),
	}})
	s.AddThread(ThreadOptions{Stack: []string{"MiModifiedPageWriter", "KeWaitForSingleObject"}, Reason: "WrFreePage", Priority: 17})
	s.AddThread(ThreadOptions{Stack: []string{"ExpLuidThread", "ExpIdleHelper+0x40", "KeDelayExecutionThread"}, Reason: "DelayExecution"})
	s.AddThread(ThreadOptions{Stack: []string{"ExpWorkerThread", "KeRemovePriQueue"}, Reason: "WrQueue", NotResident: true})
	// One worker waits for a resource that another one owns.
	owner := s.AddThread(ThreadOptions{Stack: []string{"ExpLuidThread", "ExpIdleHelper+0x40", "KeDelayExecutionThread"}, Reason: "DelayExecution"})
	waiter := s.AddThread(ThreadOptions{
		Stack:  []string{"CcWorkerThread", "ExAcquireResourceExclusiveLite", "ExpWaitForResource", "KeWaitForSingleObject"},
		Reason: "WrResource", Objects: []uint64{m.NewEvent("", true, false)},
	})
	m.NewResource(owner, waiter)
	registry := m.AddProcess(ProcessOptions{PID: 104, PPID: 4, Name: "Registry", Session: -1, Age: 76 * time.Minute})
	registry.AddThread(ThreadOptions{Stack: []string{"ExpWorkerThread", "KeRemovePriQueue"}, Reason: "WrQueue"})
}

func mainWait(module string) []string {
	return []string{module + "!mainCRTStartup", module + "!WaitForTheEnd", "kernel32!WaitForSingleObjectEx", "ntdll!NtWaitForSingleObject"}
}

var (
	poolWorker = []string{"ntdll!TppWorkerThread", "ntdll!NtWaitForWorkViaWorkerFactory"}
	completion = []string{"svchost!CompletionThread", "kernel32!GetQueuedCompletionStatus", "ntdll!NtRemoveIoCompletion"}
	letters    = []string{"svchost!LetterThread", "svchost!AnswerOneLetter", "ntdll!NtAlpcSendWaitReceivePort"}
	watcher    = []string{"svchost!WatcherThread", "kernel32!WaitForMultipleObjectsEx", "ntdll!NtWaitForMultipleObjects"}
	timer      = []string{"svchost!TimerThread", "kernel32!Sleep", "ntdll!NtDelayExecution"}
	reader     = []string{"svchost!ReaderThread", "kernel32!ReadFile", "ntdll!NtReadFile"}
)

// demoServices starts the programs without a window.
func demoServices(m *Machine) *Process {
	start := func(parent uint32, name, command string, session int, age time.Duration, stacks ...[]string) *Process {
		p := m.AddProcess(ProcessOptions{
			PPID: parent, Name: name, Image: "svchost.exe", CommandLine: command, Session: session, Age: age,
			Env: []string{"PATHEXT=.COM;.EXE;.BAT"},
		})
		p.AddThread(ThreadOptions{Stack: mainWait("svchost"), KernelTick: 4})
		for _, s := range stacks {
			p.AddThread(ThreadOptions{Stack: s})
		}
		p.AddHandle(m.NewFile(`\Windows\System32`), 0x100020, 0)
		p.AddHandle(m.NewEvent("", true, false), 0x1f0003, 0)
		return p
	}
	smss := start(4, "smss.exe", `\SystemRoot\System32\smss.exe`, -1, 75*time.Minute)
	start(smss.pid, "csrss.exe", `%SystemRoot%\system32\csrss.exe ObjectDirectory=\Windows`, 0, 74*time.Minute, letters, letters, reader)
	wininit := start(smss.pid, "wininit.exe", "wininit.exe", 0, 74*time.Minute, poolWorker)
	services := start(wininit.pid, "services.exe", "", 0, 74*time.Minute, poolWorker, completion)
	start(wininit.pid, "lsass.exe", "", 0, 74*time.Minute, letters, completion)
	net := start(services.pid, "svchost.exe", `C:\Windows\system32\svchost.exe -k NetworkService -p`, 0, 72*time.Minute, poolWorker, completion, watcher, timer)
	net.threads[1].describe("lookup")
	spool := start(services.pid, "svchost.exe", `C:\Windows\system32\svchost.exe -k Spooling`, 0, 71*time.Minute, poolWorker, reader)
	spool.AddThread(ThreadOptions{Stack: timer[:1], Running: 3, UserTicks: 88})
	pipe := m.NewFile(`\SpoolerPipe`)
	m.Kernel.obj("_FILE_OBJECT", pipe).set("DeviceObject", m.NewDevice("keypad", "KeypadClass0"))
	m.NewIrp(spool.threads[2], pipe)
	spool.AddHandle(pipe, 0x120089, 0)
	spool.AddHandle(m.NewMutant("SpoolerIdle", 0), 0x1f0001, 2)
	return services
}

// demoDesktop starts the shell, an ended setup and a 32-bit program.
func demoDesktop(m *Machine, services *Process) *Process {
	shell := m.AddProcess(ProcessOptions{
		PPID: services.pid, Name: "explorer.exe", Image: "explorer.exe", Folder: `C:\Windows`, User: "ines", Session: 1,
		CommandLine: `C:\Windows\Explorer.EXE`, Age: 52 * time.Minute,
	})
	shell.AddThread(ThreadOptions{Stack: mainWait("explorer"), UserTicks: 140, KernelTick: 96})
	shell.AddThread(ThreadOptions{Stack: poolWorker})
	shell.AddThread(ThreadOptions{Stack: []string{"explorer!TimerThread"}, Fault: true})
	shell.AddThread(ThreadOptions{
		Stack: []string{"explorer!WatcherThread", "kernel32!WaitForMultipleObjectsEx", "ntdll!NtWaitForMultipleObjects"},
		Objects: []uint64{
			m.NewEvent("DesktopChanged", false, false), m.NewMutant("ShellLayout", shell.threads[0].va), m.NewSemaphore("ThumbnailSlots", 4),
		},
	})
	m.AddProcess(ProcessOptions{PPID: shell.pid, Name: "setup.exe", Image: "svchost.exe", Exited: true, Session: 1, Age: 40 * time.Minute})
	AddLedger(m, shell.pid)
	return shell
}

// demoQuill is the program that leaks.
func demoQuill(m *Machine, shell *Process) *Process {
	p := m.AddProcess(ProcessOptions{
		PPID: shell.pid, Name: "QuillPress.exe", Image: "quillpress.exe", Folder: `C:\Users\ines\QuillPress`, User: "ines", Session: 1,
		CommandLine:      `"C:\Users\ines\QuillPress\QuillPress.exe" /preview "Harbour News 17.qpn"`,
		CurrentDirectory: `C:\Users\ines\Documents\Newsletters\`, Env: []string{"QUILL_CACHE_PAGES=64", "QUILL_THEME=harbour"}, Age: 26 * time.Minute,
	})
	p.AddThread(ThreadOptions{Stack: []string{"quillpress!mainCRTStartup", "kernel32!WaitForSingleObjectEx", "ntdll!NtWaitForSingleObject"}, UserTicks: 12})
	p.AddThread(ThreadOptions{Name: "preview", Stack: previewStack, Priority: 9, UserTicks: 7412, KernelTick: 1893, LastStatus: 0xc0000034})
	p.AddThread(ThreadOptions{Name: "window", Stack: []string{"quillpress!WindowThread", "kernel32!WaitForSingleObjectEx", "ntdll!NtWaitForSingleObject"}, LastError: 2})
	p.AddThread(ThreadOptions{Stack: poolWorker})
	p.AddThread(ThreadOptions{Stack: previewStack[:4], Running: 2, UserTicks: 611})
	p.AddHandle(m.NewFile(`\Users\ines\Documents\Newsletters\Harbour News 17.qpn`), 0x120089, 0)
	p.AddHandle(m.NewFile(`\Users\ines\QuillPress\preview.tmp`), 0x12019f, 0)
	p.AddHandle(p.threads[1].va, 0x1fffff, 0)
	leak(p)
	return p
}

// leak lays the cached pages in a heap of their own: of each its first page is
// in memory, of the newest all; the others are paged out.
func leak(p *Process) {
	s := p.Space
	h := p.NewHeap(HeapOptions{})
	newest := uint64(0)
	for i := range uint64(demoBlocks) {
		at := h.Alloc(demoBlock)
		s.U64(at, newest)
		for k, v := range []uint32{quillMagic, 17 + uint32(i/24), uint32(i%24) + 1, 2} {
			s.U32(at+8+4*uint64(k), v)
		}
		s.U64(at+0x18, pagePixels)
		note := fmt.Sprintf("Harbour News %d, page %d: kept by CacheRenderedPage, never evicted", 17+i/24, i%24+1)
		s.Write(at+0x20, append([]byte(note), 0))
		if i >= demoBlocks-demoResident {
			for row := uint64(0); row < pagePixels; row += 0x400 {
				s.Write(at+0x70+row, []byte("~paper~"))
			}
		}
		newest = at
	}
	h.PageOut()
	for i, title := range p.heaps[0].AllocFront(0x2a, 64, 41) {
		s.Write(title, fmt.Appendf(nil, "Harbour News %d\x00", 17+i))
	}
	cache := p.Symbol("quillpress!PreviewCache")
	s.U64(cache, newest)
	s.U64(cache+8, demoBlocks)
	s.U64(cache+16, demoBlocks*pagePixels)
	s.U64(cache+24, 0)
	s.U32(cache+32, 64)
	s.U64(p.Symbol("quillpress!QuillHeap"), h.VA())
}

// demoFerry is a deadlock: two threads, two locks, opposite order.
func demoFerry(m *Machine, shell *Process) {
	p := m.AddProcess(ProcessOptions{
		PPID: shell.pid, Name: "Ferry.exe", Image: "ferry.exe", Folder: `C:\Users\ines\Ferry`, User: "ines", Session: 1,
		CommandLine: `Ferry.exe --timetable summer`, CurrentDirectory: `C:\Users\ines\Ferry\`, Age: 12 * time.Minute,
	})
	wait := []string{
		"ferry!MoveCars", "ntdll!RtlEnterCriticalSection#2", "ntdll!RtlpEnterCriticalSectionContended",
		"ntdll!RtlpWaitOnCriticalSection", "ntdll!NtWaitForAlertByThreadId",
	}
	crew := []uint64{m.NewEvent("", false, false), m.NewEvent("", false, false)}
	p.AddThread(ThreadOptions{
		Stack:   []string{"ferry!mainCRTStartup", "kernel32!WaitForMultipleObjectsEx", "ntdll!NtWaitForMultipleObjects"},
		Objects: crew, WaitAll: true,
	})
	for _, e := range crew {
		p.AddHandle(e, 0x1f0003, 0)
	}
	loading := p.AddThread(ThreadOptions{Name: "loading", Stack: append([]string{"ferry!LoadingThread"}, wait...), Parameter: 4})
	unloading := p.AddThread(ThreadOptions{Name: "unloading", Stack: append([]string{"ferry!UnloadingThread"}, wait...), Parameter: 7})
	loading.keepArgument("RtlEnterCriticalSection", p.Symbol("ferry!DeckLock"))
	unloading.keepArgument("RtlEnterCriticalSection", p.Symbol("ferry!RampLock"))
	for lock, owner := range map[string]*Thread{"ferry!RampLock": loading, "ferry!DeckLock": unloading} {
		p.Space.obj("_RTL_CRITICAL_SECTION", p.Symbol(lock)).set("DebugInfo", ^uint64(0)).set("LockCount", 0xfffffffa).
			set("RecursionCount", 1).set("OwningThread", uint64(owner.opt.TID))
	}
}
