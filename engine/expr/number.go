package expr

type numberResult uint8

const (
	numberOK numberResult = iota
	numberBad
	numberOverflow
)

// parseMasmNumber reads a MASM number that takes up the whole of s: digits in
// the radix or with a prefix 0x 0n 0t 0y, or hexadecimal digits with the
// suffix h. Backticks between digits mean nothing.
func parseMasmNumber(s string, radix int) (uint64, numberResult) {
	base, negative := uint64(radix), false
	if len(s) >= 2 && s[0] == '0' {
		prefix := true
		switch s[1] | 0x20 {
		case 'x':
			base = 16
		case 'n':
			base = 10
		case 't':
			base = 8
		case 'y':
			base = 2
		default:
			prefix = false
		}
		if prefix {
			s = s[2:]
			if base == 10 && len(s) > 1 && s[0] == '-' {
				negative, s = true, s[1:]
			}
			v, r := digits(s, base)
			if negative {
				v = -v
			}
			return v, r
		}
	}
	if n := len(s); n > 0 && s[n-1]|0x20 == 'h' {
		if n < 3 {
			return 0, numberBad
		}
		base, s = 16, s[:n-1]
	}
	if s == "" || s[0] == '`' {
		return 0, numberBad
	}
	return digits(s, base)
}

func digits(s string, base uint64) (uint64, numberResult) {
	var v uint64
	overflow := false
	for i := 0; i < len(s); i++ {
		if s[i] == '`' {
			continue
		}
		d := digitValue(s[i])
		if d >= base {
			return 0, numberBad
		}
		next := v*base + d
		overflow = overflow || next < v
		v = next
	}
	if overflow {
		return 0, numberOverflow
	}
	return v, numberOK
}

func digitValue(b byte) uint64 {
	switch {
	case isDigit(b):
		return uint64(b - '0')
	case b|0x20 >= 'a' && b|0x20 <= 'z':
		return uint64(b|0x20-'a') + 10
	}
	return 255
}
