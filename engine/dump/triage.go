package dump

import (
	"fmt"
	"sync"
	"unicode/utf16"

	"kdap/engine/memory"
)

// TriageFields are the fields of TRIAGE_DUMP64 as the file has them, in its
// order. Offsets are file offsets; 0 means the part was not written.
type TriageFields struct {
	ServicePackBuild, SizeOfDump, ValidOffset uint32
	ContextOffset, ExceptionOffset, MmOffset  uint32
	UnloadedDriversOffset, PrcbOffset         uint32
	ProcessOffset, ThreadOffset               uint32
	CallStackOffset, SizeOfCallStack          uint32
	DriverListOffset, DriverCount             uint32
	StringPoolOffset, StringPoolSize          uint32
	BrokenDriverOffset, TriageOptions         uint32
	TopOfStack                                uint64
	BStoreOffset, SizeOfBStore                uint32 // IA64
	LimitOfBStore                             uint64
	DataPageAddress                           uint64
	DataPageOffset, DataPageSize              uint32
	DebuggerDataOffset, DebuggerDataSize      uint32
	DataBlocksOffset, DataBlocksCount         uint32
}

// A TriageDriver is a loaded driver, as the driver list of a triage dump has
// it.
type TriageDriver struct {
	Name                    string
	DllBase, EntryPoint     uint64
	SizeOfImage             uint32
	CheckSum, TimeDateStamp uint32
	Entry                   []byte // the KLDR_DATA_TABLE_ENTRY64; its pointers lead nowhere
}

// An UnloadedDriver is a driver that was unloaded before the crash. Its name is
// cut after twelve characters.
type UnloadedDriver struct {
	Name       string
	Start, End uint64
}

// A DataBlock is a piece of virtual memory and where it lies in the file.
type DataBlock struct {
	VA     uint64
	Offset uint32
	Size   uint32
}

// A TriageDump is the content of a type 4 dump. What the file does not hold is
// nil, and Warnings of the File says so. Its bytes must not be changed.
type TriageDump struct {
	Fields TriageFields

	Mm              []byte // DUMP_MM_STORAGE64
	PRCB            []byte // the crashing processor's _KPRCB
	Process, Thread []byte // its _EPROCESS and _ETHREAD
	CallStack       []byte // from Fields.TopOfStack on
	DebuggerData    []byte // the KDBG block
	Drivers         []TriageDriver
	UnloadedDrivers []UnloadedDriver
	BrokenDriver    string
	DataBlocks      []DataBlock // in the file's order; those that leave the file are cut or left out

	f       *File
	strings int // bytes of strings that may still be read
	once    sync.Once
	space   *memory.Blocks
	addrs   TriageAddresses
}

// Triage returns the content of a triage dump, or false for the other types.
func (f *File) Triage() (*TriageDump, bool) { return f.triage, f.triage != nil }

// openTriage reads TRIAGE_DUMP64 and what it points at. Nothing but the record
// itself is needed to go on.
func (f *File) openTriage() {
	t := &TriageDump{f: f, strings: 4*len(f.data) + 1<<20}
	f.triage = t
	f.present = func() uint64 { return 0 }
	d := f.record("TRIAGE_DUMP64", HeaderSize, 0x80)
	t.Fields = parseTriageFields(d)
	if d.err != nil {
		f.warn(Truncated, 60, []string{"WARNING: Dump file has been truncated.  Data may be missing."},
			"The file ends within the record behind the header, %v: only the header can be read.", d.err)
		t.Fields = TriageFields{}
		f.blobsAt = uint64(len(f.data))
		return
	}
	x := &t.Fields
	size := uint64(len(f.data))
	f.blobsAt = uint64(x.SizeOfDump)
	switch {
	case f.blobsAt > size:
		f.warn(Truncated, 60, []string{"WARNING: Dump file has been truncated.  Data may be missing."},
			"The file ends at %#x, but SizeOfDump is %#x: what lies behind is missing.", size, x.SizeOfDump)
	case f.blobsAt < HeaderSize+4 || string(f.data[f.blobsAt-4:f.blobsAt]) != "TRGD":
		f.warn(TriagePart, 0, nil, "The mark TRGD is not at the end of the triage data, %#x: the dump was damaged or not written to its end.", x.SizeOfDump)
	}
	f.layout = Layout{FirstPage: HeaderSize}

	t.Mm = t.part("DUMP_MM_STORAGE", x.MmOffset, 0x50)
	t.DebuggerData = t.part("Debugger data block", x.DebuggerDataOffset, x.DebuggerDataSize)
	sizes := t.structSizes()
	t.PRCB = t.part("PRCB", x.PrcbOffset, sizes.prcb)
	t.Process = t.part("EPROCESS", x.ProcessOffset, sizes.process)
	t.Thread = t.part("ETHREAD", x.ThreadOffset, sizes.thread)
	t.CallStack = t.part("Call stack", x.CallStackOffset, x.SizeOfCallStack)
	t.readUnloaded()
	t.readDrivers()
	t.readBlocks()
}

func parseTriageFields(d *decoder) (x TriageFields) {
	for _, p := range []*uint32{
		&x.ServicePackBuild, &x.SizeOfDump, &x.ValidOffset, &x.ContextOffset, &x.ExceptionOffset, &x.MmOffset,
		&x.UnloadedDriversOffset, &x.PrcbOffset, &x.ProcessOffset, &x.ThreadOffset, &x.CallStackOffset, &x.SizeOfCallStack,
		&x.DriverListOffset, &x.DriverCount, &x.StringPoolOffset, &x.StringPoolSize, &x.BrokenDriverOffset, &x.TriageOptions,
	} {
		*p = d.u32()
	}
	x.TopOfStack = d.u64()
	x.BStoreOffset, x.SizeOfBStore, x.LimitOfBStore = d.u32(), d.u32(), d.u64()
	x.DataPageAddress, x.DataPageOffset, x.DataPageSize = d.u64(), d.u32(), d.u32()
	x.DebuggerDataOffset, x.DebuggerDataSize = d.u32(), d.u32()
	x.DataBlocksOffset, x.DataBlocksCount = d.u32(), d.u32()
	return x
}

// part returns n bytes at a file offset, or as many of them as there are, and
// warns when they are not all there. An offset of 0 stands for a part that was
// not written.
func (t *TriageDump) part(name string, off, n uint32) []byte {
	if off == 0 {
		t.f.warn(TriagePart, 0, nil, "The dump has no %s (its offset in TRIAGE_DUMP64 is 0).", name)
		return nil
	}
	size := uint64(len(t.f.data))
	switch have := size - min(uint64(off), size); {
	case have == 0:
		t.f.warn(TriagePart, 0, []string{fmt.Sprintf("ERROR: %s not present in dump (RVA 0x%X)", name, off)},
			"The %s at offset %#x lies behind the end of the file, %#x.", name, off, size)
		return nil
	case have < uint64(n):
		t.f.warn(TriagePart, 0, []string{fmt.Sprintf("ERROR: %s only partially present in dump (RVA 0x%X, size 0x%X)", name, off, n)},
			"Only %d of the %d bytes of the %s at offset %#x are in the file.", have, n, name, off)
		n = uint32(have)
	}
	return t.f.data[off : uint64(off)+uint64(n) : uint64(off)+uint64(n)]
}

// unloadedMax bounds the list of unloaded drivers: the kernel keeps 50.
const unloadedMax = 4096

func (t *TriageDump) readUnloaded() {
	off := uint64(t.Fields.UnloadedDriversOffset)
	if off == 0 {
		t.f.warn(TriagePart, 0, []string{"Mini Kernel Dump does not contain unloaded driver list"}, "The dump has no list of unloaded drivers.")
		return
	}
	n := t.f.record("Unloaded driver list", off, 8).u64()
	d := t.f.record("Unloaded driver list", off+8, 0x38*min(n, unloadedMax))
	for range min(n, unloadedMax) {
		length := d.u16()
		d.skip(14)
		name := d.bytes(24)
		u := UnloadedDriver{Start: d.u64(), End: d.u64()}
		if d.err != nil {
			break
		}
		u.Name = utf16String(name[:min(int(length)&^1, len(name))])
		t.UnloadedDrivers = append(t.UnloadedDrivers, u)
	}
	if d.err != nil || n > unloadedMax {
		t.f.warn(TriagePart, 0, []string{fmt.Sprintf("ERROR: Unloaded driver list only partially present in dump (RVA 0x%X, size 0x%X)", off, 8+0x38*n)},
			"The list of unloaded drivers at offset %#x promises %d; %d could be read.", off, n, len(t.UnloadedDrivers))
	}
}

// driverEntry is the size of an entry of the driver list.
const driverEntry = 0x90

func (t *TriageDump) readDrivers() {
	off, n := uint64(t.Fields.DriverListOffset), uint64(t.Fields.DriverCount)
	if off == 0 {
		t.f.warn(TriagePart, 0, []string{"Mini Kernel Dump does not contain driver list"}, "The dump has no list of loaded drivers.")
		return
	}
	list := t.f.record("Driver entry", off, n*driverEntry)
	room := uint64(len(list.b)) / driverEntry
	if n > room {
		t.f.warn(TriagePart, 0, []string{fmt.Sprintf("ERROR: Driver entry not present in dump (RVA 0x%X)", off+room*driverEntry)},
			"The list of drivers at offset %#x promises %d, but there is room for %d.", off, n, room)
		n = room
	}
	bad := 0
	for range n {
		b := list.bytes(driverEntry)
		d := newDecoder("Driver entry", b, 0, driverEntry)
		nameOff := d.u32()
		d.skip(4)
		drv := TriageDriver{Entry: b[8:]}
		d.skip(0x30)
		drv.DllBase, drv.EntryPoint, drv.SizeOfImage = d.u64(), d.u64(), d.u32()
		d.off = 0x80
		drv.CheckSum = d.u32()
		d.off = 0x88
		drv.TimeDateStamp = d.u32()
		var err error
		if drv.Name, err = t.str(nameOff); err != nil {
			bad++
			if bad == 1 {
				t.f.warn(TriagePart, 0, []string{fmt.Sprintf("ERROR: Driver entry name not present in dump (RVA 0x%X)", nameOff)},
					"The driver at %#x has no name: %v.", drv.DllBase, err)
			}
		}
		t.Drivers = append(t.Drivers, drv)
	}
	if bad > 1 {
		t.f.warn(TriagePart, 0, nil, "%d drivers have no name.", bad)
	}
	if o := t.Fields.BrokenDriverOffset; o != 0 {
		t.BrokenDriver, _ = t.str(o)
	}
}

// nameMax bounds a driver's path, in UTF-16 units.
const nameMax = 0x7fff

// str reads a string of the pool: a character count, then UTF-16.
func (t *TriageDump) str(off uint32) (string, error) {
	d := t.f.record("string", uint64(off), 4+2*nameMax)
	n := d.u32()
	if d.err == nil && n > nameMax {
		return "", &FormatError{"string", fmt.Sprintf("%d characters are too many for a path", n), int64(off)}
	}
	b := d.bytes(int(n) * 2)
	if t.strings -= len(b); t.strings < 0 { // one long name, used over and over
		return "", &FormatError{"string", "the names are longer than the file", int64(off)}
	}
	return utf16String(b), d.err
}

// utf16String decodes little-endian UTF-16 up to a NUL.
func utf16String(b []byte) string {
	var u []uint16
	for i := 0; i+1 < len(b); i += 2 {
		c := uint16(b[i]) | uint16(b[i+1])<<8
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}

func (t *TriageDump) readBlocks() {
	off, n := uint64(t.Fields.DataBlocksOffset), uint64(t.Fields.DataBlocksCount)
	if off == 0 || n == 0 {
		return
	}
	d := t.f.record("Data block descriptor", off, n*16)
	if room := uint64(len(d.b)) / 16; n > room {
		t.f.warn(TriagePart, 0, []string{fmt.Sprintf("ERROR: Data block descriptor not present in dump (RVA 0x%X)", off+room*16)},
			"The list of data blocks at offset %#x promises %d, but there is room for %d.", off, n, room)
		n = room
	}
	size := uint64(len(t.f.data))
	t.DataBlocks = make([]DataBlock, 0, n)
	var bad, cut int
	for range n {
		b := DataBlock{VA: d.u64(), Offset: d.u32(), Size: d.u32()}
		switch have := size - min(size, uint64(b.Offset)); {
		case have == 0:
			bad++
			continue
		case have < uint64(b.Size):
			cut++
			b.Size = uint32(have)
		}
		t.DataBlocks = append(t.DataBlocks, b)
	}
	if bad+cut > 0 {
		t.f.warn(TriagePart, 0, nil, "Of %d data blocks %d lie behind the end of the file and %d are cut by it.", n, bad, cut)
	}
}
