package dumptest

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/ulikunitz/xz"
)

// isfSymbol is one entry of a symbol table.
type isfSymbol struct {
	Address uint64 `json:"address"`
}

// ISFName is the file name under which a symbol path holds the kernel's table.
func (im *Image) ISFName() string {
	return fmt.Sprintf("%s-%X.json.xz", im.PDB.GUIDHex(), im.PDB.Age)
}

// ISF renders the made-up kernel's types and the image's symbols as a table
// in Volatility 3's format, version 6.1.0.
func (im *Image) ISF() []byte { return im.isf(layouts[""]) }

func (im *Image) isf(layouts layoutSet) []byte {
	base := map[string]any{
		"pointer": map[string]any{"endian": "little", "kind": "int", "signed": false, "size": 8},
		"int":     map[string]any{"endian": "little", "kind": "int", "signed": true, "size": 4},
	}
	for _, t := range baseTypes {
		kind := "int"
		switch t.isf {
		case "void":
			kind = "void"
		case "char", "unsigned char":
			kind = "char"
		}
		base[t.isf] = map[string]any{"endian": "little", "kind": kind, "signed": t.signed, "size": t.size}
	}
	users, enums := map[string]any{}, map[string]any{}
	for n, t := range layouts {
		if t.opaque {
			continue
		}
		if t.kind == kindEnum {
			c := map[string]int64{}
			for _, v := range t.consts {
				c[v.name] = v.value
			}
			enums[n] = map[string]any{"base": "int", "constants": c, "size": 4}
			continue
		}
		fields, size := map[string]any{}, t.size
		if t.cut != "" {
			size = layouts.offset(n, t.cut)
		}
		for _, f := range t.fields {
			if f.off >= size {
				continue
			}
			fields[f.name] = map[string]any{"offset": f.off, "type": isfType(layouts, f)}
		}
		users[n] = map[string]any{"fields": fields, "kind": cxxKeyword(t), "size": size}
	}
	symbols := map[string]isfSymbol{}
	for _, s := range im.Symbols {
		symbols[s.Name] = isfSymbol{uint64(s.RVA)}
	}
	doc := map[string]any{
		"metadata": map[string]any{
			"format":   "6.1.0",
			"producer": map[string]any{"datetime": "2024-01-01T00:00:00", "name": "kdap dumptest", "version": "1.0.0"},
			"windows": map[string]any{"pdb": map[string]any{
				"GUID": im.PDB.GUIDHex(), "age": im.PDB.Age, "database": im.PDB.Base(), "machine_type": 0x8664,
			}},
		},
		"base_types": base, "user_types": users, "enums": enums, "symbols": symbols,
	}
	text, err := json.Marshal(doc) // sorts keys: the same bytes every time
	if err != nil {
		panic(err)
	}
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(text); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// isfType renders a field's type from the inside out.
func isfType(layouts layoutSet, f layoutField) map[string]any {
	var t map[string]any
	if b, ok := baseTypes[f.ref.base]; ok {
		t = map[string]any{"kind": "base", "name": b.isf}
	} else {
		kind := "struct"
		if d := layouts[f.ref.base]; d != nil {
			kind = [...]string{"struct", "union", "enum"}[d.kind]
		}
		t = map[string]any{"kind": kind, "name": f.ref.base}
	}
	for range f.ref.ptr {
		t = map[string]any{"kind": "pointer", "subtype": t}
	}
	if f.ref.count > 0 {
		t = map[string]any{"kind": "array", "count": f.ref.count, "subtype": t}
	}
	if f.bits > 0 {
		t = map[string]any{"kind": "bitfield", "bit_position": f.bit, "bit_length": f.bits, "type": t}
	}
	return t
}
