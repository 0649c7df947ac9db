package expr

import (
	"kdap/engine/types"
)

// truthOf converts a value to true or false.
func truthOf(v Value) (bool, error) {
	if isFloat(v.Type) {
		return v.Float() != 0, nil
	}
	n, err := v.Number(nil)
	return n != 0, err
}

func (p *cpp) negate(op string, v Value) (Value, error) {
	if op == "!" {
		yes, err := truthOf(v)
		if err != nil {
			return v, p.conflict()
		}
		return Constant(typeBool, oneIf(!yes)), nil
	}
	t := arithmetic(v.Type)
	if t == nil {
		return v, p.conflict()
	}
	if isFloat(t) {
		switch op {
		case "-":
			return fromFloat(t, -v.Float()), nil
		case "~":
			return v, p.conflict()
		}
		return Constant(t, v.Bits), nil
	}
	n := uint64(v.Signed())
	switch op {
	case "-":
		n = -n
	case "~":
		n = ^n
	}
	return Constant(t, n), nil
}

// arithmetic returns the type a number is computed in: its own, there is no
// promotion to int; an enum counts as unsigned int. nil: it is no number.
func arithmetic(t *types.Type) *types.Type {
	t = storage(t)
	switch {
	case t == nil:
		return typeUInt64
	case !isNumber(t), t.Kind == types.Pointer:
		return nil
	case t.Kind == types.Enum:
		if t.Size == 8 {
			return typeUInt64
		}
		return typeUInt
	case t.Kind == types.Bool:
		return typeInt
	}
	return t
}

// common returns the type of an operation on two numbers: a float if one is,
// else the larger, of two of the same size the unsigned one.
func common(a, b *types.Type) *types.Type {
	switch {
	case isFloat(a) != isFloat(b):
		if isFloat(a) {
			return a
		}
		return b
	case a.Size != b.Size:
		if a.Size > b.Size {
			return a
		}
		return b
	case isSigned(a) && !isSigned(b):
		return b
	}
	return a
}

func (p *cpp) dereference(v Value) (Value, error) {
	if !isPointer(v.Type) || v.Type.Elem() == nil || v.Type.Elem().Kind == types.Function {
		return v, p.fail("No pointer for operator*")
	}
	return p.load(p.full(v.Type.Elem()), v.Bits, v.imaginary || p.macros > 0 && v.Bits == 0, p.tok.pos)
}

func (p *cpp) addressOf(v Value) (Value, error) {
	t := v.Type
	if !v.Located || t == nil || t.Kind == types.BitField {
		return v, p.fail("No address for operator&")
	}
	if t.Kind == types.Array && t.Elem() != nil { // points to the first element
		t = t.Elem()
	}
	return Constant(PointerTo(t, p.env.PointerSize()), v.Addr), nil
}

// suffixes reads [ ] . -> ++ -- behind an operand.
func (p *cpp) suffixes(v Value) (Value, error) {
	for {
		var err error
		switch at := p.tok; {
		case p.is("["):
			p.advance()
			var i Value
			if i, err = p.nested(p.comma); err == nil {
				err = p.expect("]")
			}
			if err == nil {
				v, err = p.index(v, i)
			}
		case p.is("."):
			if v.Type == nil || !v.Type.Kind.IsAggregate() || !v.Located {
				return v, p.fail("Type is not struct/class/union for operator.")
			}
			p.advance()
			v, err = p.member(v.Type, v.Addr, v.imaginary)
		case p.is("->"):
			if !isPointer(v.Type) || v.Type.Elem() == nil {
				return v, p.fail("Type is not pointer for operator->")
			}
			if !v.Type.Elem().Kind.IsAggregate() {
				return v, p.fail("Type is not struct/class/union for operator->")
			}
			p.advance()
			null := v.Bits == 0 && p.macros == 0 && p.unread == 0
			if null && p.full(v.Type.Elem()).Has(p.tok.text) {
				return v, p.fail("Memory access error at")
			}
			v, err = p.member(v.Type.Elem(), v.Bits, v.imaginary || v.Bits == 0)
		case p.is("++"), p.is("--"):
			return v, Quote("Memory access error at", p.c, at.pos)
		default:
			return v, nil
		}
		if err != nil {
			return v, err
		}
	}
}

// full returns the definition of an aggregate that is only declared.
func (p *cpp) full(t *types.Type) *types.Type {
	if t != nil && t.Forward && t.Kind.IsAggregate() {
		if def, ok := p.env.Type("", t.Name); ok && def.Kind.IsAggregate() {
			return def
		}
	}
	return t
}

func (p *cpp) member(t *types.Type, base uint64, imaginary bool) (Value, error) {
	at := p.tok
	if at.kind != tokName {
		return Value{}, p.fail("Syntax error at")
	}
	f := p.full(t).Field(at.text)
	if f == nil || f.Type == nil {
		return Value{}, p.fail("Type does not have given member error at")
	}
	p.advance()
	return p.load(p.full(f.Type), base+f.Offset, imaginary, at.pos)
}

func (p *cpp) index(v, i Value) (Value, error) {
	n, err := i.Number(p.env)
	if err != nil || isFloat(i.Type) || v.Type == nil {
		return v, p.conflict()
	}
	base := v.Addr
	switch v.Type.Kind {
	case types.Pointer:
		base = v.Bits
	case types.Array:
	default:
		return v, p.conflict()
	}
	elem := p.full(v.Type.Elem())
	if elem == nil || elem.Size == 0 {
		return v, p.conflict()
	}
	imaginary := v.imaginary || v.Type.Kind == types.Pointer && p.macros > 0 && base == 0
	return p.load(elem, base+n*elem.Size, imaginary, p.tok.pos)
}

// apply computes a binary operator.
func (p *cpp) apply(op string, a, b Value) (Value, error) {
	if pointerLike(a.Type) || pointerLike(b.Type) {
		return p.pointerOperation(op, a, b)
	}
	ta, tb := arithmetic(a.Type), arithmetic(b.Type)
	if ta == nil || tb == nil {
		return a, p.conflict()
	}
	t := common(ta, tb)
	switch op {
	case "<<", ">>":
		return p.shift(op, a, b, ta)
	case "==", "!=", "<", ">", "<=", ">=":
		return Constant(typeBool, oneIf(compared(op, order(a, b, t)))), nil
	}
	if isFloat(t) {
		return p.floatOperation(op, asFloat(a), asFloat(b), t)
	}
	x, y := uint64(a.Signed()), uint64(b.Signed())
	switch op {
	case "+":
		x += y
	case "-":
		x -= y
	case "*":
		x *= y
	case "&":
		x &= y
	case "|":
		x |= y
	case "^":
		x ^= y
	default:
		return p.divide(op, truncate(x, t), truncate(y, t), t)
	}
	return Constant(t, x), nil
}

func (p *cpp) divide(op string, x, y uint64, t *types.Type) (Value, error) {
	if y == 0 {
		if p.unread > 0 {
			return Constant(t, 0), nil
		}
		return Value{}, p.fail("Operand error at")
	}
	if isSigned(t) {
		a, b := Constant(t, x).Signed(), Constant(t, y).Signed()
		if op == "/" {
			return Constant(t, uint64(a/b)), nil
		}
		return Constant(t, uint64(a%b)), nil
	}
	if op == "/" {
		return Constant(t, x/y), nil
	}
	return Constant(t, x%y), nil
}

func (p *cpp) floatOperation(op string, x, y float64, t *types.Type) (Value, error) {
	switch op {
	case "+":
		return fromFloat(t, x+y), nil
	case "-":
		return fromFloat(t, x-y), nil
	case "*":
		return fromFloat(t, x*y), nil
	case "/":
		if y == 0 && p.unread == 0 {
			return Value{}, p.fail("Operand error at")
		}
		return fromFloat(t, x/y), nil
	}
	return Value{}, p.conflict()
}

func (p *cpp) shift(op string, a, b Value, t *types.Type) (Value, error) {
	if isFloat(a.Type) || isFloat(b.Type) {
		return a, p.conflict()
	}
	n := uint64(b.Signed())
	switch {
	case op == "<<" && n >= uint64(width(t)):
		return Constant(t, 0), nil
	case op == "<<":
		return Constant(t, a.Bits<<n), nil
	case isSigned(t):
		return Constant(t, uint64(a.Signed()>>min(n, 63))), nil
	case n >= 64:
		return Constant(t, 0), nil
	}
	return Constant(t, a.Bits>>n), nil
}

// order compares two numbers as type t.
func order(a, b Value, t *types.Type) int {
	if isFloat(t) {
		x, y := asFloat(a), asFloat(b)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		case x == y:
			return 0
		}
		return 2 // one is no number: only != holds
	}
	x, y := Constant(t, uint64(a.Signed())), Constant(t, uint64(b.Signed()))
	switch {
	case x.Bits == y.Bits:
		return 0
	case isSigned(t) && x.Signed() < y.Signed(), !isSigned(t) && x.Bits < y.Bits:
		return -1
	}
	return 1
}

func compared(op string, order int) bool {
	switch op {
	case "==":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order == -1
	case ">":
		return order == 1
	case "<=":
		return order == -1 || order == 0
	}
	return order == 1 || order == 0
}

func pointerLike(t *types.Type) bool {
	return t != nil && (t.Kind == types.Pointer || t.Kind == types.Array)
}

// pointerOperation computes pointer+n, n+pointer, pointer-n, pointer-pointer
// and comparisons. Arrays count as pointers to their first element.
func (p *cpp) pointerOperation(op string, a, b Value) (Value, error) {
	a, b = p.decay(a), p.decay(b)
	x, errX := a.Number(p.env)
	y, errY := b.Number(p.env)
	if errX != nil || errY != nil || isFloat(a.Type) || isFloat(b.Type) {
		return a, p.conflict()
	}
	both := isPointer(a.Type) && isPointer(b.Type)
	switch op {
	case "==", "!=", "<", ">", "<=", ">=":
		return Constant(typeBool, oneIf(compared(op, order(Constant(typeUInt64, x), Constant(typeUInt64, y), typeUInt64)))), nil
	case "+", "-":
		if both && op == "+" || op == "-" && !isPointer(a.Type) {
			return a, p.conflict()
		}
	default:
		return a, p.conflict()
	}
	t := a.Type
	if !isPointer(t) {
		t, x, y = b.Type, y, x
	}
	size := uint64(0)
	if elem := p.full(t.Elem()); elem != nil {
		size = elem.Size
	}
	switch {
	case size == 0:
		return a, p.conflict()
	case both:
		return Constant(typeInt64, uint64(int64(x-y)/int64(min(size, 1<<62)))), nil
	case op == "-":
		return Constant(t, x-y*size), nil
	}
	return Constant(t, x+y*size), nil
}

func (p *cpp) decay(v Value) Value {
	if v.Type != nil && v.Type.Kind == types.Array && v.Type.Elem() != nil {
		return Constant(PointerTo(v.Type.Elem(), p.env.PointerSize()), v.Addr)
	}
	return v
}
