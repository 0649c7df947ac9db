package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"kdap/engine/types"
)

// Options are those of dx.
type Options struct {
	Depth     int // -1: the setting's
	Skip      int // elements to pass over; -1 without the option
	Unlimited bool
	Verbose   bool
	Help      bool
	Raw       bool
	Grid      bool
	GridWidth int // 0: the usual one
}

// NewOptions returns what dx does without options.
func NewOptions() Options { return Options{Depth: -1, Skip: -1} }

const (
	nameWidth  = 16
	maxShown   = 100 // elements of one container
	maxLevels  = 1000
	levelWidth = 4

	// maxShow bounds the text below one value without -u: objects lead to each
	// other in circles, and deep levels never end.
	maxShow = 128 << 20
)

// A Part is what is shown below a value: a member, a method, an element.
type Part struct {
	Name    string
	Value   Value // a Failure where it cannot be had
	Help    string
	Field   *types.Field
	Element bool // Name is a key in brackets
	Pointee bool // what a pointer leads to: it has no name
	Method  bool

	rest bool // stands for the elements that are not shown
}

// prefix is what stands in front of a member's name.
func (c Part) prefix() string {
	f := c.Field
	switch {
	case f == nil:
		return ""
	case f.Type != nil && f.Type.Kind == types.BitField:
		low := int(f.Type.BitPos)
		return fmt.Sprintf("[+0x%03x (%2d:%2d)] ", f.Offset, low+int(f.Type.BitLen)-1, low)
	}
	return fmt.Sprintf("[+0x%03x] ", f.Offset)
}

// A printer shows one value.
type printer struct {
	*Machine
	w     io.Writer
	o     Options
	shown int // bytes
}

// Show prints a value the way dx does, under the text it came from.
func (m *Machine) Show(ctx context.Context, w io.Writer, name string, v Value, s Spec, o Options) error {
	if o.Depth < 0 {
		o.Depth = m.host.Settings().RecursionDepth
	}
	p := &printer{Machine: m, w: w, o: o}
	if o.Grid {
		return p.grid(ctx, v, s)
	}
	if f, ok := v.(*Function); ok && !f.lambda {
		fmt.Fprintf(w, "%s\n", line("", name, "", "", f.Help))
		return nil
	}
	text, typ, err := m.text(ctx, v, s)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s\n", line("", name, text, typ, ""))
	n, isNative := v.(Native)
	if _, isContainer := iterable(v); o.Skip >= 0 && !isContainer {
		return nil
	}
	if isNative && (o.Raw || s.raw) && !(n.Type.Kind == types.Array && isText(n.Type.Elem())) {
		v = n.Raw() // only what it holds: its own text stays
	}
	return p.children(ctx, v, s, 1)
}

// line writes one line without its end.
func line(prefix, name, text, typ, help string) string {
	s := prefix + pad16(name)
	if text != "" {
		s += " : " + text
	}
	if typ != "" {
		s += " [Type: " + typ + "]"
	}
	if help != "" {
		s += " [" + help + "]"
	}
	return s
}

func pad16(name string) string {
	if n := nameWidth - len([]rune(name)); n > 0 {
		return name + strings.Repeat(" ", n)
	}
	return name
}

func (p *printer) children(ctx context.Context, v Value, s Spec, level int) error {
	if level > p.o.Depth || level > maxLevels {
		return nil
	}
	indent := strings.Repeat(" ", levelWidth*level)
	for c, err := range p.parts(ctx, v, s, level == 1) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := fmt.Fprintf(p.w, "%s%s\n", indent, p.childLine(ctx, c, s))
		if err != nil {
			return err
		}
		if p.shown += n; p.shown > maxShow && !p.o.Unlimited {
			return Errorf("More than %d MB of text: show fewer levels, or take -u", maxShow>>20)
		}
		if !c.rest && !c.Method {
			if err := p.children(ctx, c.Value, s.child(), level+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// childLine is the line of a part.
func (p *printer) childLine(ctx context.Context, c Part, s Spec) string {
	if c.Method {
		return line("", c.Name, "", "", c.Help)
	}
	if c.rest {
		_, typ, _ := p.text(ctx, c.Value, Spec{limits: true})
		return line("", c.Name, "", typ, "")
	}
	text, typ, err := p.text(ctx, c.Value, s.child())
	if err != nil {
		text, typ = err.Error(), ""
	}
	help := ""
	if p.o.Help {
		help = c.Help
	}
	if c.Pointee {
		if typ != "" {
			return text + " [Type: " + typ + "]"
		}
		return text
	}
	return line(c.prefix(), c.Name, text, typ, help)
}

// limit is how many elements are shown of a container.
func (p *printer) limit(s Spec) uint64 {
	switch {
	case p.o.Unlimited:
		return ^uint64(0)
	case s.limits:
		return s.count
	}
	return maxShown
}

// parts yields what is shown below a value. An error that ends a container
// comes last.
func (p *printer) parts(ctx context.Context, v Value, s Spec, top bool) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		skip := 0
		if top && p.o.Skip > 0 {
			skip = p.o.Skip
		}
		switch v := v.(type) {
		case String:
			yield(Part{Name: "Length", Value: U64(uint64(len([]rune(string(v)))))}, nil)
			return
		case Native:
			p.nativeParts(ctx, v, s, skip, yield)
			return
		case *Object:
			for _, m := range p.members(ctx, v) {
				if !yield(m, nil) {
					return
				}
			}
			if v.Items != nil {
				if !p.elements(ctx, v, v.Items, s, skip, yield) {
					return
				}
			}
		}
		if p.o.Verbose && top && hasDisplayMethod(v) {
			yield(Part{Name: displayMethod, Help: displayHelp, Method: true}, nil)
		}
	}
}

// hasDisplayMethod reports values whose method for their text is listed.
func hasDisplayMethod(v Value) bool {
	switch v := v.(type) {
	case Number, String:
		return true
	case *Object:
		return v.Text != nil
	}
	return false
}

// members returns the members of an object that are shown.
func (p *printer) members(ctx context.Context, o *Object) []Part {
	if o.Members == nil {
		return nil
	}
	var out []Part
	for _, m := range o.Members(ctx) {
		if m.Hidden && !p.o.Verbose {
			continue
		}
		v, err := m.Get(ctx)
		if err != nil {
			v = Failure{err}
		}
		c := Part{Name: m.Name, Value: v, Help: m.Help}
		if f, ok := v.(*Function); ok && !f.lambda {
			c.Method, c.Help = true, f.Help
		}
		out = append(out, c)
	}
	return out
}

// elements yields the elements of a container up to its limit.
func (p *printer) elements(ctx context.Context, whole Value, items *Items, s Spec, skip int, yield func(Part, error) bool) bool {
	limit := p.limit(s)
	n, place := uint64(0), uint64(0)
	more := true
	err := items.Each(ctx, func(key, v Value) bool {
		if key == nil {
			key = U64(place)
		}
		place++
		if skip > 0 {
			skip--
			return true
		}
		if n == limit {
			more = yield(Part{Name: "[...]", Value: whole, rest: true}, nil)
			return false
		}
		n++
		name, shown := p.keyText(key, s)
		if !shown {
			return true
		}
		if own, ok := whole.(Native); ok && own.raw {
			if e, ok := v.(Native); ok {
				v = e.Raw()
			}
		}
		more = yield(Part{Name: name, Value: v, Element: true}, nil)
		return more
	})
	if err != nil {
		yield(Part{}, err)
		return false
	}
	return more
}

// keyText writes a key; groups of a bool have none that is shown.
func (p *printer) keyText(key Value, s Spec) (string, bool) {
	switch k := key.(type) {
	case String:
		return `["` + visible(string(k)) + `"]`, true
	case Number:
		if k.Kind == Bool {
			return "", false
		}
		return "[" + p.numberText(k, Spec{radix: s.radix}) + "]", true
	}
	return "", false
}

// nativeParts yields the parts of a C++ object.
func (p *printer) nativeParts(ctx context.Context, n Native, s Spec, skip int, yield func(Part, error) bool) {
	t := n.Type
	if t == nil || n.closed {
		return
	}
	if isPointer(t) {
		p.pointerParts(ctx, n, s, yield)
		return
	}
	switch {
	case t.Kind == types.Array:
		elem := t.Elem()
		if elem == nil || isText(elem) && !n.raw && !s.limits && skip == 0 || !p.readable(n) {
			return
		}
		p.elements(ctx, n, n.items(), s, skip, yield)
	case isGUID(t) && !n.raw && guidText(n) != "":
		inner := n
		inner.closed, inner.raw = true, true
		yield(Part{Name: "[<Raw View>]", Value: inner}, nil)
	case t.Kind.IsAggregate():
		p.fields(n, yield)
	}
}

// readable reports whether an array has a first element that can be read.
func (p *printer) readable(n Native) bool {
	if !n.Located || n.Space == nil {
		return false
	}
	var b [1]byte
	got, err := n.Space.Read(n.Addr, b[:])
	return n.Type.Size == 0 || err == nil && got == 1
}

// fields yields the members of a structure in the order of its type.
func (p *printer) fields(n Native, yield func(Part, error) bool) {
	fields := n.Type.Fields()
	for i := range fields {
		f := &fields[i]
		if f.Static || f.Type == nil {
			continue
		}
		name := f.Name
		if f.Base {
			name = f.Type.Name
		}
		if !yield(Part{Name: name, Value: n.part(*f), Field: f}, nil) {
			return
		}
	}
}

// pointerParts yields what a pointer leads to.
func (p *printer) pointerParts(ctx context.Context, n Native, s Spec, yield func(Part, error) bool) {
	elem := n.Type.Elem()
	bits, err := n.load()
	if err != nil || bits == 0 || elem == nil || elem.Kind == types.Void || elem.Kind == types.Unknown {
		return
	}
	target := n.at(elem, bits)
	if s.limits {
		p.pointerElements(ctx, target, s, yield)
		return
	}
	if elem.Kind == types.Array || elem.Kind.IsAggregate() {
		p.nativeParts(ctx, target, s, 0, yield)
		return
	}
	var v Value = target
	if target.isScalar() {
		if _, err := target.load(); err != nil {
			v = Failure{err}
		}
	}
	yield(Part{Value: v, Pointee: true}, nil)
}

// pointerElements takes a pointer for an array of as many elements as the
// format says.
func (p *printer) pointerElements(ctx context.Context, first Native, s Spec, yield func(Part, error) bool) {
	for i := range s.count {
		if ctx.Err() != nil {
			yield(Part{}, ctx.Err())
			return
		}
		name, _ := p.keyText(Number{Int64, i}, s)
		if !yield(Part{Name: name, Value: first.at(first.Type, first.Addr+i*first.Type.Size), Element: true}, nil) {
			return
		}
	}
}

// ErrorText is the line that dx prints for an error; a cancelled context has none.
func ErrorText(err error) (string, bool) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return "", false
	}
	return "Error: " + err.Error(), true
}
