package whea

import (
	"encoding/binary"
	"fmt"
)

const machineCheckSection = "8a1e1d01-42f9-4557-9c33-565e5cc3f7e8"

// kinds of sections: a name as the debugger has it, a word for names of
// crashes, and what decodes the data.
var kinds = map[string]struct {
	name, word string
	decode     func(fields) []Field
}{
	"9876ccad-47b4-4bdb-b65e-16f193c4f3db": {"Processor Generic", "PROCESSOR", processorGeneric},
	"dc3ea0b0-a144-4797-b95b-53fa242b6e1d": {"x86/x64 Processor Specific", "PROCESSOR", nil},
	"e429faf1-3cb7-11d4-bca7-0080c73c8881": {"IPF Processor Specific", "PROCESSOR", nil},
	"e19e3d16-bc11-11e4-9caa-c2051d5d46b0": {"ARM Processor Specific", "PROCESSOR", nil},
	machineCheckSection:                    {"x86/x64 MCA", "PROCESSOR", machineCheck},
	"a5bc1114-6f64-4ede-b863-3e83ed7c83b1": {"Memory Error", "MEMORY", memoryError},
	"61ec04fc-48e6-d813-25c9-8daa44750b12": {"Memory Error 2", "MEMORY", nil},
	"d995e954-bbc1-430f-ad91-b44dcb3c6f35": {"PCI Express", "PCIEXPRESS", pciExpress},
	"c5753963-3b84-4095-bf78-eddad3f9c9dd": {"PCI/PCI-X Bus", "PCI_BUS", nil},
	"eb5e4685-ca66-4769-b6a2-26068b001326": {"PCI/PCI-X Device", "PCI_DEVICE", nil},
	"81212a96-09ed-4996-9471-8d729c8e69ed": {"Firmware Error Record Reference", "FIRMWARE", nil},
	"5b51fef7-c79d-4434-8f1b-aa62de3e2c64": {"DMAr Generic", "DMAR", nil},
	"71761d37-32b2-45cd-a7d0-b0fedd93e8cf": {"VT for Directed I/O DMAr", "DMAR", nil},
	"036f84e1-7f37-428c-a79e-575fdfaa84ec": {"IOMMU Specific DMAr", "DMAR", nil},
	"e71254e7-c1b9-4940-ab76-909703a4320f": {"NMI", "NMI", nil},
}

// Name returns what kind of section it is, its GUID in braces for others.
func (s *Section) Name() string {
	if k, ok := kinds[s.Type.String()]; ok {
		return k.name
	}
	return "{" + s.Type.String() + "}"
}

// Kind returns a word for the part that failed.
func (s *Section) Kind() string {
	if k, ok := kinds[s.Type.String()]; ok {
		return k.word
	}
	return "UNKNOWN"
}

// Known tells whether the section's data can be shown.
func (s *Section) Known() bool { return kinds[s.Type.String()].decode != nil }

// A Field is one value of a section.
type Field struct{ Label, Value string }

// Fields returns what the section's data says, as far as it says that it is valid.
func (s *Section) Fields() []Field {
	k := kinds[s.Type.String()]
	if k.decode == nil {
		return nil
	}
	return k.decode(fields(s.Data))
}

// Facts are the fields as texts.
func (s *Section) Facts() []string {
	var out []string
	for _, f := range s.Fields() {
		out = append(out, f.Label+": "+f.Value)
	}
	return out
}

// fields reads little-endian values; what lies outside is zero.
type fields []byte

func (b fields) at(off, n int) uint64 {
	var v [8]byte
	if off < len(b) {
		copy(v[:n], b[off:])
	}
	return binary.LittleEndian.Uint64(v[:])
}

func (b fields) u8(off int) uint64  { return b.at(off, 1) }
func (b fields) u16(off int) uint64 { return b.at(off, 2) }
func (b fields) u32(off int) uint64 { return b.at(off, 4) }
func (b fields) u64(off int) uint64 { return b.at(off, 8) }

// text returns the characters at an offset.
func (b fields) text(off, n int) string {
	if off >= len(b) {
		return ""
	}
	return printable(b[off:min(off+n, len(b))])
}

// A maker collects fields that the first word says are valid.
type maker struct {
	valid uint64
	out   []Field
}

func (m *maker) add(bit int, label, layout string, args ...any) {
	if m.valid>>bit&1 != 0 {
		m.out = append(m.out, Field{label, fmt.Sprintf(layout, args...)})
	}
}

func nth(names map[uint64]string, v uint64) string {
	if n, ok := names[v]; ok {
		return n
	}
	return fmt.Sprintf("%#x", v)
}

func processorGeneric(b fields) []Field {
	m := &maker{valid: b.u64(0)}
	m.add(0, "Proc. Type", "%s", nth(map[uint64]string{0: "x86/x64", 1: "Itanium", 2: "ARM"}, b.u8(8)))
	m.add(1, "Instr. Set", "%s", nth(map[uint64]string{0: "x86", 1: "Itanium", 2: "x64", 3: "ARM A32/T32", 4: "ARM A64"}, b.u8(9)))
	m.add(2, "Error Type", "%s", nth(errorTypes, b.u8(10)))
	m.add(3, "Operation", "%s", nth(map[uint64]string{0: "Generic", 1: "Data Read", 2: "Data Write", 3: "Instruction Execute"}, b.u8(11)))
	m.add(4, "Flags", "0x%02x", b.u8(12))
	m.add(5, "Level", "%d", b.u8(13))
	m.add(6, "CPU Version", "0x%016x", b.u64(16))
	m.add(7, "CPU Brand", "%s", b.text(24, 128))
	m.add(8, "Processor ID", "0x%016x", b.u64(152))
	m.add(9, "Target Address", "0x%016x", b.u64(160))
	m.add(10, "Requestor ID", "0x%016x", b.u64(168))
	m.add(11, "Responder ID", "0x%016x", b.u64(176))
	m.add(12, "Instr. Ptr.", "0x%016x", b.u64(184))
	return m.out
}

var errorTypes = map[uint64]string{
	0: "Unknown", 1: "Cache error", 2: "TLB error", 4: "BUS error", 8: "Micro-Architectural Error",
}

var memoryErrors = map[uint64]string{
	0: "Unknown", 1: "No error", 2: "Single-bit ECC", 3: "Multi-bit ECC", 4: "Single-symbol ChipKill ECC", 5: "Multi-symbol ChipKill ECC",
	6: "Master Abort", 7: "Target Abort", 8: "Parity Error", 9: "Watchdog Timeout", 10: "Invalid Address", 11: "Mirror Broken",
	12: "Memory Sparing", 13: "Scrub Corrected Error", 14: "Scrub Uncorrected Error", 15: "Physical Memory Map-out Event",
}

func memoryError(b fields) []Field {
	m := &maker{valid: b.u64(0)}
	m.add(14, "Error Type", "%s", nth(memoryErrors, b.u8(72)))
	m.add(0, "Error Status", "0x%016x", b.u64(8))
	m.add(1, "Physical Address", "0x%016x", b.u64(16))
	m.add(2, "Address Mask", "0x%016x", b.u64(24))
	for i, label := range []string{"Node", "Card", "Module", "Bank", "Device", "Row", "Column", "Bit Position"} {
		m.add(3+i, label, "%d", b.u16(32+2*i))
	}
	m.add(11, "Requestor ID", "0x%016x", b.u64(48))
	m.add(12, "Responder ID", "0x%016x", b.u64(56))
	m.add(13, "Target ID", "0x%016x", b.u64(64))
	return m.out
}

var portTypes = map[uint64]string{
	0: "PCI Express End Point", 1: "Legacy PCI End Point", 4: "Root Port", 5: "Upstream Switch Port", 6: "Downstream Switch Port",
	7: "PCI Express to PCI/PCI-X Bridge", 8: "PCI/PCI-X to PCI Express Bridge", 9: "Root Complex Integrated End Point",
	10: "Root Complex Event Collector",
}

func pciExpress(b fields) []Field {
	m := &maker{valid: b.u64(0)}
	m.add(0, "Port Type", "%s", nth(portTypes, b.u32(8)))
	m.add(1, "Version", "%x.%x", b.u8(13), b.u8(12))
	m.add(2, "Command/Status", "0x%04x/0x%04x", b.u16(16), b.u16(18))
	m.add(3, "Device Id", "VenId:DevId: %04x:%04x, class code %02x%02x%02x, segment:bus:device.function %04x:%02x:%02x.%x",
		b.u16(24), b.u16(26), b.u8(30), b.u8(29), b.u8(28), b.u16(33), b.u8(35), b.u8(32), b.u8(31))
	m.add(4, "Dev. Serial #", "%016x", b.u64(40))
	const aer = 112
	m.add(7, "Uncorrectable Errors", "0x%08x %s", b.u32(aer+4), bitNames(uncorrectable, b.u32(aer+4)))
	m.add(7, "Correctable Errors", "0x%08x", b.u32(aer+16))
	return m.out
}

// uncorrectable are the bits of the Uncorrectable Error Status register (PCI
// Express base specification, "Advanced Error Reporting").
var uncorrectable = map[int]string{
	4: "data link protocol", 5: "surprise down", 12: "poisoned TLP", 13: "flow control protocol", 14: "completion timeout",
	15: "completer abort", 16: "unexpected completion", 17: "receiver overflow", 18: "malformed TLP", 19: "ECRC", 20: "unsupported request",
}

func bitNames(names map[int]string, v uint64) string {
	text := ""
	for i := range 32 {
		if name := names[i]; v>>i&1 != 0 && name != "" {
			if text != "" {
				text += ", "
			}
			text += name
		}
	}
	return text
}

func machineCheck(b fields) []Field {
	status := b.u64(40)
	m := &maker{valid: ^uint64(0)}
	m.add(0, "Error", "%s (Proc %d Bank %d)", MachineCheck(status), b.u32(16), b.u32(36))
	m.add(0, "Status", "0x%016x", status)
	if status>>58&1 != 0 {
		m.add(0, "Address", "0x%016x", b.u64(48))
	}
	if status>>59&1 != 0 {
		m.add(0, "Misc.", "0x%016x", b.u64(56))
	}
	return m.out
}

// ErrorKind returns a word for the error of a machine check section, "" for others.
func (s *Section) ErrorKind() string {
	if s.Type.String() != machineCheckSection {
		return ""
	}
	return MachineCheck(fields(s.Data).u64(40))
}
