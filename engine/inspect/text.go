package inspect

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"

	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/types"
)

// maxText bounds a string that is shown on one line.
const maxText = 1024

// number returns dt's text of a number of type t.
func number(t *types.Type, bits uint64) string {
	switch t.Kind {
	case types.Bool:
		return strconv.FormatUint(bits, 10)
	case types.UChar:
		return character(hexOrZero(bits&0xff), rune(bits&0xff), 1)
	case types.Char:
		return character(strconv.FormatInt(int64(int8(bits)), 10), rune(bits&0xff), 1)
	case types.WChar:
		return character(hexOrZero(bits&0xffff), rune(bits&0xffff), 2)
	case types.Int:
		return format.Decimal0n(signed(t, bits))
	case types.HResult:
		return fmt.Sprintf("0x%08x", uint32(bits))
	case types.Float:
		if t.Size == 4 {
			return format.G(float64(math.Float32frombits(uint32(bits))), 10)
		}
		return format.G(math.Float64frombits(bits), 20)
	case types.Enum:
		for _, e := range t.Enumerators() {
			if truncate(uint64(e.Value), t.Size) == bits {
				return fmt.Sprintf("%x ( %s )", bits, e.Name)
			}
		}
		return fmt.Sprintf("%#x (No matching name)", bits)
	case types.BitField:
		s := fmt.Sprintf("0y%0*b", max(1, int(t.BitLen)), bits)
		if elem := t.Elem(); elem != nil && elem.Kind == types.Enum {
			return number(elem, bits)
		}
		if t.BitLen >= 5 {
			s += fmt.Sprintf(" (%s)", hexOrZero(bits))
		}
		return s
	}
	return format.Unsigned(bits)
}

func hexOrZero(v uint64) string {
	if v == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", v)
}

func truncate(v, size uint64) uint64 {
	if size < 8 {
		v &= 1<<(8*size) - 1
	}
	return v
}

func signed(t *types.Type, bits uint64) int64 {
	w := 8 * t.Size
	if w == 0 || w >= 64 {
		return int64(bits)
	}
	return int64(bits<<(64-w)) >> (64 - w)
}

func character(number string, r rune, size int) string {
	if !expr.Printable(r, size) {
		r = 0
	}
	switch {
	case number == "0":
		return "0 ''"
	case r == 0:
		return number + " ''"
	}
	return number + " '" + string(r) + "'"
}

// pointer returns dt's text of an address: sixteen digits with a grave accent.
func pointer(va, size uint64) string { return "0x" + format.AddrSize(va, int(size)) }

// quoted returns the string at addr in quotes, or why it cannot be read.
func quoted(space memory.Space, addr uint64, charSize int) (string, error) {
	if charSize == 1 {
		s, err := types.ReadCString(space, addr, maxText)
		if err != nil && s == "" {
			return "", err
		}
		return Quote(s), nil
	}
	var units []uint16
	for i := range maxText {
		v, err := memory.ReadUint(space, addr+uint64(2*i), 2)
		if err != nil && i == 0 {
			return "", err
		}
		if err != nil || v == 0 {
			break
		}
		units = append(units, uint16(v))
	}
	return Quote(string(utf16.Decode(units))), nil
}

// Quote puts text in quotes and makes what is not printable visible.
func Quote(s string) string { return strconv.Quote(strings.ToValidUTF8(s, "\ufffd")) }

// head returns what dt shows behind the name of a well-known structure.
func head(o types.Object) (string, bool, error) {
	t := o.Type()
	switch t.Name {
	case "_LIST_ENTRY":
		f, err := o.Field("Flink").Uint()
		if err != nil {
			return "", true, err
		}
		b, err := o.Field("Blink").Uint()
		return fmt.Sprintf("[ %s - %s ]", pointer(f, 8), pointer(b, 8)), true, err
	case "_UNICODE_STRING":
		s, err := o.UnicodeString()
		return Quote(s), true, err
	case "_STRING", "_ANSI_STRING":
		return ansi(o)
	case "_LARGE_INTEGER", "_ULARGE_INTEGER":
		v, err := o.Field("QuadPart").Uint()
		if v>>32 == 0 {
			return fmt.Sprintf("%#x", v), true, err
		}
		return "0x" + format.Addr(v), true, err
	case "_GUID":
		b, err := o.Bytes()
		if err != nil || len(b) != 16 {
			return "", true, err
		}
		return fmt.Sprintf("{%08x-%04x-%04x-%x-%x}", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]),
			binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:]), true, nil
	}
	return "", false, nil
}

func ansi(o types.Object) (string, bool, error) {
	n, err := o.Field("Length").Uint()
	if err != nil {
		return "", true, err
	}
	buf, err := o.Field("Buffer").Uint()
	if err != nil || n == 0 || buf == 0 {
		return `""`, true, err
	}
	b, err := memory.ReadBytes(o.Space(), buf, int(min(n, maxText)))
	return Quote(string(b)), true, err
}

// typeName spells a type as ?? does, but bit fields with their width.
func typeName(t *types.Type) string {
	switch {
	case t == nil:
		return ""
	case t.Kind == types.BitField:
		return fmt.Sprintf("%s:%d", typeName(t.Elem()), t.BitLen)
	}
	return expr.TypeName(t)
}

func (v *Viewer) symbol(ctx context.Context, va uint64) string {
	if v == nil || v.Symbol == nil || va == 0 {
		return ""
	}
	return v.Symbol(ctx, va)
}
