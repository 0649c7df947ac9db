package model

import (
	"context"
	"iter"

	"kdap/engine/types"
)

// An Item is a value as views other than dx's show it: a line of a tree.
type Item struct {
	Name    string
	Type    string // as dx spells it, "" for values of the model
	Display string // the value, or why there is none
	Value   Value

	Address uint64 // of C++ objects in memory, 0 for others
	Field   *types.Field
	Element bool // an element of a container: Name is a key in brackets
	Method  bool
	Failed  bool // Display is the reason
}

// Item returns a value as an item.
func (m *Machine) Item(ctx context.Context, name string, v Value) Item {
	text, typ, err := m.text(ctx, v, Spec{})
	it := Item{Name: name, Type: typ, Display: text, Value: v}
	if err != nil {
		it.Display, it.Type, it.Failed = err.Error(), "", true
	}
	if n, ok := v.(Native); ok && n.Located {
		it.Address = n.Addr
	}
	return it
}

// Items yields what is below a value: members, elements, what a pointer leads
// to. Nothing is computed before it is asked for, and the caller stops.
func (m *Machine) Items(ctx context.Context, v Value) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for c, err := range m.Parts(ctx, v) {
			if err != nil {
				yield(Item{}, err)
				return
			}
			it := m.Item(ctx, c.Name, c.Value)
			it.Field, it.Element, it.Method = c.Field, c.Element, c.method
			if c.method {
				it.Display = c.help
			}
			if !yield(it, nil) {
				return
			}
		}
	}
}

// HasItems reports whether there may be something below a value.
func HasItems(v Value) bool {
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
			return err == nil && bits != 0 && elem != nil && elem.Kind != types.Void
		case v.Type.Kind == types.Array:
			return v.raw || !isText(v.Type.Elem())
		}
		return v.Type.Kind.IsAggregate()
	}
	return false
}
