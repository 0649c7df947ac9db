package isf

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ulikunitz/xz"

	"kdap/engine/types"
)

// sharedTable returns the kernel table of the reference data.
func sharedTable(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("KDAP_SHARED")
	if dir == "" {
		root, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for ; ; root = filepath.Dir(root) {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
				break
			}
			if root == filepath.Dir(root) {
				t.Fatal("no go.mod above the test")
			}
		}
		dir = filepath.Join(root, "..", "shared")
	}
	found, _ := filepath.Glob(filepath.Join(dir, "symbols", "isf", "*.json.xz"))
	if len(found) == 0 {
		t.Skip("no reference symbols: KDAP_SHARED names no folder with symbols/isf")
	}
	return found[0]
}

// jsonType is a type description as encoding/json reads it.
type jsonType struct {
	Kind, Name  string
	Subtype     *jsonType
	Type        *jsonType
	Count       uint64
	BitPosition uint8 `json:"bit_position"`
	BitLength   uint8 `json:"bit_length"`
}

type jsonTable struct {
	Types map[string]struct {
		Kind   string
		Size   uint64
		Fields map[string]struct {
			Offset uint64
			Type   jsonType
		}
	} `json:"user_types"`
	Enums map[string]struct {
		Base      string
		Size      uint64
		Constants map[string]int64
	}
	Symbols map[string]struct {
		Address uint32
		Linkage string `json:"linkage_name"`
	}
}

// TestAgainstJSON compares every symbol, member and enumerator with the table
// as the standard library reads it.
func TestAgainstJSON(t *testing.T) {
	path := sharedTable(t)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := xz.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var want jsonTable
	if err := json.NewDecoder(r).Decode(&want); err != nil {
		t.Fatal(err)
	}

	cache := t.TempDir()
	for _, state := range []string{"cold", "warm"} {
		f, err := Open(path, cache)
		if err != nil {
			t.Fatalf("%s: %v", state, err)
		}
		compareSymbols(t, f, want)
		compareTypes(t, f, want)
	}
	if list, _ := filepath.Glob(filepath.Join(cache, "isf", "*")); len(list) != 1 {
		t.Errorf("cache holds %v, want one index", list)
	}
}

func compareSymbols(t *testing.T, f *File, want jsonTable) {
	if f.NumSymbols() != len(want.Symbols) {
		t.Errorf("%d symbols, want %d", f.NumSymbols(), len(want.Symbols))
	}
	var last Symbol
	for i := range f.NumSymbols() {
		s := f.Symbol(i)
		w, ok := want.Symbols[s.Name]
		if w.Linkage == "" {
			w.Linkage = s.Name
		}
		if !ok || s.RVA != w.Address || s.Raw != w.Linkage {
			t.Errorf("symbol %d = %+v, want %+v", i, s, w)
		}
		if s.RVA < last.RVA || s.RVA == last.RVA && s.Raw < last.Raw {
			t.Errorf("symbol %d: %+v after %+v", i, s, last)
		}
		if at := f.Search(s.RVA); at > i || f.RVA(at) != s.RVA {
			t.Errorf("Search(%#x) = %d, symbol %d is there", s.RVA, at, i)
		}
		last = s
		found := false
		for j := range f.Lookup(strings.ToUpper(s.Raw)) {
			found = found || j == i
			if got := f.Symbol(j).Raw; !strings.EqualFold(got, s.Raw) {
				t.Errorf("Lookup(%q) yields %q", s.Raw, got)
			}
		}
		if !found {
			t.Errorf("Lookup(%q) does not find symbol %d", s.Raw, i)
		}
	}
	n := 0
	for range f.HashOrder() {
		n++
	}
	if n != f.NumSymbols() {
		t.Errorf("hash order has %d symbols of %d", n, f.NumSymbols())
	}
}

func compareTypes(t *testing.T, f *File, want jsonTable) {
	n := 0
	for range f.Types() {
		n++
	}
	if n != len(want.Types)+len(want.Enums) {
		t.Errorf("%d types, want %d", n, len(want.Types)+len(want.Enums))
	}
	for name, w := range want.Types {
		typ, ok := f.Type(name)
		if !ok || typ.Size != w.Size || typ.Kind == types.Union != (w.Kind == "union") {
			t.Errorf("type %s = %+v, want %+v", name, typ, w)
			continue
		}
		if len(typ.Fields()) != len(w.Fields) {
			t.Errorf("%s has %d fields, want %d", name, len(typ.Fields()), len(w.Fields))
		}
		for i, field := range typ.Fields() {
			wf, ok := w.Fields[field.Name]
			if !ok || field.Offset != wf.Offset || !sameType(f, field.Type, &wf.Type) {
				t.Errorf("%s.%s = %+v of %+v, want %+v", name, field.Name, field, field.Type, wf)
			}
			if i > 0 && field.Offset < typ.Fields()[i-1].Offset {
				t.Errorf("%s.%s is out of order", name, field.Name)
			}
		}
	}
	for name, w := range want.Enums {
		typ, ok := f.Type(name)
		if !ok || typ.Kind != types.Enum || typ.Size != w.Size || len(typ.Enumerators()) != len(w.Constants) {
			t.Errorf("enum %s = %+v, want %+v", name, typ, w)
			continue
		}
		for _, e := range typ.Enumerators() {
			if w.Constants[e.Name] != e.Value {
				t.Errorf("%s.%s = %d, want %d", name, e.Name, e.Value, w.Constants[e.Name])
			}
		}
	}
}

func sameType(f *File, got *types.Type, want *jsonType) bool {
	switch want.Kind {
	case "pointer":
		return got.Kind == types.Pointer && got.Size == 8 && sameType(f, got.Elem(), want.Subtype)
	case "array":
		return got.Kind == types.Array && got.Count == want.Count &&
			got.Size == got.Count*got.Elem().Size && sameType(f, got.Elem(), want.Subtype)
	case "bitfield":
		return got.Kind == types.BitField && got.BitPos == want.BitPosition && got.BitLen == want.BitLength &&
			sameType(f, got.Elem(), want.Type)
	case "function":
		return got.Kind == types.Function
	case "struct", "union", "enum":
		known, ok := f.Type(want.Name)
		if ok {
			return got == known
		}
		return got.Forward && got.Name == want.Name
	case "base":
		spelled, ok := baseNames[want.Name]
		if !ok {
			spelled = want.Name
		}
		return got.Name == spelled && got.Kind != types.Unknown
	}
	return false
}

func TestIdentity(t *testing.T) {
	path := sharedTable(t)
	f, err := Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	id := f.ID()
	// The file's name is its GUID and age, in decimal.
	if want := filepath.Base(path); !strings.HasPrefix(want, id.GUID+"-1.") || id.Age != 1 ||
		id.Database != "ntkrnlmp.pdb" || id.Machine != 0x8664 || f.PointerSize() != 8 {
		t.Errorf("ID() = %+v of %s", id, want)
	}
}

// TestBrokenCache damages the index in several ways; the table must read as before.
func TestBrokenCache(t *testing.T) {
	cache := t.TempDir()
	path := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(path, []byte(small), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, cache); err != nil {
		t.Fatal(err)
	}
	list, _ := filepath.Glob(filepath.Join(cache, "isf", "*"))
	if len(list) != 1 {
		t.Fatalf("cache holds %v", list)
	}
	good, err := os.ReadFile(list[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-1], "header only": good[:headerSize], "flipped": flip(good, len(good)-3),
		"version": flip(good, 8), "other table": flip(good, 30),
	} {
		if err := os.WriteFile(list[0], bad, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, cache)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if typ, ok := f.Type("_S"); !ok || typ.Size != 16 {
			t.Errorf("%s: _S = %+v", name, typ)
		}
		if now, _ := os.ReadFile(list[0]); !bytes.Equal(now, good) {
			t.Errorf("%s: the index was not made anew", name)
		}
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

const small = `{"symbols": {"b": {"address": 32, "linkage_name": "_b"}, "a": {"address": 16}, "neg": {"address": -1}},
"user_types": {"_S": {"kind": "struct", "size": 16, "fields": {
  "z": {"offset": 0, "type": {"kind": "base", "name": "long long"}},
  "a": {"offset": 8, "type": {"kind": "bitfield", "bit_position": 3, "bit_length": 2, "type": {"kind": "base", "name": "unsigned long"}}},
  "n\u00e9xt": {"offset": 8, "type": {"kind": "pointer", "subtype": {"kind": "struct", "name": "_MISSING"}}}}},
  "__unnamed_1a2b": {"kind": "union", "size": 0, "fields": {}}},
"enums": {"_E": {"base": "int", "size": 4, "constants": {"A": -1, "B": 18446744073709551615}}},
"base_types": {"long long": {"kind": "int", "size": 8, "signed": true}, "unsigned long": {"kind": "int", "size": 4, "signed": false},
  "int": {"kind": "int", "size": 4, "signed": true}, "pointer": {"kind": "int", "size": 4, "signed": false}}}`

func TestSmall(t *testing.T) {
	f, err := New(strings.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	s, ok := f.Type("_S")
	if !ok {
		t.Fatal("no _S")
	}
	if f.PointerSize() != 4 || s.Field("néxt").Type.Size != 4 || !s.Field("néxt").Type.Elem().Forward {
		t.Errorf("pointers: %d, %+v", f.PointerSize(), s.Field("néxt").Type)
	}
	// Not sorted by name, so the order of the table stands.
	if got := s.Fields(); len(got) != 3 || got[0].Name != "z" || got[1].Name != "a" {
		t.Errorf("fields = %+v", got)
	}
	if b := s.Field("a").Type; b.BitPos != 3 || b.BitLen != 2 || b.Elem().Name != "unsigned long" || b.Elem().Kind != types.Uint {
		t.Errorf("a = %+v", b)
	}
	if n := s.Field("z").Type; n.Name != "__int64" || n.Kind != types.Int {
		t.Errorf("z = %+v", n)
	}
	if u, ok := f.Type("__unnamed_1a2b"); !ok || u.Name != "<unnamed-tag>" || u.ID != 0x1a2b || u.Kind != types.Union {
		t.Errorf("unnamed = %+v", u)
	}
	if e, _ := f.Type("_E"); e.Enumerators()[0].Value != -1 || e.Elem().Name != "int" {
		t.Errorf("enum = %+v", e.Enumerators())
	}
	if f.NumSymbols() != 2 || f.Symbol(0).Name != "a" || f.Symbol(1).Raw != "_b" || f.Search(17) != 1 || f.Search(33) != 2 {
		t.Errorf("symbols: %d, %+v", f.NumSymbols(), f.Symbol(0))
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "'{' missing"},
		{"array", "[]", "'{' missing"},
		{"no table", "{}", "not a symbol table"},
		{"cut", small[:200], "at offset 0xc8"},
		{"deep", strings.Repeat(`{"a":`, 200), "nested deeper"},
		{"deep skip", `{"x":` + strings.Repeat(`[`, 200000), "nested deeper"},
		{"size", `{"user_types":{"a":{"size":-1}}}`, "is above"},
		{"trailing", `{"symbols":{"a":{"address":1}}} x`, "text after"},
		{"xz", "\xfd7zXZ\x00garbage", "xz"},
		{"string", `{"a`, "string without end"},
	} {
		_, err := New(strings.NewReader(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestConcurrent(t *testing.T) {
	f, err := New(strings.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	got := make([]*types.Type, 8)
	for i := range got {
		wg.Go(func() {
			s, _ := f.Type("_S")
			got[i] = s.Field("z").Type
		})
	}
	wg.Wait()
	for _, typ := range got {
		if typ != got[0] {
			t.Fatal("two callers got two types")
		}
	}
}

// FuzzISF: what parses can be indexed and opened, and reads the same number of
// symbols and types; a failure names its place.
func FuzzISF(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(small[:300]))
	f.Fuzz(func(t *testing.T, text []byte) {
		table, err := parse(text)
		if err != nil {
			if _, ok := err.(*FormatError); !ok {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		var key [keySize]byte
		b, err := table.encode(key)
		if err != nil {
			t.Fatal(err)
		}
		idx, err := openIndex(b, key)
		if err != nil {
			t.Fatalf("own index: %v", err)
		}
		file := newFile(idx, "")
		if file.NumSymbols() != len(table.symbols) || len(file.types) != len(table.types) {
			t.Fatal("symbols or types lost")
		}
		walk(file)
		for i := range file.NumSymbols() {
			found := false
			for j := range file.Lookup(file.Symbol(i).Raw) {
				found = found || i == j
			}
			if !found {
				t.Fatalf("symbol %d is not found by its name", i)
			}
		}
	})
}

// FuzzIndex gives a damaged index a right checksum: it must be refused or read
// without harm.
func FuzzIndex(f *testing.F) {
	table, err := parse([]byte(small))
	if err != nil {
		f.Fatal(err)
	}
	var key [keySize]byte
	good, err := table.encode(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < headerSize || len(b) > 1<<16 {
			return
		}
		b = bytes.Clone(b)
		copy(b, good[:12])
		le.PutUint64(b[16:], uint64(len(b)))
		copy(b[24:], key[:])
		le.PutUint32(b[12:], crc32.Checksum(b[16:], castagnoli))
		idx, err := openIndex(b, key)
		if err != nil {
			return
		}
		walk(newFile(idx, ""))
	})
}

// walk decodes everything one level deep.
func walk(f *File) {
	n := 0
	for t := range f.Types() {
		for _, field := range t.Fields() {
			if n++; n > 10000 {
				return
			}
			field.Type.Elem()
		}
		t.Enumerators()
	}
	for i := range f.NumSymbols() {
		f.Symbol(i)
		f.SymbolType(i)
		f.Search(f.RVA(i))
	}
}

func BenchmarkOpenWarm(b *testing.B) {
	path, cache := sharedTable(b), b.TempDir()
	if _, err := Open(path, cache); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(path, cache); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenCold(b *testing.B) {
	path := sharedTable(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(path, ""); err != nil {
			b.Fatal(err)
		}
	}
}
