package format

import (
	"math"
	"testing"
	"time"
)

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Addr(0xfffff80451a00000), "fffff804`51a00000"},
		{Addr(1), "00000000`00000001"},
		{Addr32(0xfffffffff0001234), "f0001234"},
		{AddrSize(0x10, 4), "00000010"},
		{AddrSize(0x10, 8), "00000000`00000010"},
		{Hex16(0xabc), "0000000000000abc"},
		{Decimal0n(-5), "0n-5"},
		{Unsigned(9), "9"},
		{Unsigned(10), "0xa"},
		{Unsigned(0xffffffff), "0xffffffff"},
		{Unsigned(0x300905a4d), "0x00000003`00905a4d"},
		{Evaluate(math.MaxUint64), "Evaluate expression: -1 = ffffffff`ffffffff"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		// 2022-05-17 09:41:27.318 UTC, from the calendar: 1652780487 s after 1970.
		{SessionTime((1652780487+fileTimeEpoch)*10_000_000+3189999, 0), "Tue May 17 09:41:27.318 2022 (UTC + 0:00)"},
		{SessionTime((1652780487+fileTimeEpoch)*10_000_000, 9*time.Hour), "Tue May 17 18:41:27.000 2022 (UTC + 9:00)"},
		{SessionTime((1652780487+fileTimeEpoch)*10_000_000, -210*time.Minute), "Tue May 17 06:11:27.000 2022 (UTC - 3:30)"},
		{SessionTime(0, 0), "Mon Jan  1 00:00:00.000 1601 (UTC + 0:00)"},
		{CTime(473988706), "Mon Jan  7 23:31:46 1985"},
		{Uptime(53217960000), "0 days 1:28:41.796"},
		{Uptime(0), "0 days 0:00:00.000"},
		{Uptime(10_000_000 * (3*86400 + 3661)), "3 days 1:01:01.000"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if ValidFileTime(1<<63) || !ValidFileTime(1<<62) {
		t.Error("ValidFileTime")
	}
}

func TestFloats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{G(1.5, 6), "1.5"},
		{G(1e6, 6), "1e+006"},
		{G(100000, 6), "100000"},
		{G(1e-300, 6), "1e-300"},
		{G(6.36908e-22, 6), "6.36908e-022"},
		{G(0.0001, 6), "0.0001"},
		{G(math.Copysign(0, -1), 6), "-0"},
		{G(math.Inf(-1), 6), "-1.#INF"},
		{G(math.NaN(), 6), "1.#QNAN"},
		{E(1.5, 6), "1.500000e+000"},
		{F(1.5, 6), "1.500000"},
		{F(math.Inf(1), 6), "1.#INF00"},
		{F(math.NaN(), 6), "1.#QNAN0"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
