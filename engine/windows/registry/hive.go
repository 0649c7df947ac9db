package registry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// HiveSignature is what Signature returns for a hive.
const HiveSignature = 0xbee0bee0

// A Hive is one hive: a _CMHIVE, whose first member is its _HHIVE.
type Hive struct {
	reg *Registry
	obj types.Object

	mapsOnce sync.Once
	maps     [2]StorageMap
	mapsErr  error
	minor    uint64
	minorErr error

	pathOnce sync.Once
	path     string
}

// A StorageMap is where the cells of one storage are found.
type StorageMap struct {
	Length uint32
	Map    uint64 // address of the directory, 0 for an empty storage
}

func (r *Registry) newHive(obj types.Object) *Hive { return &Hive{reg: r, obj: obj} }

// Addr returns the address of the hive.
func (h *Hive) Addr() uint64 { return h.obj.Addr() }

// Object returns the _CMHIVE.
func (h *Hive) Object() types.Object { return h.obj }

// Registry returns the registry the hive belongs to.
func (h *Hive) Registry() *Registry { return h.reg }

// Signature returns the signature of the _HHIVE.
func (h *Hive) Signature() (uint64, error) { return h.obj.Field("Hive.Signature").Uint() }

// BaseBlock returns the address of the base block, the hive file's header.
func (h *Hive) BaseBlock() (uint64, error) { return h.obj.Field("Hive.BaseBlock").Uint() }

// Base returns the base block.
func (h *Hive) Base() types.Object { return h.obj.Field("Hive.BaseBlock").Deref() }

// Storage returns the map of a storage.
func (h *Hive) Storage(s Storage) (StorageMap, error) {
	h.mapsOnce.Do(func() {
		for i := range h.maps {
			dual := h.obj.Field("Hive.Storage").Index(i)
			length, err := dual.Field("Length").Uint()
			at, merr := dual.Field("Map").Uint()
			if err := errors.Join(err, merr); err != nil {
				h.mapsErr = fmt.Errorf("hive %#x: %w", h.Addr(), err)
				return
			}
			h.maps[i] = StorageMap{uint32(length), at}
		}
		h.minor, h.minorErr = h.Base().Field("Minor").Uint()
	})
	return h.maps[s], h.mapsErr
}

// RootCell returns the cell of the hive's root key.
func (h *Hive) RootCell() (Cell, error) {
	c, err := h.Base().Field("RootCell").Uint()
	return Cell(c), err
}

// Root returns the hive's root key.
func (h *Hive) Root() (*Key, error) {
	c, err := h.RootCell()
	if err != nil {
		return nil, fmt.Errorf("hive %#x: base block: %w", h.Addr(), err)
	}
	return h.Key(c)
}

// FileName returns the file name in the base block: the last 31 characters of
// the path, as much as fits there.
func (h *Hive) FileName() (string, error) {
	name := h.Base().Field("FileName")
	b, err := name.Bytes()
	if err != nil {
		return "", err
	}
	for i := 0; i+1 < len(b); i += 2 {
		if binary.LittleEndian.Uint16(b[i:]) == 0 {
			b = b[:i]
			break
		}
	}
	return types.UTF16(b), nil
}

// File returns the path of the hive's file, "" for a hive without one.
func (h *Hive) File() (string, error) {
	var errs []error
	for _, name := range []string{"FileFullPath", "FileUserName"} {
		f := h.obj.Field(name)
		if s, err := f.UnicodeString(); err != nil {
			errs = append(errs, err)
		} else if s != "" {
			return s, nil
		}
	}
	return "", errors.Join(errs...)
}

// Path returns where the hive is mounted, \REGISTRY\MACHINE\SOFTWARE; "" when
// nothing tells.
func (h *Hive) Path() string {
	h.pathOnce.Do(func() {
		if s, err := h.obj.Field("HiveRootPath").UnicodeString(); err == nil && s != "" {
			h.path = s
			return
		}
		if kcb, err := h.obj.Field("RootKcb").Uint(); err == nil && kcb != 0 {
			if s, err := h.reg.sys.KeyControlBlockPath(kcb); err == nil {
				h.path = s
			}
		}
	})
	return h.path
}

// maxCell bounds one read of a cell; larger data are kept in segments.
const maxCell = 16 << 20

// Block is a block of a hive: 4 KB of a bin.
type Block struct {
	Addr uint64 // where it lies
	Bin  uint64 // where its bin begins; 0 when the build's map does not tell
	Map  uint64 // the _HMAP_ENTRY
}

// Block returns the block that a cell lies in.
func (h *Hive) Block(c Cell) (Block, error) {
	m, err := h.Storage(c.Storage())
	switch {
	case err != nil:
		return Block{}, err
	case c.Offset() >= m.Length:
		return Block{}, fmt.Errorf("it lies beyond the storage's %#x bytes", m.Length)
	case m.Map == 0:
		return Block{}, errors.New("the storage has no map")
	}
	// Ten bits choose the table, nine the entry, twelve the byte.
	dir, index := uint64(c.Offset()>>21), uint64(c.Offset()>>12&0x1ff)
	kernel := h.reg.sys.Kernel()
	table, err := memory.ReadUint(kernel, m.Map+8*dir, 8)
	if err != nil {
		return Block{}, fmt.Errorf("map: %w", err)
	}
	if table == 0 {
		return Block{}, fmt.Errorf("table %d of the map is missing", dir)
	}
	t, err := h.reg.sys.Type("_HMAP_ENTRY")
	if err != nil {
		return Block{}, err
	}
	b, err := blockOf(types.NewObject(kernel, t, table+index*t.Size))
	if err != nil {
		return b, fmt.Errorf("map entry %#x: %w", b.Map, err)
	}
	return b, nil
}

// blockOf reads a _HMAP_ENTRY. Its members tell which of three families the
// build is of.
func blockOf(e types.Object) (Block, error) {
	b := Block{Map: e.Addr()}
	var err error
	if e.Has("BlockAddress") { // Vista to 8.1
		b.Addr, err = e.Field("BlockAddress").Uint()
		if bin, berr := e.Field("BinAddress").Uint(); berr == nil {
			b.Bin = bin &^ binFlags
		}
	} else {
		b.Bin, err = e.Field("PermanentBinAddress").Uint()
		if b.Bin &^= binFlags; err == nil && b.Bin == 0 && e.Has("TemporaryBinAddress") { // 1507 to 1703
			b.Bin, err = e.Field("TemporaryBinAddress").Uint()
			b.Bin &^= binFlags
		}
		if err == nil && b.Bin != 0 {
			var offset uint64
			offset, err = e.Field("BlockOffset").Uint()
			b.Addr = b.Bin + offset
		}
	}
	if err == nil && b.Addr == 0 {
		err = errors.New("it is empty")
	}
	return b, err
}

// binFlags are bits of a bin's address that say how it was allocated.
const binFlags = 0xf

// userHalf is the end of the lower half of the address space.
const userHalf = 1 << 63

// Address returns the address of a cell's content, past its size.
func (h *Hive) Address(c Cell) (uint64, error) {
	b, err := h.Block(c)
	if err != nil {
		return 0, err
	}
	return b.Addr + uint64(c.Offset()&0xfff) + 4, nil
}

// cell reads a cell's content, at most limit bytes, and returns its address
// and whole size. With an error it returns what could be read.
func (h *Hive) cell(c Cell, limit int) (data []byte, addr uint64, size int, err error) {
	b, err := h.Block(c)
	if err != nil {
		return nil, 0, 0, err
	}
	addr = b.Addr + uint64(c.Offset()&0xfff) + 4
	if h.reg.owner != nil && addr < userHalf {
		return nil, addr, 0, fmt.Errorf("it lies in the process Registry: %w", h.reg.owner)
	}
	space := h.reg.space
	raw, err := memory.ReadUint(space, addr-4, 4)
	if err != nil {
		return nil, addr, 0, err
	}
	n := int64(int32(raw))
	if n >= 0 {
		return nil, addr, 0, fmt.Errorf("a free cell (size %#x)", n)
	}
	n = -n
	m, _ := h.Storage(c.Storage()) // Block has read it
	switch {
	case n < 8 || n%8 != 0:
		return nil, addr, 0, fmt.Errorf("size %#x is no cell's", n)
	case n > int64(m.Length)-int64(c.Offset()):
		return nil, addr, 0, fmt.Errorf("size %#x ends beyond the storage's %#x bytes", n, m.Length)
	}
	if left, ok := h.binLeft(b, c); ok && n > left {
		return nil, addr, 0, fmt.Errorf("size %#x ends beyond the bin, of which %#x bytes are left", n, left)
	}
	size = int(n) - 4
	data, err = memory.ReadBytes(space, addr, min(size, limit, maxCell))
	return data, addr, size, err
}

// binLeft returns how many bytes the bin has from the cell on; false when its
// header cannot tell.
func (h *Hive) binLeft(b Block, c Cell) (int64, bool) {
	if b.Bin == 0 || b.Bin > b.Addr {
		return 0, false
	}
	head, err := memory.ReadBytes(h.reg.space, b.Bin, binHeader)
	if err != nil || binary.LittleEndian.Uint32(head) != signatureBin {
		return 0, false
	}
	size := int64(binary.LittleEndian.Uint32(head[8:]))
	at := int64(b.Addr-b.Bin) + int64(c.Offset()&0xfff)
	return size - at, size >= 0x1000
}

const binHeader = 0x20

// damage wraps what went wrong with a cell.
func (h *Hive) damage(c Cell, addr uint64, what string, err error) error {
	return &Damage{Hive: h.Addr(), Cell: c, Addr: addr, What: what, Err: err}
}
