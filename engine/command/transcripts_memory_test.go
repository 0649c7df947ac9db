package command

import (
	"fmt"
	"testing"

	"kdap/engine/dumptest"
)

// storyHeaps lays the leaking process's heaps: the segments that the transcript
// lists, filled with leaked blocks.
func storyHeaps(p *dumptest.Process) {
	h := p.DefaultHeap()
	write := func(user uint64) { p.Space.Write(user, fmt.Appendf(nil, storyLetters+"\n", user)) }
	leak := func() { write(h.Alloc(leakSize)) }
	h.Commit(0xef000)
	for range 0xd0 {
		leak()
	}
	h.Grow(0x1244e810000, 0x100000, 0xf8000)
	for range 0xf4 {
		leak()
	}
	h.Grow(0x1244e960000, 0x200000, 0x1f8000)
	for range 0xf0 {
		leak()
	}
	write(h.AllocAt(leakBlock, leakSize))
	for range 0xf0 {
		leak()
	}
	h.Grow(0x1244eb60000, 0x400000, 0x3f7000)
	for range 0x40 {
		leak()
	}
	p.NewHeap(dumptest.HeapOptions{At: 0x1244e500000, Reserve: 0x10000, Flags: 0x8000})
	p.NewHeap(dumptest.HeapOptions{At: 0x1244e950000, Reserve: 0x10000})
}

// storyMemory lays the pages and the figures of the transcripts, and the
// processes whose commit is in their sum.
func storyMemory(t testing.TB, m *dumptest.Machine) {
	n := storyCounters(t, "12", "!memusage 0x08")
	m.SetPages(dumptest.PageCounts{
		Zeroed: n["Zeroed"], Free: n["Free"], Standby: n["Standby"], Modified: n["Modified"], ModifiedNoWrite: n["ModifiedNoWrite"],
		Active: n["Active/Valid"], Transition: n["Transition"], Slist: n["SLIST/Temp"], Bad: n["Bad"],
		DanglingCommit: n["Dangling Yes Commit"], DanglingNoCommit: n["Dangling No Commit"],
	})
	v := storyCounters(t, "11", "!vm")
	m.SetMemory(dumptest.MemoryCounters{
		Physical: v["Physical Memory"], Available: v["Available Pages"], ResidentAvailable: v["ResAvail Pages"],
		FreeSystemPtes: v["Free System PTEs"], Modified: v["Modified Pages"], ModifiedPageFile: v["Modified PF Pages"],
		ModifiedNoWrite: v["Modified No Write Pages"], NonPagedPool: v["NonPagedPool Usage"], NonPagedPoolNx: v["NonPagedPoolNx Usage"],
		PagedPool: v["PagedPool Usage"], MaximumNonPagedPool: v["NonPagedPool Max"], MaximumPagedPool: v["PagedPool Maximum"],
		ProcessCommit: v["Processor Commit"], SessionCommit: v["Session Commit"], SharedCommit: v["Shared Commit"],
		KernelStacks: v["Kernel Stacks"], MDL: v["Pages For MDLs"], AWE: v["Pages For AWE"], NonPagedPoolCommit: v["NonPagedPool Commit"],
		DriverCommit: v["Driver Commit"], BootCommit: v["Boot Commit"], PFNCommit: v["PFN Array Commit"], PageTables: v["System PageTables"],
		LockedFile: v["ProcessLockedFilePages"], PagefileHash: v["Pagefile Hash Pages"], Committed: v["Committed pages"],
		CommitLimit: v["Commit limit"], StackPteFailures: 56512, StackGrowthFailures: 92143616,
		PagingFiles: []dumptest.PagingFile{
			{Name: `\??\C:\pagefile.sys`, Size: 8388608 / 4, Free: 8381732 / 4, Minimum: 8388608 / 4, Maximum: 50011872 / 4},
			{Name: `\??\C:\swapfile.sys`, Size: 16384 / 4, Free: 16376 / 4, Minimum: 16384 / 4, Maximum: 25005936 / 4},
			{Size: 62534612 / 4, Free: 60211140 / 4, Minimum: 62534612 / 4, Maximum: 62534612 / 4},
		},
	})
}
