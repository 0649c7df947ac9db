package dumptest

import "strings"

// makeSystem makes the Idle process, which is in no list, and System.
func (m *Machine) makeSystem() {
	idle := &Process{m: m, opt: ProcessOptions{Name: "Idle", Session: -1, Kernel: true}, Space: m.Kernel, va: m.sym("KiInitialProcess")}
	idle.init()
	m.Kernel.U64(m.sym("PsIdleProcess"), idle.va)
	for _, c := range m.cpus {
		t := &Thread{p: idle, opt: ThreadOptions{Running: c.number + 1, Priority: 1}, va: m.sym("KiInitialThread")}
		if c.number > 0 {
			t.va = m.newObject("Thread", m.l.size("_ETHREAD"), "", 0)
		}
		t.init()
		t.o.set("Tcb.Priority", 0)
		idle.threads = append(idle.threads, t)
		c.idle = t
	}
	m.processes = append(m.processes, idle)

	system := m.AddProcess(ProcessOptions{
		PID: 4, Name: "System", Session: -1, Kernel: true, Age: uptimeTicks * tickLength * 100, Placement: m.opts.System,
	})
	m.Kernel.U64(m.sym("PsInitialSystemProcess"), system.va)
}

// System is the System process.
func (m *Machine) System() *Process { return m.processes[1] }

// idleStack lays the stack of a processor that halts until an interrupt comes.
func (m *Machine) idleStack(c *cpu) *stackWriter {
	m.Kernel.MapNew(c.idle.kernelTop-pageSize, pageSize, ReadWrite)
	w := &stackWriter{s: m.Kernel, find: m.findKernel, kind: "kernel", seed: uint64(c.number) + 99}
	w.begin(c.idle.kernelTop - 0x380)
	w.enter("nt!KiIdleLoop")
	w.call("nt!PoIdle")
	w.call("nt!PpmIdleExecuteTransition")
	w.call("nt!HalProcessorIdle")
	w.runAt(w.afterBytes("\xfb\xf4"))
	return w
}

// parkIdle leaves the idle thread as it was when its processor got work.
func (m *Machine) parkIdle(c *cpu) {
	m.Kernel.MapNew(c.idle.kernelTop-pageSize, pageSize, ReadWrite)
	w := &stackWriter{s: m.Kernel, find: m.findKernel, kind: "kernel", seed: uint64(c.number) + 99}
	w.begin(c.idle.kernelTop - 0x380)
	w.enter("nt!KiIdleLoop")
	w.call("nt!SwapContext")
	c.idle.o.set("Tcb.KernelStack", w.state.reg[rsp]).set("Tcb.State", m.l.enum("_KTHREAD_STATE", "Ready"))
	c.idle.truth.State, c.idle.truth.Stack = "Ready", w.stack()
}

// makeCrash stops every processor: the first in the interrupt of a keyboard
// whose driver crashes the machine on request, the others where they were.
func (m *Machine) makeCrash() {
	for _, c := range m.cpus {
		if c.current != nil {
			if c.number == 0 {
				panic("dumptest: processor 0 takes the interrupt, no thread can run there")
			}
			m.parkIdle(c)
			continue
		}
		w := m.idleStack(c)
		if c.number == 0 {
			m.layCrash(c, w)
		}
		w.note(w.state.rip, "kernel")
		c.idle.run(w.state, false)
		c.stack = w.stack()
		c.idle.truth.Stack = c.stack
	}
	m.truth.Crash = m.cpus[0].stack
}

// A Dump is a finished machine, ready to be written in any format.
type Dump struct {
	m      *Machine
	header []byte
	blobs  []byte
}

// Finish links all lists, writes the debugger's data and stops the machine.
func (m *Machine) Finish() *Dump {
	if m.finished {
		panic("dumptest: the machine is finished already")
	}
	m.finished = true
	m.finishRegistry()
	m.finishFirmware()
	if _, ok := m.byModule["keypad"]; !ok {
		m.AddDriver("keypad.sys")
	}
	m.makeCrash()
	k := m.Kernel
	for _, c := range m.cpus {
		m.finishProcessor(c)
	}
	for _, p := range m.processes {
		p.finish()
	}
	m.finishLists()
	m.finishData()
	m.makeKDBG()
	m.makeCounters()
	m.makePFNs()
	for _, p := range m.processes {
		m.copyKernelHalf(p.Space)
	}
	d := &Dump{m: m, blobs: m.firmware().secondaryData(m.build())}
	d.header = d.makeHeader()
	t := &m.truth
	t.KernelBase, t.DTB, t.Build, t.BuildLab, t.Computer = m.nt.base, k.DTB(), m.build(), m.buildLab(), m.opts.Computer
	t.BugCheck, t.Parameters, t.Frames = m.opts.BugCheck, m.opts.Parameters, int(m.phys.total)
	for _, p := range m.processes {
		t.Processes = append(t.Processes, p.truth)
	}
	return d
}

// finishLists links processes, kernel modules, handle tables and the CIDs.
func (m *Machine) finishLists() {
	k := m.Kernel
	var links []uint64
	inSession := map[uint64][]uint64{}
	for _, p := range m.processes[1:] { // without Idle
		links = append(links, p.o.addr("ActiveProcessLinks"))
		if s := p.o.get("Session"); s != 0 {
			inSession[s] = append(inSession[s], p.o.addr("SessionProcessLinks"))
		}
	}
	k.link(m.sym("PsActiveProcessHead"), links...)
	for _, s := range m.sessions {
		k.link(s+uint64(m.l.offset(m.sessionType(), "ProcessList")), inSession[s]...)
	}
	var entries []uint64
	for _, e := range m.modules {
		entries = append(entries, e.entry)
	}
	k.link(m.sym("PsLoadedModuleList"), entries...)
	m.cid.finish()
	k.U64(m.sym("PspCidTable"), m.cid.va)
	// Every table links to the next; the list has no head that is public.
	for i, t := range m.tables {
		next := m.tables[(i+1)%len(m.tables)]
		link := uint64(m.l.offset("_HANDLE_TABLE", "HandleTableList"))
		k.U64(t+link, next+link)
		k.U64(next+link+8, t+link)
	}
}

// finishData fills the kernel's variables.
func (m *Machine) finishData() {
	k := m.Kernel
	k.U64(m.sym("MmPfnDatabase"), pfnBase)
	k.U64(m.sym("MmHighestUserAddress"), 0x7ffffffeffff)
	k.U64(m.sym("MmSystemRangeStart"), 0xffff800000000000)
	k.U64(m.sym("MmUserProbeAddress"), 0x7fffffff0000)
	k.U32(m.sym("KeTimeIncrement"), tickLength)
	k.U32(m.sym("KeMaximumIncrement"), tickLength)
	k.U32(m.sym("NtBuildNumber"), m.build()|0xf0000000)
	k.Write(m.sym("NtBuildLab"), []byte(strings.Replace(m.buildLab(), ".1.", ".", 1)+"\x00"))
	k.Write(m.sym("NtBuildLabEx"), []byte(m.buildLab()+"\x00"))
	k.U32(m.sym("NtGlobalFlag"), 0)
	k.U32(m.sym("CmNtCSDVersion"), 0)
	k.U32(m.sym("KiBootDebuggerFlags"), 0)
	k.Write(m.sym("KdpDataBlockEncoded"), []byte{0})
	k.U64(m.sym("KiWaitNever"), 0)
	k.U64(m.sym("KiWaitAlways"), 0)
	k.link(m.sym("ExpSystemResourcesList"), m.resources...)
	k.obj("_MI_SYSTEM_INFORMATION", m.sym("MiState")).set("Hardware.InvalidPteMask", m.opts.InvalidPteMask).
		set("Hardware.PhysicalAddressBits", 46).set("Hardware.NodeMask", 0)
	k.U64(m.sym("KiBugCheckData"), uint64(m.opts.BugCheck))
	for i, v := range m.opts.Parameters {
		k.U64(m.sym("KiBugCheckData")+8*uint64(i+1), v)
	}
	k.obj("_DBGKD_GET_VERSION64", m.sym("KdVersionBlock")).set("MajorVersion", 15).set("MinorVersion", uint64(m.build())).
		set("ProtocolVersion", 6).set("MachineType", 0x8664).set("KernBase", m.nt.base).
		set("PsLoadedModuleList", m.sym("PsLoadedModuleList")).set("DebuggerDataList", m.sym("KdDebuggerDataBlock"))
	block := m.alloc(16 + 16*len(m.phys.runs))
	k.U32(block, uint32(len(m.phys.runs)))
	k.U64(block+8, m.phys.total)
	for i, r := range m.phys.runs {
		k.U64(block+16+16*uint64(i), r.Base)
		k.U64(block+24+16*uint64(i), r.Count)
	}
	k.U64(m.sym("MmPhysicalMemoryBlock"), block)
	if m.truth.Unloaded == nil {
		m.makeUnloaded([]TruthUnloaded{
			{"dump_stornvme.sys", 0xfffff80319b00000, 0xfffff80319b2f000}, {"hwpolicy.sys", 0xfffff80319c40000, 0xfffff80319c50000},
		})
	}
}

// copyKernelHalf gives a process the kernel's top-level entries.
func (m *Machine) copyKernelHalf(s *Space) {
	if s.root == m.Kernel.root {
		return
	}
	for i := uint64(256); i < 512; i++ {
		if i != selfIndex {
			m.phys.putU64(s.root<<12+8*i, m.phys.u64(m.Kernel.root<<12+8*i))
		}
	}
}

// Truth tells what the dump holds.
func (d *Dump) Truth() *Truth { return &d.m.truth }

// Drop takes the frame behind an address out of the dump, so that the page
// tables promise what the file does not have.
func (d *Dump) Drop(s *Space, va uint64) {
	pfn, ok := s.lookup(va)
	if !ok {
		panic("dumptest: Drop of an address that is not mapped")
	}
	d.m.phys.gone[pfn] = true
}
