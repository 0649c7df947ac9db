package typetext

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"

	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/types"
)

// maxText bounds the text shown behind a character pointer.
const maxText = 1024

// quoted returns the text at addr in quotes: characters of size bytes up to a
// NUL, at most count of them. At the first character that cannot be printed it
// ends with ???. Unreadable memory gives the debugger's sentence.
func (d *dumper) quoted(addr uint64, size, count int) string {
	var text []rune
	var pending rune
	var b []byte
	for i := 0; i < count; i++ {
		if len(b) < size {
			at := addr + uint64(i*size)
			// Never over the end of a page: what lies behind may be missing.
			n := min((count-i)*size, max(size, 0x200-int(at%0x200)))
			chunk := make([]byte, n)
			got, _ := d.Space.Read(at, chunk)
			b = append(b, chunk[:got]...)
			if len(b) < size {
				if i == 0 {
					return `"` + unreadableText(addr) + `"`
				}
				break
			}
		}
		c := rune(b[0])
		if size == 2 {
			c |= rune(b[1]) << 8
		}
		b = b[size:]
		if c == 0 {
			break
		}
		if size == 2 && utf16.IsSurrogate(c) {
			if pending == 0 {
				pending = c
				continue
			}
			c, pending = utf16.DecodeRune(pending, c), 0
		}
		if size == 1 && c >= '\t' && c <= '\r' {
			c = '.' // blanks of other kinds do not end the text
		}
		if !expr.Printable(c, size) {
			return `"` + string(text) + `???"`
		}
		text = append(text, c)
	}
	return `"` + string(text) + `"`
}

func unreadableText(addr uint64) string {
	return "--- memory read error at address 0x" + format.Addr(addr) + " ---"
}

// read reads a number of at most 8 bytes. Where only its first bytes can be
// read, the others count as zero, as the debugger has it.
func (d *dumper) read(addr uint64, size int) (uint64, bool) {
	var b [8]byte
	if size <= 0 || size > len(b) {
		return 0, false
	}
	n, _ := d.Space.Read(addr, b[:size])
	var v uint64
	for i := n - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v, n > 0
}

// head returns the short value of the structures that have one, with one blank
// in front: lists, strings, 64-bit integers, GUIDs. ok is false where the
// memory cannot be read.
func (d *dumper) head(t *types.Type, addr uint64) (text string, ok bool) {
	if !t.Kind.IsAggregate() {
		return "", true
	}
	size := d.PointerSize
	if t.Size == 8 {
		size = 4 // of 32-bit code
	}
	hex := func(v uint64) string { return "0x" + format.AddrSize(v, size) }
	switch t.Name {
	case "_LIST_ENTRY":
		flink, ok := d.read(addr, size)
		if !ok {
			return "", false
		}
		blink, _ := d.read(addr+uint64(size), size)
		return fmt.Sprintf(" [ %s - %s ]", hex(flink), hex(blink)), true
	case "_UNICODE_STRING", "_STRING":
		n, ok := d.read(addr, 2)
		buffer, ok2 := d.read(addr+uint64(size), size)
		if !ok || !ok2 {
			return "", false
		}
		unit := 1
		if t.Name == "_UNICODE_STRING" {
			unit = 2
		}
		if n < uint64(unit) {
			return ` ""`, true
		}
		return " " + d.quoted(buffer, unit, int(n)/unit), true
	case "_LARGE_INTEGER", "_ULARGE_INTEGER":
		v, ok := d.read(addr, 8)
		switch {
		case !ok:
			return "", false
		case v>>32 == 0:
			return fmt.Sprintf(" 0x%x", v), true
		}
		return " 0x" + format.Addr(v), true
	case "_GUID":
		var b [16]byte
		if n, _ := d.Space.Read(addr, b[:]); n == 0 {
			return "", false
		}
		return fmt.Sprintf(" {%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%x}",
			b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10:]), true
	}
	return "", true
}

func isString(t *types.Type) bool { return t.Name == "_UNICODE_STRING" || t.Name == "_STRING" }

// isText reports arrays and pointers of characters, which show as text.
func isText(elem *types.Type) bool {
	return elem != nil && (elem.Kind == types.Char || elem.Kind == types.UChar || elem.Kind == types.WChar)
}

// topHead prints the head value of a structure on a line of its own.
func (d *dumper) topHead(t *types.Type, addr uint64) {
	text, ok := d.head(t, addr)
	switch {
	case !ok && isString(t):
		d.write(" ")
	case !ok && t.Name == "_GUID":
		d.write(" " + unreadableText(addr) + "\n")
	case !ok || text == "":
	case text == ` ""` || d.Compact:
		d.write(text)
	default:
		d.write(text + "\n")
	}
}

// character is how a character stands behind its number.
func character(c uint64, size int) string {
	if expr.Printable(rune(c), size) {
		return "'" + string(rune(c)) + "'"
	}
	return "''"
}

func bits(v uint64, n int) string {
	var b strings.Builder
	b.WriteString("0y")
	for i := n - 1; i >= 0; i-- {
		b.WriteByte('0' + byte(v>>i&1))
	}
	switch {
	case n < 5:
	case v == 0:
		b.WriteString(" (0)")
	case v>>32 != 0:
		b.WriteString(" (0x" + format.Addr(v) + ")")
	default:
		fmt.Fprintf(&b, " (0x%x)", v)
	}
	return b.String()
}

// clean replaces what a name in a damaged symbol file could do to a terminal.
func clean(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '.'
		}
		return r
	}, name)
}
