package command

import (
	"context"
	"sync"
	"unicode/utf16"

	"kdap/engine/expr"
	"kdap/engine/memory"
)

// defaultStringLength is how long a string must be to be shown by s -sa.
const defaultStringLength = 3

// stringChunk is how much is read at once.
const stringChunk = 1 << 18

// inStrings tells for each code unit of a size whether it may be in a string: a
// search asks for every one that it passes.
var inStrings = map[uint64]func() []bool{1: unitsInStrings(1), 2: unitsInStrings(2)}

func unitsInStrings(size int) func() []bool {
	return sync.OnceValue(func() []bool {
		table := make([]bool, 1<<(8*size))
		for c := range rune(len(table)) {
			table[c] = !utf16.IsSurrogate(c) && expr.Printable(c, size)
		}
		return table
	})
}

// searchStrings shows the runs of printable characters that end in the range,
// before a character that cannot be printed.
func (s *Session) searchStrings(ctx context.Context, q searchCall, r expr.Range) error {
	unit := searchUnits[q.kind]
	if r.Count == 0 {
		return nil
	}
	end := r.Addr + r.Count*unit // may be 0: the end of the address space
	start, length := uint64(0), uint64(0)
	shown := inStrings[unit]()
	buf := make([]byte, min(stringChunk, r.Count*unit))
	for at := r.Addr; at != end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(uint64(len(buf)), end-at)]
		n, err := q.space.Read(at, b)
		n -= n % int(unit)
		for i := 0; i < n; i += int(unit) {
			c := int(b[i])
			if unit == 2 {
				c |= int(b[i+1]) << 8
			}
			if shown[c] {
				if length == 0 {
					start = at + uint64(i)
				}
				length++
				continue
			}
			if length >= max(q.least, 1) {
				if err := s.showString(ctx, q, start, length); err != nil {
					return err
				}
			}
			length = 0
		}
		at += uint64(n)
		if err == nil {
			continue
		}
		// An unreadable page ends a run without showing it.
		length = 0
		next, ok := memory.Behind(q.space, at, err)
		if !ok || next-r.Addr >= end-r.Addr {
			return nil
		}
		at = next + (r.Addr-next)%unit
	}
	return nil
}

func (s *Session) showString(ctx context.Context, q searchCall, va, length uint64) error {
	if q.addresses {
		s.printf("0x%s\n", s.addressText(va))
		return nil
	}
	read := newTextReader(q.space, va, int(searchUnits[q.kind]))
	_, err := s.stringRows(ctx, read, length, stringWidth)
	return err
}
