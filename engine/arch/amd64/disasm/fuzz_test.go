package disasm

import (
	"strings"
	"testing"
)

// FuzzDecode holds what every caller relies on: lengths of 1 to 15, a text for
// everything, and that bytes behind an instruction do not matter.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"\x90", "\x48\x8b\x05\x78\x56\x34\x12", "\xc4\xe2\x7d\x92\x04\x0a", "\x62\xf1\x7c\x58\x58\x01", "\x0f\x0f\x05\x00\x01\x00\x00\xbf",
		"\x66\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00", "\x67\x8f\xe8\xf8\x85\x0c\xe5\x00\x00\x00\x80\x00", "\xf2\xf0\x0f\xc7\x0d\x34\x12\x00\x00",
	} {
		f.Add([]byte(s), uint8(64))
		f.Add([]byte(s), uint8(32))
		f.Add([]byte(s), uint8(16))
	}
	f.Fuzz(func(t *testing.T, code []byte, m uint8) {
		mode := [...]Mode{Mode16, Mode32, Mode64}[m%3]
		inst, err := Decode(mode, code)
		if inst.Len < 1 || inst.Len > MaxLen {
			t.Fatalf("length %d", inst.Len)
		}
		if (err == nil) != inst.Valid() {
			t.Fatalf("error %v, mnemonic %q", err, inst.Mnemonic)
		}
		line := Line(0x140001000, code[:min(inst.Len, len(code))], &inst, Options{})
		if words, _ := inst.Text(0x1000, &Options{}); words == "" || !strings.Contains(line, words) {
			t.Fatalf("line %q without %q", line, words)
		}
		if err != nil {
			return
		}
		if inst.Len > len(code) {
			t.Fatalf("length %d of %d bytes", inst.Len, len(code))
		}
		if again, err := Decode(mode, code[:inst.Len]); err != nil || again != inst {
			t.Fatalf("alone: %+v (%v), before: %+v", again, err, inst)
		}
		for n := range inst.Len {
			if _, err := Decode(mode, code[:n]); err == nil {
				t.Fatalf("%d of %d bytes decode as well", n, inst.Len)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	code := []byte("\x48\x89\x5c\x24\x08\x57\x48\x83\xec\x20\x48\x8b\xd9\xe8\x00\x01\x00\x00\x0f\xb6\x43\x10\x84\xc0\x74\x05\xc3\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90")
	b.ReportAllocs()
	b.SetBytes(27)
	for b.Loop() {
		for off := 0; off < 27; {
			inst, _ := Decode(Mode64, code[off:])
			off += inst.Len
		}
	}
}
