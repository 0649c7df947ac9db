package types_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// flat is memory that begins at base and ends after its bytes.
type flat struct {
	base  uint64
	bytes []byte
}

func (m flat) Read(va uint64, p []byte) (int, error) {
	if va < m.base || va-m.base >= uint64(len(m.bytes)) {
		return 0, &memory.ReadError{Addr: va, Kind: memory.NotValid}
	}
	n := copy(p, m.bytes[va-m.base:])
	if n < len(p) {
		return n, &memory.ReadError{Addr: va + uint64(n), Kind: memory.NotValid}
	}
	return n, nil
}

const base = 0x10000

var (
	u32  = &types.Type{Kind: types.Uint, Name: "unsigned long", Size: 4}
	i8   = &types.Type{Kind: types.Char, Name: "char", Size: 1}
	void = &types.Type{Kind: types.Void, Name: "void"}
)

func pointer(to *types.Type) *types.Type {
	return (&types.Type{Kind: types.Pointer, Size: 8}).NewLazy(func(l *types.Lazy) { l.Elem = to })
}

func array(of *types.Type, n uint64) *types.Type {
	return (&types.Type{Kind: types.Array, Size: of.Size * n, Count: n}).NewLazy(func(l *types.Lazy) { l.Elem = of })
}

func bits(pos, n uint8) *types.Type {
	return (&types.Type{Kind: types.BitField, Size: 4, BitPos: pos, BitLen: n}).NewLazy(func(l *types.Lazy) { l.Elem = u32 })
}

func structure(name string, size uint64, fields ...types.Field) *types.Type {
	return (&types.Type{Kind: types.Struct, Name: name, Size: size}).NewLazy(func(l *types.Lazy) { l.Fields = fields })
}

var (
	listEntry = structure("_LIST_ENTRY", 16,
		types.Field{Name: "Flink", Type: pointer(void)}, types.Field{Name: "Blink", Offset: 8, Type: pointer(void)})
	node = structure("_NODE", 0x28,
		types.Field{Name: "Count", Type: u32},
		types.Field{Name: "Low", Offset: 4, Type: bits(0, 3)},
		types.Field{Name: "Signed", Offset: 4, Type: bits(3, 4)},
		types.Field{Name: "Link", Offset: 8, Type: listEntry},
		types.Field{Name: "Name", Offset: 0x18, Type: array(i8, 8)},
		types.Field{Name: "Next", Offset: 0x20, Type: pointer(void)})
)

// nodes lays out a list head at base and n nodes behind it, 0x40 bytes apart.
func nodes(n int) flat {
	b := make([]byte, 0x40*(n+1))
	at := func(i int) uint64 {
		if i == 0 {
			return base // the head
		}
		return base + 0x40*uint64(i) + 8
	}
	for i := 0; i <= n; i++ {
		off := at(i) - base
		binary.LittleEndian.PutUint64(b[off:], at((i+1)%(n+1)))
		if i > 0 {
			binary.LittleEndian.PutUint32(b[off-8:], uint32(i))
		}
	}
	return flat{base, b}
}

func walk(m flat) (counts []uint64, err error) {
	for o, e := range types.ListEntries(types.NewObject(m, listEntry, base), node, "Link") {
		if e != nil {
			return counts, e
		}
		v, _ := o.Field("Count").Uint()
		counts = append(counts, v)
	}
	return counts, nil
}

func TestListEntries(t *testing.T) {
	link := func(m flat, from int, to uint64) flat {
		off := 0x40*from + 8
		binary.LittleEndian.PutUint64(m.bytes[off:], to)
		return m
	}
	// back gives the list the links that lead from its end to its beginning.
	back := func(m flat) flat {
		n := len(m.bytes)/0x40 - 1
		prev := uint64(base)
		for i := 1; i <= n; i++ {
			at := base + 0x40*uint64(i) + 8
			binary.LittleEndian.PutUint64(m.bytes[at-base+8:], prev)
			prev = at
		}
		binary.LittleEndian.PutUint64(m.bytes[8:], prev)
		return m
	}
	tests := []struct {
		name string
		m    flat
		good int
		why  string // "" when the list closes
	}{
		{"empty", nodes(0), 0, ""},
		{"three", nodes(3), 3, ""},
		{"cycle", link(nodes(3), 3, base+0x40*2+8), 3, "cycle"},
		{"null link", link(nodes(3), 2, 0), 2, "null link"},
		{"out of memory", link(nodes(3), 2, 0x999000), 3, "not mapped"},
		{"from the end", back(link(nodes(5), 2, 0)), 5, "null link"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := walk(tt.m)
			if len(got) != tt.good {
				t.Errorf("%d entries, want %d", len(got), tt.good)
			}
			if tt.why == "" && err != nil || tt.why != "" && (err == nil || !strings.Contains(err.Error(), tt.why)) {
				t.Errorf("error %v, want %q", err, tt.why)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	b := make([]byte, 0x28)
	binary.LittleEndian.PutUint32(b[0:], 0xfffffffe)
	binary.LittleEndian.PutUint32(b[4:], 0b1111_101)
	o := types.NewObject(flat{base, b}, node, base)
	tests := []struct {
		field    string
		unsigned uint64
		signed   int64
	}{
		{"Count", 0xfffffffe, -2},
		{"Low", 5, -3},
		{"Signed", 15, -1},
	}
	for _, tt := range tests {
		u, err := o.Field(tt.field).Uint()
		if err != nil || u != tt.unsigned {
			t.Errorf("%s: %#x, %v, want %#x", tt.field, u, err, tt.unsigned)
		}
		if s, err := o.Field(tt.field).Int(); err != nil || s != tt.signed {
			t.Errorf("%s signed: %d, %v, want %d", tt.field, s, err, tt.signed)
		}
	}
}

// TestErrorsTravel shows that the first error of a path comes out of the
// accessor at its end, as what it is.
func TestErrorsTravel(t *testing.T) {
	o := types.NewObject(flat{base, make([]byte, 0x28)}, node, base)
	var missing *types.NoFieldError
	if _, err := o.Field("Nothing").Deref().Field("More").Uint(); !errors.As(err, &missing) || missing.Field != "Nothing" {
		t.Errorf("missing member: %v", err)
	}
	if _, err := o.Field("Next").Deref().Uint(); !errors.Is(err, types.ErrNull) {
		t.Errorf("null pointer: %v", err)
	}
	var unreadable *memory.ReadError
	if _, err := o.At(0x999000, node).Field("Link.Flink").Uint(); !errors.As(err, &unreadable) || unreadable.Addr != 0x999008 {
		t.Errorf("unreadable: %v", err)
	}
	if v, err := o.FirstField("Gone", "Count").Uint(); err != nil || v != 0 {
		t.Errorf("second spelling: %d, %v", v, err)
	}
	if _, err := o.FirstField("Gone", "AlsoGone").Uint(); !errors.As(err, &missing) || missing.Field != "Gone" {
		t.Errorf("no spelling: %v", err)
	}
	if _, err := o.Field("Link").Uint(); err == nil {
		t.Error("a structure was read as a number")
	}
}

func TestStrings(t *testing.T) {
	m := flat{base, make([]byte, memory.PageSize)}
	copy(m.bytes[0x18:], "leak\x00xyz")
	copy(m.bytes[len(m.bytes)-3:], "end") // up to the end of readable memory
	o := types.NewObject(m, node, base)
	if s, err := o.Field("Name").CString(); err != nil || s != "leak" {
		t.Errorf("array: %q, %v", s, err)
	}
	s, err := types.ReadCString(m, base+uint64(len(m.bytes))-3, 100)
	if s != "end" || err == nil {
		t.Errorf("cut string: %q, %v", s, err)
	}
	if got := types.UTF16([]byte{'h', 0, 0xac, 0x20, 0, 0xd8, 7}); got != "h€\ufffd" {
		t.Errorf("UTF16: %q", got)
	}
}

// TestBaseCircle looks for a member of a class that is its own ancestor, as a
// damaged symbol file may have it.
func TestBaseCircle(t *testing.T) {
	a := &types.Type{Kind: types.Class, Name: "A", Size: 8}
	b := structure("B", 8, types.Field{Name: "A", Base: true, Type: a}, types.Field{Name: "own", Offset: 4, Type: u32})
	a.NewLazy(func(l *types.Lazy) { l.Fields = []types.Field{{Name: "B", Base: true, Type: b}} })
	if a.Field("nowhere") != nil {
		t.Error("found a member that is nowhere")
	}
	if f := a.Field("own"); f == nil || f.Offset != 4 {
		t.Errorf("inherited member: %+v", f)
	}
}

func FuzzListEntries(f *testing.F) {
	f.Add(nodes(3).bytes)
	f.Add(nodes(1).bytes[:0x44])
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for _, err := range types.ListEntries(types.NewObject(flat{base, b}, listEntry, base), node, "Link") {
			// Every entry has a link of its own in memory, so there are fewer
			// than bytes.
			if n++; err == nil && n > len(b) {
				t.Fatalf("%d entries in %d bytes", n, len(b))
			}
		}
	})
}
