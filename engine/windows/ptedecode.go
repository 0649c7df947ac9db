package windows

import (
	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
)

// A PTEKind says what an entry of a page table stands for.
type PTEKind uint8

// The kinds of entries.
const (
	PTEZero         PTEKind = iota
	PTEValid                // maps a page, or leads to a table
	PTETransition           // unmapped, but the page is still there
	PTEPrototype            // leads to a prototype PTE
	PTEVADPrototype         // leads to a prototype PTE that the VAD knows
	PTEPageFile             // the page was written to a page file
	PTEDemandZero           // the page would be made of zeros
)

// A PTE is an entry of a page table, taken apart.
type PTE struct {
	Kind  PTEKind
	Value uint64 // as memory holds it
	Plain uint64 // after undoing the mask of entries that are not valid

	PFN        uint64         // of valid entries and those in transition
	Large      bool           // a valid entry that maps a large page
	Protection PageProtection // of entries that are not valid
	Proto      uint64         // address of the prototype PTE
	PageFile   uint64         // number of the page file
	Offset     uint64         // in it, in pages
}

// DecodePTE takes an entry apart. level counts the tables below it: 0 for a PTE.
func (s *System) DecodePTE(value uint64, level int) PTE {
	e := PTE{Value: value, Plain: value}
	p := s.paging.Load()
	if p == nil || value == 0 {
		return e
	}
	o := p.Options()
	if value&pteValid != 0 {
		e.Kind, e.PFN = PTEValid, value&pteFrame>>memory.PageShift
		e.Large = level > 0 && level <= 2 && value&pteLarge != 0
		return e
	}
	if o.SwizzleBit.Get(value) == 0 {
		e.Plain ^= o.InvalidPteMask
	}
	e.Protection = PageProtection(o.Protection.Get(e.Plain))
	switch {
	case e.Plain&ptePrototype != 0:
		e.Kind, e.Proto = PTEPrototype, amd64.ProtoAddress(&o, e.Plain)
		if e.Proto == vadProto {
			e.Kind = PTEVADPrototype
		}
	case e.Plain&pteTransition != 0:
		e.Kind, e.PFN = PTETransition, o.TransitionPFN.Get(e.Plain)
	case o.PageFileHigh.Get(e.Plain) != 0:
		e.Kind, e.PageFile, e.Offset = PTEPageFile, o.PageFileLow.Get(e.Plain), o.PageFileHigh.Get(e.Plain)
	default:
		e.Kind, e.PageFile = PTEDemandZero, o.PageFileLow.Get(e.Plain)
	}
	return e
}

// vadProto stands for the prototype PTE that the VAD knows.
const vadProto = 0xffffffffffff0000

// A PTELevel is one entry on the way from the root of the page tables to a page.
type PTELevel struct {
	Level int    // tables below it: 3 or 4 at the root, 0 for the PTE
	VA    uint64 // where the kernel maps the entry, 0 if that is not known
	Phys  uint64
	PTE
}

// PTEWay returns the entries that lead to va in an address space, from the root
// down: as far as they can be followed, or to the large page. Err tells why the
// last is not the page's, when it is not.
func (s *System) PTEWay(space *memory.AddressSpace, va uint64) ([]PTELevel, error) {
	tables, _ := s.selfMap()
	t, err := space.Translate(va)
	var way []PTELevel
	for _, step := range t.Steps {
		level, ok := entryLevels[step.Level]
		if !ok {
			continue // a prototype PTE
		}
		l := PTELevel{Level: level, Phys: step.Addr, PTE: s.DecodePTE(step.Value, level)}
		l.VA = tables.entry(va, level)
		way = append(way, l)
	}
	return way, err
}

// entryLevels are the levels by the names that translations have for them.
var entryLevels = map[string]int{"PTE": 0, "PDE": 1, "PDPTE": 2, "PML4E": 3, "PML5E": 4}

// TableLevels returns how many levels the page tables have.
func (s *System) TableLevels() int {
	if p := s.paging.Load(); p != nil && p.Options().LA57 {
		return 5
	}
	return 4
}
