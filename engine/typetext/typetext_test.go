package typetext

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"kdap/engine/memory"
	"kdap/engine/types"
)

var (
	uchar  = &types.Type{Kind: types.UChar, Name: "unsigned char", Size: 1}
	char   = &types.Type{Kind: types.Char, Name: "char", Size: 1}
	wchar  = &types.Type{Kind: types.WChar, Name: "wchar_t", Size: 2}
	ushort = &types.Type{Kind: types.Uint, Name: "unsigned short", Size: 2}
	long   = &types.Type{Kind: types.Int, Name: "long", Size: 4}
	ulong  = &types.Type{Kind: types.Uint, Name: "unsigned long", Size: 4}
	quad   = &types.Type{Kind: types.Uint, Name: "unsigned __int64", Size: 8}
	float  = &types.Type{Kind: types.Float, Name: "float", Size: 4}
	double = &types.Type{Kind: types.Float, Name: "double", Size: 8}
	void   = &types.Type{Kind: types.Void, Name: "void"}
	result = &types.Type{Kind: types.HResult, Name: "HRESULT", Size: 4}
)

func pointer(elem *types.Type) *types.Type {
	return (&types.Type{Kind: types.Pointer, Size: 8}).NewLazy(func(l *types.Lazy) { l.Elem = elem })
}

func array(elem *types.Type, n uint64) *types.Type {
	return (&types.Type{Kind: types.Array, Size: elem.Size * n, Count: n}).NewLazy(func(l *types.Lazy) { l.Elem = elem })
}

func bitField(elem *types.Type, pos, n uint8) *types.Type {
	return (&types.Type{Kind: types.BitField, Size: elem.Size, BitPos: pos, BitLen: n}).NewLazy(func(l *types.Lazy) { l.Elem = elem })
}

func structure(name string, size uint64, fields ...types.Field) *types.Type {
	return (&types.Type{Kind: types.Struct, Name: name, Size: size}).NewLazy(func(l *types.Lazy) { l.Fields = fields })
}

// space holds data at 0x1000.
func space(data []byte) memory.Space {
	return memory.NewBlocks([]memory.Block{{VA: 0x1000, Data: data}})
}

func TestValues(t *testing.T) {
	kind := (&types.Type{Kind: types.Enum, Name: "Kind", Size: 4}).NewLazy(func(l *types.Lazy) {
		l.Enumerators = []types.Enumerator{{Name: "KIND_TRUTH", Value: 7}, {Name: "NonPagedPoolNx", Value: 512}, {Name: "MINUS", Value: -1}}
	})
	function := (&types.Type{Kind: types.Function}).NewLazy(func(l *types.Lazy) { l.Elem = long })
	u := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
	text := func(s string) []byte { return append([]byte(s), make([]byte, 32)...) }
	for _, c := range []struct {
		t    *types.Type
		b    []byte
		want string
	}{
		{ulong, u(7), "7"},
		{ulong, u(0xfa0), "0xfa0"},
		{quad, u(0x01d869d13ea80b12), "0x01d869d1`3ea80b12"},
		{long, u(0xfffffffe), "0n-2"},
		{uchar, u(0x50), "0x50 'P'"},
		{uchar, u(8), "0x8 ''"},
		{uchar, u(0), "0 ''"},
		{char, u(42), "42 '*'"},
		{char, u(0xe1), "-31 ''"},
		{wchar, u(0x54), "0x54 'T'"},
		{ushort, u(0x54), "0x54"},
		{result, u(0x80004005), "0x80004005"},
		{float, u(uint64(math.Float32bits(194.25488))), "194.2548828"},
		{double, u(math.Float64bits(0.25)), "0.25"},
		{float, u(0xffc00001), "-1.#IND"},
		{kind, u(7), "7 ( KIND_TRUTH )"},
		{kind, u(512), "200 ( NonPagedPoolNx )"},
		{kind, u(0xffffffff), "ffffffff ( MINUS )"},
		{kind, u(0xe0003), "0xe0003 (No matching name)"},
		{bitField(ulong, 0, 4), u(0x99), "0y1001"},
		{bitField(ulong, 0, 5), u(0x99), "0y11001 (0x19)"},
		{bitField(quad, 3, 5), u(0), "0y00000 (0)"},
		{pointer(void), u(0), "(null)"},
		{pointer(void), u(0x1a2c), "0x00000000`00001a2c Void"},
		{pointer(ulong), u(0x1000), "0x00000000`00001000  -> 0x1000"},
		{pointer(ulong), u(0x9000), "0x00000000`00009000  -> ??"},
		{pointer(function), u(0x9000), "0x00000000`00009000  long  +0"},
		{array(char, 15), text("PotionShop.exe"), `[15]  "PotionShop.exe"`},
		{array(char, 4), text("PotionShop.exe"), `[4]  "Poti"`},
		{array(uchar, 8), text("0q\x90x"), `[8]  "0q???"`},
		{array(ulong, 3), u(5), "[3] 5"},
		{array(array(ulong, 2), 3), u(5), "[3] [2] 5"},
		{structure("_LIST_ENTRY", 16), append(u(0x1000), u(0x2000)...), "_LIST_ENTRY [ 0x00000000`00001000 - 0x00000000`00002000 ]"},
		{structure("_LARGE_INTEGER", 8), u(0), "_LARGE_INTEGER 0x0"},
		{structure("_CLIENT_ID", 16), u(0), "_CLIENT_ID"},
	} {
		p := Printer{Space: space(c.b), PointerSize: 8, Radix: 16}
		if got := p.Value(c.t, 0x1000); got != c.want {
			t.Errorf("%s of % x: %q, want %q", c.t, c.b[:min(8, len(c.b))], got, c.want)
		}
	}
	p := Printer{Space: space(nil), PointerSize: 8, Radix: 16}
	for typ, want := range map[*types.Type]string{
		ulong: "??", pointer(void): "????", array(char, 3): `[3]  "--- memory read error at address 0x00000000` + "`" + `00001000 ---"`,
		structure("_LIST_ENTRY", 16): "_LIST_ENTRY",
	} {
		if got := p.Value(typ, 0x1000); got != want {
			t.Errorf("unreadable %s: %q, want %q", typ, got, want)
		}
	}
}

func TestSelectors(t *testing.T) {
	for _, c := range []struct {
		word, name string
		prefix     bool
		want       bool
	}{
		{"Pcb", "pcb", false, true},
		{"Pcb", "Pcb2", false, false},
		{"Image*", "ImageFileName", false, true},
		{"*Name", "ImageFileName", false, false},
		{"Ima", "ImageFileName", true, true},
		{"Pcb.Header", "Pcb", false, true},
		{"Pcb.", "Pcb", false, true},
		{".Pcb", "Pcb", false, false},
		{"*", "Anything", false, true},
		{"WaitBlock[1].", "WaitBlockList", false, true},
		{"WaitBlock[1].Object", "WaitBlockList", false, false},
	} {
		s := ParseSelector(c.word, c.prefix)
		if got := s.matches(0, c.name); got != c.want {
			t.Errorf("%q names %q: %v", c.word, c.name, got)
		}
	}
}

// Dumping ends, whatever the types and the field list are; every line of it is
// a member's or says what was not found.
func FuzzDump(f *testing.F) {
	f.Add("Self.Self.x Self->Next", 3, true, false)
	f.Add("Next->Next->", 9, false, true)
	f.Add("Text[99999999999999999999]. Bits*", 0, false, false)
	f.Fuzz(func(t *testing.T, words string, depth int, block, elements bool) {
		// A structure that holds itself, and points to itself.
		var node *types.Type
		node = (&types.Type{Kind: types.Struct, Name: "_NODE", Size: 64}).NewLazy(func(l *types.Lazy) {
			l.Fields = []types.Field{
				{Name: "Next", Type: pointer(node)},
				{Name: "Text", Offset: 8, Type: array(char, 8)},
				{Name: "Bits", Offset: 16, Type: bitField(ulong, 3, 7)},
				{Name: "Nothing", Offset: 20},
				{Name: "Self", Offset: 24, Type: node},
			}
		})
		data := make([]byte, 4096)
		binary.LittleEndian.PutUint64(data, 0x1000)
		p := Printer{Space: space(data), PointerSize: 8, Radix: 16}
		p.Depth, p.Block, p.Elements = min(max(depth, 0), 4), block, elements
		r := Request{Type: node, Addr: 0x1000, Located: true}
		for _, w := range strings.Fields(words) {
			r.Words = append(r.Words, w)
			r.Selectors = append(r.Selectors, ParseSelector(w, false))
		}
		var out strings.Builder
		if err := p.Dump(t.Context(), &out, r); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			text := strings.TrimLeft(line, " ")
			if !strings.HasPrefix(text, "+0x") && !strings.HasPrefix(text, "[") && text != "Cannot find specified field members.\n" &&
				!strings.HasPrefix(text, "Memory read error") {
				t.Fatalf("%q in\n%s", line, out.String())
			}
		}
	})
}
