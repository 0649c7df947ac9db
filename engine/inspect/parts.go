package inspect

import (
	"context"
	"fmt"

	"kdap/engine/model"
	"kdap/engine/types"
)

// parts are what the model has below a value.
type parts struct {
	v          *Viewer
	value      model.Value
	expression string // of the value, "" without one
	spec       model.Spec
}

// maxElements bounds what a symbol file claims an array has.
const maxElements = 1 << 24

func (p *parts) size(ctx context.Context) (int, int) {
	switch val := p.value.(type) {
	case model.Native:
		if array, ok := p.array(); ok {
			return 0, int(min(array.Type.Count, maxElements))
		}
		t := val.Type
		if t.Kind == types.Pointer {
			t = t.Elem()
		}
		if t.Kind.IsAggregate() {
			return len(shownFields(t)), 0
		}
		return 1, 0
	case *model.Object:
		named := 0
		if val.Members != nil {
			for _, m := range val.Members(ctx) {
				if !m.Hidden {
					named++
				}
			}
		}
		if val.Items != nil {
			return named, unknown
		}
		return named, 0
	}
	return 0, 0
}

// array returns the value as an array: itself, or what a pointer leads to.
func (p *parts) array() (model.Native, bool) {
	o, ok := p.value.(model.Native)
	if !ok {
		return o, false
	}
	if t := o.Type; t.Kind == types.Pointer && t.Elem() != nil && t.Elem().Kind == types.Array {
		va, _ := o.Pointer()
		o = model.NativeAt(o.Space, t.Elem(), va)
	}
	return o, o.Type.Kind == types.Array
}

func shownFields(t *types.Type) []*types.Field {
	var out []*types.Field
	fields := t.Fields()
	for i := range fields {
		if f := &fields[i]; !f.Static && f.Type != nil {
			out = append(out, f)
		}
	}
	return out
}

func (p *parts) page(ctx context.Context, indexed bool, start, count int) ([]Node, bool, error) {
	if array, ok := p.array(); ok {
		return p.elements(ctx, array, indexed, start, count)
	}
	named, elements := p.size(ctx)
	if indexed && elements == 0 || !indexed && start >= named {
		return nil, false, nil
	}
	if indexed {
		start += named
	} else {
		count = min(count, named-start)
	}
	var out []Node
	names := namer{p.expression, map[string]bool{}}
	place := 0
	for it, err := range p.v.Machine.Parts(ctx, p.value, p.spec) {
		switch {
		case ctx.Err() != nil:
			return nil, false, ctx.Err()
		case err != nil:
			return append(out, Failed("[...]", "", err)), false, nil
		case len(out) == count:
			return out, indexed, nil
		}
		// Those passed over count too: a key may come twice.
		e := names.expression(p.value, it, place-named)
		if place++; place > start {
			out = append(out, p.child(ctx, it, e))
		}
	}
	return out, false, nil
}

// child is the node of a part.
func (p *parts) child(ctx context.Context, it model.Part, expression string) Node {
	if it.Method {
		return Node{Name: it.Name, Text: it.Help, Kind: Method}
	}
	name := it.Name
	if it.Pointee {
		name = "*"
	}
	n := p.v.Formatted(ctx, name, expression, it.Value, p.spec.Child())
	switch {
	case it.Element:
		n.Kind = Virtual
	case it.Field != nil && it.Field.Base:
		n.Kind = BaseClass
	}
	return n
}

// elements are those of an array, each found without those before it.
func (p *parts) elements(ctx context.Context, array model.Native, indexed bool, start, count int) ([]Node, bool, error) {
	have := int(min(array.Type.Count, maxElements))
	if !indexed {
		return nil, false, nil
	}
	base := ""
	if p.expression != "" {
		base = postfix(p.expression)
		if o, ok := p.value.(model.Native); ok && o.Type.Kind == types.Pointer {
			base = "(*" + base + ")"
		}
	}
	end := min(start+count, have)
	var out []Node
	for i := start; i < end; i++ {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		name, e := fmt.Sprintf("[%d]", i), ""
		if base != "" {
			e = base + name
		}
		elem, err := array.Element(uint64(i))
		if err != nil {
			return append(out, Failed(name, "", err)), false, nil
		}
		n := p.v.Formatted(ctx, name, e, elem, p.spec.Child())
		n.Kind = Virtual
		out = append(out, n)
	}
	return out, end < have, nil
}
