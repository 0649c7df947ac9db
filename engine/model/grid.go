package model

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Sizes of grids.
const (
	gridWidth    = 60 // of a cell
	minGridWidth = 8
	minColumn    = 5
	cellSpace    = 3
	objectCell   = "{...}"
	maxColumns   = 1000
)

// A gridRow is one element.
type gridRow struct {
	first string
	width int // that the first cell asks for
	cells map[string]string
	rest  bool
}

// grid prints the elements of a container, a row each.
func (p *printer) grid(ctx context.Context, v Value, s Spec) error {
	items, ok := iterable(v)
	if !ok {
		return Errorf("Grid display requires an iterable object!")
	}
	if n, ok := v.(Native); ok && !p.readable(n) {
		items = &Items{Each: func(context.Context, func(k, v Value) bool) error { return nil }}
	}
	var rows []gridRow
	var columns []string
	known := map[string]bool{}
	var failed error
	p.elements(ctx, v, items, s, max(p.o.Skip, 0), func(c Part, err error) bool {
		if err != nil {
			failed = err
			return false
		}
		row := p.gridRow(ctx, c, s, func(name string) {
			if !known[name] && len(columns) < maxColumns {
				known[name] = true
				columns = append(columns, name)
			}
		})
		rows = append(rows, row)
		return true
	})
	if failed != nil {
		return failed
	}
	if len(rows) == 0 {
		fmt.Fprintf(p.w, "Warning: The specified container expression is empty.  There is no grid to display.\n")
		return nil
	}
	return p.printGrid(rows, columns)
}

// gridRow computes the cells of an element.
func (p *printer) gridRow(ctx context.Context, c Part, s Spec, column func(name string)) gridRow {
	if c.rest {
		return gridRow{first: c.Name, width: len(c.Name), rest: true}
	}
	row := gridRow{first: c.Name, cells: map[string]string{}}
	text, _, err := p.text(ctx, c.Value, s.child())
	if err != nil {
		text = err.Error()
	}
	row.width = utf8.RuneCountInString(c.Name) + cellSpace
	if text != "" {
		row.first += " : " + text
		row.width = utf8.RuneCountInString(row.first)
	}
	if err != nil {
		return row
	}
	inner := *p
	inner.o.Skip, inner.o.Verbose = -1, false
	for part, err := range inner.parts(ctx, c.Value, s.child(), false) {
		if err != nil {
			break
		}
		if part.Pointee || part.Method || part.rest {
			continue
		}
		column(part.Name)
		row.cells[part.Name] = p.cell(ctx, part, s)
	}
	return row
}

func (p *printer) cell(ctx context.Context, c Part, s Spec) string {
	text, _, err := p.text(ctx, c.Value, s.child())
	switch {
	case err != nil:
		return err.Error()
	case text == "" && c.Value != String(""):
		return objectCell
	}
	return text
}

func (p *printer) printGrid(rows []gridRow, columns []string) error {
	limit := gridWidth
	if p.o.GridWidth > 0 {
		limit = max(p.o.GridWidth, minGridWidth)
	}
	widths := make([]int, len(columns)+1)
	widths[0] = minColumn
	for i, name := range columns {
		widths[i+1] = max(minColumn, utf8.RuneCountInString(name))
	}
	for _, r := range rows {
		widths[0] = max(widths[0], r.width)
		for i, name := range columns {
			text, ok := r.cells[name]
			switch {
			case !ok:
			case text == objectCell:
				widths[i+1] = max(widths[i+1], len(objectCell))
			default:
				widths[i+1] = max(widths[i+1], utf8.RuneCountInString(text)+cellSpace)
			}
		}
	}
	total := 1
	for i := range widths {
		widths[i] = min(widths[i], limit)
		total += widths[i] + cellSpace
	}
	edge := strings.Repeat("=", total)
	header := make([]string, len(widths))
	for i, name := range columns {
		header[i+1] = cutTo(name, widths[i+1])
	}
	fmt.Fprintf(p.w, "%s\n%s\n%s\n", edge, gridLine("=", header, widths), edge)
	for _, r := range rows {
		cells := make([]string, len(widths))
		cells[0] = r.first
		for i, name := range columns {
			cells[i+1] = r.cells[name]
		}
		fmt.Fprintf(p.w, "%s\n", gridLine("-", cells, widths))
	}
	_, err := fmt.Fprintf(p.w, "%s\n", edge)
	return err
}

func cutTo(s string, n int) string {
	r := []rune(s)
	return string(r[:min(len(r), n)])
}

// gridLine writes cells; one that is too long for its column becomes dots, and
// the row gets shorter.
func gridLine(between string, cells []string, widths []int) string {
	out := slices.Clone(cells)
	for i, c := range out {
		n := utf8.RuneCountInString(c)
		if n > widths[i] {
			out[i] = "..."
			continue
		}
		out[i] = c + strings.Repeat(" ", widths[i]-n)
	}
	return "= " + strings.Join(out, " "+between+" ") + " ="
}
