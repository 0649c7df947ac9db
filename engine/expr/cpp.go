package expr

import (
	"errors"
	"strings"

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

// bracketOrCast reads what begins with a round bracket.
func (p *cpp) bracketOrCast() (Value, error) {
	return p.nested(func() (Value, error) {
		p.advance()
		v, t, err := p.bracketed()
		switch {
		case err != nil:
			return v, err
		case t == nil:
			return p.suffixes(v)
		}
		if v, err = p.unary(); err != nil {
			return v, err
		}
		return p.cast(v, t)
	})
}

// bracketed reads an expression or a type up to its closing round bracket.
func (p *cpp) bracketed() (Value, *types.Type, error) {
	if p.tok.kind == tokName && p.tok.text != "sizeof" && !castWords[p.tok.text] {
		v, t, err := p.name()
		if err != nil {
			return v, nil, err
		}
		if t != nil {
			if !p.is("(") {
				if t, err = p.declarator(t); err == nil {
					err = p.expect(")")
				}
				return v, t, err
			}
			if strings.HasPrefix(strings.TrimLeft(p.c.Rest(), " "), "*") { // the (*) of a declarator
				return v, nil, p.fail("Unexpected token")
			}
			if v, err = p.functionalCast(t); err != nil {
				return v, nil, err
			}
		}
		p.pending = &v
	}
	v, err := p.comma()
	if err == nil {
		err = p.expect(")")
	}
	return v, nil, err
}

func (p *cpp) cast(v Value, t *types.Type) (Value, error) {
	out, err := convert(v, t)
	if err != nil {
		return out, p.conflict()
	}
	return out, nil
}

// declarator reads the stars and array sizes of a type name.
func (p *cpp) declarator(t *types.Type) (*types.Type, error) {
	for steps := 0; ; steps++ {
		switch {
		case steps > maxSpelling:
			return nil, p.fail("Overflow error at")
		case p.take("*"):
			t = PointerTo(t, p.env.PointerSize())
		case p.tok.kind == tokName && (p.tok.text == "const" || p.tok.text == "volatile"):
			p.advance()
		case p.take("["):
			n, err := p.nested(p.comma)
			if err != nil {
				return nil, err
			}
			count, err := n.Number(p.env)
			if err != nil || count > 1<<32 || t.Size > 1<<32 {
				return nil, p.conflict()
			}
			if err := p.expect("]"); err != nil {
				return nil, err
			}
			t = arrayOf(t, count)
		default:
			return t, nil
		}
	}
}

func (p *cpp) sizeOf() (Value, error) {
	p.advance()
	p.unread++
	defer func() { p.unread-- }()
	size := func(t *types.Type) (Value, error) {
		if t == nil {
			return Constant(typeUInt64, 8), nil
		}
		return Constant(typeUInt64, storage(t).Size), nil
	}
	if p.is("(") {
		return p.nested(func() (Value, error) {
			p.advance()
			v, t, err := p.bracketed()
			if err == nil && t == nil {
				v, err = p.suffixes(v)
				t = v.Type
			}
			if err != nil {
				return v, err
			}
			return size(t)
		})
	}
	v, err := p.nested(p.unary)
	if err != nil {
		return v, err
	}
	return size(v.Type)
}

var castWords = map[string]bool{
	"static_cast": true, "reinterpret_cast": true, "const_cast": true, "dynamic_cast": true,
}

// typeInside reads a type up to its closing bracket.
func (p *cpp) typeInside(closing string) (*types.Type, error) {
	if p.tok.kind != tokName {
		return nil, p.fail("Unexpected token")
	}
	_, t, err := p.name()
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, p.fail("Unexpected token")
	}
	if t, err = p.declarator(t); err != nil {
		return nil, err
	}
	return t, p.expect(closing)
}

func (p *cpp) namedCast() (Value, error) {
	p.advance()
	if err := p.expect("<"); err != nil {
		return Value{}, err
	}
	t, err := p.typeInside(">")
	if err != nil {
		return Value{}, err
	}
	return p.functionalCast(t)
}

// functionalCast reads the bracketed operand of T(x).
func (p *cpp) functionalCast(t *types.Type) (Value, error) {
	if err := p.expect("("); err != nil {
		return Value{}, err
	}
	v, err := p.nested(p.comma)
	if err != nil {
		return v, err
	}
	if err := p.expect(")"); err != nil {
		return v, err
	}
	return p.cast(v, t)
}

func (p *cpp) postfix() (Value, error) {
	v, err := p.primary()
	if err != nil {
		return v, err
	}
	return p.suffixes(v)
}

func (p *cpp) primary() (Value, error) {
	if v := p.pending; v != nil {
		p.pending = nil
		return *v, nil
	}
	start := p.tok
	switch start.kind {
	case tokConstant:
		p.advance()
		return start.value, nil
	case tokString:
		return Value{}, p.fail("String literals not allowed in")
	case tokBad:
		return Value{}, p.fail("Unexpected character in")
	case tokRegister:
		p.advance()
		return p.register(start)
	case tokMacro:
		return p.nested(p.macro)
	case tokOther:
		return p.otherEvaluator()
	case tokName:
		if castWords[start.text] {
			return p.namedCast()
		}
		v, t, err := p.name()
		if err == nil && t != nil {
			v, err = p.functionalCast(t)
		}
		return v, err
	}
	return Value{}, p.fail("Syntax error at")
}

func (p *cpp) otherEvaluator() (Value, error) {
	p.c.Pos = p.tok.pos
	kind, _, err := alternate(p.c, CppKind)
	if err != nil {
		return Value{}, err
	}
	return p.nested(func() (Value, error) {
		if kind == CppKind {
			v, err := cppInside(p.env, p.c, p.nesting)
			if err == nil {
				p.advance()
			}
			return v, err
		}
		m := &masm{env: p.env, c: p.c, noun: "Numeric expression", nesting: p.nesting}
		n, err := m.nested(m.expr)
		if err == nil {
			err = m.expect(')')
		}
		if err != nil {
			return Value{}, err
		}
		p.advance()
		return Constant(typeUInt64, n), nil
	})
}

func (p *cpp) register(at token) (Value, error) {
	r, err := p.env.Register(strings.ToLower(at.text))
	if err != nil || at.text == "" {
		return Value{}, Quote("Bad register error at", p.c, at.pos)
	}
	switch r.Class {
	case Flags:
		return Constant(typeUInt, r.Bits), nil
	case Segment:
		return Constant(typeUShort, r.Bits), nil
	case FloatReg:
		return Constant(typeDouble, r.Bits), nil
	case Vector:
		return Value{}, Quote("Internal implementation error at", p.c, at.pos)
	case Typed:
		return r.Value, nil
	}
	return Constant(typeUInt64, r.Bits), nil
}

// name resolves the identifier at hand to a value or a type and moves behind it.
func (p *cpp) name() (Value, *types.Type, error) {
	at := p.tok
	if t, ok := builtinTypes[at.text]; ok {
		p.advance()
		return Value{}, t, nil
	}
	s, err := p.env.Symbol(at.text)
	found := err == nil && !s.IsModule
	switch {
	case errors.Is(err, ErrAmbiguous):
		return Value{}, nil, p.fail("Ambiguous symbol error at")
	case found && s.Unavailable:
		return Value{}, nil, p.fail("Value unavailable error at")
	case found && (s.Type != nil || s.Constant):
		v, err := p.symbolValue(s)
		p.advance()
		return v, nil, err
	}
	module, name, qualified := strings.Cut(at.text, "!")
	if !qualified {
		module, name = "", at.text
	}
	if t, ok := p.env.Type(module, name); ok {
		p.advance()
		return Value{}, t, nil
	}
	switch {
	case found && !qualified, !found && !qualified && at.text != "this":
		p.env.Print(missingTypeBox(at.text, p.env.NoUnqualified()))
	case strings.Contains(module, " "):
		p.env.Print(keywordAsModule(module))
	}
	if found {
		p.env.Print(NoTypeError + s.Name + "\n")
	}
	return Value{}, nil, p.fail("Couldn't resolve error at")
}

// NoTypeError is what is printed, with the name behind it, of a symbol without
// type information.
const NoTypeError = "Unimplemented error for "

func (p *cpp) symbolValue(s Symbol) (Value, error) {
	if s.Constant || s.InRegister {
		t := s.Type
		if t == nil || s.Constant && t.Kind == types.Enum {
			t = typeInt
		}
		return Constant(t, s.Bits), nil
	}
	v, err := p.load(s.Type, s.Addr, false, p.tok.pos)
	if err != nil {
		p.env.Print("Memory access error for " + s.Name + "\n")
	}
	if s.Type.Kind == types.Function {
		v.Name = s.Module + "!" + s.Name
	}
	return v, err
}
