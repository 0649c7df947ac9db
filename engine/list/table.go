package list

import (
	"bufio"
	"unicode/utf8"
)

// tableAhead is how many rows a table waits for before it begins: they say how
// wide its columns are. A listing may have millions.
const tableAhead = 10_000

// columnGap is what stands between two columns.
const columnGap = 2

// A tableWriter aligns rows. From the row on that is the first to be too wide
// for its column, that column is wider.
type tableWriter struct {
	w      *bufio.Writer
	widths []int
	ahead  [][]string // not written yet
	begun  bool
}

func (t *tableWriter) row(cells []string) error {
	for len(t.widths) < len(cells) {
		t.widths = append(t.widths, 0)
	}
	for i, c := range cells {
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(c))
	}
	if t.begun {
		return t.write(cells)
	}
	t.ahead = append(t.ahead, cells)
	if len(t.ahead) < tableAhead {
		return nil
	}
	return t.flush()
}

// flush writes what was kept.
func (t *tableWriter) flush() error {
	t.begun = true
	for _, cells := range t.ahead {
		if err := t.write(cells); err != nil {
			return err
		}
	}
	t.ahead = nil
	return nil
}

// write prints a row; nothing stands behind its last cell. The writer keeps its
// first error.
func (t *tableWriter) write(cells []string) error {
	for i, c := range cells {
		t.w.WriteString(c)
		if i == len(cells)-1 {
			break
		}
		for range t.widths[i] + columnGap - utf8.RuneCountInString(c) {
			t.w.WriteByte(' ')
		}
	}
	return t.w.WriteByte('\n')
}
