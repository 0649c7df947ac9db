package dumptest

import (
	"fmt"
	"time"
)

// Sparse is a machine of 16 GB for measurements: many processes and threads,
// nearly all of its memory zero. Written as a file it takes the disk space of
// what is not zero.
func Sparse(processes, threads int) *Dump {
	m := NewMachine(Options{
		Runs: []Run{{1, 0x9e}, {0x100, 0xbfd00}, {0x100000, 0x340262}}, Processors: 8, Computer: "WIDEBAY1", Scatter: true,
	})
	m.AddDriver("keypad.sys")
	for i := range 160 {
		m.AddAbsentDriver(fmt.Sprintf("drv%03d.sys", i), 0x20000, 0x60000000+uint32(i))
	}
	sys := m.System()
	n := min(threads/20, 120)
	for range n {
		sys.AddThread(ThreadOptions{Stack: []string{"ExpWorkerThread", "KeRemovePriQueue"}, Reason: "WrQueue", Priority: 12})
	}
	threads -= n
	kinds := [][]string{poolWorker, completion, letters, watcher, timer, reader}
	parent := sys.pid
	for i := range processes - 1 {
		p := m.AddProcess(ProcessOptions{
			PPID: parent, Name: "svchost.exe", Image: "svchost.exe", Session: i % 3, Age: time.Duration(70*60-i) * time.Second,
			CommandLine: fmt.Sprintf(`C:\Windows\system32\svchost.exe -k Group%d -s Service%d`, i/8, i),
		})
		if i == 0 {
			parent = p.pid
		}
		mine := threads / (processes - 1 - i)
		for k := range mine {
			stack := mainWait("svchost")
			if k > 0 {
				stack = kinds[(i+k)%len(kinds)]
			}
			p.AddThread(ThreadOptions{Stack: stack, UserTicks: uint32(i), KernelTick: uint32(k)})
		}
		threads -= mine
	}
	return m.Finish()
}
