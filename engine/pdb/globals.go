package pdb

import "iter"

// Globals yields the global symbols in the order of their hash: data,
// references to procedures, constants, type names. Procedure references come
// as they are stored; Resolve makes symbols with an address of them.
func (f *File) Globals() iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		f.globals.offsets(0, f.globals.count(), func(off uint32) bool {
			s, ok := f.globalAt(off)
			return !ok || yield(s)
		})
	}
}

// LookupGlobal finds a global symbol by its name as stored.
func (f *File) LookupGlobal(name string) (Symbol, bool) {
	for s := range f.LookupGlobals(name) {
		if s.Name == name {
			return s, true
		}
	}
	return Symbol{}, false
}

// LookupGlobals yields the global symbols that have a name, without case: a
// name may belong to a function, a type and statics of several modules.
func (f *File) LookupGlobals(name string) iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		from, to := f.globals.bucket(name)
		f.globals.offsets(from, to, func(off uint32) bool {
			s, ok := f.globalAt(off)
			return !ok || !equalFold([]byte(s.Name), name) || yield(s)
		})
	}
}

func (f *File) globalAt(off uint32) (Symbol, bool) {
	kind, b, _, err := f.symrecs.recordAt(off)
	if err != nil {
		return Symbol{}, false
	}
	return f.decodeSymbol(kind, b)
}

// decodeSymbol decodes the kinds of records that stand for a named thing of
// the whole program.
func (f *File) decodeSymbol(kind uint16, b []byte) (Symbol, bool) {
	d := decoder{b: b}
	s := Symbol{Kind: kind, NoRVA: true}
	switch kind {
	case SPub32:
		s.Flags, s.Off, s.Seg, s.Name = d.u32(), d.u32(), d.u16(), d.strz()
		f.locate(&s)
	case SGData32, SLData32, SGManData, SLManData:
		s.TI, s.Off, s.Seg, s.Name = d.u32(), d.u32(), d.u16(), d.strz()
		f.locate(&s)
	case SGThread32, SLThread32: // an offset in the thread's block, not an address
		s.TI, s.Off, s.Seg, s.Name = d.u32(), d.u32(), d.u16(), d.strz()
	case SProcRef, SLProcRef, SDataRef:
		d.u32()
		s.RecOff, s.Module, s.Name = d.u32(), d.u16(), d.strz()
	case SConstant, SManConstant:
		s.TI, s.Value, s.Name = d.u32(), d.numeric(), d.strz()
	case SUDT:
		s.TI, s.Name = d.u32(), d.strz()
	default:
		return s, false
	}
	return s, d.err == nil
}
