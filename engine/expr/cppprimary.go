package expr

import (
	"errors"
	"strings"

	"kdap/engine/types"
)

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
