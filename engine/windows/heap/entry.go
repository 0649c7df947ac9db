package heap

import (
	"encoding/binary"
	"fmt"
)

// A State is what a block of a heap is.
type State uint8

// The states of blocks.
const (
	Busy        State = iota + 1
	Free              // on the free lists, or not given out by the front end
	Header            // the header of the heap or of a segment
	Internal          // the heap's own, or the front end's
	Descriptor        // describes the uncommitted range behind it
	Uncommitted       // no block: memory without pages
	Broken            // a header that cannot be one; the size is where the next good one stands
)

func (s State) String() string {
	return [...]string{"", "busy", "free", "header", "internal", "descriptor", "uncommitted", "broken"}[s]
}

// Bits of a header's flags (HEAP_ENTRY_* of ntdll).
const (
	FlagBusy    = 0x01
	FlagExtra   = 0x02
	FlagFill    = 0x04
	FlagVirtual = 0x08
	FlagLast    = 0x10
)

// An Entry is one block of a segment, in bytes.
type Entry struct {
	Address      uint64 // of the header
	Size         uint64 // with the header
	PreviousSize uint64 // of the block before, as the header says
	Flags        uint8  // decoded; FlagLast is set by the place of the block
	Unused       uint64 // header and slack, of busy blocks
	State        State
}

// Requested returns the bytes the owner asked for, 0 for what is not busy.
func (e Entry) Requested() uint64 {
	if e.Flags&FlagBusy == 0 || e.Unused > e.Size {
		return 0
	}
	return e.Size - e.Unused
}

// End returns the first address behind the block.
func (e Entry) End() uint64 { return e.Address + e.Size }

// A Damage is a place where a heap contradicts itself.
type Damage struct {
	Heap, Segment uint64
	Address       uint64 // of the broken header
	Reason        string
	Expected      uint64
	Found         uint64
	Before        Entry // the block in front, which may have been written beyond its end
	Bytes         []byte
	Resumed       uint64 // where the walk found its way again, 0: nowhere in this segment
}

func (d *Damage) Error() string {
	s := fmt.Sprintf("heap %#x: segment %#x: block %#x: %s: expected %#x, found %#x", d.Heap, d.Segment, d.Address, d.Reason, d.Expected, d.Found)
	if len(d.Bytes) > 0 {
		s += fmt.Sprintf(" (bytes % x)", d.Bytes)
	}
	if d.Before.Size != 0 {
		s += fmt.Sprintf("; the block before it is %#x, %s, %#x bytes", d.Before.Address, d.Before.State, d.Before.Size)
	}
	if d.Resumed != 0 {
		s += fmt.Sprintf("; goes on at %#x", d.Resumed)
	}
	return s
}

// A raw header is the half of a header that says what the block is.
type rawHeader struct {
	size, previous uint64 // in units
	flags, tag     uint8
	segmentOffset  uint8
	unused         uint8
	sum            uint8 // what tag must be in an encoded header
	encoded        bool
}

// decode reads the half of a header that is b.
func (h Heap) decode(b [8]byte) rawHeader {
	plain := h.encode != 0 && binary.LittleEndian.Uint32(b[:])&h.encode == 0
	encoded := h.encode != 0 && !plain
	if encoded {
		for i := range b {
			b[i] ^= h.code[i]
		}
	}
	return rawHeader{
		size:          uint64(binary.LittleEndian.Uint16(b[:])),
		flags:         b[2] &^ FlagLast,
		tag:           b[3],
		previous:      uint64(binary.LittleEndian.Uint16(b[4:])),
		segmentOffset: b[6],
		unused:        b[7],
		sum:           b[0] ^ b[1] ^ b[2],
		encoded:       encoded,
	}
}

// Forms of a header's byte of unused bytes.
const (
	unusedFront = 0x80 // a block of the front end
	unusedShort = 0x40 // the count is a word inside the block
	unusedMask  = 0x3f
	unusedLong  = 0x3f // the count stands behind the block
)

// unused returns how many of a block's bytes its owner did not ask for.
func (h Heap) unused(r *reader, addr, size uint64, b uint8) (uint64, error) {
	low := uint64(b & unusedMask)
	switch {
	case b&unusedShort != 0 && b&unusedFront == 0:
		v, err := r.uint(addr+low*h.l.unit+h.l.codeOff+4, 2)
		return v, err
	case low == unusedLong && h.l.ptr == 8:
		return r.uint(addr+size, 8)
	case low == unusedLong:
		return r.uint(addr+size-4, 4)
	}
	return low, nil
}
