package smbios

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// A Field is one line of a structure's description; Lines belong below it.
type Field struct {
	Label, Text string
	Lines       []string
}

// Title names a type of structure, "" for those that are not described.
func Title(kind uint8) string { return titles[kind] }

var titles = map[uint8]string{
	TypeBIOS: "BIOS Information", TypeSystem: "System Information", TypeBoard: "BaseBoard Information",
	TypeEnclosure: "System Enclosure", TypeProcessor: "Processor Information", TypeCache: "Cache Information",
	TypeOEMStrings: "OEM Strings", TypeMemoryArray: "Physical Memory Array", TypeMemoryDevice: "Memory Device",
	TypeArrayRange: "Memory Array Mapped Address", TypeDeviceRange: "Memory Device Mapped Address",
	TypeBoot: "System Boot Information", TypeEnd: "End of Table",
	5: "Memory Controller", 6: "Memory Module", 8: "Port Connector", 9: "System Slots", 10: "On Board Devices",
	12: "System Configuration Options", 13: "BIOS Language Information", 14: "Group Associations", 15: "System Event Log",
	18: "32-Bit Memory Error Information", 21: "Built-in Pointing Device", 22: "Portable Battery", 23: "System Reset",
	24: "Hardware Security", 25: "System Power Controls", 26: "Voltage Probe", 27: "Cooling Device", 28: "Temperature Probe",
	29: "Electrical Current Probe", 30: "Out-of-Band Remote Access", 33: "64-Bit Memory Error Information", 34: "Management Device",
	35: "Management Device Component", 36: "Management Device Threshold Data", 37: "Memory Channel", 38: "IPMI Device Information",
	39: "System Power Supply", 40: "Additional Information", 41: "Onboard Devices Extended Information",
	42: "Management Controller Host Interface", 43: "TPM Device", 44: "Processor Additional Information", 45: "Firmware Inventory Information",
}

// describer collects the fields that a structure is long enough for.
type describer struct {
	s      Structure
	fields []Field
}

func (d *describer) add(label, text string, lines ...string) {
	d.fields = append(d.fields, Field{label, text, lines})
}

func (d *describer) text(label string, off int) {
	if v, ok := d.s.Text(off); ok {
		d.add(label, v)
	}
}

func (d *describer) byte(label, layout string, off int) {
	if v, ok := d.s.Byte(off); ok {
		d.add(label, fmt.Sprintf(layout, v))
	}
}

func (d *describer) word(label, layout string, off int) {
	if v, ok := d.s.Word(off); ok {
		d.add(label, fmt.Sprintf(layout, v))
	}
}

func (d *describer) handle(label string, off int) {
	v, ok := d.s.Word(off)
	switch {
	case !ok:
	case v >= 0xfffe:
		d.add(label, "[Not Provided]")
	default:
		d.add(label, fmt.Sprintf("%04xh", v))
	}
}

// name adds a byte's meaning; coded has its number before it.
func (d *describer) name(label string, off int, mask uint8, names map[uint8]string, coded bool) {
	v, ok := d.s.Byte(off)
	if !ok {
		return
	}
	v &= mask
	text := nameOf(names, v)
	if coded {
		text = fmt.Sprintf("%02xh - %s", v, text)
	}
	d.add(label, text)
}

const reserved = "Specification Reserved"

func nameOf(names map[uint8]string, v uint8) string {
	if n := names[v]; n != "" {
		return n
	}
	return reserved
}

func names(first uint8, list ...string) map[uint8]string {
	m := make(map[uint8]string, len(list))
	for i, n := range list {
		m[first+uint8(i)] = n
	}
	return m
}

// bits names the set bits of v, a line each.
func bits(v uint64, n int, list map[uint8]string) []string {
	var lines []string
	for i := range n {
		if v>>i&1 != 0 {
			lines = append(lines, fmt.Sprintf("%02d: - %s", i, nameOf(list, uint8(i))))
		}
	}
	return lines
}

// Fields describes the structure; nil for a type that has no description.
func (s Structure) Fields() []Field {
	d := &describer{s: s}
	switch s.Type {
	case TypeBIOS:
		d.bios()
	case TypeSystem:
		d.system()
	case TypeBoard:
		d.board()
	case TypeEnclosure:
		d.enclosure()
	case TypeProcessor:
		d.processor()
	case TypeCache:
		d.cache()
	case TypeOEMStrings:
		d.byte("Number of Strings", "%d", 4)
		for i, text := range s.Strings {
			d.add(fmt.Sprintf(" %d", i+1), text)
		}
	case TypeMemoryArray:
		d.memoryArray()
	case TypeMemoryDevice:
		d.memoryDevice()
	case TypeArrayRange:
		d.addressRange(0x0f)
		d.handle("Memory Array Handle", 0x0c)
		d.byte("Partition Width", "%02d", 0x0e)
	case TypeDeviceRange:
		d.addressRange(0x13)
		d.handle("Memory Device Handle", 0x0c)
		d.handle("Mem Array Mapped Adr Handle", 0x0e)
		d.byte("Partition Row Position", "%02d", 0x10)
		d.unlessNone("Interleave Position", 0x11)
		d.unlessNone("Interleave Data Depth", 0x12)
	}
	return d.fields
}

func (d *describer) unlessNone(label string, off int) {
	v, ok := d.s.Byte(off)
	switch {
	case !ok:
	case v == 0:
		d.add(label, "[None]")
	case v == 0xff:
		d.add(label, "[Unknown]")
	default:
		d.add(label, fmt.Sprint(v))
	}
}

func (d *describer) bios() {
	d.text("Vendor", 4)
	d.text("BIOS Version", 5)
	d.word("BIOS Starting Address Segment", "%04x", 6)
	d.text("BIOS Release Date", 8)
	if v, ok := d.s.Byte(9); ok {
		size := (uint64(v) + 1) << 16
		if ext, ok := d.s.Word(0x18); ok && v == 0xff {
			size = uint64(ext&0x3fff) << (20 + 10*uint(min(ext>>14, 1)))
		}
		d.add("BIOS ROM Size", fmt.Sprintf("%x", size))
	}
	if v, ok := d.s.Qword(0xa); ok {
		d.add("BIOS Characteristics", "", bits(v, 64, biosCharacteristics)...)
	}
	if v, ok := d.s.Word(0x12); ok {
		d.add("BIOS Characteristic Extensions", "", bits(uint64(v), 16, biosExtensions)...)
	}
	d.byte("BIOS Major Revision", "%d", 0x14)
	d.byte("BIOS Minor Revision", "%d", 0x15)
	d.byte("EC Firmware Major Revision", "%d", 0x16)
	d.byte("EC Firmware Minor Revision", "%d", 0x17)
}

func (d *describer) system() {
	d.text("Manufacturer", 4)
	d.text("Product Name", 5)
	d.text("Version", 6)
	d.text("Serial Number", 7)
	if len(d.s.Data) >= 0x18 {
		d.add("UUID", uuid(d.s.Data[8:0x18]))
	}
	d.name("Wakeup Type", 0x18, 0xff, wakeups, false)
	d.text("SKUNumber", 0x19)
	d.text("Family", 0x1a)
}

// uuid spells the 16 bytes with the first three groups in little endian, as
// SMBIOS has them since 2.6.
func uuid(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}

func (d *describer) board() {
	d.text("Manufacturer", 4)
	d.text("Product", 5)
	d.text("Version", 6)
	d.text("Serial Number", 7)
	d.text("Asset Tag", 8)
	if v, ok := d.s.Byte(9); ok {
		d.add("Feature Flags", fmt.Sprintf("%02xh", v), bits(uint64(v), 8, boardFeatures)...)
	}
	d.text("Location", 0xa)
	d.handle("Chassis Handle", 0xb)
	d.name("Board Type", 0xd, 0xff, boardTypes, true)
	d.byte("Number of Child Handles", "%d", 0xe)
}

func (d *describer) enclosure() {
	d.text("Manufacturer", 4)
	d.name("Chassis Type", 5, 0x7f, chassisTypes, false)
	d.text("Version", 6)
	d.text("Serial Number", 7)
	d.text("Asset Tag Number", 8)
	d.name("Bootup State", 9, 0xff, chassisStates, false)
	d.name("Power Supply State", 0xa, 0xff, chassisStates, false)
	d.name("Thermal State", 0xb, 0xff, chassisStates, false)
	d.name("Security Status", 0xc, 0xff, securityStates, false)
	if v, ok := d.s.Dword(0xd); ok {
		d.add("OEM Defined", fmt.Sprint(v))
	}
	d.byte("Height", "%dU", 0x11)
	d.byte("Number of Power Cords", "%d", 0x12)
	d.byte("Number of Contained Elements", "%d", 0x13)
	d.byte("Contained Element Size", "%d", 0x14)
}

func (d *describer) processor() {
	d.text("Socket Designation", 4)
	d.name("Processor Type", 5, 0xff, processorTypes, false)
	if v, ok := d.s.Byte(6); ok {
		family := uint16(v)
		if more, ok := d.s.Word(0x28); ok && v == 0xfe {
			family = more
		}
		text := reserved
		if n := processorFamilies[family]; n != "" {
			text = n
		}
		d.add("Processor Family", fmt.Sprintf("%02xh - %s", family, text))
	}
	d.text("Processor Manufacturer", 7)
	if len(d.s.Data) >= 0x10 {
		d.add("Processor ID", fmt.Sprintf("%x", d.s.Data[8:0x10]))
	}
	d.text("Processor Version", 0x10)
	if v, ok := d.s.Byte(0x11); ok {
		d.add("Processor Voltage", fmt.Sprintf("%02xh - %s", v, voltage(v)))
	}
	d.word("External Clock", "%dMHz", 0x12)
	d.word("Max Speed", "%dMHz", 0x14)
	d.word("Current Speed", "%dMHz", 0x16)
	if v, ok := d.s.Byte(0x18); ok {
		text := nameOf(processorStates, v&7)
		if v&0x40 != 0 {
			text += " Populated"
		}
		d.add("Status", text)
	}
	d.name("Processor Upgrade", 0x19, 0xff, processorUpgrades, false)
	d.handle("L1 Cache Handle", 0x1a)
	d.handle("L2 Cache Handle", 0x1c)
	d.handle("L3 Cache Handle", 0x1e)
	d.text("Serial Number", 0x20)
	d.text("Asset Tag Number", 0x21)
	d.text("Part Number", 0x22)
	d.count("Core Count", 0x23, 0x2a)
	d.count("Core Enabled", 0x24, 0x2c)
	d.count("Thread Count", 0x25, 0x2e)
}

// count adds a number of cores: a byte, or when that is full the word that
// newer tables have.
func (d *describer) count(label string, off, wide int) {
	v, ok := d.s.Byte(off)
	if !ok {
		return
	}
	if w, ok := d.s.Word(wide); ok && v == 0xff {
		d.add(label, fmt.Sprint(w))
		return
	}
	d.add(label, fmt.Sprint(v))
}

func voltage(v uint8) string {
	if v&0x80 != 0 {
		return fmt.Sprintf("%d.%dV", v&0x7f/10, v&0x7f%10)
	}
	var all []string
	for i, text := range []string{"5.0V", "3.3V", "2.9V"} {
		if v>>i&1 != 0 {
			all = append(all, text)
		}
	}
	return strings.Join(all, " ")
}

func (d *describer) cache() {
	d.text("Socket Designation", 4)
	if v, ok := d.s.Word(5); ok {
		mode := []string{"WT", "WB", "Varies", "Unknown"}[v>>8&3]
		enabled, where, socket := "Disabled", []string{"Int", "Ext", "Reserved", "Unknown"}[v>>5&3], "NonSocketed"
		if v&0x80 != 0 {
			enabled = "Enabled"
		}
		if v&8 != 0 {
			socket = "Socketed"
		}
		d.add("Cache Configuration", fmt.Sprintf("%04xh - %s %s %s %s L%d", v, mode, enabled, where, socket, v&7+1))
	}
	d.cacheSize("Maximum Cache Size", 7, 0x13)
	d.cacheSize("Installed Size", 9, 0x17)
	for _, f := range []struct {
		label string
		off   int
	}{{"Supported SRAM Type", 0xb}, {"Current SRAM Type", 0xd}} {
		if v, ok := d.s.Word(f.off); ok {
			text := fmt.Sprintf("%04xh - ", v)
			for i, n := range []string{"Other", "Unknown", "Non-Burst", "Burst", "Pipeline Burst", "Synchronous", "Asynchronous"} {
				if v>>i&1 != 0 {
					text += n + " "
				}
			}
			d.add(f.label, text)
		}
	}
	d.byte("Cache Speed", "%dns", 0xf)
	d.name("Error Correction Type", 0x10, 0xff, cacheECC, false)
	d.name("System Cache Type", 0x11, 0xff, cacheTypes, false)
	d.name("Associativity", 0x12, 0xff, associativities, false)
}

func (d *describer) cacheSize(label string, off, wide int) {
	v, ok := d.s.Word(off)
	if !ok {
		return
	}
	size := uint64(v & 0x7fff)
	if v&0x8000 != 0 {
		size *= 64
	}
	if w, ok := d.s.Dword(wide); ok && v == 0xffff {
		size = uint64(w & 0x7fffffff)
		if w>>31 != 0 {
			size *= 64
		}
	}
	d.add(label, fmt.Sprintf("%04xh - %dK", v, size))
}

func (d *describer) memoryArray() {
	d.name("Location", 4, 0xff, arrayLocations, true)
	d.name("Use", 5, 0xff, arrayUses, true)
	d.name("Memory Error Correction", 6, 0xff, arrayECC, true)
	if v, ok := d.s.Dword(7); ok {
		text := fmt.Sprintf("%dKB", v)
		if wide, ok := d.s.Qword(0xf); ok && v == 0x80000000 {
			text = fmt.Sprintf("%dKB", wide>>10)
		}
		d.add("Maximum Capacity", text)
	}
	d.handle("Memory Error Inf Handle", 0xb)
	d.word("Number of Memory Devices", "%d", 0xd)
}

func (d *describer) memoryDevice() {
	d.handle("Physical Memory Array Handle", 4)
	d.handle("Memory Error Info Handle", 6)
	d.width("Total Width", 8)
	d.width("Data Width", 0xa)
	if m, ok := d.s.MemoryDevice(); ok {
		d.add("Size", m.sizeText())
	}
	d.name("Form Factor", 0xe, 0xff, formFactors, true)
	d.unlessNone("Device Set", 0xf)
	d.text("Device Locator", 0x10)
	d.text("Bank Locator", 0x11)
	d.name("Memory Type", 0x12, 0xff, memoryTypes, true)
	if v, ok := d.s.Word(0x13); ok {
		var all []string
		for i, n := range memoryDetails {
			if v>>(i+1)&1 != 0 {
				all = append(all, n)
			}
		}
		d.add("Type Detail", fmt.Sprintf("%04xh - %s", v, strings.Join(all, " ")))
	}
	d.word("Speed", "%dMHz", 0x15)
	d.text("Manufacturer", 0x17)
	d.text("Serial Number", 0x18)
	d.text("Asset Tag Number", 0x19)
	d.text("Part Number", 0x1a)
	if v, ok := d.s.Word(0x20); ok && v != 0 {
		d.add("Configured Speed", fmt.Sprintf("%dMHz", v))
	}
}

func (d *describer) width(label string, off int) {
	if v, ok := d.s.Word(off); ok {
		if v == 0xffff {
			d.add(label, "[Unknown]")
			return
		}
		d.add(label, fmt.Sprintf("%d bits", v))
	}
}

func (d *describer) addressRange(wide int) {
	start, ok := d.s.Dword(4)
	end, ok2 := d.s.Dword(8)
	if !ok || !ok2 {
		return
	}
	from, ok := d.s.Qword(wide)
	to, ok2 := d.s.Qword(wide + 8)
	if start == 0xffffffff && ok && ok2 {
		d.add("Starting Address", fmt.Sprintf("%016xh", from))
		d.add("Ending Address", fmt.Sprintf("%016xh", to))
		return
	}
	d.add("Starting Address", fmt.Sprintf("%08xh", start))
	d.add("Ending Address", fmt.Sprintf("%08xh", end))
}
