// Package whea decodes the error records of Windows' hardware error
// architecture: what the hardware reported before a bug check 0x124.
//
// The record and its standard sections are those of the UEFI specification,
// appendix N ("Common Platform Error Record"). Sections of Microsoft's own
// follow ntddk.h of the public WDK (WHEA_XPF_MCA_SECTION), machine check codes
// Intel's Software Developer's Manual, volume 3, "Interpreting Machine Check
// Error Codes".
//
// A record is hostile input: every length is bounded before use.
package whea

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Sizes of a record's fixed parts.
const (
	HeaderSize     = 128
	descriptorSize = 72

	maxRecord   = 1 << 20
	maxSections = 256
)

// A FormatError says where a record is not what it must be.
type FormatError struct {
	Part, Msg string
	Off       int
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s at offset %#x: %s", e.Part, e.Off, e.Msg)
}

// A GUID is one as it lies in memory.
type GUID [16]byte

func (g GUID) String() string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(g[:]), le.Uint16(g[4:]), le.Uint16(g[6:]), g[8:10], g[10:])
}

// A Severity is how bad an error is.
type Severity uint32

func (s Severity) String() string {
	names := [...]string{"Recoverable", "Fatal", "Corrected", "Informational"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("severity %d", uint32(s))
}

// A Record is one error record.
type Record struct {
	Revision                             uint16
	Severity                             Severity
	Length                               uint32
	Time                                 time.Time // zero where the record has none
	Platform, Partition, Creator, Notify GUID
	HasPlatform, HasPartition            bool
	ID                                   uint64
	Flags                                uint32
	Sections                             []Section
}

// A Section is what one part of the system reported.
type Section struct {
	Descriptor     int // its place in the record
	Offset, Length uint32
	Flags          uint32
	Type           GUID
	Severity       Severity
	FRU            string // name of the part that can be replaced
	Data           []byte // shorter than Length where the record is cut
}

// Primary tells that the section is the cause of the error.
func (s *Section) Primary() bool { return s.Flags&1 != 0 }

const signature = 'C' | 'P'<<8 | 'E'<<16 | 'R'<<24

// Length returns how long the record is that begins with a header.
func Length(header []byte) (int, error) {
	le := binary.LittleEndian
	switch {
	case len(header) < HeaderSize:
		return 0, &FormatError{"error record", fmt.Sprintf("need %d bytes, have %d", HeaderSize, len(header)), 0}
	case le.Uint32(header) != signature:
		return 0, &FormatError{"error record", "it does not begin with CPER", 0}
	}
	n := le.Uint32(header[20:])
	if n < HeaderSize || n > maxRecord {
		return 0, &FormatError{"error record", fmt.Sprintf("a length of %#x", n), 20}
	}
	return int(n), nil
}

// Parse decodes a record. Of one that is cut or damaged it returns what could
// be read, with a *FormatError.
func Parse(b []byte) (*Record, error) {
	if _, err := Length(b); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	valid := le.Uint32(b[16:])
	r := &Record{
		Revision: le.Uint16(b[4:]), Severity: Severity(le.Uint32(b[12:])), Length: le.Uint32(b[20:]),
		HasPlatform: valid&1 != 0, HasPartition: valid&4 != 0,
		ID: le.Uint64(b[96:]), Flags: le.Uint32(b[104:]),
	}
	if valid&2 != 0 {
		r.Time = timestamp(b[24:32])
	}
	for i, g := range []*GUID{&r.Platform, &r.Partition, &r.Creator, &r.Notify} {
		copy(g[:], b[32+16*i:])
	}
	n := int(le.Uint16(b[10:]))
	if n > maxSections {
		return r, &FormatError{"error record", fmt.Sprintf("%d sections", n), 10}
	}
	for i := range n {
		at := HeaderSize + i*descriptorSize
		if at+descriptorSize > len(b) {
			return r, &FormatError{fmt.Sprintf("section descriptor %d", i), fmt.Sprintf("need %d bytes, have %d", descriptorSize, len(b)-at), at}
		}
		s := section(b[at:at+descriptorSize], at)
		end := uint64(s.Offset) + uint64(s.Length)
		if uint64(s.Offset) < uint64(len(b)) {
			s.Data = b[s.Offset:min(end, uint64(len(b)))]
		}
		r.Sections = append(r.Sections, s)
		if end > uint64(len(b)) {
			return r, &FormatError{fmt.Sprintf("section %d", i), fmt.Sprintf("it ends at %#x, the record at %#x", end, len(b)), at}
		}
	}
	return r, nil
}

func section(d []byte, at int) Section {
	le := binary.LittleEndian
	s := Section{
		Descriptor: at, Offset: le.Uint32(d), Length: le.Uint32(d[4:]), Flags: le.Uint32(d[12:]), Severity: Severity(le.Uint32(d[48:])),
	}
	copy(s.Type[:], d[16:])
	const validText = 2
	if d[10]&validText != 0 {
		s.FRU = printable(d[52:72])
	}
	return s
}

// printable returns the characters before the first zero; others than printable
// ones of ASCII end the text, too.
func printable(b []byte) string {
	for i, c := range b {
		if c < 0x20 || c > 0x7e {
			return string(b[:i])
		}
	}
	return string(b)
}

// timestamp decodes a record's time. The specification has binary coded
// decimals, Windows plain numbers: the century tells which it is.
func timestamp(b []byte) time.Time {
	value := func(v byte) int { return int(v) }
	if b[7] == 0x19 || b[7] == 0x20 || b[7] == 0x21 {
		value = func(v byte) int { return int(v>>4)*10 + int(v&15) }
	}
	year, month, day := value(b[7])*100+value(b[6]), value(b[5]), value(b[4])
	hour, minute, second := value(b[2]), value(b[1]), value(b[0])
	if month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
}

// Primary returns the section that is the cause, else the first; nil without one.
func (r *Record) Primary() *Section {
	for i := range r.Sections {
		if r.Sections[i].Primary() {
			return &r.Sections[i]
		}
	}
	if len(r.Sections) > 0 {
		return &r.Sections[0]
	}
	return nil
}

// Vendor returns the maker of the processor as CPUID spells it, "" where no
// section tells.
func (r *Record) Vendor() string {
	for i := range r.Sections {
		s := &r.Sections[i]
		if s.Type.String() == machineCheckSection && len(s.Data) >= 8 {
			switch binary.LittleEndian.Uint32(s.Data[4:]) {
			case 1:
				return "GenuineIntel"
			case 2:
				return "AuthenticAMD"
			}
		}
	}
	return ""
}
