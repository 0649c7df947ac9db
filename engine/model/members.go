package model

import (
	"context"

	"kdap/engine/types"
)

func (n *memberNode) eval(ctx context.Context, ev *evaluator, s *scope) (Value, error) {
	base, err := ev.value(ctx, n.x, s)
	if err != nil {
		return nil, err
	}
	return ev.member(ctx, base, n.name, n.arrow)
}

// member returns a member, property or method of a value.
func (ev *evaluator) member(ctx context.Context, base Value, name string, arrow bool) (Value, error) {
	switch v := base.(type) {
	case *Object:
		if arrow {
			return nil, errArrow
		}
		if m, ok := v.member(ctx, name); ok {
			return m.Get(ctx)
		}
	case Native:
		if v.Located && v.isVoid() {
			return nil, v.noType()
		}
		if isPointer(v.Type) && arrow {
			target, err := v.deref()
			if err != nil {
				return nil, err
			}
			if target.isVoid() {
				return nil, target.noType()
			}
			v = target
		}
		if f, ok := v.field(name); ok {
			return f, nil
		}
		if v.Type.Kind.IsAggregate() {
			if name == displayMethod && !arrow {
				break
			}
			return nil, unbound(name)
		}
		base = v
	default:
		if arrow {
			return nil, errArrow
		}
	}
	if f, ok := ev.method(base, name); ok {
		return f, nil
	}
	if n, ok := base.(Native); ok && (isPointer(n.Type) || arrow) {
		return nil, errArrow
	}
	return nil, unbound(name)
}

// displayMethod is the method that everything has.
const displayMethod = "ToDisplayString"

const displayHelp = "ToDisplayString([FormatSpecifier]) - Method which converts the object to its display string representation according to an optional format specifier"

// method returns a method that all values of a sort have.
func (ev *evaluator) method(base Value, name string) (Value, bool) {
	if name == displayMethod {
		return &Function{Name: name, Help: displayHelp, Call: func(ctx context.Context, args []Value) (Value, error) {
			return ev.toDisplayString(ctx, base, args)
		}}, true
	}
	if s, ok := base.(String); ok {
		return stringMember(s, name)
	}
	if items, ok := iterable(base); ok {
		if q, ok := queries[name]; ok {
			return q.bind(ev, name, items), true
		}
	}
	return nil, false
}

func (n *indexNode) eval(ctx context.Context, ev *evaluator, s *scope) (Value, error) {
	base, err := ev.operand(ctx, n.x, s)
	if err != nil {
		return nil, err
	}
	args := make([]Value, len(n.args))
	for i, a := range n.args {
		if args[i], err = ev.operand(ctx, a, s); err != nil {
			return nil, err
		}
	}
	return index(ctx, base, args)
}

var errIndex = Errorf("Object does not support indexing with []")

func index(ctx context.Context, base Value, args []Value) (Value, error) {
	switch v := base.(type) {
	case Native:
		if v.Type.Kind != types.Array && v.Type.Kind != types.Pointer {
			return nil, errIndex
		}
		if len(args) != 1 {
			return nil, SystemError(Fail)
		}
		n, ok, err := numberOf(args[0])
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, SystemError(TypeMismatch)
		}
		return v.element(n.Int())
	case *Object:
		if v.Items == nil {
			return nil, errIndex
		}
		if len(args) != 1 {
			return nil, SystemError(Fail)
		}
		if v.Items.At != nil {
			return v.Items.At(ctx, args)
		}
		return v.Items.find(ctx, args[0])
	}
	return nil, errIndex
}

// find returns the first element whose key equals the index.
func (it *Items) find(ctx context.Context, index Value) (Value, error) {
	var found Value
	place := uint64(0)
	err := it.Each(ctx, func(key, v Value) bool {
		if key == nil {
			key = U64(place)
		}
		place++
		if same, err := equal(key, index); err == nil && same {
			found = v
			return false
		}
		return true
	})
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, SystemError(Bounds)
	}
	return found, nil
}
