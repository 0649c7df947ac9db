package model

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// testHost has a few names over 4 KB of memory at testBase.
type testHost struct {
	set   Settings
	vars  map[string]Value
	boxes []string
}

const testBase = 0x10000

// testMemory holds a pair (7, -1), a pointer to it at +8, and "abc" at +0x10.
type testMemory struct{ b []byte }

func newTestMemory() testMemory {
	b := make([]byte, 0x1000)
	binary.LittleEndian.PutUint32(b, 7)
	binary.LittleEndian.PutUint32(b[4:], 0xffffffff)
	binary.LittleEndian.PutUint64(b[8:], testBase)
	copy(b[0x10:], "abc\x00")
	return testMemory{b}
}

func (m testMemory) Read(va uint64, buf []byte) (int, error) {
	if va < testBase || va-testBase >= uint64(len(m.b)) {
		return 0, errors.New("not mapped")
	}
	return copy(buf, m.b[va-testBase:]), nil
}

var pairType = (&types.Type{Kind: types.Struct, Name: "Pair", Size: 8}).NewLazy(func(l *types.Lazy) {
	l.Fields = []types.Field{{Name: "a", Type: typeUInt}, {Name: "b", Offset: 4, Type: typeInt}}
})

func newTestHost() *testHost {
	return &testHost{set: Settings{Radix: 16, RecursionDepth: 1}, vars: map[string]Value{}}
}

func (h *testHost) Memory() memory.Space { return newTestMemory() }
func (h *testHost) Local(_ context.Context, name string) (Value, bool) {
	switch name {
	case "pair":
		return NativeAt(h.Memory(), pairType, testBase), true
	case "p":
		return NativeAt(h.Memory(), PointerTo(pairType), testBase+8), true
	case "text":
		return NativeAt(h.Memory(), arrayOf(Basic("char"), 8), testBase+0x10), true
	}
	return nil, false
}

func (h *testHost) Root(name string) (Value, bool) {
	if name == "Names" {
		return List(String("one"), String("two"), String("three")), true
	}
	return nil, false
}
func (h *testHost) Symbol(context.Context, string, string) (Value, bool) { return nil, false }
func (h *testHost) HasModule(_ context.Context, name string) bool        { return name == "m" }
func (h *testHost) Type(_ context.Context, _, name string) (*types.Type, bool) {
	if name == "Pair" {
		return pairType, true
	}
	return nil, false
}

func (h *testHost) Variable(_ context.Context, name string) (Value, error) {
	if v, ok := h.vars[name]; ok {
		return v, nil
	}
	return nil, ErrUndefined
}

func (h *testHost) SetVariable(_ context.Context, name string, v Value) (Value, error) {
	h.vars[name] = v
	return v, nil
}
func (h *testHost) Register(context.Context, string) (Value, bool) { return nil, false }
func (h *testHost) CodeName(context.Context, uint64) string        { return "" }
func (h *testHost) Unqualified(name string)                        { h.boxes = append(h.boxes, name) }
func (h *testHost) Settings() *Settings                            { return &h.set }

// show evaluates and prints like dx does.
func show(h *testHost, text string, o Options) string {
	m := NewMachine(h, false)
	var b strings.Builder
	v, spec, err := m.Evaluate(context.Background(), text)
	if err == nil {
		err = m.Show(context.Background(), &b, text, v, spec, o)
	}
	if err != nil {
		line, _ := ErrorText(err)
		b.WriteString(line + "\n")
	}
	return b.String()
}
