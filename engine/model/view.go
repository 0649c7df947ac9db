package model

import (
	"context"
	"iter"
	"strings"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// Surroundings are all that texts of values depend on.
type Surroundings interface {
	// CodeName names the code at an address, "mod!name+0x0".
	CodeName(ctx context.Context, va uint64) string
	// Settings are those of the display.
	Settings() *Settings
}

// NewView returns a Machine that shows values and knows no names. It is safe
// for concurrent use when s is.
func NewView(s Surroundings) *Machine { return NewMachine(nameless{s}, true) }

// nameless is a Host without names.
type nameless struct{ Surroundings }

func (nameless) Memory() memory.Space                        { return nil }
func (nameless) Local(context.Context, string) (Value, bool) { return nil, false }

func (nameless) Root(string) (Value, bool) { return nil, false }

func (nameless) Symbol(context.Context, string, string) (Value, bool)     { return nil, false }
func (nameless) HasModule(context.Context, string) bool                   { return false }
func (nameless) Type(context.Context, string, string) (*types.Type, bool) { return nil, false }

func (nameless) Variable(context.Context, string) (Value, error) { return nil, ErrUndefined }

func (nameless) SetVariable(context.Context, string, Value) (Value, error) { return nil, ErrUndefined }

func (nameless) Register(context.Context, string) (Value, bool) { return nil, false }
func (nameless) Unqualified(string)                             {}

// Text returns the text that is shown of a value, "" for none, and its type as
// dx spells it, "" for values of the model. The error is that of reading it.
func (m *Machine) Text(ctx context.Context, v Value, s Spec) (text, typ string, err error) {
	return m.text(ctx, v, s)
}

// Parts yields what is below a value: members, elements, what a pointer leads
// to. The number of elements is not limited; the caller stops. An error that
// ends a container comes last.
func (m *Machine) Parts(ctx context.Context, v Value, s Spec) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		p := &printer{Machine: m, o: Options{Unlimited: !s.limits, Skip: -1}}
		for c, err := range p.parts(ctx, v, s, false) {
			if c.rest || !yield(c, err) {
				return
			}
		}
	}
}

// Child returns the format of what a value of this format holds.
func (s Spec) Child() Spec { return s.child() }

// CodeName names the code at an address, "mod!name+0x0", or is its number.
func (m *Machine) CodeName(ctx context.Context, va uint64) string { return m.host.CodeName(ctx, va) }

// HasParts reports whether there may be something below a value.
func HasParts(v Value) bool {
	switch v := v.(type) {
	case *Object:
		return v.Members != nil || v.Items != nil
	case Native:
		switch {
		case v.Type == nil || v.closed:
			return false
		case v.Type.Kind == types.Pointer:
			bits, err := v.load()
			elem := v.Type.Elem()
			return err == nil && bits != 0 && elem != nil && elem.Kind != types.Void && elem.Kind != types.Unknown && elem.Kind != types.Function
		case v.Type.Kind == types.Array:
			return v.Type.Elem() != nil && v.Type.Count > 0
		}
		return v.Type.Kind.IsAggregate()
	}
	return false
}

// Element returns element i of an array. Bounds are not checked.
func (n Native) Element(i uint64) (Native, error) { return n.element(int64(i)) }

// Pointer returns a pointer's value; ok is false for other objects and for
// pointers that cannot be read.
func (n Native) Pointer() (va uint64, ok bool) {
	if !isPointer(n.Type) {
		return 0, false
	}
	va, err := n.load()
	return va, err == nil
}

// WithoutFormat returns an expression without what stands behind its comma.
func (m *Machine) WithoutFormat(ctx context.Context, text string) string {
	text = strings.TrimSpace(text)
	p, err := m.parse(ctx, text)
	if err != nil || !p.given {
		return text
	}
	text = strings.TrimSpace(strings.TrimSuffix(text, p.format))
	return strings.TrimSpace(strings.TrimSuffix(text, ","))
}
