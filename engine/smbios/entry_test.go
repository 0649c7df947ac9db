package smbios

import "testing"

// entry32 is an entry point of the older kind, for a table of 0x123 bytes at
// 0xe8010 (DSP0134 5.2.1).
func entry32() []byte {
	b := append([]byte("_SM_"), 0, 0x1f, 2, 7, 0, 1, 0, 0, 0, 0, 0, 0)
	b = append(b, []byte("_DMI_")...)
	b = append(b, 0, 0x23, 1, 0x10, 0x80, 0x0e, 0, 9, 0, 0x27)
	sum := byte(0)
	for _, c := range b {
		sum += c
	}
	b[4] = -sum
	return b
}

func TestParseEntry(t *testing.T) {
	table, at, ok := ParseEntry(entry32())
	if !ok || at != 0xe8010 || table.Size != 0x123 || table.Major != 2 || table.Minor != 7 {
		t.Errorf("%+v at %#x, %v", table, at, ok)
	}
	bad := entry32()
	bad[0x18]++
	if _, _, ok := ParseEntry(bad); ok {
		t.Error("an entry point with a wrong sum is taken")
	}
}

// FuzzParseEntry: what is taken for an entry point adds up to 0.
func FuzzParseEntry(f *testing.F) {
	f.Add(entry32())
	f.Add([]byte("_SM3_\x00\x18"))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, _, ok := ParseEntry(b)
		if !ok {
			return
		}
		n := b[5]
		if b[3] == '3' {
			n = b[6]
		}
		if !summed(b, n) || table == nil {
			t.Errorf("%x is taken", b)
		}
	})
}
