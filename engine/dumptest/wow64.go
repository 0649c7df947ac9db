package dumptest

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// A 32-bit process has everything twice: blocks, loader lists, parameters and
// stacks. Both sides lie below 4 GB.

// Places of a 32-bit process's user blocks.
const (
	wow64PEB    = 0x217000
	wow64TEBs   = wow64PEB + 2*pageSize // behind the PEB and the 32-bit one
	wow64Teb    = 3 * pageSize          // a TEB, two pages, and the 32-bit one
	wow64Stacks = 0x4000000
	narrowHeap  = 0xa00000
	narrowStack = 0x8000000
	narrowSize  = 0x100000 // of a stack
)

// Members of the 32-bit structures, which the kernel's types do not have
// (winternl.h and wdbgexts.h, with pointers of four bytes).
const (
	tib32ExceptionList = 0x00
	tib32StackBase     = 0x04
	tib32StackLimit    = 0x08
	tib32Version       = 0x10
	tib32Self          = 0x18
	teb32Process       = 0x20
	teb32Thread        = 0x24
	teb32TLS           = 0x2c
	teb32PEB           = 0x30
	teb32LastError     = 0x34
	teb32LastStatus    = 0xbf4
	teb32Deallocation  = 0xe0c
)

// cpuAreaSize is the block that the simulation keeps on top of the 64-bit stack:
// flags, machine and a 32-bit CONTEXT.
const cpuAreaSize = 0x2e0

// loadWow64 loads the 64-bit DLLs of the layer and the 32-bit ones below it.
func (p *Process) loadWow64() {
	p.LoadModule(LoadImage("wow64.dll"), "wow64.dll", `C:\Windows\System32\wow64.dll`)
	p.LoadModule(LoadImage("wow64cpu.dll"), "wow64cpu.dll", `C:\Windows\System32\wow64cpu.dll`)
	p.Space.U64(p.Symbol("ntdll!Wow64LdrpInitializeRoutine"), p.Symbol("wow64!Wow64LdrpInitialize"))
	p.Space.U64(p.Symbol("wow64cpu!Wow64ServiceRoutine"), p.Symbol("wow64!Wow64SystemServiceEx"))

	p.narrow = append(p.narrow, p.order[0])
	p.loadNarrow("wntdll.dll", "ntdll.dll", `C:\Windows\SYSTEM32\ntdll.dll`)
	p.loadNarrow("wkernel32.dll", "KERNEL32.DLL", `C:\Windows\SYSTEM32\KERNEL32.DLL`)
	p.Space.U32(p.Symbol("wntdll!_Kernel32ThreadInitThunkFunction"), uint32(p.Symbol("wkernel32!_BaseThreadInitThunk@12")))
	p.Space.U32(p.Symbol("wntdll!_Wow64Transition"), uint32(p.Symbol("wow64cpu!ServiceNoTurbo")))
}

// loadNarrow maps a 32-bit DLL. The file comes from the folder of 32-bit ones,
// whatever the process believes.
func (p *Process) loadNarrow(file, name, dos string) {
	n := len(p.order)
	p.LoadModule(LoadImage(file), name, strings.Replace(dos, "SYSTEM32", "SysWOW64", 1))
	l := p.order[n]
	p.order = p.order[:n] // not a module of the 64-bit loader
	for _, o := range p.order {
		if o.at.name == l.at.name { // debuggers tell the second one by its base
			l.at.name = fmt.Sprintf("%s_%x", l.at.name, l.at.base)
		}
	}
	l.path = dos
	p.modules[l.at.im.Module()] = l.at
	p.narrow = append(p.narrow, l)
	p.truth.Modules[len(p.truth.Modules)-1].Path = dos
}

// makeWow64 marks the process as a 32-bit one and gives it its PEB32 with its
// parameters.
func (p *Process) makeWow64() {
	at := uint64(wow64PEB + pageSize)
	p.Space.MapNew(at, pageSize, ReadWrite)
	p.Space.MapNew(narrowHeap, pageSize, ReadWrite)
	p.addVad(vad{start: narrowHeap, size: 0x100000, prot: ReadWrite, kind: "private"})
	p.nextNarrow = narrowHeap + 0x4a8
	o := p.Space.obj("_PEB32", at)
	o.set("ImageBaseAddress", p.order[0].at.base).set("OSBuildNumber", uint64(p.m.build())).set("OSMajorVersion", 10)
	o.set("Ldr", p.Symbol("wntdll!_PebLdr")).set("FastPebLock", p.Symbol("wntdll!_FastPebLock")).set("ProcessHeap", narrowHeap)
	o.set("NumberOfProcessors", uint64(p.m.opts.Processors)).set("ProcessParameters", p.narrowParameters())
	w := p.m.alloc(p.m.l.size("_EWOW64PROCESS"))
	p.m.Kernel.obj("_EWOW64PROCESS", w).set("Peb", at).set("Machine", 0x14c).set("NtdllType", 1)
	p.o.set("WoW64Process", w)
	p.truth.Peb32 = at
}

// allocNarrow takes bytes of the 32-bit heap.
func (p *Process) allocNarrow(size int) uint64 {
	va := roundUp(p.nextNarrow, 8)
	p.nextNarrow = va + uint64(size)
	p.Space.MapNew(va, uint64(size), ReadWrite)
	return va
}

// narrowString writes a 32-bit UNICODE_STRING.
func (p *Process) narrowString(at uint64, text string) {
	buffer := p.allocNarrow(2*len([]rune(text)) + 2)
	n := uint32(p.Space.UTF16(buffer, text))
	p.Space.U32(at, n|(n+2)<<16)
	p.Space.U32(at+4, uint32(buffer))
}

// narrowParameters writes the 32-bit process parameters and environment, and
// returns where.
func (p *Process) narrowParameters() uint64 {
	const size = 0x2a4
	va := p.allocNarrow(size)
	s := p.Space
	s.U32(va, size)
	s.U32(va+4, size)
	s.U32(va+8, 0x6001)
	p.narrowString(va+0x24, p.currentDirectory())
	p.narrowString(va+0x38, p.imagePath())
	p.narrowString(va+0x40, p.commandLine())
	p.narrowString(va+0x70, p.imagePath())
	p.narrowString(va+0x78, `WinSta0\Default`)
	block := environmentBlock(p.environment())
	at := p.allocNarrow(len(block))
	s.Write(at, block)
	s.U32(va+0x48, uint32(at))
	s.U32(va+0x290, uint32(len(block)))
	return va
}

// finishNarrow writes the 32-bit loader's lists.
func (p *Process) finishNarrow() {
	s := p.Space
	ldr := p.Symbol("wntdll!_PebLdr")
	s.U32(ldr, 0x30)
	s.U32(ldr+4, 1)
	entries := make([]uint64, len(p.narrow))
	for i, l := range p.narrow {
		e := p.allocNarrow(0x80)
		entries[i] = e
		im := l.at.im
		s.U32(e+0x18, uint32(l.at.base))
		if im.Entry != 0 {
			s.U32(e+0x1c, uint32(l.at.base)+im.Entry)
		}
		s.U32(e+0x20, im.Size)
		p.narrowString(e+0x24, l.path)
		p.narrowString(e+0x2c, path.Base(strings.ReplaceAll(l.path, `\`, "/")))
		s.U32(e+0x34, 0x22cc)
		s.U32(e+0x38, 0xffff)
		s.U32(e+0x44, im.TimeStamp)
	}
	s.link32(ldr+0x0c, 0, entries)
	s.link32(ldr+0x14, 8, entries)
	s.link32(ldr+0x1c, 16, entries[1:])
}

// link32 closes a list of 32-bit LIST_ENTRYs at off in each entry.
func (s *Space) link32(head, off uint64, entries []uint64) {
	at := []uint64{head}
	for _, e := range entries {
		at = append(at, e+off)
	}
	for i, a := range at {
		next, last := at[(i+1)%len(at)], at[(i+len(at)-1)%len(at)]
		s.U32(a, uint32(next))
		s.U32(a+4, uint32(last))
	}
}

// makeTEB32 makes the thread's 32-bit block and stack, and room for the
// registers of its 32-bit code on top of the 64-bit stack.
func (t *Thread) makeTEB32() {
	s, n := t.p.Space, uint64(len(t.p.threads)-1)
	teb := s.obj("_TEB", t.teb)
	t.cpuArea = teb.get("NtTib.StackBase") - cpuAreaSize
	teb.set("NtTib.StackBase", t.cpuArea)
	s.Write(t.cpuArea, []byte{0, 0, 0x4c, 0x01})

	at := t.teb + 2*pageSize
	s.MapNew(at, pageSize, ReadWrite)
	base := narrowStack + n*narrowSize + narrowSize
	const committed = 2 * pageSize
	s.MapNew(base-committed, committed, ReadWrite)
	t.p.addVad(vad{start: base - narrowSize, size: narrowSize, prot: ReadWrite, kind: "private", commit: committed / pageSize})
	for off, v := range map[uint64]uint64{
		tib32ExceptionList: 0xffffffff, tib32StackBase: base, tib32StackLimit: base - committed, tib32Version: 0x1e00, tib32Self: at,
		teb32Process: uint64(t.p.pid), teb32Thread: uint64(t.opt.TID), teb32TLS: at + teb32TLS, teb32PEB: t.p.truth.Peb32,
		teb32LastError: uint64(t.opt.LastError), teb32LastStatus: uint64(t.opt.LastStatus), teb32Deallocation: base - narrowSize,
	} {
		s.U32(at+off, uint32(v)) // all in one page: the order does not matter
	}
	teb.set("NtTib.ExceptionList", at).set("WowTebOffset", 2*pageSize)
	teb.set("TlsSlots[1]", t.cpuArea).set("TlsSlots[10]", t.p.truth.Peb32+0x248)
	t.truth.Teb32, t.narrowBase = at, base
}

// saveNarrow writes the registers that 32-bit code has into the block on top
// of the 64-bit stack.
func (t *Thread) saveNarrow(state cpuState) {
	s, c := t.p.Space, t.cpuArea+4
	s.U32(c, 0x1003f)
	for i, v := range []uint64{0x2b, 0x53, 0x2b, 0x2b, state.reg[rdi], state.reg[rsi], state.reg[rbx], state.reg[rdx], state.reg[rcx], state.reg[rax], state.reg[rbp], state.rip, 0x23, 0x246, state.reg[rsp], 0x2b} {
		s.U32(c+0x8c+4*uint64(i), uint32(v))
	}
}

// start32 says where a thread began that has no 64-bit user code on its stack.
func (t *Thread) start32() {
	nd := t.p.find("ntdll")
	t.truth.Start = t.p.Symbol(t.opt.Stack32[0])
	t.o.set("Win32StartAddress", t.truth.Start).set("StartAddress", nd.base+uint64(nd.im.Sym("RtlUserThreadStart"))).set("Tcb.Teb", t.teb)
}

// AddLedger starts a 32-bit program: a thread that waits, one that sleeps, and
// one that stopped in its own code.
func AddLedger(m *Machine, parent uint32) *Process {
	p := m.AddProcess(ProcessOptions{
		PPID: parent, Name: "OldLedger.exe", Image: "oldledger.exe", Folder: `C:\Program Files (x86)\OldLedger`, User: "ines",
		Session: 1, Wow64: true, CommandLine: `"C:\Program Files (x86)\OldLedger\OldLedger.exe" year=2023`, Age: 31 * time.Minute,
	})
	p.AddThread(ThreadOptions{
		Stack: []string{"wow64!whNtWaitForSingleObject", "ntdll!NtWaitForSingleObject"}, Start: "oldledger!_mainCRTStartup",
		Stack32: []string{
			"oldledger!_mainCRTStartup", "oldledger!_RunLedger", "oldledger!_AwaitChange@8", "wkernel32!_WaitForSingleObjectEx@12", "wntdll!_NtWaitForSingleObject@12",
		},
	})
	p.AddThread(ThreadOptions{
		Stack: []string{"wow64!whNtDelayExecution", "ntdll!NtDelayExecution"}, Start: "oldledger!_LedgerThread@4",
		Stack32: []string{"oldledger!_LedgerThread@4", "wkernel32!_Sleep@4", "wntdll!_NtDelayExecution@8"},
	})
	p.AddThread(ThreadOptions{TID: 0x1f4, Fault32: true, Stack32: []string{"oldledger!_LedgerThread@4", "oldledger!_AddRow"}, Parameter: 5})
	return p
}
