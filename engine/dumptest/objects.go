package dumptest

// typeNames gives the object types and their indexes; the gaps are types that
// nothing here uses.
var typeNames = []struct {
	name  string
	index uint64
}{
	{"Type", 2},
	{"Directory", 3},
	{"SymbolicLink", 4},
	{"Token", 6},
	{"Job", 7},
	{"Process", 9},
	{"Thread", 10},
	{"Event", 14},
	{"Mutant", 15},
	{"Semaphore", 17},
	{"Timer", 18},
	{"IoCompletion", 22},
	{"TpWorkerFactory", 25},
	{"Device", 28},
	{"Driver", 29},
	{"File", 31},
	{"Key", 34},
	{"ALPC Port", 37},
	{"Section", 39},
}

// infoTypes are the optional parts before an object's header, by their bit in
// the mask of the parts present.
var infoTypes = [5]string{
	"_OBJECT_HEADER_CREATOR_INFO", "_OBJECT_HEADER_NAME_INFO", "_OBJECT_HEADER_HANDLE_INFO", "_OBJECT_HEADER_QUOTA_INFO", "_OBJECT_HEADER_PROCESS_INFO",
}

const infoName = 2

// makeTypes makes the object types, their table and the root directory.
func (m *Machine) makeTypes() {
	k := m.Kernel
	k.Write(m.sym("ObHeaderCookie"), []byte{byte(m.cookie)})
	for mask := range uint64(32) {
		n := uint64(0)
		for bit, typ := range infoTypes {
			n += mask >> bit & 1 * uint64(m.l.size(typ))
		}
		k.Write(m.sym("ObpInfoMaskToOffset")+mask, []byte{byte(n)})
	}
	table := m.sym("ObTypeIndexTable")
	k.U64(table, 0)
	k.U64(table+8, 0xbad0b0b0bad0b0b0)
	for i := uint64(2); i < 64; i++ {
		k.U64(table+8*i, 0)
	}
	for _, t := range typeNames {
		m.typeIndex[t.name] = t.index
	}
	for _, t := range typeNames {
		va := m.newObject("Type", m.l.size("_OBJECT_TYPE"), "", 0)
		o := k.obj("_OBJECT_TYPE", va).set("Index", t.index)
		m.poolString(o, "Name", t.name)
		o.set("TypeInfo.Length", uint64(m.l.size("_OBJECT_TYPE_INITIALIZER")))
		o.set("TypeInfo.ValidAccessMask", 0x1fffff).set("TypeInfo.PoolType", 512)
		k.link(o.addr("TypeList"))
		k.U64(table+8*t.index, va)
		m.types[t.name] = va
	}
	m.root = m.newObject("Directory", m.l.size("_OBJECT_DIRECTORY"), `\`, 0)
	k.U64(m.sym("ObpRootDirectoryObject"), m.root)
	k.U64(m.sym("ObpTypeObjectType"), m.types["Type"])
	k.U64(m.sym("PsProcessType"), m.types["Process"])
	k.U64(m.sym("PsThreadType"), m.types["Thread"])
}

// newObject makes an object's header and room for its body, which it returns.
func (m *Machine) newObject(typ string, size int, name string, directory uint64) uint64 {
	head := m.l.offset("_OBJECT_HEADER", "Body")
	info := 0
	if name != "" {
		info = m.l.size("_OBJECT_HEADER_NAME_INFO")
	}
	va := m.alloc(info + head + size)
	if name != "" {
		n := m.Kernel.obj("_OBJECT_HEADER_NAME_INFO", va).set("Directory", directory).set("ReferenceCount", 1)
		m.poolString(n, "Name", name)
	}
	header := va + uint64(info)
	m.makeHeader(header, typ, name != "")
	if t := m.types[typ]; t != 0 {
		o := m.Kernel.obj("_OBJECT_TYPE", t)
		o.set("TotalNumberOfObjects", o.get("TotalNumberOfObjects")+1)
	}
	m.places = append(m.places, header+uint64(head))
	return header + uint64(head)
}

func (m *Machine) makeHeader(header uint64, typ string, named bool) {
	h := m.Kernel.obj("_OBJECT_HEADER", header)
	h.set("PointerCount", 32769).set("TypeIndex", m.typeIndex[typ]^header>>8&0xff^m.cookie)
	if named {
		h.set("InfoMask", infoName)
	}
}

// AddToDirectory enters an object into the directory at va (0: the root).
func (m *Machine) AddToDirectory(directory, body uint64, bucket int) {
	if directory == 0 {
		directory = m.root
	}
	e := m.allocPaged(m.l.size("_OBJECT_DIRECTORY_ENTRY"))
	head := directory + uint64(m.l.offset("_OBJECT_DIRECTORY", "HashBuckets")) + 8*uint64(bucket)
	m.Kernel.obj("_OBJECT_DIRECTORY_ENTRY", e).set("Object", body).set("ChainLink", m.Kernel.u64(head))
	m.Kernel.U64(head, e)
}

// Dispatcher types as DISPATCHER_HEADER.Type has them (enum KOBJECTS).
var dispatcherTypes = map[string]uint64{
	"NotificationEvent": 0, "SynchronizationEvent": 1, "Mutant": 2, "Process": 3, "Queue": 4, "Semaphore": 5,
	"Thread": 6, "Gate": 7, "NotificationTimer": 8, "SynchronizationTimer": 9,
}

// NewEvent makes an event object; signalled is its state.
func (m *Machine) NewEvent(name string, synchronization, signalled bool) uint64 {
	va := m.newObject("Event", m.l.size("_KEVENT"), name, m.root)
	kind := "NotificationEvent"
	if synchronization {
		kind = "SynchronizationEvent"
	}
	m.dispatcher(va, kind, signalled)
	return va
}

func (m *Machine) dispatcher(va uint64, kind string, signalled bool) {
	o := m.Kernel.obj("_DISPATCHER_HEADER", va).set("Type", dispatcherTypes[kind])
	o.set("Size", map[string]uint64{"Mutant": 14, "Semaphore": 8, "Queue": 16}[kind])
	if signalled {
		o.set("SignalState", 1)
	}
	m.Kernel.link(o.addr("WaitListHead"))
}

// NewMutant makes a mutant owned by a thread (an _ETHREAD, or 0).
func (m *Machine) NewMutant(name string, owner uint64) uint64 {
	va := m.newObject("Mutant", m.l.size("_KMUTANT"), name, m.root)
	m.dispatcher(va, "Mutant", owner == 0)
	m.Kernel.obj("_KMUTANT", va).set("OwnerThread", owner)
	m.Kernel.link(va + uint64(m.l.offset("_KMUTANT", "MutantListEntry")))
	return va
}

// NewSemaphore makes a semaphore.
func (m *Machine) NewSemaphore(name string, limit uint32) uint64 {
	va := m.newObject("Semaphore", m.l.size("_KSEMAPHORE"), name, m.root)
	m.dispatcher(va, "Semaphore", false)
	m.Kernel.obj("_KSEMAPHORE", va).set("Limit", uint64(limit))
	return va
}

// NewQueue makes a queue object, as an I/O completion port is one.
func (m *Machine) NewQueue() uint64 {
	va := m.newObject("IoCompletion", m.l.size("_KQUEUE"), "", 0)
	m.dispatcher(va, "Queue", false)
	m.Kernel.link(va + uint64(m.l.offset("_KQUEUE", "EntryListHead")))
	m.Kernel.link(va + uint64(m.l.offset("_KQUEUE", "ThreadListHead")))
	return va
}

// NewFile makes a file object with the path that the file system sees.
func (m *Machine) NewFile(path string) uint64 {
	va := m.newObject("File", m.l.size("_FILE_OBJECT"), "", 0)
	o := m.Kernel.obj("_FILE_OBJECT", va).set("Type", 5).set("Size", uint64(m.l.size("_FILE_OBJECT")))
	o.set("ReadAccess", 1).set("SharedRead", 1)
	m.poolString(o, "FileName", path)
	return va
}

// NewIrp makes a read request that a thread waits for: two stack locations, the
// file at the first.
func (m *Machine) NewIrp(t *Thread, file uint64) uint64 {
	const locations = 2
	one := m.l.size("_IO_STACK_LOCATION")
	size := m.l.size("_IRP") + locations*one
	va := m.alloc(size)
	current := va + uint64(size-one)
	o := m.Kernel.obj("_IRP", va).set("Type", 6).set("Size", uint64(size)).set("Flags", 0x60900)
	o.set("StackCount", locations).set("CurrentLocation", locations).set("RequestorMode", 1)
	o.set("Tail.Overlay.Thread", t.va).set("Tail.Overlay.CurrentStackLocation", current).set("Tail.Overlay.OriginalFileObject", file)
	m.Kernel.obj("_IO_STACK_LOCATION", current).set("MajorFunction", 3).set("Control", 1).set("FileObject", file).
		set("DeviceObject", m.Kernel.obj("_FILE_OBJECT", file).get("DeviceObject")).set("Parameters[0]", 96)
	m.Kernel.link(t.o.addr("IrpList"), o.addr("ThreadListEntry"))
	t.truth.IRPs = append(t.truth.IRPs, va)
	return va
}

// NewDevice makes a driver object over a loaded driver and one device of it.
func (m *Machine) NewDevice(driver, name string) uint64 {
	at := m.findKernel(driver)
	d := m.newObject("Driver", m.l.size("_DRIVER_OBJECT"), driver, m.root)
	do := m.Kernel.obj("_DRIVER_OBJECT", d).set("Type", 4).set("Size", uint64(m.l.size("_DRIVER_OBJECT")))
	m.poolString(do, "DriverName", `\Driver\`+driver)
	do.set("DriverStart", at.base).set("DriverSize", uint64(at.im.Size)).set("DriverInit", at.base+uint64(at.im.Entry))
	va := m.newObject("Device", m.l.size("_DEVICE_OBJECT"), name, m.root)
	dev := m.Kernel.obj("_DEVICE_OBJECT", va).set("Type", 3).set("Size", uint64(m.l.size("_DEVICE_OBJECT")))
	dev.set("DriverObject", d).set("DeviceType", 0xb).set("StackSize", 2).set("ReferenceCount", 1).set("Flags", 0x44)
	do.set("DeviceObject", va)
	return va
}

// A handleTable is a _HANDLE_TABLE in the making: entries are placed when the
// machine is finished, when their number is known.
type handleTable struct {
	m       *Machine
	va      uint64
	entries map[uint64]handleEntry // by handle value
	next    uint64
	count   int // what the table says, at least
}

type handleEntry struct {
	target     uint64 // what the entry points at: header or, for PspCidTable, body
	access     uint32
	attributes uint64
}

func (m *Machine) newHandleTable(process uint64, pid uint32, va uint64) *handleTable {
	if va == 0 {
		va = m.allocPaged(m.l.size("_HANDLE_TABLE"))
	}
	m.Kernel.MapNew(va, uint64(m.l.size("_HANDLE_TABLE")), ReadWrite)
	m.tables = append(m.tables, va)
	m.Kernel.obj("_HANDLE_TABLE", va).set("QuotaProcess", process).set("UniqueProcessId", uint64(pid))
	return &handleTable{m: m, va: va, entries: map[uint64]handleEntry{}, next: 4}
}

// add enters an object under the next free handle.
func (t *handleTable) add(e handleEntry) uint64 {
	h := t.next
	t.next += 4
	if t.next%0x400 == 0 {
		t.next += 4 // the first entry of each page is the table's own
	}
	t.entries[h] = e
	return h
}

// pagesPerTable is how many pages of entries a page of pointers leads to.
const pagesPerTable = pageSize / 8

// finish writes the table's pages: one page, a page of pointers to pages, or a
// page of pointers to such. Where those are many, one page stands for all without
// a used entry.
func (t *handleTable) finish() {
	k := t.m.Kernel
	last, used := uint64(0), map[uint64]bool{}
	for h := range t.entries {
		last, used[h/0x400] = max(last, h), true
	}
	count := last/0x400 + 1
	pages, empty := make([]uint64, count), uint64(0)
	for i := range pages {
		switch {
		case count <= pagesPerTable || used[uint64(i)]:
			pages[i] = t.page()
		case empty == 0:
			empty = t.page()
			fallthrough
		default:
			pages[i] = empty
		}
	}
	code := pages[0]
	switch {
	case count > pagesPerTable:
		code = t.page() | 2
		for i := 0; i < len(pages); i += pagesPerTable {
			k.U64(code&^3+8*uint64(i/pagesPerTable), t.pointers(pages[i:min(i+pagesPerTable, len(pages))]))
		}
	case count > 1:
		code = t.pointers(pages) | 1
	}
	for h, e := range t.entries {
		at := pages[h/0x400] + h%0x400/4*16
		k.obj("_HANDLE_TABLE_ENTRY", at).set("Unlocked", 1).set("RefCnt", 32767).set("Attributes", e.attributes).
			set("ObjectPointerBits", e.target&(1<<48-1)>>4).set("GrantedAccessBits", uint64(e.access))
	}
	o := k.obj("_HANDLE_TABLE", t.va).set("TableCode", code)
	o.set("NextHandleNeedingPool", uint64(len(pages))*0x400)
	o.set("FreeLists.HandleCount", uint64(max(len(t.entries), t.count)))
}

func (t *handleTable) page() uint64 {
	t.m.paged = roundUp(t.m.paged, pageSize)
	return t.m.allocPaged(pageSize)
}

// pointers makes a page of pointers.
func (t *handleTable) pointers(to []uint64) uint64 {
	at := t.page()
	for i, p := range to {
		t.m.Kernel.U64(at+8*uint64(i), p)
	}
	return at
}

// NewResource makes an _ERESOURCE that one thread owns and another wants.
func (m *Machine) NewResource(owner, waiter *Thread) uint64 {
	va := m.alloc(m.l.size("_ERESOURCE"))
	o := m.Kernel.obj("_ERESOURCE", va).set("ActiveCount", 1).set("Flag", 0x80).set("ActiveEntries", 1)
	o.set("OwnerEntry.OwnerThread", owner.va).set("OwnerEntry.OwnerCount", 1)
	o.set("ContentionCount", 3).set("NumberOfExclusiveWaiters", 1)
	if len(waiter.truth.Objects) > 0 {
		o.set("ExclusiveWaiters", waiter.truth.Objects[0])
	}
	m.resources = append(m.resources, va)
	return va
}
