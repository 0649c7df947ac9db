package command

import (
	"context"
	"slices"

	"kdap/engine/windows"
)

// A stackRow is one row of a stack: a frame, or a function that the compiler
// inlined into it, which has a number like any other row but no stack of its own.
type stackRow struct {
	frame   windows.Frame
	inline  *windows.InlineFrame // nil for the frame's own function
	inlined int                  // how deep it was inlined, 0 for the frame's own function
}

// rows returns the rows of a frame: the innermost inlined function first, the
// frame's own function last.
func (s *Session) rows(ctx context.Context, f windows.Frame) []stackRow {
	var all []stackRow
	if m := s.moduleSet(ctx).Find(f.IP); m != nil && !s.words.noInline {
		for in := range m.Inlined(s.symbolsOf(ctx, m), f.IP) {
			all = append(all, stackRow{frame: f, inline: &in})
		}
	}
	for i := range all {
		all[i].inlined = len(all) - i
	}
	return append(all, stackRow{frame: f})
}

// inlineColumns stand for the stack pointer and return address of an inlined function.
const (
	inlineSP     = "(Inline Function)"
	inlineNumber = "--------`--------"
)

// inlineName names an inlined function.
func inlineName(m *windows.Module, in *windows.InlineFrame) string { return m.Name + "!" + in.Name }

// rowAt returns row n of a walked stack.
func (s *Session) rowAt(ctx context.Context, frames []windows.Frame, n uint64) (stackRow, bool) {
	for _, f := range frames {
		s.loadFor(ctx, f)
		rows := s.rows(ctx, f)
		if n < uint64(len(rows)) {
			return rows[n], true
		}
		n -= uint64(len(rows))
	}
	return stackRow{}, false
}

// rowOf returns the row of a frame that is inlined so deep.
func (s *Session) rowOf(ctx context.Context, f windows.Frame, inlined int) stackRow {
	rows := s.rows(ctx, f)
	if i := slices.IndexFunc(rows, func(r stackRow) bool { return r.inlined == inlined }); i >= 0 {
		return rows[i]
	}
	return stackRow{frame: f}
}
