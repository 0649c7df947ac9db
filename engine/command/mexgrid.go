package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A grid is a table as MEX prints it: a head, a rule as wide as each column's
// widest cell, one blank between columns.
type grid struct {
	heads []string
	right []bool
	rows  [][]string
}

// newGrid takes the heads of the columns; one that begins with ">" has its
// cells at the right.
func newGrid(heads ...string) *grid {
	g := &grid{}
	for _, h := range heads {
		g.head(h)
	}
	return g
}

// head adds a column.
func (g *grid) head(h string) {
	h, right := strings.CutPrefix(h, ">")
	g.heads, g.right = append(g.heads, h), append(g.right, right)
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

func (g *grid) widths() []int {
	w := make([]int, len(g.heads))
	for _, row := range append([][]string{g.heads}, g.rows...) {
		for i, cell := range row {
			w[i] = max(w[i], utf8.RuneCountInString(cell))
		}
	}
	return w
}

// line joins the cells of one row.
func (g *grid) line(w []int, row []string) string {
	var b strings.Builder
	for i, cell := range row {
		pad := strings.Repeat(" ", w[i]-utf8.RuneCountInString(cell))
		if g.right[i] {
			cell = pad + cell
		} else {
			cell += pad
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(cell)
	}
	return strings.TrimRight(b.String(), " ")
}

func (g *grid) rule(w []int) string {
	rules := make([]string, len(w))
	for i, n := range w {
		rules[i] = strings.Repeat("=", n)
	}
	return strings.Join(rules, " ")
}

// print prints the table, each line behind an indent.
func (g *grid) print(s *Session, indent string) {
	w := g.widths()
	s.printf("%s%s\n%s%s\n", indent, g.line(w, g.heads), indent, g.rule(w))
	for _, row := range g.rows {
		s.printf("%s%s\n", indent, g.line(w, row))
	}
}

// plain prints the table without its rule.
func (g *grid) plain(s *Session, indent string) {
	w := g.widths()
	for _, row := range append([][]string{g.heads}, g.rows...) {
		s.printf("%s%s\n", indent, g.line(w, row))
	}
}

// mexTime spells a length of time: 0, 16ms, 6s.718, 28m:16.641, 1h:02:03.456.
func mexTime(d time.Duration) string {
	ms := d.Milliseconds()
	switch {
	case ms <= 0:
		return "0"
	case ms < 1000:
		return fmt.Sprintf("%dms", ms)
	case ms < 60_000:
		return fmt.Sprintf("%ds.%03d", ms/1000, ms%1000)
	case ms < 3_600_000:
		return fmt.Sprintf("%dm:%02d.%03d", ms/60_000, ms/1000%60, ms%1000)
	}
	return fmt.Sprintf("%dh:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}

// mexSize spells a number of bytes: 1.21 MB, 2 TB, 0.
func mexSize(n uint64) string {
	units := []string{"KB", "MB", "GB", "TB"}
	if n < 1<<10 {
		return fmt.Sprint(n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(f, 'f', 2, 64), "0"), ".") + " " + units[i]
}

// mexDate spells a moment: 08/13/2023 04:53:59.028 AM.
func mexDate(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("01/02/2006 03:04:05.000 PM")
}
