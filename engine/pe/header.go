package pe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"kdap/engine/memory"
)

// A Machine is the processor an image is for.
type Machine uint16

// The machines of images that dumps hold.
const (
	MachineI386  Machine = 0x014c
	MachineARMNT Machine = 0x01c4
	MachineAMD64 Machine = 0x8664
	MachineARM64 Machine = 0xaa64
)

func (m Machine) String() string {
	switch m {
	case MachineI386:
		return "x86"
	case MachineARMNT:
		return "ARM"
	case MachineAMD64:
		return "x64"
	case MachineARM64:
		return "ARM64"
	}
	return fmt.Sprintf("machine %#x", uint16(m))
}

// Characteristics of an image that decide how it is named and shown.
const (
	CharExecutable = 0x0002
	CharDLL        = 0x2000
)

// The data directories, as the optional header orders them.
const (
	DirExport = iota
	DirImport
	DirResource
	DirException
	DirSecurity
	DirBaseReloc
	DirDebug
	DirArchitecture
	DirGlobalPtr
	DirTLS
	DirLoadConfig
	DirBoundImport
	DirIAT
	DirDelayImport
	DirCLR
	DirReserved
	numDirectories
)

// A DataDirectory is a range of the image. For DirSecurity RVA is a file offset.
type DataDirectory struct{ RVA, Size uint32 }

// A Section is an entry of the section table.
type Section struct {
	Name                                       string
	VirtualSize, VirtualAddress                uint32
	SizeOfRawData, PointerToRawData            uint32
	PointerToRelocations, PointerToLinenumbers uint32
	NumberOfRelocations, NumberOfLinenumbers   uint16
	Characteristics                            uint32
}

// A Header holds the values of an image's headers, under the names of the
// specification.
type Header struct {
	Lfanew uint32 // file offset of the PE signature

	Machine              Machine
	NumberOfSections     uint16
	TimeDateStamp        uint32
	PointerToSymbolTable uint32
	NumberOfSymbols      uint32
	SizeOfOptionalHeader uint16
	Characteristics      uint16

	Magic                                            uint16
	PE32Plus                                         bool // 64-bit optional header
	MajorLinkerVersion, MinorLinkerVersion           uint8
	SizeOfCode                                       uint32
	SizeOfInitializedData, SizeOfUninitializedData   uint32
	AddressOfEntryPoint                              uint32
	BaseOfCode, BaseOfData                           uint32 // BaseOfData: 32-bit images only
	ImageBase                                        uint64 // where the image wants to be; in memory: what the loader wrote there
	SectionAlignment, FileAlignment                  uint32
	MajorOperatingSystemVersion                      uint16
	MinorOperatingSystemVersion                      uint16
	MajorImageVersion, MinorImageVersion             uint16
	MajorSubsystemVersion, MinorSubsystemVersion     uint16
	Win32VersionValue                                uint32
	SizeOfImage, SizeOfHeaders, CheckSum             uint32
	Subsystem, DllCharacteristics                    uint16
	SizeOfStackReserve, SizeOfStackCommit            uint64
	SizeOfHeapReserve, SizeOfHeapCommit, LoaderFlags uint64
	NumberOfRvaAndSizes                              uint32

	Directories [numDirectories]DataDirectory
	Sections    []Section
}

// Directory returns a data directory. Its RVA is 0 when the image has none.
func (h *Header) Directory(i int) DataDirectory {
	if i < 0 || i >= len(h.Directories) {
		return DataDirectory{}
	}
	return h.Directories[i]
}

// SectionAt returns the section that holds rva.
func (h *Header) SectionAt(rva uint32) (Section, bool) {
	for _, s := range h.Sections {
		if rva >= s.VirtualAddress && uint64(rva-s.VirtualAddress) < uint64(max(s.VirtualSize, s.SizeOfRawData)) {
			return s, true
		}
	}
	return Section{}, false
}

// ErrNotImage is the reason when the bytes do not start like an image.
var ErrNotImage = errors.New("not an executable image")

const (
	// maxLfanew bounds the DOS stub. Real ones are some hundred bytes.
	maxLfanew = 1 << 20
	// maxSections is far above what linkers write (the loader took 96 until
	// Windows Vista).
	maxSections = 2048
	// maxSizeOfImage bounds what an image claims to map.
	maxSizeOfImage = 1 << 31
)

// decoder reads little-endian fields of one record. After the first failure
// every read returns zero.
type decoder struct {
	record string
	base   int64
	mapped bool
	b      []byte
	off    int
	err    error
}

func (d *decoder) need(n int) bool {
	if d.err == nil && len(d.b)-d.off < n {
		d.fail("need %d bytes, have %d", n, len(d.b)-d.off)
	}
	return d.err == nil
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = &FormatError{Record: d.record, Msg: fmt.Sprintf(format, args...), Off: d.base + int64(d.off), Mapped: d.mapped}
	}
}

func (d *decoder) bytes(n int) []byte {
	if !d.need(n) {
		return nil
	}
	d.off += n
	return d.b[d.off-n : d.off]
}

func (d *decoder) u8() uint8 {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if b := d.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if b := d.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// ptr reads a field that is 8 bytes wide in 64-bit images, else 4.
func (d *decoder) ptr(wide bool) uint64 {
	if wide {
		return d.u64()
	}
	return uint64(d.u32())
}

// header reads n bytes of the headers. What stands before a gap is enough when
// the caller needs no more.
func header(src source, first []byte, off uint32, n int) ([]byte, error) {
	if int(off)+n <= len(first) {
		return first[off : int(off)+n], nil
	}
	b := make([]byte, n)
	got, err := src.readHeader(off, b)
	if err != nil {
		return b[:got], err
	}
	if got < n {
		return b[:got], io.ErrUnexpectedEOF
	}
	return b, nil
}

func parseHeader(src source) (*Header, error) {
	mapped := src.mapped()
	// One page holds the headers of nearly every image.
	first := make([]byte, memory.PageSize)
	n, err := src.readHeader(0, first)
	first = first[:n]
	if n < 64 {
		if err == nil || !mapped {
			err = ErrNotImage
		}
		return nil, fmt.Errorf("DOS header: %w", err)
	}
	if first[0] != 'M' || first[1] != 'Z' {
		return nil, fmt.Errorf("DOS header: no MZ signature: %w", ErrNotImage)
	}
	h := &Header{Lfanew: binary.LittleEndian.Uint32(first[60:])}
	if h.Lfanew > maxLfanew {
		return nil, &FormatError{Record: "DOS header", Msg: fmt.Sprintf("PE header at %#x, beyond %#x", h.Lfanew, maxLfanew), Off: 60, Mapped: mapped}
	}
	b, err := header(src, first, h.Lfanew, 24)
	if err != nil {
		return nil, fmt.Errorf("PE header at %#x: %w", h.Lfanew, err)
	}
	if string(b[:4]) != "PE\x00\x00" {
		return nil, fmt.Errorf("no PE signature at %#x: %w", h.Lfanew, ErrNotImage)
	}
	d := &decoder{record: "file header", base: int64(h.Lfanew), mapped: mapped, b: b, off: 4}
	h.Machine = Machine(d.u16())
	h.NumberOfSections = d.u16()
	h.TimeDateStamp = d.u32()
	h.PointerToSymbolTable = d.u32()
	h.NumberOfSymbols = d.u32()
	h.SizeOfOptionalHeader = d.u16()
	h.Characteristics = d.u16()
	if h.NumberOfSections > maxSections {
		d.fail("%d sections, at most %d are read", h.NumberOfSections, maxSections)
	}
	if d.err != nil {
		return nil, d.err
	}
	opt := h.Lfanew + 24
	if b, err = header(src, first, opt, int(h.SizeOfOptionalHeader)); err != nil {
		return nil, fmt.Errorf("optional header at %#x: %w", opt, err)
	}
	if err := h.parseOptional(&decoder{record: "optional header", base: int64(opt), mapped: mapped, b: b}); err != nil {
		return nil, err
	}
	table := opt + uint32(h.SizeOfOptionalHeader)
	if b, err = header(src, first, table, int(h.NumberOfSections)*40); err != nil {
		return nil, fmt.Errorf("section table at %#x: %w", table, err)
	}
	d = &decoder{record: "section table", base: int64(table), mapped: mapped, b: b}
	h.Sections = make([]Section, h.NumberOfSections)
	for i := range h.Sections {
		h.Sections[i] = parseSection(d)
	}
	return h, d.err
}

func parseSection(d *decoder) Section {
	return Section{
		Name:                 strings.TrimRight(string(d.bytes(8)), "\x00"),
		VirtualSize:          d.u32(),
		VirtualAddress:       d.u32(),
		SizeOfRawData:        d.u32(),
		PointerToRawData:     d.u32(),
		PointerToRelocations: d.u32(),
		PointerToLinenumbers: d.u32(),
		NumberOfRelocations:  d.u16(),
		NumberOfLinenumbers:  d.u16(),
		Characteristics:      d.u32(),
	}
}

func (h *Header) parseOptional(d *decoder) error {
	h.Magic = d.u16()
	switch h.Magic {
	case 0x10b:
	case 0x20b:
		h.PE32Plus = true
	default:
		if d.err == nil {
			d.off -= 2
			d.fail("magic %#x is neither PE32 nor PE32+", h.Magic)
		}
		return d.err
	}
	wide := h.PE32Plus
	h.MajorLinkerVersion = d.u8()
	h.MinorLinkerVersion = d.u8()
	h.SizeOfCode = d.u32()
	h.SizeOfInitializedData = d.u32()
	h.SizeOfUninitializedData = d.u32()
	h.AddressOfEntryPoint = d.u32()
	h.BaseOfCode = d.u32()
	if !wide {
		h.BaseOfData = d.u32()
	}
	h.ImageBase = d.ptr(wide)
	h.SectionAlignment = d.u32()
	h.FileAlignment = d.u32()
	h.MajorOperatingSystemVersion = d.u16()
	h.MinorOperatingSystemVersion = d.u16()
	h.MajorImageVersion = d.u16()
	h.MinorImageVersion = d.u16()
	h.MajorSubsystemVersion = d.u16()
	h.MinorSubsystemVersion = d.u16()
	h.Win32VersionValue = d.u32()
	h.SizeOfImage = d.u32()
	if h.SizeOfImage > maxSizeOfImage {
		d.fail("image of %#x bytes", h.SizeOfImage)
	}
	h.SizeOfHeaders = d.u32()
	h.CheckSum = d.u32()
	h.Subsystem = d.u16()
	h.DllCharacteristics = d.u16()
	h.SizeOfStackReserve = d.ptr(wide)
	h.SizeOfStackCommit = d.ptr(wide)
	h.SizeOfHeapReserve = d.ptr(wide)
	h.SizeOfHeapCommit = d.ptr(wide)
	h.LoaderFlags = uint64(d.u32())
	h.NumberOfRvaAndSizes = d.u32()
	// The header says how many directories follow; the rest is empty.
	n := min(h.NumberOfRvaAndSizes, numDirectories, uint32(len(d.b)-d.off)/8)
	for i := range h.Directories[:n] {
		h.Directories[i] = DataDirectory{d.u32(), d.u32()}
	}
	return d.err
}
