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

// FuzzListing walks random memory in every way that listings do: they end, and
// what ub finds leads exactly to the address.
func FuzzListing(f *testing.F) {
	f.Add([]byte("\x48\x89\x5c\x24\x08\x57\xeb\xf8\x74\x02\xc3\x90\xe8\x00\x00\x00\x00\xff\x25\x00\x00\x00\x00"), uint8(64), uint8(3))
	f.Add([]byte("\x0f\x0f\x75\xfe\xcc\xcc\xf0"), uint8(32), uint8(1))
	f.Fuzz(func(t *testing.T, code []byte, m, n uint8) {
		if len(code) > 4096 {
			return
		}
		mode := [...]Mode{Mode16, Mode32, Mode64}[m%3]
		const base = 0x1000
		fetch := func(va uint64, p []byte) int {
			if va < base || va >= base+uint64(len(code)) {
				return 0
			}
			return copy(p, code[va-base:])
		}
		va, end := uint64(base), base+uint64(len(code))
		for va < end {
			it := At(mode, fetch, va)
			if it.Step < 1 || it.Step > MaxLen || it.State == Decoded && it.Next() > end {
				t.Fatalf("at %#x: %+v", va, it)
			}
			va = it.Next()
		}
		count := int(n%32) + 1
		if starts, ok := Before(mode, fetch, end, count); ok {
			at := starts[0]
			for i, s := range starts {
				it := At(mode, fetch, s)
				if s != at || it.State != Decoded {
					t.Fatalf("instruction %d of %d: %#x after %#x", i, count, s, at)
				}
				at = it.Next()
			}
			if len(starts) != count || at != end {
				t.Fatalf("%d of %d instructions, ending at %#x", len(starts), count, at)
			}
		}
		fn, err := Analyze(t.Context(), mode, fetch, base, FlowOptions{})
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, b := range fn.Blocks {
			total += len(b.Items)
			for i := 1; i < len(b.Items); i++ {
				if b.Items[i].Addr != b.Items[i-1].Next() {
					t.Fatalf("gap in the block at %#x", b.Addr())
				}
			}
		}
		if total != fn.Count {
			t.Fatalf("%d instructions in blocks, %d counted", total, fn.Count)
		}
	})
}

func BenchmarkTables(b *testing.B) {
	for b.Loop() {
		maps := map[string]*opMap{}
		for _, text := range tableTexts {
			if err := readTable(maps, text); err != nil {
				b.Fatal(err)
			}
		}
	}
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
