package dumptest

import "slices"

// A Hole is memory of one kind that a dump does not have: the page tables
// promise it, the file lacks it.
type Hole struct {
	Name, About string

	pages func(m *Machine) []place
}

type place struct {
	s  *Space
	va uint64
}

// Holes lists what a dump may lack.
func Holes() []Hole { return holes }

// Without makes holes in the dump in the place of those it had. A kind of
// memory that this machine has not is passed over.
func (d *Dump) Without(holes ...Hole) {
	clear(d.m.phys.gone)
	for _, h := range holes {
		for _, p := range h.pages(d.m) {
			if _, ok := p.s.lookup(p.va); ok {
				d.Drop(p.s, p.va)
			}
		}
	}
}

// WithoutSome makes holes in the dump: one page of n is not in it, other ones
// for each seed.
func (d *Dump) WithoutSome(n, seed uint64) {
	clear(d.m.phys.gone)
	for pfn := range d.m.phys.pages {
		x := (pfn + 1) * (seed*2 + 0x9e3779b97f4a7c15)
		if x ^= x >> 29; (x*0xbf58476d1ce4e5b9)>>33%n == 0 {
			d.m.phys.gone[pfn] = true
		}
	}
}

// kernelPages are the pages of n bytes of the kernel's from va.
func (m *Machine) kernelPages(va, n uint64) []place {
	var all []place
	for at := va &^ (pageSize - 1); at < va+n; at += pageSize {
		all = append(all, place{m.Kernel, at})
	}
	return all
}

// ofProcesses takes places from each process but the first two.
func ofProcesses(pages func(p *Process) []place) func(m *Machine) []place {
	return func(m *Machine) []place {
		var all []place
		for _, p := range m.processes[2:] {
			all = append(all, pages(p)...)
		}
		return all
	}
}

var holes = []Hole{
	{"processes", "every second process", func(m *Machine) []place {
		var all []place
		for i := 1; i < len(m.processes); i += 2 {
			all = append(all, place{m.Kernel, m.processes[i].va})
		}
		return all
	}},
	{"threads", "the threads of every second process", func(m *Machine) []place {
		var all []place
		for i := 1; i < len(m.processes); i += 2 {
			for _, t := range m.processes[i].threads {
				all = append(all, place{m.Kernel, t.va})
			}
		}
		return all
	}},
	{"pebs", "PEBs", ofProcesses(func(p *Process) []place { return []place{{p.Space, p.peb}} })},
	{"tebs", "TEBs", ofProcesses(func(p *Process) []place {
		var all []place
		for _, t := range p.threads {
			all = append(all, place{p.Space, t.teb})
		}
		return all
	})},
	{"loaders", "the lists of user modules", ofProcesses(func(p *Process) []place {
		if p.modules["ntdll"].im == nil {
			return nil
		}
		return []place{{p.Space, p.Symbol("ntdll!PebLdr")}}
	})},
	{"handles", "handle tables", ofProcesses(func(p *Process) []place {
		if p.handles == nil {
			return nil
		}
		code := p.m.Kernel.obj("_HANDLE_TABLE", p.handles.va).get("TableCode")
		return []place{{p.m.Kernel, code &^ 7}}
	})},
	{"cids", "the table of process and thread ids", func(m *Machine) []place {
		code := m.Kernel.obj("_HANDLE_TABLE", m.Kernel.u64(m.sym("PspCidTable"))).get("TableCode")
		return []place{{m.Kernel, code &^ 7}}
	}},
	{"heaps", "pages of heaps", ofProcesses(func(p *Process) []place {
		var all []place
		for _, h := range p.heaps {
			for _, s := range h.segments {
				for i := 1; i < len(s.blocks); i += 3 {
					all = append(all, place{p.Space, s.blocks[i].va})
				}
			}
		}
		return all
	})},
	{"kernel_stacks", "kernel stacks", ofProcesses(func(p *Process) []place {
		var all []place
		for _, t := range p.threads {
			all = append(all, place{p.m.Kernel, t.kernelTop - 1})
		}
		return all
	})},
	{"user_stacks", "user stacks", ofProcesses(func(p *Process) []place {
		var all []place
		for _, t := range p.threads {
			if t.teb != 0 {
				all = append(all, place{p.Space, p.Space.obj("_TEB", t.teb).get("NtTib.StackBase") - 1})
			}
		}
		return all
	})},
	{"processors", "the blocks of processors", func(m *Machine) []place {
		var all []place
		for _, c := range m.cpus {
			all = append(all, m.kernelPages(c.prcb, uint64(m.l.size("_KPRCB")))...)
		}
		return all
	}},
	{"modules", "half the list of drivers", func(m *Machine) []place {
		var all []place
		for i := 1; i < len(m.modules); i += 2 {
			all = append(all, place{m.Kernel, m.modules[i].entry})
		}
		return all
	}},
	{"directories", "object directories", func(m *Machine) []place { return []place{{m.Kernel, m.root}} }},
	{"cells", "every second page of the hives' cells", func(m *Machine) []place {
		var all []place
		for _, h := range m.registry.hives {
			for _, s := range h.stores {
				if s == nil {
					continue
				}
				for i := 1; i < len(s.bins); i += 2 {
					all = append(all, place{s.space, s.bins[i].addr})
				}
			}
		}
		return all
	}},
	{"root_cells", "the first page of the hives' cells", func(m *Machine) []place {
		var all []place
		for _, h := range m.registry.hives {
			if s := h.stores[0]; s != nil && len(s.bins) > 0 {
				all = append(all, place{s.space, s.bins[0].addr})
			}
		}
		return all
	}},
	{"keys", "control blocks of open keys", func(m *Machine) []place {
		var all []place
		for i, k := range m.registry.opened {
			if i%2 == 1 {
				all = append(all, place{m.Kernel, k.kcb})
			}
		}
		return all
	}},
	{"hives", "half the list of hives", func(m *Machine) []place {
		var all []place
		for i := 1; i < len(m.registry.hives); i += 2 {
			all = append(all, place{m.Kernel, m.registry.hives[i].va})
		}
		return all
	}},
	{"pfns", "the PFN database", func(m *Machine) []place {
		n := m.phys.total * uint64(m.l.size("_MMPFN"))
		return slices.DeleteFunc(m.kernelPages(pfnBase, n), func(p place) bool { return p.va>>12%2 == 0 })
	}},
	{"vads", "half the tree of VADs", ofProcesses(func(p *Process) []place {
		root := p.o.get("VadRoot.Root")
		if root == 0 {
			return nil
		}
		return []place{{p.m.Kernel, p.m.Kernel.obj("_RTL_BALANCED_NODE", root).get("Left")}}
	})},
	{"kernel_code", "the kernel's code and unwind data", func(m *Machine) []place {
		var all []place
		for _, s := range m.nt.im.sections {
			if !s.writable {
				all = append(all, m.kernelPages(m.nt.base+uint64(s.rva), uint64(s.size))...)
			}
		}
		return all
	}},
	{"kernel_header", "the first page of the kernel", func(m *Machine) []place { return []place{{m.Kernel, m.nt.base}} }},
	{"debugger_data", "the debugger's block", func(m *Machine) []place { return []place{{m.Kernel, m.sym("KdDebuggerDataBlock")}} }},
}
