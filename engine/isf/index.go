package isf

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"kdap/engine/types"
)

// The index is the project's own format: a header, then sections of records of
// one size each, little-endian, names as offsets into a blob of strings.
//
//	0   magic, 8 bytes
//	8   format version, u32
//	12  CRC-32C of everything from 16 on, u32
//	16  size of the index, u64
//	24  key of the table it was made from, 32 bytes
//	56  age, machine, pointer size, GUID, database (strings): u32 each
//	80  sections: offset u32, count u32, in the order of the sec constants
const (
	indexMagic   = "kdapISF\x1a"
	indexVersion = 2
	secTable     = 80
	headerSize   = secTable + numSections*8
	keySize      = 32
)

// The sections of an index.
const (
	secStrings = iota
	secNodes
	secTypes
	secTypeNames // type records by name
	secFields
	secEnums
	secSymbols
	secSymNames // symbols by name without case
	secSymHash  // symbols in the order of a PDB's hash table
	numSections
)

var recordSize = [numSections]int{
	secStrings: 1, secNodes: 24, secTypes: 32, secTypeNames: 4, secFields: 16,
	secEnums: 16, secSymbols: 16, secSymNames: 4, secSymHash: 4,
}

// A nodeTag is the sort of a node.
type nodeTag uint8

const (
	tagUnknown nodeTag = iota
	tagBase
	tagRef // an aggregate or enum by name
	tagPointer
	tagArray
	tagBits
	tagFunction
)

// A node describes one type where it is used.
type node struct {
	tag            nodeTag
	kind           types.Kind // tagBase: the kind; tagRef: a recordKind
	bitPos, bitLen uint8
	name           uint32
	sub            uint32 // index of another node, below this one's, plus 1
	size           uint64 // tagBase: bytes, tagArray: elements
}

// A recordKind is the sort of a named type.
type recordKind uint8

const (
	recStruct recordKind = iota
	recUnion
	recClass
	recEnum
)

type typeRecord struct {
	name  uint32
	kind  recordKind
	base  uint32 // recEnum: node of the underlying type
	first uint32 // of its fields or enumerators
	count uint32
	size  uint64
}

type fieldRecord struct {
	name, node uint32
	offset     uint64
}

type enumRecord struct {
	name  uint32
	value int64
}

type symbolRecord struct {
	rva, name, raw uint32
	node           uint32 // plus 1, 0 for none
}

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// encode writes the index of a table.
func (t *table) encode(key [keySize]byte) ([]byte, error) {
	guid, database := t.intern(t.id.GUID), t.intern(t.id.Database)
	str := func(at uint32) []byte { b, _ := cutString(t.blob, at); return b }

	slices.SortStableFunc(t.symbols, func(a, b symbolRecord) int {
		return cmp.Or(cmp.Compare(a.rva, b.rva), slices.Compare(str(a.raw), str(b.raw)))
	})
	byName := numbers(len(t.symbols))
	slices.SortStableFunc(byName, func(a, b uint32) int {
		return compareFold(str(t.symbols[a].raw), str(t.symbols[b].raw))
	})
	bucket := make([]uint32, len(t.symbols))
	for i, s := range t.symbols {
		bucket[i] = hashName(str(s.raw)) % 4096
	}
	byHash := slices.Clone(byName)
	slices.SortStableFunc(byHash, func(a, b uint32) int { return cmp.Compare(bucket[a], bucket[b]) })
	typeNames := numbers(len(t.types))
	slices.SortStableFunc(typeNames, func(a, b uint32) int {
		return slices.Compare(str(t.types[a].name), str(t.types[b].name))
	})

	b := make([]byte, headerSize, headerSize+len(t.blob)+24*len(t.nodes)+36*len(t.types)+16*(len(t.fields)+len(t.enums))+24*len(t.symbols)+64)
	section := func(sec, count int, write func()) {
		for len(b)%8 != 0 {
			b = append(b, 0)
		}
		le.PutUint32(b[secTable+8*sec:], uint32(len(b)))
		le.PutUint32(b[secTable+8*sec+4:], uint32(count))
		write()
	}
	list := func(numbers []uint32) func() {
		return func() {
			for _, n := range numbers {
				b = le.AppendUint32(b, n)
			}
		}
	}
	section(secStrings, len(t.blob), func() { b = append(b, t.blob...) })
	section(secNodes, len(t.nodes), func() {
		for _, n := range t.nodes {
			b = append(b, byte(n.tag), byte(n.kind), n.bitPos, n.bitLen)
			b = le.AppendUint32(b, n.name)
			b = le.AppendUint64(b, uint64(n.sub))
			b = le.AppendUint64(b, n.size)
		}
	})
	section(secTypes, len(t.types), func() {
		for _, r := range t.types {
			b = le.AppendUint32(b, r.name)
			b = le.AppendUint32(b, uint32(r.kind))
			b = le.AppendUint32(b, r.base)
			b = le.AppendUint32(b, r.first)
			b = le.AppendUint64(b, uint64(r.count))
			b = le.AppendUint64(b, r.size)
		}
	})
	section(secTypeNames, len(typeNames), list(typeNames))
	section(secFields, len(t.fields), func() {
		for _, f := range t.fields {
			b = le.AppendUint32(b, f.name)
			b = le.AppendUint32(b, f.node)
			b = le.AppendUint64(b, f.offset)
		}
	})
	section(secEnums, len(t.enums), func() {
		for _, e := range t.enums {
			b = le.AppendUint64(b, uint64(e.name))
			b = le.AppendUint64(b, uint64(e.value))
		}
	})
	section(secSymbols, len(t.symbols), func() {
		for _, s := range t.symbols {
			for _, v := range [...]uint32{s.rva, s.name, s.raw, s.node} {
				b = le.AppendUint32(b, v)
			}
		}
	})
	section(secSymNames, len(byName), list(byName))
	section(secSymHash, len(byHash), list(byHash))
	if len(b) > math.MaxUint32 {
		return nil, fmt.Errorf("ISF index of %d bytes is too large", len(b))
	}

	copy(b, indexMagic)
	le.PutUint32(b[8:], indexVersion)
	le.PutUint64(b[16:], uint64(len(b)))
	copy(b[24:], key[:])
	for i, v := range [...]uint32{t.id.Age, t.id.Machine, uint32(t.ptr), guid, database} {
		le.PutUint32(b[56+4*i:], v)
	}
	le.PutUint32(b[12:], crc32.Checksum(b[16:], castagnoli))
	return b, nil
}

func numbers(n int) []uint32 {
	list := make([]uint32, n)
	for i := range list {
		list[i] = uint32(i)
	}
	return list
}

// hashName is the hash PDBs sort their publics by: the name's words of four
// bytes folded by exclusive or, without the case bits.
func hashName(name []byte) uint32 {
	var h uint32
	for ; len(name) >= 4; name = name[4:] {
		h ^= le.Uint32(name)
	}
	if len(name) >= 2 {
		h ^= uint32(le.Uint16(name))
		name = name[2:]
	}
	if len(name) == 1 {
		h ^= uint32(name[0])
	}
	h |= 0x20202020
	h ^= h >> 11
	return h ^ h>>16
}

// cutString returns the string at an offset of a blob.
func cutString(blob []byte, at uint32) ([]byte, bool) {
	if uint64(at) >= uint64(len(blob)) {
		return nil, false
	}
	b := blob[at:]
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return nil, false
	}
	return b[w : w+int(n)], true
}

// An index is the bytes of a checked index. Its sections lie within it and its
// nodes refer to earlier ones; other numbers are bounded where they are used,
// and a bad one reads as zero.
type index struct {
	b   []byte
	sec [numSections][]byte
}

// openIndex checks the header, the checksum and the sections.
func openIndex(b []byte, key [keySize]byte) (index, error) {
	bad := func(off int64, format string, args ...any) (index, error) {
		return index{}, &FormatError{Record: "ISF index", Msg: fmt.Sprintf(format, args...), Off: off}
	}
	switch {
	case len(b) < headerSize:
		return bad(0, "%d bytes, the header has %d", len(b), headerSize)
	case string(b[:8]) != indexMagic:
		return bad(0, "not an index")
	case le.Uint32(b[8:]) != indexVersion:
		return bad(8, "version %d, not %d", le.Uint32(b[8:]), indexVersion)
	case le.Uint64(b[16:]) != uint64(len(b)):
		return bad(16, "size %d, the file has %d", le.Uint64(b[16:]), len(b))
	case string(b[24:24+keySize]) != string(key[:]):
		return bad(24, "made from another table")
	case le.Uint32(b[12:]) != crc32.Checksum(b[16:], castagnoli):
		return bad(12, "checksum does not match")
	}
	x := index{b: b}
	for i := range x.sec {
		at := secTable + 8*i
		off, n := uint64(le.Uint32(b[at:])), uint64(le.Uint32(b[at+4:]))
		if end := off + n*uint64(recordSize[i]); off < headerSize || end > uint64(len(b)) {
			return bad(int64(at), "section %d ends at %#x, the index at %#x", i, end, len(b))
		}
		x.sec[i] = b[off : off+n*uint64(recordSize[i])]
	}
	for i := range x.count(secNodes) {
		if n := x.node(i); n.sub > uint32(i) {
			return bad(0, "node %d refers to node %d", i, n.sub-1)
		}
	}
	for i := range x.count(secTypes) {
		r := x.typeRecord(i)
		of := secFields
		if r.kind == recEnum {
			of = secEnums
		}
		if uint64(r.first)+uint64(r.count) > uint64(x.count(of)) {
			return bad(0, "type %d has members past the end", i)
		}
	}
	return x, nil
}

func (x *index) id() ID {
	return ID{
		GUID: x.str(le.Uint32(x.b[68:])), Age: le.Uint32(x.b[56:]),
		Database: x.str(le.Uint32(x.b[72:])), Machine: le.Uint32(x.b[60:]),
	}
}

func (x *index) pointerSize() int {
	if le.Uint32(x.b[64:]) == 4 {
		return 4
	}
	return 8
}

func (x *index) count(sec int) int { return len(x.sec[sec]) / recordSize[sec] }

// record returns the bytes of record i, zeros when there is no such record.
func (x *index) record(sec, i int) []byte {
	size := recordSize[sec]
	if i < 0 || i >= len(x.sec[sec])/size {
		return zeroRecord[:size]
	}
	return x.sec[sec][i*size : (i+1)*size]
}

var zeroRecord [32]byte

func (x *index) u32(sec, i int) uint32 { return le.Uint32(x.record(sec, i)) }

func (x *index) bytes(at uint32) []byte {
	b, _ := cutString(x.sec[secStrings], at)
	return b
}

func (x *index) str(at uint32) string { return string(x.bytes(at)) }

func (x *index) node(i int) node {
	r := x.record(secNodes, i)
	return node{
		tag: nodeTag(r[0]), kind: types.Kind(r[1]), bitPos: r[2], bitLen: r[3],
		name: le.Uint32(r[4:]), sub: le.Uint32(r[8:]), size: le.Uint64(r[16:]),
	}
}

func (x *index) typeRecord(i int) typeRecord {
	r := x.record(secTypes, i)
	return typeRecord{
		name: le.Uint32(r), kind: recordKind(r[4]), base: le.Uint32(r[8:]),
		first: le.Uint32(r[12:]), count: le.Uint32(r[16:]), size: le.Uint64(r[24:]),
	}
}

func (x *index) field(i int) fieldRecord {
	r := x.record(secFields, i)
	return fieldRecord{name: le.Uint32(r), node: le.Uint32(r[4:]), offset: le.Uint64(r[8:])}
}

func (x *index) enumerator(i int) enumRecord {
	r := x.record(secEnums, i)
	return enumRecord{name: le.Uint32(r), value: int64(le.Uint64(r[8:]))}
}

func (x *index) symbol(i int) symbolRecord {
	r := x.record(secSymbols, i)
	return symbolRecord{rva: le.Uint32(r), name: le.Uint32(r[4:]), raw: le.Uint32(r[8:]), node: le.Uint32(r[12:])}
}

// HashBucket returns the bucket of a PDB's hash of publics that a name falls
// into.
func HashBucket(name string) uint32 { return hashName([]byte(name)) % 4096 }
