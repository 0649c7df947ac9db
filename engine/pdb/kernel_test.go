package pdb

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"kdap/engine/types"
)

type isf struct {
	BaseTypes map[string]struct {
		Size   uint64
		Kind   string
		Signed bool
	} `json:"base_types"`
	UserTypes map[string]struct {
		Size   uint64
		Kind   string
		Fields map[string]struct {
			Offset uint64
			Type   isfType
		}
	} `json:"user_types"`
	Enums map[string]struct {
		Size      uint64
		Base      string
		Constants map[string]int64
	}
	Symbols map[string]struct {
		Address uint64
		Linkage string `json:"linkage_name"`
	}
}

type isfType struct {
	Kind, Name             string
	Count                  uint64
	Subtype                *isfType
	Type                   *isfType
	BitPosition, BitLength uint8
}

func (t *isfType) UnmarshalJSON(b []byte) error {
	var raw struct {
		Kind, Name string
		Count      uint64
		Subtype    *isfType
		Type       *isfType
		Pos        uint8 `json:"bit_position"`
		Len        uint8 `json:"bit_length"`
	}
	err := json.Unmarshal(b, &raw)
	*t = isfType{raw.Kind, raw.Name, raw.Count, raw.Subtype, raw.Type, raw.Pos, raw.Len}
	return err
}

func readISF(t testing.TB) *isf {
	t.Helper()
	fd, err := os.Open(filepath.Join(sharedDir(t), "isf", kernelKey+"-1.json.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	r, err := xz.NewReader(fd)
	if err != nil {
		t.Fatal(err)
	}
	tab := &isf{}
	if err := json.NewDecoder(r).Decode(tab); err != nil {
		t.Fatal(err)
	}
	return tab
}

// TestKernelAgainstISF compares both forms of the kernel PDB with the table
// that the PDB was written from: another program's reading of the real one.
func TestKernelAgainstISF(t *testing.T) {
	tab := readISF(t)
	for _, path := range []string{kernelPath(t), filepath.Join(sharedDir(t), "variants", "ntkrnlmp-split.pdb")} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f := openTest(t, path)
			if id := f.ID(); id.Key() != kernelKey+"1" {
				t.Errorf("ID %s", id.Key())
			}
			if f.HasPrivate() || !f.IsStripped() || f.PointerSize() != 8 {
				t.Errorf("private %v, stripped %v, pointers of %d", f.HasPrivate(), f.IsStripped(), f.PointerSize())
			}
			compareSymbols(t, f, tab)
			for name, want := range tab.UserTypes {
				if len(name) > 12 && name[:12] == "__anonymous_" {
					continue
				}
				compareType(t, f, tab, name, want.Size, len(want.Fields))
			}
			compareEnums(t, f, tab)
		})
	}
}

// compareSymbols compares the publics by their names as stored.
func compareSymbols(t *testing.T, f *File, tab *isf) {
	stored := map[string]uint64{}
	for name, s := range tab.Symbols {
		if s.Linkage != "" {
			name = s.Linkage
		}
		stored[name] = s.Address
	}
	n := 0
	for s := range f.Publics() {
		n++
		if want, ok := stored[s.Name]; !ok || want != uint64(s.RVA) {
			t.Errorf("public %s at %#x, want %#x %v", s.Name, s.RVA, want, ok)
		}
		if got, ok := f.LookupPublic(s.Name); !ok || got != s {
			t.Errorf("LookupPublic(%s) = %v, %v, want %v", s.Name, got, ok, s)
		}
		if got, ok := f.LookupPublicFold(strings.ToUpper(s.Name)); !ok || !strings.EqualFold(got.Name, s.Name) {
			t.Errorf("LookupPublicFold(%s) = %v, %v", s.Name, got, ok)
		}
		if near, ok := f.NearestPublic(s.RVA); !ok || near.RVA != s.RVA || near.Name > s.Name {
			t.Errorf("NearestPublic(%#x) = %s at %#x, %v, want at most %s", s.RVA, near.Name, near.RVA, ok, s.Name)
		}
		if at := f.PublicsAt(s.RVA); !slices.Contains(at, s) {
			t.Errorf("PublicsAt(%#x) = %v, without %v", s.RVA, at, s)
		}
	}
	if n != len(tab.Symbols) {
		t.Errorf("%d publics, want %d", n, len(tab.Symbols))
	}
}

func compareType(t *testing.T, f *File, tab *isf, name string, size uint64, fields int) {
	typ, ok := f.Type(name)
	if !ok || typ.Size != size || typ.Forward && size != 0 {
		t.Errorf("type %s: %v, want size %d", name, typ, size)
		return
	}
	if got := len(typ.Fields()); got != fields || !typ.Forward && typ.MemberCount != fields {
		t.Errorf("type %s: %d fields (%d claimed), want %d", name, got, typ.MemberCount, fields)
	}
	for _, fl := range typ.Fields() {
		want, ok := tab.UserTypes[name].Fields[fl.Name]
		if !ok || want.Offset != fl.Offset {
			t.Errorf("%s.%s at %#x, want %#x %v", name, fl.Name, fl.Offset, want.Offset, ok)
			continue
		}
		if msg := sameType(tab, fl.Type, &want.Type, 0); msg != "" {
			t.Errorf("%s.%s: %s", name, fl.Name, msg)
		}
	}
}

// sameType compares a type with the table's, unnamed aggregates by content.
func sameType(tab *isf, got *types.Type, want *isfType, depth int) string {
	if depth > 6 {
		return ""
	}
	bad := func(what string) string { return what + ": got " + got.Name + ", want " + want.Kind + " " + want.Name }
	switch want.Kind {
	case "pointer":
		if got.Kind != types.Pointer || got.Size != 8 {
			return bad("pointer")
		}
		return sameType(tab, got.Elem(), want.Subtype, depth+1)
	case "array":
		if got.Kind != types.Array || got.Count != want.Count {
			return bad("array")
		}
		return sameType(tab, got.Elem(), want.Subtype, depth+1)
	case "bitfield":
		if got.Kind != types.BitField || got.BitPos != want.BitPosition || got.BitLen != want.BitLength {
			return bad("bit field")
		}
		return sameType(tab, got.Elem(), want.Type, depth+1)
	case "struct", "union", "class":
		if !got.Kind.IsAggregate() || (want.Kind == "union") != (got.Kind == types.Union) {
			return bad("aggregate")
		}
		w := tab.UserTypes[want.Name]
		if got.Name != want.Name && len(want.Name) > 12 && want.Name[:12] != "__anonymous_" || got.Size != w.Size {
			return bad("aggregate")
		}
		if got.Name != want.Name {
			for _, fl := range got.Fields() {
				wf, ok := w.Fields[fl.Name]
				if !ok || wf.Offset != fl.Offset {
					return bad("member " + fl.Name)
				}
				if msg := sameType(tab, fl.Type, &wf.Type, depth+1); msg != "" {
					return fl.Name + ": " + msg
				}
			}
		}
	case "enum":
		if got.Kind != types.Enum || got.Name != want.Name {
			return bad("enum")
		}
	case "function":
		if got.Kind != types.Function {
			return bad("function")
		}
	case "base":
		b := tab.BaseTypes[want.Name]
		if want.Name == "void" && got.Kind == types.Void {
			return ""
		}
		if got.Size != b.Size {
			return bad("base type")
		}
		signed := got.Kind == types.Int || got.Kind == types.Char || got.Kind == types.Float
		if b.Signed != signed && got.Kind != types.WChar && got.Kind != types.HResult {
			return bad("sign")
		}
	default:
		return bad("unknown kind")
	}
	return ""
}

func compareEnums(t *testing.T, f *File, tab *isf) {
	for name, want := range tab.Enums {
		if len(name) > 12 && name[:12] == "__anonymous_" {
			continue
		}
		typ, ok := f.Type(name)
		if !ok || typ.Kind != types.Enum || typ.Size != want.Size || len(typ.Enumerators()) != len(want.Constants) {
			t.Errorf("enum %s: %v, %v, want %d names", name, typ, ok, len(want.Constants))
			continue
		}
		for _, e := range typ.Enumerators() {
			if v, ok := want.Constants[e.Name]; !ok || int32(v) != int32(e.Value) {
				t.Errorf("enum %s: %s = %d, want %d, %v", name, e.Name, e.Value, v, ok)
			}
		}
	}
}
