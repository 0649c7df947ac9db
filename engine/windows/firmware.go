package windows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"

	"kdap/engine/dump"
	"kdap/engine/memory"
	"kdap/engine/smbios"
)

// Tags of secondary data that the kernel adds to dumps, as the reference dumps
// carry them. What is in each was measured there.
const (
	tagSMBIOS = "bc5c008f-1e3a-44d7-988d-86f6884c6758" // RawSMBIOSData
	tagCPU    = "6c7ac389-4313-47dc-9f34-a8800a0fb56c" // registry values of CentralProcessor\0
	tagCPUID  = "d03dc06f-d88e-44c5-ba2a-fae035172d19" // CPUID leaves
	tagACPI   = "e83b40d2-b0a0-4842-abea-71c9e3463dd1" // heads of ACPI tables
)

// maxFirmwareData bounds a table that is read from memory.
const maxFirmwareData = 1 << 20

// blob returns the first secondary data with a tag.
func (s *System) blob(tag string) (dump.Blob, bool) {
	for b, err := range s.dump.Blobs() {
		if b.Tag.String() == tag {
			return b, true
		}
		if err != nil {
			break
		}
	}
	return dump.Blob{}, false
}

// ErrNoFirmwareTable says that a dump has no SMBIOS table.
var ErrNoFirmwareTable = errors.New("the dump holds no SMBIOS table: no secondary data has it, and its physical pages are not in the dump")

// SMBIOS returns the firmware's description of the machine: from the secondary
// data, else from the physical memory where the kernel found it, or where its
// entry point leads.
func (s *System) SMBIOS() (*smbios.Table, error) {
	if b, ok := s.blob(tagSMBIOS); ok {
		return smbios.Parse(b.Data)
	}
	if !s.Paged() {
		return nil, ErrNoFirmwareTable
	}
	t, at, err := s.smbiosVariables()
	if err == nil {
		if t, err = s.physicalTable(t, at); err == nil {
			return t, nil
		}
	}
	if t, at, ok := s.smbiosEntry(); ok {
		return s.physicalTable(t, at)
	}
	return nil, err
}

// smbiosVariables returns what the kernel noted of the table, and its physical
// address.
func (s *System) smbiosVariables() (t *smbios.Table, at uint64, err error) {
	at, err = s.GlobalUint("WmipSMBiosTablePhysicalAddress", 8)
	if err != nil || at == 0 {
		return nil, 0, errors.Join(ErrNoFirmwareTable, err)
	}
	size, err := s.GlobalUint("WmipSMBiosTableLength", 4)
	if err != nil || size == 0 {
		return nil, 0, errors.Join(ErrNoFirmwareTable, err)
	}
	t = &smbios.Table{Size: uint32(size)}
	// Calling convention, major, minor and DMI revision stand in the order of
	// the header that applications get.
	if v, err := s.GlobalUint("WmipSMBiosVersionInfo", 4); err == nil {
		t.Calling20, t.Major, t.Minor, t.DMIRevision = v&0xff != 0, uint8(v>>8), uint8(v>>16), uint8(v>>24)
	}
	return t, at, nil
}

// Where a BIOS leaves its entry point, on boundaries of 16 bytes (DSP0134 5.2).
const (
	biosArea     = 0xf0000
	biosAreaSize = 0x10000
	biosStep     = 16
	biosPiece    = 0x1000 // read at once
)

// smbiosEntry looks for the entry point of the table.
func (s *System) smbiosEntry() (t *smbios.Table, at uint64, ok bool) {
	page := make([]byte, biosPiece)
	for pa := uint64(biosArea); pa < biosArea+biosAreaSize; pa += biosPiece {
		if n, _ := s.dump.ReadPhysical(pa, page); n < biosPiece {
			continue
		}
		for i := 0; i < biosPiece; i += biosStep {
			if t, at, ok := smbios.ParseEntry(page[i:]); ok {
				return t, at, true
			}
		}
	}
	return nil, 0, false
}

// physicalTable reads the table's structures.
func (s *System) physicalTable(t *smbios.Table, at uint64) (*smbios.Table, error) {
	t.Data = make([]byte, min(t.Size, maxFirmwareData))
	n, err := s.dump.ReadPhysical(at, t.Data)
	if n == 0 {
		return nil, fmt.Errorf("%w (at %#x): %w", ErrNoFirmwareTable, at, err)
	}
	t.Data = t.Data[:n]
	return t, nil
}

// A HardwareValue is a registry value that describes the processor.
type HardwareValue struct {
	Name string
	Type uint32
	Data []byte
}

// Registry value types.
const (
	RegSZ             = 1
	RegExpandSZ       = 2
	RegBinary         = 3
	RegDword          = 4
	RegFullDescriptor = 9
	RegQword          = 11
)

// Text returns a string's text without the zeros at its end.
func (v HardwareValue) Text() string {
	u := make([]uint16, len(v.Data)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(v.Data[2*i:])
	}
	for len(u) > 0 && u[len(u)-1] == 0 {
		u = u[:len(u)-1]
	}
	return string(utf16.Decode(u))
}

// Number returns a DWORD or QWORD, false when it is too short for one.
func (v HardwareValue) Number() (uint64, bool) {
	switch {
	case v.Type == RegDword && len(v.Data) >= 4:
		return uint64(binary.LittleEndian.Uint32(v.Data)), true
	case v.Type == RegQword && len(v.Data) >= 8:
		return binary.LittleEndian.Uint64(v.Data), true
	}
	return 0, false
}

// maxHardwareValues bounds the values of one key.
const maxHardwareValues = 256

// SavedProcessorValues returns what HARDWARE\DESCRIPTION\System\CentralProcessor\0
// said of the processor, in the order of the dump's copy; ok says whether there
// is one. A copy that is cut gives the values before the cut and an error.
func (s *System) SavedProcessorValues() (all []HardwareValue, ok bool, err error) {
	b, ok := s.blob(tagCPU)
	if !ok {
		return nil, false, nil
	}
	all, err = parseValues(b.Data)
	return all, true, err
}

// parseValues reads records of name size, name, type, data size and data, each
// directly behind the one before.
func parseValues(b []byte) (all []HardwareValue, err error) {
	take := func(n uint32) []byte {
		if err != nil || uint64(n) > uint64(len(b)) {
			err = fmt.Errorf("processor values: record %d needs %d bytes, %d are left", len(all), n, len(b))
			return nil
		}
		part := b[:n:n]
		b = b[n:]
		return part
	}
	number := func() uint32 {
		if part := take(4); part != nil {
			return binary.LittleEndian.Uint32(part)
		}
		return 0
	}
	for len(b) > 0 && len(all) < maxHardwareValues {
		name := HardwareValue{Data: take(number())}.Text()
		v := HardwareValue{Name: name, Type: number()}
		v.Data = take(number())
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

// ProcessorBlockValues makes those values of them that processor 0's own block
// has.
func (s *System) ProcessorBlockValues() ([]HardwareValue, error) {
	c, err := s.Processor(0)
	if err != nil {
		return nil, fmt.Errorf("no copy of the processor's registry values is in the dump: %w", err)
	}
	var all []HardwareValue
	text := func(name, value string) {
		var data []byte
		for _, u := range utf16.Encode([]rune(value)) {
			data = binary.LittleEndian.AppendUint16(data, u)
		}
		all = append(all, HardwareValue{name, RegSZ, data})
	}
	if mhz, err := c.MHz(); err == nil {
		all = append(all, HardwareValue{"~MHz", RegDword, binary.LittleEndian.AppendUint32(nil, uint32(mhz))})
	}
	vendor, vendorErr := c.Vendor()
	if family, model, stepping, err := c.Model(); err == nil && vendorErr == nil {
		kind := "Intel64"
		if vendor != "GenuineIntel" {
			kind = "AMD64"
		}
		text("Identifier", fmt.Sprintf("%s Family %d Model %d Stepping %d", kind, family, model, stepping))
	}
	if vendorErr == nil {
		text("VendorIdentifier", vendor)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no copy of the processor's registry values is in the dump: %w", vendorErr)
	}
	return all, nil
}

// An ACPITable is the head of a table of the firmware.
type ACPITable struct {
	Signature, OEM, OEMTable string
	Length                   uint32 // of the whole table, of which dumps keep the beginning
	Revision                 uint8
	OEMRevision              uint32
	Creator                  string
	CreatorRevision          uint32
}

// Sizes of ACPI tables in dumps: the header, and the most that is kept of one.
const (
	acpiHeader = 0x24
	acpiKept   = 0x44
)

// ACPITables returns the firmware's tables that the dump keeps the heads of.
func (s *System) ACPITables() []ACPITable {
	blob, ok := s.blob(tagACPI)
	if !ok {
		return nil
	}
	return ParseACPITables(blob.Data)
}

// ParseACPITables reads heads of tables, of which each is cut to what is kept.
func ParseACPITables(b []byte) []ACPITable {
	le := binary.LittleEndian
	if len(b) >= 4 && !printable(string(b[:4])) { // a count before them
		b = b[4:]
	}
	var all []ACPITable
	for len(b) >= acpiHeader && printable(string(b[:4])) {
		t := ACPITable{
			Signature: string(b[:4]), Length: le.Uint32(b[4:]), Revision: b[8],
			OEM: string(b[10:16]), OEMTable: string(b[16:24]), OEMRevision: le.Uint32(b[24:]),
			Creator: string(b[28:32]), CreatorRevision: le.Uint32(b[32:]),
		}
		all = append(all, t)
		size := max(acpiHeader, min(t.Length, acpiKept))
		b = b[min(uint64(size), uint64(len(b))):]
	}
	return all
}

// A CPUIDLeaf is what the instruction CPUID answered for one leaf.
type CPUIDLeaf struct {
	Leaf, Subleaf      uint32
	EAX, EBX, ECX, EDX uint32
}

// CPUID returns the leaves that the dump keeps.
func (s *System) CPUID() []CPUIDLeaf {
	blob, ok := s.blob(tagCPUID)
	if !ok {
		return nil
	}
	const record = 40 // subleaf, leaf, registers as the system sees them, registers as the processor gives them
	var all []CPUIDLeaf
	for b := blob.Data; len(b) >= record; b = b[record:] {
		at := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
		all = append(all, CPUIDLeaf{Subleaf: at(0), Leaf: at(1), EAX: at(6), EBX: at(7), ECX: at(8), EDX: at(9)})
	}
	return all
}

// Model returns family, model and stepping of the processor.
func (c Processor) Model() (family, model, stepping uint64, err error) {
	if family, err = c.sys.member(c.prcb, "CpuType", c.sys.offsets().PrcbCpuType, 1); err != nil {
		return 0, 0, 0, err
	}
	step, err := c.cpuStep()
	return family & 0xff, step >> 8 & 0xff, step & 0xff, err
}

func (c Processor) cpuStep() (uint64, error) {
	v, err := c.prcb.Field("CpuStep").Uint()
	if err == nil {
		return v, nil
	}
	off := c.sys.offsets().PrcbCpuType
	if off == 0 {
		return 0, err
	}
	return memory.ReadUint(c.sys.Kernel(), c.Addr()+uint64(off)+2, 2) // CpuType, CpuID, CpuStep
}

// MHz returns the processor's clock.
func (c Processor) MHz() (uint64, error) {
	return c.sys.member(c.prcb, "MHz", c.sys.offsets().PrcbMhz, 4)
}

// maxVendor bounds the vendor's name, in characters.
const maxVendor = 32

// Vendor returns the processor's vendor, "GenuineIntel". On ARM64 the block has
// it in UTF-16.
func (c Processor) Vendor() (string, error) {
	f := c.prcb.Field("VendorString")
	at := f.Addr()
	if f.Err() != nil {
		off := c.sys.offsets().PrcbVendorString
		if off == 0 {
			return "", f.Err()
		}
		at = c.Addr() + uint64(off)
	}
	if c.sys.dump.Header.MachineImageType == imageMachineARM64 {
		b, err := memory.ReadBytes(c.sys.Kernel(), at, 2*maxVendor)
		if err != nil {
			return "", err
		}
		if n := nul16(b); n >= 0 {
			b = b[:n]
		}
		return HardwareValue{Data: b}.Text(), nil
	}
	b, err := memory.ReadBytes(c.sys.Kernel(), at, 13) // 12 characters of CPUID and a zero
	if err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(string(b), "\x00")
	return name, nil
}

// UpdateSignature returns the revision of the microcode, as MSR 0x8b has it.
func (c Processor) UpdateSignature() (uint64, error) {
	return c.prcb.FirstField("UpdateSignature.QuadPart", "UpdateSignature").Uint()
}

// Features returns the kernel's feature bits of the processor.
func (c Processor) Features() (uint64, error) { return c.prcb.Field("FeatureBits").Uint() }

// SavedIRQL returns the IRQL at which the debugger, or the crash, stopped the processor.
func (c Processor) SavedIRQL() (uint64, error) { return c.prcb.Field("DebuggerSavedIRQL").Uint() }
