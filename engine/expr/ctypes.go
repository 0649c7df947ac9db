package expr

import (
	"fmt"
	"strings"

	"kdap/engine/types"
)

// The types of constants and the names of types the C++ evaluator knows. They
// are those of the debugger, not of the compiler: __int64, ULONG and a bare
// "unsigned" are not among them.
var (
	typeChar   = &types.Type{Kind: types.Char, Name: "char", Size: 1}
	typeUChar  = &types.Type{Kind: types.UChar, Name: "unsigned char", Size: 1}
	typeShort  = &types.Type{Kind: types.Int, Name: "short", Size: 2}
	typeUShort = &types.Type{Kind: types.Uint, Name: "unsigned short", Size: 2}
	typeInt    = &types.Type{Kind: types.Int, Name: "int", Size: 4}
	typeUInt   = &types.Type{Kind: types.Uint, Name: "unsigned int", Size: 4}
	typeLong   = &types.Type{Kind: types.Int, Name: "long", Size: 4}
	typeULong  = &types.Type{Kind: types.Uint, Name: "unsigned long", Size: 4}
	typeInt64  = &types.Type{Kind: types.Int, Name: "int64", Size: 8}
	typeUInt64 = &types.Type{Kind: types.Uint, Name: "unsigned int64", Size: 8}
	typeFloat  = &types.Type{Kind: types.Float, Name: "float", Size: 4}
	typeDouble = &types.Type{Kind: types.Float, Name: "double", Size: 8}
	typeBool   = &types.Type{Kind: types.Bool, Name: "bool", Size: 1}
	typeVoid   = &types.Type{Kind: types.Void, Name: "void"}
	typeWChar  = &types.Type{Kind: types.WChar, Name: "wchar_t", Size: 2}
	typeResult = &types.Type{Kind: types.HResult, Name: "HRESULT", Size: 4}
)

var builtinTypes = map[string]*types.Type{}

func init() {
	for _, t := range []*types.Type{
		typeChar, typeUChar, typeShort, typeUShort, typeInt, typeUInt, typeLong, typeULong,
		typeInt64, typeUInt64, typeFloat, typeDouble, typeBool, typeVoid, typeWChar, typeResult,
	} {
		builtinTypes[t.Name] = t
	}
}

// PointerTo returns the type of pointers of size bytes to t.
func PointerTo(t *types.Type, size int) *types.Type {
	p := &types.Type{Kind: types.Pointer, Size: uint64(size)}
	return p.NewLazy(func(l *types.Lazy) { l.Elem = t })
}

func arrayOf(t *types.Type, count uint64) *types.Type {
	a := &types.Type{Kind: types.Array, Size: t.Size * count, Count: count}
	return a.NewLazy(func(l *types.Lazy) { l.Elem = t })
}

// maxSpelling bounds how deep pointers to pointers are spelled out: a damaged
// symbol file may have a pointer to itself.
const maxSpelling = 16

// TypeName spells a type as ?? does: "unsigned int64", "struct _EPROCESS *",
// "char *[3]". Enums have no keyword.
func TypeName(t *types.Type) string { return typeName(t, true, maxSpelling) }

// ShortTypeName spells a type as prototypes do: "Shop*", "char**".
func ShortTypeName(t *types.Type) string { return typeName(t, false, maxSpelling) }

func typeName(t *types.Type, long bool, depth int) string {
	switch {
	case t == nil:
		return "<unnamed 0>"
	case depth == 0:
		return "..."
	}
	switch t.Kind {
	case types.Pointer:
		name := typeName(t.Elem(), long, depth-1)
		if long && !strings.HasSuffix(name, "*") {
			name += " "
		}
		return name + "*"
	case types.Array:
		elem := typeName(t.Elem(), long, depth-1)
		if strings.HasSuffix(elem, "*") || strings.HasSuffix(elem, "]") {
			return fmt.Sprintf("%s[%d]", elem, t.Count)
		}
		return fmt.Sprintf("%s [%d]", elem, t.Count)
	case types.Function:
		return "<function>"
	case types.BitField:
		return typeName(t.Elem(), long, depth-1)
	case types.Struct, types.Class, types.Union:
		if long {
			return keyword(t.Kind) + " " + t.Name
		}
	}
	if name := numberName(t); name != "" {
		return name
	}
	return t.Name
}

func keyword(k types.Kind) string {
	switch k {
	case types.Class:
		return "class"
	case types.Union:
		return "union"
	}
	return "struct"
}

// numberName names a number type after its kind and size, whatever the symbol
// file calls it; only int and long need the file's word.
func numberName(t *types.Type) string {
	isLong := strings.Contains(t.Name, "long")
	switch {
	case t.Kind == types.Bool:
		return "bool"
	case t.Kind == types.Char:
		return "char"
	case t.Kind == types.UChar:
		return "unsigned char"
	case t.Kind == types.WChar:
		return "wchar_t"
	case t.Kind == types.HResult:
		return "HRESULT"
	case t.Kind == types.Void:
		return "void"
	case t.Kind == types.Float && t.Size == 4:
		return "float"
	case t.Kind == types.Float && t.Size == 8:
		return "double"
	}
	sign := ""
	switch t.Kind {
	case types.Uint:
		sign = "unsigned "
	case types.Int:
	default:
		return ""
	}
	switch {
	case t.Size == 1:
		return sign + "char"
	case t.Size == 2:
		return sign + "short"
	case t.Size == 4 && isLong:
		return sign + "long"
	case t.Size == 4:
		return sign + "int"
	case t.Size == 8:
		return sign + "int64"
	}
	return ""
}

// storage returns the type that a bit field is stored as, other types as they are.
func storage(t *types.Type) *types.Type {
	if t != nil && t.Kind == types.BitField && t.Elem() != nil {
		return t.Elem()
	}
	return t
}

// isNumber reports whether values of t are held in Bits.
func isNumber(t *types.Type) bool {
	t = storage(t)
	switch {
	case t == nil:
		return true // a $t register never set
	case t.Kind.IsAggregate(), t.Kind == types.Array, t.Kind == types.Function, t.Kind == types.Void, t.Kind == types.Unknown:
		return false
	}
	return t.Size == 1 || t.Size == 2 || t.Size == 4 || t.Size == 8
}

func isSigned(t *types.Type) bool {
	t = storage(t)
	if t == nil {
		return false
	}
	switch t.Kind {
	case types.Int, types.Char, types.HResult:
		return true
	case types.Enum:
		return t.Elem() == nil || isSigned(t.Elem())
	}
	return false
}

func isFloat(t *types.Type) bool   { return t != nil && t.Kind == types.Float }
func isPointer(t *types.Type) bool { return t != nil && t.Kind == types.Pointer }
