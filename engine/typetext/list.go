package typetext

import (
	"strings"

	"kdap/engine/format"
	"kdap/engine/types"
)

// list walks a list through a link and prints its nodes.
func (d *dumper) list(r Request, selectors []chosen) error {
	link := ParseSelector(r.List, false)
	link.hideLeaf = true
	if len(selectors) > 0 {
		selectors = append(selectors, chosen{&link, 0})
	}
	if !r.Located {
		d.top(r.Type, 0, false, selectors)
		return d.ctx.Err()
	}
	offset, pointer, ok := linkOf(r.Type, link)
	back := offset // from what the link points to, to its node
	if ok {
		if e := pointer.Elem(); e != nil && e.Kind.IsAggregate() && e.Name == r.Type.Name {
			back = 0 // to the node itself
		}
	}
	seen := map[uint64]bool{}
	for at := r.Addr; ; {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		if _, readable := d.read(at, 1); !readable || seen[at] {
			return nil
		}
		seen[at] = true
		d.printf("%s at 0x%s\n%s", r.List, format.AddrSize(at, d.PointerSize), rule)
		d.found, d.failed = false, false
		d.top(r.Type, at, true, selectors)
		d.finish(r)
		d.write("\n")
		if !ok {
			return nil
		}
		next, readable := d.read(at+offset, int(pointer.Size))
		if !readable || next == 0 {
			return nil
		}
		at = next - back
		// The node that leads back to the first is not shown, as the debugger
		// has it.
		if again, _ := d.read(at+offset, int(pointer.Size)); again == r.Addr+back {
			return nil
		}
	}
}

// linkOf returns the offset and type of the pointer at the end of a path.
func linkOf(t *types.Type, s Selector) (offset uint64, pointer *types.Type, ok bool) {
	for _, p := range s.parts {
		if t == nil || !t.Kind.IsAggregate() {
			return 0, nil, false
		}
		var next *types.Type
		for _, f := range Members(t) {
			if strings.EqualFold(f.Name, p.name) {
				next = f.Type
				offset += f.Offset
				break
			}
		}
		if t = next; t == nil {
			return 0, nil, false
		}
	}
	return offset, t, t.Kind == types.Pointer
}
