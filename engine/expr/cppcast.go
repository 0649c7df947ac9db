package expr

import (
	"strings"

	"kdap/engine/types"
)

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
