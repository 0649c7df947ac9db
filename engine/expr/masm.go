package expr

import (
	"errors"
	"strings"
)

// masm is one evaluation. The levels of the grammar are methods, weakest
// operator first; every level associates to the left.
type masm struct {
	env  Env
	c    *Cursor
	noun string
	last int // start of the token read last: memory and operand errors quote from there
	nesting
}

// nesting is how deep an evaluation is inside of things. It goes along from
// one evaluator to the other.
type nesting struct {
	depth  int // brackets and unary operators
	macros int // C++ macros: their operands may hang on a null pointer
	unread int // operands that are not evaluated: of sizeof, of the branch not taken
}

func evaluateMasm(env Env, c *Cursor, noun string) (uint64, error) {
	if noun == "" {
		noun = "Numeric expression"
	}
	m := &masm{env: env, c: c, noun: noun}
	v, err := m.expr()
	if err != nil {
		return 0, err
	}
	env.SetLast(v)
	return v, nil
}

func (m *masm) fail(what string, pos int) error { return Quote(what+" error at", m.c, pos) }

func (m *masm) missing() error { return Quote(m.noun+" missing from", m.c, m.c.Pos) }

// nested evaluates with one more level of nesting.
func (m *masm) nested(f func() (uint64, error)) (uint64, error) {
	if m.depth++; m.depth > maxDepth {
		return 0, m.fail("Overflow", m.c.Pos)
	}
	v, err := f()
	m.depth--
	return v, err
}

// expr := compare { (& | ^ and or xor) compare }
func (m *masm) expr() (uint64, error) {
	m.c.SkipBlanks()
	// An address may begin with the mark of its kind, which means nothing here.
	switch m.c.at(0) {
	case '&', '%', '#':
		m.c.Pos++
	}
	return m.binary(m.compare, func() string { return m.operator([]string{"&", "|", "^"}, "and", "or", "xor") }, logical)
}

func (m *masm) compare() (uint64, error) {
	return m.binary(m.shift, func() string {
		return m.operator([]string{"==", "!=", "<=", ">=", "=", "<", ">"})
	}, comparison)
}

func (m *masm) shift() (uint64, error) {
	return m.binary(m.sum, func() string { return m.operator([]string{">>>", "<<", ">>"}) }, shifted)
}

func (m *masm) sum() (uint64, error) {
	return m.binary(m.product, func() string { return m.operator([]string{"+", "-"}) },
		func(op string, a, b uint64) (uint64, bool) {
			if op == "+" {
				return a + b, true
			}
			return a - b, true
		})
}

func (m *masm) product() (uint64, error) {
	return m.binary(m.unary, func() string { return m.operator([]string{"*", "/", "%"}, "mod") }, multiplied)
}

// binary reads operands of the next stronger level divided by operators.
func (m *masm) binary(operand func() (uint64, error), operator func() string, apply func(string, uint64, uint64) (uint64, bool)) (uint64, error) {
	a, err := operand()
	for err == nil {
		op := operator()
		if op == "" {
			return a, nil
		}
		var b uint64
		if b, err = operand(); err != nil {
			break
		}
		var ok bool
		if a, ok = apply(op, a, b); !ok && m.unread == 0 {
			return 0, m.fail("Operand", m.last)
		}
	}
	return 0, err
}

// operator moves over the operator at the cursor if it is one of those given.
// Blanks before it are left alone when there is none.
func (m *masm) operator(signs []string, words ...string) string {
	start := m.c.Pos
	m.c.SkipBlanks()
	rest := m.c.Rest()
	for _, s := range signs {
		if strings.HasPrefix(rest, s) {
			m.c.Pos += len(s)
			return s
		}
	}
	if w := leadingWord(rest); w != "" {
		for _, s := range words {
			if strings.EqualFold(s, w) {
				m.c.Pos += len(w)
				return s
			}
		}
	}
	m.c.Pos = start
	return ""
}

func leadingWord(s string) string {
	n := 0
	for n < len(s) && isWord(s[n]) {
		n++
	}
	return s[:n]
}

func logical(op string, a, b uint64) (uint64, bool) {
	switch op {
	case "&", "and":
		return a & b, true
	case "|", "or":
		return a | b, true
	}
	return a ^ b, true
}

func comparison(op string, a, b uint64) (uint64, bool) {
	x, y := int64(a), int64(b)
	switch op {
	case "=", "==":
		return oneIf(x == y), true
	case "!=":
		return oneIf(x != y), true
	case "<":
		return oneIf(x < y), true
	case ">":
		return oneIf(x > y), true
	case "<=":
		return oneIf(x <= y), true
	}
	return oneIf(x >= y), true
}

func shifted(op string, a, b uint64) (uint64, bool) {
	switch op {
	case "<<":
		return a << (b & 63), true
	case ">>":
		return a >> (b & 63), true
	}
	return uint64(int64(a) >> (b & 63)), true
}

func multiplied(op string, a, b uint64) (uint64, bool) {
	switch {
	case op == "*":
		return a * b, true
	case b == 0:
		return 0, false
	case op == "/":
		return uint64(int64(a) / int64(b)), true
	}
	return uint64(int64(a) % int64(b)), true
}

func oneIf(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// unaryWords are the operators written as words, with the size of what the
// memory operators read; 0 stands for a pointer.
var unaryWords = map[string]func(*masm, uint64) (uint64, error){
	"not":   func(_ *masm, v uint64) (uint64, error) { return oneIf(v == 0), nil },
	"hi":    func(_ *masm, v uint64) (uint64, error) { return v >> 16 & 0xffff, nil },
	"low":   func(_ *masm, v uint64) (uint64, error) { return v & 0xffff, nil },
	"by":    func(m *masm, v uint64) (uint64, error) { return m.read(v, 1) },
	"wo":    func(m *masm, v uint64) (uint64, error) { return m.read(v, 2) },
	"dwo":   func(m *masm, v uint64) (uint64, error) { return m.read(v, 4) },
	"qwo":   func(m *masm, v uint64) (uint64, error) { return m.read(v, 8) },
	"poi":   func(m *masm, v uint64) (uint64, error) { return m.read(v, m.env.PointerSize()) },
	"$pby":  func(m *masm, v uint64) (uint64, error) { return m.readPhysical(v, 1) },
	"$pwo":  func(m *masm, v uint64) (uint64, error) { return m.readPhysical(v, 2) },
	"$pdwo": func(m *masm, v uint64) (uint64, error) { return m.readPhysical(v, 4) },
	"$pqwo": func(m *masm, v uint64) (uint64, error) { return m.readPhysical(v, 8) },
	"$ppoi": func(m *masm, v uint64) (uint64, error) { return m.readPhysical(v, m.env.PointerSize()) },
}

func (m *masm) unary() (uint64, error) {
	m.c.SkipBlanks()
	switch m.c.at(0) {
	case '+', '-', '~':
		op := m.c.at(0)
		m.c.Pos++
		v, err := m.nested(m.unary)
		switch op {
		case '-':
			v = -v
		case '~':
			v = oneIf(v == 0) // the logical not, like the word
		}
		return v, err
	}
	word := leadingWord(strings.TrimPrefix(m.c.Rest(), "$"))
	if m.c.at(0) == '$' {
		word = "$" + word
	}
	apply, ok := unaryWords[strings.ToLower(word)]
	if !ok || nameContinues(m.c.at(len(word))) {
		return m.primary()
	}
	m.c.Pos += len(word)
	v, err := m.nested(m.unary)
	if err != nil {
		return 0, err
	}
	return apply(m, v)
}

func (m *masm) primary() (uint64, error) {
	m.c.SkipBlanks()
	start := m.c.Pos
	m.last = start
	switch b := m.c.at(0); {
	case b == 0, strings.IndexByte(";,)]*/%=<>|^&", b) >= 0, b == '!' && m.c.at(1) == '=':
		return 0, m.missing()
	case isDigit(b):
		return m.number()
	case b == '\'':
		return m.characters()
	case b == '(':
		return m.bracketed(')')
	case b == '[':
		return m.bracketed(']')
	case b == '.':
		m.c.Pos++
		return m.register("$ip", start, "Bad register")
	case b == '@':
		return m.atSign()
	case b == '`':
		return m.sourceLine()
	case b == '$' || b == '!' || isWord(b):
		return m.word()
	}
	return 0, m.fail("Syntax", start)
}

func (m *masm) bracketed(closing byte) (uint64, error) {
	m.c.Pos++
	v, err := m.nested(m.expr)
	if err != nil {
		return 0, err
	}
	return v, m.expect(closing)
}

// expect moves over a character that must follow.
func (m *masm) expect(b byte) error {
	m.c.SkipBlanks()
	if m.c.at(0) != b || m.c.Pos >= m.c.end() {
		return m.fail("Syntax", m.c.Pos)
	}
	m.last = m.c.Pos
	m.c.Pos++
	return nil
}

// number reads a token that begins with a digit.
func (m *masm) number() (uint64, error) {
	start, n := m.c.Pos, 0
	for isWord(m.c.at(n)) || m.c.at(n) != 0 && strings.IndexByte("`.$@", m.c.at(n)) >= 0 ||
		n == 2 && m.c.at(2) == '-' && m.c.at(0) == '0' && m.c.at(1)|0x20 == 'n' && isDigit(m.c.at(3)) {
		n++
	}
	v, result := parseMasmNumber(m.c.Text[start:start+n], m.env.Radix())
	switch result {
	case numberBad:
		return 0, m.fail("Syntax", start)
	case numberOverflow:
		return 0, m.fail("Overflow", start)
	}
	m.c.Pos += n
	return v, nil
}

// characters reads 'ab': the first character is the highest byte, of more than
// eight the last eight count. A quote is written twice, a backslash is skipped.
func (m *masm) characters() (uint64, error) {
	start := m.c.Pos
	m.c.Pos++
	var v uint64
	for m.c.Pos < m.c.end() {
		b := m.c.at(0)
		m.c.Pos++
		switch {
		case b == '\'' && m.c.at(0) != '\'':
			return v, nil
		case b == '\'':
			m.c.Pos++
		case b == '\\':
			continue
		}
		v = v<<8 | uint64(b)
	}
	return 0, m.fail("Syntax", start)
}

func (m *masm) read(va uint64, size int) (uint64, error) {
	if m.unread > 0 {
		return 0, nil
	}
	v, err := readMemory(m.env, va, size)
	if err != nil {
		return 0, m.fail("Memory access", m.last)
	}
	return v, nil
}

func (m *masm) readPhysical(pa uint64, size int) (uint64, error) {
	if m.unread > 0 {
		return 0, nil
	}
	v, err := readPhysical(m.env, pa, size)
	if err != nil {
		return 0, m.fail("Memory access", m.last)
	}
	return v, nil
}

// register reads a register; what names the error for a name that is none.
func (m *masm) register(name string, start int, what string) (uint64, error) {
	r, err := m.env.Register(name)
	switch {
	case errors.Is(err, ErrNotFound):
		return 0, m.fail(what, start)
	case err != nil:
		return 0, m.fail("Bad register", start)
	}
	return r.Number(m.env)
}

// Number returns what the MASM evaluator sees in a register.
func (r Register) Number(env Env) (uint64, error) {
	if r.Class != Typed {
		return r.Bits, nil
	}
	v, err := r.Value.Number(env)
	if err != nil {
		return 0, nil // a structure in $t1 shows as 0
	}
	return v, nil
}
