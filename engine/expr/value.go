package expr

import (
	"errors"

	"kdap/engine/types"
)

// A Value is what the C++ evaluator computes: a type with either a place in
// memory or a constant. Numbers are read when the value is made.
type Value struct {
	Type    *types.Type // nil for a $t register that was never set
	Addr    uint64      // Located: where the value is
	Located bool
	Bits    uint64 // numbers: the value, zero-extended from its width; floats: their bits
	Name    string // functions: the symbol, with its module
}

var errConflict = errors.New("type conflict")

// Number converts the value to the 64-bit number the MASM evaluator works with.
func (v Value) Number(Env) (uint64, error) {
	return v.Bits, nil
}

func evaluateCpp(env Env, c *Cursor) (uint64, error) {
	return 0, errConflict
}

func cppInside(env Env, c *Cursor, depth int) (Value, error) {
	return Value{}, errConflict
}
