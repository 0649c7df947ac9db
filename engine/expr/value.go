package expr

import (
	"errors"
	"math"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A Value is what the C++ evaluator computes: a type with a place in memory or
// a constant. Numbers are read when the value is made, structures and arrays
// are not.
type Value struct {
	Type    *types.Type // nil for a $t register that was never set
	Addr    uint64      // Located: where the value is
	Located bool
	Bits    uint64 // numbers: the value, zero-extended from its width; floats: their bits
	Name    string // functions: the symbol, with its module

	// imaginary values stand behind a null pointer in a macro, or in an
	// operand that is not evaluated: they have an address but no contents.
	imaginary bool
}

var errConflict = errors.New("type conflict")

// Constant returns a value that is not in memory.
func Constant(t *types.Type, bits uint64) Value {
	return Value{Type: t, Bits: truncate(bits, t)}
}

// At returns the value of type t at addr. The error is that of reading it.
func At(env Env, t *types.Type, addr uint64) (Value, error) {
	v := Value{Type: t, Addr: addr, Located: true}
	if t == nil || !isNumber(t) {
		return v, nil
	}
	space := env.Memory()
	if space == nil {
		return v, ErrUnavailable
	}
	bits, err := memory.ReadUint(space, addr, int(storage(t).Size))
	if err != nil {
		return v, err
	}
	v.Bits = bits
	if t.Kind == types.BitField {
		v.Bits >>= t.BitPos
	}
	v.Bits = truncate(v.Bits, t)
	return v, nil
}

// width returns the number of bits of a number type.
func width(t *types.Type) uint {
	switch {
	case t == nil:
		return 64
	case t.Kind == types.BitField:
		return uint(t.BitLen)
	}
	return uint(min(t.Size, 8)) * 8
}

// truncate cuts bits to the width of t.
func truncate(bits uint64, t *types.Type) uint64 {
	if w := width(t); w < 64 {
		bits &= 1<<w - 1
	}
	return bits
}

// Signed returns the bits sign-extended when the type is signed.
func (v Value) Signed() int64 {
	w := width(v.Type)
	if w == 0 || w >= 64 || !isSigned(v.Type) {
		return int64(v.Bits)
	}
	return int64(v.Bits<<(64-w)) >> (64 - w)
}

// Float returns the value of a float or double.
func (v Value) Float() float64 {
	if v.Type != nil && v.Type.Size == 4 {
		return float64(math.Float32frombits(uint32(v.Bits)))
	}
	return math.Float64frombits(v.Bits)
}

// Number converts the value to the 64-bit number the MASM evaluator works
// with: an array or function gives its address, a float its whole part.
func (v Value) Number(Env) (uint64, error) {
	switch {
	case v.Type == nil:
		return v.Bits, nil
	case v.Type.Kind == types.Array, v.Type.Kind == types.Function:
		return v.Addr, nil
	case !isNumber(v.Type):
		return 0, errConflict
	case isFloat(v.Type):
		return wholePart(v.Float()), nil
	case v.Type.Kind == types.Bool:
		return oneIf(v.Bits != 0), nil
	}
	return uint64(v.Signed()), nil
}

// wholePart converts a float to an integer; what does not fit gives the
// processor's "indefinite".
func wholePart(f float64) uint64 {
	if f > -1<<63-1 && f < 1<<63 {
		return uint64(int64(f))
	}
	return 1 << 63
}

// fromFloat makes a float or double of type t.
func fromFloat(t *types.Type, f float64) Value {
	if t.Size == 4 {
		return Value{Type: t, Bits: uint64(math.Float32bits(float32(f)))}
	}
	return Value{Type: t, Bits: math.Float64bits(f)}
}

// asFloat converts any number to a float.
func asFloat(v Value) float64 {
	switch {
	case isFloat(v.Type):
		return v.Float()
	case isSigned(v.Type):
		return float64(v.Signed())
	}
	return float64(v.Bits)
}

// convert casts v to t.
func convert(v Value, t *types.Type) (Value, error) {
	if t == nil || !isNumber(t) || t.Kind == types.BitField {
		return Value{}, errConflict
	}
	if isFloat(t) {
		if v.Type != nil && !isNumber(v.Type) || isPointer(v.Type) {
			return Value{}, errConflict
		}
		return fromFloat(t, asFloat(v)), nil
	}
	n, err := v.Number(nil)
	if err != nil {
		return Value{}, err
	}
	if t.Kind == types.Bool {
		n = oneIf(n != 0 || isFloat(v.Type) && v.Float() != 0)
	}
	out := Constant(t, n)
	out.imaginary = v.imaginary
	return out, nil
}
