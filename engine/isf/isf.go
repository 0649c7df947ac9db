// Package isf reads symbol tables in the intermediate symbol format (ISF) of
// Volatility 3: JSON with the types, enumerations and symbols of one Windows
// module, usually compressed with xz.
//
// The layout follows Volatility's published JSON schemas (formats 2.0 to 6.2)
// and tables made by its PDB converter. A table has no sections, no procedures,
// no arguments of functions, and its members are sorted by name.
//
// A table of ten megabytes is not parsed at every start: Open makes an index
// once, keeps it in the user's cache and maps it from then on; types and names
// are decoded as they are asked for. An index that does not fit its table, or
// is damaged, is made anew.
//
// A File is safe for concurrent use.
package isf

import (
	"fmt"
	"iter"
	"sync/atomic"

	"kdap/engine/types"
)

// A FormatError tells where a table or an index breaks the rules.
type FormatError struct {
	Record string // "ISF" for the JSON text, "ISF index" for the index
	Msg    string
	Off    int64 // in the uncompressed text, or in the index
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s at offset %#x: %s", e.Record, e.Off, e.Msg)
}

// An ID names the PDB a table was made from.
type ID struct {
	GUID     string // 32 upper-case hex digits
	Age      uint32
	Database string // file name of the PDB
	Machine  uint32 // IMAGE_FILE_MACHINE_…
}

// A Symbol is one named address.
type Symbol struct {
	Name string // as the table lists it: Volatility cuts one leading "_" or "@"
	Raw  string // as the linker has it
	RVA  uint32
}

// A File is an opened table.
type File struct {
	idx   index
	id    ID
	ptr   int
	types []atomic.Pointer[types.Type] // by type record
	nodes []atomic.Pointer[types.Type] // by node
	path  string
}

var _ types.Source = (*File)(nil)

// newFile makes a File of a checked index.
func newFile(idx index, path string) *File {
	return &File{
		idx:   idx,
		id:    idx.id(),
		ptr:   idx.pointerSize(),
		types: make([]atomic.Pointer[types.Type], idx.count(secTypes)),
		nodes: make([]atomic.Pointer[types.Type], idx.count(secNodes)),
		path:  path,
	}
}

// Path returns the file the table was opened from, "" for one in memory.
func (f *File) Path() string { return f.path }

// ID returns which PDB the table describes.
func (f *File) ID() ID { return f.id }

// PointerSize is 8 or 4.
func (f *File) PointerSize() int { return f.ptr }

// NumSymbols returns the number of symbols.
func (f *File) NumSymbols() int { return f.idx.count(secSymbols) }

// Symbol returns symbol i. They are sorted by RVA, then by the bytes of Raw,
// the order of a PDB's address map.
func (f *File) Symbol(i int) Symbol {
	s := f.idx.symbol(i)
	return Symbol{Name: f.idx.str(s.name), Raw: f.idx.str(s.raw), RVA: s.rva}
}

// RVA returns the address of symbol i without decoding its names.
func (f *File) RVA(i int) uint32 { return f.idx.symbol(i).rva }

// SymbolType returns the type of symbol i, nil when the table has none.
func (f *File) SymbolType(i int) *types.Type {
	s := f.idx.symbol(i)
	if s.node == 0 {
		return nil
	}
	return f.node(s.node - 1)
}

// Search returns the index of the first symbol whose RVA is rva or above;
// NumSymbols when there is none.
func (f *File) Search(rva uint32) int {
	lo, hi := 0, f.NumSymbols()
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if f.idx.symbol(mid).rva < rva {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// Lookup yields the indexes of the symbols whose Raw name is name, letters
// A to Z compared without case.
func (f *File) Lookup(name string) iter.Seq[int] {
	return func(yield func(int) bool) {
		n := f.idx.count(secSymNames)
		lo, hi := 0, n
		for lo < hi {
			mid := int(uint(lo+hi) >> 1)
			if compareFold(f.rawBytes(mid), name) < 0 {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		for ; lo < n && compareFold(f.rawBytes(lo), name) == 0; lo++ {
			if !yield(int(f.idx.u32(secSymNames, lo))) {
				return
			}
		}
	}
}

// HashOrder yields the indexes of the symbols in the order a PDB's hash table
// of publics has: by the bucket of the name. Within a bucket the names are
// sorted, for the order of the PDB is not in the table.
func (f *File) HashOrder() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range f.idx.count(secSymHash) {
			if !yield(int(f.idx.u32(secSymHash, i))) {
				return
			}
		}
	}
}

// rawBytes returns the raw name of the i-th symbol by name.
func (f *File) rawBytes(i int) []byte {
	return f.idx.bytes(f.idx.symbol(int(f.idx.u32(secSymNames, i))).raw)
}

// compareFold orders by bytes, with A to Z as a to z.
func compareFold[S, T ~string | ~[]byte](a S, b T) int {
	for i := range min(len(a), len(b)) {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
