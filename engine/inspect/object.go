package inspect

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/memory"
	"kdap/engine/types"
)

// Object returns the node of a typed object. expression is how the C++
// evaluator names it, "" for nothing.
func (v *Viewer) Object(ctx context.Context, name, expression string, o types.Object) Node {
	n := Node{Name: name, Expr: expression, Kind: Property, Addr: o.Addr(), Type: typeName(o.Type())}
	if err := o.Err(); err != nil {
		return n.failed(err)
	}
	t := o.Type()
	switch {
	case t.Kind.IsAggregate():
		n.children = &members{v, o, expression}
		text, known, err := head(o)
		switch {
		case err != nil:
			n.Text, n.Unreadable = reason(err), true
		case known:
			n.Text = text
		default:
			n.Text = "{…}"
			if t.Size != 0 {
				// A structure none of which can be read says so at once.
				if _, err := memory.ReadUint(o.Space(), o.Addr(), 1); err != nil {
					n.Text, n.Unreadable = reason(err), true
				}
			}
		}
		return n
	case t.Kind == types.Array:
		return v.array(n, o, expression)
	case t.Kind == types.Function:
		n.Text = pointer(o.Addr(), 8)
		if s := v.symbol(ctx, o.Addr()); s != "" {
			n.Text += " " + s
		}
		return n
	case t.Kind == types.Void, t.Kind == types.Unknown:
		n.Text = pointer(o.Addr(), 8)
		return n
	}
	bits, err := value(o)
	if err != nil {
		return n.failed(err)
	}
	return v.scalar(ctx, n, t, bits, o.Space())
}

// Value returns the node of a number or pointer that is in no memory.
func (v *Viewer) Value(ctx context.Context, name, expression string, t *types.Type, bits uint64, space memory.Space) Node {
	n := Node{Name: name, Expr: expression, Kind: Property, Type: typeName(t)}
	if t == nil {
		n.Text = fmt.Sprintf("%#x", bits)
		return n
	}
	return v.scalar(ctx, n, t, bits, space)
}

// Failed returns the node of a value that cannot be had.
func Failed(name, typ string, err error) Node {
	return Node{Name: name, Type: typ, Kind: Property}.failed(err)
}

func (n Node) failed(err error) Node {
	n.Text, n.Unreadable = reason(err), true
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

// value reads a number; floats by their bits.
func value(o types.Object) (uint64, error) {
	if o.Type().Kind == types.Float && o.Type().Size > 8 {
		return 0, errors.New("a number of 10 bytes")
	}
	return o.Uint()
}

func (v *Viewer) scalar(ctx context.Context, n Node, t *types.Type, bits uint64, space memory.Space) Node {
	if t.Kind != types.Pointer {
		n.Text = number(t, bits)
		return n
	}
	n.Target = bits
	if bits == 0 {
		n.Text = "(null)"
		return n
	}
	n.Text = pointer(bits, t.Size)
	elem := t.Elem()
	if elem == nil {
		return n
	}
	target := types.NewObject(space, elem, bits)
	switch {
	case elem.Kind == types.Char, elem.Kind == types.UChar, elem.Kind == types.WChar:
		if s, err := quoted(space, bits, int(max(elem.Size, 1))); err != nil {
			n.Text += " " + reason(err)
		} else {
			n.Text += " " + s
		}
		return n
	case elem.Kind == types.Function, elem.Kind == types.Void, elem.Kind == types.Unknown:
		if s := v.symbol(ctx, bits); s != "" {
			n.Text += " " + s
		}
		return n
	case elem.Kind.IsAggregate():
		n.Text += " " + elem.Name
		if text, known, err := head(target); known && err == nil {
			n.Text += " " + text
		}
		if elem.Forward && len(elem.Fields()) == 0 {
			return n // declared only
		}
		n.children = &members{v, target, dereferenced(n.Expr)}
		return n
	}
	n.children = &pointee{v, target, n.Expr}
	return n
}

// dereferenced marks an expression whose members are reached by an arrow.
func dereferenced(e string) string {
	if e == "" {
		return ""
	}
	return e + "->"
}

// members are the fields of an aggregate. An expression that ends with an
// arrow is a pointer to it.
type members struct {
	v          *Viewer
	o          types.Object
	expression string
}

func (m *members) fields() []types.Field {
	var out []types.Field
	for _, f := range m.o.Type().Fields() {
		if !f.Static && f.Type != nil {
			out = append(out, f)
		}
	}
	return out
}

func (m *members) size(ctx context.Context) (int, int) {
	return len(m.fields()), 0
}

func (m *members) page(ctx context.Context, indexed bool, start, count int) ([]Node, error) {
	if indexed {
		return nil, nil
	}
	fields := m.fields()
	var out []Node
	for i := start; i < min(start+count, len(fields)); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f := fields[i]
		o := m.o.At(m.o.Addr()+f.Offset, f.Type)
		if f.Base {
			n := m.v.Object(ctx, f.Type.Name, m.expression, o)
			n.Kind = BaseClass
			out = append(out, n)
			continue
		}
		n := m.v.Object(ctx, f.Name, join(m.expression, f.Name), o)
		if l := m.v.head(m.o.Type(), f.Name, o); l != nil {
			n.children = l
		}
		out = append(out, n)
	}
	return out, nil
}

func join(e, field string) string {
	switch {
	case e == "":
		return ""
	case strings.HasSuffix(e, "->"):
		return e + field
	}
	return e + "." + field
}

func element(e string, i int) string {
	if e == "" {
		return ""
	}
	return fmt.Sprintf("%s[%d]", e, i)
}

// pointee is the one value that a pointer to a number or pointer leads to.
type pointee struct {
	v          *Viewer
	o          types.Object
	expression string
}

func (p *pointee) size(context.Context) (int, int) { return 1, 0 }

func (p *pointee) page(ctx context.Context, indexed bool, start, _ int) ([]Node, error) {
	if indexed || start > 0 {
		return nil, nil
	}
	e := p.expression
	if e != "" {
		e = "*" + e
	}
	return []Node{p.v.Object(ctx, "*"+p.expression, e, p.o)}, nil
}

// array completes the node of an array.
func (v *Viewer) array(n Node, o types.Object, expression string) Node {
	t, elem := o.Type(), o.Type().Elem()
	n.Text = fmt.Sprintf("[%d]", t.Count)
	if elem == nil || elem.Size == 0 {
		return n
	}
	n.children = &elements{v, o, expression}
	switch elem.Kind {
	case types.Char, types.UChar, types.WChar:
		s, err := text(o, int(elem.Size), int(min(t.Count, maxText)))
		if err != nil {
			return n.failed(err)
		}
		n.Text += " " + s
	case types.Struct, types.Class, types.Union:
		n.Text += " " + elem.Name
	}
	return n
}

// text reads a character array up to its NUL or end.
func text(o types.Object, size, count int) (string, error) {
	b, err := memory.ReadBytes(o.Space(), o.Addr(), size*count)
	if err != nil && len(b) == 0 {
		return "", err
	}
	if size == 1 {
		if i := strings.IndexByte(string(b), 0); i >= 0 {
			b = b[:i]
		}
		return Quote(string(b)), nil
	}
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			b = b[:i]
			break
		}
	}
	return Quote(types.UTF16(b)), nil
}

// elements are those of an array.
type elements struct {
	v          *Viewer
	o          types.Object
	expression string
}

// maxElements bounds what a symbol file claims an array has.
const maxElements = 1 << 24

func (e *elements) size(context.Context) (int, int) {
	return 0, int(min(e.o.Type().Count, maxElements))
}

func (e *elements) page(ctx context.Context, indexed bool, start, count int) ([]Node, error) {
	_, have := e.size(ctx)
	if !indexed {
		return nil, nil
	}
	var out []Node
	for i := start; i < min(start+count, have); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := e.v.Object(ctx, fmt.Sprintf("[%d]", i), element(e.expression, i), e.o.Index(i))
		out = append(out, n)
	}
	return out, nil
}

// Evaluated returns the node of what the C++ evaluator computed.
func (v *Viewer) Evaluated(ctx context.Context, name string, val expr.Value, space memory.Space) Node {
	if val.Located && val.Type != nil {
		return v.Object(ctx, name, name, types.NewObject(space, val.Type, val.Addr))
	}
	if val.Type != nil && val.Type.Kind == types.Function {
		n := Node{Name: name, Type: typeName(val.Type), Kind: Method, Text: pointer(val.Addr, 8), Target: val.Addr}
		if val.Name != "" {
			n.Text += " " + val.Name
		}
		return n
	}
	return v.Value(ctx, name, name, val.Type, val.Bits, space)
}
