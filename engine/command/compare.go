package command

import (
	"context"

	"kdap/engine/expr"
)

// compareChunk is how much of both ranges is read at once.
const compareChunk = 1 << 16

// runCompare compares two ranges byte by byte.
func (s *Session) runCompare(ctx context.Context, c *expr.Cursor) error {
	r, err := expr.ReadRange(s.env(), c, expr.RangeSpec{ElemSize: 1, Default: 128, MaxUnlimited: maxUnlimited})
	if err != nil {
		return err
	}
	other, err := s.address(c)
	if err != nil {
		return err
	}
	behind := c.Pos
	space := s.space()
	one, two := make([]byte, compareChunk), make([]byte, compareChunk)
	for done := uint64(0); done < r.Count; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(r.Count-done, compareChunk)
		got, err1 := space.Read(r.Addr+done, one[:n])
		got2, err2 := space.Read(other+done, two[:n])
		got = min(got, got2)
		for i := range got {
			if one[i] != two[i] {
				at := done + uint64(i)
				s.printf("%s  %02x - %s  %02x\n", s.addressText(r.Addr+at), one[i], s.addressText(other+at), two[i])
			}
		}
		if err1 != nil || err2 != nil {
			return expr.Caret("Memory access error", behind)
		}
		done += n
	}
	return nil
}
