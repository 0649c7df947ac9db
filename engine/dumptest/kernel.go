package dumptest

import "math/bits"

func reverseBytes(v uint64) uint64 { return bits.ReverseBytes64(v) }

// kernelModule is a driver in PsLoadedModuleList.
type kernelModule struct {
	entry uint64 // _KLDR_DATA_TABLE_ENTRY
}

// addKernelModule enters an image in the list of loaded modules.
func (m *Machine) addKernelModule(at mapping, file, path string) {
	m.byModule[at.im.Module()] = at
	m.addLoaderEntry(TruthModule{
		Name: file, Path: path, Base: at.base, Size: at.im.Size,
		TimeStamp: at.im.TimeStamp, CheckSum: at.im.CheckSum, PDB: at.im.PDB,
	}, at.base+uint64(at.im.Entry))
}

func (m *Machine) addLoaderEntry(t TruthModule, entry uint64) {
	va := m.alloc(m.l.size("_KLDR_DATA_TABLE_ENTRY"))
	o := m.Kernel.obj("_KLDR_DATA_TABLE_ENTRY", va)
	o.set("DllBase", t.Base).set("EntryPoint", entry).set("SizeOfImage", uint64(t.Size))
	o.set("CheckSum", uint64(t.CheckSum)).set("TimeDateStamp", uint64(t.TimeStamp)).set("LoadCount", 1).set("Flags", 0x49104000)
	m.poolString(o, "FullDllName", t.Path)
	m.poolString(o, "BaseDllName", t.Name)
	m.modules = append(m.modules, kernelModule{va})
	m.truth.Drivers = append(m.truth.Drivers, t)
}

// AddDriver loads one of the committed images as a driver.
func (m *Machine) AddDriver(file string) {
	im := LoadImage(file)
	base := m.drivers
	m.drivers += roundUp(uint64(im.Size), 0x10000)
	at := mapping{im, base, im.Module()}
	m.Kernel.MapNew(base, uint64(im.Size), ExecuteReadWrite)
	m.Kernel.Write(base, im.at(base, func(_, name string) uint64 { return m.nt.base + uint64(m.nt.im.Exports[name]) }))
	m.addKernelModule(at, file, `\SystemRoot\System32\drivers\`+file)
}

// AddAbsentDriver enters a driver whose pages are not in memory.
func (m *Machine) AddAbsentDriver(file string, size, stamp uint32) {
	base := m.drivers
	m.drivers += roundUp(uint64(size), 0x10000)
	m.addLoaderEntry(TruthModule{
		Name: file, Path: `\SystemRoot\System32\drivers\` + file, Base: base, Size: size, TimeStamp: stamp, CheckSum: size * 3,
	}, base+0x5000)
}

// unloadedEntry is the size of an entry of MmUnloadedDrivers: a string, the
// range, the time. The table has no public type (dump-format descriptions of
// triage dumps agree on name, start, end).
const unloadedEntry = 0x28

// makeUnloaded writes the ring of unloaded drivers.
func (m *Machine) makeUnloaded(list []TruthUnloaded) {
	k := m.Kernel
	table := m.alloc(50 * unloadedEntry)
	for i, u := range list {
		e := table + uint64(i)*unloadedEntry
		k.obj("_UNICODE_STRING", e) // its text follows
		name := m.allocPaged(2 * len(u.Name))
		n := k.UTF16(name, u.Name)
		k.Write(e, le.AppendUint16(le.AppendUint16(nil, uint16(n)), uint16(n)))
		k.U64(e+8, name)
		k.U64(e+0x10, u.Start)
		k.U64(e+0x18, u.End)
		k.U64(e+0x20, Filetime(SystemTime)-uint64(i+1)*600_000_000)
	}
	k.U64(m.sym("MmUnloadedDrivers"), table)
	k.U32(m.sym("MmLastUnloadedDriver"), uint32(len(list)))
	m.truth.Unloaded = list
}

// A cpu is one processor.
type cpu struct {
	number  int
	kpcr    uint64
	prcb    uint64
	idle    *Thread
	current *Thread
	state   cpuState
	user    bool // stopped in user mode
	stack   []Frame
}

// makeProcessors maps a KPCR for each processor; finish fills the rest.
func (m *Machine) makeProcessors() {
	size := roundUp(uint64(m.l.size("_KPCR")), pageSize)
	for i := range m.opts.Processors {
		va := pcrBase + uint64(i)*0x80000
		m.Kernel.MapNew(va, size, ReadWrite)
		c := &cpu{number: i, kpcr: va, prcb: va + uint64(m.l.offset("_KPCR", "Prcb"))}
		m.cpus = append(m.cpus, c)
		m.Kernel.U64(m.sym("KiProcessorBlock")+8*uint64(i), c.prcb)
	}
	for i := m.opts.Processors; i < 64; i++ {
		m.Kernel.U64(m.sym("KiProcessorBlock")+8*uint64(i), 0)
	}
	m.Kernel.U32(m.sym("KeNumberProcessors"), uint32(m.opts.Processors))
}

// finishProcessor writes KPCR, KPRCB and the saved context.
func (m *Machine) finishProcessor(c *cpu) {
	k := m.Kernel
	p := k.obj("_KPCR", c.kpcr)
	p.set("Self", c.kpcr).set("CurrentPrcb", c.prcb).set("Used_Self", 0x7ff5_0000_0000).set("MajorVersion", 1).set("MinorVersion", 1)
	p.set("KdVersionBlock", m.sym("KdVersionBlock"))
	o := k.obj("_KPRCB", c.prcb)
	o.set("Number", uint64(c.number)).set("GroupIndex", uint64(c.number)).set("GroupSetMember", 1<<c.number)
	o.set("CurrentThread", c.current.va).set("IdleThread", c.idle.va).set("MxCsr", 0x1f80)
	o.set("MajorVersion", 1).set("MinorVersion", 1)
	o.set("InitialApicId", uint64(2*c.number)).set("KeContextSwitches", uint64(91000+c.number*777)).set("IpiFrozen", 5)
	m.opts.CPU.identify(o)
	k.link(o.addr("WaitListHead"))
	for i := range uint64(32) {
		k.link(o.addr("DispatcherReadyListHead") + 16*i)
	}
	m.linkReady(c)
	for i := range uint64(17) {
		k.U64(o.addr("LockQueue")+16*i+8, m.sym("KiBootDebuggerFlags"))
	}
	ctx := m.contextBytes(c.state, c.user)
	k.Write(o.addr("ProcessorState.ContextFrame"), ctx)
	at := m.alloc(len(ctx))
	k.Write(at, ctx)
	o.set("Context", at).set("ContextFlags", 0x10001f)
	s := "ProcessorState.SpecialRegisters."
	o.set(s+"Cr0", 0x80050033).set(s+"Cr3", c.current.p.dtb()).set(s+"Cr4", 0x370678|uint64(m.levels()-4)<<12).set(s+"Cr8", 0)
	o.set(s+"MsrGsBase", c.kpcr).set(s+"MsrLStar", m.sym("KiSystemCall64")).set(s+"Gdtr.Limit", 0x57).set(s+"Idtr.Limit", 0xfff)
	t := TruthCPU{KPCR: c.kpcr, KPRCB: c.prcb, Current: c.current.va, Idle: c.idle.va, Rip: c.state.rip, Rsp: c.state.reg[rsp], CurrentStack: c.stack}
	m.truth.CPUs = append(m.truth.CPUs, t)
}

// contextBytes renders a CONTEXT (documented in winnt.h).
func (m *Machine) contextBytes(s cpuState, user bool) []byte {
	b := make([]byte, m.l.size("_CONTEXT"))
	put := func(field string, v uint64) {
		off, f := m.l.find("_CONTEXT", field)
		n, _, _ := m.l.sizeOf(f.ref)
		copy(b[off:off+n], le.AppendUint64(nil, v))
	}
	put("ContextFlags", 0x10001f)
	put("MxCsr", 0x1f80)
	cs, ss, ds := uint64(0x10), uint64(0x18), uint64(0x2b)
	if user {
		cs, ss = 0x33, 0x2b
	}
	put("SegCs", cs)
	put("SegSs", ss)
	for _, r := range []string{"SegDs", "SegEs", "SegGs"} {
		put(r, ds)
	}
	put("SegFs", 0x53)
	put("EFlags", 0x40246)
	for i, r := range []string{"Rax", "Rcx", "Rdx", "Rbx", "Rsp", "Rbp", "Rsi", "Rdi", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"} {
		put(r, s.reg[i])
	}
	put("Rip", s.rip)
	put("FltSave.ControlWord", 0x27f)
	put("FltSave.MxCsr", 0x1f80)
	return b
}

// makeKDBG writes the debugger data block. It has no public type in symbol
// files; its layout is that of wdbgexts.h (KDDEBUGGER_DATA64).
func (m *Machine) makeKDBG() {
	b := make([]byte, 0x380)
	p := func(off int, v uint64) { le.PutUint64(b[off:], v) }
	w := func(off, v int) { le.PutUint16(b[off:], uint16(v)) }
	self := m.sym("KdDebuggerDataBlock")
	p(0, self)
	p(8, self)
	copy(b[0x10:], "KDBG")
	le.PutUint32(b[0x14:], uint32(len(b)))
	p(0x18, m.nt.base)
	w(0x30, m.l.offset("_KTHREAD", "CallbackStack"))
	w(0x36, 1)
	for off, name := range map[int]string{
		0x48: "PsLoadedModuleList", 0x50: "PsActiveProcessHead", 0x58: "PspCidTable", 0x60: "ExpSystemResourcesList",
		0x78: "KeTimeIncrement", 0x88: "KiBugCheckData", 0x98: "ObpRootDirectoryObject", 0xa0: "ObpTypeObjectType",
		0xc0: "MmPfnDatabase", 0x1c8: "MmHighestUserAddress", 0x1d0: "MmSystemRangeStart", 0x1d8: "MmUserProbeAddress",
		0x208: "NtBuildLabEx", 0x218: "KiProcessorBlock", 0x220: "MmUnloadedDrivers", 0x228: "MmLastUnloadedDriver",
		0x270: "MmPhysicalMemoryBlock",
	} {
		p(off, m.sym(name))
	}
	p(0x138, pageSize)
	w(0x298, m.l.offset("_KTHREAD", "NextProcessor"))
	w(0x29a, m.l.offset("_KTHREAD", "Teb"))
	w(0x29c, m.l.offset("_KTHREAD", "KernelStack"))
	w(0x29e, m.l.offset("_KTHREAD", "InitialStack"))
	w(0x2a0, m.l.offset("_KTHREAD", "ApcState.Process"))
	w(0x2a2, m.l.offset("_KTHREAD", "State"))
	w(0x2a8, m.l.size("_EPROCESS"))
	w(0x2aa, m.l.offset("_EPROCESS", "Peb"))
	w(0x2ac, m.l.offset("_EPROCESS", "InheritedFromUniqueProcessId"))
	w(0x2ae, m.l.offset("_EPROCESS", "Pcb.DirectoryTableBase"))
	w(0x2b0, m.l.size("_KPRCB"))
	w(0x2b2, m.l.offset("_KPRCB", "DpcRoutineActive"))
	w(0x2b4, m.l.offset("_KPRCB", "CurrentThread"))
	w(0x2b6, m.l.offset("_KPRCB", "MHz"))
	w(0x2b8, m.l.offset("_KPRCB", "CpuType"))
	w(0x2ba, m.l.offset("_KPRCB", "VendorString"))
	w(0x2bc, m.l.offset("_KPRCB", "ProcessorState.ContextFrame"))
	w(0x2be, m.l.offset("_KPRCB", "Number"))
	w(0x2c0, m.l.size("_ETHREAD"))
	w(0x2e0, m.l.size("_KPCR"))
	w(0x2e2, m.l.offset("_KPCR", "Self"))
	w(0x2e4, m.l.offset("_KPCR", "CurrentPrcb"))
	w(0x2e6, m.l.offset("_KPCR", "Prcb"))
	w(0x2f2, m.l.offset("_KPRCB", "ProcessorState.SpecialRegisters"))
	w(0x2f4, 0x10)
	w(0x2f6, 0x18)
	w(0x2fa, 0x33)
	w(0x2fc, 0x2b)
	w(0x300, 0x40)
	w(0x338, m.l.offset("_KPRCB", "Context"))
	le.PutUint32(b[0x340:], uint32(m.l.offset("_KTHREAD", "StackLimit")))
	le.PutUint32(b[0x344:], uint32(m.l.offset("_KTHREAD", "StackBase")))
	le.PutUint32(b[0x348:], uint32(m.l.offset("_KTHREAD", "QueueListEntry")))
	le.PutUint32(b[0x34c:], uint32(m.l.offset("_ETHREAD", "IrpList")))
	w(0x350, m.l.offset("_KPRCB", "IdleThread"))
	w(0x352, m.l.offset("_KPRCB", "NormalDpcState"))
	w(0x354, m.l.offset("_KPRCB", "DpcStack"))
	w(0x356, m.l.offset("_KPRCB", "IsrStack"))
	w(0x358, m.l.size("_KDPC_STACK_FRAME"))
	w(0x35a, m.l.offset("_KQUEUE", "ThreadListHead"))
	w(0x35c, m.l.offset("_KTHREAD", "WaitReason"))
	if m.opts.LA57 {
		p(0x360, 0xfe00000000000000|selfIndex<<48)
	} else {
		p(0x360, 0xffff000000000000|selfIndex<<39)
	}
	if m.opts.EncodeKDBG {
		m.encodeKDBG(b, self)
	}
	m.Kernel.Write(self, b)
}

// encodeKDBG is the inverse of what debuggers do to a block that
// KdpDataBlockEncoded says is encoded.
func (m *Machine) encodeKDBG(b []byte, self uint64) {
	never, always := uint64(0x8c4f31b2d609e71d), uint64(0x27d1a6f0934b5ce8)
	m.Kernel.U64(m.sym("KiWaitNever"), never)
	m.Kernel.U64(m.sym("KiWaitAlways"), always)
	m.Kernel.Write(m.sym("KdpDataBlockEncoded"), []byte{1})
	for i := 0; i+8 <= len(b); i += 8 {
		v := reverseBytes(le.Uint64(b[i:])^always) ^ self
		n := never & 0x3f
		v = v>>n | v<<(64-n)
		le.PutUint64(b[i:], v^never)
	}
}
