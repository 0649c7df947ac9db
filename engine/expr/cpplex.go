package expr

import (
	"math/bits"
	"strconv"
	"strings"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokConstant
	tokName     // identifier, with its module and joined keywords
	tokRegister // @name
	tokOther    // @@…
	tokMacro    // #NAME
	tokString
	tokOperator
	tokBad
)

type token struct {
	kind  tokenKind
	pos   int
	text  string // names without @ and #; operators
	value Value  // constants
}

// cppOperators, longest first.
var cppOperators = []string{
	"<<=", ">>=", "->", "++", "--", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
	"+", "-", "*", "/", "%", "=", "<", ">", "&", "|", "^", "!", "~", "?", ":", ",", ".", "(", ")", "[", "]", "{", "}",
}

// advance reads the next token into p.tok. The cursor stays at its end.
func (p *cpp) advance() {
	p.behind = p.c.Pos
	p.c.SkipBlanks()
	p.tok = p.scan()
}

func (p *cpp) scan() token {
	c := p.c
	t := token{pos: c.Pos}
	b := c.at(0)
	switch {
	case c.Pos >= c.end() || b == ';':
		return t
	case isDigit(b), b == '.' && isDigit(c.at(1)):
		t.kind, t.value = tokConstant, scanNumber(c)
		return t
	case b == '\'', b == 'L' && c.at(1) == '\'':
		return scanCharacters(c)
	case b == '"', b == 'L' && c.at(1) == '"':
		t.kind = tokString
		c.Pos = c.end()
		return t
	case b == '@' && c.at(1) == '@':
		t.kind = tokOther
		return t
	case b == '@' && c.at(1) == '!' && c.at(2) == '"':
		if name, _, ok := strings.Cut(c.from(c.Pos+3), `"`); ok && name != "" {
			c.Pos += 3 + len(name) + 1
			t.kind, t.text = tokName, strings.TrimPrefix(name, "!")
			return t
		}
	case b == '@':
		c.Pos++
		t.kind, t.text = tokRegister, scanWord(c, "$")
		return t
	case b == '#':
		c.Pos++
		t.kind, t.text = tokMacro, scanWord(c, "")
		return t
	case isWord(b):
		t.kind, t.text = tokName, scanName(c)
		return t
	}
	for _, op := range cppOperators {
		if strings.HasPrefix(c.Rest(), op) {
			c.Pos += len(op)
			t.kind, t.text = tokOperator, op
			return t
		}
	}
	c.Pos++
	t.kind = tokBad
	return t
}

func scanWord(c *Cursor, also string) string {
	start := c.Pos
	for isWord(c.at(0)) || c.at(0) != 0 && strings.IndexByte(also, c.at(0)) >= 0 {
		c.Pos++
	}
	return c.Text[start:c.Pos]
}

// scanName reads an identifier: module!name, Class::name. The words unsigned,
// signed, struct, class, union and enum are one name with the word behind them.
func scanName(c *Cursor) string {
	name := scanSymbol(c)
	switch name {
	case "unsigned", "signed", "struct", "class", "union", "enum":
		start := c.Pos
		c.SkipBlanks()
		if c.Pos > start && isWord(c.at(0)) && !isDigit(c.at(0)) {
			return name + " " + scanSymbol(c)
		}
		c.Pos = start
	}
	return name
}

func scanSymbol(c *Cursor) string {
	start, divided := c.Pos, false
	for {
		switch b := c.at(0); {
		case isWord(b), divided && (b == '$' || b == '?'):
		case b == '!' && !divided && (isWord(c.at(1)) || c.at(1) == '$'):
			divided = true
		case b == ':' && c.at(1) == ':' && (isWord(c.at(2)) || c.at(2) == '~'):
			c.Pos += 2
		default:
			return c.Text[start:c.Pos]
		}
		c.Pos++
	}
}

// scanNumber reads a C constant: decimal, 0x, octal or floating point, with
// the suffixes u, l, i64. Backticks mean nothing. A number too big is int 0.
func scanNumber(c *Cursor) Value {
	if v, ok := scanFloat(c); ok {
		return v
	}
	base, hex := uint64(10), false
	switch {
	case c.at(0) == '0' && c.at(1)|0x20 == 'x':
		base, hex = 16, true
		c.Pos += 2
	case c.at(0) == '0':
		base = 8
	}
	var n uint64
	overflow := false
	for ; ; c.Pos++ {
		if c.at(0) == '`' {
			continue
		}
		// An octal constant takes 8 and 9 as well: 08 is eight.
		d := digitValue(c.at(0))
		if d >= max(base, 10) {
			break
		}
		hi, lo := bits.Mul64(n, base)
		sum, carry := bits.Add64(lo, d, 0)
		overflow = overflow || hi != 0 || carry != 0
		n = sum
	}
	unsigned, wide := scanSuffix(c)
	if overflow {
		return Constant(typeInt, 0)
	}
	switch {
	case wide && unsigned:
		return Constant(typeUInt64, n)
	case wide:
		return Constant(typeInt64, n)
	case unsigned && n>>32 == 0:
		return Constant(typeUInt, n)
	case unsigned:
		return Constant(typeUInt64, n)
	case n>>31 == 0:
		return Constant(typeInt, n)
	case hex && n>>32 == 0:
		return Constant(typeUInt, n)
	case n>>63 == 0:
		return Constant(typeInt64, n)
	}
	return Constant(typeUInt64, n)
}

func scanSuffix(c *Cursor) (unsigned, wide bool) {
	for {
		switch c.at(0) | 0x20 {
		case 'u':
			unsigned = true
		case 'l':
		case 'i':
			if c.at(1) != '6' || c.at(2) != '4' {
				return unsigned, wide
			}
			c.Pos += 3
			return unsigned, true
		default:
			return unsigned, wide
		}
		c.Pos++
	}
}

// scanFloat reads a floating-point constant if one stands at the cursor.
func scanFloat(c *Cursor) (Value, bool) {
	n, point, exponent := 0, false, false
	for isDigit(c.at(n)) {
		n++
	}
	if c.at(n) == '.' {
		point = true
		for n++; isDigit(c.at(n)); n++ {
		}
	}
	if c.at(n)|0x20 == 'e' {
		e := n + 1
		if c.at(e) == '+' || c.at(e) == '-' {
			e++
		}
		if isDigit(c.at(e)) {
			exponent = true
			for n = e; isDigit(c.at(n)); n++ {
			}
		}
	}
	if !point && !exponent {
		return Value{}, false
	}
	f, _ := strconv.ParseFloat(c.Text[c.Pos:c.Pos+n], 64) // out of range is infinity
	c.Pos += n
	switch c.at(0) | 0x20 {
	case 'f':
		c.Pos++
		return fromFloat(typeFloat, f), true
	case 'l':
		c.Pos++
	}
	return fromFloat(typeDouble, f), true
}

// scanCharacters reads 'a', L'a' or 'ab'.
func scanCharacters(c *Cursor) token {
	t := token{kind: tokConstant, pos: c.Pos}
	wide := c.at(0) == 'L'
	if wide {
		c.Pos++
	}
	c.Pos++
	var v uint64
	count := 0
	for c.Pos < c.end() && c.at(0) != '\'' {
		v = v<<8 | scanCharacter(c)&0xff
		count++
		if wide {
			break
		}
	}
	if c.at(0) != '\'' || c.Pos >= c.end() {
		c.Pos = t.pos + 1
		t.kind = tokBad
		return t
	}
	c.Pos++
	switch {
	case wide:
		t.value = Constant(typeWChar, v)
	case count < 2:
		t.value = Constant(typeChar, v)
	case count == 2:
		t.value = Constant(typeShort, v)
	case count <= 4:
		t.value = Constant(typeInt, v)
	default:
		t.value = Constant(typeInt64, v)
	}
	return t
}

func scanCharacter(c *Cursor) uint64 {
	b := c.at(0)
	c.Pos++
	if b != '\\' {
		return uint64(b)
	}
	b = c.at(0)
	c.Pos++
	switch b {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'a':
		return 7
	case 'b':
		return 8
	case 'f':
		return 12
	case 'v':
		return 11
	case 'x':
		var v uint64
		for digitValue(c.at(0)) < 16 {
			v = v<<4 | digitValue(c.at(0))
			c.Pos++
		}
		return v
	}
	if b < '0' || b > '7' {
		return uint64(b)
	}
	v := uint64(b - '0')
	for i := 0; i < 2 && c.at(0) >= '0' && c.at(0) <= '7'; i++ {
		v = v<<3 | uint64(c.at(0)-'0')
		c.Pos++
	}
	return v
}
