package typetext

import "kdap/engine/types"

// structure prints the members of a structure, all or those chosen.
func (d *dumper) structure(t *types.Type, addr uint64, located bool, level int, selectors []chosen) {
	if level > maxNesting {
		return
	}
	for _, f := range Members(t) {
		if d.ctx.Err() != nil {
			return
		}
		m := member{f: f, addr: addr + f.Offset, located: located, level: level}
		if selectors == nil {
			d.member(m)
			continue
		}
		d.selected(m, selectors)
	}
}

// A member is a member at a place and a level.
type member struct {
	f       types.Field
	addr    uint64
	located bool
	level   int
}

// begin prints what stands in front of a member's text.
func (d *dumper) begin(m member) {
	d.write(d.indent(m.level))
	if !d.NoOffsets {
		d.printf("+0x%03x ", m.f.Offset)
	}
	if d.Compact {
		d.write(clean(m.f.Name) + " ")
		return
	}
	d.printf("%-*s : ", d.width, clean(m.f.Name))
}

// end ends a member.
func (d *dumper) end() {
	if d.Compact {
		d.write("  ")
		return
	}
	d.endLine()
}

// member prints a member, and below it what -r or -b ask for.
func (d *dumper) member(m member) {
	d.begin(m)
	d.found = true
	t := m.f.Type
	switch {
	case t == nil:
	case !m.located && t.Kind == types.Enum && d.Block:
		d.write("\n")
		d.enumerators(t, m.level+1)
	case !m.located:
		d.write(d.typeText(t, m.level, 0))
		if d.Verbose && t.Kind == types.Enum {
			d.write("\n") // where its value would be
		}
	case t.Kind == types.Array && (d.Block || d.Elements):
		d.elements(t, m)
		return
	default:
		d.write(d.value(t, m.addr, m.level))
	}
	if in, at, located, ok := d.below(t, m); ok {
		if d.Compact || d.last != '\n' {
			d.write("\n")
		}
		d.structure(in, at, located, m.level+1, nil)
	}
	d.end()
}

// below returns the structure that is shown under a member.
func (d *dumper) below(t *types.Type, m member) (in *types.Type, addr uint64, located, ok bool) {
	if t == nil || !d.Block && m.level > d.Depth {
		return nil, 0, false, false
	}
	if t.Kind == types.Array && !(m.located && d.Block) {
		t = t.Elem()
	}
	switch {
	case t == nil:
	case t.Kind.IsAggregate():
		return t, m.addr, m.located, true
	case t.Kind != types.Pointer || d.Block || t.Elem() == nil || !t.Elem().Kind.IsAggregate():
	case !m.located:
		return t.Elem(), 0, false, true
	default:
		v, ok := d.read(m.addr, int(t.Size))
		if !ok || v == 0 {
			return nil, 0, false, false
		}
		if _, ok := d.read(v, 1); !ok {
			return nil, 0, false, false
		}
		return t.Elem(), v, true, true
	}
	return nil, 0, false, false
}

// elements prints the elements of an array below its name.
func (d *dumper) elements(t *types.Type, m member) {
	elem := t.Elem()
	if elem == nil {
		d.end()
		return
	}
	if isText(elem) {
		d.write(" " + d.quoted(m.addr, int(elem.Size), int(min(t.Count, maxText))))
	}
	d.write("\n")
	n := int(min(t.Count, maxElements))
	if d.Elements && d.ElementMax > 0 {
		n = min(d.ElementMax, maxElements)
	}
	for i := range n {
		if d.ctx.Err() != nil {
			return
		}
		at := m.addr + uint64(i)*elem.Size
		d.printf("%s [%02d] ", d.indent(m.level), i)
		if i > 0 && elem.Kind.IsAggregate() && (d.Block || d.Depth > 0) {
			text, _ := d.head(elem, at)
			d.write(text)
		} else {
			d.write(d.value(elem, at, m.level))
		}
		d.endLine()
		if d.Block && elem.Kind.IsAggregate() {
			d.structure(elem, at, true, m.level+1, nil)
		}
	}
}

// maxElements bounds arrays shown element by element.
const maxElements = 1 << 20
