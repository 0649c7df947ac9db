package model

import (
	"context"
	"math"
	"strconv"

	"kdap/engine/types"
)

// bitsOf returns the width of a kind.
func (k NumberKind) bits() uint {
	switch k {
	case Bool, Int16, Uint16:
		return 16
	case Int32, Uint32:
		return 32
	}
	return 64
}

func (k NumberKind) signed() bool { return k == Int16 || k == Int32 || k == Int64 }

// Int returns the number sign-extended when its kind is signed.
func (n Number) Int() int64 {
	switch {
	case n.Kind == Double:
		return wholePart(n.Float())
	case n.Kind.signed():
		return signExtend(n.Bits, n.Kind.bits())
	}
	return int64(n.Bits)
}

// Float returns the number as a float64.
func (n Number) Float() float64 {
	switch {
	case n.Kind == Double:
		return math.Float64frombits(n.Bits)
	case n.Kind.signed():
		return float64(n.Int())
	}
	return float64(n.Bits)
}

// wholePart converts to an integer; what does not fit gives the processor's
// "indefinite".
func wholePart(f float64) int64 {
	if f > -1<<63-1 && f < 1<<63 {
		return int64(f)
	}
	return math.MinInt64
}

func signExtend(v uint64, bits uint) int64 {
	if bits == 0 || bits >= 64 {
		return int64(v)
	}
	return int64(v<<(64-bits)) >> (64 - bits)
}

// make returns a number of a kind, cut to its width.
func makeNumber(k NumberKind, v uint64) Number {
	if b := k.bits(); k != Double && b < 64 {
		v &= 1<<b - 1
	}
	return Number{k, v}
}

func fromFloat(f float64) Number { return Number{Double, math.Float64bits(f)} }

// numberOf returns the number that a value stands for; false for what is none.
// The error is that of reading it.
func numberOf(v Value) (Number, bool, error) {
	switch v := v.(type) {
	case Number:
		return v, true, nil
	case Native:
		if !v.isScalar() {
			return Number{}, false, nil
		}
		bits, err := v.load()
		if err != nil {
			return Number{}, true, err
		}
		return nativeNumber(v.Type, bits), true, nil
	}
	return Number{}, false, nil
}

// nativeNumber converts the bits of a C type.
func nativeNumber(t *types.Type, bits uint64) Number {
	s := storage(t)
	width := widthOf(t)
	switch {
	case s.Kind == types.Bool:
		return Truth(bits != 0)
	case s.Kind == types.Float && s.Size == 4:
		return fromFloat(float64(math.Float32frombits(uint32(bits))))
	case s.Kind == types.Float:
		return Number{Double, bits}
	case s.Kind == types.Pointer:
		return U64(bits)
	case isSigned(s):
		v := signExtend(bits, width)
		if s.Size > 4 {
			return Number{Int64, uint64(v)}
		}
		return makeNumber(Int32, uint64(v))
	case s.Size < 4:
		return makeNumber(Int32, bits)
	case s.Size == 4:
		return makeNumber(Uint32, bits)
	}
	return U64(bits)
}

// usual converts both operands to the kind that C's rules give.
func usual(a, b Number) NumberKind {
	if a.Kind == Double || b.Kind == Double {
		return Double
	}
	k := Int32
	for _, n := range []Number{a, b} {
		x := n.Kind
		switch x {
		case Bool, Int16, Uint16:
			x = Int32
		case BigDecimal:
			x = Uint64
		}
		k = max(k, x)
	}
	return k // the order of the kinds is that of C's ranks
}

func convertTo(n Number, k NumberKind) Number {
	if k == Double {
		return fromFloat(n.Float())
	}
	return makeNumber(k, uint64(n.Int()))
}

// errOperator is what operators say of operands that are no numbers.
var errOperator = SystemError(Unexpected)

// binaryOp computes a binary operator; && and || are not among them.
func (ev *evaluator) binaryOp(op string, left, right Value) (Value, error) {
	for _, v := range []Value{left, right} {
		if f, ok := v.(Failure); ok {
			return nil, f.Err
		}
	}
	if v, ok, err := pointerOp(op, left, right); ok || err != nil {
		return v, err
	}
	ls, lok := left.(String)
	rs, rok := right.(String)
	if lok || rok {
		return stringOp(op, left, right, ls, rs, lok && rok)
	}
	a, aok, err := numberOf(left)
	if err != nil {
		return nil, err
	}
	b, bok, err := numberOf(right)
	if err != nil {
		return nil, err
	}
	if !aok || !bok {
		if _, compared := comparisons[op]; compared {
			return nil, Errorf("Objects cannot be compared")
		}
		return nil, errOperator
	}
	return numberOp(op, a, b)
}

// comparisons tell what of an order (-1, 0, 1) an operator accepts.
var comparisons = map[string]func(order int) bool{
	"==": func(o int) bool { return o == 0 },
	"!=": func(o int) bool { return o != 0 },
	"<":  func(o int) bool { return o < 0 },
	">":  func(o int) bool { return o > 0 },
	"<=": func(o int) bool { return o <= 0 },
	">=": func(o int) bool { return o >= 0 },
}

func numberOp(op string, a, b Number) (Value, error) {
	if op == "<<" || op == ">>" {
		return shift(op, a, b)
	}
	k := usual(a, b)
	a, b = convertTo(a, k), convertTo(b, k)
	if accept, ok := comparisons[op]; ok {
		return Truth(accept(order(a, b))), nil
	}
	if k == Double {
		x, y := a.Float(), b.Float()
		switch op {
		case "+":
			return fromFloat(x + y), nil
		case "-":
			return fromFloat(x - y), nil
		case "*":
			return fromFloat(x * y), nil
		case "/":
			if y == 0 {
				return nil, errZero
			}
			return fromFloat(x / y), nil
		}
		return nil, errOperator
	}
	x, y := a.Bits, b.Bits
	switch op {
	case "+":
		return makeNumber(k, x+y), nil
	case "-":
		return makeNumber(k, x-y), nil
	case "*":
		return makeNumber(k, x*y), nil
	case "&":
		return makeNumber(k, x&y), nil
	case "|":
		return makeNumber(k, x|y), nil
	case "^":
		return makeNumber(k, x^y), nil
	}
	if y == 0 {
		return nil, errZero
	}
	switch {
	case op == "/" && k.signed():
		if b.Int() == -1 {
			return makeNumber(k, -x), nil
		}
		return makeNumber(k, uint64(a.Int()/b.Int())), nil
	case k.signed():
		if b.Int() == -1 {
			return makeNumber(k, 0), nil
		}
		return makeNumber(k, uint64(a.Int()%b.Int())), nil
	case op == "/":
		return makeNumber(k, x/y), nil
	}
	return makeNumber(k, x%y), nil
}

var errZero = Errorf("Illegal division by zero")

// order compares numbers of one kind.
func order(a, b Number) int {
	less := a.Bits < b.Bits
	switch {
	case a.Kind == Double:
		x, y := a.Float(), b.Float()
		if x == y {
			return 0
		}
		less = x < y
	case a.Bits == b.Bits:
		return 0
	case a.Kind.signed():
		less = a.Int() < b.Int()
	}
	if less {
		return -1
	}
	return 1
}

// shift takes the count modulo the width.
func shift(op string, a, b Number) (Value, error) {
	if a.Kind == Double || b.Kind == Double {
		return nil, errOperator
	}
	k := usual(a, I32(0))
	a = convertTo(a, k)
	n := b.Bits & uint64(k.bits()-1)
	switch {
	case op == "<<":
		return makeNumber(k, a.Bits<<n), nil
	case k.signed():
		return makeNumber(k, uint64(a.Int()>>n)), nil
	}
	return makeNumber(k, a.Bits>>n), nil
}

// stringOp joins and compares texts.
func stringOp(op string, left, right Value, ls, rs String, both bool) (Value, error) {
	if both {
		if accept, ok := comparisons[op]; ok {
			switch {
			case ls < rs:
				return Truth(accept(-1)), nil
			case ls > rs:
				return Truth(accept(1)), nil
			}
			return Truth(accept(0)), nil
		}
	}
	switch op {
	case "+":
		l, err := joined(left)
		if err != nil {
			return nil, err
		}
		r, err := joined(right)
		if err != nil {
			return nil, err
		}
		return String(l + r), nil
	case "==":
		return Truth(false), nil
	case "!=":
		return Truth(true), nil
	}
	return nil, errOperator
}

// joined is the text that a value adds to a string.
func joined(v Value) (string, error) {
	if s, ok := v.(String); ok {
		return string(s), nil
	}
	n, ok, err := numberOf(v)
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "", SystemError(TypeMismatch)
	case n.Kind == Double:
		return strconv.FormatFloat(n.Float(), 'g', 6, 64), nil
	case n.Kind == Bool:
		return strconv.FormatBool(n.Bits != 0), nil
	case n.Kind.signed():
		return strconv.FormatInt(n.Int(), 10), nil
	}
	return strconv.FormatUint(n.Bits, 10), nil
}

// pointerOp computes what is different with pointers.
func pointerOp(op string, left, right Value) (Value, bool, error) {
	if op != "+" && op != "-" {
		return nil, false, nil
	}
	l, lok := left.(Native)
	r, rok := right.(Native)
	lok, rok = lok && isPointer(l.Type), rok && isPointer(r.Type)
	switch {
	case lok && rok && op == "-":
		a, err := l.load()
		if err != nil {
			return nil, true, err
		}
		b, err := r.load()
		if err != nil {
			return nil, true, err
		}
		size := int64(max(sizeOf(l.Type.Elem()), 1))
		return Number{Int64, uint64(int64(a-b) / size)}, true, nil
	case rok && op == "+" && !lok:
		return pointerOp(op, right, left)
	case !lok:
		return nil, false, nil
	}
	n, ok, err := numberOf(right)
	if !ok || err != nil || n.Kind == Double {
		return nil, false, err
	}
	a, err := l.load()
	if err != nil {
		return nil, true, err
	}
	d := uint64(n.Int()) * max(sizeOf(l.Type.Elem()), 1)
	if op == "-" {
		d = -d
	}
	return NativeValue(l.Space, l.Type, a+d), true, nil
}

func sizeOf(t *types.Type) uint64 {
	if t == nil {
		return 0
	}
	return t.Size
}

// truth is what a condition makes of a value.
func truth(v Value) (bool, error) {
	if f, ok := v.(Failure); ok {
		return false, f.Err
	}
	n, ok, err := numberOf(v)
	if !ok || err != nil {
		return false, err
	}
	if n.Kind == Double {
		return n.Float() != 0, nil
	}
	return n.Bits != 0, nil
}

// unaryOp computes ! ~ - +; * and & are not among them.
func (ev *evaluator) unaryOp(_ context.Context, op byte, v Value) (Value, error) {
	if f, ok := v.(Failure); ok {
		return nil, f.Err
	}
	if op == '!' {
		t, err := truth(v)
		return Truth(!t), err
	}
	n, ok, err := numberOf(v)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, errOperator
	case op == '+':
		return n, nil
	}
	k := usual(n, I32(0))
	n = convertTo(n, k)
	switch {
	case op == '~' && k == Double:
		return nil, errOperator
	case op == '~':
		return makeNumber(k, ^n.Bits), nil
	case k == Double:
		return fromFloat(-n.Float()), nil
	}
	return makeNumber(k, -n.Bits), nil
}

// Integer returns a value as an unsigned number; false for what is none.
func Integer(v Value) (uint64, bool) { return nonNegative(v) }
