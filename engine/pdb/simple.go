package pdb

import "kdap/engine/types"

type simpleType struct {
	kind types.Kind
	size uint64
	name string
}

// simpleTypes are the types without a record, by the low byte of their index.
var simpleTypes = map[uint32]simpleType{
	0x03: {types.Void, 0, "void"},
	0x08: {types.HResult, 4, "HRESULT"},
	0x10: {types.Char, 1, "signed char"},
	0x11: {types.Int, 2, "short"},
	0x12: {types.Int, 4, "long"},
	0x13: {types.Int, 8, "__int64"},
	0x14: {types.Int, 16, "__int128"},
	0x20: {types.UChar, 1, "unsigned char"},
	0x21: {types.Uint, 2, "unsigned short"},
	0x22: {types.Uint, 4, "unsigned long"},
	0x23: {types.Uint, 8, "unsigned __int64"},
	0x24: {types.Uint, 16, "unsigned __int128"},
	0x30: {types.Bool, 1, "bool"},
	0x31: {types.Bool, 2, "bool"},
	0x32: {types.Bool, 4, "bool"},
	0x33: {types.Bool, 8, "bool"},
	0x40: {types.Float, 4, "float"},
	0x41: {types.Float, 8, "double"},
	0x42: {types.Float, 10, "long double"},
	0x43: {types.Float, 16, "__float128"},
	0x44: {types.Float, 6, "float48"},
	0x45: {types.Float, 4, "float"},
	0x46: {types.Float, 2, "__half"},
	0x68: {types.Char, 1, "signed char"},
	0x69: {types.UChar, 1, "unsigned char"},
	0x70: {types.Char, 1, "char"},
	0x71: {types.WChar, 2, "wchar_t"},
	0x72: {types.Int, 2, "short"},
	0x73: {types.Uint, 2, "unsigned short"},
	0x74: {types.Int, 4, "int"},
	0x75: {types.Uint, 4, "unsigned int"},
	0x76: {types.Int, 8, "__int64"},
	0x77: {types.Uint, 8, "unsigned __int64"},
	0x78: {types.Int, 16, "__int128"},
	0x79: {types.Uint, 16, "unsigned __int128"},
	0x7a: {types.WChar, 2, "char16_t"},
	0x7b: {types.Uint, 4, "char32_t"},
	0x7c: {types.UChar, 1, "char8_t"},
}

// simplePointer is the size of the pointer that a mode of a simple type makes.
var simplePointer = [8]uint64{0, 2, 4, 4, 4, 6, 8, 16}

func simple(ti uint32) *types.Type {
	low := ti & 0xff
	if ti == 0x0103 {
		return &types.Type{Kind: types.Pointer, Name: "std::nullptr_t", Size: 8, MemberCount: -1, ID: ti}
	}
	mode := ti >> 8 & 7
	if mode != 0 {
		return (&types.Type{Kind: types.Pointer, Size: simplePointer[mode], MemberCount: -1, ID: ti}).
			NewLazy(func(l *types.Lazy) { l.Elem = simple(low) })
	}
	s, ok := simpleTypes[low]
	if !ok {
		s = simpleType{kind: types.Unknown}
	}
	return &types.Type{Kind: s.kind, Name: s.name, Size: s.size, MemberCount: -1, ID: ti}
}
