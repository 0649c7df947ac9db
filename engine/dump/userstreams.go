package dump

// A UserRange is memory of the process and where it lies in the file.
type UserRange struct {
	VA, Size uint64
	Off      uint64 // in the file
	Data     []byte // shorter than Size where the file is cut
}

// A UserThread is a thread of the process. What only some dumps hold about it
// (ThreadInfoList, ThreadNames) is zero elsewhere.
type UserThread struct {
	ID, SuspendCount, PriorityClass, Priority uint32
	TEB                                       uint64
	Stack                                     UserRange
	Context                                   []byte // CONTEXT of the dump's processor

	HasInfo               bool
	DumpFlags, ExitStatus uint32
	CreateTime, ExitTime  uint64 // FILETIME
	KernelTime, UserTime  uint64 // in 100 ns
	StartAddress          uint64
	Affinity              uint64
	Name                  string
}

// A UserModule is a module of the process, loaded or unloaded.
type UserModule struct {
	Name          string
	Base          uint64
	Size          uint32
	CheckSum      uint32
	TimeDateStamp uint32
	Version       []byte // VS_FIXEDFILEINFO, 52 bytes
	CodeView      []byte // the RSDS record
	Misc          []byte
	NameRVA       uint32
}

// A UserException is what stopped the process.
type UserException struct {
	Exception
	ThreadID   uint32
	Context    []byte
	ContextRVA uint32
}

// UserSystem is the machine the process ran on.
type UserSystem struct {
	ProcessorArchitecture, ProcessorLevel, ProcessorRevision uint16
	NumberOfProcessors, ProductType                          uint8
	MajorVersion, MinorVersion, BuildNumber, PlatformID      uint32
	CSDVersionRVA                                            uint32
	CSDVersion                                               string
	SuiteMask                                                uint16
	CPU                                                      []byte // CPU_INFORMATION, 24 bytes
}

// UserMisc is what is known of the process. Size tells how much the writer
// knew; fields beyond it are zero.
type UserMisc struct {
	Size, Flags                      uint32
	ProcessID                        uint32
	CreateTime                       uint32 // seconds since 1970
	UserTime, KernelTime             uint32 // seconds
	MaxMHz, CurrentMHz, MHzLimit     uint32
	MaxIdleState, CurrentIdleState   uint32
	IntegrityLevel, ExecuteFlags     uint32
	ProtectedProcess, TimeZoneID     uint32
	BuildString, DebuggerBuildString string
	Raw                              []byte
}

// A UserHandle is an open handle of the process.
type UserHandle struct {
	Handle                    uint64
	Type, Object              string
	Attributes, GrantedAccess uint32
	HandleCount, PointerCount uint32
}

// A UserRegion is a region of the address space, as VirtualQuery described it.
type UserRegion struct {
	Base, AllocationBase uint64
	AllocationProtect    uint32
	Size                 uint64
	State, Protect, Type uint32
}

// streamReaders decode the streams, threads before what is said of them. Each
// reads what is whole; the decoder's error says where it stopped.
var streamReaders = []struct {
	typ  StreamType
	read func(*UserFile, *decoder)
}{
	{SystemInfoStream, (*UserFile).readSystem},
	{MiscInfoStream, (*UserFile).readMisc},
	{ExceptionStream, (*UserFile).readException},
	{ThreadListStream, (*UserFile).readThreads},
	{ThreadInfoListStream, (*UserFile).readThreadInfo},
	{ThreadNamesStream, (*UserFile).readThreadNames},
	{ModuleListStream, (*UserFile).readModules},
	{UnloadedModuleListStream, (*UserFile).readUnloaded},
	{Memory64ListStream, (*UserFile).readMemory64},
	{MemoryListStream, (*UserFile).readMemory},
	{HandleDataStream, (*UserFile).readHandles},
	{MemoryInfoListStream, (*UserFile).readRegions},
}

// entries calls read for each entry of a list that begins with its count. Some
// writers align the entries to 8 bytes.
func entries(d *decoder, size int, read func(*decoder)) {
	n := uint64(d.u32())
	if uint64(len(d.b)) == 8+n*uint64(size) {
		d.skip(4)
	}
	each(d, n, size, read)
}

// table calls read for each entry of a list with a header that tells the sizes
// of itself and of an entry; min is the smallest entry that makes sense.
func table(d *decoder, wide bool, min int, read func(*decoder)) {
	head, size := int64(d.u32()), int64(d.u32())
	n := uint64(d.u32())
	if wide {
		n |= uint64(d.u32()) << 32
	}
	if d.err == nil && (size < int64(min) || size > 4096 || head < int64(d.off) || head > int64(len(d.b))) {
		d.fail("header of %d and entries of %d bytes", head, size)
	}
	if d.err == nil {
		d.off = int(head)
		each(d, n, int(size), read)
	}
}

func each(d *decoder, n uint64, size int, read func(*decoder)) {
	for range n {
		base := d.base + uint64(d.off)
		b := d.bytes(size)
		if d.err != nil {
			return
		}
		read(&decoder{record: d.record, base: base, b: b})
	}
}

func (u *UserFile) readThreads(d *decoder) {
	u.threads = map[uint32]int{}
	entries(d, 48, func(d *decoder) {
		t := UserThread{ID: d.u32(), SuspendCount: d.u32(), PriorityClass: d.u32(), Priority: d.u32(), TEB: d.u64()}
		t.Stack = UserRange{VA: d.u64(), Size: uint64(d.u32()), Off: uint64(d.u32())}
		t.Stack.Data = u.at(t.Stack.Off, t.Stack.Size)
		size, rva := d.u32(), d.u32()
		t.Context = u.at(uint64(rva), uint64(size))
		u.threads[t.ID] = len(u.Threads)
		u.Threads = append(u.Threads, t)
	})
}

func (u *UserFile) readModules(d *decoder) {
	entries(d, 108, func(d *decoder) {
		m := UserModule{Base: d.u64(), Size: d.u32(), CheckSum: d.u32(), TimeDateStamp: d.u32(), NameRVA: d.u32()}
		m.Name = u.str(m.NameRVA)
		m.Version = d.bytes(52)
		m.CodeView = u.location(d)
		m.Misc = u.location(d)
		u.Modules = append(u.Modules, m)
	})
}

// location reads a size and an RVA, and returns the bytes there.
func (u *UserFile) location(d *decoder) []byte {
	size, rva := d.u32(), d.u32()
	return u.at(uint64(rva), uint64(size))
}

func (u *UserFile) readMemory(d *decoder) {
	entries(d, 16, func(d *decoder) {
		r := UserRange{VA: d.u64(), Size: uint64(d.u32()), Off: uint64(d.u32())}
		r.Data = u.at(r.Off, r.Size)
		u.ranges = append(u.ranges, r)
	})
}

func (u *UserFile) readMemory64(d *decoder) {
	n, off := d.u64(), d.u64()
	each(d, n, 16, func(d *decoder) {
		r := UserRange{VA: d.u64(), Size: d.u64(), Off: off}
		r.Data = u.at(r.Off, r.Size)
		// Behind the end of the file nothing follows that could be read.
		if off += r.Size; off < r.Size {
			off = ^uint64(0)
		}
		u.ranges = append(u.ranges, r)
	})
}

func (u *UserFile) readException(d *decoder) {
	e := &UserException{ThreadID: d.u32()}
	d.skip(4)
	b := d.bytes(0x98)
	size, rva := d.u32(), d.u32()
	if d.err != nil {
		return
	}
	e.Exception, e.ContextRVA = parseException(b), rva
	e.Context = u.at(uint64(rva), uint64(size))
	u.Exception = e
}

func (u *UserFile) readSystem(d *decoder) {
	s := &UserSystem{ProcessorArchitecture: d.u16(), ProcessorLevel: d.u16(), ProcessorRevision: d.u16()}
	counts := d.u16()
	s.NumberOfProcessors, s.ProductType = uint8(counts), uint8(counts>>8)
	s.MajorVersion, s.MinorVersion, s.BuildNumber, s.PlatformID = d.u32(), d.u32(), d.u32(), d.u32()
	s.CSDVersionRVA = d.u32()
	s.SuiteMask = d.u16()
	if d.err != nil {
		return
	}
	s.CSDVersion = u.str(s.CSDVersionRVA)
	d.skip(2)
	s.CPU = d.bytes(24)
	u.System = s
}

func (u *UserFile) readMisc(d *decoder) {
	m := &UserMisc{Raw: d.b, Size: d.u32(), Flags: d.u32()}
	if d.err != nil {
		return
	}
	u.Misc = m
	d.b = d.b[:min(uint64(m.Size), uint64(len(d.b)))]
	for _, p := range []*uint32{
		&m.ProcessID, &m.CreateTime, &m.UserTime, &m.KernelTime,
		&m.MaxMHz, &m.CurrentMHz, &m.MHzLimit, &m.MaxIdleState, &m.CurrentIdleState,
		&m.IntegrityLevel, &m.ExecuteFlags, &m.ProtectedProcess, &m.TimeZoneID,
	} {
		if d.off+4 > len(d.b) {
			return
		}
		*p = d.u32()
	}
	const timeZone, build, debugger = 172, 520, 80 // bytes
	if len(d.b)-d.off >= timeZone+build+debugger {
		d.skip(timeZone)
		m.BuildString, m.DebuggerBuildString = utf16String(d.bytes(build)), utf16String(d.bytes(debugger))
	}
}

func (u *UserFile) readHandles(d *decoder) {
	table(d, false, 32, func(d *decoder) {
		h := UserHandle{Handle: d.u64(), Type: u.str(d.u32()), Object: u.str(d.u32())}
		h.Attributes, h.GrantedAccess, h.HandleCount, h.PointerCount = d.u32(), d.u32(), d.u32(), d.u32()
		u.Handles = append(u.Handles, h)
	})
}

func (u *UserFile) readUnloaded(d *decoder) {
	table(d, false, 24, func(d *decoder) {
		m := UserModule{Base: d.u64(), Size: d.u32(), CheckSum: d.u32(), TimeDateStamp: d.u32(), NameRVA: d.u32()}
		m.Name = u.str(m.NameRVA)
		u.Unloaded = append(u.Unloaded, m)
	})
}

func (u *UserFile) readRegions(d *decoder) {
	table(d, true, 48, func(d *decoder) {
		r := UserRegion{Base: d.u64(), AllocationBase: d.u64(), AllocationProtect: d.u32()}
		d.skip(4)
		r.Size, r.State, r.Protect, r.Type = d.u64(), d.u32(), d.u32(), d.u32()
		u.Regions = append(u.Regions, r)
	})
}

// thread returns the thread with this ID, or nil.
func (u *UserFile) thread(id uint32) *UserThread {
	if i, ok := u.threads[id]; ok {
		return &u.Threads[i]
	}
	return nil
}

func (u *UserFile) readThreadInfo(d *decoder) {
	table(d, false, 64, func(d *decoder) {
		t := u.thread(d.u32())
		if t == nil {
			return
		}
		t.HasInfo = true
		t.DumpFlags = d.u32()
		d.skip(4)
		t.ExitStatus = d.u32()
		for _, p := range []*uint64{&t.CreateTime, &t.ExitTime, &t.KernelTime, &t.UserTime, &t.StartAddress, &t.Affinity} {
			*p = d.u64()
		}
	})
}

func (u *UserFile) readThreadNames(d *decoder) {
	each(d, uint64(d.u32()), 12, func(d *decoder) {
		t := u.thread(d.u32())
		if rva := d.u64(); t != nil && rva <= 1<<32-1 {
			t.Name = u.str(uint32(rva))
		}
	})
}
