package dumptest

// MemoryCounters are the memory manager's figures, in pages.
type MemoryCounters struct {
	Physical, Available, ResidentAvailable      uint64
	FreeSystemPtes                              uint64
	Modified, ModifiedPageFile, ModifiedNoWrite uint64
	NonPagedPool, NonPagedPoolNx, PagedPool     uint64
	MaximumNonPagedPool, MaximumPagedPool       uint64
	ProcessCommit, SessionCommit, SharedCommit  uint64
	KernelStacks, MDL, AWE, Contiguous          uint64
	NonPagedPoolCommit, DriverCommit            uint64
	BootCommit, PFNCommit, PageTables           uint64
	LockedFile, PagefileHash                    uint64
	CommitLimit                                 uint64

	// Committed is what all parts add up to, and Transient; or as it is told.
	Committed, Transient uint64

	StackPteFailures, StackGrowthFailures uint64

	PagingFiles []PagingFile
}

// A PagingFile is one of the machine's paging files, in pages. Without a name
// it is the store of compressed memory.
type PagingFile struct {
	Name                         string
	Size, Free, Minimum, Maximum uint64
}

// SetMemory gives the machine the memory manager's figures.
func (m *Machine) SetMemory(c MemoryCounters) { m.memory = &c }

// makeCounters writes the figures where the kernel keeps them.
func (m *Machine) makeCounters() {
	c := m.memory
	if c == nil {
		return
	}
	if c.Committed == 0 {
		c.Committed = c.Transient + m.charged()
	}
	k := m.Kernel
	p := k.obj("_MI_PARTITION", m.sym("MiSystemPartition"))
	s := k.obj("_MI_SYSTEM_INFORMATION", m.sym("MiState"))
	for path, v := range map[string]uint64{
		"NumberOfPhysicalPages": c.Physical, "AvailablePages": c.Available, "ResidentAvailablePages": c.ResidentAvailable,
		"ModifiedPageListHead.Total": c.Modified, "ModifiedNoWritePageListHead.Total": c.ModifiedNoWrite,
		"TotalPagesForPagingFile": c.ModifiedPageFile, "SharedCommit": c.SharedCommit, "VadPhysicalPages": c.AWE,
		"ProcessLockedFilePages": c.LockedFile, "TotalCommittedPages": c.Committed, "TotalCommitLimit": c.CommitLimit,
	} {
		p.set("Vp."+path, v)
	}
	for path, v := range map[string]uint64{
		"SystemPteInfo.TotalFreeSystemPtes": c.FreeSystemPtes, "MaximumNonPagedPoolInPages": c.MaximumNonPagedPool,
		"SizeOfPagedPoolInPages": c.MaximumPagedPool, "PagedPoolInfo.AllocatedPagedPool": c.PagedPool,
		"PagedPoolInfo.PagedPoolCommit": c.PagedPool, "ProcessCommit": c.ProcessCommit, "MdlPagesAllocated": c.MDL,
		"ContiguousPagesAllocated": c.Contiguous, "NonPagedPoolCommit": c.NonPagedPoolCommit, "DriverCommit": c.DriverCommit,
		"BootCommit": c.BootCommit, "PfnDatabaseCommit": c.PFNCommit, "SystemPageTableCommit": c.PageTables,
		"PagefileHashPages": c.PagefileHash,
	} {
		s.set("Vs."+path, v)
	}
	const stacks = "SystemPtes.KernelStackPteInfo."
	s.set(stacks+"TotalSystemPtes", c.KernelStacks+0x2000).set(stacks+"TotalFreeSystemPtes", 0x2000)
	s.set(stacks+"PteFailures", c.StackPteFailures).set("SystemPtes.StackGrowthFailures", c.StackGrowthFailures)
	m.makePagingFiles(p)
	m.makePools()
	m.chargeSessions(s.addr("Vs.SessionWsList"))
}

// charged is the commit of the system's parts and of all processes.
func (m *Machine) charged() uint64 {
	c := m.memory
	sum := c.ProcessCommit + c.SessionCommit + c.SharedCommit + c.KernelStacks + c.MDL + c.AWE + c.Contiguous + c.NonPagedPoolCommit +
		c.PagedPool + c.DriverCommit + c.BootCommit + c.PFNCommit + c.PageTables + c.LockedFile + c.PagefileHash
	for _, p := range m.processes[1:] { // without Idle
		sum += p.o.get("CommitCharge")
	}
	return sum
}

func (m *Machine) makePagingFiles(p object) {
	for i, f := range m.memory.PagingFiles {
		va := m.alloc(m.l.size("_MMPAGING_FILE"))
		o := m.Kernel.obj("_MMPAGING_FILE", va).set("Size", f.Size).set("FreeSpace", f.Free).set("MinimumSize", f.Minimum).
			set("MaximumSize", f.Maximum).set("PageFileNumber", uint64(i))
		if f.Name != "" {
			m.poolString(o, "PageFileName", f.Name)
		}
		m.Kernel.U64(p.addr("Vp.PagingFile")+8*uint64(i), va)
	}
	p.set("Vp.NumberOfPagingFiles", uint64(len(m.memory.PagingFiles)))
}

// makePools makes the heaps that the kernel's pools are; only their counts are
// laid.
func (m *Machine) makePools() {
	pools := m.Kernel.obj("_EX_POOL_HEAP_MANAGER_STATE", m.sym("ExPoolState")).set("NumberOfPools", 1)
	for i, pages := range []uint64{m.memory.NonPagedPool, m.memory.NonPagedPoolNx, m.memory.PagedPool} {
		va := m.alloc(m.l.size("_SEGMENT_HEAP"))
		m.Kernel.obj("_SEGMENT_HEAP", va).set("Signature", 0xddeeddee).
			set("MemStats.TotalCommittedPages", pages).set("MemStats.TotalReservedPages", pages+0x400)
		m.Kernel.U64(pools.addr("PoolNode[0].Heaps")+8*uint64(i), va)
	}
}

// chargeSessions divides the sessions' commit over them and lists them.
func (m *Machine) chargeSessions(head uint64) {
	if m.sessionType() != "_MM_SESSION_SPACE" {
		m.Kernel.link(head) // what replaced it has no such counter
		return
	}
	var links []uint64
	left := m.memory.SessionCommit
	for id := uint32(0); len(links) < len(m.sessions); id++ {
		va, ok := m.sessions[id]
		if !ok {
			continue
		}
		part := left / uint64(len(m.sessions)-len(links))
		left -= part
		o := m.Kernel.obj(m.sessionType(), va).set("CommittedPages", part)
		links = append(links, o.addr("WsListEntry"))
	}
	m.Kernel.link(head, links...)
}
