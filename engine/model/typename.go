package model

import (
	"fmt"
	"strings"

	"kdap/engine/types"
)

// maxSpelling bounds how deep a type is spelled out: a damaged symbol file may
// have one that holds itself.
const maxSpelling = 24

// TypeName spells a type as dx does: "char * *", "void * (*)[5]",
// "int (__cdecl*)(int,char * *)".
func TypeName(t *types.Type) string { return declare(t, "", maxSpelling) }

// declare spells a declaration of something of the type.
func declare(t *types.Type, inner string, depth int) string {
	switch {
	case t == nil:
		return join("void", inner)
	case depth == 0:
		return "..."
	}
	elem := t.Elem()
	switch t.Kind {
	case types.Pointer:
		mark := "*"
		if t.Reference {
			mark = "&"
		}
		if elem != nil && elem.Kind == types.Array {
			return declare(elem, "("+mark+inner+")", depth-1)
		}
		if elem != nil && elem.Kind == types.Function {
			f := elem.Func()
			return fmt.Sprintf("%s (%s%s%s)(%s)", declare(elem.Elem(), "", depth-1), convention(f.CallConv), mark, inner, parameters(elem, depth-1))
		}
		if inner != "" && inner[0] != '*' && inner[0] != '&' {
			inner = " " + inner
		}
		return declare(elem, strings.TrimSpace(mark+spaced(inner)), depth-1)
	case types.Array:
		return declare(elem, fmt.Sprintf("%s[%d]", inner, t.Count), depth-1)
	case types.Function:
		f := t.Func()
		return fmt.Sprintf("%s %s%s(%s)", declare(elem, "", depth-1), convention(f.CallConv), inner, parameters(t, depth-1))
	case types.BitField:
		return declare(elem, inner, depth-1)
	}
	return join(scalarName(t), inner)
}

// spaced puts a blank in front of what follows a star.
func spaced(inner string) string {
	if inner == "" {
		return ""
	}
	return " " + strings.TrimSpace(inner)
}

func join(name, inner string) string {
	if inner == "" {
		return name
	}
	return name + " " + inner
}

func parameters(t *types.Type, depth int) string {
	f := t.Func()
	var names []string
	for _, p := range f.Params {
		names = append(names, declare(p, "", depth))
	}
	if f.Variadic {
		names = append(names, "...")
	}
	if len(names) == 0 {
		return "void"
	}
	return strings.Join(names, ",")
}

// convention names a CodeView calling convention.
func convention(c uint8) string {
	switch c {
	case 4, 5:
		return "__fastcall"
	case 7, 8:
		return "__stdcall"
	case 11:
		return "__thiscall"
	case 24:
		return "__vectorcall"
	}
	return "__cdecl"
}

// scalarName names a type that is neither pointer, array nor function.
func scalarName(t *types.Type) string {
	sign := ""
	switch t.Kind {
	case types.Void, types.Unknown:
		if t.Name == "" || t.Kind == types.Void {
			return "void"
		}
		return t.Name
	case types.Bool:
		return "bool"
	case types.Char:
		return "char"
	case types.UChar:
		return "unsigned char"
	case types.WChar:
		return "wchar_t"
	case types.HResult:
		return "long"
	case types.Float:
		switch t.Size {
		case 4:
			return "float"
		case 8:
			return "double"
		}
		return t.Name
	case types.Uint:
		sign = "unsigned "
	case types.Int:
	default:
		return aggregateName(t.Name)
	}
	if t.Name == "char16_t" || t.Name == "char32_t" || t.Name == "char8_t" {
		return t.Name
	}
	switch {
	case t.Size == 1:
		return sign + "char"
	case t.Size == 2:
		return sign + "short"
	case t.Size == 4 && strings.Contains(t.Name, "long"):
		return sign + "long"
	case t.Size == 4:
		return sign + "int"
	case t.Size == 8:
		return sign + "__int64"
	}
	return t.Name
}

// anonymousTag is the name of structures that have none.
const anonymousTag = "<anonymous-tag>"

func aggregateName(name string) string {
	if name == "" || strings.Contains(name, "<unnamed-") || strings.Contains(name, "<anonymous-") || strings.HasPrefix(name, "__unnamed") {
		return anonymousTag
	}
	return name
}
