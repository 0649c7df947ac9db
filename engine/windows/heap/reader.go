package heap

import (
	"encoding/binary"

	"kdap/engine/memory"
)

// A reader reads small numbers that lie close together: it keeps the page it
// read last. It is for one walk, not for several at once.
type reader struct {
	space memory.Space
	at    uint64 // of the page, 1: none
	have  int    // readable bytes at its start
	err   error  // why the rest is not
	page  [memory.PageSize]byte
}

func newReader(space memory.Space) *reader { return &reader{space: space, at: 1} }

// bytes fills b from va.
func (r *reader) bytes(va uint64, b []byte) error {
	for len(b) > 0 {
		base := va &^ (memory.PageSize - 1)
		if r.at != base {
			r.at = base
			r.have, r.err = r.space.Read(base, r.page[:])
		}
		off := int(va - base)
		if off >= r.have {
			return r.err
		}
		n := copy(b, r.page[off:r.have])
		b, va = b[n:], va+uint64(n)
	}
	return nil
}

func (r *reader) uint(va uint64, size int) (uint64, error) {
	var b [8]byte
	if err := r.bytes(va, b[:size]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}
