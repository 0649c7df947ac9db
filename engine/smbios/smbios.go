// Package smbios reads the table that firmware describes the machine with.
//
// Layouts follow the SMBIOS reference specification (DMTF DSP0134): a header of
// type, length and handle, the formatted area, then strings that fields name by
// number. What Windows puts before the table (RawSMBIOSData of
// GetSystemFirmwareTable) is the same in dumps.
//
// A table is hostile input: lengths are bounded, walks end, and a structure
// that is cut off is yielded as far as it goes, with an error. A field that
// the structure is too short for is absent, which is no error: older firmware
// wrote shorter structures.
package smbios

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
)

// Types of structures.
const (
	TypeBIOS         = 0
	TypeSystem       = 1
	TypeBoard        = 2
	TypeEnclosure    = 3
	TypeProcessor    = 4
	TypeCache        = 7
	TypeOEMStrings   = 11
	TypeMemoryArray  = 16
	TypeMemoryDevice = 17
	TypeArrayRange   = 19
	TypeDeviceRange  = 20
	TypeBoot         = 32
	TypeEnd          = 127
)

// A Table is the machine's description, as firmware left it.
type Table struct {
	Calling20    bool // it came from the calls of SMBIOS 2.0
	Major, Minor uint8
	DMIRevision  uint8
	Size         uint32 // as the header says
	Data         []byte // the structures; shorter than Size when cut
}

// A FormatError tells where a table is wrong.
type FormatError struct {
	Msg string
	Off int // in the table's data
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("SMBIOS table at offset %#x: %s", e.Off, e.Msg)
}

// headerSize is that of RawSMBIOSData before the table.
const headerSize = 8

// Parse reads Windows' header and what follows it.
func Parse(b []byte) (*Table, error) {
	if len(b) < headerSize {
		return nil, &FormatError{fmt.Sprintf("header of %d bytes, 8 are needed", len(b)), 0}
	}
	t := &Table{Calling20: b[0] != 0, Major: b[1], Minor: b[2], DMIRevision: b[3], Size: binary.LittleEndian.Uint32(b[4:])}
	rest := b[headerSize:]
	t.Data = rest[:min(uint64(t.Size), uint64(len(rest)))]
	return t, nil
}

// A Structure is one entry of the table.
type Structure struct {
	Type    uint8
	Handle  uint16
	Data    []byte // the formatted area with its header of four bytes
	Strings []string
	Off     int // in the table's data
}

// Structures yields the structures in the table's order, the end marker with
// them. When the table breaks off, the last pair has an error and what is there
// of the last structure.
func (t *Table) Structures() iter.Seq2[Structure, error] {
	return func(yield func(Structure, error) bool) {
		for off := 0; off < len(t.Data); {
			s, next, err := parse(t.Data, off)
			if !yield(s, err) || err != nil || s.Type == TypeEnd {
				return
			}
			off = next
		}
	}
}

// parse reads the structure at off and returns where the next one begins, which
// is always behind off.
func parse(b []byte, off int) (s Structure, next int, err error) {
	rest := b[off:]
	s.Off = off
	if len(rest) < 4 {
		return s, len(b), &FormatError{fmt.Sprintf("%d bytes are left, a structure needs 4", len(rest)), off}
	}
	s.Type, s.Handle = rest[0], binary.LittleEndian.Uint16(rest[2:])
	size := int(rest[1])
	if size < 4 {
		s.Data = rest[:4]
		return s, len(b), &FormatError{fmt.Sprintf("type %d says it has %d bytes", s.Type, size), off}
	}
	if size > len(rest) {
		s.Data = rest
		return s, len(b), &FormatError{fmt.Sprintf("type %d has %d bytes, %d are there", s.Type, size, len(rest)), off}
	}
	s.Data = rest[:size:size]
	text := rest[size:]
	for i := 0; ; {
		n := bytes.IndexByte(text[i:], 0)
		if n < 0 {
			if s.Type == TypeEnd { // nothing follows it that could be missed
				return s, len(b), nil
			}
			return s, len(b), &FormatError{fmt.Sprintf("the strings of type %d do not end", s.Type), off + size + i}
		}
		if n == 0 {
			i++
			if len(s.Strings) == 0 && i < len(text) && text[i] == 0 { // no strings at all: two zeros
				i++
			}
			return s, off + size + i, nil
		}
		s.Strings = append(s.Strings, string(text[i:i+n]))
		i += n + 1
	}
}

// Byte returns the byte at an offset of the structure.
func (s Structure) Byte(off int) (uint8, bool) {
	if off >= len(s.Data) {
		return 0, false
	}
	return s.Data[off], true
}

// Word returns the 16 bits at an offset.
func (s Structure) Word(off int) (uint16, bool) {
	if off+2 > len(s.Data) {
		return 0, false
	}
	return binary.LittleEndian.Uint16(s.Data[off:]), true
}

// Dword returns the 32 bits at an offset.
func (s Structure) Dword(off int) (uint32, bool) {
	if off+4 > len(s.Data) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(s.Data[off:]), true
}

// Qword returns the 64 bits at an offset.
func (s Structure) Qword(off int) (uint64, bool) {
	if off+8 > len(s.Data) {
		return 0, false
	}
	return binary.LittleEndian.Uint64(s.Data[off:]), true
}

// Text returns the string that the byte at an offset names; "" and true where
// it names none.
func (s Structure) Text(off int) (string, bool) {
	n, ok := s.Byte(off)
	if !ok {
		return "", false
	}
	if n == 0 || int(n) > len(s.Strings) {
		return "", true
	}
	return s.Strings[n-1], true
}

// A Value is a named value.
type Value struct{ Name, Text string }

// Machine returns what names the machine: firmware, system and board, in the
// debugger's words and order. What the table does not tell is left out, and so
// are release numbers of 255, which say "none".
func (t *Table) Machine() []Value {
	var all []Value
	seen := map[uint8]bool{}
	for s := range t.Structures() {
		if seen[s.Type] || s.Type > TypeBoard {
			continue
		}
		seen[s.Type] = true
		for _, f := range machineFields {
			if f.kind != s.Type {
				continue
			}
			if f.number {
				if v, ok := s.Byte(f.off); ok && v != 0xff {
					all = append(all, Value{f.name, fmt.Sprint(v)})
				}
			} else if v, ok := s.Text(f.off); ok && v != "" {
				all = append(all, Value{f.name, v})
			}
		}
	}
	return order(all)
}

// machineFields are where Machine's values stand.
var machineFields = []struct {
	name   string
	kind   uint8
	off    int
	number bool
}{
	{"BiosMajorRelease", TypeBIOS, 0x14, true},
	{"BiosMinorRelease", TypeBIOS, 0x15, true},
	{"FirmwareMajorRelease", TypeBIOS, 0x16, true},
	{"FirmwareMinorRelease", TypeBIOS, 0x17, true},
	{"BiosVendor", TypeBIOS, 0x04, false},
	{"BiosVersion", TypeBIOS, 0x05, false},
	{"BiosReleaseDate", TypeBIOS, 0x08, false},
	{"SystemManufacturer", TypeSystem, 0x04, false},
	{"SystemProductName", TypeSystem, 0x05, false},
	{"SystemFamily", TypeSystem, 0x1a, false},
	{"SystemVersion", TypeSystem, 0x06, false},
	{"SystemSKU", TypeSystem, 0x19, false},
	{"BaseBoardManufacturer", TypeBoard, 0x04, false},
	{"BaseBoardProduct", TypeBoard, 0x05, false},
	{"BaseBoardVersion", TypeBoard, 0x06, false},
}

// MachineNames returns the names of Machine's values in their order.
func MachineNames() []string {
	names := make([]string, len(machineFields))
	for i, f := range machineFields {
		names[i] = f.name
	}
	return names
}

// order sorts values as machineFields has them: tables need not hold their
// types in order.
func order(values []Value) []Value {
	var all []Value
	for _, f := range machineFields {
		for _, v := range values {
			if v.Name == f.name {
				all = append(all, v)
			}
		}
	}
	return all
}
