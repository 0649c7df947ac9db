package command

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"kdap/engine/expr"
	"kdap/engine/format"
)

// A printer runs one .printf.
type printer struct {
	s      *Session
	ctx    context.Context
	a      *expr.Cursor // the arguments
	format string
	show   func(text string)
}

// A conversion is one % of the format.
type conversion struct {
	minus, plus, blank, sharp, zero bool

	width, precision int // precision -1: none
	hasWidth         bool
	size             string // h l ll I I32 I64
	verb             byte
}

func (p *printer) run() error {
	for len(p.format) > 0 {
		text, rest, found := strings.Cut(p.format, "%")
		p.show(text)
		p.format = rest
		if !found {
			return nil
		}
		if strings.HasPrefix(rest, "%") {
			p.show("%")
			p.format = rest[1:]
			continue
		}
		if err := p.convert(); err != nil {
			return err
		}
	}
	return nil
}

func (p *printer) convert() error {
	c, err := p.conversion()
	if err != nil {
		return err
	}
	if strings.IndexByte("sSnZ", c.verb) >= 0 && c.verb != 0 {
		return expr.Caret("Unsupported format type", p.a.Pos)
	}
	v, err := p.argument()
	if err != nil {
		return err
	}
	text, ok := p.value(c, v)
	if !ok {
		return expr.Caret("Unknown format control character", p.a.Pos)
	}
	p.show(text)
	return p.ctx.Err()
}

// conversion reads flags, width, precision, size and verb.
func (p *printer) conversion() (c conversion, err error) {
	for ; p.format != ""; p.format = p.format[1:] {
		switch p.format[0] {
		case '-':
			c.minus = true
		case '+':
			c.plus = true
		case ' ':
			c.blank = true
		case '#':
			c.sharp = true
		case '0':
			c.zero = true
		default:
			goto width
		}
	}
width:
	if c.width, c.hasWidth, err = p.count(); err != nil {
		return c, err
	}
	if c.width < 0 {
		c.minus, c.width = true, -c.width
	}
	c.precision = -1
	if strings.HasPrefix(p.format, ".") {
		p.format = p.format[1:]
		if c.precision, _, err = p.count(); err != nil {
			return c, err
		}
	}
	for _, size := range []string{"I64", "I32", "I", "hh", "h", "ll", "l"} {
		if strings.HasPrefix(p.format, size) {
			c.size = size
			p.format = p.format[len(size):]
			break
		}
	}
	if p.format != "" {
		c.verb = p.format[0]
		p.format = p.format[1:]
	}
	return c, nil
}

// count reads a width or precision: digits or * for an argument.
func (p *printer) count() (n int, given bool, err error) {
	if strings.HasPrefix(p.format, "*") {
		p.format = p.format[1:]
		v, err := p.argument()
		return clampPadding(int64(int32(v))), true, err
	}
	digits := 0
	for digits < len(p.format) && p.format[digits] >= '0' && p.format[digits] <= '9' {
		digits++
	}
	v, perr := strconv.ParseInt(p.format[:digits], 10, 32)
	if perr != nil && digits > 0 {
		v = maxPadding
	}
	p.format = p.format[digits:]
	return clampPadding(v), digits > 0, nil
}

func clampPadding(v int64) int { return int(min(max(v, -maxPadding), maxPadding)) }

// argument reads the next argument.
func (p *printer) argument() (uint64, error) {
	p.a.SkipBlanks()
	if !strings.HasPrefix(p.a.Rest(), ",") {
		return 0, expr.Caret("Comma expected", p.a.Pos)
	}
	p.a.Pos++
	return p.s.number(p.a)
}

// value converts an argument to text; false for a verb that is not known.
func (p *printer) value(c conversion, v uint64) (string, bool) {
	switch c.verb {
	case 'd', 'i':
		return c.integer(c.signed(v)), true
	case 'u':
		return c.unsigned(v, 10, ""), true
	case 'x':
		return c.unsigned(v, 16, "0x"), true
	case 'X':
		return strings.ToUpper(c.unsigned(v, 16, "0x")), true
	case 'o':
		return c.unsigned(v, 8, "0"), true
	case 'c', 'C':
		if uint16(v) == 0 {
			return c.pad(""), true
		}
		return c.pad(string(utf16.Decode([]uint16{uint16(v)}))), true
	case 'p', 'P':
		if !c.hasWidth && !c.minus && !c.sharp && !c.zero && c.precision < 0 {
			return format.Hex16(v), true
		}
		c.size = "I64"
		return c.unsigned(v, 16, "0x"), true
	case 'N':
		return c.pad(strings.ToUpper(format.Hex16(v))), true
	case 'e', 'E', 'f', 'g', 'G':
		return c.float(math.Float64frombits(v)), true
	case 'y':
		return c.cutAndPad(p.s.printfSymbol(p.ctx, v, c.size == "l")), true
	case 'm':
		return p.text(c, v)
	}
	return "", false
}

// text is %ma, %mu, %msa and %msu.
func (p *printer) text(c conversion, addr uint64) (string, bool) {
	kind := "/m"
	if strings.HasPrefix(p.format, "s") {
		kind += "s"
		p.format = p.format[1:]
	}
	if !strings.HasPrefix(p.format, "a") && !strings.HasPrefix(p.format, "u") {
		return "", false
	}
	kind += p.format[:1]
	p.format = p.format[1:]
	text, err := aliasMemory(p.s.space(), addr, kind)
	if err != nil {
		text = "<NTSTATUS 0xC0000147>" // the page is not there
	}
	return c.cutAndPad(text), true
}

// printfSymbol is %y: the symbol at an address and the address.
func (s *Session) printfSymbol(ctx context.Context, va uint64, lines bool) string {
	name := s.symbolText(ctx, va)
	if name == "" {
		return format.Addr(va)
	}
	text := fmt.Sprintf("%s (%s)", name, format.Addr(va))
	if lines {
		if place, ok := s.place(ctx, va); ok {
			text += s.sourceSuffix(place)
		}
	}
	return text
}

// signed cuts an argument to the size of the conversion. Two l are as none,
// but the 32 bits are printed as a number of 64.
func (c conversion) signed(v uint64) int64 {
	switch c.size {
	case "I64", "I":
		return int64(v)
	case "h", "hh":
		return int64(int16(v))
	case "ll":
		return int64(uint32(v))
	}
	return int64(int32(v))
}

func (c conversion) unsigned(v uint64, base int, prefix string) string {
	switch c.size {
	case "I64", "I":
	case "h", "hh":
		v = uint64(uint16(v))
	default:
		v = uint64(uint32(v))
	}
	digits := strconv.FormatUint(v, base)
	if !c.sharp || v == 0 {
		prefix = ""
	}
	return c.number(prefix, digits)
}

func (c conversion) integer(v int64) string {
	digits, sign := strconv.FormatInt(v, 10), ""
	switch {
	case v < 0:
		digits, sign = digits[1:], "-"
	case c.plus:
		sign = "+"
	case c.blank:
		sign = " "
	}
	return c.number(sign, digits)
}

// number joins sign or prefix and digits, with zeros to the precision or the width.
func (c conversion) number(prefix, digits string) string {
	if c.precision == 0 && digits == "0" {
		digits = "" // as in C
	}
	zeros := c.precision
	if c.precision < 0 && c.zero && !c.minus {
		zeros = c.width - len(prefix)
	}
	if n := zeros - len(digits); n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	return c.pad(prefix + digits)
}

func (c conversion) float(v float64) string {
	precision := c.precision
	if precision < 0 {
		precision = 6
	}
	precision = min(precision, 100)
	var text string
	switch c.verb {
	case 'e', 'E':
		text = format.E(v, precision)
	case 'f':
		text = format.F(v, precision)
	default:
		text = format.G(v, precision)
	}
	if c.sharp && !strings.Contains(text, ".") {
		mantissa, exponent, cut := strings.Cut(text, "e")
		text = mantissa + "."
		if cut {
			text += "e" + exponent
		}
	}
	if c.verb == 'E' || c.verb == 'G' {
		text = strings.ToUpper(text)
	}
	sign := ""
	switch {
	case strings.HasPrefix(text, "-"):
		sign, text = "-", text[1:]
	case c.plus:
		sign = "+"
	case c.blank:
		sign = " "
	}
	if n := c.width - len(sign) - len(text); c.zero && !c.minus && n > 0 {
		text = strings.Repeat("0", n) + text
	}
	return c.pad(sign + text)
}

// cutAndPad cuts a text to the precision and fills it to the width.
func (c conversion) cutAndPad(text string) string {
	if c.precision >= 0 {
		if runes := []rune(text); len(runes) > c.precision {
			text = string(runes[:c.precision])
		}
	}
	return c.pad(text)
}

func (c conversion) pad(text string) string {
	n := c.width - utf8.RuneCountInString(text)
	switch {
	case n <= 0:
		return text
	case c.minus:
		return text + strings.Repeat(" ", n)
	}
	return strings.Repeat(" ", n) + text
}
