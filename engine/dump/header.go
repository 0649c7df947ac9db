package dump

import (
	"bytes"
	"encoding/binary"
	"math"
)

// HeaderSize is the size of DUMP_HEADER64, which every 64-bit kernel dump
// starts with.
const HeaderSize = 0x2000

// Filler32 and Filler64 are what fields hold that the writer did not fill in:
// the text PAGE, once or twice.
const (
	Filler32 = 0x45474150
	Filler64 = Filler32<<32 | Filler32
)

// Offsets in DUMP_HEADER64 that are used by more than the decoder.
const (
	offRuns      = 0x88
	offContext   = 0x348
	offException = 0xf00
	contextSize  = 3000

	// maxRuns is what PhysicalMemoryBlockBuffer, 700 bytes at offRuns, can hold.
	maxRuns = (700 - 16) / 16
)

// A Run is pages of physical memory that follow one another.
type Run struct {
	BasePage, PageCount uint64
}

// A Header holds the fields of DUMP_HEADER64 as the file has them: a field the
// writer left alone holds the filler. The Has methods tell.
type Header struct {
	MajorVersion, MinorVersion  uint32 // 0xf free or 0xc checked; the build
	DirectoryTableBase          uint64
	PfnDatabase                 uint64 // address of the variable nt!MmPfnDatabase
	PsLoadedModuleList          uint64
	PsActiveProcessHead         uint64
	MachineImageType            uint32
	NumberProcessors            uint32
	BugCheckCode                uint32
	BugCheckParameter           [4]uint64
	VersionUser                 [32]byte
	KdDebuggerDataBlock         uint64
	NumberOfRuns                uint32 // as the file says; Runs has those that exist
	NumberOfPages               uint64
	Runs                        []Run
	DumpType                    Type
	RequiredDumpSpace           uint64
	SystemTime                  uint64 // FILETIME, UTC
	Comment                     [128]byte
	SystemUpTime                uint64 // in 100 ns
	MiniDumpFields              uint32
	SecondaryDataState          uint32
	ProductType                 uint32
	SuiteMask                   uint32
	WriterStatus                uint32
	KdSecondaryVersion          uint8
	Attributes                  uint32
	BootID                      uint32
	exceptionRecord, contextRaw []byte
}

// parseHeader decodes the first HeaderSize bytes of a dump.
func parseHeader(b []byte) *Header {
	le := binary.LittleEndian
	u32 := func(off int) uint32 { return le.Uint32(b[off:]) }
	u64 := func(off int) uint64 { return le.Uint64(b[off:]) }
	h := &Header{
		MajorVersion:        u32(0x08),
		MinorVersion:        u32(0x0c),
		DirectoryTableBase:  u64(0x10),
		PfnDatabase:         u64(0x18),
		PsLoadedModuleList:  u64(0x20),
		PsActiveProcessHead: u64(0x28),
		MachineImageType:    u32(0x30),
		NumberProcessors:    u32(0x34),
		BugCheckCode:        u32(0x38),
		KdDebuggerDataBlock: u64(0x80),
		NumberOfRuns:        u32(offRuns),
		NumberOfPages:       u64(offRuns + 8),
		DumpType:            Type(u32(0xf98)),
		RequiredDumpSpace:   u64(0xfa0),
		SystemTime:          u64(0xfa8),
		SystemUpTime:        u64(0x1030),
		MiniDumpFields:      u32(0x1038),
		SecondaryDataState:  u32(0x103c),
		ProductType:         u32(0x1040),
		SuiteMask:           u32(0x1044),
		WriterStatus:        u32(0x1048),
		KdSecondaryVersion:  b[0x104d],
		Attributes:          u32(0x1050),
		BootID:              u32(0x1054),
		contextRaw:          b[offContext : offContext+contextSize],
		exceptionRecord:     b[offException : offException+0x98],
	}
	for i := range h.BugCheckParameter {
		h.BugCheckParameter[i] = u64(0x40 + 8*i)
	}
	copy(h.VersionUser[:], b[0x60:])
	copy(h.Comment[:], b[0xfb0:])
	if h.NumberOfRuns != Filler32 {
		h.Runs = make([]Run, min(h.NumberOfRuns, maxRuns))
		for i := range h.Runs {
			h.Runs[i] = Run{u64(offRuns + 16 + 16*i), u64(offRuns + 24 + 16*i)}
		}
	}
	return h
}

// HasRuns tells whether the physical memory block is filled in.
func (h *Header) HasRuns() bool { return h.NumberOfRuns != Filler32 }

// HasComment tells whether the writer left a comment.
func (h *Header) HasComment() bool { return hasText(h.Comment[:]) }

// HasVersionUser tells whether VersionUser is filled in.
func (h *Header) HasVersionUser() bool { return hasText(h.VersionUser[:]) }

// HasDebuggerData tells whether the header says where the KDBG block is.
func (h *Header) HasDebuggerData() bool { return filled64(h.KdDebuggerDataBlock) }

// HasSystemTime tells whether the time of the dump is known.
func (h *Header) HasSystemTime() bool { return filled64(h.SystemTime) }

// HasSystemUpTime tells whether the time since boot is known; when it is not,
// KUSER_SHARED_DATA has it.
func (h *Header) HasSystemUpTime() bool { return filled64(h.SystemUpTime) }

// HasRequiredDumpSpace tells whether RequiredDumpSpace is filled in.
func (h *Header) HasRequiredDumpSpace() bool { return filled64(h.RequiredDumpSpace) }

// HasProduct tells whether ProductType is filled in.
func (h *Header) HasProduct() bool { return h.ProductType != 0 && h.ProductType != Filler32 }

// HasSuiteMask tells whether SuiteMask is filled in.
func (h *Header) HasSuiteMask() bool { return h.SuiteMask != Filler32 }

// HasAttributes tells whether Attributes is filled in.
func (h *Header) HasAttributes() bool { return h.Attributes != Filler32 }

// HasMiniDumpFields tells whether MiniDumpFields is filled in.
func (h *Header) HasMiniDumpFields() bool { return h.MiniDumpFields != Filler32 }

// HasBootID tells whether BootID is filled in.
func (h *Header) HasBootID() bool { return h.BootID != Filler32 }

// CommentText returns the comment, or "".
func (h *Header) CommentText() string { return text(h.Comment[:]) }

// VersionUserText returns VersionUser, or "".
func (h *Header) VersionUserText() string { return text(h.VersionUser[:]) }

func filled64(v uint64) bool { return v != 0 && v != Filler64 }

func hasText(b []byte) bool {
	return b[0] != 0 && binary.LittleEndian.Uint32(b) != Filler32
}

// text cuts a filled field at its NUL, and at filler behind it.
func text(b []byte) string {
	if !hasText(b) {
		return ""
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// An Exception is the EXCEPTION_RECORD64 of the header.
type Exception struct {
	Code, Flags      uint32
	Record, Address  uint64
	NumberParameters uint32 // as the file says; 15 values exist
	Information      [15]uint64
}

// Exception returns the exception record.
func (h *Header) Exception() Exception {
	return parseException(h.exceptionRecord)
}

// ExceptionSize is the size of an EXCEPTION_RECORD64.
const ExceptionSize = 0x98

// ParseException decodes the EXCEPTION_RECORD64 in b; what b lacks is zero.
func ParseException(b []byte) Exception {
	full := make([]byte, ExceptionSize)
	copy(full, b)
	return parseException(full)
}

func parseException(b []byte) Exception {
	le := binary.LittleEndian
	e := Exception{
		Code: le.Uint32(b), Flags: le.Uint32(b[4:]),
		Record: le.Uint64(b[8:]), Address: le.Uint64(b[16:]),
		NumberParameters: le.Uint32(b[24:]),
	}
	for i := range e.Information {
		e.Information[i] = le.Uint64(b[32+8*i:])
	}
	return e
}

// ContextBytes returns the 3000 bytes at 0x348 that hold the CONTEXT of the
// crashing processor. They belong to the dump and must not be changed.
func (h *Header) ContextBytes() []byte { return h.contextRaw }

// pages returns the number of pages the header's runs promise, at most
// math.MaxInt64.
func (h *Header) pages() uint64 {
	var n uint64
	for _, r := range h.Runs {
		if r.PageCount > math.MaxInt64-n {
			return math.MaxInt64
		}
		n += r.PageCount
	}
	return n
}
