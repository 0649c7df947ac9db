// Package format writes numbers and times the way WinDbg does: addresses with
// a backtick, sixteen-digit values, session times, uptimes, and the floating
// point of the Microsoft C library.
//
// It holds only forms that more than one command prints. Everything is a pure
// function of its arguments: no time zone or locale of the host gets in.
package format

import (
	"fmt"
	"strconv"
)

// Addr writes a 64-bit address with its backtick: fffff804`51a00000.
func Addr(va uint64) string {
	var b [17]byte
	return string(AppendAddr(b[:0], va))
}

// AppendAddr appends what Addr returns to b.
func AppendAddr(b []byte, va uint64) []byte {
	b = appendHex(b, va>>32, 8)
	b = append(b, '`')
	return appendHex(b, va&0xffffffff, 8)
}

// Addr32 writes a 32-bit address: eight digits.
func Addr32(va uint64) string { return string(appendHex(make([]byte, 0, 8), va&0xffffffff, 8)) }

// AddrSize writes an address for a target with pointers of size bytes: Addr32
// for 4, Addr for everything else.
func AddrSize(va uint64, size int) string {
	if size == 4 {
		return Addr32(va)
	}
	return Addr(va)
}

// Hex16 writes sixteen digits without a backtick.
func Hex16(v uint64) string { return string(appendHex(make([]byte, 0, 16), v, 16)) }

// Decimal0n writes a signed number the way dt and ?? do: 0n-5.
func Decimal0n(v int64) string { return "0n" + strconv.FormatInt(v, 10) }

// Unsigned writes an unsigned number the way dt and ?? do: one bare digit
// below ten, 0x and hexadecimal digits above, and all sixteen digits with a
// backtick when it does not fit 32 bits.
func Unsigned(v uint64) string {
	switch {
	case v < 10:
		return strconv.FormatUint(v, 10)
	case v>>32 == 0:
		return "0x" + strconv.FormatUint(v, 16)
	}
	return "0x" + Addr(v)
}

// Evaluate writes the answer of the ? command: the signed decimal value and
// the hexadecimal one.
func Evaluate(v uint64) string {
	return fmt.Sprintf("Evaluate expression: %d = %s", int64(v), Addr(v))
}

func appendHex(b []byte, v uint64, digits int) []byte {
	const hex = "0123456789abcdef"
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, hex[v>>shift&15])
	}
	return b
}
