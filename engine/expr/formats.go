package expr

import (
	"fmt"
	"math"
	"strings"

	"kdap/engine/format"
)

// Formats returns what .formats prints for a value.
func Formats(v uint64) string {
	var b strings.Builder
	row := func(label, value string) { fmt.Fprintf(&b, "  %s%s\n", label, value) }
	b.WriteString("Evaluate expression:\n")
	row("Hex:     ", format.Addr(v))
	row("Decimal: ", fmt.Sprint(int64(v)))
	row("Decimal (unsigned) : ", fmt.Sprint(v))
	row("Octal:   ", fmt.Sprintf("%022o", v))
	bits := make([]string, 8)
	chars := make([]byte, 8)
	for i := range bits {
		c := byte(v >> (56 - 8*i))
		bits[i] = fmt.Sprintf("%08b", c)
		chars[i] = '.'
		if c >= 0x20 && c <= 0x7f { // DEL too prints as itself
			chars[i] = c
		}
	}
	row("Binary:  ", strings.Join(bits, " "))
	row("Chars:   ", string(chars))
	row("Time:    ", timeText(v))
	row("Float:   ", "low "+format.G(float64(math.Float32frombits(uint32(v))), 6)+
		" high "+format.G(float64(math.Float32frombits(uint32(v>>32))), 6))
	row("Double:  ", format.G(math.Float64frombits(v), 6))
	return b.String()
}

// timeText reads a value as a C time when its high half is only a sign, else
// as a FILETIME.
func timeText(v uint64) string {
	low := uint32(v)
	switch hi := v >> 32; {
	case (hi == 0 || hi == 0xffffffff) && (low == 0 || low == 0xfffffffe):
		return "unavailable"
	case (hi == 0 || hi == 0xffffffff) && low <= math.MaxInt32:
		return format.CTime(int64(low))
	case hi == 0 || hi == 0xffffffff:
		return "***** Invalid"
	case !format.ValidFileTime(v):
		return "***** Invalid FILETIME"
	}
	return format.SessionTime(v, 0)
}

// Radix reads the operand of the n command: 8, 10 or 16, written in decimal.
func Radix(c *Cursor) (int, error) {
	c.SkipBlanks()
	start := c.Pos
	switch c.Word() {
	case "8":
		return 8, nil
	case "10":
		return 10, nil
	case "16":
		return 16, nil
	}
	return 0, Caret("Syntax error", start)
}
