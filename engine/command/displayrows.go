package command

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/memory"
)

// A rowForm is how one form lays out its rows.
type rowForm struct {
	size   int    // bytes of a cell
	cells  uint64 // in a row
	count  uint64 // cells without a range
	width  int    // characters of a cell
	header string
	cell   func(b []byte) string
	text   func(b []byte, valid []bool, size int) string // the column behind the cells, "" for none
}

var rowForms = map[string]rowForm{
	"db": {size: 1, cells: 16, count: 128, width: 2, cell: hexCell, text: characterColumn},
	"dw": {size: 2, cells: 8, count: 64, width: 4, cell: hexCell},
	"dW": {size: 2, cells: 8, count: 64, width: 4, cell: hexCell, text: characterColumn},
	"dd": {size: 4, cells: 4, count: 32, width: 8, cell: hexCell},
	"dc": {size: 4, cells: 4, count: 32, width: 8, cell: hexCell, text: characterColumn},
	"dq": {size: 8, cells: 2, count: 16, width: 17, cell: hexCell},
	"df": {size: 4, cells: 4, count: 16, width: 16, cell: floatCell},
	"dD": {size: 8, cells: 3, count: 15, width: 22, cell: doubleCell},
	"dyb": {
		size: 1, cells: 4, count: 32, width: 8, cell: bitCell, text: hexColumn,
		header: "                   76543210 76543210 76543210 76543210\n" +
			"                   -------- -------- -------- --------\n",
	},
	"dyd": {
		size: 4, cells: 1, count: 8, width: 35, cell: bitCell, text: hexColumn,
		header: "                    3          2          1          0\n" +
			"                   10987654 32109876 54321098 76543210\n" +
			"                   -------- -------- -------- --------\n",
	},
}

// rowsAtOnce bounds what is read and printed in one go, in bytes of memory.
const rowsAtOnce = 64 << 10

// displayRows shows memory as numbers.
func (s *Session) displayRows(ctx context.Context, c *expr.Cursor, d displayCall) error {
	form := d.form
	if form == "dp" {
		form = "dq"
		if s.env().PointerSize() == 4 {
			form = "dd"
		}
	}
	f := rowForms[form]
	if d.width != 0 {
		f.cells = d.width
	}
	r, err := s.displayRange(c, uint64(f.size), f.count)
	if err != nil {
		return err
	}
	if r.Count > 0 {
		s.printf("%s", f.header)
	}
	w := rowWriter{form: f, dash: form == "db", narrow: s.addressDigits() == 8}
	perRead := max(1, rowsAtOnce/(f.cells*uint64(f.size))) * f.cells
	for done := uint64(0); done < r.Count; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(perRead, r.Count-done)
		at := r.Addr + done*uint64(f.size)
		b, valid := readHoles(d.space, at, n*uint64(f.size))
		if done == 0 && f.size <= 8 && allValid(valid[:f.size]) {
			s.pseudo.p = cellValue(b[:f.size])
		}
		s.printf("%s", w.rows(at, b, valid))
		done += n
		s.setDisplayNext(r.Addr + done*uint64(f.size))
	}
	s.setDisplayNext(r.Addr + r.Count*uint64(f.size))
	return nil
}

func readHoles(space memory.Space, va, n uint64) ([]byte, []bool) {
	b, valid := make([]byte, n), make([]bool, n)
	memory.ReadHoles(space, va, b, valid)
	return b, valid
}

func allValid(valid []bool) bool {
	for _, v := range valid {
		if !v {
			return false
		}
	}
	return true
}

// cellValue reads a little-endian number of 1, 2, 4 or 8 bytes.
func cellValue(b []byte) uint64 {
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:])
}

// rowWriter writes rows of cells.
type rowWriter struct {
	form   rowForm
	dash   bool // between the eighth and the ninth cell
	narrow bool // addresses have eight digits
	out    []byte
}

// rows returns the rows of the memory at va.
func (w *rowWriter) rows(va uint64, b []byte, valid []bool) []byte {
	w.out = w.out[:0]
	perRow := int(w.form.cells) * w.form.size
	for off := 0; off < len(b); off += perRow {
		end := min(off+perRow, len(b))
		w.row(va+uint64(off), b[off:end], valid[off:end])
	}
	return w.out
}

func (w *rowWriter) row(va uint64, b []byte, valid []bool) {
	f := w.form
	if w.narrow {
		w.out = append(w.out, format.Addr32(va)...)
	} else {
		w.out = format.AppendAddr(w.out, va)
	}
	w.out = append(w.out, ' ')
	start := len(w.out)
	for i := 0; i < len(b); i += f.size {
		divider := byte(' ')
		if w.dash && i == 8 {
			divider = '-'
		}
		w.out = append(w.out, divider)
		if allValid(valid[i : i+f.size]) {
			w.out = append(w.out, f.cell(b[i:i+f.size])...)
		} else {
			w.out = append(w.out, unreadableCell(f.width, f.size)...)
		}
	}
	if f.text != nil {
		for full := int(f.cells) * (f.width + 1); len(w.out)-start < full; {
			w.out = append(w.out, ' ')
		}
		w.out = append(w.out, "  "...)
		w.out = append(w.out, f.text(b, unreadableCells(valid, f.size), f.size)...)
	}
	w.out = append(w.out, '\n')
}

// unreadableCells marks all bytes of a cell as unreadable when one of them is.
func unreadableCells(valid []bool, size int) []bool {
	if allValid(valid) || size == 1 {
		return valid
	}
	out := make([]bool, len(valid))
	for i := 0; i+size <= len(valid); i += size {
		ok := allValid(valid[i : i+size])
		for k := range size {
			out[i+k] = ok
		}
	}
	return out
}

func unreadableCell(width, size int) string {
	switch {
	case width == 17:
		return "????????`????????"
	case width == 35:
		return "???????? ???????? ???????? ????????"
	case width == 22: // of a double: wider than its numbers
		return strings.Repeat("?", 24)
	case width == 16 || size == 1 && width == 8:
		return strings.Repeat("?", width)
	}
	return strings.Repeat("?", 2*size)
}

func hexCell(b []byte) string {
	switch len(b) {
	case 1:
		const hex = "0123456789abcdef"
		return string([]byte{hex[b[0]>>4], hex[b[0]&15]})
	case 8:
		return format.Addr(binary.LittleEndian.Uint64(b))
	}
	return fmt.Sprintf("%0*x", 2*len(b), cellValue(b))
}

func floatCell(b []byte) string {
	return fmt.Sprintf("%16s", format.G(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 8))
}

func doubleCell(b []byte) string {
	return fmt.Sprintf("%22s", format.G(math.Float64frombits(binary.LittleEndian.Uint64(b)), 12))
}

func bitCell(b []byte) string {
	parts := make([]string, len(b))
	for i := range b {
		parts[len(b)-1-i] = fmt.Sprintf("%08b", b[i])
	}
	return strings.Join(parts, " ")
}

// characterColumn shows bytes as ASCII.
func characterColumn(b []byte, valid []bool, _ int) string {
	out := make([]byte, len(b))
	for i, c := range b {
		switch {
		case !valid[i]:
			out[i] = '?'
		case c >= 0x20 && c < 0x7f:
			out[i] = c
		default:
			out[i] = '.'
		}
	}
	return string(out)
}

// hexColumn shows the cells of a row of bits in hexadecimal.
func hexColumn(b []byte, valid []bool, size int) string {
	var parts []string
	for i := 0; i+size <= len(b); i += size {
		if valid[i] {
			parts = append(parts, hexCell(b[i:i+size]))
		} else {
			parts = append(parts, strings.Repeat("?", 2*size))
		}
	}
	return strings.Join(parts, " ")
}
