package command

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf16"

	"kdap/engine/expr"
	"kdap/engine/memory"
)

const (
	// maxDisplayString is how many characters da and du show without a range.
	maxDisplayString = 384
	stringWidth      = 32
	// maxPointedString bounds the strings behind pointers.
	maxPointedString = 1024
)

// displayString shows a string up to its NUL or the end of the range.
func (s *Session) displayString(ctx context.Context, c *expr.Cursor, d displayCall) error {
	unit := 1
	if d.form == "du" {
		unit = 2
	}
	r, err := s.displayRange(c, uint64(unit), maxDisplayString)
	if err != nil || r.Count == 0 {
		return err
	}
	read := newTextReader(d.space, r.Addr, unit)
	if ch, readable := read.char(); readable {
		s.pseudo.p = uint64(ch)
	}
	next, err := s.stringRows(ctx, read, r.Count, d.width)
	s.setDisplayNext(next)
	return err
}

// stringRows prints rows of characters, at most count of them, up to a NUL, and
// returns the address behind them. A NUL at the start of a row shows as an
// empty row.
func (s *Session) stringRows(ctx context.Context, read *textReader, count, width uint64) (uint64, error) {
	if width == 0 {
		width = stringWidth
	}
	for count > 0 {
		if err := ctx.Err(); err != nil {
			return read.next(), err
		}
		at := read.next()
		text, n, ended := read.take(min(width, count))
		s.printf("%s  \"%s\"\n", s.addressText(at), text)
		if ended {
			break
		}
		count -= n
	}
	return read.next(), nil
}

// displayCounted shows the text of a STRING or UNICODE_STRING.
func (s *Session) displayCounted(c *expr.Cursor, d displayCall) error {
	r, err := s.displayRange(c, 1, 1)
	if err != nil {
		return err
	}
	s.setDisplayNext(r.Addr)
	unit := 1
	if d.form == "dS" {
		unit = 2
	}
	size := s.env().PointerSize()
	var head [16]byte
	if n, _ := d.space.Read(r.Addr, head[:2*size]); n < 2*size {
		return nil
	}
	length, buffer := cellValue(head[:2]), cellValue(head[size:2*size])
	for range min(r.Count, maxCounted) {
		if length/uint64(unit) == 0 {
			break
		}
		read := newTextReader(d.space, buffer, unit)
		if _, err := s.stringRows(s.ctx, read, length/uint64(unit), d.width); err != nil {
			return err
		}
	}
	return nil
}

// maxCounted bounds how often ds prints one string: the count is a number the
// user typed.
const maxCounted = 0x10000

// A textReader reads characters of one or two bytes as da and du show them.
type textReader struct {
	space memory.Space
	unit  int
	at    uint64 // of the first byte that is not taken
	b     []byte // read ahead, from at on
	valid []bool
}

func newTextReader(space memory.Space, va uint64, unit int) *textReader {
	return &textReader{space: space, unit: unit, at: va}
}

// next returns the address of the next character.
func (t *textReader) next() uint64 { return t.at }

// readAhead is how many bytes a textReader reads at once.
const readAhead = 1024

// char returns the next unit; readable is false where memory is missing.
func (t *textReader) char() (c uint16, readable bool) {
	if len(t.b) < t.unit {
		t.b, t.valid = readHoles(t.space, t.at, readAhead)
	}
	c, readable = uint16(t.b[0]), t.valid[0]
	if t.unit == 2 {
		c |= uint16(t.b[1]) << 8
		readable = readable && t.valid[1]
	}
	return c, readable
}

func (t *textReader) skip() {
	t.b, t.valid = t.b[t.unit:], t.valid[t.unit:]
	t.at += uint64(t.unit)
}

// take returns the text of at most count characters and their number. ended
// reports that a NUL came, which is taken too.
func (t *textReader) take(count uint64) (text string, n uint64, ended bool) {
	var out strings.Builder
	var units []uint16
	flush := func() {
		for _, r := range utf16.Decode(units) {
			out.WriteRune(r)
		}
		units = units[:0]
	}
	for ; n < count; n++ {
		c, readable := t.char()
		if readable && c == 0 {
			flush()
			t.skip()
			return out.String(), n, true
		}
		t.skip()
		switch {
		case !readable:
			c = '?'
		case !printableChar(c, t.unit):
			c = '.'
		}
		units = append(units, c)
	}
	flush()
	return out.String(), n, false
}

// printableChar reports whether the d commands show a character as itself.
// Halves of surrogate pairs are left to the terminal.
func printableChar(c uint16, unit int) bool {
	if c < 0x7f || unit == 1 {
		return c >= 0x20 && c < 0x7f
	}
	r := rune(c)
	return unicode.IsPrint(r) || unicode.In(r, unicode.Zs, unicode.Co) || utf16.IsSurrogate(r)
}
