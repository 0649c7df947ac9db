package inspect

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/memory"
	"kdap/engine/model"
	"kdap/engine/types"
	"kdap/engine/typetext"
)

// A Viewer makes nodes of values.
type Viewer struct {
	// Machine writes the texts. It has to be that of the session where objects
	// of the debugger come from; C++ values need none.
	Machine *model.Machine
	// Kernel finds kernel types by name, for lists whose elements they are. It may be nil.
	Kernel func(name string) (*types.Type, error)
}

// Object returns the node of a typed object. expression is how dx and ?? name
// it, "" for nothing.
func (v *Viewer) Object(ctx context.Context, name, expression string, o types.Object) Node {
	if err := o.Err(); err != nil {
		return Failed(name, "", err)
	}
	return v.Value(ctx, name, expression, model.NativeAt(o.Space(), o.Type(), o.Addr()))
}

// Value returns the node of a value.
func (v *Viewer) Value(ctx context.Context, name, expression string, val model.Value) Node {
	return v.Formatted(ctx, name, expression, val, model.Spec{})
}

// Formatted returns the node of a value that is shown in a format.
func (v *Viewer) Formatted(ctx context.Context, name, expression string, val model.Value, s model.Spec) Node {
	text, typ, err := v.Machine.Text(ctx, val, s)
	n := Node{Name: name, Text: text, Type: typ, Expr: expression, Kind: Property}
	if o, ok := val.(model.Native); ok {
		n = v.native(ctx, n, o, err)
	} else if err != nil {
		n = n.failed(err)
	}
	if (!n.Unreadable || isWide(val)) && model.HasParts(val) && !declaredOnly(val) {
		n.children = &parts{v, withMembers(val), expression, s}
		if l := v.listAt(val, expression); l != nil {
			n.children = l
		}
	}
	return n
}

// isWide reports arrays and structures: where their beginning cannot be read
// the rest may.
func isWide(val model.Value) bool {
	o, ok := val.(model.Native)
	return ok && o.Located && o.Type != nil && (o.Type.Kind == types.Array || o.Type.Kind.IsAggregate())
}

// withMembers has a GUID shown by its members, which dx hides behind its text.
func withMembers(val model.Value) model.Value {
	o, ok := val.(model.Native)
	if !ok {
		return val
	}
	t := o.Type
	if t.Kind == types.Pointer {
		t = t.Elem()
	}
	if t.Kind.IsAggregate() && (t.Name == "_GUID" || t.Name == "GUID") {
		return o.Raw()
	}
	return val
}

// Failed returns the node of a value that cannot be had.
func Failed(name, typ string, err error) Node {
	return Node{Name: name, Type: typ, Kind: Property}.failed(err)
}

func (n Node) failed(err error) Node {
	n.Text, n.Unreadable, n.children = reason(err), true, nil
	return n
}

// reason says why there is no value: "<paged out to page file 0, offset 0x717>"
// rather than the whole path to the failed read.
func reason(err error) string {
	var r *memory.ReadError
	if errors.As(err, &r) {
		return "<" + r.Error() + ">"
	}
	return "<" + err.Error() + ">"
}

// native completes the line of a C++ object: where it lies, and what dx leaves
// out of it.
func (v *Viewer) native(ctx context.Context, n Node, o model.Native, err error) Node {
	n.Target, _ = o.Pointer()
	if o.Located {
		n.Addr = o.Addr
	}
	if err != nil {
		return n.failed(err)
	}
	t := o.Type
	if o.Located && o.Space != nil && t != nil && t.Size != 0 {
		// A structure none of which can be read says so at once.
		if _, err := memory.ReadUint(o.Space, o.Addr, 1); err != nil {
			return n.failed(err)
		}
	}
	switch {
	case t == nil:
	case t.Kind.IsAggregate():
		n.Text = first(n.Text, headOf(o.Space, t, o.Addr, o.Located), "{…}")
	case t.Kind == types.Array:
		if n.Text == "" {
			n.Text = fmt.Sprintf("[%d]", t.Count)
			if text := typetext.Text(o.Space, t, o.Addr); text != "" {
				n.Text += " " + text
			}
		}
	case n.Target != 0:
		n.Text += v.behind(ctx, o, n)
	}
	return n
}

// behind is what stands behind a pointer where dx has only its number: the head
// of the structure, the name of what code or data it is.
func (v *Viewer) behind(ctx context.Context, o model.Native, n Node) string {
	elem := o.Type.Elem()
	switch {
	case elem == nil || n.Text != fmt.Sprintf("%#x", n.Target):
		return ""
	case elem.Kind.IsAggregate():
		if head := headOf(o.Space, elem, n.Target, true); head != "" {
			return " : " + head
		}
	case elem.Kind == types.Void, elem.Kind == types.Unknown:
		if name := v.Machine.CodeName(ctx, n.Target); name != n.Text {
			return " : " + name
		}
	}
	return ""
}

func headOf(space memory.Space, t *types.Type, addr uint64, located bool) string {
	if !located || space == nil {
		return ""
	}
	return typetext.Head(space, t, addr)
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// declaredOnly reports structures, and pointers to them, whose members are not
// in the symbols.
func declaredOnly(val model.Value) bool {
	o, ok := val.(model.Native)
	if !ok || o.Type == nil {
		return false
	}
	t := o.Type
	if t.Kind == types.Pointer {
		t = t.Elem()
	}
	return t != nil && t.Kind.IsAggregate() && t.Forward && len(t.Fields()) == 0
}
