package pe

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Types of debug directory entries.
const (
	DebugCOFF     = 1
	DebugCodeView = 2
	DebugFPO      = 3
	DebugMisc     = 4
	DebugVCFeat   = 12
	DebugPOGO     = 13
	DebugILTCG    = 14
	DebugRepro    = 16
	DebugExDll    = 20
)

// A DebugEntry is an entry of the debug directory.
type DebugEntry struct {
	Characteristics, TimeDateStamp uint32
	MajorVersion, MinorVersion     uint16
	Type                           uint32
	SizeOfData                     uint32
	AddressOfRawData               uint32 // RVA, 0 when the data is not mapped
	PointerToRawData               uint32 // file offset
}

// maxDebugEntries bounds the debug directory; linkers write fewer than ten.
const maxDebugEntries = 256

// DebugDirectory returns the entries of the debug directory. With an error come
// the entries before it.
func (im *Image) DebugDirectory() ([]DebugEntry, error) {
	dir := im.Directory(DirDebug)
	if dir.RVA == 0 || dir.Size == 0 {
		return nil, fmt.Errorf("debug directory: %w", ErrNoDirectory)
	}
	n := dir.Size / 28
	if n > maxDebugEntries {
		return nil, im.errorf("debug directory", dir.RVA, "%d entries, at most %d are read", n, maxDebugEntries)
	}
	b, err := im.read(dir.RVA, n*28)
	if err != nil {
		err = fmt.Errorf("debug directory: %w", err)
	}
	d := &decoder{record: "debug directory", base: int64(dir.RVA), mapped: true, b: b}
	out := make([]DebugEntry, len(b)/28)
	for i := range out {
		out[i] = DebugEntry{
			d.u32(), d.u32(), d.u16(), d.u16(), d.u32(), d.u32(), d.u32(), d.u32(),
		}
	}
	return out, err
}

// DebugData returns up to limit bytes of an entry's data.
func (im *Image) DebugData(e DebugEntry, limit uint32) ([]byte, error) {
	n := min(e.SizeOfData, limit)
	if e.AddressOfRawData != 0 {
		return im.read(e.AddressOfRawData, n)
	}
	if e.PointerToRawData == 0 {
		return nil, im.errorf("debug data", 0, "entry of type %d has none", e.Type)
	}
	const most = 1 << 20 // nothing this package reads is larger
	b := make([]byte, min(n, most))
	got, err := im.src.readRaw(e.PointerToRawData, b)
	return b[:got], err
}

// A GUID is one as Windows stores it: three little-endian numbers, 8 bytes.
type GUID [16]byte

// String returns 32 upper-case digits without dashes, as symbol stores and ISF
// tables name it.
func (g GUID) String() string {
	return fmt.Sprintf("%08X%04X%04X%X", binary.LittleEndian.Uint32(g[:]),
		binary.LittleEndian.Uint16(g[4:]), binary.LittleEndian.Uint16(g[6:]), g[8:])
}

// Dashed returns the GUID in five groups of upper-case digits.
func (g GUID) Dashed() string {
	s := g.String()
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// A CodeView record says which PDB belongs to an image.
type CodeView struct {
	Format    string // "RSDS", or "NB10" before Visual C++ 7
	GUID      GUID   // RSDS
	Signature uint32 // NB10
	Age       uint32
	Name      string // of the PDB, often with the path of the build machine
}

// CodeView returns the record of the PDB that was made with the image.
func (im *Image) CodeView() (CodeView, error) {
	entries, err := im.DebugDirectory()
	for _, e := range entries {
		if e.Type != DebugCodeView {
			continue
		}
		b, rerr := im.DebugData(e, 24+maxName+1)
		cv, perr := parseCodeView(b, int64(e.AddressOfRawData))
		if perr == nil {
			return cv, nil
		}
		err = perr
		if rerr != nil {
			err = fmt.Errorf("CodeView record: %w", rerr)
		}
	}
	if err == nil {
		err = fmt.Errorf("CodeView record: %w", ErrNoDirectory)
	}
	return CodeView{}, err
}

// ParseCodeView decodes a CodeView record that was stored apart from its image,
// as minidumps do.
func ParseCodeView(b []byte) (CodeView, error) { return parseCodeView(b, 0) }

func parseCodeView(b []byte, base int64) (CodeView, error) {
	d := &decoder{record: "CodeView record", base: base, mapped: true, b: b}
	cv := CodeView{Format: string(d.bytes(4))}
	switch cv.Format {
	case "RSDS":
		copy(cv.GUID[:], d.bytes(16))
	case "NB10":
		d.u32() // offset, always 0
		cv.Signature = d.u32()
	default:
		d.fail("unknown format %q", cv.Format)
	}
	cv.Age = d.u32()
	if d.err != nil {
		return CodeView{}, d.err
	}
	name := d.b[d.off:]
	i := bytes.IndexByte(name, 0)
	if i < 0 || i > maxName {
		d.fail("name without end")
		return CodeView{}, d.err
	}
	cv.Name = string(name[:i])
	return cv, nil
}

// Reproducible tells whether the image was linked with /Brepro, so that its time
// stamp is a hash. Without a readable debug directory it is not known: false.
func (im *Image) Reproducible() bool {
	entries, _ := im.DebugDirectory()
	for _, e := range entries {
		if e.Type == DebugRepro {
			return true
		}
	}
	return false
}
