// Package types is the model of C types as debuggers see them, and of typed
// objects in the memory of a dump.
//
// Types come from a Source: a PDB's type stream or an ISF table. They are lazy:
// a *Type knows its kind, name and size at once; members, element types and
// enumerators are decoded on first use and then shared. All of it is safe for
// concurrent use.
package types

import (
	"iter"
	"sync"
)

// A Kind is the sort of a type.
type Kind uint8

// The kinds of types.
const (
	Void Kind = iota
	Bool
	Char    // signed or plain char, displayed as a character too
	UChar   // unsigned char
	WChar   // wchar_t, UTF-16 unit
	Int     // signed integer of Size bytes
	Uint    // unsigned integer of Size bytes
	Float   // IEEE float of Size bytes (4, 8, 10)
	HResult // 32-bit HRESULT
	Pointer // Elem is the target
	Array   // Elem, Count
	Struct
	Class
	Union
	Enum     // Elem is the underlying integer
	Function // Elem is the return type, Params the arguments
	BitField // Elem is the storage type; BitPos and BitLen
	Unknown  // a type the file does not describe
)

// IsAggregate reports whether types of this kind have members.
func (k Kind) IsAggregate() bool { return k == Struct || k == Class || k == Union }

// A Type is one C type. The exported fields never change once it was handed out.
type Type struct {
	Kind Kind
	Name string // as the symbol file has it: "_EPROCESS", "unsigned long"; "" for pointers, arrays, functions
	Size uint64 // bytes; 0 for void, functions and incomplete types

	Count           uint64 // Array: number of elements
	BitPos, BitLen  uint8  // BitField
	Forward         bool   // an aggregate or enum that is declared only
	Const, Volatile bool
	Reference       bool   // Pointer: a C++ reference
	MemberCount     int    // aggregates and enums: as the record claims ("120 elements"); -1 when unknown
	UniqueName      string // decorated name, where the file has one

	// ID identifies the type in its source (a type index); 0 when there is none.
	ID uint32

	once sync.Once
	fill func(*Lazy)
	lazy Lazy
}

// Lazy is what a type decodes on first use.
type Lazy struct {
	Elem        *Type
	Fields      []Field
	Enumerators []Enumerator
	Params      []*Type
	Variadic    bool
	CallConv    uint8 // Function: CodeView calling convention
	Class       *Type // member functions: the class
}

// A Field is a member of an aggregate, in the order of the symbol file.
// Members of unnamed unions and structs are listed flat, so offsets may step back.
type Field struct {
	Name   string
	Offset uint64 // bytes from the start of the aggregate
	Type   *Type  // a BitField type for bit fields
	Base   bool   // a base class rather than a member
	Static bool   // a static member: it has no offset
}

// An Enumerator is one name of an enum.
type Enumerator struct {
	Name  string
	Value int64
}

// NewLazy gives t a function that fills its lazy part on first use. It is for
// sources of types and must be called before t is handed out.
func (t *Type) NewLazy(fill func(*Lazy)) *Type {
	t.fill = fill
	return t
}

func (t *Type) load() *Lazy {
	t.once.Do(func() {
		if t.fill != nil {
			t.fill(&t.lazy)
			t.fill = nil
		}
	})
	return &t.lazy
}

// Elem returns the target of a pointer, the element of an array, the
// underlying type of an enum, the storage of a bit field or the return type of
// a function; nil for other kinds.
func (t *Type) Elem() *Type { return t.load().Elem }

// Fields returns the members of an aggregate.
func (t *Type) Fields() []Field { return t.load().Fields }

// Enumerators returns the names of an enum, in the order of the symbol file.
func (t *Type) Enumerators() []Enumerator { return t.load().Enumerators }

// Func returns the lazy part of a function type: its parameters and
// calling convention.
func (t *Type) Func() *Lazy { return t.load() }

// maxBases bounds how deep Field looks into base classes: a damaged symbol
// file may make a class its own ancestor.
const maxBases = 16

// Field returns the member with this exact name, looking into base classes as
// well, or nil.
func (t *Type) Field(name string) *Field { return t.field(name, maxBases) }

func (t *Type) field(name string, depth int) *Field {
	fields := t.Fields()
	for i := range fields {
		if fields[i].Name == name && !fields[i].Static && !fields[i].Base {
			return &fields[i]
		}
	}
	for i := range fields {
		if !fields[i].Base || fields[i].Type == nil || depth == 0 {
			continue
		}
		if f := fields[i].Type.field(name, depth-1); f != nil {
			inherited := *f
			inherited.Offset += fields[i].Offset
			return &inherited
		}
	}
	return nil
}

// Has reports whether the aggregate has a member of this name.
func (t *Type) Has(name string) bool { return t.Field(name) != nil }

// A Source is a set of named types: one module's symbol file.
type Source interface {
	// Type returns the aggregate or enum of this name, its full definition when
	// the file has one. Names are matched exactly.
	Type(name string) (*Type, bool)
	// Types yields the named types in the order of the file, forward references too.
	Types() iter.Seq[*Type]
	// PointerSize is 8 or 4.
	PointerSize() int
}
