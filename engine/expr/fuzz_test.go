package expr

import (
	"strings"
	"testing"

	"kdap/engine/types"
)

// fuzzEnv has one of everything an expression can name.
func fuzzEnv() *testEnv {
	node := &types.Type{Kind: types.Struct, Name: "_NODE", Size: 32}
	next := PointerTo(node, 8)
	node.NewLazy(func(l *types.Lazy) {
		l.Fields = []types.Field{
			{Name: "next", Type: next},
			{Name: "name", Offset: 8, Type: arrayOf(typeChar, 8)},
			{Name: "value", Offset: 16, Type: typeDouble},
			{Name: "flag", Offset: 24, Type: (&types.Type{Kind: types.BitField, BitPos: 3, BitLen: 5, Size: 4}).NewLazy(func(l *types.Lazy) { l.Elem = typeUInt })},
			{Name: "count", Offset: 28, Type: typeInt},
		}
	})
	kind := &types.Type{Kind: types.Enum, Name: "Kind", Size: 4}
	kind.NewLazy(func(l *types.Lazy) {
		l.Elem = typeInt
		l.Enumerators = []types.Enumerator{{Name: "One", Value: 1}, {Name: "Minus", Value: -1}}
	})
	function := (&types.Type{Kind: types.Function}).NewLazy(func(l *types.Lazy) {
		l.Elem, l.Params = typeInt, []*types.Type{next, typeUInt}
	})
	block := make([]byte, 64)
	copy(block, "\x00\x20\x00\x00\x00\x00\x00\x00name\x00xyz\x00\x00\x00\x00\x00\x00\xf8\x3f\x9b\x00\x00\x00\xfe\xff\xff\xff")
	return &testEnv{
		radix: 16,
		registers: map[string]Register{
			"rax": {Bits: 5}, "al": {Bits: 5}, "efl": {Class: Flags, Bits: 0x246}, "cs": {Class: Segment, Bits: 0x33},
			"xmm0": {Class: Vector}, "st0": {Class: FloatReg}, "$ip": {Bits: 0x3000}, "$t0": {Class: Typed},
			"$t1": {Class: Typed, Value: Constant(next, 0x2000)}, "$t2": {Class: Typed, Value: Value{Type: node, Addr: 0x2000, Located: true}},
			"$t3": {Class: Typed, Value: fromFloat(typeDouble, 1.5)},
		},
		symbols: map[string]Symbol{
			"m": {Name: "m", Addr: 0x1000, IsModule: true}, "m!node": {Name: "node", Module: "m", Addr: 0x2000, Type: node},
			"node": {Name: "node", Module: "m", Addr: 0x2000, Type: node}, "m!fn": {Name: "fn", Module: "m", Addr: 0x3000, Type: function},
			"m!bare": {Name: "bare", Module: "m", Addr: 0x2000}, "one": {Name: "One", Constant: true, Bits: 1, Type: kind},
			"gone": {Name: "gone", Unavailable: true}, "reg": {Name: "reg", InRegister: true, Bits: 7, Type: typeUInt},
			"bad": {Name: "bad", Addr: 0x9000, Type: typeInt},
		},
		types:     map[string]*types.Type{"m!_NODE": node, "_NODE": node, "Kind": kind},
		functions: map[uint64]*types.Type{0x3000: function},
		lines:     map[string]uint64{"a.c": 0x3000},
		entry:     func(a uint64) (uint64, bool) { return 0x1010, a >= 0x1000 && a < 0x4000 },
		space:     testSpace{0x2000: block},
		physical:  testPages{1: make([]byte, 4096)},
	}
}

// checkError asks of an error that it is one of ours and points into the text.
func checkError(t *testing.T, text string, c *Cursor, err error) {
	t.Helper()
	if c.Pos < 0 || c.Pos > len(c.Text) || len(c.Text) != len(text) {
		t.Fatalf("%q: cursor at %d of %q", text, c.Pos, c.Text)
	}
	if err == nil {
		return
	}
	e, ok := err.(*Error)
	if !ok {
		t.Fatalf("%q: %v is no expression error", text, err)
	}
	macro := strings.Contains(text, "#") // quotes the text the macro stands for
	if e.Form == QuoteForm && !macro && !strings.Contains(c.Text, e.Rest) {
		t.Fatalf("%q: quotes %q", text, e.Rest)
	}
	if e.Form == CaretForm && (e.Pos < 0 || e.Pos > len(text)+1) {
		t.Fatalf("%q: caret at %d", text, e.Pos)
	}
}

func seeds(f *testing.F, texts ...string) {
	for _, s := range texts {
		f.Add(s)
	}
	f.Add(strings.Repeat("(", 250))
	f.Add(strings.Repeat("-", 250) + "1")
	f.Add(strings.Repeat("poi ", 250))
	f.Add(strings.Repeat("@@(", 110) + "1" + strings.Repeat(")", 110))
	f.Add(strings.Repeat("#RTL_CONTAINS_FIELD(", 20) + strings.Repeat(")", 20))
}

// FuzzMasm: an expression always ends, and one that has a value has the same
// value in brackets.
func FuzzMasm(f *testing.F) {
	seeds(f, "1+2*3", "poi(m+10)", "'abc'", "`a.c:10`", "@@c++(node.count)", "$scmp(\"a\",\"b\")", "$vvalid(m!node,8)",
		"$fnsucc(m!fn,1,0)", "0n-5 mod 3", "12345678`9abcdef0", "@!\"m!node\"", "by [m!node] & ff", "$t1", "@rax=al")
	f.Fuzz(func(t *testing.T, text string) {
		env := fuzzEnv()
		c := NewCursor(text)
		v, err := Masm(env, c)
		checkError(t, text, c, err)
		if err != nil {
			return
		}
		inner := c.Text[:c.Pos]
		if strings.Count(inner, "(")+strings.Count(inner, "[") > 20 || len(inner) > 100 {
			return // near the limit of nesting
		}
		again, err := Masm(fuzzEnv(), NewCursor("("+inner+")"))
		if err != nil || again != v {
			t.Fatalf("%q is %x, in brackets %x, %v", inner, v, again, err)
		}
	})
}

// FuzzCpp: an expression always ends; what it gives can be printed, and its
// type agrees with its bits.
func FuzzCpp(f *testing.F) {
	seeds(f, "1+2*3", "node.next->name[1]", "sizeof(m!_NODE*)", "(Kind)1", "#FIELD_OFFSET(_NODE,count)", "&node.value",
		"(char)300", "1?2:3.0", "@$t1->flag", "m!fn", "*(int*)0x2010", "@@masm(poi(m!node))", "static_cast<int>(1.5)", "L'a'",
		"1.5e-3f", "#CONTAINING_RECORD(&node,_NODE,name)->next", "0?node.next->next->next:0", "(_NODE[2])0", "1<<40")
	f.Fuzz(func(t *testing.T, text string) {
		env := fuzzEnv()
		c := NewCursor(text)
		v, err := Cpp(env, c)
		checkError(t, text, c, err)
		if err != nil {
			return
		}
		if isNumber(v.Type) && truncate(v.Bits, v.Type) != v.Bits {
			t.Fatalf("%q: %x does not fit %s", text, v.Bits, TypeName(v.Type))
		}
		if s := Print(env, v, nil); s == "" {
			t.Fatalf("%q prints nothing", text)
		}
	})
}

// FuzzRange: a range is never larger than allowed unless it was asked for.
func FuzzRange(f *testing.F) {
	seeds(f, "m L10", "m m+10", "m L-4", "m l?100000000", "m , L4", "m L", "m,2", "m!node L@@(sizeof(int))")
	f.Fuzz(func(t *testing.T, text string) {
		c := NewCursor(text)
		r, err := ReadRange(fuzzEnv(), c, RangeSpec{ElemSize: 4, Default: 32})
		checkError(t, text, c, err)
		if err == nil && !strings.Contains(text, "?") && r.Count > maxRange/4 {
			t.Fatalf("%q: %x elements", text, r.Count)
		}
	})
}
