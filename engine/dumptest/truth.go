package dumptest

// A Truth is what a dump of this package holds, from the writer's knowledge.
type Truth struct {
	KernelBase uint64
	DTB        uint64
	Build      uint32
	BuildLab   string
	Computer   string
	BugCheck   uint32
	Parameters [4]uint64
	Crash      []Frame // the crashing processor's stack
	CrashCPU   int
	CPUs       []TruthCPU
	Processes  []TruthProcess
	Drivers    []TruthModule
	Unloaded   []TruthUnloaded
	Hives      []TruthHive
	Frames     int // physical pages that the machine has
}

// A TruthCPU is one processor.
type TruthCPU struct {
	KPCR, KPRCB             uint64
	Current, Idle           uint64 // _ETHREADs
	Rip, Rsp                uint64
	IdleStack, CurrentStack []Frame
}

// A TruthProcess is one process, also one that has ended.
type TruthProcess struct {
	PID, PPID        uint32
	Name             string
	EPROCESS         uint64
	DTB              uint64 // as stored, with PCID bits
	Peb              uint64
	Session          int // -1: none
	ImagePath        string
	CommandLine      string
	CurrentDirectory string
	Created          uint64 // FILETIME
	Exited           uint64
	Wow64            bool
	Peb32            uint64
	Private          uint64 // pages
	Env              []string
	Modules          []TruthModule
	Threads          []TruthThread
	Vads             []TruthVad
	Handles          []TruthHandle
	Pages            []TruthPage
}

// A TruthPage is a page of a process whose state is worth a test.
type TruthPage struct {
	VA    uint64
	State string // valid, transition, prototype, page file, demand zero, not in dump
	Text  string // what stands at its start, when it can be read
	ByVAD bool   // only the VAD tells where the page's prototype entry is
}

// A TruthThread is one thread.
type TruthThread struct {
	TID        uint32
	ETHREAD    uint64
	Teb        uint64
	Teb32      uint64
	State      string
	WaitReason string
	Objects    []uint64
	IRPs       []uint64
	Start      uint64 // Win32 start address
	Name       string
	Stack      []Frame // innermost first
	// NotResident is true when the kernel stack is not in the dump.
	NotResident bool
}

// A TruthModule is a loaded module.
type TruthModule struct {
	Name, Path string
	Base       uint64
	Size       uint32
	TimeStamp  uint32
	CheckSum   uint32
	PDB        PDBID
}

// A TruthUnloaded is a driver that was unloaded.
type TruthUnloaded struct {
	Name       string
	Start, End uint64
}

// A TruthVad is a range of a process's address space.
type TruthVad struct {
	VAD, Start, End uint64 // End is the last byte
	Kind            string // private, image
	File            string
	Commit          uint64
}

// A TruthHandle is one handle.
type TruthHandle struct {
	Handle uint64
	Object uint64
	Type   string
	Name   string
	Access uint32
}

// A TruthHive is a registry hive.
type TruthHive struct {
	Addr, BaseBlock  uint64
	Mount, File      string
	Stable, Volatile uint32 // bytes of the storages
	Keys             []TruthKey
}

// A TruthKey is a key of a hive, a way into another hive included.
type TruthKey struct {
	Path         string
	Cell         uint32
	Node         uint64 // address
	ControlBlock uint64
	Class        string
	Written      uint64 // FILETIME
	Exit         bool
	Values       []TruthValue
}

// A TruthValue is a value of a key.
type TruthValue struct {
	Name string
	Type uint32
	Data []byte
}
