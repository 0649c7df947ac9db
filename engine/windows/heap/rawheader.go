package heap

import (
	"encoding/binary"
	"fmt"

	"kdap/engine/memory"
)

// A RawHeader is a block's header as it is stored and what it means; sizes are
// in bytes. Sum is what Tag must be.
type RawHeader struct {
	Stored, Decoded        [8]byte
	Size, Previous, Unused uint64
	Flags, Tag, Sum        uint8
	SegmentOffset          uint8
}

// Header reads the header of a back-end block, whatever it says.
func (h Heap) Header(addr uint64) (RawHeader, error) {
	b, err := memory.ReadBytes(h.space, addr+h.l.codeOff, 8)
	if err != nil {
		return RawHeader{}, fmt.Errorf("heap %#x: block %#x: %w", h.Address, addr, err)
	}
	r := RawHeader{Stored: [8]byte(b), Decoded: [8]byte(b)}
	if h.encode != 0 && binary.LittleEndian.Uint32(b)&h.encode != 0 {
		for i := range r.Decoded {
			r.Decoded[i] ^= h.code[i]
		}
	}
	raw := h.decode(r.Stored)
	r.Size, r.Previous = raw.size*h.l.unit, raw.previous*h.l.unit
	r.Flags, r.Tag, r.Sum, r.SegmentOffset = raw.flags, raw.tag, raw.sum, raw.segmentOffset
	if r.Flags&FlagBusy != 0 {
		r.Unused, err = h.unused(newReader(h.space), addr, r.Size, raw.unused)
	}
	return r, err
}
