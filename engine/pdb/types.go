package pdb

import (
	"iter"

	"kdap/engine/types"
)

var _ types.Source = (*File)(nil)

// Type returns the aggregate or enum of this name: its definition, or a
// forward reference when the file has no more.
func (f *File) Type(name string) (*types.Type, bool) { return f.findType(name, equal) }

// TypeFold is Type without case; the exact name is preferred.
func (f *File) TypeFold(name string) (*types.Type, bool) {
	if t, ok := f.findType(name, equal); ok {
		return t, true
	}
	return f.findType(name, equalFold)
}

func (f *File) findType(name string, match func([]byte, string) bool) (*types.Type, bool) {
	var def, fwd uint32
	look := func(ti uint32) bool {
		u, ok := f.udt(ti)
		if !ok || !match(u.name, name) {
			return true
		}
		if u.forward() {
			if fwd == 0 {
				fwd = ti
			}
			return true
		}
		if def == 0 {
			def = ti
		}
		newest := f.tpi.byName().newest
		if newest[ti] {
			def = ti
		}
		return len(newest) > 0 && !newest[ti]
	}
	h := hashV1([]byte(name))
	f.tpi.inBucket(h, look)
	if def == 0 {
		f.tpi.inRest(h, look)
	}
	switch {
	case def != 0:
		return f.TypeByIndex(def), true
	case fwd != 0:
		return f.TypeByIndex(fwd), true
	}
	return nil, false
}

func (f *File) udt(ti uint32) (udt, bool) {
	leaf, body, err := f.tpi.record(ti)
	if err != nil || !isUDT(leaf) {
		return udt{}, false
	}
	u, err := decodeUDT(leaf, body, ti)
	return u, err == nil
}

// Types yields the aggregates and enums in the order of the file, as debuggers
// list them: definitions, forward references that have none, and again what
// has a const or volatile form of its own.
func (f *File) Types() iter.Seq[*types.Type] {
	return func(yield func(*types.Type) bool) {
		f.tpi.each(func(ti uint32, leaf uint16, body []byte) bool {
			switch {
			case isUDT(leaf):
				if f.resolve(ti) != ti {
					return true
				}
			case leaf == lfModifier:
				d := decoder{b: body}
				if _, ok := f.udt(d.u32()); !ok {
					return true
				}
			default:
				return true
			}
			t := f.TypeByIndex(ti)
			return t.Kind == types.Unknown || yield(t) // a record that is damaged
		})
	}
}

// NamedTypes yields what a debugger lists for a pattern of type names: the
// typedefs among the global symbols, in the order of their hash, then Types.
func (f *File) NamedTypes() iter.Seq2[string, *types.Type] {
	return func(yield func(string, *types.Type) bool) {
		for s := range f.Globals() {
			if s.Kind == SUDT && !yield(s.Name, f.ResolvedType(s.TI)) {
				return
			}
		}
		for t := range f.Types() {
			if !yield(t.Name, t) {
				return
			}
		}
	}
}

// Typedef returns the type that a global typedef names; names without case,
// the exact one is preferred.
func (f *File) Typedef(name string) (*types.Type, bool) {
	var fold *types.Type
	for s := range f.LookupGlobals(name) {
		if s.Kind != SUDT {
			continue
		}
		t := f.ResolvedType(s.TI)
		if s.Name == name {
			return t, true
		}
		if fold == nil {
			fold = t
		}
	}
	return fold, fold != nil
}

// TypeCount returns the number of type records.
func (f *File) TypeCount() int { return int(f.tpi.end - f.tpi.begin) }

// TypeIndexes returns the first type index and the one past the last.
func (f *File) TypeIndexes() (begin, end uint32) { return f.tpi.begin, f.tpi.end }

// TypeByIndex returns the type of an index. It is never nil: an index that
// leads nowhere gives a type of kind Unknown. The same index gives the same
// *Type each time.
func (f *File) TypeByIndex(ti uint32) *types.Type { return f.typeAt(ti, 0) }

// ResolvedType is TypeByIndex with a forward reference replaced by the
// definition, where the file has one.
func (f *File) ResolvedType(ti uint32) *types.Type { return f.typeAt(f.resolve(ti), 0) }

// resolve returns the index of the definition that a forward reference names.
func (f *File) resolve(ti uint32) uint32 {
	if ti < firstTI {
		return ti
	}
	if v, ok := f.fwdCache.Load(ti); ok {
		return v.(uint32)
	}
	u, ok := f.udt(ti)
	if !ok || !u.forward() {
		return ti
	}
	out := ti
	name, unique := string(u.name), string(u.unique)
	look := func(cand uint32) bool {
		c, ok := f.udt(cand)
		if !ok || c.forward() || c.sort() != u.sort() {
			return true
		}
		if len(u.unique) > 0 && len(c.unique) > 0 {
			if string(c.unique) != unique {
				return true
			}
		} else if string(c.name) != name {
			return true
		}
		newest := f.tpi.byName().newest
		if out == ti || newest[cand] {
			out = cand
		}
		return len(newest) > 0 && !newest[cand]
	}
	f.tpi.inBucket(hashV1([]byte(name)), look)
	if out == ti && unique != "" {
		f.tpi.inBucket(hashV1([]byte(unique)), look)
	}
	if out == ti && len(f.tpi.byName().buckets) == 0 {
		f.tpi.inRest(hashV1([]byte(name)), look)
	}
	f.fwdCache.Store(ti, out)
	return out
}

// maxDepth bounds how far a type is followed through modifiers, arrays and
// bit fields before it is handed out. Compilers stay below ten.
const maxDepth = 40

func (f *File) typeAt(ti uint32, depth int) *types.Type {
	if v, ok := f.typeCache.Load(ti); ok {
		return v.(*types.Type)
	}
	if depth > maxDepth {
		return &types.Type{Kind: types.Unknown, MemberCount: -1, ID: ti}
	}
	t := f.decodeType(ti, depth)
	v, _ := f.typeCache.LoadOrStore(ti, t)
	return v.(*types.Type)
}

func (f *File) decodeType(ti uint32, depth int) *types.Type {
	if ti < firstTI {
		return simple(ti)
	}
	t := &types.Type{Kind: types.Unknown, MemberCount: -1, ID: ti}
	leaf, body, err := f.tpi.record(ti)
	if err != nil {
		return t
	}
	if isUDT(leaf) {
		return f.decodeAggregate(t, leaf, body)
	}
	d := decoder{b: body}
	switch leaf {
	case lfModifier:
		base := f.typeAt(f.resolve(d.u32()), depth+1)
		mod := d.u16()
		if d.err != nil {
			return t
		}
		t = modified(base, ti, mod)
	case lfPointer:
		elem, attrs := d.u32(), d.u32()
		if d.err != nil {
			return t
		}
		t.Kind = types.Pointer
		t.Size = pointerSize(attrs)
		t.Volatile, t.Const = attrs>>9&1 != 0, attrs>>10&1 != 0
		mode := attrs >> 5 & 7
		t.Reference = mode == 1 || mode == 4
		t.NewLazy(func(l *types.Lazy) { l.Elem = f.ResolvedType(elem) })
	case lfArray:
		elem := d.u32()
		d.u32()
		size := d.numeric()
		if d.err != nil {
			return t
		}
		e := f.typeAt(f.resolve(elem), depth+1)
		t.Kind, t.Size = types.Array, size
		if e.Size > 0 {
			t.Count = size / e.Size
		}
		t.NewLazy(func(l *types.Lazy) { l.Elem = e })
	case lfBitField:
		e := f.typeAt(f.resolve(d.u32()), depth+1)
		bits, pos := d.u8(), d.u8()
		if d.err != nil {
			return t
		}
		t.Kind, t.Size, t.BitPos, t.BitLen = types.BitField, e.Size, pos, bits
		t.NewLazy(func(l *types.Lazy) { l.Elem = e })
	case lfProcedure:
		t.Kind = types.Function
		t.NewLazy(func(l *types.Lazy) {
			d := f.tpi.decoder(ti)
			ret, conv := d.u32(), d.u8()
			d.u8()
			d.u16()
			f.fillFunction(l, ret, 0, conv, d.u32())
		})
	case lfMFunction:
		t.Kind = types.Function
		t.NewLazy(func(l *types.Lazy) {
			d := f.tpi.decoder(ti)
			ret, class := d.u32(), d.u32()
			d.u32() // this
			conv := d.u8()
			d.u8()
			d.u16()
			f.fillFunction(l, ret, class, conv, d.u32())
		})
	case lfVTShape, lfVFTable:
		t.Kind = types.Unknown
	case lfAlias:
		base := f.typeAt(f.resolve(d.u32()), depth+1)
		if d.err == nil {
			t = modified(base, ti, 0)
		}
	}
	return t
}

// modified is base under another index, with const and volatile added.
func modified(base *types.Type, ti uint32, mod uint16) *types.Type {
	t := &types.Type{
		Kind: base.Kind, Name: base.Name, Size: base.Size, Count: base.Count, BitPos: base.BitPos, BitLen: base.BitLen,
		Forward: base.Forward, Const: base.Const || mod&1 != 0, Volatile: base.Volatile || mod&2 != 0,
		Reference: base.Reference, MemberCount: base.MemberCount, UniqueName: base.UniqueName, ID: ti,
	}
	return t.NewLazy(func(l *types.Lazy) { *l = *base.Func() })
}

func pointerSize(attrs uint32) uint64 {
	if n := attrs >> 13 & 0x3f; n != 0 {
		return uint64(n)
	}
	switch attrs & 0x1f {
	case 0x0c:
		return 8
	case 0x0b:
		return 6
	case 0x00:
		return 2
	}
	return 4
}

func (f *File) decodeAggregate(t *types.Type, leaf uint16, body []byte) *types.Type {
	u, err := decodeUDT(leaf, body, t.ID)
	if err != nil {
		return t
	}
	switch leaf {
	case lfClass, lfClass2, lfInterface, lfInterface2:
		t.Kind = types.Class
	case lfUnion, lfUnion2:
		t.Kind = types.Union
	case lfEnum:
		t.Kind = types.Enum
	default:
		t.Kind = types.Struct
	}
	t.Name, t.UniqueName = string(u.name), string(u.unique)
	t.Size, t.Forward, t.MemberCount = u.size, u.forward(), int(u.count)
	fields, underlying := u.fields, u.underlying
	if t.Kind != types.Enum {
		if t.Forward {
			return t
		}
		return t.NewLazy(func(l *types.Lazy) { f.fillFields(l, fields) })
	}
	if underlying < firstTI {
		t.Size = simple(underlying).Size
	} else if leaf, body, err := f.tpi.record(underlying); err == nil && leaf == lfModifier {
		d := decoder{b: body}
		if b := d.u32(); b < firstTI {
			t.Size = simple(b).Size
		}
	}
	return t.NewLazy(func(l *types.Lazy) {
		l.Elem = f.TypeByIndex(underlying)
		if !t.Forward {
			f.fillFields(l, fields)
		}
	})
}

// noType ends the arguments of a function with a variable number of them.
const noType = 0

// fillFunction decodes the arguments of a function type.
func (f *File) fillFunction(l *types.Lazy, ret, class uint32, conv uint8, args uint32) {
	l.Elem = f.ResolvedType(ret)
	l.CallConv = conv
	if class != 0 {
		l.Class = f.ResolvedType(class)
	}
	leaf, body, err := f.tpi.record(args)
	if err != nil || leaf != lfArgList {
		return
	}
	d := decoder{b: body}
	n := d.u32()
	for i := uint32(0); i < n; i++ {
		ti := d.u32()
		if d.err != nil {
			return
		}
		if ti == noType && i == n-1 {
			l.Variadic = true
			return
		}
		l.Params = append(l.Params, f.ResolvedType(ti))
	}
}
