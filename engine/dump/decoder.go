package dump

import (
	"encoding/binary"
	"fmt"
)

// A decoder reads little-endian fields of one record. After the first failure
// every read returns zero, so the caller checks err once per record.
type decoder struct {
	record string
	base   uint64 // file offset of b[0]
	b      []byte
	off    int
	err    error // a *FormatError
}

// record returns a decoder for the n bytes at a file offset, or for as many of
// them as there are.
func (f *File) record(name string, off, n uint64) *decoder {
	return newDecoder(name, f.data, off, n)
}

func newDecoder(name string, data []byte, off, n uint64) *decoder {
	size := uint64(len(data))
	start := min(off, size)
	return &decoder{record: name, base: off, b: data[start : start+min(n, size-start)]}
}

func (d *decoder) need(n int) bool {
	if d.err != nil {
		return false
	}
	if have := len(d.b) - d.off; n < 0 || have < n {
		d.fail("need %d bytes, have %d", n, have)
		return false
	}
	return true
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = &FormatError{d.record, fmt.Sprintf(format, args...), int64(d.base) + int64(d.off)}
	}
}

func (d *decoder) skip(n int) {
	if d.need(n) {
		d.off += n
	}
}

func (d *decoder) bytes(n int) []byte {
	if !d.need(n) {
		return nil
	}
	d.off += n
	return d.b[d.off-n : d.off : d.off]
}

func (d *decoder) text(n int) string { return string(d.bytes(n)) }

func (d *decoder) u16() uint16 {
	if !d.need(2) {
		return 0
	}
	d.off += 2
	return binary.LittleEndian.Uint16(d.b[d.off-2:])
}

func (d *decoder) u32() uint32 {
	if !d.need(4) {
		return 0
	}
	d.off += 4
	return binary.LittleEndian.Uint32(d.b[d.off-4:])
}

func (d *decoder) u64() uint64 {
	if !d.need(8) {
		return 0
	}
	d.off += 8
	return binary.LittleEndian.Uint64(d.b[d.off-8:])
}
