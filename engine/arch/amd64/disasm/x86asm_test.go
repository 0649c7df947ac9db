package disasm

import (
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// TestSecondOpinion compares lengths with golang.org/x/arch/x86/x86asm over
// every opcode of the one-byte and 0f maps with every kind of ModRM byte, where x86asm
// decodes the whole. What it refuses, and the prefixes that it splits off as
// instructions of their own, say nothing.
func TestSecondOpinion(t *testing.T) {
	for _, mode := range []Mode{Mode64, Mode32} {
		same, silent, differ := 0, 0, map[string]int{}
		for _, prefix := range []string{"", "\x66", "\x48", "\xf2", "\xf3", "\x67"} {
			for _, opmap := range []string{"", "\x0f"} {
				for i := range 1 << 16 {
					if rm := i & 7; rm != 0 && rm != 4 && rm != 5 {
						continue // these differ only in the register
					}
					code := []byte(prefix + opmap)
					code = append(code, byte(i>>8), byte(i), 0x25, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x08)
					ours, err := Decode(mode, code)
					if err != nil {
						continue
					}
					theirs, err := x86asm.Decode(code, int(mode))
					switch {
					case err != nil, theirs.Op == 0:
						silent++
					case theirs.Len == ours.Len:
						same++
					default:
						if differ[ours.Mnemonic]++; differ[ours.Mnemonic] == 1 {
							t.Errorf("%x: %d bytes %s %s, x86asm: %d bytes %v", code, ours.Len, ours.Prefix, ours.Mnemonic, theirs.Len, theirs)
						}
					}
				}
			}
		}
		t.Logf("%d bits: %d lengths agree, silent on %d, others: %v", mode, same, silent, differ)
	}
}
