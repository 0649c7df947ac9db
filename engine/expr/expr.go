// Package expr evaluates the expressions of WinDbg's commands: the MASM
// evaluator that most commands use, the C++ evaluator of ?? and @@c++(), and
// address ranges.
//
// The rules come from outputs of WinDbg's engine 10.0.29507: number forms,
// precedence, the words of errors and what they quote. What the evaluators
// need to know of a debugging session comes through Env; they keep no state of
// their own, so one Env may serve any number of evaluations.
//
// Text is read through a Cursor, so that a command can parse an expression and
// go on with what follows it. An evaluation always ends: the work is bounded
// by the length of the text, and nesting by maxDepth.
package expr

import (
	"errors"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// An Env is what expressions are evaluated in: one session's symbols,
// registers, memory and settings.
type Env interface {
	// Radix is the base of MASM numbers without a prefix: 8, 10 or 16.
	Radix() int
	// DefaultCpp reports whether the default evaluator is C++ (.expr /s c++).
	DefaultCpp() bool
	// PointerSize is 8 or 4, after the effective machine.
	PointerSize() int

	// Memory is the virtual memory of the current process context.
	Memory() memory.Space
	// Physical is the machine's memory; nil when the dump has none.
	Physical() memory.Physical

	// Register returns a register ("rax", "zf") or pseudo-register ("$t0",
	// "$proc") by its name in any letter case, without the @. The error is
	// ErrNotFound for a name that is no register, ErrUnavailable for a
	// register without a value.
	Register(name string) (Register, error)
	// Symbol returns a local variable, a symbol ("mod!name" or "name", in any
	// letter case) or a module's base. The error is ErrNotFound or
	// ErrAmbiguous. A symbol with type information is preferred.
	Symbol(name string) (Symbol, error)
	// Type returns the type of this name, in all modules when module is "".
	Type(module, name string) (*types.Type, bool)
	// SourceLine returns the address of a source line; module may be "", line
	// is 0 when the text gives none. The error is ErrNotFound or ErrAmbiguous.
	SourceLine(module, file string, line int) (uint64, error)
	// EntryPoint returns the entry point of the image that holds addr, the
	// image's base when it has none.
	EntryPoint(addr uint64) (uint64, bool)
	// FunctionType returns the type of the function that starts at addr.
	FunctionType(addr uint64) (*types.Type, bool)

	// NoUnqualified reports symbol option 0x100: a name without a module that
	// is not found is commented on at length.
	NoUnqualified() bool
	// Print writes lines of output that come before the answer.
	Print(text string)
	// SetLast keeps the value of a whole expression for $exp.
	SetLast(v uint64)
}

// Errors of Env's look-ups.
var (
	ErrNotFound    = errors.New("not found")
	ErrAmbiguous   = errors.New("ambiguous")
	ErrUnavailable = errors.New("no value")
)

// A Class says how the C++ evaluator types a register that has no type of its own.
type Class uint8

// Register classes.
const (
	General  Class = iota // unsigned int64
	Flags                 // efl: unsigned int
	Segment               // unsigned short
	FloatReg              // st0: double, its bits in Bits
	Vector                // xmm0: MASM takes the low half, C++ refuses it
	Typed                 // Value holds value and type
)

// A Register is the value of a register or pseudo-register.
type Register struct {
	Class Class
	Bits  uint64 // what MASM sees; not used for Typed
	Value Value  // Class Typed
}

// A Symbol is what a name stands for.
type Symbol struct {
	Name   string      // as the symbol file spells it, without the module
	Module string      // name of the module, "" for locals
	Addr   uint64      // where it is; for a module its base
	Type   *types.Type // nil without type information
	Bits   uint64      // value of a constant or of a variable that lives in a register

	Constant    bool // an enumerator or other constant: Bits, no address
	InRegister  bool // a local that lives in a register: Bits, no address
	Unavailable bool // a local without a value at this place
	IsModule    bool // the name of a module: only MASM takes it
}

// A Kind chooses an evaluator.
type Kind uint8

// The evaluators.
const (
	DefaultKind Kind = iota
	MasmKind
	CppKind
)

// Evaluate reads one expression of the given kind as a number, the way command
// arguments are read. The noun names what is missing when there is no
// expression ("Address expression"); "" stands for "Numeric expression".
func Evaluate(env Env, c *Cursor, kind Kind, noun string) (uint64, error) {
	if kind == CppKind || kind == DefaultKind && env.DefaultCpp() {
		return evaluateCpp(env, c)
	}
	return evaluateMasm(env, c, noun)
}

// Masm evaluates a MASM expression at the cursor and moves the cursor behind it.
func Masm(env Env, c *Cursor) (uint64, error) { return Evaluate(env, c, MasmKind, "") }

// Default evaluates with the session's default evaluator.
func Default(env Env, c *Cursor) (uint64, error) { return Evaluate(env, c, DefaultKind, "") }

// Address evaluates an address with the session's default evaluator.
func Address(env Env, c *Cursor) (uint64, error) {
	return Evaluate(env, c, DefaultKind, "Address expression")
}

// maxDepth bounds the nesting of brackets and unary operators.
const maxDepth = 200
