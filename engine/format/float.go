package format

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// G writes a number as printf's %.{prec}g of the Microsoft C library the
// debugger is built with: exponents of three digits, 1.#INF and 1.#QNAN.
func G(v float64, prec int) string {
	if s, special := notFinite(v); special {
		return s
	}
	s := fmt.Sprintf("%."+strconv.Itoa(prec)+"g", v)
	return exponent3(s)
}

// E writes a number as %.{prec}e of the same library.
func E(v float64, prec int) string {
	if s, special := notFinite(v); special {
		return s
	}
	return exponent3(strconv.FormatFloat(v, 'e', prec, 64))
}

// F writes a number as %.{prec}f of the same library, which fills the names of
// infinities and NaNs with zeros.
func F(v float64, prec int) string {
	if s, special := notFinite(v); special {
		_, digits, _ := strings.Cut(s, ".")
		return s + strings.Repeat("0", max(0, prec-len(digits)))
	}
	return strconv.FormatFloat(v, 'f', prec, 64)
}

// exponent3 widens the exponent of s, if it has one, to three digits.
func exponent3(s string) string {
	mantissa, exp, ok := strings.Cut(s, "e")
	if !ok || exp == "" {
		return s
	}
	digits := strings.TrimLeft(exp[1:], "0")
	return mantissa + "e" + exp[:1] + strings.Repeat("0", max(0, 3-len(digits))) + digits
}

// notFinite names infinities and NaNs. Every negative NaN counts as the
// "indefinite" that the processor makes.
func notFinite(v float64) (string, bool) {
	sign := ""
	if math.Signbit(v) {
		sign = "-"
	}
	const quiet = 1 << 51
	bits := math.Float64bits(v)
	switch {
	case math.IsInf(v, 0):
		return sign + "1.#INF", true
	case !math.IsNaN(v):
		return "", false
	case math.Signbit(v):
		return "-1.#IND", true
	case bits&quiet == 0:
		return "1.#SNAN", true
	}
	return "1.#QNAN", true
}
