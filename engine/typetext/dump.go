package typetext

import (
	"context"
	"fmt"
	"io"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/types"
)

// A Request is something to print: a type, and where it lies.
type Request struct {
	Type    *types.Type
	Addr    uint64
	Located bool // Addr counts; without it the layout is printed
	Name    string

	Words     []string // the field list as it was typed, for the width of names
	Selectors []Selector
	// Index evaluates the text of a subscript, up to its bracket.
	Index func(text string) (int64, error)

	Array int  // elements of an array of Type, one below the other; 0 for one
	Rows  bool // -a in front of the type: elements with their addresses
	Bare  bool // elements of Array without a count in front

	List string // -l: the path to the link
}

// Dump prints a request to w. It ends early only with the context.
func (p *Printer) Dump(ctx context.Context, w io.Writer, r Request) error {
	d := &dumper{Printer: p, ctx: ctx, w: w, index: r.Index, width: defaultWidth, last: '\n'}
	if len(r.Words) > 0 {
		d.width = 0
		for _, word := range r.Words {
			d.width = max(d.width, len(strings.TrimSuffix(word, "*")))
		}
	}
	if p.Unpadded {
		d.width = 0
	}
	if d.index == nil {
		d.index = func(string) (int64, error) { return 0, nil }
	}
	selectors := choose(r.Selectors)
	if r.List != "" {
		return d.list(r, selectors)
	}
	if err := d.request(r, selectors); err != nil {
		return err
	}
	d.finish(r)
	return ctx.Err()
}

// finish prints what comes after everything: that no member was found, that
// memory could not be read.
func (d *dumper) finish(r Request) {
	if len(r.Selectors) > 0 && !d.found {
		d.endLine()
		d.write("Cannot find specified field members.\n")
	}
	if d.failed {
		d.endLine()
		d.printf("Memory read error %s\n", format.Hex16(d.at))
	}
}

// choose starts at the first part of each selector; nil stands for all members.
func choose(list []Selector) []chosen {
	if len(list) == 0 {
		return nil
	}
	out := make([]chosen, len(list))
	for i := range list {
		out[i] = chosen{&list[i], 0}
	}
	return out
}

func (d *dumper) request(r Request, selectors []chosen) error {
	t := r.Type
	switch {
	case r.Rows && r.Located:
		return d.rows(r, selectors)
	case r.Array != 0:
		n := max(r.Array, 1)
		if !r.Bare {
			d.printf("[%d] ", max(r.Array, 0))
		}
		if !r.Located {
			n = 1
		}
		for i := range n {
			if err := d.ctx.Err(); err != nil {
				return err
			}
			d.top(t, r.Addr+uint64(i)*t.Size, r.Located, selectors)
		}
		return nil
	}
	d.top(t, r.Addr, r.Located, selectors)
	return nil
}

// rows prints the elements of an array with their addresses.
func (d *dumper) rows(r Request, selectors []chosen) error {
	for i := range r.Array {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		at := r.Addr + uint64(i)*r.Type.Size
		d.printf("[%d] @ %s ", i, format.AddrSize(at, d.PointerSize))
		if !d.Compact {
			d.write("\n" + rule)
		}
		if _, ok := d.number(at, 1); !ok {
			return nil
		}
		d.top(r.Type, at, true, selectors)
		if !d.Compact {
			d.write("\n")
		}
	}
	return nil
}

const rule = "---------------------------------------------\n"

// top prints a value that is nobody's member.
func (d *dumper) top(t *types.Type, addr uint64, located bool, selectors []chosen) {
	switch {
	case t == nil:
	case t.Kind.IsAggregate():
		if located {
			d.topHead(t, addr)
		}
		d.structure(t, addr, located, 1, selectors)
		if d.Compact {
			d.write("\n")
		}
	case t.Kind == types.Enum && !located:
		d.enumerators(t, 1)
	case !located:
		d.write(d.typeText(t, 0, 0))
		d.endLine()
	case t.Kind == types.Array && d.Block:
		// As a member's elements are shown by -b: no count, a text in front. But
		// of what is nobody's member only the first one stands there.
		elem := t.Elem()
		if isText(elem) {
			d.write(" " + d.quoted(addr, int(elem.Size), int(min(t.Count, maxText))) + "\n")
		}
		d.top(elem, addr, true, selectors)
	case t.Kind == types.Array && isText(t.Elem()):
		d.write(d.value(t, addr, 0))
		d.endLine()
	case t.Kind == types.Array:
		d.printf("[%d] ", t.Count)
		d.top(t.Elem(), addr, true, selectors)
	case t.Kind == types.Pointer:
		v, ok := d.number(addr, int(t.Size))
		if !ok {
			d.write("???? \n")
			return
		}
		d.pointee(t, v, selectors)
	default:
		d.write(d.value(t, addr, 0))
		d.endLine()
	}
}

// pointee prints a pointer that is nobody's member, and what it leads to.
func (d *dumper) pointee(t *types.Type, v uint64, selectors []chosen) {
	elem := t.Elem()
	if v == 0 || elem == nil {
		d.write(d.pointerText(t, v, 0, 0))
		d.endLine()
		return
	}
	d.printf("0x%s ", format.AddrSize(v, int(t.Size)))
	switch {
	case elem.Kind.IsAggregate():
		if d.Verbose {
			d.write(Summary(elem))
		}
		d.write("\n")
		d.top(elem, v, true, selectors)
	case elem.Kind == types.Function:
		name := strings.TrimSuffix(d.symbol(v), "+0")
		d.write("\n" + Prototype(name, elem))
	case isText(elem):
		d.write(" " + d.quoted(v, int(elem.Size), maxText) + "\n")
		if !d.Verbose {
			d.write("\n")
		}
	case elem.Kind == types.Void || elem.Kind == types.Unknown:
		d.write("\n")
	default:
		if !d.Verbose {
			d.write("\n")
		}
		d.write(" -> ")
		failed, at := d.failed, d.at
		d.top(elem, v, true, nil)
		d.failed, d.at = failed, at
	}
}

// Prototype returns a function's return type, name and parameters, one a line.
func Prototype(name string, t *types.Type) string { return expr.Prototype(name, t) }

func (d *dumper) enumerators(t *types.Type, level int) {
	for _, e := range t.Enumerators() {
		text := format.Decimal0n(e.Value)
		if e.Value >= 0x8000 {
			// Symbol files store these as unsigned numbers.
			text = format.Unsigned(uint64(e.Value))
		}
		d.printf("%s%s = %s\n", d.indent(level), clean(e.Name), text)
	}
}

// Members implements expr.Printer.
func (p *Printer) Members(t *types.Type, addr uint64) string {
	var b strings.Builder
	d := &dumper{Printer: p, ctx: context.Background(), w: &b, width: defaultWidth, last: '\n'}
	_, located := d.read(addr, 1)
	d.top(t, addr, located, nil)
	return b.String()
}

// Element implements expr.Printer.
func (p *Printer) Element(t *types.Type, addr uint64) string {
	return fmt.Sprintln((&dumper{Printer: p}).value(t, addr, 0))
}

var _ expr.Printer = (*Printer)(nil)
