package command

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"kdap/engine/arch/amd64"
	"kdap/engine/expr"
	"kdap/engine/format"
)

func hexDigits(v uint64, digits int) string { return fmt.Sprintf("%0*x", digits, v) }

// vectorPart returns the bytes of a vector or stack register; xmm0l and xmm0h
// are the halves of xmm0.
func vectorPart(regs *amd64.Context, name string) ([]byte, bool) {
	if strings.HasPrefix(name, "xmm") {
		const half = 8
		if whole, ok := strings.CutSuffix(name, "l"); ok {
			b, ok := regs.Vector(whole)
			return b[:min(half, len(b))], ok
		}
		if whole, ok := strings.CutSuffix(name, "h"); ok {
			b, ok := regs.Vector(whole)
			return b[min(half, len(b)):], ok
		}
	}
	return regs.Vector(name)
}

// vectorText formats a vector register as r shows it by name.
func vectorText(name string, b []byte) string {
	switch {
	case strings.HasPrefix(name, "st"):
		return x87Text(b, allDigits) + " " + x87Parts(b)
	case len(b) == 8:
		return hexDigits(binary.LittleEndian.Uint64(b), 16)
	}
	return element{kind: 'f', size: 4}.format(b)
}

// An element is how r reg:type divides a register and writes its parts.
type element struct {
	kind byte // u hexadecimal, i decimal, f floating point
	size int
}

// parseElement reads what follows the colon: ub uw ud uq, ib iw id iq, f, d.
func parseElement(c *expr.Cursor) (element, error) {
	sizes := map[byte]int{'b': 1, 'w': 2, 'd': 4, 'q': 8}
	rest := strings.ToLower(c.Rest())
	switch {
	case rest == "":
	case rest[0] == 'f':
		c.Pos++
		return element{'f', 4}, nil
	case rest[0] == 'd':
		c.Pos++
		return element{'f', 8}, nil
	case (rest[0] == 'u' || rest[0] == 'i') && len(rest) > 1 && sizes[rest[1]] != 0:
		c.Pos += 2
		return element{rest[0], sizes[rest[1]]}, nil
	case rest[0] == 'u' || rest[0] == 'i':
		c.Pos++
	}
	return element{}, expr.Caret("Syntax error", c.Pos)
}

// format writes the elements of a register, the highest first.
func (e element) format(b []byte) string {
	var parts []string
	for at := len(b) - e.size; at >= 0; at -= e.size {
		parts = append(parts, e.one(b[at:at+e.size]))
	}
	return strings.Join(parts, " ")
}

func (e element) one(b []byte) string {
	var full [8]byte
	copy(full[:], b)
	v := binary.LittleEndian.Uint64(full[:])
	switch {
	case e.kind == 'u':
		return hexDigits(v, 2*e.size)
	case e.kind == 'i' && e.size == 4:
		return strconv.FormatInt(int64(int32(v)), 10)
	case e.kind == 'i' && e.size == 8:
		return strconv.FormatInt(int64(v), 10)
	case e.kind == 'i':
		return strconv.FormatUint(v, 10)
	case e.size == 4:
		return fmt.Sprintf("%12s", format.G(float64(math.Float32frombits(uint32(v))), 6))
	}
	return fmt.Sprintf("%22s", format.G(math.Float64frombits(v), 17))
}

// registerBytes returns the bytes of a register, lowest first.
func (s *Session) registerBytes(name string) ([]byte, bool) {
	regs, err := s.registers()
	if err != nil {
		return nil, false
	}
	if b, ok := vectorPart(regs, name); ok {
		return b, true
	}
	v, bits, ok := regs.Get(name)
	if !ok {
		bits = 64
		if strings.HasPrefix(name, "$") {
			r, err := s.pseudoRegister(s.ctx, name)
			if err != nil {
				return nil, false
			}
			v = pseudoNumber(r)
		} else if v, ok = s.specialRegister(name); !ok {
			return nil, false
		} else {
			bits = 4 * specialNames[name].digits
		}
	}
	b := binary.LittleEndian.AppendUint64(nil, v)
	return b[:max(1, bits/8)], true
}

// allDigits is how many decimals r st0 shows.
const allDigits = 244

// Of the 80-bit format: the exponent's bias and the integer bit's place.
const (
	floatBias     = 16383
	floatMantissa = 63
)

// x87Text writes an 80-bit float with prec decimals and an exponent of four digits.
func x87Text(b []byte, prec int) string {
	mantissa, se := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint16(b[8:])
	sign := " "
	if se&0x8000 != 0 {
		sign = "-"
	}
	exp := int(se & 0x7fff)
	if exp == 0x7fff {
		if mantissa<<1 == 0 {
			return sign + "1.#INF"
		}
		return sign + "1.#QNAN"
	}
	if exp == 0 {
		exp = 1 // denormals have the exponent of the smallest normal number
	}
	f := new(big.Float).SetPrec(64).SetUint64(mantissa)
	if mantissa != 0 {
		f.SetMantExp(f, exp-floatBias-floatMantissa)
	}
	text := f.Text('e', prec)
	digits, e, _ := strings.Cut(text, "e")
	n, err := strconv.Atoi(e)
	if err != nil {
		return sign + text
	}
	return fmt.Sprintf("%s%se%+05d", sign, digits, n)
}

// x87Parts shows sign, exponent and mantissa of an 80-bit float.
func x87Parts(b []byte) string {
	se := binary.LittleEndian.Uint16(b[8:])
	return fmt.Sprintf("(%d:%04x:%016x)", se>>15, se&0x7fff, binary.LittleEndian.Uint64(b))
}
