package pe

import (
	"encoding/binary"
	"fmt"
)

// An Import is a library an image needs, with what it takes from it.
type Import struct {
	DLL                string
	OriginalFirstThunk uint32 // RVA of the names
	TimeDateStamp      uint32
	ForwarderChain     uint32
	FirstThunk         uint32 // RVA of the addresses the loader filled in
	Entries            []ImportEntry
}

// An ImportEntry is one function taken from a library.
type ImportEntry struct {
	Name    string // "" when taken by ordinal
	Ordinal uint16 // the ordinal, or the hint that goes with the name
	Slot    uint32 // RVA of its address
	Address uint64 // what the slot holds: the function once loaded, in a file as in the name table
}

const (
	maxImports       = 4096
	maxImportEntries = 1 << 16
)

// Imports returns the import table. With an error comes what could be read.
func (im *Image) Imports() ([]Import, error) {
	dir := im.Directory(DirImport)
	if dir.RVA == 0 {
		return nil, fmt.Errorf("import directory: %w", ErrNoDirectory)
	}
	var out []Import
	left := maxImportEntries
	text := textCache{im: im}
	for i := uint32(0); ; i++ {
		if i == maxImports {
			return out, im.errorf("import directory", dir.RVA, "more than %d libraries", maxImports)
		}
		b, err := im.read(dir.RVA+i*20, 20)
		if err != nil {
			return out, fmt.Errorf("import directory: %w", err)
		}
		d := &decoder{b: b}
		m := Import{OriginalFirstThunk: d.u32(), TimeDateStamp: d.u32(), ForwarderChain: d.u32()}
		name := d.u32()
		m.FirstThunk = d.u32()
		if name == 0 || m.FirstThunk == 0 {
			return out, nil
		}
		if m.DLL, err = text.at(name); err != nil {
			return out, fmt.Errorf("import directory: name of library %d: %w", i, err)
		}
		m.Entries, err = im.importEntries(&m, &text, &left)
		out = append(out, m)
		if err != nil {
			return out, fmt.Errorf("imports from %s: %w", m.DLL, err)
		}
	}
}

func (im *Image) importEntries(m *Import, text *textCache, left *int) ([]ImportEntry, error) {
	size := uint32(4)
	if im.PE32Plus {
		size = 8
	}
	names := m.OriginalFirstThunk
	if names == 0 {
		names = m.FirstThunk
	}
	word := func(rva uint32) (uint64, error) {
		var b [8]byte
		_, err := im.ReadRVA(rva, b[:size])
		return binary.LittleEndian.Uint64(b[:]), err
	}
	var out []ImportEntry
	for off := uint32(0); ; off += size {
		v, err := word(names + off)
		if err != nil || v == 0 {
			return out, err
		}
		if *left--; *left < 0 {
			return out, im.errorf("import table", names+off, "more than %d entries", maxImportEntries)
		}
		e := ImportEntry{Slot: m.FirstThunk + off}
		if e.Address, err = word(e.Slot); err != nil {
			return out, err
		}
		if v>>(size*8-1) != 0 {
			e.Ordinal = uint16(v)
		} else {
			var hint [2]byte
			if _, err := im.ReadRVA(uint32(v), hint[:]); err != nil {
				return out, err
			}
			e.Ordinal = binary.LittleEndian.Uint16(hint[:])
			if e.Name, err = text.at(uint32(v) + 2); err != nil {
				return out, err
			}
		}
		out = append(out, e)
	}
}
