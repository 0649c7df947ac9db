package pdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A decoder reads little-endian fields of one record. After the first failure
// every read returns zero, so callers check err once per record.
type decoder struct {
	record string
	base   int64 // offset of b[0] in its stream
	b      []byte
	off    int
	err    error // a *FormatError
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = &FormatError{Record: d.record, Off: d.base + int64(d.off), Msg: fmt.Sprintf(format, args...)}
	}
}

func (d *decoder) need(n int) bool {
	if d.err == nil && (n < 0 || len(d.b)-d.off < n) {
		d.fail("need %d bytes, have %d", n, len(d.b)-d.off)
	}
	return d.err == nil
}

func (d *decoder) left() int {
	if d.err != nil {
		return 0
	}
	return len(d.b) - d.off
}

func (d *decoder) u8() uint8 {
	if !d.need(1) {
		return 0
	}
	v := d.b[d.off]
	d.off++
	return v
}

func (d *decoder) u16() uint16 {
	if !d.need(2) {
		return 0
	}
	v := binary.LittleEndian.Uint16(d.b[d.off:])
	d.off += 2
	return v
}

func (d *decoder) u32() uint32 {
	if !d.need(4) {
		return 0
	}
	v := binary.LittleEndian.Uint32(d.b[d.off:])
	d.off += 4
	return v
}

func (d *decoder) u64() uint64 {
	if !d.need(8) {
		return 0
	}
	v := binary.LittleEndian.Uint64(d.b[d.off:])
	d.off += 8
	return v
}

func (d *decoder) bytes(n int) []byte {
	if !d.need(n) {
		return nil
	}
	v := d.b[d.off : d.off+n]
	d.off += n
	return v
}

// rawz returns the bytes up to the next NUL and steps over it. A name that
// the end of the record cuts is taken as it stands: the linker itself cuts
// names that are too long for a record, though it keeps the NUL.
func (d *decoder) rawz() []byte {
	if !d.need(0) {
		return nil
	}
	rest := d.b[d.off:]
	i := bytes.IndexByte(rest, 0)
	if i < 0 {
		d.off = len(d.b)
		return rest
	}
	d.off += i + 1
	return rest[:i]
}

func (d *decoder) strz() string { return string(d.rawz()) }

// Numeric leaves: a 16-bit value, or one of these and then the value.
const (
	lfChar       = 0x8000
	lfShort      = 0x8001
	lfUShort     = 0x8002
	lfLong       = 0x8003
	lfULong      = 0x8004
	lfReal32     = 0x8005
	lfReal64     = 0x8006
	lfReal80     = 0x8007
	lfReal128    = 0x8008
	lfQuadword   = 0x8009
	lfUQuadword  = 0x800a
	lfReal48     = 0x800b
	lfComplex32  = 0x800c
	lfComplex64  = 0x800d
	lfComplex80  = 0x800e
	lfComplex128 = 0x800f
	lfVarString  = 0x8010
	lfOctword    = 0x8017
	lfUOctword   = 0x8018
	lfDecimal    = 0x8019
	lfDate       = 0x801a
	lfUTF8String = 0x801b
	lfReal16     = 0x801c
)

// numericSkip is the length of the numeric leaves that are no integers of up
// to 64 bits.
var numericSkip = map[uint16]int{
	lfReal32: 4, lfReal64: 8, lfReal80: 10, lfReal128: 16, lfReal48: 6, lfComplex32: 8, lfComplex64: 16,
	lfComplex80: 20, lfComplex128: 32, lfDecimal: 16, lfDate: 8, lfReal16: 2,
}

// numeric reads a numeric leaf. Of 128-bit integers the low half is returned;
// reals come as their bits when they fit, else 0.
func (d *decoder) numeric() uint64 {
	leaf := d.u16()
	if leaf < lfChar {
		return uint64(leaf)
	}
	switch leaf {
	case lfChar:
		return uint64(int64(int8(d.u8())))
	case lfShort:
		return uint64(int64(int16(d.u16())))
	case lfUShort:
		return uint64(d.u16())
	case lfLong:
		return uint64(int64(int32(d.u32())))
	case lfULong, lfReal32:
		return uint64(d.u32())
	case lfQuadword, lfUQuadword, lfReal64:
		return d.u64()
	case lfOctword, lfUOctword:
		v := d.u64()
		d.u64()
		return v
	case lfVarString:
		d.bytes(int(d.u16()))
		return 0
	case lfUTF8String:
		d.rawz()
		return 0
	}
	n, ok := numericSkip[leaf]
	if !ok {
		d.off -= min(2, d.off)
		d.fail("unknown numeric leaf %#x", leaf)
		return 0
	}
	d.bytes(n)
	return 0
}
