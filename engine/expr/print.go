package expr

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"

	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/types"
)

// A Printer prints what the dt command knows how to print, below the line that
// ?? begins with.
type Printer interface {
	// Members returns the lines of a structure at addr: its short form, if it
	// has one, and its members.
	Members(t *types.Type, addr uint64) string
	// Element returns the line of the first element of an array.
	Element(t *types.Type, addr uint64) string
}

// Print returns what ?? prints for a value. Without a printer, structures and
// arrays show their first line only.
func Print(env Env, v Value, p Printer) string {
	t := v.Type
	head := TypeName(t) + " "
	switch {
	case t == nil:
		return "<unnamed 0> <0>\n"
	case t.Kind == types.Void:
		return "void \n"
	case t.Kind.IsAggregate():
		return TypeName(t) + "\n" + members(v.Addr, t, p)
	case t.Kind == types.Array:
		s := head + "0x" + format.Addr(v.Addr) + "\n"
		if elem := t.Elem(); p != nil && elem != nil {
			if elem.Kind.IsAggregate() {
				return s + p.Members(elem, v.Addr)
			}
			s += p.Element(elem, v.Addr)
		}
		return s
	case t.Kind == types.Function:
		return head + "0x" + format.Addr(v.Addr) + "\n" + Prototype(v.Name, t)
	case t.Kind == types.Pointer:
		return head + "0x" + format.Addr(v.Bits) + "\n" + pointee(env, v, p)
	case !isNumber(t):
		return head + "\n"
	}
	return head + NumberText(v) + "\n"
}

func members(addr uint64, t *types.Type, p Printer) string {
	if p == nil {
		return ""
	}
	return p.Members(t, addr)
}

// pointee prints what a pointer points to: the text of a character pointer,
// the members of a structure that can be read.
func pointee(env Env, v Value, p Printer) string {
	t := v.Type.Elem()
	switch {
	case t == nil:
		return ""
	case isCharacter(t) && v.Bits == 0:
		return " \"\"\n"
	case isCharacter(t):
		return " " + QuotedText(env.Memory(), v.Bits, int(t.Size)) + "\n"
	case t.Kind.IsAggregate() && v.Bits != 0 && readable(env.Memory(), v.Bits, 1):
		return members(v.Bits, t, p)
	}
	return ""
}

func isCharacter(t *types.Type) bool {
	return t.Kind == types.Char || t.Kind == types.UChar || t.Kind == types.WChar
}

// maxText bounds the text shown behind a character pointer.
const maxText = 1024

// QuotedText returns the zero-terminated text at addr in quotes, of characters
// of one or two bytes. At the first character that cannot be printed it ends
// with ???. Unreadable memory gives the debugger's sentence.
func QuotedText(space memory.Space, addr uint64, size int) string {
	var text []rune
	var pending uint16
	for i := range maxText {
		at := addr + uint64(i*size)
		c, err := uint64(0), error(ErrUnavailable)
		if space != nil {
			c, err = memory.ReadUint(space, at, size)
		}
		if err != nil {
			if i == 0 {
				return `"--- memory read error at address 0x` + format.Addr(addr) + ` ---"`
			}
			break
		}
		if c == 0 {
			break
		}
		r := rune(c)
		if size == 2 && utf16.IsSurrogate(r) {
			if pending == 0 {
				pending = uint16(c)
				continue
			}
			r, pending = utf16.DecodeRune(rune(pending), r), 0
		}
		if !Printable(r, size) {
			return `"` + string(text) + `???"`
		}
		text = append(text, r)
	}
	return `"` + string(text) + `"`
}

// Printable reports whether the debugger shows a character as itself. Bytes
// above 0x7e are not; of wide characters letters, digits and punctuation are.
func Printable(r rune, size int) bool {
	if r < 0x7f || size == 1 {
		return r >= 0x20 && r < 0x7f
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsPunct(r)
}

// NumberText returns a number the way ?? shows it behind its type.
func NumberText(v Value) string {
	t := storage(v.Type)
	switch {
	case t == nil:
		return format.Unsigned(v.Bits)
	case t.Kind == types.Enum:
		return enumText(v, t)
	case t.Kind == types.Bool:
		if v.Bits == 0 {
			return "false"
		}
		return "true"
	case t.Kind == types.Float && t.Size == 4:
		return format.G(v.Float(), 10)
	case t.Kind == types.Float:
		return format.G(v.Float(), 20)
	case t.Kind == types.Char:
		return format.Decimal0n(v.Signed()) + " " + characterText(v.Bits, 1)
	case t.Kind == types.UChar:
		return fmt.Sprintf("0x%02x %s", v.Bits, characterText(v.Bits, 1))
	case t.Kind == types.WChar:
		return fmt.Sprintf("0x%02x %s", v.Bits, characterText(v.Bits, 2))
	case t.Kind == types.Pointer:
		return "0x" + format.Addr(v.Bits)
	case t.Kind == types.HResult:
		return fmt.Sprintf("0x%08x", v.Bits)
	case isSigned(t):
		return format.Decimal0n(v.Signed())
	}
	return format.Unsigned(v.Bits)
}

func characterText(c uint64, size int) string {
	if Printable(rune(c), size) {
		return "'" + string(rune(c)) + "'"
	}
	return "''"
}

func enumText(v Value, t *types.Type) string {
	n := v.Signed()
	for _, e := range t.Enumerators() {
		if truncate(uint64(e.Value), t) == truncate(v.Bits, t) {
			return fmt.Sprintf("%s (%s)", e.Name, format.Decimal0n(n))
		}
	}
	return format.Decimal0n(n) + " (No matching enumerant)"
}

// Prototype returns a function's prototype: return type, name with offset 0,
// one argument a line.
func Prototype(name string, t *types.Type) string {
	f := t.Func()
	params := make([]string, 0, len(f.Params)+1)
	for _, a := range f.Params {
		params = append(params, ShortTypeName(a))
	}
	if f.Variadic {
		params = append(params, "...")
	}
	var b strings.Builder
	fmt.Fprintf(&b, " %s  %s+0(", ShortTypeName(f.Elem), name)
	for i, a := range params {
		b.WriteString("\n\t" + a)
		if i < len(params)-1 {
			b.WriteString(", ")
		}
	}
	b.WriteString(")\n")
	return b.String()
}
