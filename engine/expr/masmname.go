package expr

import (
	"errors"
	"strconv"
	"strings"
)

// nameContinues reports whether b can stand inside a symbol's name.
func nameContinues(b byte) bool {
	return isWord(b) || b == '$' || b == '.' || b == '@' || b == '?'
}

// word reads what begins with a letter, _, $ or !: a hexadecimal number, a
// function, a register, a pseudo-register or a symbol, in this order.
func (m *masm) word() (uint64, error) {
	start := m.c.Pos
	if v, ok, err := m.wordNumber(); ok {
		return v, err
	}
	name, ok := m.symbolName()
	if !ok {
		return 0, m.fail("Syntax", start)
	}
	lower := strings.ToLower(name)
	switch lower {
	case "and", "or", "xor", "mod":
		m.c.Pos = start
		return 0, m.missing()
	}
	if f, ok := functions[lower]; ok {
		return f(m, start)
	}
	if isRegisterName(name) {
		r, err := m.env.Register(lower)
		switch {
		case err == nil:
			return r.Number(m.env)
		case !errors.Is(err, ErrNotFound):
			return 0, m.fail("Bad register", start)
		}
	}
	return m.symbol(name, start)
}

func isRegisterName(name string) bool {
	return strings.IndexByte(name, '!') < 0 && strings.IndexByte(name, '.') < 0
}

// wordNumber reads a number that begins with a letter, if the word is one.
func (m *masm) wordNumber() (uint64, bool, error) {
	n := 0
	for isWord(m.c.at(n)) || m.c.at(n) == '`' {
		n++
	}
	next := m.c.at(n)
	if n == 0 || nameContinues(next) || next == '!' && m.c.at(n+1) != '=' || next == ':' {
		return 0, false, nil
	}
	v, result := parseMasmNumber(m.c.Text[m.c.Pos:m.c.Pos+n], m.env.Radix())
	switch result {
	case numberBad:
		return 0, false, nil
	case numberOverflow:
		return 0, true, m.fail("Overflow", m.c.Pos)
	}
	m.c.Pos += n
	return v, true, nil
}

// symbolName reads the longest name at the cursor: mod!name, mod:name, !name
// or name. It fails when nothing follows the !.
func (m *masm) symbolName() (string, bool) {
	var b strings.Builder
	divided := false
	for m.c.Pos < m.c.end() {
		switch ch := m.c.at(0); {
		case nameContinues(ch):
			b.WriteByte(ch)
		case ch == ':' && m.c.at(1) == ':':
			b.WriteString("::")
			m.c.Pos++
			if m.c.at(1) == '~' {
				b.WriteByte('~')
				m.c.Pos++
			}
		case !divided && (ch == '!' && m.c.at(1) != '=' || ch == ':' && nameContinues(m.c.at(1))):
			if !nameContinues(m.c.at(1)) && m.c.at(1) != ':' {
				return "", false
			}
			divided = true
			if b.Len() > 0 {
				b.WriteByte('!')
			}
		default:
			return b.String(), b.Len() > 0
		}
		m.c.Pos++
	}
	return b.String(), b.Len() > 0
}

func (m *masm) symbol(name string, start int) (uint64, error) {
	s, err := m.env.Symbol(name)
	switch {
	case errors.Is(err, ErrAmbiguous):
		return 0, m.fail("Ambiguous symbol", start)
	case err != nil:
		return 0, m.fail("Couldn't resolve", start)
	case s.Unavailable:
		return 0, m.fail("Value unavailable", start)
	case s.Constant, s.InRegister:
		return s.Bits, nil
	}
	return s.Addr, nil
}

// atSign reads what begins with @: a register, @!"symbol" or another evaluator.
func (m *masm) atSign() (uint64, error) {
	start := m.c.Pos
	switch {
	case m.c.at(1) == '@':
		return m.otherEvaluator(start)
	case m.c.at(1) == '!':
		return m.quotedSymbol(start)
	}
	m.c.Pos++
	n := 0
	for isWord(m.c.at(n)) || m.c.at(n) == '$' {
		n++
	}
	name := m.c.Text[m.c.Pos : m.c.Pos+n]
	m.c.Pos += n
	if name == "" {
		return 0, m.fail("Bad register", start)
	}
	return m.register(strings.ToLower(name), start, "Bad register")
}

// quotedSymbol reads @!"mod!a name with odd characters".
func (m *masm) quotedSymbol(start int) (uint64, error) {
	if m.c.at(2) != '"' {
		return 0, m.fail("Syntax", start)
	}
	name, _, ok := strings.Cut(m.c.Text[m.c.Pos+3:m.c.end()], `"`)
	if !ok || name == "" {
		return 0, m.fail("Syntax", start)
	}
	s, err := m.env.Symbol(strings.TrimPrefix(name, "!"))
	if err != nil {
		return 0, m.missing()
	}
	m.c.Pos += 3 + len(name) + 1
	if s.Constant || s.InRegister {
		return s.Bits, nil
	}
	return s.Addr, nil
}

// alternate finds which evaluator an @@ form names and where its text stands.
// It leaves the cursor behind the opening bracket.
func alternate(c *Cursor, outer Kind) (kind Kind, closing int, err error) {
	start := c.Pos
	c.Pos += 2
	switch {
	case c.Accept("c++("):
		kind = CppKind
	case c.Accept("masm("):
		kind = MasmKind
	case c.Accept("("):
		kind = CppKind
		if outer == CppKind {
			kind = MasmKind
		}
	case c.at(0) == 0:
		return 0, 0, Quote("Syntax error at", c, start)
	default:
		return 0, 0, Caret("Syntax error", start)
	}
	depth := 1
	for i := c.Pos; i < c.end(); i++ {
		switch c.Text[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return kind, i, nil
			}
		}
	}
	if outer == CppKind {
		return 0, 0, Quote("EOF in alternate evaluator expression", c, start)
	}
	return 0, 0, Quote("Syntax error at", c, start)
}

func (m *masm) otherEvaluator(start int) (uint64, error) {
	kind, _, err := alternate(m.c, MasmKind)
	if err != nil {
		return 0, err
	}
	if kind == MasmKind {
		v, err := m.nested(m.expr)
		if err != nil {
			return 0, err
		}
		return v, m.expect(')')
	}
	var number uint64
	_, err = m.nested(func() (uint64, error) {
		v, err := cppInside(m.env, m.c, m.nesting)
		if err != nil {
			return 0, err
		}
		number, err = v.Number(m.env)
		if err != nil {
			err = m.fail("Type conflict", start)
		}
		return 0, err
	})
	m.last = m.c.Pos - 1
	return number, err
}

// sourceLine reads `file.c:60` and `mod!file.c:60`.
func (m *masm) sourceLine() (uint64, error) {
	start := m.c.Pos
	text, _, ok := strings.Cut(m.c.Text[start+1:m.c.end()], "`")
	if !ok {
		return 0, m.fail("Syntax", start)
	}
	module, file := "", text
	if mod, rest, ok := strings.Cut(text, "!"); ok {
		module, file = mod, rest
	}
	line := 0
	if i := strings.LastIndexByte(file, ':'); i >= 0 {
		if n, err := strconv.ParseUint(strings.TrimSpace(file[i+1:]), 0, 31); err == nil {
			file, line = file[:i], int(n)
		} else if file[i+1:] == "" {
			file = file[:i]
		}
	}
	addr, err := m.env.SourceLine(module, file, line)
	switch {
	case errors.Is(err, ErrAmbiguous):
		return 0, m.fail("Ambiguous symbol", start)
	case err != nil:
		return 0, m.fail("No information found", start)
	}
	m.c.Pos += len(text) + 2
	return addr, nil
}
