package dumptest

import (
	"strings"
	"time"
)

// HiveOptions says what hive to make. Addresses and lengths of zero are the
// writer's choice.
type HiveOptions struct {
	Mount string // `\REGISTRY\MACHINE\SOFTWARE`
	File  string // `\SystemRoot\System32\Config\SOFTWARE`; "" for a hive that has none
	Name  string // in the base block; default: the last 31 characters of File
	Root  string // name of the root's node; default ROOT
	Minor uint32 // of the format, default 5; 3 knows no hashes and no big data

	// Pool puts the stable bins into paged pool, as all kernels did before
	// hives were mapped into the process Registry.
	Pool bool

	Addr, BaseBlock uint64
	Base            uint64    // address of the first stable bin: the file lies there in one piece
	Maps            [2]uint64 // of the storages; where a hive is small enough its own SmallDir is used
	Lengths         [2]uint32
	Buckets         int // of its table of open keys, default 32

	Dirty    []uint32 // sectors that are not yet in the file
	FreeBins []FreeBin
}

// A FreeBin is an entry of a hive's list of bins that were given back.
type FreeBin struct{ FileOffset, Size, Flags uint32 }

// A Hive is a registry hive in the making.
type Hive struct {
	m    *Machine
	opt  HiveOptions
	va   uint64 // _CMHIVE
	base uint64 // _HBASE_BLOCK
	root *HiveKey
	exit *HiveKey // in the master hive, nil for that itself

	stores   [2]*hiveStore
	security uint32 // cell of the one security descriptor
	keys     int
	table    uint64 // of open keys
}

// A HiveKey is a key of a hive in the making.
type HiveKey struct {
	hive   *Hive
	parent *HiveKey
	name   string
	class  string
	flags  uint16 // beside those that follow from the rest
	where  int    // its storage
	time   uint64
	subs   []*HiveKey
	values []*HiveValue
	index  string // kind of list of its sub keys

	cell   uint32
	fixed  bool
	target *Hive // of a hive exit

	kcb    uint64
	opened int // control blocks below and handles
	bodies []uint64
}

// A HiveValue is a value in the making.
type HiveValue struct {
	name string
	typ  uint32
	data []byte

	cell, dataCell uint32
}

// Types of registry values.
const (
	RegNone uint32 = iota
	RegString
	RegExpandString
	RegBinary
	RegDword
	RegDwordBigEndian
	RegLink
	RegMultiString
	RegResourceList
	RegFullResourceDescriptor
	RegResourceRequirementsList
	RegQword
)

// Flags of key nodes.
const (
	keyExit       = 0x2
	keyEntry      = 0x4
	keyNoDelete   = 0x8
	keySymLink    = 0x10
	keyCompressed = 0x20
)

// Addr is the address of the _CMHIVE.
func (h *Hive) Addr() uint64 { return h.va }

// Base is the address of the base block.
func (h *Hive) Base() uint64 { return h.base }

// Root is the hive's root key.
func (h *Hive) Root() *HiveKey { return h.root }

// Key returns the key at a path below the root, made where it is missing.
func (h *Hive) Key(path string) *HiveKey {
	k := h.root
	for name := range strings.SplitSeq(path, `\`) {
		k = k.Sub(name)
	}
	return k
}

// Sub returns a sub key, made where it is missing.
func (k *HiveKey) Sub(name string) *HiveKey { return k.sub(name, k.where) }

// VolatileSub returns a sub key that a restart forgets.
func (k *HiveKey) VolatileSub(name string) *HiveKey { return k.sub(name, 1) }

func (k *HiveKey) sub(name string, where int) *HiveKey {
	for _, s := range k.subs {
		if strings.EqualFold(s.name, name) {
			return s
		}
	}
	s := &HiveKey{hive: k.hive, parent: k, name: name, where: where}
	s.time = k.time + uint64(len(k.subs)+1)*uint64(time.Second/100)
	k.subs = append(k.subs, s)
	return s
}

// At fixes the key's cell by its place in the storage.
func (k *HiveKey) At(cell uint32) *HiveKey {
	k.cell, k.fixed = cell&^volatileBit, true
	return k
}

// Written sets when the key was changed last.
func (k *HiveKey) Written(t time.Time) *HiveKey {
	k.time = Filetime(t)
	return k
}

// Class gives the key a class name.
func (k *HiveKey) Class(name string) *HiveKey {
	k.class = name
	return k
}

// Index chooses the kind of the list of sub keys: lf, lh, li or ri.
func (k *HiveKey) Index(kind string) *HiveKey {
	k.index = kind
	return k
}

// Link makes the key a symbolic link.
func (k *HiveKey) Link(target string) *HiveKey {
	k.flags |= keySymLink
	return k.Set("SymbolicLinkValue", RegLink, utf16Bytes(target))
}

// Set gives the key a value; "" is the one without a name.
func (k *HiveKey) Set(name string, typ uint32, data []byte) *HiveKey {
	k.values = append(k.values, &HiveValue{name: name, typ: typ, data: data})
	return k
}

// SetString sets a REG_SZ, SetDword a REG_DWORD.
func (k *HiveKey) SetString(name, text string) *HiveKey {
	return k.Set(name, RegString, utf16Bytes(text+"\x00"))
}

// SetDword sets a REG_DWORD.
func (k *HiveKey) SetDword(name string, v uint32) *HiveKey {
	return k.Set(name, RegDword, le.AppendUint32(nil, v))
}

// SetQword sets a REG_QWORD.
func (k *HiveKey) SetQword(name string, v uint64) *HiveKey {
	return k.Set(name, RegQword, le.AppendUint64(nil, v))
}

// SetStrings sets a REG_MULTI_SZ.
func (k *HiveKey) SetStrings(name string, text ...string) *HiveKey {
	return k.Set(name, RegMultiString, utf16Bytes(strings.Join(text, "\x00")+"\x00\x00"))
}

// Path is the key's full path, in the letter case of the tree.
func (k *HiveKey) Path() string {
	if k.parent == nil {
		return k.hive.opt.Mount
	}
	return k.parent.Path() + `\` + k.name
}

// Cell is the index of the key's cell in the finished hive.
func (k *HiveKey) Cell() uint32 { return k.hive.stores[k.where].index(k.cell) }

// NodeAddr is where the key's node lies, past the size of its cell.
func (k *HiveKey) NodeAddr() uint64 { return k.hive.CellAddr(k.Cell()) }

// ControlBlock is the address of the key's control block, 0 while it is not
// open.
func (k *HiveKey) ControlBlock() uint64 { return k.kcb }

// Value returns the cells of a value and of its data, 0 for data in place.
func (k *HiveKey) Value(name string) (cell, data uint32) {
	for _, v := range k.values {
		if strings.EqualFold(v.name, name) {
			return v.cell, v.dataCell
		}
	}
	panic("dumptest: no value " + name + " in " + k.Path())
}

// CellAddr is where a cell's content lies in the finished hive.
func (h *Hive) CellAddr(cell uint32) uint64 {
	s := h.stores[cell>>31]
	return s.addr(cell&^volatileBit) + 4
}

// Space is where the hive's stable cells are read.
func (h *Hive) Space() *Space { return h.stores[0].space }
