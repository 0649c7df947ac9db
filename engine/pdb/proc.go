package pdb

import (
	"fmt"
	"iter"
	"sort"

	"kdap/engine/types"
)

// A Proc is a procedure of a module with private symbols.
type Proc struct {
	Name     string
	Kind     uint16 // SGProc32, SLProc32
	TI       uint32 // type index of the function type; 0 when there is none
	Seg      uint16
	Off      uint32
	RVA      uint32
	Size     uint32
	DbgStart uint32 // first instruction behind the prologue, from the start
	DbgEnd   uint32 // first instruction of the epilogue
	Flags    uint8
	Module   int    // index in Modules
	RecOff   uint32 // of its record in the module's stream

	f   *File
	end uint32
}

// Type returns the function's type; of kind Unknown when the file has none.
func (p *Proc) Type() *types.Type { return p.f.TypeByIndex(p.TI) }

// IsLocal reports whether the procedure is visible in its module only.
func (p *Proc) IsLocal() bool {
	return p.Kind != SGProc32 && p.Kind != SGProc32ID
}

// procAt decodes the procedure whose record is at an offset of a module.
func (f *File) procAt(module int, rec uint32) (*Proc, error) {
	ms := f.module(module)
	if ms == nil || ms.s == nil {
		return nil, &FormatError{"module list", int64(module), "no module with symbols of this number"}
	}
	if rec < 4 || rec >= ms.symEnd() {
		return nil, &FormatError{ms.s.name, int64(rec), "no symbol record"}
	}
	kind, b, _, err := ms.s.recordAt(rec)
	if err != nil {
		return nil, err
	}
	if !isProc(kind) {
		return nil, &FormatError{ms.s.name, int64(rec), fmt.Sprintf("record %#x is no procedure", kind)}
	}
	d := decoder{record: "S_GPROC32", b: b, base: int64(rec) + 4}
	p := &Proc{Kind: kind, Module: module, RecOff: rec, f: f}
	d.u32()
	p.end = d.u32()
	d.u32()
	p.Size, p.DbgStart, p.DbgEnd = d.u32(), d.u32(), d.u32()
	p.TI, p.Off, p.Seg, p.Flags, p.Name = d.u32(), d.u32(), d.u16(), d.u8(), d.strz()
	if d.err != nil {
		return nil, d.err
	}
	if kind == SGProc32ID || kind == SLProc32ID || kind == SLProc32DPCID {
		id, _ := f.FuncID(p.TI)
		p.TI = id.TI
	}
	p.RVA, _ = f.RVA(p.Seg, p.Off)
	return p, nil
}

// ProcAt returns the procedure whose code covers an address, with what the
// compiler put elsewhere.
func (f *File) ProcAt(rva uint32) (*Proc, bool) {
	seg, off, ok := f.SegOff(rva)
	if !ok {
		return nil, false
	}
	m, ok := f.ModuleAt(rva)
	if !ok {
		return nil, false
	}
	procs := f.module(m.Index).procs()
	// Procedures of size 0 may stand at the address of the one that counts.
	for i := nearest(procs, segOff(seg, off)); i >= 0 && procs[i].seg == seg; i-- {
		if off-procs[i].off < procs[i].size {
			p, err := f.procAt(m.Index, procs[i].rec)
			return p, err == nil
		}
		if procs[i].size > 0 {
			break
		}
	}
	if e, ok := f.module(m.Index).separatedFrom(seg, off); ok {
		p, err := f.procAt(m.Index, e.rec)
		return p, err == nil
	}
	return nil, false
}

// Resolve returns the procedure that a global procedure reference names.
func (f *File) Resolve(s Symbol) (*Proc, bool) {
	if s.Kind != SProcRef && s.Kind != SLProcRef || s.Module == 0 {
		return nil, false
	}
	p, err := f.procAt(int(s.Module)-1, s.RecOff)
	return p, err == nil
}

// Symbol returns the procedure as a symbol.
func (p *Proc) Symbol() Symbol {
	_, ok := p.f.RVA(p.Seg, p.Off)
	return Symbol{
		Name: p.Name, Kind: p.Kind, Seg: p.Seg, Off: p.Off, RVA: p.RVA, NoRVA: !ok, TI: p.TI, Size: p.Size,
		Module: uint16(p.Module + 1), RecOff: p.RecOff,
	}
}

// Procs yields the procedures of all modules, module by module in the order
// of addresses within each.
func (f *File) Procs() iter.Seq[*Proc] {
	return func(yield func(*Proc) bool) {
		for i := range f.Modules() {
			for _, e := range f.module(i).procs() {
				if p, err := f.procAt(i, e.rec); err == nil && !yield(p) {
					return
				}
			}
		}
	}
}

// globalData is the data among the globals by address, made on first use.
type globalData struct {
	key []uint64 // section and offset
	rec []uint32 // offset in the symbol records
}

func (f *File) readGlobalData() *globalData {
	g := &globalData{}
	type entry struct {
		key uint64
		rec uint32
	}
	var all []entry
	f.globals.offsets(0, f.globals.count(), func(off uint32) bool {
		kind, b, _, err := f.symrecs.recordAt(off)
		if err != nil || kind != SGData32 && kind != SLData32 && kind != SGManData && kind != SLManData {
			return true
		}
		d := decoder{b: b}
		d.u32()
		o, seg := d.u32(), d.u16()
		if d.err == nil {
			all = append(all, entry{segOff(seg, o), off})
		}
		return true
	})
	sort.SliceStable(all, func(i, j int) bool { return all[i].key < all[j].key })
	for _, e := range all {
		g.key = append(g.key, e.key)
		g.rec = append(g.rec, e.rec)
	}
	return g
}

// NearestPrivate returns the procedure or variable at or below an address, in
// the same section; a procedure when both start there.
func (f *File) NearestPrivate(rva uint32) (Symbol, bool) {
	seg, off, ok := f.SegOff(rva)
	if !ok || !f.HasPrivate() {
		return Symbol{}, false
	}
	key := segOff(seg, off)
	best, found := Symbol{}, false
	data := f.data()
	if i := sort.Search(len(data.key), func(i int) bool { return data.key[i] > key }) - 1; i >= 0 && uint16(data.key[i]>>32) == seg {
		for i > 0 && data.key[i-1] == data.key[i] {
			i--
		}
		best, found = f.globalAt(data.rec[i])
	}
	cs := f.contribs()
	for i := sort.Search(len(cs), func(i int) bool { return segOff(cs[i].Seg, cs[i].Off) > key }) - 1; i >= 0 && cs[i].Seg == seg; i-- {
		if found && uint64(cs[i].Off)+uint64(cs[i].Size) <= uint64(best.Off) {
			break // what comes now lies below the variable
		}
		ms := f.module(int(cs[i].Module))
		if ms == nil {
			continue
		}
		procs := ms.procs()
		j := nearest(procs, key)
		if j < 0 || procs[j].seg != seg {
			continue
		}
		for j > 0 && procs[j-1].off == procs[j].off && procs[j-1].seg == seg {
			j--
		}
		// The code is of no procedure that lies here: it may be a part of one above.
		if off-procs[j].off >= procs[j].size {
			if e, ok := ms.separatedFrom(seg, off); ok && e.seg == seg && e.off <= off {
				if p, err := f.procAt(ms.m.Index, e.rec); err == nil && p.RVA <= rva {
					return p.Symbol(), true
				}
			}
		}
		if found && procs[j].off < best.Off {
			break
		}
		if p, err := f.procAt(ms.m.Index, procs[j].rec); err == nil {
			return p.Symbol(), true
		}
	}
	return best, found
}

// NextPrivate returns the first procedure or variable above an address.
func (f *File) NextPrivate(rva uint32) (Symbol, bool) {
	key, ok := f.keyOf(rva)
	if !ok || !f.HasPrivate() {
		return Symbol{}, false
	}
	best, found := Symbol{}, false
	data := f.data()
	for i := sort.Search(len(data.key), func(i int) bool { return data.key[i] > key }); i < len(data.key) && !found; i++ {
		s, ok := f.globalAt(data.rec[i])
		best, found = s, ok && !s.NoRVA
	}
	cs := f.contribs()
	i := sort.Search(len(cs), func(i int) bool { return segOff(cs[i].Seg, cs[i].Off) > key })
	for i = max(i-1, 0); i < len(cs); i++ {
		if found && segOff(cs[i].Seg, cs[i].Off) > segOff(best.Seg, best.Off) {
			break
		}
		ms := f.module(int(cs[i].Module))
		if ms == nil {
			continue
		}
		procs := ms.procs()
		// The first procedure above the address inside this contribution.
		from := max(key+1, segOff(cs[i].Seg, cs[i].Off))
		j := sort.Search(len(procs), func(j int) bool { return segOff(procs[j].seg, procs[j].off) >= from })
		if j == len(procs) || procs[j].seg != cs[i].Seg || uint64(procs[j].off) >= uint64(cs[i].Off)+uint64(cs[i].Size) {
			continue
		}
		if found && segOff(procs[j].seg, procs[j].off) > segOff(best.Seg, best.Off) {
			break
		}
		if p, err := f.procAt(ms.m.Index, procs[j].rec); err == nil {
			return p.Symbol(), true
		}
	}
	return best, found
}

// PrivatesAt returns the procedures and variables that start at an address.
func (f *File) PrivatesAt(rva uint32) []Symbol {
	seg, off, ok := f.SegOff(rva)
	if !ok {
		return nil
	}
	key := segOff(seg, off)
	var out []Symbol
	if m, ok := f.ModuleAt(rva); ok {
		procs := f.module(m.Index).procs()
		for i := nearest(procs, key-1) + 1; i < len(procs) && segOff(procs[i].seg, procs[i].off) == key; i++ {
			if p, err := f.procAt(m.Index, procs[i].rec); err == nil {
				out = append(out, p.Symbol())
			}
		}
	}
	data := f.data()
	for i := sort.Search(len(data.key), func(i int) bool { return data.key[i] >= key }); i < len(data.key) && data.key[i] == key; i++ {
		if s, ok := f.globalAt(data.rec[i]); ok {
			out = append(out, s)
		}
	}
	return out
}
