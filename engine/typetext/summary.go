package typetext

import (
	"strings"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// Head returns the short value of the structures that have one: lists, strings,
// 64-bit integers, GUIDs. It is empty for others, and where they cannot be read.
func Head(space memory.Space, t *types.Type, addr uint64) string {
	d := dumper{Printer: &Printer{Space: space, PointerSize: 8}}
	text, _ := d.head(t, addr)
	return strings.TrimSpace(text)
}

// Text returns the characters of an array in quotes, up to its NUL or end.
func Text(space memory.Space, t *types.Type, addr uint64) string {
	elem := t.Elem()
	if t.Kind != types.Array || !isText(elem) {
		return ""
	}
	d := dumper{Printer: &Printer{Space: space}}
	return d.quoted(addr, int(elem.Size), int(min(t.Count, maxText)))
}
