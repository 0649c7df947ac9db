package dumptest

import (
	"fmt"
	"slices"
	"strings"
)

// The relatives "mutated" and "roomy" are a pair. They have the same types, of
// the same sizes, so a machine lies at the same addresses with either; but in
// "mutated" the members of everything that Windows' interfaces do not fix stand
// elsewhere: in another order, with fields between that nobody asks for, bits
// of a word elsewhere in it. "roomy" has the room behind them instead. What a
// reader says of one must be what it says of the other.
const (
	mutated = "mutated"
	roomy   = "roomy"
)

// fixedTypes are types of the kernel's own files that stay: the processor, the
// boot, the disk or a debugger's contract says where their members lie, or the
// writer lays their bits itself.
var fixedTypes = map[string]bool{
	"_KPCR": true, "_KSPIN_LOCK_QUEUE": true, "_QUAD": true, "_GENERIC_MAPPING": true, "_OBJECT_NAME_INFORMATION": true,
	"_HANDLE_TABLE_ENTRY": true, "_OBJECT_HEADER": true, "_DBGKD_GET_VERSION64": true, "_IO_STATUS_BLOCK": true, "_POOL_HEADER": true,
	"_MMPTE": true, "_MMPTE_HARDWARE": true, "_MMPTE_SOFTWARE": true, "_MMPTE_TRANSITION": true, "_MMPTE_PROTOTYPE": true,
	"_MMPTE_SUBSECTION": true, "_PHYSICAL_MEMORY_RUN": true, "_PHYSICAL_MEMORY_DESCRIPTOR": true,
	"_RTL_BITMAP": true, "_HEAP_ENTRY": true, "_HEAP_SEGMENT": true, "_HEAP_ENTRY_EXTRA": true, "_HEAP_USERDATA_HEADER": true,
	"_HEAP_VIRTUAL_ALLOC_ENTRY": true, "_HEAP_UCR_DESCRIPTOR": true, "_HMAP_TABLE": true, "_HMAP_DIRECTORY": true, "_HBASE_BLOCK": true, "_CHILD_LIST": true,
	"_CM_KEY_REFERENCE": true, "_CM_KEY_NODE": true, "_CM_NAME_CONTROL_BLOCK": true, "_CM_KEY_SECURITY_CACHE": true,
	"_PS_PROTECTION": true, "_KLDR_DATA_TABLE_ENTRY": true, "_KDPC_STACK_FRAME": true,
}

// mutable are the types that the pair has otherwise than their relatives.
func mutable(t *layoutType, base map[string]bool) bool {
	return t.kind == kindStruct && !fixedTypes[t.name] && !base[t.name] && t.pack == 0
}

// pairLayouts makes one of the two. Sizes grow until both sets agree in them.
func pairLayouts(which string) layoutSet {
	base := layoutSet{}
	readLayouts(base, "base")
	fixed := map[string]bool{}
	for n := range base {
		fixed[n] = true
	}
	sizes := map[string]int{}
	for {
		one, other := pairMember(roomy, fixed, sizes), pairMember(mutated, fixed, sizes)
		grown := false
		for n, t := range one {
			if most := roundUp(max(t.size, other[n].size), 16); mutable(t, fixed) && !bitsOnly(t.source) && most > sizes[n] {
				sizes[n], grown = most, true
			}
		}
		switch {
		case grown:
		case which == roomy:
			return one
		default:
			return other
		}
	}
}

func pairMember(which string, fixed map[string]bool, sizes map[string]int) layoutSet {
	all := layoutSet{}
	readLayouts(all, "base", "kernel", "memory", "registry")
	for n, t := range all {
		if !mutable(t, fixed) {
			continue
		}
		t.atLeast = sizes[n]
		t.source = slices.DeleteFunc(t.source, func(l string) bool { return l[0] == '@' })
		if which == mutated {
			t.mutate()
		}
	}
	all.placeAll()
	return all
}

// mutate moves what can move in a type. The first member stays: objects are
// known by what they begin with.
func (t *layoutType) mutate() {
	seed := uint64(len(t.name))
	for _, c := range t.name {
		seed = seed*31 + uint64(c)
	}
	t.source = mutateBits(t.source)
	if bitsOnly(t.source) {
		return
	}
	t.shuffle(seed)
	var out []string
	depth, spares := 0, 0
	for i, line := range t.source {
		if depth == 0 && i > 0 {
			if seed = seed*6364136223846793005 + 1442695040888963407; seed>>40%3 == 0 {
				out = append(out, fmt.Sprintf("MovedBy%d u64[%d]", spares, 1+seed>>50%3))
				spares++
			}
		}
		switch line {
		case "{", "(":
			depth++
		case "}", ")":
			depth--
		}
		out = append(out, line)
	}
	t.source = append(out, fmt.Sprintf("MovedBy%d u64[2]", spares))
}

func isBits(line string) bool { return strings.Contains(line, ":") }

// bitsOnly tells whether a type is a word of bits.
func bitsOnly(source []string) bool {
	return !slices.ContainsFunc(source, func(l string) bool { return !isBits(l) })
}

// mutateBits turns the order of neighbouring bit fields of one word around.
func mutateBits(source []string) []string {
	out := slices.Clone(source)
	for i := 0; i < len(out); {
		k := i
		for k < len(out) && isBits(out[k]) && bitBase(out[k]) == bitBase(out[i]) {
			k++
		}
		slices.Reverse(out[i:k])
		i = max(k, i+1)
	}
	return out
}

func bitBase(line string) string {
	_, ref, _ := strings.Cut(line, " ")
	base, _, _ := strings.Cut(ref, ":")
	return base
}

// withRoom is an image whose data of these sizes lies behind everything else.
// Symbols of other sizes than the compiled ones need that.
func (im *Image) withRoom(sizes map[string]int) *Image {
	at := roundUp(im.Size, pageSize)
	places := map[string]uint32{}
	for _, s := range im.Symbols {
		if n, ok := sizes[s.Name]; ok {
			places[s.Name] = at
			at += uint32(roundUp(n, 16))
		}
	}
	n := im.Placed(roundUp(at+uint32(12*len(im.functions))+pageSize, pageSize))
	for i, s := range n.Symbols {
		if at := places[s.Name]; at != 0 {
			n.Symbols[i].RVA = at
		}
	}
	n.sortSymbols()
	return n
}

// roomyKernel is the kernel with room for the pair's types.
func roomyKernel(l layoutSet) *Image {
	return LoadImage("ntoskrnl.exe").withRoom(map[string]int{
		"KiInitialThread": l.size("_ETHREAD"), "KiInitialProcess": l.size("_EPROCESS"), "MiState": l.size("_MI_SYSTEM_INFORMATION"),
		"MiSystemPartition": l.size("_MI_PARTITION"), "ExPoolState": l.size("_EX_POOL_HEAP_MANAGER_STATE"),
	})
}

// Counterparts tells where what one dump has in the pools lies in another that
// was made the same way from other types.
func Counterparts(one, other *Dump) map[uint64]uint64 {
	at := map[uint64]uint64{}
	for i, va := range one.m.places {
		at[va] = other.m.places[i]
	}
	return at
}
