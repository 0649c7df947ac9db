package model

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A parser reads the language. It never looks anything up but types, which
// tell a cast from an expression in brackets.
type parser struct {
	src   string
	pos   int
	depth int
	// isType reports whether a name is a type's.
	isType func(module, name string) bool
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func isNameStart(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_' || b == '$' || b >= 0x80
}

func isNameByte(b byte) bool { return isNameStart(b) || isDigit(b) }

func (p *parser) skip() {
	for p.pos < len(p.src) && isBlank(p.src[p.pos]) {
		p.pos++
	}
}

// at returns the byte at offset i from the place of reading, 0 behind the end.
func (p *parser) at(i int) byte {
	if p.pos+i < len(p.src) {
		return p.src[p.pos+i]
	}
	return 0
}

// peek skips blanks and returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	p.skip()
	return p.at(0)
}

// take moves over s when it stands next.
func (p *parser) take(s string) bool {
	p.skip()
	if !strings.HasPrefix(p.src[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

// fail returns the error that what was expected does not stand here.
func (p *parser) fail(what string) error {
	p.skip()
	if p.pos >= len(p.src) {
		return Errorf("%s at end of expression", what)
	}
	return Errorf("%s at '%s'", what, p.src[p.pos:])
}

func (p *parser) expected(what string) error { return p.fail("Expected " + what) }

// ident takes a name when one stands next.
func (p *parser) ident() (string, bool) {
	p.skip()
	start := p.pos
	if !isNameStart(p.at(0)) {
		return "", false
	}
	for p.pos < len(p.src) && isNameByte(p.src[p.pos]) {
		p.pos++
	}
	return p.src[start:p.pos], true
}

// scopedName takes what may follow a name: "::name".
func (p *parser) scopedName(name string) string {
	for p.at(0) == ':' && p.at(1) == ':' && isNameStart(p.at(2)) {
		p.pos += 2
		more, _ := p.ident()
		name += "::" + more
	}
	return name
}

// number takes a number.
func (p *parser) number() (Number, error) {
	rest := p.src[p.pos:]
	base, start := 10, 0
	if len(rest) > 1 && rest[0] == '0' {
		switch rest[1] {
		case 'x', 'X':
			base, start = 16, 2
		case 'n', 'N':
			base, start = 10, 2
		case 'y', 'Y':
			base, start = 2, 2
		default:
			base = 8
		}
	}
	if start == 0 {
		if n, v, ok := decimalPoint(rest); ok {
			p.pos += n
			return Number{Double, math.Float64bits(v)}, nil
		}
	}
	end := start
	for end < len(rest) && (digitIn(rest[end], base) || rest[end] == '`' && end > start) {
		end++
	}
	digits := strings.ReplaceAll(rest[start:end], "`", "")
	if digits == "" { // a prefix without digits: the zero alone is the number
		p.pos++
		return Number{Int32, 0}, nil
	}
	v, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return Number{}, p.expected("expression")
	}
	p.pos += end
	return Number{p.numberKind(v, base), v}, nil
}

// numberKind takes the suffix of a number and returns its kind.
func (p *parser) numberKind(v uint64, base int) NumberKind {
	unsigned, long := false, 0
	i := 0
	for ; i < 3; i++ {
		switch c := p.at(i); {
		case (c == 'u' || c == 'U') && !unsigned && i == 0:
			unsigned = true
		case (c == 'l' || c == 'L') && long < 2:
			long++
		default:
			goto done
		}
	}
done:
	p.pos += i
	switch {
	case unsigned && (long == 2 || v > math.MaxUint32):
		return Uint64
	case unsigned:
		return Uint32
	case v > math.MaxInt64 && base == 10:
		return BigDecimal
	case long == 2 || v > math.MaxInt32:
		return Int64
	}
	return Int32
}

func digitIn(b byte, base int) bool {
	switch {
	case isDigit(b):
		return int(b-'0') < base
	case base == 16:
		return b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
	}
	return false
}

// decimalPoint reads a number with a decimal point and returns its length.
func decimalPoint(s string) (n int, v float64, ok bool) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i == 0 || i >= len(s) || s[i] != '.' {
		return 0, 0, false
	}
	i++
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if j < len(s) && isDigit(s[j]) {
			for j < len(s) && isDigit(s[j]) {
				j++
			}
			i = j
		}
	}
	v, err := strconv.ParseFloat(s[:i], 64)
	if err != nil {
		v = 0
	}
	if i < len(s) && (s[i] == 'f' || s[i] == 'F') {
		i++
	}
	return i, v, true
}

// quoted takes a text in quotes; ok is false when it does not end or has an
// escape that is not known.
func (p *parser) quoted(mark byte) (text string, ok bool) {
	var b strings.Builder
	for i := p.pos + 1; i < len(p.src); {
		c := p.src[i]
		switch {
		case c == mark:
			p.pos = i + 1
			return b.String(), true
		case c == '\\':
			if i+1 >= len(p.src) {
				return "", false
			}
			e, known := escapes[p.src[i+1]]
			if !known {
				return "", false
			}
			b.WriteByte(e)
			i += 2
		default:
			_, n := utf8.DecodeRuneInString(p.src[i:])
			b.WriteString(p.src[i : i+n])
			i += n
		}
	}
	return "", false
}

var escapes = map[byte]byte{'\\': '\\', '"': '"', '\'': '\'', 'n': '\n', 'r': '\r', '0': 0}
