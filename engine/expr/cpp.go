package expr

import (
	"kdap/engine/types"
)

// cpp is one evaluation of the C++ evaluator. It computes while it parses, one
// token ahead; errors quote from the token that stands there.
type cpp struct {
	env    Env
	c      *Cursor
	tok    token
	behind int // end of the token before tok
	nesting

	// pending is an operand that was read to see whether it is a type.
	pending *Value
}

// Cpp evaluates a C++ expression at the cursor and moves the cursor behind it.
func Cpp(env Env, c *Cursor) (Value, error) {
	p := &cpp{env: env, c: c}
	p.advance()
	v, err := p.comma()
	c.Pos = p.behind
	if err != nil {
		return v, err
	}
	if n, err := v.Number(env); err == nil {
		env.SetLast(n)
	}
	return v, nil
}

func evaluateCpp(env Env, c *Cursor) (uint64, error) {
	c.SkipBlanks()
	start := c.Pos
	v, err := Cpp(env, c)
	if err != nil {
		return 0, err
	}
	n, err := v.Number(env)
	if err != nil {
		return 0, Quote("Type conflict error at", c, start)
	}
	return n, nil
}

// cppInside evaluates what stands in an @@c++( … ) and moves behind its bracket.
func cppInside(env Env, c *Cursor, in nesting) (Value, error) {
	p := &cpp{env: env, c: c, nesting: in}
	return p.inside()
}

// inside reads an expression and its closing bracket.
func (p *cpp) inside() (Value, error) {
	p.advance()
	v, err := p.comma()
	if err != nil {
		return v, err
	}
	if !p.is(")") {
		return v, p.fail("Syntax error at")
	}
	return v, nil
}

func (p *cpp) fail(text string) error { return Quote(text, p.c, p.tok.pos) }

func (p *cpp) conflict() error { return p.fail("Type conflict error at") }

func (p *cpp) is(op string) bool { return p.tok.kind == tokOperator && p.tok.text == op }

// take moves over an operator if it is the next token.
func (p *cpp) take(op string) bool {
	if !p.is(op) {
		return false
	}
	p.advance()
	return true
}

// expect moves over a token that must follow.
func (p *cpp) expect(op string) error {
	if !p.take(op) {
		return p.fail("Unexpected token")
	}
	return nil
}

func (p *cpp) nested(f func() (Value, error)) (Value, error) {
	if p.depth++; p.depth > maxDepth {
		return Value{}, p.fail("Overflow error at")
	}
	v, err := f()
	p.depth--
	return v, err
}

// load makes the value of type t at addr; a failure to read quotes from pos.
func (p *cpp) load(t *types.Type, addr uint64, imaginary bool, pos int) (Value, error) {
	if imaginary || p.unread > 0 {
		return Value{Type: t, Addr: addr, Located: true, imaginary: true}, nil
	}
	v, err := At(p.env, t, addr)
	if err != nil {
		return v, Quote("Memory access error at", p.c, pos)
	}
	return v, nil
}

func (p *cpp) comma() (Value, error) {
	v, err := p.assignment()
	for err == nil && p.take(",") {
		v, err = p.assignment()
	}
	return v, err
}

// assignment refuses: neither constants nor a dump's memory can be changed.
func (p *cpp) assignment() (Value, error) {
	v, err := p.conditional()
	if err != nil || p.tok.kind != tokOperator {
		return v, err
	}
	switch p.tok.text {
	case "=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=":
	default:
		return v, nil
	}
	if !v.Located || v.imaginary {
		return v, p.conflict()
	}
	p.advance()
	right, err := p.nested(p.assignment)
	if err != nil {
		return v, err
	}
	if _, err := convert(right, v.Type); err != nil {
		return v, p.conflict()
	}
	return v, p.fail("Memory access error at")
}

func (p *cpp) conditional() (Value, error) {
	cond, err := p.binary(0)
	if err != nil || !p.take("?") {
		return cond, err
	}
	yes, err := truthOf(cond)
	if err != nil {
		return cond, p.conflict()
	}
	a, err := p.branch(yes, p.comma)
	if err != nil {
		return a, err
	}
	if err := p.expect(":"); err != nil {
		return a, err
	}
	b, err := p.branch(!yes, p.conditional)
	if yes {
		return a, err
	}
	return b, err
}

// branch reads an operand that counts only if taken is true.
func (p *cpp) branch(taken bool, f func() (Value, error)) (Value, error) {
	if !taken {
		p.unread++
		defer func() { p.unread-- }()
	}
	return p.nested(f)
}

// binaryLevels are the binary operators, weakest first.
var binaryLevels = [...][]string{
	{"||"},
	{"&&"},
	{"|"},
	{"^"},
	{"&"},
	{"==", "!="},
	{"<", ">", "<=", ">="},
	{"<<", ">>"},
	{"+", "-"},
	{"*", "/", "%"},
}

func (p *cpp) binary(level int) (Value, error) {
	if level == len(binaryLevels) {
		return p.unary()
	}
	a, err := p.binary(level + 1)
	for err == nil {
		op := p.operatorOf(binaryLevels[level])
		if op == "" {
			break
		}
		p.advance()
		var b Value
		if op == "&&" || op == "||" {
			a, err = p.shortCircuit(op, a, level)
			continue
		}
		if b, err = p.binary(level + 1); err != nil {
			break
		}
		a, err = p.apply(op, a, b)
	}
	return a, err
}

func (p *cpp) operatorOf(ops []string) string {
	if p.tok.kind == tokOperator {
		for _, op := range ops {
			if p.tok.text == op {
				return op
			}
		}
	}
	return ""
}

func (p *cpp) shortCircuit(op string, a Value, level int) (Value, error) {
	x, err := truthOf(a)
	if err != nil {
		return a, p.conflict()
	}
	b, err := p.branch(x == (op == "&&"), func() (Value, error) { return p.binary(level + 1) })
	if err != nil {
		return b, err
	}
	y, err := truthOf(b)
	if err != nil {
		return b, p.conflict()
	}
	if op == "&&" {
		return Constant(typeBool, oneIf(x && y)), nil
	}
	return Constant(typeBool, oneIf(x || y)), nil
}

func (p *cpp) unary() (Value, error) {
	if p.pending != nil {
		return p.postfix()
	}
	if p.tok.kind == tokName && p.tok.text == "sizeof" {
		return p.sizeOf()
	}
	if p.tok.kind != tokOperator {
		return p.postfix()
	}
	switch op := p.tok.text; op {
	case "+", "-", "!", "~":
		p.advance()
		v, err := p.nested(p.unary)
		if err != nil {
			return v, err
		}
		return p.negate(op, v)
	case "*":
		p.advance()
		v, err := p.nested(p.unary)
		if err != nil {
			return v, err
		}
		return p.dereference(v)
	case "&":
		p.advance()
		v, err := p.nested(p.unary)
		if err != nil {
			return v, err
		}
		return p.addressOf(v)
	case "++", "--":
		p.advance()
		v, err := p.nested(p.unary)
		if err != nil {
			return v, err
		}
		return v, p.fail("Memory access error at")
	case "(":
		return p.bracketOrCast()
	}
	return p.postfix()
}
