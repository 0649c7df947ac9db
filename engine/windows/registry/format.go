package registry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"kdap/engine/types"
	"kdap/engine/windows"
)

// The cells of a hive have the same layout in memory and in hive files, on all
// builds and processors. Sources: the public types _CM_KEY_NODE, _CM_KEY_VALUE,
// _CM_KEY_INDEX, _CM_BIG_DATA, _CM_KEY_SECURITY and _HBIN of the kernel's
// symbols, and public descriptions of the hive file format.

// A Cell is the index of a cell: its place in one of a hive's two storages.
type Cell uint32

// NoCell stands where there is no cell.
const NoCell Cell = 0xffffffff

const volatileCell = 1 << 31

// Storage returns which storage the cell is in.
func (c Cell) Storage() Storage {
	if c&volatileCell != 0 {
		return Volatile
	}
	return Stable
}

// Offset returns the cell's place in its storage.
func (c Cell) Offset() uint32 { return uint32(c) &^ volatileCell }

// A Storage is one of the two parts of a hive.
type Storage int

// The storages: what goes to the hive's file, and what a restart forgets.
const (
	Stable Storage = iota
	Volatile
)

// Signatures of cells and bins.
const (
	signatureNode     = 'n' | 'k'<<8
	signatureLink     = 'l' | 'k'<<8 // old spelling of a hive exit
	signatureValue    = 'v' | 'k'<<8
	signatureSecurity = 's' | 'k'<<8
	signatureLeaf     = 'l' | 'f'<<8
	signatureHash     = 'l' | 'h'<<8
	signatureIndex    = 'l' | 'i'<<8
	signatureRoot     = 'r' | 'i'<<8
	signatureBig      = 'd' | 'b'<<8
	signatureBin      = 'h' | 'b'<<8 | 'i'<<16 | 'n'<<24
)

// Flags of a key node.
const (
	KeyVolatile   = 0x1
	KeyHiveExit   = 0x2
	KeyHiveEntry  = 0x4
	KeyNoDelete   = 0x8
	KeySymLink    = 0x10
	KeyCompressed = 0x20 // the name has one byte a character
)

const valueCompressed = 1

const (
	nodeHeader  = 0x4c
	valueHeader = 0x14
	listHeader  = 4
)

// A Node is what a key node says.
type Node struct {
	Signature                               uint16
	Flags                                   uint16
	LastWrite                               time.Time
	Parent                                  Cell
	Counts                                  [2]uint32 // sub keys by storage
	Lists                                   [2]Cell
	ValueCount                              uint32
	ValueList                               Cell
	Security, Class                         Cell
	MaxNameLen, MaxClassLen                 uint32
	MaxValueNameLen, MaxValueDataLen        uint32
	UserFlags, VirtualFlags, Debug, WorkVar uint32
	ClassLength                             uint16
	Name                                    string

	written uint64
}

// WriteTime returns LastWrite as it stands in the node, in 100 ns since 1601.
func (n Node) WriteTime() uint64 { return n.written }

// parseNode reads a key node; b is what follows the cell's size.
func parseNode(b []byte) (Node, error) {
	if len(b) < nodeHeader {
		return Node{}, fmt.Errorf("%d bytes are too few for a key node", len(b))
	}
	le := binary.LittleEndian
	n := Node{
		Signature: le.Uint16(b), Flags: le.Uint16(b[2:]), LastWrite: windows.FileTime(le.Uint64(b[4:])),
		Parent: Cell(le.Uint32(b[0x10:])), Counts: [2]uint32{le.Uint32(b[0x14:]), le.Uint32(b[0x18:])},
		Lists:      [2]Cell{Cell(le.Uint32(b[0x1c:])), Cell(le.Uint32(b[0x20:]))},
		ValueCount: le.Uint32(b[0x24:]), ValueList: Cell(le.Uint32(b[0x28:])),
		Security: Cell(le.Uint32(b[0x2c:])), Class: Cell(le.Uint32(b[0x30:])),
		MaxNameLen: uint32(le.Uint16(b[0x34:])), UserFlags: uint32(b[0x36] & 0xf), VirtualFlags: uint32(b[0x36] >> 4), Debug: uint32(b[0x37]),
		MaxClassLen: le.Uint32(b[0x38:]), MaxValueNameLen: le.Uint32(b[0x3c:]), MaxValueDataLen: le.Uint32(b[0x40:]),
		WorkVar: le.Uint32(b[0x44:]), ClassLength: le.Uint16(b[0x4a:]),
		written: le.Uint64(b[4:]),
	}
	if n.Signature != signatureNode && n.Signature != signatureLink {
		return n, fmt.Errorf("signature %#x is no key node's", n.Signature)
	}
	length := int(le.Uint16(b[0x48:]))
	rest := b[nodeHeader:]
	n.Name = cellName(rest[:min(length, len(rest))], n.Flags&KeyCompressed != 0)
	if length > len(rest) {
		return n, fmt.Errorf("a name of %d bytes does not fit into the cell, %d are left", length, len(rest))
	}
	return n, nil
}

// cellName decodes a name: one byte a character (Latin-1), or UTF-16.
func cellName(b []byte, compressed bool) string {
	if !compressed {
		return types.UTF16(b)
	}
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// subKeyList reads a list of sub keys. The cells are those of keys, or of
// lists when nested says so. What fits in the cell comes with an error too.
func subKeyList(b []byte) (cells []Cell, nested bool, err error) {
	if len(b) < listHeader {
		return nil, false, fmt.Errorf("%d bytes are too few for a list of sub keys", len(b))
	}
	signature := binary.LittleEndian.Uint16(b)
	size := 4
	switch signature {
	case signatureLeaf, signatureHash:
		size = 8 // the cell, and a hint of the name
	case signatureIndex:
	case signatureRoot:
		nested = true
	default:
		return nil, false, fmt.Errorf("signature %#x is no list of sub keys", signature)
	}
	count := int(binary.LittleEndian.Uint16(b[2:]))
	if fit := (len(b) - listHeader) / size; count > fit {
		err = fmt.Errorf("a list of %d sub keys does not fit into the cell, which has room for %d", count, fit)
		count = fit
	}
	cells = make([]Cell, count)
	for i := range cells {
		cells[i] = Cell(binary.LittleEndian.Uint32(b[listHeader+size*i:]))
	}
	return cells, nested, err
}

// cellList reads count cell indexes, or as many as there are.
func cellList(b []byte, count uint32) (cells []Cell, err error) {
	if fit := uint32(len(b) / 4); count > fit {
		err = fmt.Errorf("a list of %d does not fit into the cell, which has room for %d", count, fit)
		count = fit
	}
	cells = make([]Cell, count)
	for i := range cells {
		cells[i] = Cell(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return cells, err
}

// A ValueType is the type of a value's data. Any number occurs.
type ValueType uint32

// The types that have names.
const (
	None ValueType = iota
	String
	ExpandString
	Binary
	Dword
	DwordBigEndian
	Link
	MultiString
	ResourceList
	FullResourceDescriptor
	ResourceRequirementsList
	Qword
)

var valueTypeNames = []string{
	"REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN", "REG_LINK", "REG_MULTI_SZ",
	"REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR", "REG_RESOURCE_REQUIREMENTS_LIST", "REG_QWORD",
}

// Name returns the type's name, "" for a number without one.
func (t ValueType) Name() string {
	if int64(t) < int64(len(valueTypeNames)) {
		return valueTypeNames[t]
	}
	return ""
}

// String returns the type's name or number.
func (t ValueType) String() string {
	if n := t.Name(); n != "" {
		return n
	}
	return fmt.Sprintf("%#x", uint32(t))
}

// inlineData marks a data length whose bytes stand in the value itself.
const inlineData = 1 << 31

// ValueNode is what a value cell says.
type ValueNode struct {
	Name       string
	NameLength uint16
	Type       ValueType
	Flags      uint16
	Length     uint32 // of the data
	Inline     bool   // the data stands in DataCell's place
	DataCell   Cell

	small [4]byte
}

func parseValue(b []byte) (ValueNode, error) {
	if len(b) < valueHeader {
		return ValueNode{}, fmt.Errorf("%d bytes are too few for a value", len(b))
	}
	le := binary.LittleEndian
	if s := le.Uint16(b); s != signatureValue {
		return ValueNode{}, fmt.Errorf("signature %#x is no value's", s)
	}
	length := le.Uint32(b[4:])
	v := ValueNode{
		NameLength: le.Uint16(b[2:]), Length: length &^ inlineData, Inline: length&inlineData != 0,
		DataCell: Cell(le.Uint32(b[8:])), Type: ValueType(le.Uint32(b[0xc:])), Flags: le.Uint16(b[0x10:]), small: [4]byte(b[8:]),
	}
	rest := b[valueHeader:]
	v.Name = cellName(rest[:min(int(v.NameLength), len(rest))], v.Flags&valueCompressed != 0)
	if int(v.NameLength) > len(rest) {
		return v, fmt.Errorf("a name of %d bytes does not fit into the cell, %d are left", v.NameLength, len(rest))
	}
	return v, nil
}

// bigData reads the head of data in segments.
func bigData(b []byte) (count uint32, list Cell, err error) {
	if len(b) < 8 || binary.LittleEndian.Uint16(b) != signatureBig {
		return 0, NoCell, errors.New("it is no head of segments")
	}
	return uint32(binary.LittleEndian.Uint16(b[2:])), Cell(binary.LittleEndian.Uint32(b[4:])), nil
}
