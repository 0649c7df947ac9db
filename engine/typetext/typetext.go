// Package typetext writes types and typed memory the way the dt command does:
// the type of a member, its value on one line, whole structures with the
// options and field lists of dt.
//
// The forms follow WinDbg's record. Everything is read when it is printed;
// what cannot be read prints as ?? and never fails. Symbol files are doubted:
// nesting is bounded, control characters in names are not written.
package typetext

import (
	"context"
	"fmt"
	"io"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/memory"
	"kdap/engine/types"
)

// A Printer knows what texts depend on besides the value. Its fields must not
// change while it is used.
type Printer struct {
	Space       memory.Space
	PointerSize int // 8 or 4, of the head values of lists and strings
	Radix       int // 10 makes numbers decimal
	SignedHex   bool
	// Symbol names an address; off is the distance from the symbol. It may be nil.
	Symbol func(va uint64) (name string, off uint64, ok bool)

	Options
}

// Options are those of the dt command.
type Options struct {
	Depth      int  // -r: levels below the first
	Block      bool // -b: embedded structures and arrays in full
	Verbose    bool // -v
	NoOffsets  bool // -o
	NoIndent   bool // -i
	Compact    bool // -c
	Unpadded   bool // names are not padded
	Elements   bool // -a behind the type: arrays element by element
	ElementMax int  // -aN: how many elements, 0 for all
}

// A dumper prints one thing.
type dumper struct {
	*Printer
	ctx   context.Context
	w     io.Writer
	width int // of names
	found bool
	last  byte // the last character written

	failed bool
	at     uint64 // the last address of a number that could not be read

	index func(text string) (int64, error) // evaluates a subscript
}

func (d *dumper) printf(format string, args ...any) { d.write(fmt.Sprintf(format, args...)) }

func (d *dumper) write(s string) {
	if s == "" {
		return
	}
	io.WriteString(d.w, s)
	d.last = s[len(s)-1]
}

// endLine ends the line unless it is ended already.
func (d *dumper) endLine() {
	if d.last != '\n' {
		d.write("\n")
	}
}

const (
	defaultWidth = 16
	// maxNesting bounds embedded structures: a damaged symbol file may have a
	// structure that holds itself.
	maxNesting = 32
)

func (d *dumper) indent(level int) string {
	if d.NoIndent || d.Compact {
		return ""
	}
	return strings.Repeat("   ", level)
}

// TypeText returns the text of a type, as dt shows it for a member without an
// address at a level of nesting.
func (p *Printer) TypeText(t *types.Type, level int) string {
	return (&dumper{Printer: p}).typeText(t, level, 0)
}

func (d *dumper) typeText(t *types.Type, level, depth int) string {
	switch {
	case t == nil:
		return "Void"
	case depth > maxNesting:
		return "..."
	}
	elem := func() string { return d.typeText(t.Elem(), level, depth+1) }
	switch t.Kind {
	case types.BitField:
		s := fmt.Sprintf("Pos %d, %d Bit", t.BitPos, t.BitLen)
		if t.BitLen != 1 {
			s += "s"
		}
		if d.Verbose {
			s = "Bitfield " + s
		}
		return s
	case types.Pointer:
		s := fmt.Sprintf("Ptr%d ", t.Size*8)
		if d.Verbose {
			s += "to "
		}
		switch {
		case d.Block:
			return s
		case t.Elem() != nil && t.Elem().Kind == types.Function:
			return s + d.indent(level) + " " + returns(t.Elem()) + " "
		}
		return s + elem()
	case types.Array:
		switch {
		case d.Block && d.Verbose:
			return fmt.Sprintf("(%d elements)  ", t.Count) + elem()
		case d.Block || d.Elements:
			return elem()
		}
		return fmt.Sprintf("[%d] ", t.Count) + elem()
	}
	name := d.name(t)
	if d.Compact && t.Kind.IsAggregate() {
		name += " "
	}
	return name
}

// name returns the name of a type that is neither pointer nor array.
func (d *dumper) name(t *types.Type) string {
	switch t.Kind {
	case types.Void, types.Unknown:
		return "Void"
	case types.Bool:
		return "Bool"
	case types.Char:
		return "Char"
	case types.UChar:
		return "UChar"
	case types.WChar:
		return "Wchar"
	case types.Int:
		if t.Size == 1 {
			return "Char"
		}
		return fmt.Sprintf("Int%dB", t.Size)
	case types.Uint:
		if t.Size == 1 {
			return "UChar"
		}
		return fmt.Sprintf("Uint%dB", t.Size)
	case types.Float:
		return "Float"
	case types.HResult:
		return "HRESULT"
	case types.Enum:
		if d.Verbose {
			return fmt.Sprintf("Enum %s,  %d total enums\n", clean(t.Name), len(t.Enumerators()))
		}
	case types.Struct, types.Class, types.Union:
		if d.Verbose {
			return Summary(t) + "\n"
		}
	case types.Function:
		return "<function>"
	}
	return clean(t.Name)
}

// Summary is what dt -v says of a structure: "struct _KEVENT, 1 elements, 0x18 bytes".
func Summary(t *types.Type) string {
	word := "struct"
	switch t.Kind {
	case types.Union:
		word = "union"
	case types.Class:
		word = "class"
	}
	return fmt.Sprintf("%s %s, %d elements, %#x bytes", word, clean(t.Name), len(t.Fields()), t.Size)
}

// returns names what a function returns; ISF tables do not tell.
func returns(function *types.Type) string {
	if t := function.Elem(); t != nil {
		return expr.ShortTypeName(t)
	}
	return "<function>"
}
