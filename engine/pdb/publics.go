package pdb

import (
	"fmt"
	"iter"
	"sort"
)

// Kinds of symbol records.
const (
	SEnd          = 0x0006
	SObjName      = 0x1101
	SThunk32      = 0x1102
	SBlock32      = 0x1103
	SWith32       = 0x1104
	SLabel32      = 0x1105
	SRegister     = 0x1106
	SConstant     = 0x1107
	SUDT          = 0x1108
	SBPRel32      = 0x110b
	SLData32      = 0x110c
	SGData32      = 0x110d
	SPub32        = 0x110e
	SLProc32      = 0x110f
	SGProc32      = 0x1110
	SRegRel32     = 0x1111
	SLThread32    = 0x1112
	SGThread32    = 0x1113
	SCompile2     = 0x1116
	SLManData     = 0x111c
	SGManData     = 0x111d
	SProcRef      = 0x1125
	SDataRef      = 0x1126
	SLProcRef     = 0x1127
	SAnnotation   = 0x1019
	SFrameProc    = 0x1012
	SManConstant  = 0x112d
	SSepCode      = 0x1132
	SSection      = 0x1136
	SCoffGroup    = 0x1137
	SExport       = 0x1138
	SCallSiteInfo = 0x1139
	SFrameCookie  = 0x113a
	SCompile3     = 0x113c
	SEnvBlock     = 0x113d
	SLocal        = 0x113e
	SDefRange     = 0x113f
	SDefRangeSub  = 0x1140
	SDefRangeReg  = 0x1141
	SDefRangeFP   = 0x1142 // relative to the frame pointer
	SDefRangeSReg = 0x1143 // part of a variable, in a register
	SDefRangeFull = 0x1144 // relative to the frame pointer, in the whole function
	SDefRangeRel  = 0x1145 // relative to a register
	SLProc32ID    = 0x1146
	SGProc32ID    = 0x1147
	SBuildInfo    = 0x114c
	SInlineSite   = 0x114d
	SInlineEnd    = 0x114e
	SProcIDEnd    = 0x114f
	SFileStatic   = 0x1153
	SLProc32DPC   = 0x1155
	SLProc32DPCID = 0x1156
	SCallees      = 0x115a
	SCallers      = 0x115b
	SInlineSite2  = 0x115d
	SHeapAlloc    = 0x115e
)

// Flags of public symbols.
const (
	PubCode     = 1
	PubFunction = 2
	PubManaged  = 4
	PubMSIL     = 8
)

// A Symbol is a public or global symbol.
type Symbol struct {
	Name   string
	Kind   uint16 // SPub32, SGData32, …
	Flags  uint32 // of publics: PubCode, PubFunction
	Seg    uint16
	Off    uint32
	RVA    uint32 // 0 when NoRVA
	NoRVA  bool   // a constant, a type, an absolute symbol
	TI     uint32 // type index, 0 when there is none
	Value  uint64 // SConstant: the value, sign-extended
	Size   uint32 // procedures: bytes of code, once resolved
	Module uint16 // SProcRef, SLProcRef, SDataRef: the module, from 1
	RecOff uint32 // SProcRef…: offset of the record in the module's stream
}

// IsFunction reports whether the symbol is code that can be called.
func (s *Symbol) IsFunction() bool {
	switch s.Kind {
	case SPub32:
		return s.Flags&(PubCode|PubFunction) != 0
	case SProcRef, SLProcRef, SGProc32, SLProc32, SGProc32ID, SLProc32ID:
		return true
	}
	return false
}

// addressMap is the table of publics ordered by section, offset, name.
type addressMap struct {
	s   *stream
	off uint32
	n   uint32
}

const publicsHeaderLen = 28

func (f *File) initSymbols() {
	f.symrecs = f.m.stream(f.dbi.symrecs, "symbol record stream")
	gs := f.m.stream(f.dbi.globals, "globals stream")
	f.globals.init(gs, 0, gs.len())
	ps := f.m.stream(f.dbi.publics, "publics stream")
	if ps.len() == 0 {
		f.publics.init(ps, 0, 0)
		return
	}
	d := ps.decoder("publics stream", 0, min(ps.len(), publicsHeaderLen))
	hash, addrs := d.u32(), d.u32()
	if d.err != nil || ps.len() < publicsHeaderLen || hash > ps.len()-publicsHeaderLen {
		f.publics.init(ps, 0, 0)
		f.publics.err = &FormatError{"publics stream", 0, fmt.Sprintf("hash of %d bytes in a stream of %d", hash, ps.len())}
		return
	}
	f.publics.init(ps, publicsHeaderLen, hash)
	at := publicsHeaderLen + hash
	f.addrMap = addressMap{ps, at, min(addrs, ps.len()-at) / 4}
}

// CheckSymbols returns what is wrong with the symbol hashes, if anything.
func (f *File) CheckSymbols() error {
	if f.publics.err != nil {
		return fmt.Errorf("publics: %w", f.publics.err)
	}
	if f.globals.err != nil {
		return fmt.Errorf("globals: %w", f.globals.err)
	}
	return nil
}

// rawPublic decodes the public symbol at an offset of the symbol records. The
// name stays in the file's memory.
func (f *File) rawPublic(off uint32) (flags, symOff uint32, seg uint16, name []byte, ok bool) {
	kind, b, _, err := f.symrecs.recordAt(off)
	if err != nil || kind != SPub32 {
		return
	}
	d := decoder{b: b}
	flags, symOff, seg, name = d.u32(), d.u32(), d.u16(), d.rawz()
	return flags, symOff, seg, name, d.err == nil
}

func (f *File) publicAt(off uint32) (Symbol, bool) {
	flags, symOff, seg, name, ok := f.rawPublic(off)
	if !ok {
		return Symbol{}, false
	}
	s := Symbol{Name: string(name), Kind: SPub32, Flags: flags, Seg: seg, Off: symOff}
	f.locate(&s)
	return s, true
}

func (f *File) locate(s *Symbol) {
	rva, ok := f.RVA(s.Seg, s.Off)
	s.RVA, s.NoRVA = rva, !ok
}

// PublicCount returns the number of public symbols the file claims.
func (f *File) PublicCount() int { return int(f.publics.count()) }

// GlobalCount returns the number of global symbols the file claims.
func (f *File) GlobalCount() int { return int(f.globals.count()) }

// Publics yields the public symbols in the order of their hash, bucket by
// bucket as stored.
func (f *File) Publics() iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		f.publics.offsets(0, f.publics.count(), func(off uint32) bool {
			s, ok := f.publicAt(off)
			return !ok || yield(s)
		})
	}
}

// LookupPublic finds a public symbol by its name as stored.
func (f *File) LookupPublic(name string) (Symbol, bool) {
	return f.lookupPublic(name, equal)
}

// LookupPublicFold finds a public symbol by name without case; the exact name
// is preferred.
func (f *File) LookupPublicFold(name string) (Symbol, bool) {
	if s, ok := f.LookupPublic(name); ok {
		return s, true
	}
	return f.lookupPublic(name, equalFold)
}

func (f *File) lookupPublic(name string, match func([]byte, string) bool) (found Symbol, ok bool) {
	look := func(off uint32) bool {
		if _, _, _, n, good := f.rawPublic(off); good && match(n, name) {
			found, ok = f.publicAt(off)
		}
		return !ok
	}
	from, to := f.publics.bucket(name)
	f.publics.offsets(from, to, look)
	// LLD hashes names of eight bytes together with what lies behind them in
	// the object file, where they have no NUL: they may be in any bucket.
	if n := f.publics.count(); !ok && len(name) == 8 && to-from < n {
		f.publics.offsets(0, n, look)
	}
	return found, ok
}

// at returns the symbol record offset of entry i, and where that symbol lies.
func (f *File) addrEntry(i int) (off uint32, key uint64, ok bool) {
	off, err := f.addrMap.s.u32(f.addrMap.off + uint32(i)*4)
	if err != nil {
		return 0, 0, false
	}
	_, symOff, seg, _, ok := f.rawPublic(off)
	return off, segOff(seg, symOff), ok
}

// addrSearch returns the first entry of the address map that lies above key.
func (f *File) addrSearch(key uint64) int {
	return sort.Search(int(f.addrMap.n), func(i int) bool {
		_, k, ok := f.addrEntry(i)
		return ok && k > key
	})
}

// NearestPublic returns the public symbol at or below an address, in the same
// section. Of several at that address it is the first in the file's address
// map, which is the name that debuggers show.
func (f *File) NearestPublic(rva uint32) (Symbol, bool) {
	seg, off, ok := f.SegOff(rva)
	if !ok {
		return Symbol{}, false
	}
	at := segOff(seg, off)
	i := f.addrSearch(at) - 1
	if i < 0 {
		return Symbol{}, false
	}
	rec, key, ok := f.addrEntry(i)
	if !ok || uint16(key>>32) != seg || key > at { // the last only in a map out of order
		return Symbol{}, false
	}
	// Step to the first entry of that address; a search, as a hostile file may
	// have all symbols there.
	first := f.addrSearch(key - 1)
	if r, k, good := f.addrEntry(first); good && k == key {
		rec = r
	}
	return f.publicAt(rec)
}

// NearestPublicAnywhere is NearestPublic without the limit of the section:
// what debuggers fall back to for an address in a section without symbols
// below it. In front of all symbols it is the first.
func (f *File) NearestPublicAnywhere(rva uint32) (Symbol, bool) {
	key, ok := f.keyOf(rva)
	if !ok || f.addrMap.n == 0 {
		return Symbol{}, false
	}
	i := max(f.addrSearch(key)-1, 0)
	rec, key, ok := f.addrEntry(i)
	if !ok {
		return Symbol{}, false
	}
	if r, k, good := f.addrEntry(f.addrSearch(key - 1)); good && k == key {
		rec = r
	}
	return f.publicAt(rec)
}

// NextPublic returns the first public symbol above an address, in this or a
// later section.
func (f *File) NextPublic(rva uint32) (Symbol, bool) {
	key, ok := f.keyOf(rva)
	if !ok {
		return Symbol{}, false
	}
	for i := f.addrSearch(key); i < int(f.addrMap.n); i++ {
		rec, _, ok := f.addrEntry(i)
		if !ok {
			continue
		}
		if s, ok := f.publicAt(rec); ok && !s.NoRVA {
			return s, true
		}
	}
	return Symbol{}, false
}

// keyOf is SegOff for addresses between sections too: they count as the end
// of the section below.
func (f *File) keyOf(rva uint32) (uint64, bool) {
	if seg, off, ok := f.SegOff(rva); ok {
		return segOff(seg, off), true
	}
	rva, ok := omapLookup(f.omapTo(), rva)
	if !ok {
		return 0, false
	}
	best, seg := uint32(0), 0
	for i, s := range f.symbolSections() {
		if s.RVA <= rva && s.RVA >= best {
			best, seg = s.RVA, i+1
		}
	}
	if seg == 0 {
		return 0, true
	}
	return segOff(uint16(seg), rva-best), true
}

// PublicsAt returns all public symbols at an address, in the order of the
// publics hash.
func (f *File) PublicsAt(rva uint32) []Symbol {
	seg, off, ok := f.SegOff(rva)
	if !ok {
		return nil
	}
	key := segOff(seg, off)
	type hit struct {
		bucket uint32
		pos    uint32
		sym    Symbol
	}
	var hits []hit
	for i := f.addrSearch(key - 1); i < int(f.addrMap.n); i++ {
		rec, k, ok := f.addrEntry(i)
		if !ok || k != key {
			break
		}
		if s, ok := f.publicAt(rec); ok {
			hits = append(hits, hit{f.publicPos(rec, s.Name), uint32(i), s})
		}
	}
	sort.SliceStable(hits, func(i, j int) bool { return hits[i].bucket < hits[j].bucket })
	out := make([]Symbol, len(hits))
	for i := range hits {
		out[i] = hits[i].sym
	}
	return out
}

// publicPos returns the position of a symbol record among the hash records.
func (f *File) publicPos(rec uint32, name string) uint32 {
	from, to := f.publics.bucket(name)
	pos, found := from, false
	look := func(off uint32) bool {
		if found = off == rec; !found {
			pos++
		}
		return !found
	}
	f.publics.offsets(from, to, look)
	if !found { // in another bucket, see lookupPublic
		pos = 0
		f.publics.offsets(0, f.publics.count(), look)
	}
	return pos
}

// PublicsByAddress yields the public symbols in the order of the file's
// address map: by section, offset and name.
func (f *File) PublicsByAddress() iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		for i := range int(f.addrMap.n) {
			rec, _, ok := f.addrEntry(i)
			if !ok {
				continue
			}
			if s, ok := f.publicAt(rec); ok && !yield(s) {
				return
			}
		}
	}
}
