package dumptest

import (
	"bytes"
	"encoding/hex"
	"strings"
)

// A CPU says what the machine's processors are.
type CPU struct {
	Vendor                  string // of 12 characters, as CPUID has it
	Family, Model, Stepping byte
	MHz                     uint32
	Microcode               uint64 // MSR 0x8b
	Features                uint64 // the kernel's own bits
}

var defaultCPU = CPU{Vendor: "AuthenticAMD", Family: 25, Model: 0x50, MHz: 2712}

// identify writes what a processor block says of its processor.
func (c *CPU) identify(o object) {
	o.set("CpuType", uint64(c.Family)).set("CpuID", 1).set("CpuStep", uint64(c.Model)<<8|uint64(c.Stepping)).set("MHz", uint64(c.MHz))
	o.set("FeatureBits", c.Features).set("UpdateSignature.QuadPart", c.Microcode)
	vendor := uint64(1)
	if c.Vendor == "GenuineIntel" {
		vendor = 2
	}
	o.set("CpuVendor", vendor)
	o.s.Write(o.addr("VendorString"), []byte(c.Vendor+"\x00"))
}

// Firmware is what the machine's firmware and its registry copy say, which
// drivers add to a dump as secondary data.
type Firmware struct {
	SMBIOS *SMBIOS
	CPU    []TruthValue // CentralProcessor\0
	ACPI   []byte       // heads of tables, a count before them

	// Absent leaves all of that out of the secondary data; Physical puts the
	// SMBIOS table where the firmware had it, in physical memory, and Entry
	// leads to it from there only, not from the kernel's variables. The machine
	// must have the frame 0xf0 then.
	Absent, Physical, Entry bool
}

// secondaryData renders the blobs behind the last page, and an empty one, which
// is legal.
func (f *Firmware) secondaryData(build uint32) []byte {
	var b []byte
	b = append(b, "DumpBlob"...)
	b = le.AppendUint32(b, 0x10)
	b = le.AppendUint32(b, build)
	blob := func(guid string, data []byte) {
		pad := (8 - len(data)%8) % 8
		b = le.AppendUint32(b, 0x20)
		b = append(b, guidBytes(guid)...)
		b = le.AppendUint32(b, uint32(len(data)))
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, uint32(pad))
		b = append(append(b, data...), make([]byte, pad)...)
	}
	if !f.Absent {
		blob("bc5c008f-1e3a-44d7-988d-86f6884c6758", f.SMBIOS.Bytes())
		if f.CPU != nil {
			blob("6c7ac389-4313-47dc-9f34-a8800a0fb56c", valueRecords(f.CPU))
		}
		if f.ACPI != nil {
			blob("e83b40d2-b0a0-4842-abea-71c9e3463dd1", f.ACPI)
		}
	}
	blob("00000000-0000-0000-0000-000000000000", nil)
	return b
}

// valueRecords renders registry values one behind the other: size of the name,
// name, type, size of the data, data.
func valueRecords(values []TruthValue) (b []byte) {
	for _, v := range values {
		name := utf16Bytes(v.Name + "\x00")
		b = append(le.AppendUint32(b, uint32(len(name))), name...)
		b = le.AppendUint32(b, v.Type)
		b = append(le.AppendUint32(b, uint32(len(v.Data))), v.Data...)
	}
	return b
}

// finishFirmware puts the SMBIOS table into physical memory.
func (m *Machine) finishFirmware() {
	f := m.firmware()
	if !f.Physical {
		return
	}
	data := f.SMBIOS.Bytes()
	size := roundUp(uint64(len(data)), pageSize)
	first := m.phys.allocRun(size / pageSize)
	table := data[8:]
	for i := 0; i < len(table); i += pageSize {
		copy(m.phys.page(first + uint64(i)/pageSize)[:], table[i:])
	}
	if f.Entry {
		copy(m.phys.page(entryPlace / pageSize)[entryPlace%pageSize:], f.SMBIOS.entry(first*pageSize))
		return
	}
	m.Kernel.U64(m.sym("WmipSMBiosTablePhysicalAddress"), first*pageSize)
	m.Kernel.U32(m.sym("WmipSMBiosTableLength"), uint32(len(table)))
	m.Kernel.Write(m.sym("WmipSMBiosVersionInfo"), data[:4])
}

func (m *Machine) firmware() *Firmware {
	if m.opts.Firmware == nil {
		m.opts.Firmware = &Firmware{SMBIOS: defaultSMBIOS()}
	}
	return m.opts.Firmware
}

// guidBytes turns a GUID's text into its 16 bytes in memory.
func guidBytes(text string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(raw) != 16 {
		panic("dumptest: bad GUID " + text)
	}
	g := bytes.Clone(raw)
	for i, j := range []int{3, 2, 1, 0, 5, 4, 7, 6} {
		g[i] = raw[j]
	}
	return g
}

// An SMBIOS is a table in the making (DMTF DSP0134).
type SMBIOS struct {
	Major, Minor, Revision byte

	table []byte
	next  uint16 // handle
}

// Types of SMBIOS structures that a test needs by name.
const (
	smbiosOEM = 0xdd
	smbiosEnd = 127
)

// Add appends a structure: what stands behind its header, and its strings. It
// returns the structure's handle.
func (s *SMBIOS) Add(kind byte, body []byte, text ...string) uint16 {
	handle := s.next
	s.next++
	s.table = append(s.table, kind, byte(4+len(body)))
	s.table = le.AppendUint16(s.table, handle)
	s.table = append(s.table, body...)
	for _, t := range text {
		s.table = append(append(s.table, t...), 0)
	}
	if len(text) == 0 {
		s.table = append(s.table, 0)
	}
	s.table = append(s.table, 0)
	return handle
}

// End closes the table; with a size it fills it up with structures of the
// maker's own.
func (s *SMBIOS) End(size int) *SMBIOS {
	const header, strings, end = 4, 2, 6
	for size > 0 {
		room := size - len(s.table) - end - header - strings
		if room < 0 {
			break
		}
		n := min(room, 200)
		if left := room - n; left > 0 && left < header+strings {
			n -= header + strings
		}
		s.Add(smbiosOEM, bytes.Repeat([]byte{0xa5}, n))
	}
	s.Add(smbiosEnd, nil)
	if size > 0 && len(s.table) != size {
		panic("dumptest: the SMBIOS table cannot have that size")
	}
	return s
}

// Bytes is the table as Windows hands it out: calling convention, versions and
// length before it.
func (s *SMBIOS) Bytes() []byte {
	return append(le.AppendUint32([]byte{0, s.Major, s.Minor, s.Revision}, uint32(len(s.table))), s.table...)
}

// entryPlace is where a BIOS may leave its entry point.
const entryPlace = 0xf0350

// entry renders the 64-bit entry point.
func (s *SMBIOS) entry(at uint64) []byte {
	b := append([]byte("_SM3_"), 0, 0x18, s.Major, s.Minor, s.Revision, 1, 0)
	b = le.AppendUint64(le.AppendUint32(b, uint32(len(s.table))), at)
	sum := byte(0)
	for _, c := range b {
		sum += c
	}
	b[5] = -sum
	return b
}

// defaultSMBIOS is a small table: firmware, system, board, end.
func defaultSMBIOS() *SMBIOS {
	s := &SMBIOS{Major: 3, Minor: 2}
	defaultStructures(s)
	return s.End(0)
}

func defaultStructures(s *SMBIOS) {
	s.Add(0, []byte{1, 2, 0, 0xe0, 3, 0x7f, 8, 0, 0, 0, 0, 0, 0, 0, 3, 0x0d, 2, 9, 0xff, 0xff}, "Tidewater Firmware", "TW42 (2.9)", "01/15/2024")
	system := append([]byte{1, 2, 3, 4}, bytes.Repeat([]byte{0x5a}, 16)...)
	s.Add(1, append(system, 6, 5, 6), "Tidewater", "Jetty 7", "Rev C", "TW-0001", "JETTY-7-C", "Jetty")
	s.Add(2, []byte{1, 2, 3, 0, 0, 9, 0, 0, 0, 10, 0}, "Tidewater", "JT7-MAIN", "1.1")
}
