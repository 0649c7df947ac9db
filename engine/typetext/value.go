package typetext

import (
	"fmt"
	"math"
	"strings"

	"kdap/engine/format"
	"kdap/engine/types"
)

// Value returns the value of type t at addr on one line.
func (p *Printer) Value(t *types.Type, addr uint64) string {
	flat := *p
	flat.Options = Options{NoIndent: true}
	d := dumper{Printer: &flat}
	return strings.TrimSpace(d.value(t, addr, 0))
}

// number reads a number that is shown, and notes where it failed.
func (d *dumper) number(addr uint64, size int) (uint64, bool) {
	v, ok := d.read(addr, size)
	if !ok && size <= 8 {
		d.failed, d.at = true, addr
	}
	return v, ok
}

// value returns the text of a value. Texts that end their line end with a line
// break.
func (d *dumper) value(t *types.Type, addr uint64, level int) string {
	return d.valueText(t, addr, level, 0)
}

func (d *dumper) valueText(t *types.Type, addr uint64, level, depth int) string {
	switch {
	case t == nil || depth > maxNesting:
		return "??"
	case t.Kind.IsAggregate():
		name := d.name(t)
		text, _ := d.head(t, addr)
		if d.Compact {
			name += " "
		}
		if d.Verbose && text != "" {
			text += "\n"
		}
		return name + text
	case t.Kind == types.Array:
		return d.arrayText(t, addr, level, depth)
	case t.Kind == types.Pointer:
		v, ok := d.number(addr, int(t.Size))
		if !ok {
			return "???? "
		}
		return d.pointerText(t, v, level, depth)
	case t.Kind == types.BitField:
		return d.bitField(t, addr)
	case t.Kind == types.Enum:
		v, ok := d.number(addr, int(t.Size))
		text := "??"
		if ok {
			text = enumText(t, v)
		}
		if d.Verbose {
			return d.name(t) + text + "\n"
		}
		return text
	case t.Kind == types.Void, t.Kind == types.Unknown, t.Kind == types.Function:
		return d.name(t)
	}
	v, ok := d.number(addr, int(t.Size))
	if !ok {
		return "??"
	}
	return d.numberText(t, v)
}

func (d *dumper) bitField(t *types.Type, addr uint64) string {
	size := int(t.Size)
	if e := t.Elem(); e != nil && e.Size > 0 {
		size = int(e.Size)
	}
	prefix := ""
	if d.Verbose {
		prefix = "Bitfield "
	}
	v, ok := d.number(addr, size)
	if !ok {
		return prefix + "??"
	}
	n := min(int(t.BitLen), 64)
	v >>= t.BitPos
	if n < 64 {
		v &= 1<<n - 1
	}
	return prefix + bits(v, n)
}

// enumText shows an enumerator: its value is hexadecimal without a mark.
func enumText(t *types.Type, v uint64) string {
	shift := 64 - 8*min(t.Size, 8)
	for _, e := range t.Enumerators() {
		if uint64(e.Value)<<shift == v<<shift {
			return fmt.Sprintf("%x ( %s )", v, clean(e.Name))
		}
	}
	return format.Unsigned(v) + " (No matching name)"
}

func signed(v, size uint64) int64 {
	shift := 64 - 8*min(size, 8)
	return int64(v<<shift) >> shift
}

func (d *dumper) numberText(t *types.Type, v uint64) string {
	switch t.Kind {
	case types.Char:
		return fmt.Sprintf("%d %s", signed(v, t.Size), character(v, 1))
	case types.UChar, types.WChar:
		if v == 0 {
			return "0 ''"
		}
		return fmt.Sprintf("0x%x %s", v, character(v, int(t.Size)))
	case types.Float:
		if t.Size == 4 {
			return format.G(float64(math.Float32frombits(uint32(v))), 10) + " "
		}
		return format.G(math.Float64frombits(v), 20) + " "
	case types.HResult:
		return fmt.Sprintf("0x%08x", v)
	case types.Int:
		n := signed(v, t.Size)
		switch {
		case d.SignedHex && d.Radix != 10:
			return format.Unsigned(v)
		case d.SignedHex && n >= 0 && n < 10:
			return fmt.Sprint(n)
		}
		return format.Decimal0n(n)
	}
	if d.Radix == 10 && v >= 10 {
		return fmt.Sprintf("0n%d", v)
	}
	return format.Unsigned(v)
}

func (d *dumper) arrayText(t *types.Type, addr uint64, level, depth int) string {
	elem := t.Elem()
	count := fmt.Sprintf("[%d] ", t.Count)
	if isText(elem) {
		text := count + " " + d.quoted(addr, int(elem.Size), int(min(t.Count, maxText)))
		if d.Compact {
			text += "\n" // the members that follow go on below
		}
		return text
	}
	return count + d.valueText(elem, addr, level, depth+1)
}

// pointerText shows a pointer with the value v.
func (d *dumper) pointerText(t *types.Type, v uint64, level, depth int) string {
	if v == 0 {
		return "(null) "
	}
	elem := t.Elem()
	text := "0x" + format.AddrSize(v, int(t.Size)) + " "
	switch {
	case elem == nil:
		return text
	case isText(elem):
		return text + " " + d.quoted(v, int(elem.Size), maxText)
	case d.Block:
		return text
	case elem.Kind == types.Function:
		return text + d.indent(level) + " " + returns(elem) + "  " + d.symbol(v)
	case elem.Kind.IsAggregate():
		return text + d.valueText(elem, v, level, depth+1)
	case elem.Kind == types.Void, elem.Kind == types.Unknown:
		return text + d.name(elem)
	}
	// What a pointer to a number leads to is shown too; that it cannot be read
	// does not count as an error.
	failed, at := d.failed, d.at
	text += " -> "
	if elem.Kind == types.Pointer {
		if p, ok := d.read(v, int(elem.Size)); ok {
			text += d.pointerText(elem, p, level, depth+1)
		} else {
			text += "??"
		}
	} else {
		text += d.valueText(elem, v, level, depth+1)
	}
	d.failed, d.at = failed, at
	return text
}

// symbol names what a function pointer points to.
func (d *dumper) symbol(va uint64) string {
	if d.Symbol != nil {
		if name, off, ok := d.Symbol(va); ok {
			return fmt.Sprintf("%s+%x", name, off)
		}
	}
	return "+0"
}

// NumberText returns the text of a number that is not in memory.
func (p *Printer) NumberText(t *types.Type, v uint64) string {
	d := &dumper{Printer: p}
	switch {
	case t == nil:
		return format.Unsigned(v)
	case t.Kind == types.Enum:
		return enumText(t, v)
	case t.Kind == types.Pointer:
		return d.pointerText(t, v, 0, 0)
	}
	return strings.TrimSpace(d.numberText(t, v))
}
