package smbios

import (
	"bytes"
	"encoding/binary"
)

// Entry points say where firmware left the table (DSP0134 5.2.1 and 5.2.2).
const (
	anchor32 = "_SM_" // with a table below 4 GB
	anchor64 = "_SM3_"
	size32   = 0x1f
	size64   = 0x18
)

// ParseEntry reads the entry point that b begins with: a table without its
// structures, and the physical address of those. It is false where no entry
// point stands, or one whose checksum is wrong.
func ParseEntry(b []byte) (t *Table, at uint64, ok bool) {
	le := binary.LittleEndian
	switch {
	case bytes.HasPrefix(b, []byte(anchor64)) && len(b) >= size64 && b[6] >= size64 && summed(b, b[6]):
		t = &Table{Major: b[7], Minor: b[8], DMIRevision: b[9], Size: le.Uint32(b[0xc:])}
		return t, le.Uint64(b[0x10:]), true
	case bytes.HasPrefix(b, []byte(anchor32)) && len(b) >= size32 && b[5] >= size32 && summed(b, b[5]):
		t = &Table{Major: b[6], Minor: b[7], Size: uint32(le.Uint16(b[0x16:]))}
		return t, uint64(le.Uint32(b[0x18:])), true
	}
	return nil, 0, false
}

// summed reports whether the bytes of an entry point add up to 0.
func summed(b []byte, n uint8) bool {
	sum := uint8(0)
	if int(n) > len(b) {
		return false
	}
	for _, c := range b[:n] {
		sum += c
	}
	return sum == 0
}
