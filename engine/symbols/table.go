package symbols

import (
	"iter"
	"sort"
	"strings"
	"sync"

	"kdap/engine/isf"
	"kdap/engine/pdb"
	"kdap/engine/pe"
	"kdap/engine/types"
)

// A Rank is where a module's symbols come from; a higher one knows more.
type Rank uint8

// The ranks.
const (
	NoSymbols Rank = iota
	ExportSymbols
	ISFSymbols
	PublicPDB
	PrivatePDB
)

func (r Rank) String() string {
	return [...]string{"none", "exports", "isf", "pdb", "private pdb"}[min(r, PrivatePDB)]
}

// Options are the bits of .symopt that change what a table answers.
type Options uint32

// The bits, under the names that .symopt lists.
const (
	CaseInsensitive Options = 0x1
	Undname         Options = 0x2
	LoadLines       Options = 0x10
	LoadAnything    Options = 0x40
	ExactSymbols    Options = 0x400 // where only a PDB of another build was found, nothing stands in for it
	PublicsOnly     Options = 0x4000
	NoPublics       Options = 0x8000
	AutoPublics     Options = 0x10000

	// DefaultOptions is what the engine starts with.
	DefaultOptions Options = 0x30327
)

// A Kind is the sort of a symbol.
type Kind uint8

// The kinds of symbols.
const (
	PublicFunction Kind = iota
	PublicData
	PrivateFunction
	PrivateData
	ExportedSymbol
)

// IsPrivate reports symbols that come from a PDB's private part.
func (k Kind) IsPrivate() bool { return k == PrivateFunction || k == PrivateData }

// IsFunction reports code.
func (k Kind) IsFunction() bool { return k == PublicFunction || k == PrivateFunction }

// A Symbol is a named address of a module.
type Symbol struct {
	Name string // as debuggers show it
	Raw  string // as the file has it
	RVA  uint32
	Size uint32 // of private symbols; of exports the distance to the next; else 0
	Kind Kind

	typ func() *types.Type
}

// Type returns the type of a private symbol, else nil.
func (s Symbol) Type() *types.Type {
	if s.typ == nil {
		return nil
	}
	return s.typ()
}

// Outside is the displacement of the symbol that stands for an address in no
// part of the image that has symbols: WinDbg prints +0xffffffff`ffffffff for
// it, and marks the name with <PERF> elsewhere.
const Outside = ^uint64(0)

// A Section is a range of an image that symbols are not carried out of.
type Section struct {
	RVA, Size uint32
	Code      bool // marked as holding code: all publics in it are shown as functions
}

const scnCode = 0x20 // IMAGE_SCN_CNT_CODE

// mappedSize is how far a section reaches in memory: to the end of its last
// page, whose rest debuggers count to the section too.
func mappedSize(virtual, raw uint32) uint32 {
	const page = 0x1000
	return uint32(min((uint64(max(virtual, raw))+page-1)&^(page-1), 1<<32-page))
}

// SectionsOf returns the sections of an image.
func SectionsOf(im *pe.Image) []Section {
	if im == nil {
		return nil
	}
	var out []Section
	for _, s := range im.Sections {
		out = append(out, Section{s.VirtualAddress, mappedSize(s.VirtualSize, s.SizeOfRawData), s.Characteristics&scnCode != 0})
	}
	return out
}

// A Table answers for the symbols of one module. The zero Table has none.
type Table struct {
	Rank      Rank
	File      string // the PDB or ISF table; "" for exports
	Unmatched bool   // the file belongs to another build

	opts     Options
	b        backend
	pdb      *pdb.File
	types    types.Source
	near     nearCache
	decNames func() map[string][]string
}

// A backend is one kind of symbol file. Addresses are relative to the image.
type backend interface {
	// nearest returns the symbol at or below rva in the same section.
	nearest(rva uint32) (Symbol, bool)
	// outside returns the symbol that stands for an address without one.
	outside(rva uint32) (Symbol, bool)
	next(rva uint32) (Symbol, bool)
	at(rva uint32) []Symbol
	// lookup yields the symbols with this name as stored; fold: without case.
	lookup(raw string, fold bool) iter.Seq[Symbol]
	all() iter.Seq[Symbol]
	// rawNames yields the names of publics that begin with "?".
	decorated() iter.Seq[string]
}

// NewTable makes the table of a symbol file that was found. The sections of the
// image are asked for only where the file has none.
func NewTable(f Found, sections func() []Section, opts Options) *Table {
	switch {
	case f.PDB != nil:
		t := &Table{Rank: PublicPDB, File: f.File, Unmatched: f.Unmatched, opts: opts, pdb: f.PDB, types: f.PDB}
		if f.PDB.HasPrivate() {
			t.Rank = PrivatePDB
		}
		t.b = &pdbTable{
			f: f.PDB, opts: opts, privates: t.Rank == PrivatePDB && opts&PublicsOnly == 0,
			sections: sync.OnceValue(func() []Section { return sectionsOf(f.PDB) }),
		}
		return t.init()
	case f.ISF != nil:
		return newISFTable(f.ISF, f.File, sections, opts)
	}
	return (&Table{opts: opts}).init()
}

func newISFTable(f *isf.File, file string, sections func() []Section, opts Options) *Table {
	if sections == nil {
		sections = func() []Section { return nil }
	}
	t := &Table{Rank: ISFSymbols, File: file, opts: opts, types: f}
	t.b = &isfTable{f, sync.OnceValue(func() []Section { return sortSections(sections()) }), opts}
	return t.init()
}

// NewExportTable makes the table of a module that has nothing but its export
// table. Without a readable one it is a table without symbols.
func NewExportTable(im *pe.Image, opts Options) *Table {
	t := &Table{opts: opts}
	if im == nil {
		return t.init()
	}
	if ex, _ := im.Exports(); ex != nil && len(ex.Exports) > 0 {
		t.Rank = ExportSymbols
		t.b = newExportTable(ex, sortSections(SectionsOf(im)), im.SizeOfImage, opts)
	}
	return t.init()
}

func (t *Table) init() *Table {
	t.decNames = sync.OnceValue(func() map[string][]string {
		m := map[string][]string{}
		if t.b != nil {
			for raw := range t.b.decorated() {
				name := strings.ToLower(DisplayName(raw))
				m[name] = append(m[name], raw)
			}
		}
		return m
	})
	return t
}

func sortSections(s []Section) []Section {
	sort.SliceStable(s, func(i, j int) bool { return s[i].RVA < s[j].RVA })
	return s
}

// Options returns the options the table was made with.
func (t *Table) Options() Options { return t.opts }

// PDB returns the PDB, nil when the symbols come from elsewhere.
func (t *Table) PDB() *pdb.File { return t.pdb }

// Types returns the types of the module, nil when it has none.
func (t *Table) Types() types.Source { return t.types }

// Type returns the aggregate or enum of this name, without case when the
// options say so; the exact name is preferred.
func (t *Table) Type(name string) (*types.Type, bool) {
	if t.types == nil {
		return nil, false
	}
	if f, ok := t.types.(interface {
		TypeFold(name string) (*types.Type, bool)
	}); ok && t.opts&CaseInsensitive != 0 {
		return f.TypeFold(name)
	}
	return t.types.Type(name)
}

// Constant returns the value and type of a named constant, as enumerators that
// the program uses are.
func (t *Table) Constant(name string) (value uint64, typ *types.Type, ok bool) {
	if t.pdb == nil {
		return 0, nil, false
	}
	for g := range t.pdb.LookupGlobals(name) {
		if (g.Kind == pdb.SConstant || g.Kind == pdb.SManConstant) && (g.Name == name || t.opts&CaseInsensitive != 0) {
			return g.Value, t.pdb.TypeByIndex(g.TI), true
		}
	}
	return 0, nil, false
}

// HasLines reports whether there are source lines.
func (t *Table) HasLines() bool { return t.pdb != nil && t.pdb.HasLines() }

// Nearest returns the symbol at or below an address and the distance to it.
// A symbol is not carried over the end of a section; for an address in no
// section that has one below, the distance is Outside. It fails when the module
// has no symbols at all.
func (t *Table) Nearest(rva uint32) (Symbol, uint64, bool) {
	if t.b == nil {
		return Symbol{}, 0, false
	}
	if n, ok := t.near.get(rva); ok {
		return n.sym, n.disp, n.ok
	}
	n := near{ok: true}
	if n.sym, n.ok = t.b.nearest(rva); n.ok {
		n.disp = uint64(rva - n.sym.RVA)
	} else {
		n.sym, n.ok = t.b.outside(rva)
		n.disp = Outside
	}
	t.near.put(rva, n)
	return n.sym, n.disp, n.ok
}

// near is an answer of Nearest; stacks ask for the same addresses many times.
type near struct {
	sym  Symbol
	disp uint64
	ok   bool
}

// maxNear bounds the answers that are kept.
const maxNear = 8192

type nearCache struct {
	mu sync.RWMutex
	m  map[uint32]near
}

func (c *nearCache) get(rva uint32) (near, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n, ok := c.m[rva]
	return n, ok
}

func (c *nearCache) put(rva uint32, n near) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= maxNear {
		c.m = map[uint32]near{}
	}
	c.m[rva] = n
}

// Next returns the first symbol above an address.
func (t *Table) Next(rva uint32) (Symbol, bool) {
	if t.b == nil {
		return Symbol{}, false
	}
	return t.b.next(rva)
}

// At returns all symbols at an address, in the order that ln lists them. With
// AutoPublics the publics of a file with private symbols are left out.
func (t *Table) At(rva uint32) []Symbol {
	if t.b == nil {
		return nil
	}
	return t.b.at(rva)
}

// Lookup returns the symbol of a name as debuggers show it. Names as the file
// has them are taken too.
func (t *Table) Lookup(name string) (Symbol, bool) {
	if t.b == nil || name == "" {
		return Symbol{}, false
	}
	fold := t.opts&CaseInsensitive != 0
	var public Symbol
	found := false
	for _, raw := range rawCandidates(name) {
		var private Symbol
		for s := range t.b.lookup(raw, fold) {
			switch {
			case s.Kind.IsPrivate() && raw != name: // private names are whole
			case s.Kind.IsPrivate() && s.Raw == name:
				return s, true
			case s.Kind.IsPrivate():
				if private.Raw == "" {
					private = s
				}
			case !found || s.Raw == raw && public.Raw != raw && strings.EqualFold(s.Raw, public.Raw):
				public, found = s, true
			}
		}
		if private.Raw != "" {
			return private, true
		}
	}
	if found {
		return public, true
	}
	for _, raw := range t.decNames()[strings.ToLower(name)] {
		if !fold && DisplayName(raw) != name {
			continue
		}
		for s := range t.b.lookup(raw, false) {
			return s, true
		}
	}
	return Symbol{}, false
}

// All yields the symbols in the order of x: private data, private functions,
// publics, each in the order of the file's hash. Publics that a private symbol
// stands for, and string literals without a scope, are left out.
func (t *Table) All() iter.Seq[Symbol] {
	if t.b == nil {
		return func(func(Symbol) bool) {}
	}
	return t.b.all()
}

// Line returns the source line of an address.
func (t *Table) Line(rva uint32) (pdb.Line, bool) {
	if t.pdb == nil {
		return pdb.Line{}, false
	}
	return t.pdb.LineAt(rva)
}

// Proc returns the procedure that covers an address, with its locals.
func (t *Table) Proc(rva uint32) (*pdb.Proc, bool) {
	if t.pdb == nil {
		return nil, false
	}
	return t.pdb.ProcAt(rva)
}

// Close releases the symbol file. The table must not be used afterwards.
func (t *Table) Close() error {
	if t.pdb == nil {
		return nil
	}
	return t.pdb.Close()
}
