package dumptest

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// loadedModule is a module in a process's loader lists.
type loadedModule struct {
	at         mapping
	name, path string
}

// Places in a process, by its seed, so that processes differ in them.
func (p *Process) pebPlace() uint64 {
	if p.opt.Wow64 {
		return wow64PEB
	}
	return cmp.Or(p.opt.Placement.PEB, 0xa0_0000_0000+p.place<<28+0x17000)
}

func (p *Process) heapPlace() uint64 {
	return cmp.Or(p.opt.Placement.Heap, 0x190_0000_0000+p.place<<32)
}

// stackEnd is the end of the n-th thread's stack.
func (p *Process) stackEnd(n uint64) uint64 {
	switch top := p.opt.Placement.Stacks; {
	case top != 0:
		return top - n*0x200000
	case p.opt.Wow64:
		return wow64Stacks + 0x100000 + n*0x200000
	}
	return 0xa0_0000_0000 + p.place<<28 + 0x8100000 + n*0x200000
}

const pebRegion = 0x200000

// makeUser makes the PEB, the heap with the process parameters, and loads the
// image and the two system DLLs.
func (p *Process) makeUser() {
	m := p.m
	p.Space.MapNew(sharedUser, pageSize, ReadOnly)
	frame, _ := m.Kernel.lookup(sharedKernel)
	p.Space.Map(sharedUser, frame, ReadOnly)
	p.addVad(vad{start: sharedUser, size: pageSize, prot: ReadOnly, kind: "private"})

	p.peb = p.pebPlace()
	p.addVad(vad{start: p.peb &^ (pebRegion - 1), size: pebRegion, prot: ReadWrite, kind: "private"})
	p.Space.MapNew(p.peb, pageSize, ReadWrite)
	p.NewHeap(HeapOptions{At: p.heapPlace()})

	exe := LoadImage(p.opt.Image)
	p.LoadModule(exe, p.opt.Name, p.imagePath())
	p.LoadModule(LoadImage("ntdll.dll"), "ntdll.dll", `C:\Windows\System32\ntdll.dll`)
	p.Space.U64(p.Symbol("ntdll!RtlpLFHKey"), p.lfhKey())
	if p.opt.Wow64 {
		p.loadWow64()
	} else {
		p.LoadModule(LoadImage("kernel32.dll"), "KERNEL32.DLL", `C:\Windows\System32\KERNEL32.DLL`)
		p.Space.U64(p.Symbol("ntdll!Kernel32ThreadInitThunkFunction"), p.Symbol("kernel32!BaseThreadInitThunk"))
	}

	peb := p.Space.obj("_PEB", p.peb)
	peb.set("ImageBaseAddress", p.order[0].at.base).set("Ldr", p.Symbol("ntdll!PebLdr"))
	peb.set("ProcessHeap", p.heapPlace()).set("NumberOfProcessors", uint64(m.opts.Processors))
	peb.set("OSMajorVersion", 10).set("OSBuildNumber", uint64(m.build())).set("OSPlatformId", 2).set("ImageSubsystem", 3)
	peb.set("SessionId", uint64(max(p.opt.Session, 0))).set("MaximumNumberOfHeaps", maxHeaps)
	peb.set("FastPebLock", p.Symbol("ntdll!FastPebLock")).set("IsImageDynamicallyRelocated", 1)
	if p.opt.Wow64 {
		p.makeWow64()
	}
	p.makeParameters(peb)
	p.o.set("Peb", p.peb).set("SectionBaseAddress", p.order[0].at.base)
	p.truth.Peb = p.peb
}

// Alloc takes bytes of the process's own heap.
func (p *Process) Alloc(size int) uint64 {
	va := p.heaps[0].Alloc(uint64(size))
	p.Space.MapNew(va, uint64(size), ReadWrite)
	return va
}

func (p *Process) allocString(o object, path, text string) {
	o.str(path, p.Alloc(2*len([]rune(text))+2), text)
}

// environment is what the process finds, sorted as Windows keeps it.
func (p *Process) environment() []string {
	if p.opt.Environment != nil {
		return p.opt.Environment
	}
	env := []string{
		`ALLUSERSPROFILE=C:\ProgramData`, `COMPUTERNAME=` + p.m.opts.Computer,
		`ComSpec=C:\Windows\system32\cmd.exe`, fmt.Sprintf("NUMBER_OF_PROCESSORS=%d", p.m.opts.Processors), `OS=Windows_NT`,
		`Path=C:\Windows\system32;C:\Windows`, `PROCESSOR_ARCHITECTURE=AMD64`,
		`SystemDrive=C:`, `SystemRoot=C:\Windows`, `TEMP=C:\Windows\TEMP`, `windir=C:\Windows`,
	}
	if u := p.opt.User; u != "" {
		env = slices.DeleteFunc(env, func(s string) bool { return strings.HasPrefix(s, "TEMP=") })
		env = append(env, `USERNAME=`+u, `USERPROFILE=C:\Users\`+u, `TEMP=C:\Users\`+u+`\AppData\Local\Temp`)
	}
	env = append(env, p.opt.Env...)
	slices.SortFunc(env, func(a, b string) int { return strings.Compare(strings.ToUpper(a), strings.ToUpper(b)) })
	return env
}

// makeParameters writes the process parameters and the environment.
func (p *Process) makeParameters(peb object) {
	va := p.Alloc(p.m.l.size("_RTL_USER_PROCESS_PARAMETERS"))
	o := p.Space.obj("_RTL_USER_PROCESS_PARAMETERS", va)
	n := uint64(p.m.l.size("_RTL_USER_PROCESS_PARAMETERS"))
	o.set("MaximumLength", n).set("Length", n).set("Flags", 0x6001)
	cmd, dir := p.commandLine(), p.currentDirectory()
	p.allocString(o, "CurrentDirectory.DosPath", dir)
	p.allocString(o, "ImagePathName", p.imagePath())
	p.allocString(o, "CommandLine", cmd)
	p.allocString(o, "WindowTitle", p.imagePath())
	p.allocString(o, "DesktopInfo", `WinSta0\Default`)
	env := p.environment()
	block := environmentBlock(env)
	at := p.opt.Placement.EnvironmentBlock
	if at == 0 {
		at = p.Alloc(len(block))
	} else {
		p.heaps[0].AllocAt(at, uint64(len(block)))
	}
	p.Space.Write(at, block)
	o.set("Environment", at).set("EnvironmentSize", uint64(len(block)))
	peb.set("ProcessParameters", va)
	p.truth.ImagePath, p.truth.CommandLine, p.truth.CurrentDirectory, p.truth.Env = p.imagePath(), cmd, dir, env
}

func (p *Process) commandLine() string {
	if p.opt.CommandLine == "" {
		return p.imagePath()
	}
	return p.opt.CommandLine
}

func (p *Process) currentDirectory() string {
	if p.opt.CurrentDirectory == "" {
		return `C:\Windows\system32\`
	}
	return p.opt.CurrentDirectory
}

// environmentBlock is how an environment lies in memory.
func environmentBlock(env []string) []byte {
	var block []byte
	for _, e := range env {
		block = append(block, utf16Bytes(e+"\x00")...)
	}
	return append(block, 0, 0)
}

// LoadModule maps an image under a file name. Pages that nobody writes are
// shared by all processes, as the memory manager does.
func (p *Process) LoadModule(im *Image, name, dos string) {
	m := p.m
	base := m.userBase(im, name)
	at := mapping{im, base, strings.TrimSuffix(name, path.Ext(name))}
	p.modules[im.Module()] = at
	bytes := im.at(base, func(dll, sym string) uint64 {
		dep := LoadImage(strings.ToLower(dll))
		if im.pe32 {
			dep = p.narrowImage(dll)
		}
		return m.userBase(dep, dll) + uint64(dep.Exports[sym])
	})
	shared := name
	if im.pe32 {
		shared = im.File // ntdll.dll is there twice
	}
	frames := m.shared[shared]
	if frames == nil {
		frames = make([]uint64, im.Size/pageSize)
		m.shared[shared] = frames
	}
	for i := range frames {
		va := base + uint64(i)*pageSize
		prot, private := pageProt(im, uint32(i)*pageSize)
		pfn := frames[i]
		if pfn == 0 || private {
			pfn = m.phys.alloc()
			copy(m.phys.page(pfn)[:], bytes[i*pageSize:])
		}
		if !private {
			frames[i] = pfn
			if _, ok := m.prototypes[pfn]; !ok {
				m.prototypes[pfn] = prototype{}
			}
		}
		p.Space.Map(va, pfn, prot)
	}
	p.addVad(vad{start: base, size: uint64(im.Size), prot: Execute, kind: "image", file: strings.TrimPrefix(dos, "C:")})
	p.order = append(p.order, loadedModule{at: at, name: name, path: dos})
	p.truth.Modules = append(p.truth.Modules, TruthModule{
		Name: name, Path: dos, Base: base, Size: im.Size, TimeStamp: im.TimeStamp, CheckSum: im.CheckSum, PDB: im.PDB,
	})
}

func pageProt(im *Image, rva uint32) (Prot, bool) {
	for _, s := range im.sections {
		if rva >= s.rva && rva < s.rva+roundUp(s.size, uint32(pageSize)) {
			switch {
			case s.executable:
				return Execute, false
			case s.writable:
				return ReadWrite, true
			}
			// The import table lies in a read-only section, but the loader
			// wrote it: the same bytes in each process.
		}
	}
	return ReadOnly, false
}

// finishUser writes the loader's lists.
func (p *Process) finishUser() {
	s := p.Space
	ldr := s.obj("_PEB_LDR_DATA", p.Symbol("ntdll!PebLdr"))
	ldr.set("Length", uint64(p.m.l.size("_PEB_LDR_DATA"))).set("Initialized", 1)
	var load, memory, initial []uint64
	for i, l := range p.order {
		e := p.Alloc(p.m.l.size("_LDR_DATA_TABLE_ENTRY"))
		o := s.obj("_LDR_DATA_TABLE_ENTRY", e)
		im := l.at.im
		o.set("DllBase", l.at.base).set("SizeOfImage", uint64(im.Size)).set("TimeDateStamp", uint64(im.TimeStamp))
		if im.Entry != 0 {
			o.set("EntryPoint", l.at.base+uint64(im.Entry))
		}
		p.allocString(o, "FullDllName", l.path)
		p.allocString(o, "BaseDllName", l.name)
		o.set("Flags", 0x22cc).set("ObsoleteLoadCount", 0xffff).set("OriginalBase", im.Base).set("ReferenceCount", 1)
		s.link(o.addr("HashLinks"))
		node := p.Alloc(p.m.l.size("_LDR_DDAG_NODE"))
		o.set("DdagNode", node)
		s.obj("_LDR_DDAG_NODE", node).set("LoadCount", 0xffffffff)
		s.link(node, o.addr("NodeModuleLink"))
		load, memory = append(load, o.addr("InLoadOrderLinks")), append(memory, o.addr("InMemoryOrderLinks"))
		if i > 0 {
			initial = append(initial, o.addr("InInitializationOrderLinks"))
		}
	}
	s.link(ldr.addr("InLoadOrderModuleList"), load...)
	s.link(ldr.addr("InMemoryOrderModuleList"), memory...)
	s.link(ldr.addr("InInitializationOrderModuleList"), initial...)
	if p.opt.Wow64 {
		p.finishNarrow()
	}
	p.finishHeaps()
}

// maxHeaps is how many heaps the list in the PEB's page can hold.
const maxHeaps = 16

// finishHeaps writes the heaps and the list of them.
func (p *Process) finishHeaps() {
	table := roundUp(p.peb+uint64(p.m.l.size("_PEB")), 0x10)
	for i, h := range p.heaps {
		p.Space.U64(table+8*uint64(i), h.VA())
		h.finish()
	}
	p.Space.obj("_PEB", p.peb).set("NumberOfHeaps", uint64(len(p.heaps))).set("ProcessHeaps", table)
}

// makeTEB makes a thread's user block and its user stack.
func (t *Thread) makeTEB() {
	p, n := t.p, uint64(len(t.p.threads)-1)
	t.teb = p.peb + pageSize + n*0x2000
	if p.opt.Wow64 {
		t.teb = wow64TEBs + n*wow64Teb
	}
	if t.teb+0x2000 > p.peb&^(pebRegion-1)+pebRegion {
		panic("dumptest: too many threads in a process")
	}
	p.Space.MapNew(t.teb, 0x2000, ReadWrite)
	base := p.stackEnd(n)
	committed := cmp.Or(p.opt.Placement.StackCommit, 2*pageSize)
	p.Space.MapNew(base-committed, committed, ReadWrite)
	p.addVad(vad{start: base - 0x100000, size: 0x100000, prot: ReadWrite, kind: "private", commit: committed / pageSize})
	o := p.Space.obj("_TEB", t.teb)
	o.set("NtTib.StackBase", base).set("NtTib.StackLimit", base-committed).set("DeallocationStack", base-0x100000)
	o.set("NtTib.Self", t.teb).set("NtTib.Version", 0x1e00).set("ProcessEnvironmentBlock", p.peb)
	for _, c := range []string{"ClientId", "RealClientId"} {
		o.set(c+".UniqueProcess", uint64(p.pid)).set(c+".UniqueThread", uint64(t.opt.TID))
	}
	o.set("LastErrorValue", uint64(t.opt.LastError)).set("LastStatusValue", uint64(t.opt.LastStatus))
	o.set("CurrentLocale", 0x409)
	for _, l := range []string{"TlsLinks"} {
		p.Space.link(o.addr(l))
	}
}

// Reserve makes a private range of the process, committed page by page as it
// is written.
func (p *Process) Reserve(size uint64) uint64 {
	va := p.heapPlace() + 0x10000000
	for _, v := range p.vads {
		if v.start >= va && v.start < p.heapPlace()+1<<32 {
			va = max(va, roundUp(v.start+v.size, 0x10000))
		}
	}
	size = roundUp(size, uint64(pageSize))
	p.addVad(vad{start: va, size: size, prot: ReadWrite, kind: "private", commit: size / pageSize})
	return va
}
