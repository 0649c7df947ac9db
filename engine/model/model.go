// Package model is the debugger's data model: the objects that dx shows and
// that its expressions work with, and the language itself: C++ operators over
// typed memory, members and methods of objects, lambdas and the query methods
// of containers.
//
// Everything is lazy: an object's members are computed when they are asked
// for, containers are walked anew each time, and nothing is read before it is
// shown. Work is bounded: nesting, calls and what a query collects have limits,
// and every walk asks its context.
//
// The package knows the language and the forms of its output, which follow
// WinDbg's engine 10.0.29507. What there is to see comes through a Host:
// symbols, types and memory, and the objects built with Object, Member and
// Function.
package model

import (
	"context"
	"fmt"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A Value is one object of the data model: a Number, String, Native, *Object,
// *Function, Failure or Void.
type Value interface{ isValue() }

// A NumberKind is the type of a number that has no C type of its own: a
// constant, the result of an operator, a property.
type NumberKind uint8

// The kinds of numbers.
const (
	Bool NumberKind = iota
	Int16
	Uint16
	Int32
	Uint32
	Int64
	Uint64
	BigDecimal // a decimal constant that fits no signed number: unsigned, shown decimal
	Double
)

// A Number is a number without a C type. A Double's Bits are those of its
// float64; of the others the value in its width.
type Number struct {
	Kind NumberKind
	Bits uint64
}

// A String is a text.
type String string

// A Native is a typed C++ object: in memory, or a value of its own.
type Native struct {
	Type    *types.Type
	Space   memory.Space // where it and what it points to is read
	Addr    uint64       // Located
	Located bool
	Bits    uint64 // not Located: the value

	raw    bool // shown by its parts only
	closed bool // shown without text and children

	of     *types.Type // the structure it was found in as a member, nil for none
	member string
}

// Member returns the structure that the object was found in, and its name
// there; nil for objects that were found otherwise.
func (n Native) Member() (of *types.Type, name string) { return n.of, n.member }

// Raw returns the object such that character arrays and the like are shown by
// their elements.
func (n Native) Raw() Native {
	n.raw = true
	return n
}

// NativeAt returns the object of type t at addr.
func NativeAt(space memory.Space, t *types.Type, addr uint64) Native {
	return Native{Type: t, Space: space, Addr: addr, Located: true}
}

// NativeValue returns a value of type t that is not in memory.
func NativeValue(space memory.Space, t *types.Type, bits uint64) Native {
	return Native{Type: t, Space: space, Bits: truncate(bits, t)}
}

// An Object has members, and perhaps a text and elements.
type Object struct {
	// Text is what is shown behind the name, nil for none.
	Text func(ctx context.Context) (string, error)
	// Members returns the members in their order.
	Members func(ctx context.Context) []Member
	// Items are the elements, nil when the object is no container.
	Items *Items
}

// A Member is a property or method of an object.
type Member struct {
	Name   string
	Help   string
	Hidden bool // shown on request only
	Get    func(ctx context.Context) (Value, error)
	// Set assigns to the property and returns what it is then; nil where that
	// is not possible.
	Set func(ctx context.Context, v Value) (Value, error)
}

// Items are the elements of a container.
type Items struct {
	// Each calls yield with every key and element until it returns false. The
	// key is nil for elements that are only numbered by their place.
	// Elements that cannot be had are Failures.
	Each func(ctx context.Context, yield func(key, v Value) bool) error
	// At finds elements by index; nil looks for the key.
	At func(ctx context.Context, index []Value) (Value, error)
}

// A Function is a method or lambda.
type Function struct {
	Name, Help string
	Call       func(ctx context.Context, args []Value) (Value, error)
	lambda     bool
}

// A Failure stands for an element that could not be computed.
type Failure struct{ Err error }

// Void is what a method without a result returns.
type Void struct{}

func (Number) isValue()    {}
func (String) isValue()    {}
func (Native) isValue()    {}
func (*Object) isValue()   {}
func (*Function) isValue() {}
func (Failure) isValue()   {}
func (Void) isValue()      {}

// An Error is an error in the words of the data model.
type Error struct{ Text string }

func (e *Error) Error() string { return e.Text }

// Errorf returns an Error.
func Errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// Windows' errors that the model meets.
const (
	Unexpected     = 0x8000ffff // E_UNEXPECTED
	Bounds         = 0x8000000b // E_BOUNDS
	Fail           = 0x80004005 // E_FAIL
	NotImplemented = 0x80004001 // E_NOTIMPL
	TypeMismatch   = 0x80020005 // DISP_E_TYPEMISMATCH
	CommandFailed  = 0x80040205 // what ExecuteCommand has for a failed command
)

var systemTexts = map[uint32]string{
	Unexpected:     "Catastrophic failure",
	Bounds:         "The operation attempted to access data outside the valid range",
	Fail:           "Unspecified error",
	NotImplemented: "Not implemented",
	TypeMismatch:   "Type mismatch.",
	CommandFailed:  "An unexpected exception was raised",
}

// SystemError returns the Error of a Windows error code.
func SystemError(code uint32) error { return Errorf("%s (0x%08x)", systemTexts[code], code) }

func unbound(name string) error { return Errorf("Unable to bind name '%s'", name) }

// A Host is what expressions are evaluated in.
type Host interface {
	// Memory is the virtual memory of the current process context.
	Memory() memory.Space
	// Local returns a variable of the current frame.
	Local(ctx context.Context, name string) (Value, bool)
	// Root returns a member of the debugger's root name space.
	Root(name string) (Value, bool)
	// Symbol returns what a symbol's name stands for: an object, a function, a
	// type (TypeName), a symbol without type (a Native of type void). The
	// module may be "". ok is false for names that are not known.
	Symbol(ctx context.Context, module, name string) (v Value, ok bool)
	// HasModule reports whether a module has this name.
	HasModule(ctx context.Context, name string) bool
	// Type returns the type of a name, in all modules when module is "".
	Type(ctx context.Context, module, name string) (*types.Type, bool)
	// Variable returns @$name.
	Variable(ctx context.Context, name string) (Value, error)
	// SetVariable assigns to @$name and returns what it is then.
	SetVariable(ctx context.Context, name string, v Value) (Value, error)
	// Register returns @name.
	Register(ctx context.Context, name string) (Value, bool)
	// Unqualified is told of a name without a module that was not found.
	Unqualified(name string)

	Surroundings
}

// Settings are what dx's output depends on besides its options.
type Settings struct {
	Radix          int  // 8, 10 or 16: unsigned numbers
	SignedInRadix  bool // signed numbers are shown in the radix too
	RecursionDepth int  // without -r
}

// ErrUndefined says that there is no variable of a name.
var ErrUndefined = Errorf("Use of undefined variable")

// Limits of what an expression may do.
const (
	maxDepth   = 200     // nesting of expressions and of calls
	maxCollect = 1 << 20 // elements that a query keeps

	maxExpression = 1 << 16 // characters
)

// U64 returns a property's number.
func U64(v uint64) Number { return Number{Uint64, v} }

// I32 returns a signed number.
func I32(v int32) Number { return Number{Int32, uint64(uint32(v))} }

// Truth returns a bool.
func Truth(b bool) Number {
	if b {
		return Number{Bool, 1}
	}
	return Number{Bool, 0}
}

// Property makes a member of a value that is there already.
func Property(name string, v Value) Member {
	return Member{Name: name, Get: func(context.Context) (Value, error) { return v, nil }}
}

// Lazily makes a member that is computed when it is asked for.
func Lazily(name string, get func(ctx context.Context) (Value, error)) Member {
	return Member{Name: name, Get: get}
}

// Method makes a member that is called. Hidden ones show on request only.
func Method(name, help string, hidden bool, call func(ctx context.Context, args []Value) (Value, error)) Member {
	f := &Function{Name: name, Help: help, Call: call}
	return Member{Name: name, Help: help, Hidden: hidden, Get: func(context.Context) (Value, error) { return f, nil }}
}

// NewObject returns an object of members that are there already.
func NewObject(members ...Member) *Object {
	return &Object{Members: func(context.Context) []Member { return members }}
}

// WithText returns the object with a text.
func (o *Object) WithText(text string) *Object {
	o.Text = func(context.Context) (string, error) { return text, nil }
	return o
}

// member finds a member by its exact name.
func (o *Object) member(ctx context.Context, name string) (Member, bool) {
	if o.Members == nil {
		return Member{}, false
	}
	for _, m := range o.Members(ctx) {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// Container returns an object of elements.
func Container(each func(ctx context.Context, yield func(key, v Value) bool) error) *Object {
	return &Object{Items: &Items{Each: each}}
}

// Sequence returns a container whose elements have no keys: they are numbered
// by their place, also in what a query makes of them.
func Sequence(each func(ctx context.Context, yield func(v Value) bool) error) *Object {
	return Container(func(ctx context.Context, yield func(key, v Value) bool) error {
		return each(ctx, func(v Value) bool { return yield(nil, v) })
	})
}

// Numbered returns a container whose elements have their numbers as keys.
func Numbered(each func(ctx context.Context, yield func(v Value) bool) error) *Object {
	return Container(func(ctx context.Context, yield func(key, v Value) bool) error {
		n := uint64(0)
		return each(ctx, func(v Value) bool {
			n++
			return yield(U64(n-1), v)
		})
	})
}

// List returns a container of values that are there already.
func List(values ...Value) *Object {
	return Numbered(func(ctx context.Context, yield func(v Value) bool) error {
		for _, v := range values {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !yield(v) {
				return nil
			}
		}
		return nil
	})
}
