// Package dumptest writes small Windows crash dumps that hold together:
// physical memory with page tables, a kernel image, processes, threads with
// stacks that unwind, modules, handles, heaps, a PFN database; and the same ones
// broken.
//
// It is the other half of every test of the readers, so it shares no layout
// and no decoding code with them: it writes from the public format
// descriptions, from its own table of types (layout/*.types) and from images
// compiled for it (testdata). The types have Windows' names and a kernel's
// shape, but orders and sizes that no Windows has; the matching symbols come
// as an ISF table and as a PDB.
//
// What a dump holds is told by its Truth. A mistake in the use of this package
// panics: it serves tests.
package dumptest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Options says what machine to make. The zero value is a small one.
type Options struct {
	Runs       []Run // physical memory; default 16 MB in three runs
	Processors int   // default 2

	// InvalidPteMask is the kernel's L1TF mask; 0 is a processor that needs none.
	InvalidPteMask uint64
	// SmallPages maps the kernel image with 4 KB pages instead of a large one.
	SmallPages bool
	// EncodeKDBG leaves the debugger data block encoded, as a dump made by
	// another tool than Windows would hold it.
	EncodeKDBG bool
	// Relative is "" for the kernel that has a PDB, "older" or "newer" for one
	// with other types, which only the dump's own ISF table tells; "roomy" and
	// "mutated" have the same sizes and all members elsewhere.
	Relative string
	// NtdllTypes gives ntdll, too, a table with the kernel's types, as Windows'
	// own symbols have them, in place of its PDB.
	NtdllTypes bool
	// LA57 uses five levels of page tables.
	LA57 bool
	// Shadow gives each process a second, user-mode page table root.
	Shadow bool

	// Scatter spreads pages over all of memory.
	Scatter bool

	Kernel     *Image // default the kernel of testdata
	KernelBase uint64
	Root       uint64 // page of System's page table root; 0: any
	XSave      uint64 // bytes above a thread's first frame
	System     Placement

	BugCheck   uint32 // default 0xE2
	Parameters [4]uint64
	Crash      Crash
	Computer   string

	BuildLab string    // the kernel's long build string; its number is the build
	CPU      *CPU      // default: one of AMD's
	Firmware *Firmware // default: a small SMBIOS table
}

// Places of the made-up kernel's regions.
const (
	kernelBase   = 0xfffff80312400000
	driverBase   = 0xfffff80319000000
	poolBase     = 0xffffc58f41000000
	pagedBase    = 0xffff9b0466000000
	stackBase    = 0xffffa30852000000
	pcrBase      = 0xffffd48103180000
	sessionBase  = 0xffff8c8000000000
	pfnBase      = 0xffffb60000000000
	selfIndex    = 0x1d1
	sharedKernel = 0xfffff78000000000
	sharedUser   = 0x7ffe0000

	buildNumber = 19777

	kernelStackPages = 6
	xsaveArea        = 0x340 // unless told

	// tickLength is KeMaximumIncrement, in 100 ns.
	tickLength = 156250
)

// SystemTime is when every machine of this package crashed.
var SystemTime = time.Date(2024, 3, 9, 17, 42, 11, 203_456_700, time.UTC)

// uptime of every machine, in ticks.
const uptimeTicks = 291_840

// Filetime is a time as Windows stores it.
func Filetime(t time.Time) uint64 {
	return uint64(t.Unix()+11644473600)*10_000_000 + uint64(t.Nanosecond()/100)
}

// A Machine is a computer in the making. Build its processes and threads,
// then write it as a dump.
type Machine struct {
	opts   Options
	l      layoutSet
	phys   *physical
	Kernel *Space // the System process's address space
	nt     mapping

	pool, paged, stacks, drivers uint64 // next free addresses

	processes []*Process
	byModule  map[string]mapping // kernel modules
	modules   []kernelModule
	cpus      []*cpu
	types     map[string]uint64
	typeIndex map[string]uint64
	cid       *handleTable
	tables    []uint64 // handle tables, by address
	sessions  map[uint32]uint64
	shared    map[string][]uint64 // frames of image pages that processes share
	userBases map[string]uint64
	resources []uint64
	ready     []readyThread
	cookie    uint64
	deviceMap uint64
	root      uint64 // the object directory "\"
	registry  registryMaker

	places []uint64 // of all that took pool, in the order of making

	pageCounts *PageCounts
	prototypes map[uint64]prototype // of pages of files, by frame
	memory     *MemoryCounters

	finished bool
	crash    cpuState
	truth    Truth
}

// NewMachine starts a machine with its kernel mapped and System running.
func NewMachine(o Options) *Machine {
	if o.Runs == nil {
		o.Runs = []Run{{1, 0x9e}, {0x100, 0xb00}, {0x1000, 0x400}}
	}
	if o.Processors == 0 {
		o.Processors = 2
	}
	if o.BugCheck == 0 {
		o.BugCheck = 0xe2
	}
	l := layoutsOf(o.Relative)
	if o.Kernel == nil {
		o.Kernel = LoadImage("ntoskrnl.exe")
		if pair[o.Relative] != nil {
			o.Kernel = roomyKernel(l)
		}
	}
	if o.KernelBase == 0 {
		o.KernelBase = kernelBase
	}
	if o.XSave == 0 {
		o.XSave = xsaveArea
	}
	if o.Computer == "" {
		o.Computer = "HARBOUR7"
	}
	if o.CPU == nil {
		o.CPU = &defaultCPU
	}
	m := &Machine{
		opts: o, l: l, phys: newPhysical(o.Runs, o.Scatter),
		pool: poolBase, paged: pagedBase, stacks: stackBase, drivers: driverBase,
		byModule: map[string]mapping{}, types: map[string]uint64{}, typeIndex: map[string]uint64{},
		sessions: map[uint32]uint64{}, shared: map[string][]uint64{}, userBases: map[string]uint64{},
		cookie: 0x5b, prototypes: map[uint64]prototype{},
	}
	if o.Firmware != nil && o.Firmware.Entry {
		m.phys.taken[entryPlace/pageSize] = true
	}
	m.Kernel = m.newSpace(o.Root)
	m.mapKernel()
	m.makeShared()
	m.makeTypes()
	m.cid = m.newHandleTable(0, 0, 0)
	m.makeProcessors()
	m.makeSystem()
	return m
}

// newSpace makes an empty space with the self-map, its root in a page (0: any).
func (m *Machine) newSpace(root uint64) *Space {
	if root == 0 {
		root = m.phys.alloc()
	} else if m.phys.taken[root] {
		panic("dumptest: the page of a page table root is taken")
	}
	m.phys.taken[root] = true
	s := &Space{m: m, root: root}
	m.phys.page(s.root)
	m.phys.putU64(s.root<<12+selfIndex*8, s.root<<12|pteValid|pteWrite|pteAccessed|pteDirty|pteNX)
	return s
}

// mapKernel maps the kernel image and enters its pointers to itself.
func (m *Machine) mapKernel() {
	im, base := m.opts.Kernel, m.opts.KernelBase
	m.nt = mapping{im, base, "nt"}
	switch {
	case im.Size > 0x200000: // sparse: only pages that hold something
		bytes := im.at(base, nil)
		for rva := uint64(0); rva < uint64(im.Size); rva += pageSize {
			if p := (*page)(bytes[rva:]); *p != (page{}) {
				m.Kernel.Write(base+rva, p[:])
			}
		}
	case m.opts.SmallPages:
		for _, s := range im.sections {
			prot := ReadOnly
			if s.writable {
				prot = ReadWrite
			} else if s.executable {
				prot = Execute
			}
			m.Kernel.MapNew(base+uint64(s.rva), uint64(s.size), prot)
		}
		m.Kernel.Write(base, im.at(base, nil))
	default:
		m.Kernel.MapLarge(base, ExecuteReadWrite)
		m.Kernel.Write(base, im.at(base, nil))
	}
	m.addKernelModule(m.nt, "ntoskrnl.exe", `\SystemRoot\system32\ntoskrnl.exe`)
}

// sym is the address of a kernel symbol.
func (m *Machine) sym(name string) uint64 { return m.nt.base + uint64(m.nt.im.Sym(name)) }

// alloc takes nonpaged pool.
func (m *Machine) alloc(size int) uint64 {
	va := roundUp(m.pool, 0x10)
	m.pool = va + uint64(size)
	m.places = append(m.places, va)
	m.Kernel.MapNew(va, uint64(size), ReadWrite)
	return va
}

// allocPaged takes paged pool.
func (m *Machine) allocPaged(size int) uint64 {
	va := roundUp(m.paged, 0x10)
	m.paged = va + uint64(size)
	m.places = append(m.places, va)
	m.Kernel.MapNew(va, uint64(size), ReadWrite)
	return va
}

// poolString stores a _UNICODE_STRING's text in paged pool.
func (m *Machine) poolString(o object, path, text string) {
	o.str(path, m.allocPaged(2*len([]rune(text))+2), text)
}

// makeShared fills the page that kernel and user mode share.
func (m *Machine) makeShared() {
	k := m.Kernel.obj("_KUSER_SHARED_DATA", sharedKernel)
	m.Kernel.MapNew(sharedKernel, pageSize, ReadWrite)
	systemTime := func(path string, v uint64) {
		k.set(path+".LowPart", v).set(path+".High1Time", v>>32).set(path+".High2Time", v>>32)
	}
	systemTime("InterruptTime", uptimeTicks*tickLength)
	systemTime("SystemTime", Filetime(SystemTime))
	systemTime("TimeZoneBias", 0)
	k.set("TickCount.LowPart", uptimeTicks)
	k.set("TickCountMultiplier", tickLength*(1<<24)/10000)
	k.set("NtBuildNumber", uint64(m.build()|0xf0000000))
	k.set("NtMajorVersion", 10).set("NtProductType", 1).set("ProductTypeIsValid", 1)
	k.set("SuiteMask", 0x110).set("NativeProcessorArchitecture", 9)
	k.set("NumberOfPhysicalPages", m.phys.total)
	k.set("QpcFrequency", 10_000_000).set("Cookie", 0x7d3a51c9).set("BootId", 41)
	m.Kernel.UTF16(k.addr("NtSystemRoot"), `C:\Windows`)
}

// devices is the device map that all processes share.
func (m *Machine) devices() uint64 {
	if m.deviceMap == 0 {
		m.deviceMap = m.allocPaged(m.l.size("_DEVICE_MAP"))
		m.Kernel.obj("_DEVICE_MAP", m.deviceMap).set("ReferenceCount", 1).set("DriveMap", 4)
	}
	return m.deviceMap
}

// session returns the _MM_SESSION_SPACE of a session.
func (m *Machine) session(id uint32) uint64 {
	if va := m.sessions[id]; va != 0 {
		return va
	}
	va := sessionBase + uint64(len(m.sessions))<<20
	m.sessions[id] = va
	typ := m.sessionType()
	m.Kernel.MapNew(va, uint64(m.l.size(typ)), ReadWrite)
	m.Kernel.obj(typ, va).set("SessionId", uint64(id)).set("ReferenceCount", 1)
	m.Kernel.link(va + uint64(m.l.offset(typ, "ProcessList")))
	return va
}

func (m *Machine) sessionType() string {
	if m.opts.Relative == "newer" {
		return "_PSP_SESSION_SPACE"
	}
	return "_MM_SESSION_SPACE"
}

// build is the kernel's build number, buildLab its long form.
func (m *Machine) build() uint32 {
	if number, _, ok := strings.Cut(m.opts.BuildLab, "."); ok {
		n, _ := strconv.ParseUint(number, 10, 32)
		return uint32(n)
	}
	if n, ok := map[string]uint32{"older": 14477, "newer": 25177}[m.opts.Relative]; ok {
		return n
	}
	return buildNumber
}

func (m *Machine) buildLab() string {
	if m.opts.BuildLab != "" {
		return m.opts.BuildLab
	}
	return fmt.Sprintf("%d.1.amd64fre.kdap_test.240101-0900", m.build())
}

// userBase is where an image lies in every process of this boot.
func (m *Machine) userBase(im *Image, name string) uint64 {
	if name = strings.ToLower(name); im.pe32 {
		name = im.File
	}
	if b := m.userBases[name]; b != 0 {
		return b
	}
	b := uint64(0x7ffb4c5e0000) - uint64(len(m.userBases))<<21
	if !im.isDLL() {
		b = 0x7ff631200000 + uint64(len(m.userBases))<<20
	}
	if im.pe32 {
		if b = 0xc50000 + uint64(len(m.userBases))<<20; im.isDLL() {
			b = 0x77c40000 - uint64(len(m.userBases))<<20
		}
	}
	m.userBases[name] = b
	return b
}

// findKernel names the kernel modules for stacks.
func (m *Machine) findKernel(module string) mapping {
	if e, ok := m.byModule[module]; ok {
		return e
	}
	panic(fmt.Sprintf("dumptest: no kernel module %q", module))
}
