package dumptest

import (
	"fmt"
	"time"
)

// Load says how much a busy machine has of what machines have much of.
type Load struct {
	Pages                       uint64 // of physical memory
	Processes, Threads, Drivers int

	Handles, Leaked int // of all processes, and of the one that leaks them
	Modules         int // of the process with the most
	Ranges          int // of the process with the most VADs
	Blocks          int // of the heap that is largest
	Keys, Open      int // of the registry, five values a key; and how many are open
	Names           int // in one object directory
	Requests        int // IRPs that threads wait for
	Waiters         int // threads that wait for each other's mutexes
	Locks           int // resources that are held
}

// HeavyLoad is that of a large server that nobody restarted for long.
func HeavyLoad() Load {
	return Load{
		Pages: 0x400000, Processes: 300, Threads: 3200, Drivers: 250, Handles: 110_000, Leaked: 60_000, Modules: 400, Ranges: 5000,
		Blocks: 1_100_000, Keys: 200_000, Open: 5000, Names: 10_000, Requests: 2000,
		Waiters: 400, Locks: 4000,
	}
}

// Busy is a machine under a load, for measurements of what small dumps never
// show: its PFN database describes each page in its own words.
func Busy(load Load) *Dump {
	const below, hole = 0xc0000, 0x40000 // of 4 GB
	runs := []Run{{1, 0x9e}, {0x100, min(load.Pages, below) - 0x100}}
	if load.Pages > below {
		runs = append(runs, Run{below + hole, load.Pages - below})
	}
	m := NewMachine(Options{Runs: runs, Processors: 8, Computer: "WIDEBAY2", Scatter: true})
	b := &busyMachine{Machine: m, load: load}
	m.AddDriver("keypad.sys")
	for i := range load.Drivers {
		m.AddAbsentDriver(fmt.Sprintf("drv%03d.sys", i), 0x20000, 0x60000000+uint32(i))
	}
	b.population()
	b.modules(b.user[1])
	b.ranges(b.user[2])
	b.heap(b.user[3])
	b.objects()
	b.requests()
	b.locks()
	b.registry()
	b.handles()
	m.SetPages(PageCounts{
		Free: load.Pages / 512, Standby: load.Pages / 4, Modified: load.Pages / 32, Active: load.Pages / 2, Transition: 0x80,
		DanglingCommit: load.Pages / 256, DanglingNoCommit: load.Pages / 256, Owner: b.user[3], Distinct: true,
	})
	m.SetMemory(MemoryCounters{
		Physical: m.phys.total, Available: load.Pages / 3, ResidentAvailable: load.Pages / 2, FreeSystemPtes: 0x40000, Modified: load.Pages / 32,
		NonPagedPool: 0x8000, NonPagedPoolNx: 0x9000, PagedPool: 0x12000, MaximumNonPagedPool: 0x400000, MaximumPagedPool: 0x400000,
		KernelStacks: 0x5000, DriverCommit: 0x2000, PFNCommit: 0xc4e0, CommitLimit: 0x500000,
		PagingFiles: []PagingFile{{`\??\C:\pagefile.sys`, 0x100000, 0xc0000, 0x80000, 0x400000}},
	})
	return m.Finish()
}

type busyMachine struct {
	*Machine
	load    Load
	user    []*Process
	threads []*Thread
	bodies  []uint64 // objects to have handles of
}

// population starts the processes with their threads.
func (b *busyMachine) population() {
	left := b.load.Threads
	n := min(left/20, 120)
	for range n {
		b.System().AddThread(ThreadOptions{Stack: []string{"ExpWorkerThread", "KeRemovePriQueue"}, Reason: "WrQueue", Priority: 12})
	}
	left -= n
	kinds := [][]string{poolWorker, completion, letters, watcher, timer, reader}
	parent := b.System().pid
	for i := range b.load.Processes - 1 {
		p := b.AddProcess(ProcessOptions{
			PPID: parent, Name: "svchost.exe", Image: "svchost.exe", Session: i % 3, Age: time.Duration(70*60-i) * time.Second,
			CommandLine: fmt.Sprintf(`C:\Windows\system32\svchost.exe -k Group%d -s Service%d`, i/8, i),
		})
		if i == 0 {
			parent = p.pid
		}
		b.user = append(b.user, p)
		mine := left / (b.load.Processes - 1 - i)
		for k := range mine {
			stack := mainWait("svchost")
			if k > 0 {
				stack = kinds[(i+k)%len(kinds)]
			}
			b.threads = append(b.threads, p.AddThread(ThreadOptions{Stack: stack, UserTicks: uint32(i), KernelTick: uint32(k)}))
		}
		left -= mine
	}
}

func (b *busyMachine) modules(p *Process) {
	for i := range b.load.Modules {
		name := fmt.Sprintf("plugin%03d.dll", i)
		p.LoadModule(LoadImage("kernel32.dll"), name, `C:\Program Files\Plugins\`+name)
	}
	p.modules["kernel32"] = mapping{LoadImage("kernel32.dll"), b.userBases["kernel32.dll"], "KERNEL32"}
}

func (b *busyMachine) ranges(p *Process) {
	for i := range b.load.Ranges {
		va := p.Reserve(uint64(1+i%7) * 0x10000)
		p.Space.U64(va, uint64(i))
	}
}

// heap fills a heap with blocks of many sizes; every seventh was given back,
// every fifth is the front end's.
func (b *busyMachine) heap(p *Process) {
	h := p.NewHeap(HeapOptions{})
	for i := 0; i < b.load.Blocks; {
		if i%512 == 0 {
			n := 64 + i/512%64
			h.AllocFront(uint64(16+i/512%32*16), n, n*3/4)
			i += n
			continue
		}
		size := uint64(24 + i*7919%1000)
		if i%1000 == 1 {
			size = 0x8000
		}
		user := h.Alloc(size)
		if i%7 == 3 {
			h.Free(user)
		} else {
			p.Space.U64(user, uint64(i)*0x9e3779b97f4a7c15)
		}
		i++
	}
	for range 40 {
		h.Alloc(0x180000)
	}
}

// objects fills a directory with names, and has a driver object with a device
// for each driver.
func (b *busyMachine) objects() {
	const buckets = 37
	drivers := b.newObject("Directory", b.l.size("_OBJECT_DIRECTORY"), "Driver", b.root)
	b.AddToDirectory(0, drivers, 6)
	for i := range b.load.Drivers {
		device := b.NewDevice("keypad", fmt.Sprintf("Device%d", i))
		b.AddToDirectory(drivers, b.Kernel.obj("_DEVICE_OBJECT", device).get("DriverObject"), i%buckets)
	}
	dir := b.newObject("Directory", b.l.size("_OBJECT_DIRECTORY"), "BaseNamedObjects", b.root)
	b.AddToDirectory(0, dir, 5)
	for i := range b.load.Names {
		name := fmt.Sprintf("Shared_%d_Event_%08x", i%977, i*2654435761)
		body := b.newObject("Event", b.l.size("_KEVENT"), name, dir)
		b.dispatcher(body, "NotificationEvent", i%2 == 0)
		b.AddToDirectory(dir, body, i%buckets)
		b.bodies = append(b.bodies, body)
	}
}

func (b *busyMachine) requests() {
	for i := range min(b.load.Requests, len(b.threads)) {
		file := b.NewFile(fmt.Sprintf(`\Data\Journal\%04d.log`, i))
		b.NewIrp(b.threads[i], file)
		b.bodies = append(b.bodies, file)
	}
}

// locks lets threads wait for mutexes: of ten threads one waits for the mutex of
// the one before, the others for its own.
func (b *busyMachine) locks() {
	owner := b.threads[0]
	for n := 0; n < b.load.Waiters; n += 10 {
		p := b.user[n/10%len(b.user)]
		mutant := b.NewMutant("", owner.va)
		for i := range 10 {
			t := p.AddThread(ThreadOptions{Stack: mainWait("svchost"), Objects: []uint64{mutant}})
			if i == 0 {
				owner = t
			}
		}
	}
	for i := range b.load.Locks {
		b.NewResource(b.threads[i%len(b.threads)], b.threads[(i*7+1)%len(b.threads)])
	}
}

// registry makes the software hive, which has most of the keys, and others.
func (b *busyMachine) registry() {
	at := uint64(firstView) + 0x1_0000_0000
	for n, name := range []string{"SOFTWARE", "SYSTEM", "COMPONENTS"} {
		h := b.AddHive(HiveOptions{
			Mount: `\REGISTRY\MACHINE\` + name, File: `\SystemRoot\System32\Config\` + name, Base: at + uint64(n)<<32, Buckets: 1024,
		})
		keys := b.load.Keys * []int{6, 3, 1}[n] / 10
		var group *HiveKey
		for i := range keys {
			if i%100 == 0 {
				group = h.root.addSub(fmt.Sprintf("Group%05d", i/100))
			}
			k := group.addSub(fmt.Sprintf("{%08X-0000-4000-8000-%012X}", uint32(i*2654435761), i))
			k.SetString("", fmt.Sprintf("Component %d of %s", i, name)).SetDword("Flags", uint32(i))
			k.SetString("InprocServer32", fmt.Sprintf(`C:\Program Files\Vendor %d\Product\server%d.dll`, i%300, i))
			k.Set("Data", RegBinary, make([]byte, 20+i%200)).SetQword("Stamp", uint64(i)<<20)
			if i%20 == 0 && i/20 < b.load.Open*[]int{6, 3, 1}[n]/10 {
				b.user[i%len(b.user)].AddKeyHandle(k, 0x20019)
			}
		}
	}
}

// addSub is Sub for names that are known to be new.
func (k *HiveKey) addSub(name string) *HiveKey {
	s := &HiveKey{hive: k.hive, parent: k, name: name, where: k.where, time: k.time + uint64(len(k.subs)+1)*100_000}
	k.subs = append(k.subs, s)
	return s
}

// handles gives the processes handles, and one of them far too many.
func (b *busyMachine) handles() {
	for i := range b.load.Leaked {
		b.user[4].AddHandle(b.bodies[i%50], 0x1f0003, 0)
	}
	for i := range b.load.Handles - b.load.Leaked {
		b.user[i%len(b.user)].AddHandle(b.bodies[i%len(b.bodies)], 0x1f0003, uint64(i%2))
	}
}
