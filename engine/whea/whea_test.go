package whea

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

var le = binary.LittleEndian

// record renders a record with one section of a type.
func record(guid [16]byte, data []byte) []byte {
	const at = HeaderSize + descriptorSize
	b := make([]byte, at, at+len(data))
	copy(b, "CPER")
	le.PutUint16(b[4:], 0x210)
	le.PutUint16(b[10:], 1)
	le.PutUint32(b[12:], 1)
	le.PutUint32(b[16:], 2)
	le.PutUint32(b[20:], uint32(at+len(data)))
	copy(b[24:], []byte{42, 13, 19, 1, 1, 10, 26, 20})
	d := b[HeaderSize:]
	le.PutUint32(d, at)
	le.PutUint32(d[4:], uint32(len(data)))
	d[10] = 2
	le.PutUint32(d[12:], 1)
	copy(d[16:], guid[:])
	copy(d[52:], "DIMM A2")
	return append(b, data...)
}

var (
	memoryGUID = [16]byte{0x14, 0x11, 0xbc, 0xa5, 0x64, 0x6f, 0xde, 0x4e, 0xb8, 0x63, 0x3e, 0x83, 0xed, 0x7c, 0x83, 0xb1}
	pcieGUID   = [16]byte{0x54, 0xe9, 0x95, 0xd9, 0xc1, 0xbb, 0x0f, 0x43, 0xad, 0x91, 0xb4, 0x4d, 0xcb, 0x3c, 0x6f, 0x35}
)

// TestMemory: a memory error as appendix N of the UEFI specification has it.
func TestMemory(t *testing.T) {
	data := make([]byte, 80)
	le.PutUint64(data, 1<<1|1<<5|1<<14)
	le.PutUint64(data[16:], 0x12345000)
	le.PutUint16(data[36:], 2)
	data[72] = 3
	r, err := Parse(record(memoryGUID, data))
	if err != nil {
		t.Fatal(err)
	}
	s := r.Primary()
	want := []string{"Error Type: Multi-bit ECC", "Physical Address: 0x0000000012345000", "Module: 2"}
	if s == nil || s.Name() != "Memory Error" || s.FRU != "DIMM A2" || !slices.Equal(s.Facts(), want) {
		t.Errorf("%+v %q", s, s.Facts())
	}
	if got := r.Time.Format("2006-01-02 15:04:05"); got != "2026-10-01 19:13:42" || r.Severity.String() != "Fatal" {
		t.Errorf("time %s, severity %s", got, r.Severity)
	}
}

func TestPCIExpress(t *testing.T) {
	data := make([]byte, 208)
	le.PutUint64(data, 1|1<<3|1<<7)
	le.PutUint32(data[8:], 4)
	le.PutUint16(data[24:], 0x8086)
	le.PutUint16(data[26:], 0x9a09)
	data[31], data[32], data[35] = 0, 6, 0
	le.PutUint32(data[116:], 1<<14)
	r, err := Parse(record(pcieGUID, data))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Port Type: Root Port", "Device Id: VenId:DevId: 8086:9a09, class code 000000, segment:bus:device.function 0000:00:06.0",
		"Uncorrectable Errors: 0x00004000 completion timeout", "Correctable Errors: 0x00000000",
	}
	if got := r.Sections[0].Facts(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestMachineCheck: the mnemonics of Intel's manual, table "IA32_MCi_Status [15:0]
// Compound Error Code Encoding", and its examples.
func TestMachineCheck(t *testing.T) {
	for status, want := range map[uint64]string{
		0x0124: "DCACHEL0_WR_ERR", 0x0136: "DCACHEL2_DRD_ERR", 0x0150: "ICACHEL0_IRD_ERR", 0x0014: "DTLBL0_ERR", 0x009f: "RD_CHANNEL_UNSPECIFIED_ERR",
		0x0800: "BUSL0_SRC_ERR_M_NOTIMEOUT_ERR", 0x0f0f: "BUSLG_GEN_ERR_OTHER_TIMEOUT_ERR", 0x0400: "INTERNAL_TIMER_ERROR", 0x000f: "CACHELG_ERR",
		0xbe00000000800400: "INTERNAL_TIMER_ERROR", 0: "NO_ERROR",
	} {
		if got := MachineCheck(status); got != want {
			t.Errorf("%#x: %s, want %s", status, got, want)
		}
	}
}

// FuzzParse: errors name a place; sections lie within the record.
func FuzzParse(f *testing.F) {
	good := record(memoryGUID, make([]byte, 80))
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(good[:HeaderSize+10])
	f.Add(record(pcieGUID, make([]byte, 208)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if fe := (*FormatError)(nil); err != nil && !errors.As(err, &fe) {
			t.Fatalf("error without an offset: %v", err)
		}
		if r == nil {
			return
		}
		for i := range r.Sections {
			s := &r.Sections[i]
			if len(s.Data) > len(b) || uint64(len(s.Data)) > uint64(s.Length) {
				t.Fatalf("section %d has %d bytes of %d", i, len(s.Data), s.Length)
			}
			s.Facts()
			s.ErrorKind()
		}
	})
}
