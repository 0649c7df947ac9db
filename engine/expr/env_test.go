package expr

import (
	"strings"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// testEnv is a session with a handful of names. Memory is a map of bytes.
type testEnv struct {
	radix     int
	cpp       bool
	registers map[string]Register
	symbols   map[string]Symbol
	types     map[string]*types.Type
	lines     map[string]uint64
	functions map[uint64]*types.Type
	entry     func(uint64) (uint64, bool)
	space     testSpace
	physical  testPages
	out       strings.Builder
	last      uint64
}

func (e *testEnv) Radix() int                { return e.radix }
func (e *testEnv) DefaultCpp() bool          { return e.cpp }
func (e *testEnv) PointerSize() int          { return 8 }
func (e *testEnv) Memory() memory.Space      { return e.space }
func (e *testEnv) Physical() memory.Physical { return e.physical }
func (e *testEnv) NoUnqualified() bool       { return true }
func (e *testEnv) Print(text string)         { e.out.WriteString(text) }
func (e *testEnv) SetLast(v uint64)          { e.last = v }

func (e *testEnv) Register(name string) (Register, error) {
	if r, ok := e.registers[strings.ToLower(name)]; ok {
		return r, nil
	}
	switch strings.ToLower(name) {
	case "$previp", "$relip", "$ea", "$ea2", "$tid", "$tpid", "$clrex", "$lastclrex", "$exr_param0", "$exr_param14":
		return Register{}, ErrUnavailable
	}
	return Register{}, ErrNotFound
}

func (e *testEnv) Symbol(name string) (Symbol, error) {
	if s, ok := e.symbols[strings.ToLower(name)]; ok {
		return s, nil
	}
	return Symbol{}, ErrNotFound
}

func (e *testEnv) Type(module, name string) (*types.Type, bool) {
	if module != "" {
		name = module + "!" + name
	}
	t, ok := e.types[name]
	return t, ok
}

func (e *testEnv) SourceLine(module, file string, line int) (uint64, error) {
	if a, ok := e.lines[file]; ok && line > 0 {
		return a + uint64(line), nil
	}
	return 0, ErrNotFound
}

func (e *testEnv) EntryPoint(addr uint64) (uint64, bool) {
	if e.entry == nil {
		return 0, false
	}
	return e.entry(addr)
}

func (e *testEnv) FunctionType(addr uint64) (*types.Type, bool) {
	t, ok := e.functions[addr]
	return t, ok
}

// testSpace is memory in blocks, by address.
type testSpace map[uint64][]byte

func (s testSpace) Read(va uint64, p []byte) (int, error) {
	for i := range p {
		b, ok := s.byteAt(va + uint64(i))
		if !ok {
			return i, &memory.ReadError{Addr: va + uint64(i), Kind: memory.NotValid}
		}
		p[i] = b
	}
	return len(p), nil
}

func (s testSpace) byteAt(va uint64) (byte, bool) {
	for base, block := range s {
		if off := va - base; off < uint64(len(block)) {
			return block[off], true
		}
	}
	return 0, false
}

type testPages map[uint64][]byte

func (p testPages) Page(pfn uint64) ([]byte, bool) {
	b, ok := p[pfn]
	return b, ok
}
