package dumptest

import "bytes"

// brokenMemory are machines whose memory is damaged; the file is whole.
var brokenMemory = []struct {
	name, about string
	change      func(*Dump, *Machine)
}{
	{"processes_cycle", "the process list runs in a circle that misses its head", func(_ *Dump, m *Machine) {
		last, second := m.processes[len(m.processes)-1], m.processes[2]
		m.Kernel.U64(last.o.addr("ActiveProcessLinks"), second.o.addr("ActiveProcessLinks"))
	}},
	{"processes_self", "a process that follows itself", func(_ *Dump, m *Machine) {
		a := m.processes[2].o.addr("ActiveProcessLinks")
		m.Kernel.U64(a, a)
	}},
	{"processes_null", "a null pointer in the process list", func(_ *Dump, m *Machine) {
		m.Kernel.U64(m.processes[2].o.addr("ActiveProcessLinks"), 0)
	}},
	{"processes_user", "the process list leads into user memory", func(_ *Dump, m *Machine) {
		m.Kernel.U64(m.processes[1].o.addr("ActiveProcessLinks"), 0x7ffe0000)
	}},
	{"processes_odd", "the process list leads to an address that is not canonical", func(_ *Dump, m *Machine) {
		m.Kernel.U64(m.processes[1].o.addr("ActiveProcessLinks"), 0x1234567890abcdef)
	}},
	{"process_head_gone", "the process list's head is empty: PspCidTable still has all", func(_ *Dump, m *Machine) {
		m.Kernel.link(m.sym("PsActiveProcessHead"))
	}},
	{"process_page_gone", "a process's page is not in the dump", func(d *Dump, m *Machine) { d.Drop(m.Kernel, m.processes[3].va) }},
	{"threads_cycle", "a thread list runs in a circle that misses its head", func(_ *Dump, m *Machine) {
		p := m.processes[2]
		m.Kernel.U64(p.threads[2].o.addr("ThreadListEntry"), p.threads[1].o.addr("ThreadListEntry"))
	}},
	{"threads_elsewhere", "a thread list goes on in another process", func(_ *Dump, m *Machine) {
		m.Kernel.U64(m.processes[2].threads[0].o.addr("ThreadListEntry"), m.processes[3].threads[0].o.addr("ThreadListEntry"))
	}},
	{"threads_count", "ActiveThreads promises 4 billion threads", func(_ *Dump, m *Machine) {
		m.processes[2].o.set("ActiveThreads", 0xffffffff)
	}},
	{"modules_cycle", "the list of drivers runs in a circle", func(_ *Dump, m *Machine) {
		m.Kernel.U64(m.modules[len(m.modules)-1].entry, m.modules[1].entry)
	}},
	{"modules_name_long", "a driver whose name claims 64 KB in a page that is not there", func(_ *Dump, m *Machine) {
		m.Kernel.obj("_KLDR_DATA_TABLE_ENTRY", m.modules[1].entry).set("BaseDllName.Length", 0xfffe).set("BaseDllName.Buffer", 0xffffc00000001001)
	}},
	{"modules_size", "a driver of 4 GB at the top of memory", func(_ *Dump, m *Machine) {
		m.Kernel.obj("_KLDR_DATA_TABLE_ENTRY", m.modules[2].entry).set("SizeOfImage", 0xffffffff).set("DllBase", 0xfffffffffffff000)
	}},
	{"ldr_cycle", "a process's module list runs in a circle", func(_ *Dump, m *Machine) {
		p := m.processes[2]
		head := p.Space.obj("_PEB_LDR_DATA", p.Symbol("ntdll!PebLdr")).addr("InLoadOrderModuleList")
		first := p.Space.u64(head)
		last := p.Space.u64(head + 8)
		p.Space.U64(last, first)
	}},
	{"ldr_gone", "the page of a process's module list is not in the dump: the VADs have the modules", func(d *Dump, m *Machine) {
		d.Drop(m.processes[2].Space, m.processes[2].Symbol("ntdll!PebLdr"))
	}},
	{"peb_gone", "a PEB's page is not in the dump", func(d *Dump, m *Machine) { d.Drop(m.processes[2].Space, m.processes[2].peb) }},
	{"peb_paged", "a PEB's page is in the page file", func(_ *Dump, m *Machine) { m.processes[2].Space.PageFile(m.processes[2].peb, 0, 0x51a3, ReadWrite) }},
	{"peb_transition", "a PEB's page is in transition: nothing is lost", func(_ *Dump, m *Machine) { m.processes[2].Space.Transition(m.processes[2].peb, ReadWrite) }},
	{"env_endless", "an environment without an end", func(_ *Dump, m *Machine) {
		p := m.processes[2]
		params := p.Space.obj("_RTL_USER_PROCESS_PARAMETERS", p.Space.obj("_PEB", p.peb).get("ProcessParameters"))
		params.set("EnvironmentSize", 1<<62)
		at := params.get("Environment")
		for a := at; a < at&^0xfff+0x1000; a++ {
			p.Space.Write(a, []byte("A"))
		}
	}},
	{"command_escape", "terminal escapes in a command line", func(_ *Dump, m *Machine) {
		p := m.processes[2]
		params := p.Space.obj("_RTL_USER_PROCESS_PARAMETERS", p.Space.obj("_PEB", p.peb).get("ProcessParameters"))
		p.Space.UTF16(params.get("CommandLine.Buffer"), "\x1b[31m\x07\u202e")
	}},
	{"command_odd", "a command line of odd length", func(_ *Dump, m *Machine) {
		p := m.processes[2]
		params := p.Space.obj("_RTL_USER_PROCESS_PARAMETERS", p.Space.obj("_PEB", p.peb).get("ProcessParameters"))
		params.set("CommandLine.Length", params.get("CommandLine.Length")|1)
	}},
	{"pdb_path", "a PDB name that climbs out of the cache", func(_ *Dump, m *Machine) {
		at := m.byModule["keypad"]
		i := indexOf(at.im.mapped, "keypad.pdb")
		m.Kernel.Write(at.base+uint64(i), []byte("../../../p"))
	}},
	{"image_header", "a driver whose header is noise", func(_ *Dump, m *Machine) {
		base := m.byModule["keypad"].base
		for off := uint64(0); off < 0x400; off += 8 {
			m.Kernel.U64(base+off, (off+1)*0x9e3779b97f4a7c15)
		}
	}},
	{"unwind_noise", "a driver whose unwind data is noise", func(_ *Dump, m *Machine) {
		at := m.byModule["keypad"]
		for _, f := range at.im.functions {
			m.Kernel.Write(at.base+uint64(f.unwind), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		}
	}},
	{"unwind_chain", "unwind data that is chained to itself", func(_ *Dump, m *Machine) {
		at := m.byModule["keypad"]
		for _, f := range at.im.functions {
			b := le.AppendUint32([]byte{0x21, 0, 0, 0}, f.begin)
			m.Kernel.Write(at.base+uint64(f.unwind), le.AppendUint32(le.AppendUint32(b, f.end), f.unwind))
		}
	}},
	{"stack_circle", "a kernel stack whose return addresses never leave it", func(_ *Dump, m *Machine) {
		t := m.processes[1].threads[0]
		f := t.truth.Stack[1]
		for a := f.SP; a < t.kernelTop; a += 8 {
			m.Kernel.U64(a, f.IP)
		}
	}},
	{"stack_wild", "a thread whose saved stack pointer is wild", func(_ *Dump, m *Machine) {
		m.processes[2].threads[1].o.set("Tcb.KernelStack", 0xdeadbeefdeadbeef)
	}},
	{"stack_gone", "kernel stacks that are not in the dump", func(d *Dump, m *Machine) {
		for _, t := range m.processes[2].threads {
			d.Drop(m.Kernel, t.kernelTop-1)
		}
	}},
	{"user_stack_gone", "user stacks that are not in the dump", func(d *Dump, m *Machine) {
		p := m.processes[3]
		for _, t := range p.threads {
			d.Drop(p.Space, p.Space.obj("_TEB", t.teb).get("NtTib.StackBase")-1)
		}
	}},
	{"vad_cycle", "a VAD tree that leads back to its root", func(_ *Dump, m *Machine) {
		p := m.processes[2]
		root := p.o.get("VadRoot.Root")
		left := m.Kernel.obj("_RTL_BALANCED_NODE", root).get("Left")
		m.Kernel.obj("_RTL_BALANCED_NODE", left).set("Left", root).set("Right", root)
	}},
	{"handles_level", "a handle table of a level that does not exist", func(_ *Dump, m *Machine) {
		o := m.Kernel.obj("_HANDLE_TABLE", m.processes[2].handles.va)
		o.set("TableCode", o.get("TableCode")|3).set("NextHandleNeedingPool", 0xffffffff)
	}},
	{"cid_noise", "PspCidTable leads nowhere", func(_ *Dump, m *Machine) { m.Kernel.U64(m.sym("PspCidTable"), 0xffff900000000000) }},
	{"pml4_loop", "a process whose page tables lead back to themselves", func(_ *Dump, m *Machine) {
		p := m.processes[2]
		for i := range uint64(256) {
			m.phys.putU64(p.Space.root<<12+8*i, p.Space.root<<12|pteValid|pteWrite|pteUser)
		}
	}},
	{"pte_beyond", "page table entries that point beyond memory", func(_ *Dump, m *Machine) {
		p := m.processes[2]
		for i := range uint64(256) {
			m.phys.putU64(p.Space.root<<12+8*i, 0xf_ffff_ffff_f000|pteValid|pteUser)
		}
	}},
	{"kdbg_encoded", "an encoded debugger data block", func(_ *Dump, m *Machine) {
		m.opts.EncodeKDBG = true
		m.makeKDBG()
	}},
	{"kdbg_zeros", "the debugger data block is all zeros", func(_ *Dump, m *Machine) { m.Kernel.Write(m.sym("KdDebuggerDataBlock"), make([]byte, 0x380)) }},
	{"prcb_null", "KiProcessorBlock is empty", func(_ *Dump, m *Machine) {
		for i := range m.cpus {
			m.Kernel.U64(m.sym("KiProcessorBlock")+8*uint64(i), 0)
		}
	}},
	{"current_thread_wild", "a processor whose current thread is wild", func(_ *Dump, m *Machine) {
		m.Kernel.obj("_KPRCB", m.cpus[1].prcb).set("CurrentThread", 0x1122334455667788)
	}},
	{"kernel_image_gone", "the kernel's code and unwind data are not in the dump", func(d *Dump, m *Machine) {
		for _, s := range m.nt.im.sections {
			if !s.writable {
				for off := uint64(0); off < uint64(s.size); off += pageSize {
					d.Drop(m.Kernel, kernelBase+uint64(s.rva)+off)
				}
			}
		}
	}},
	{"half_gone", "every second page with a process or thread is not in the dump", func(d *Dump, m *Machine) {
		for va := uint64(poolBase); va < m.pool; va += 2 * pageSize {
			d.Drop(m.Kernel, va)
		}
	}},
}

func indexOf(b []byte, text string) int {
	i := bytes.Index(b, []byte(text))
	if i < 0 {
		panic("dumptest: no " + text)
	}
	return i
}
