package dumptest

import (
	"fmt"
	"strings"
	"time"
)

// A Process is a process in the making.
type Process struct {
	m     *Machine
	Space *Space
	va    uint64 // _EPROCESS
	o     object
	pid   uint32
	opt   ProcessOptions

	threads []*Thread
	modules map[string]mapping // by the name in stacks
	order   []loadedModule
	handles *handleTable
	peb     uint64
	place   uint64 // seed of the user addresses
	heaps   []*Heap
	fixed   []field
	vads    []vad

	narrow     []loadedModule // of the 32-bit loader, in a WOW64 process
	nextNarrow uint64         // next free byte of its 32-bit heap
	truth      TruthProcess
}

// EPROCESS is the process's address.
func (p *Process) EPROCESS() uint64 { return p.va }

// ProcessOptions says what a process is. Without an image it is a kernel
// process: no user address space.
type ProcessOptions struct {
	PID, PPID        uint32
	Name             string // image name, as EPROCESS.ImageFileName
	Image            string // file of testdata/images
	Folder           string // default C:\Windows\System32
	CommandLine      string
	CurrentDirectory string
	Env              []string // more than the usual ones
	Environment      []string // all of them
	User             string   // whose environment; default SYSTEM's
	Session          int      // -1: none
	Age              time.Duration
	Exited           bool // ended, but still referenced: no threads, no PEB
	Wow64            bool
	Kernel           bool // shares the System process's page tables
	Placement        Placement
}

func (p *Process) user() bool { return p.opt.Image != "" && !p.opt.Exited }

func (p *Process) created() uint64 {
	return Filetime(SystemTime) - uint64(p.opt.Age/100)
}

// dtb is DirectoryTableBase as stored: with a PCID when there is a shadow.
func (p *Process) dtb() uint64 {
	d := p.Space.DTB()
	if p.m.opts.Shadow {
		d |= 2
	}
	return d
}

func (m *Machine) nextID() uint32 {
	id := uint32(m.cid.next)
	for m.cid.entries[uint64(id)].target != 0 || id%0x400 == 0 {
		id += 4
	}
	m.cid.next = uint64(id) + 4
	return id
}

// AddProcess makes a process, its address space, its user blocks and modules.
func (m *Machine) AddProcess(opt ProcessOptions) *Process {
	p := &Process{m: m, opt: opt, modules: map[string]mapping{}}
	if opt.PID == 0 {
		p.opt.PID = m.nextID()
	}
	p.pid = p.opt.PID
	p.place = (uint64(p.pid)*0x9e3779b97f4a7c15>>40)%0xfff + 1
	if opt.Kernel {
		p.Space = m.Kernel
	} else {
		p.Space = m.newSpace(opt.Placement.Root)
	}
	p.va = m.placeObject(opt.Placement.EPROCESS, "Process", "_EPROCESS")
	p.init()
	m.processes = append(m.processes, p)
	m.cid.entries[uint64(p.pid)] = handleEntry{target: p.va}
	if p.user() {
		p.makeUser()
	}
	return p
}

// init fills the kernel's structure.
func (p *Process) init() {
	m, opt := p.m, p.opt
	p.o = m.Kernel.obj("_EPROCESS", p.va)
	o := p.o
	m.dispatcher(p.va, "Process", opt.Exited)
	m.Kernel.obj("_DISPATCHER_HEADER", p.va).set("Size", uint64(p.m.l.size("_KPROCESS")/4))
	o.set("UniqueProcessId", uint64(p.pid)).set("InheritedFromUniqueProcessId", uint64(opt.PPID)).set("OwnerProcessId", uint64(opt.PPID))
	o.set("Pcb.DirectoryTableBase", p.dtb()).set("Pcb.UserDirectoryTableBase", 1).set("Pcb.BasePriority", 8)
	if m.opts.Shadow && !opt.Kernel {
		o.set("Pcb.UserDirectoryTableBase", m.phys.alloc()<<12|1)
		m.phys.page(o.get("Pcb.UserDirectoryTableBase") >> 12)
	}
	o.set("CreateTime.QuadPart", p.created()).set("ExitStatus", 0x103)
	m.Kernel.Write(o.addr("ImageFileName"), []byte(opt.Name)[:min(len(opt.Name), 14)])
	o.set("PriorityClass", 2)
	o.set("DeviceMap", m.devices())
	token := m.newObject("Token", 0x40, "", 0)
	o.set("Token.Value", token|7)
	for _, f := range []string{"ThreadListHead", "Pcb.ThreadListHead", "Pcb.ReadyListHead", "Pcb.ProfileListHead", "JobLinks", "MmProcessLinks", "SessionProcessLinks"} {
		m.Kernel.link(o.addr(f))
	}
	o.set("Flags", 0x144d0c01).set("HighestUserAddress", 0x7fffffff0000)
	o.set("ProcessQuotaUsage[0]", 2048+uint64(p.pid)).set("ProcessQuotaUsage[1]", 40960+uint64(p.pid))
	if opt.Exited {
		o.set("ExitTime.QuadPart", p.created()+77_000_000).set("ExitStatus", 0).set("ProcessExiting", 1).set("ProcessDelete", 1)
	} else {
		p.handles = m.newHandleTable(p.va, p.pid, opt.Placement.ObjectTable)
		p.handles.count = opt.Placement.Handles
		o.set("ObjectTable", p.handles.va)
	}
	p.truth = TruthProcess{
		PID: p.pid, PPID: opt.PPID, Name: opt.Name, EPROCESS: p.va, DTB: p.dtb(), Session: -1,
		Created: p.created(), Exited: o.get("ExitTime.QuadPart"), Wow64: opt.Wow64,
	}
	if opt.Session >= 0 && opt.Image != "" {
		s := m.session(uint32(opt.Session))
		o.set("Session", s).set("ProcessInSession", 1)
		p.truth.Session = opt.Session
	}
	if opt.Image != "" {
		p.makeImageName()
	}
}

// folder is where the image lies, and drive-less as the kernel names it.
func (p *Process) folder() string {
	if p.opt.Folder != "" {
		return p.opt.Folder
	}
	return `C:\Windows\System32`
}

func (p *Process) imagePath() string { return p.folder() + `\` + p.opt.Name }

// kernelPath is a DOS path as the kernel's object names have it.
func kernelPath(dos string) string {
	return `\Device\HarddiskVolume3` + strings.TrimPrefix(dos, "C:")
}

// makeImageName fills SeAuditProcessCreationInfo and the image's file object.
func (p *Process) makeImageName() {
	m := p.m
	info := m.allocPaged(p.m.l.size("_OBJECT_NAME_INFORMATION"))
	m.poolString(m.Kernel.obj("_OBJECT_NAME_INFORMATION", info), "Name", kernelPath(p.imagePath()))
	p.o.set("SeAuditProcessCreationInfo.ImageFileName", info)
	p.truth.ImagePath = p.imagePath()
	p.o.set("ImageFilePointer", m.NewFile(strings.TrimPrefix(p.imagePath(), "C:")))
}

// find names modules for stacks: the kernel's, then the process's.
func (p *Process) find(module string) mapping {
	if e, ok := p.m.byModule[module]; ok {
		return e
	}
	if e, ok := p.modules[module]; ok {
		return e
	}
	panic(fmt.Sprintf("dumptest: process %s has no module %q", p.opt.Name, module))
}

// Module tells where a module of the process lies.
func (p *Process) Module(name string) uint64 { return p.find(name).base }

// Symbol is the address of a symbol ("quillpress!PreviewCache").
func (p *Process) Symbol(name string) uint64 {
	module, sym, _ := strings.Cut(name, "!")
	e := p.find(module)
	return e.base + uint64(e.im.Sym(sym))
}

// SkipHandles makes value the next handle that the process is given.
func (p *Process) SkipHandles(value uint64) { p.handles.next = value }

// AddHandle gives the process a handle to an object.
func (p *Process) AddHandle(body uint64, access uint32, attributes uint64) uint64 {
	header := body - uint64(p.m.l.offset("_OBJECT_HEADER", "Body"))
	h := p.m.Kernel.obj("_OBJECT_HEADER", header)
	h.set("HandleCount", h.get("HandleCount")+1)
	v := p.handles.add(handleEntry{header, access, attributes})
	t := TruthHandle{Handle: v, Object: body, Access: access}
	index := h.get("TypeIndex") ^ header>>8&0xff ^ p.m.cookie
	for _, n := range typeNames {
		if n.index == index {
			t.Type = n.name
		}
	}
	if h.get("InfoMask") == infoName {
		n := p.m.Kernel.obj("_OBJECT_HEADER_NAME_INFO", header-uint64(p.m.l.size("_OBJECT_HEADER_NAME_INFO")))
		t.Name = p.m.readString(n, "Name")
	}
	p.truth.Handles = append(p.truth.Handles, t)
	return v
}

func (m *Machine) readString(o object, path string) string {
	b := o.s.Read(o.get(path+".Buffer"), int(o.get(path+".Length")))
	var s strings.Builder
	for i := 0; i+1 < len(b); i += 2 {
		s.WriteRune(rune(le.Uint16(b[i:])))
	}
	return s.String()
}

// finish links the threads, writes handles and address-space descriptors.
func (p *Process) finish() {
	m := p.m
	var tcb, eth []uint64
	for _, t := range p.threads {
		tcb = append(tcb, t.o.addr("Tcb.ThreadListEntry"))
		eth = append(eth, t.o.addr("ThreadListEntry"))
		p.truth.Threads = append(p.truth.Threads, t.truth)
	}
	m.Kernel.link(p.o.addr("Pcb.ThreadListHead"), tcb...)
	m.Kernel.link(p.o.addr("ThreadListHead"), eth...)
	p.o.set("ActiveThreads", uint64(len(p.threads))).set("ActiveThreadsHighWatermark", uint64(len(p.threads)))
	if p.handles != nil {
		p.handles.finish()
	}
	if p.user() {
		p.finishUser()
	}
	p.finishVads()
	for _, f := range p.fixed {
		p.o.set(f.path, f.value)
	}
}
