package profile

import (
	"strconv"
	"strings"

	"kdap/engine/types"
)

// kind makes the type of a member. Kinds are
//
//	u8 u16 u32 u64 i8 i16 i32 i64   numbers
//	bits8 … bits64                  a bit field in a number of that width
//	* *_TYPE                        a pointer
//	_TYPE                           a type of the table
//	bytes[N]                        N bytes whose type is not told
//	KIND[N]                         an array
func (p *Profile) kind(text string, v value) *types.Type {
	if elem, count, ok := splitArray(text); ok {
		if elem == "bytes" {
			return &types.Type{Kind: types.Unknown, Size: count}
		}
		e := p.kind(elem, v)
		if e == nil {
			return nil
		}
		t := &types.Type{Kind: types.Array, Size: count * e.Size, Count: count}
		return t.NewLazy(func(l *types.Lazy) { l.Elem = e })
	}
	if target, ok := strings.CutPrefix(text, "*"); ok {
		t := &types.Type{Kind: types.Pointer, Size: pointerSize}
		return t.NewLazy(func(l *types.Lazy) {
			l.Elem = &types.Type{Kind: types.Void, Name: "void"}
			if e, ok := p.Type(target); ok {
				l.Elem = e
			}
		})
	}
	if width, ok := strings.CutPrefix(text, "bits"); ok {
		storage := number("u" + width)
		if storage == nil {
			return nil
		}
		t := &types.Type{Kind: types.BitField, Size: storage.Size, BitPos: v.pos, BitLen: v.len}
		return t.NewLazy(func(l *types.Lazy) { l.Elem = storage })
	}
	if t := number(text); t != nil {
		return t
	}
	t, _ := p.Type(text)
	return t
}

// number returns a type of 1, 2, 4 or 8 bytes: "u32", "i8".
func number(text string) *types.Type {
	if text == "" || text[0] != 'u' && text[0] != 'i' {
		return nil
	}
	bits, err := strconv.ParseUint(text[1:], 10, 8)
	if err != nil || bits != 8 && bits != 16 && bits != 32 && bits != 64 {
		return nil
	}
	t := &types.Type{Kind: types.Uint, Name: "unsigned " + text[1:] + " bits", Size: bits / 8}
	if text[0] == 'i' {
		t.Kind, t.Name = types.Int, "signed "+text[1:]+" bits"
	}
	return t
}

// splitArray divides "KIND[N]".
func splitArray(text string) (elem string, count uint64, ok bool) {
	elem, rest, ok := strings.Cut(text, "[")
	if !ok {
		return "", 0, false
	}
	count, err := strconv.ParseUint(strings.TrimSuffix(rest, "]"), 10, 16)
	return elem, count, err == nil
}
