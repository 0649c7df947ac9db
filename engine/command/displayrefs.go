package command

import (
	"context"

	"kdap/engine/expr"
	"kdap/engine/memory"
)

// displayPointers shows pointers with their symbols (dps, dpS) or with what
// they point to (dpp, dpa, dpu). dd forms take 32-bit pointers.
func (s *Session) displayPointers(ctx context.Context, c *expr.Cursor, d displayCall) error {
	kind, size := d.form[2], 8
	if d.form[1] == 'd' || d.form[1] == 'p' && s.env().PointerSize() == 4 {
		size = 4
	}
	count := uint64(128 / size)
	r, err := s.displayRange(c, uint64(size), count)
	if err != nil {
		return err
	}
	perRow := max(d.width, 1)
	const atOnce = 4096
	for done := uint64(0); done < r.Count; {
		n := min(r.Count-done, max(perRow, atOnce/perRow*perRow))
		at := r.Addr + done*uint64(size)
		b, valid := readHoles(d.space, at, n*uint64(size))
		for i := range n {
			if err := ctx.Err(); err != nil {
				return err
			}
			cell, ok := b[i*uint64(size):][:size], allValid(valid[i*uint64(size):][:size])
			if done+i == 0 && ok {
				s.pseudo.p = cellValue(cell)
			}
			if kind == 'S' {
				s.symbolRow(ctx, cell, ok)
				continue
			}
			first, last := (done+i)%perRow == 0, (done+i+1)%perRow == 0 || done+i+1 == r.Count
			if first {
				s.printf("%s ", s.addressText(at+i*uint64(size)))
			}
			s.printf(" %s", s.pointerCell(ctx, d, kind, cell, ok))
			if last {
				s.printf("\n")
			}
		}
		done += n
		s.setDisplayNext(r.Addr + done*uint64(size))
	}
	s.setDisplayNext(r.Addr + r.Count*uint64(size))
	return nil
}

// symbolRow is a row of dpS: only values that have a symbol are shown.
func (s *Session) symbolRow(ctx context.Context, cell []byte, ok bool) {
	if !ok {
		return
	}
	if name := s.symbolAndLine(ctx, cellValue(cell)); name != "" {
		s.printf(" %s %s\n", hexCell(cell), name)
	}
}

// symbolAndLine names an address, with its source line where lines are on.
func (s *Session) symbolAndLine(ctx context.Context, va uint64) string {
	if p, ok := s.place(ctx, va); ok {
		return placeText(p, va) + s.sourceSuffix(p)
	}
	return s.symbolText(ctx, va)
}

func (s *Session) pointerCell(ctx context.Context, d displayCall, kind byte, cell []byte, ok bool) string {
	size := len(cell)
	if !ok {
		return unreadableCell(2*size+size/8, size)
	}
	text, v := hexCell(cell), cellValue(cell)
	target := s.space()
	switch kind {
	case 's':
		if name := s.symbolAndLine(ctx, v); name != "" {
			text += " " + name
		}
	case 'p':
		value, err := memory.ReadUint(target, v, size)
		if err != nil {
			return text
		}
		b := make([]byte, 8)
		for i := range b {
			b[i] = byte(value >> (8 * i))
		}
		text += " " + hexCell(b[:size])
		if name := s.symbolAndLine(ctx, value); name != "" {
			text += " " + name
		}
	case 'a', 'u':
		unit := 1
		if kind == 'u' {
			unit = 2
		}
		if _, err := memory.ReadUint(target, v, unit); err != nil {
			return text
		}
		pointed, _, _ := newTextReader(target, v, unit).take(maxPointedString)
		text += ` "` + pointed + `"`
	}
	return text
}

// Counts of dl without arguments.
const (
	defaultNodes = 32
	defaultWords = 4
)

// displayList shows the nodes of a linked list; back follows the second word
// of each node instead of the first.
func (s *Session) displayList(ctx context.Context, c *expr.Cursor, back bool) error {
	at, count, words := s.displayNext(), uint64(defaultNodes), uint64(defaultWords)
	for i, p := range []*uint64{&at, &count, &words} {
		if c.Done() {
			break
		}
		noun := expr.Default
		if i == 0 {
			noun = expr.Address
		}
		v, err := noun(s.env(), c)
		if err != nil {
			return err
		}
		*p = v
		if i == 0 {
			s.setDisplayNext(v)
		}
	}
	if words == 0 {
		return nil
	}
	size := uint64(s.env().PointerSize())
	f := rowForms["dq"]
	if size == 4 {
		f = rowForms["dd"]
		f.cells = 2
	}
	w := rowWriter{form: f, narrow: s.addressDigits() == 8}
	link := uint64(0)
	if back {
		link = size
	}
	space, head := s.space(), at
	for n := uint64(0); n < count; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, err := memory.ReadUint(space, at+link, int(size))
		if err != nil {
			return nil
		}
		const atOnce = 4096
		for done := uint64(0); done < words; done += atOnce {
			if err := ctx.Err(); err != nil {
				return err
			}
			va := at + done*size
			b, valid := readHoles(space, va, min(atOnce, words-done)*size)
			s.printf("%s", w.rows(va, b, valid))
		}
		at = next
		s.setDisplayNext(at)
		if at == 0 || at == head {
			return nil
		}
	}
	return nil
}
