package dumptest

// demoMemory gives the demo its pages' states and the memory manager's figures,
// which agree: what is available is on the zeroed, free and standby lists.
func demoMemory(m *Machine) {
	c := PageCounts{
		Free: 96, Standby: 610, Modified: 131, ModifiedNoWrite: 7, Active: 5400, Transition: 220, Slist: 12,
		DanglingCommit: 3, DanglingNoCommit: 18,
	}
	m.SetPages(c)
	m.System().Set("CommitCharge", 34)
	zeroed := m.phys.total - (c.Free + c.Standby + c.Modified + c.ModifiedNoWrite + c.Active + c.Transition + c.Slist)
	const file = 49152 // pages of the paging file
	m.SetMemory(MemoryCounters{
		Physical: m.phys.total, Available: zeroed + c.Free + c.Standby, ResidentAvailable: 2905, FreeSystemPtes: 0x7ffd_2c40,
		Modified: c.Modified, ModifiedPageFile: c.Modified - 12, ModifiedNoWrite: c.ModifiedNoWrite,
		NonPagedPool: 41, NonPagedPoolNx: 288, PagedPool: 371, MaximumNonPagedPool: 0x7800_0000, MaximumPagedPool: 0x7800_0000,
		ProcessCommit: 35, SessionCommit: 64, SharedCommit: 233, KernelStacks: 300, MDL: 18, NonPagedPoolCommit: 344,
		DriverCommit: 190, BootCommit: 77, PFNCommit: 84, PageTables: 61, LockedFile: 2, Transient: 47, CommitLimit: m.phys.total + file,
		PagingFiles: []PagingFile{{Name: `\??\C:\pagefile.sys`, Size: file, Free: file - 15744, Minimum: file, Maximum: 4 * file}},
	})
}
