package arm64

import "fmt"

// Instructions that arm64asm lacks and Windows kernels hold: the hints with
// names (pointer authentication and branch targets are hints to processors
// without them), authenticated returns and branches, and the atomics of
// ARMv8.1. Encodings: Arm Architecture Reference Manual, C4 and C6.

// hints by their number.
var hints = map[uint32]string{
	0: "nop", 1: "yield", 2: "wfe", 3: "wfi", 4: "sev", 5: "sevl", 7: "xpaclri",
	8: "pacia1716", 10: "pacib1716", 12: "autia1716", 14: "autib1716", 16: "esb", 17: "psb csync", 20: "csdb",
	24: "paciaz", 25: "paciasp", 26: "pacibz", 27: "pacibsp", 28: "autiaz", 29: "autiasp", 30: "autibz", 31: "autibsp",
	32: "bti", 34: "bti c", 36: "bti j", 38: "bti jc",
}

// atomics by o3 and opc.
var atomics = [16]string{
	0: "add", 1: "clr", 2: "eor", 3: "set", 4: "smax", 5: "smin", 6: "umax", 7: "umin", 8: "swp",
}

// extra decodes what arm64asm does not.
func extra(word uint32) (Inst, bool) {
	i := Inst{Word: word}
	switch {
	case word&0xfffff01f == 0xd503201f:
		name, ok := hints[word>>5&0x7f]
		i.Mnemonic = name
		return i, ok
	case word == 0xd65f0bff, word == 0xd65f0fff:
		i.Mnemonic, i.Flow = "reta"+key(word), Return
		return i, true
	case word&0xfedff800 == 0xd61f0800:
		return authenticated(i)
	case word&0x3f200c00 == 0x38200000:
		return atomic(i)
	case word&0x3fa07c00 == 0x08a07c00:
		return compareAndSwap(i)
	}
	return i, false
}

// key is the letter of the key that an authenticated branch uses.
func key(word uint32) string { return [...]string{"a", "b"}[word>>10&1] }

// authenticated decodes braa, blraa and the forms with a zero modifier.
func authenticated(i Inst) (Inst, bool) {
	zero := i.Word>>24&1 == 0
	modifier := i.Word & 31
	if zero && modifier != 31 {
		return i, false
	}
	i.Mnemonic, i.Flow = "bra", Jump
	if i.Word>>21&1 == 1 {
		i.Mnemonic, i.Flow = "blra", Call
	}
	i.Mnemonic += key(i.Word)
	i.operands = []string{name(i.Word>>5, true, false)}
	if zero {
		i.Mnemonic += "z"
	} else {
		i.operands = append(i.operands, name(modifier, true, true))
	}
	return i, true
}

// name returns a general register; number 31 is zero, or the stack pointer.
func name(n uint32, wide, stack bool) string {
	switch n &= 31; {
	case n == 31 && stack:
		return "sp"
	case n == 31 && wide:
		return "xzr"
	case n == 31:
		return "wzr"
	case n == 30 && wide:
		return "lr"
	case n == 29 && wide:
		return "fp"
	case wide:
		return fmt.Sprintf("x%d", n)
	}
	return fmt.Sprintf("w%d", n)
}

// ending is what order and size add to an atomic's name.
func ending(acquire, release bool, size uint32) string {
	s := ""
	if acquire {
		s += "a"
	}
	if release {
		s += "l"
	}
	return s + [...]string{"b", "h", "", ""}[size]
}

func atomic(i Inst) (Inst, bool) {
	w := i.Word
	size, acquire, release := w>>30, w>>23&1 == 1, w>>22&1 == 1
	wide := size == 3
	rs, rn, rt := name(w>>16, wide, false), "["+name(w>>5, true, true)+"]", name(w, wide, false)
	op := atomics[w>>12&15]
	switch {
	case w>>12&15 == 12 && acquire && !release && w>>16&31 == 31:
		i.Mnemonic = "ldapr" + ending(false, false, size)
		i.operands = []string{rt, rn}
	case op == "":
		return i, false
	case op == "swp":
		i.Mnemonic = "swp" + ending(acquire, release, size)
		i.operands = []string{rs, rt, rn}
	case w&31 == 31 && !acquire:
		i.Mnemonic = "st" + op + ending(false, release, size)
		i.operands = []string{rs, rn}
	default:
		i.Mnemonic = "ld" + op + ending(acquire, release, size)
		i.operands = []string{rs, rt, rn}
	}
	return i, true
}

func compareAndSwap(i Inst) (Inst, bool) {
	w := i.Word
	size, wide := w>>30, w>>30 == 3
	i.Mnemonic = "cas" + ending(w>>22&1 == 1, w>>15&1 == 1, size)
	i.operands = []string{name(w>>16, wide, false), name(w, wide, false), "[" + name(w>>5, true, true) + "]"}
	return i, true
}
