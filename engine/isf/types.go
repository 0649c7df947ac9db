package isf

import (
	"iter"
	"strconv"
	"strings"
	"sync/atomic"

	"kdap/engine/types"
)

// Type returns the aggregate or enum of this name.
func (f *File) Type(name string) (*types.Type, bool) {
	i, ok := f.find(name, func(recordKind) bool { return true })
	if !ok {
		return nil, false
	}
	return f.record(i), true
}

// Types yields the aggregates in the order of the table, then the enums.
func (f *File) Types() iter.Seq[*types.Type] {
	return func(yield func(*types.Type) bool) {
		for i := range f.types {
			if !yield(f.record(i)) {
				return
			}
		}
	}
}

// find returns the first record of this name whose kind is wanted.
func (f *File) find(name string, want func(recordKind) bool) (int, bool) {
	n := f.idx.count(secTypeNames)
	lo, hi := 0, n
	at := func(i int) (int, typeRecord) {
		r := int(f.idx.u32(secTypeNames, i))
		return r, f.idx.typeRecord(r)
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if _, rec := at(mid); string(f.idx.bytes(rec.name)) < name {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for ; lo < n; lo++ {
		r, rec := at(lo)
		if string(f.idx.bytes(rec.name)) != name {
			break
		}
		if want(rec.kind) {
			return r, true
		}
	}
	return 0, false
}

// record returns type record i. All callers get the same *Type.
func (f *File) record(i int) *types.Type {
	return shared(&f.types, i, func() *types.Type {
		rec := f.idx.typeRecord(i)
		name, id := displayName(f.idx.str(rec.name))
		t := &types.Type{
			Kind: types.Struct, Name: name, ID: id,
			Size: rec.size, MemberCount: int(rec.count),
		}
		switch rec.kind {
		case recUnion:
			t.Kind = types.Union
		case recClass:
			t.Kind = types.Class
		case recEnum:
			t.Kind = types.Enum
			return t.NewLazy(func(l *types.Lazy) { f.fillEnum(rec, l) })
		}
		return t.NewLazy(func(l *types.Lazy) { f.fillFields(rec, l) })
	})
}

func (f *File) fillFields(rec typeRecord, l *types.Lazy) {
	l.Fields = make([]types.Field, 0, rec.count)
	for i := range int(rec.count) {
		fr := f.idx.field(int(rec.first) + i)
		l.Fields = append(l.Fields, types.Field{
			Name: f.idx.str(fr.name), Offset: fr.offset, Type: f.node(fr.node),
		})
	}
}

func (f *File) fillEnum(rec typeRecord, l *types.Lazy) {
	l.Elem = f.node(rec.base)
	l.Enumerators = make([]types.Enumerator, 0, rec.count)
	for i := range int(rec.count) {
		e := f.idx.enumerator(int(rec.first) + i)
		l.Enumerators = append(l.Enumerators, types.Enumerator{Name: f.idx.str(e.name), Value: e.value})
	}
}

// node returns the type that node i describes. References to aggregates and
// enums give the record of that name, or a forward declaration.
func (f *File) node(i uint32) *types.Type {
	return shared(&f.nodes, int(i), func() *types.Type {
		n := f.idx.node(int(i))
		sub := func(l *types.Lazy) {
			if n.sub != 0 {
				l.Elem = f.node(n.sub - 1)
			}
		}
		switch n.tag {
		case tagBase:
			return &types.Type{Kind: n.kind, Name: f.idx.str(n.name), Size: n.size, MemberCount: -1}
		case tagRef:
			want := recordKind(n.kind)
			if r, ok := f.find(f.idx.str(n.name), func(k recordKind) bool { return (k == recEnum) == (want == recEnum) }); ok {
				return f.record(r)
			}
			kind := types.Struct
			switch want {
			case recUnion:
				kind = types.Union
			case recClass:
				kind = types.Class
			case recEnum:
				kind = types.Enum
			}
			name, id := displayName(f.idx.str(n.name))
			return &types.Type{Kind: kind, Name: name, ID: id, Forward: true, MemberCount: -1}
		case tagPointer:
			return (&types.Type{Kind: types.Pointer, Size: uint64(f.ptr), MemberCount: -1}).NewLazy(sub)
		case tagArray:
			t := &types.Type{Kind: types.Array, Count: n.size, MemberCount: -1}
			if n.sub != 0 {
				size := f.node(n.sub - 1).Size
				if size != 0 && n.size <= maxSize/size {
					t.Size = n.size * size
				}
			}
			return t.NewLazy(sub)
		case tagBits:
			t := &types.Type{Kind: types.BitField, BitPos: n.bitPos, BitLen: n.bitLen, MemberCount: -1}
			if n.sub != 0 {
				t.Size = f.node(n.sub - 1).Size
			}
			return t.NewLazy(sub)
		case tagFunction:
			return &types.Type{Kind: types.Function, MemberCount: -1}
		}
		return &types.Type{Kind: types.Unknown, Name: f.idx.str(n.name), MemberCount: -1}
	})
}

// shared returns the type in slot i, making it on first use. Two callers that
// race both make one, and the first stored is what everyone gets.
func shared(slots *[]atomic.Pointer[types.Type], i int, build func() *types.Type) *types.Type {
	if i >= len(*slots) {
		return &types.Type{Kind: types.Unknown, MemberCount: -1}
	}
	slot := &(*slots)[i]
	if t := slot.Load(); t != nil {
		return t
	}
	t := build()
	if !slot.CompareAndSwap(nil, t) {
		t = slot.Load()
	}
	return t
}

// displayName turns the names Volatility makes up for types without a name
// (__anonymous_108e, __unnamed_1a2b) back into what a PDB says, and returns the
// type index they carry.
func displayName(name string) (string, uint32) {
	for _, p := range [...]struct{ prefix, name string }{
		{"__anonymous_", "<anonymous-tag>"}, {"__unnamed_", "<unnamed-tag>"},
	} {
		if hex, ok := strings.CutPrefix(name, p.prefix); ok {
			if id, err := strconv.ParseUint(hex, 16, 32); err == nil {
				return p.name, uint32(id)
			}
		}
	}
	return name, 0
}

// TypeFold is Type without regard to the case of A to Z; the exact name is
// preferred.
func (f *File) TypeFold(name string) (*types.Type, bool) {
	if t, ok := f.Type(name); ok {
		return t, true
	}
	for i := range f.types {
		if compareFold(f.idx.bytes(f.idx.typeRecord(i).name), name) == 0 {
			return f.record(i), true
		}
	}
	return nil, false
}
