package isf

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"kdap/engine/types"
)

// Limits of what a table may claim. The largest real ones hold some 100,000
// symbols and 10,000 types.
const (
	maxSize  = 1 << 40 // bytes of one type
	maxCount = 1 << 31 // elements of one array
)

// A table is the parsed form an index is written from.
type table struct {
	id      ID
	ptr     int
	strings map[string]uint32
	blob    []byte
	nodes   []node
	seen    map[node]uint32
	bases   map[string]node // by name
	types   []typeRecord
	fields  []fieldRecord
	enums   []enumRecord
	symbols []symbolRecord
}

// parse reads the JSON text of a table.
func parse(text []byte) (*table, error) {
	t := &table{
		ptr:     8,
		strings: map[string]uint32{},
		seen:    map[node]uint32{},
		bases:   map[string]node{},
	}
	s := &scanner{b: text}
	// base_types may follow the types that use them, so it is read first.
	s.object(func(key string) {
		if key == "base_types" {
			t.baseTypes(s)
		} else {
			s.skip()
		}
	})
	if s.peek() != 0 {
		s.fail("text after the table")
	}
	if s.err != nil {
		return nil, s.err
	}
	s.off = 0
	var enums []func() // enums go behind the aggregates
	s.object(func(key string) {
		switch key {
		case "user_types":
			t.userTypes(s)
		case "enums":
			at := *s
			s.skip()
			enums = append(enums, func() { at.err = nil; t.enumTypes(&at); s.err = cmp.Or(s.err, at.err) })
		case "symbols":
			t.symbolList(s)
		case "metadata":
			t.metadata(s)
		default:
			s.skip()
		}
	})
	for _, read := range enums {
		read()
	}
	if s.err != nil {
		return nil, s.err
	}
	if len(t.types) == 0 && len(t.symbols) == 0 {
		return nil, &FormatError{Record: "ISF", Msg: "neither user_types nor symbols: not a symbol table"}
	}
	return t, nil
}

// intern stores text once and returns its place in the blob.
func (t *table) intern(text string) uint32 {
	if at, ok := t.strings[text]; ok {
		return at
	}
	at := uint32(len(t.blob))
	t.blob = appendString(t.blob, text)
	t.strings[text] = at
	return at
}

// add stores a node once and returns its index.
func (t *table) add(n node) uint32 {
	if i, ok := t.seen[n]; ok {
		return i
	}
	i := uint32(len(t.nodes))
	t.nodes = append(t.nodes, n)
	t.seen[n] = i
	return i
}

// baseNames gives Volatility's names of base types the spelling of PDB readers.
var baseNames = map[string]string{
	"f16": "__half", "f32": "float", "f48": "float48", "f80": "long double", "f128": "__float128",
	"wchar": "wchar_t", "rchar16": "char16_t", "rchar32": "char32_t",
	"int8": "signed char", "uint8": "unsigned char",
	"long long": "__int64", "unsigned long long": "unsigned __int64",
	"int128": "__int128", "uint128": "unsigned __int128",
}

func (t *table) baseTypes(s *scanner) {
	s.object(func(name string) {
		var kind string
		n := node{tag: tagBase}
		signed := true
		s.object(func(key string) {
			switch key {
			case "kind":
				kind = s.str()
			case "size":
				n.size = s.unsigned(maxSize)
			case "signed":
				signed = s.boolean()
			default:
				s.skip()
			}
		})
		if name == "pointer" {
			if n.size == 4 {
				t.ptr = 4
			}
			signed = false
		}
		n.kind = baseKind(name, kind, signed)
		spelled, ok := baseNames[name]
		if !ok {
			spelled = name
		}
		n.name = t.intern(spelled)
		t.bases[name] = n
	})
}

func baseKind(name, kind string, signed bool) types.Kind {
	switch {
	case kind == "void":
		return types.Void
	case kind == "bool":
		return types.Bool
	case kind == "float":
		return types.Float
	case name == "wchar", name == "wchar_t", name == "rchar16":
		return types.WChar
	case name == "HRESULT":
		return types.HResult
	case kind == "char" && signed, name == "int8":
		return types.Char
	case kind == "char", name == "uint8":
		return types.UChar
	case kind == "int" && signed:
		return types.Int
	case kind == "int":
		return types.Uint
	}
	return types.Unknown
}

func (t *table) metadata(s *scanner) {
	s.object(func(key string) {
		if key != "windows" {
			s.skip()
			return
		}
		s.object(func(key string) {
			if key != "pdb" {
				s.skip()
				return
			}
			s.object(func(key string) {
				switch key {
				case "GUID":
					t.id.GUID = strings.ToUpper(s.str())
				case "age":
					t.id.Age = uint32(s.unsigned(math.MaxUint32))
				case "database":
					t.id.Database = s.str()
				case "machine_type":
					t.id.Machine = uint32(s.unsigned(math.MaxUint32))
				default:
					s.skip()
				}
			})
		})
	})
}

func (t *table) userTypes(s *scanner) {
	s.object(func(name string) {
		rec := typeRecord{name: t.intern(name), kind: recStruct}
		var fields []fieldRecord
		var names []string
		s.object(func(key string) {
			switch key {
			case "kind":
				switch s.str() {
				case "union":
					rec.kind = recUnion
				case "class":
					rec.kind = recClass
				}
			case "size":
				rec.size = s.unsigned(maxSize)
			case "fields":
				s.object(func(name string) {
					f := fieldRecord{name: t.intern(name)}
					s.object(func(key string) {
						switch key {
						case "offset":
							f.offset = s.unsigned(maxSize)
						case "type":
							f.node = t.typeNode(s)
						default:
							s.skip()
						}
					})
					names = append(names, name)
					fields = append(fields, f)
				})
			default:
				s.skip()
			}
		})
		if len(names) > 1 && slices.IsSorted(names) {
			t.sortByOffset(fields)
		}
		rec.first, rec.count = uint32(len(t.fields)), uint32(len(fields))
		t.fields = append(t.fields, fields...)
		t.types = append(t.types, rec)
	})
}

// sortByOffset orders members whose order in the table is only that of their
// names and says nothing. Of members at one offset the smaller bit comes first,
// then the larger type, as a union's whole is usually declared before its parts.
func (t *table) sortByOffset(fields []fieldRecord) {
	slices.SortStableFunc(fields, func(a, b fieldRecord) int {
		return cmp.Or(
			cmp.Compare(a.offset, b.offset),
			cmp.Compare(t.nodes[a.node].bitPos, t.nodes[b.node].bitPos),
			cmp.Compare(t.nodes[a.node].bitLen, t.nodes[b.node].bitLen),
		)
	})
}

func (t *table) enumTypes(s *scanner) {
	s.object(func(name string) {
		rec := typeRecord{name: t.intern(name), kind: recEnum, first: uint32(len(t.enums))}
		s.object(func(key string) {
			switch key {
			case "base":
				rec.base = t.base(s.str())
			case "size":
				rec.size = s.unsigned(maxSize)
			case "constants":
				var names []string
				s.object(func(name string) {
					names = append(names, name)
					t.enums = append(t.enums, enumRecord{t.intern(name), s.integer()})
				})
				if slices.IsSorted(names) {
					slices.SortStableFunc(t.enums[rec.first:], func(a, b enumRecord) int {
						return cmp.Compare(a.value, b.value)
					})
				}
			default:
				s.skip()
			}
		})
		rec.count = uint32(len(t.enums)) - rec.first
		t.types = append(t.types, rec)
	})
}

func (t *table) base(name string) uint32 {
	if n, ok := t.bases[name]; ok {
		return t.add(n)
	}
	return t.add(node{tag: tagUnknown, name: t.intern(name)})
}

// typeNode reads a type description. The nodes it is made of come before it in
// the index, so following them always ends.
func (t *table) typeNode(s *scanner) uint32 {
	var kind, name string
	var sub uint32 // index + 1
	var n node
	s.object(func(key string) {
		switch key {
		case "kind":
			kind = s.str()
		case "name":
			name = s.str()
		case "subtype", "type":
			if s.peek() == 'n' {
				s.word("null")
				return
			}
			sub = t.typeNode(s) + 1
		case "count":
			n.size = s.unsigned(maxCount)
		case "bit_position":
			n.bitPos = uint8(s.unsigned(255))
		case "bit_length":
			n.bitLen = uint8(s.unsigned(255))
		default:
			s.skip()
		}
	})
	switch kind {
	case "base":
		return t.base(name)
	case "struct":
		return t.add(node{tag: tagRef, kind: types.Kind(recStruct), name: t.intern(name)})
	case "union":
		return t.add(node{tag: tagRef, kind: types.Kind(recUnion), name: t.intern(name)})
	case "class":
		return t.add(node{tag: tagRef, kind: types.Kind(recClass), name: t.intern(name)})
	case "enum":
		return t.add(node{tag: tagRef, kind: types.Kind(recEnum), name: t.intern(name)})
	case "pointer":
		return t.add(node{tag: tagPointer, sub: sub})
	case "array":
		return t.add(node{tag: tagArray, sub: sub, size: n.size})
	case "bitfield":
		return t.add(node{tag: tagBits, sub: sub, bitPos: n.bitPos, bitLen: n.bitLen})
	case "function":
		return t.add(node{tag: tagFunction})
	}
	return t.add(node{tag: tagUnknown, name: t.intern(cmp.Or(name, kind))})
}

func (t *table) symbolList(s *scanner) {
	s.object(func(name string) {
		raw, address := name, int64(-1)
		var sym symbolRecord
		s.object(func(key string) {
			switch key {
			case "address":
				address = s.integer()
			case "linkage_name":
				raw = s.str()
			case "type":
				sym.node = t.typeNode(s) + 1
			default:
				s.skip()
			}
		})
		if address < 0 || address > math.MaxUint32 {
			return // an absolute symbol: no place in an image
		}
		sym.rva, sym.name, sym.raw = uint32(address), t.intern(name), t.intern(raw)
		t.symbols = append(t.symbols, sym)
	})
}
