package typetext

import (
	"strings"

	"kdap/engine/types"
)

// selected prints a member if the field list names it.
func (d *dumper) selected(m member, selectors []chosen) {
	var leaf *chosen
	var path []chosen
	for i := range selectors {
		c := selectors[i]
		if !c.s.matches(c.k, m.f.Name) {
			continue
		}
		if c.k < len(c.s.parts)-1 {
			path = append(path, c)
		} else if leaf == nil || !c.s.parts[c.k].indexed || !leaf.s.parts[leaf.k].indexed {
			leaf = &selectors[i]
		} else {
			leaf = &chosen{&Selector{parts: []part{{}}}, 0} // two subscripts: the whole array
		}
	}
	switch {
	case len(path) > 0:
		d.path(m, path)
	case leaf != nil && !leaf.s.hideLeaf:
		d.leaf(m, leaf)
	}
}

// leaf prints the last member of a path.
func (d *dumper) leaf(m member, c *chosen) {
	p := c.s.parts[c.k]
	d.found = true
	elem, at, ok := d.subscript(m, p)
	switch {
	case ok:
		// the rest of the line, behind the subscript
		if m.located {
			d.write(d.value(elem, at, m.level))
		} else {
			d.write(d.typeText(elem, m.level, 0))
		}
		d.end()
	case m.f.Type != nil && m.f.Type.Kind == types.Array && (d.Block || d.Elements) && m.located:
		d.begin(m)
		block := d.Printer
		shallow := *block
		shallow.Block, shallow.Elements = false, true
		if block.Block {
			shallow.ElementMax = 0
		}
		d.Printer = &shallow
		d.elements(m.f.Type, m)
		d.Printer = block
	default:
		d.begin(m)
		if m.f.Type != nil {
			if m.located {
				d.write(d.value(m.f.Type, m.addr, m.level))
			} else {
				d.write(d.typeText(m.f.Type, m.level, 0))
			}
		}
		d.end()
	}
}

// subscript begins the line of a member with a subscript and returns the
// element. ok is false, and nothing printed, when there is none or it is
// negative.
func (d *dumper) subscript(m member, p part) (elem *types.Type, addr uint64, ok bool) {
	t := m.f.Type
	if !p.indexed || t == nil || t.Elem() == nil || t.Kind != types.Array && t.Kind != types.Pointer {
		return nil, 0, false
	}
	if strings.HasPrefix(p.subscript, "-") {
		return nil, 0, false
	}
	d.begin(m)
	i, err := d.index(p.subscript)
	if err != nil {
		d.printf("%v\n", err)
		i = 0
	}
	d.printf("[%d] ", i)
	base := m.addr
	if t.Kind == types.Pointer && m.located {
		base, _ = d.number(m.addr, int(t.Size))
	}
	return t.Elem(), base + uint64(i)*t.Elem().Size, true
}

// path prints a member that the field list goes on into.
func (d *dumper) path(m member, selectors []chosen) {
	p := selectors[0].s.parts[selectors[0].k]
	t := m.f.Type
	inner := make([]chosen, len(selectors))
	for i, c := range selectors {
		inner[i] = chosen{c.s, c.k + 1}
	}
	if elem, at, ok := d.subscript(m, p); ok {
		if elem.Kind.IsAggregate() {
			if m.located {
				text, _ := d.head(elem, at)
				d.write(text)
			}
			d.endLine()
			d.structure(elem, at, m.located, m.level+1, inner)
			return
		}
		if m.located {
			d.write(d.value(elem, at, m.level))
		}
		d.end()
		return
	}
	d.begin(m)
	if t == nil {
		d.end()
		return
	}
	switch {
	case t.Kind.IsAggregate():
		d.into(t, m.addr, m.located, m.level, inner)
	case t.Kind == types.Array && t.Elem() != nil && t.Elem().Kind.IsAggregate():
		d.printf("[%d] ", t.Count)
		d.into(t.Elem(), m.addr, m.located, m.level, inner)
	case t.Kind == types.Pointer:
		d.follow(t, m, p.arrow, inner)
	default:
		if m.located {
			d.write(d.value(t, m.addr, m.level))
		}
		d.end()
	}
}

func (d *dumper) into(t *types.Type, addr uint64, located bool, level int, selectors []chosen) {
	if located {
		text, _ := d.head(t, addr)
		d.write(text)
	}
	d.endLine()
	d.structure(t, addr, located, level+1, selectors)
}

// follow goes through a pointer; only an arrow does.
func (d *dumper) follow(t *types.Type, m member, arrow bool, selectors []chosen) {
	elem := t.Elem()
	if !arrow || elem == nil || !elem.Kind.IsAggregate() {
		d.end()
		return
	}
	if !m.located {
		d.into(elem, 0, false, m.level, selectors)
		return
	}
	v, ok := d.number(m.addr, int(t.Size))
	if !ok {
		d.end()
		return
	}
	d.into(elem, v, true, m.level, selectors)
}
