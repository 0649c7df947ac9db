package profile

import (
	"fmt"
	"strings"

	"kdap/engine/types"
)

// A Difference is a row of the table that a symbol file contradicts.
type Difference struct {
	Row   string // "_EPROCESS.Peb"
	Table string // what the table has
	File  string // what the symbol file has
}

func (d Difference) String() string {
	return fmt.Sprintf("%-46s table %-12s file %s", d.Row, d.Table, d.File)
}

// Compare compares the profile with the types of a kernel's symbol file: every
// size, offset, bit field and width. What the table does not tell about the
// family is no difference, except that a type or a member exists: those are
// returned as untold. Rows is the number of those that were compared.
func (p *Profile) Compare(src types.Source) (wrong, untold []Difference, rows int) {
	t, err := table()
	if err != nil {
		return []Difference{{Row: "facts.txt", Table: err.Error()}}, nil, 0
	}
	told := map[string]bool{}
	for _, r := range t.rows {
		if r.values[p.family.column].known {
			told[r.name()] = true
		}
	}
	for _, r := range t.rows {
		v := r.values[p.family.column]
		kind, file, found := fileFact(src, r)
		if !v.known {
			if found && !told[r.name()] {
				told[r.name()] = true // once, whatever kinds the table lists
				untold = append(untold, Difference{r.name(), "-", kind + " " + file.String()})
			}
			continue
		}
		rows++
		switch {
		case !found:
			wrong = append(wrong, Difference{r.name(), v.String(), "-"})
		case r.member == "" && r.kind == structKind && v.fits(file.offset):
		case r.kind == kind && v.String() == file.String():
		default:
			wrong = append(wrong, Difference{r.name(), r.kind + " " + v.String(), kind + " " + file.String()})
		}
	}
	return wrong, untold, rows
}

// Column returns the rows of the table with what a symbol file has for them, in
// the form of the table: how a family's facts are made.
func Column(src types.Source) []string {
	t, err := table()
	if err != nil {
		return nil
	}
	var out []string
	done := map[string]bool{}
	for _, r := range t.rows {
		kind, v, found := fileFact(src, r)
		if done[r.name()] {
			continue
		}
		done[r.name()] = true
		if !found {
			kind = r.kind
		}
		out = append(out, fmt.Sprintf("%-46s %-31s %s", r.name(), kind, v))
	}
	return out
}

// fileFact returns what a symbol file has for a row.
func fileFact(src types.Source, r row) (kind string, v value, found bool) {
	typ, ok := fileType(src, r.typ)
	if !ok {
		return "", value{}, false
	}
	if r.member == "" {
		if r.kind == enumKind {
			n := 0
			for _, e := range typ.Enumerators() {
				if !strings.HasPrefix(e.Name, "Maximum") {
					n++
				}
			}
			return enumKind, value{known: true, offset: uint64(n)}, true
		}
		return structKind, value{known: true, offset: typ.Size}, true
	}
	f := typ.Field(r.member)
	if f == nil || f.Type == nil {
		return "", value{}, false
	}
	v = value{known: true, offset: f.Offset}
	if f.Type.Kind == types.BitField {
		v.pos, v.len = f.Type.BitPos, f.Type.BitLen
	}
	return fileKind(f.Type, r), v, true
}

// fileType returns a type of a symbol file; "_A::b" is the unnamed type of the
// member b of _A.
func fileType(src types.Source, name string) (*types.Type, bool) {
	outer, member, nested := strings.Cut(name, "::")
	t, ok := src.Type(outer)
	if !ok || !nested {
		return t, ok
	}
	f := t.Field(member)
	if f == nil || f.Type == nil || !f.Type.Kind.IsAggregate() {
		return nil, false
	}
	return f.Type, true
}

// fileKind spells a member's type as the table does. Aggregates that the table
// does not name are bytes, or unnamed types of the row.
func fileKind(t *types.Type, r row) string {
	switch t.Kind {
	case types.BitField:
		return fmt.Sprintf("bits%d", 8*t.Size)
	case types.Pointer:
		if e := t.Elem(); e != nil && e.Kind.IsAggregate() && inTable(e.Name) {
			return "*" + e.Name
		}
		return "*"
	case types.Array:
		e := t.Elem()
		if e == nil {
			return "?"
		}
		return fmt.Sprintf("%s[%d]", fileKind(e, r), t.Count)
	case types.Enum:
		return fmt.Sprintf("u%d", 8*t.Size)
	case types.Int, types.Char, types.HResult:
		return fmt.Sprintf("i%d", 8*t.Size)
	case types.Uint, types.UChar, types.WChar, types.Bool:
		return fmt.Sprintf("u%d", 8*t.Size)
	}
	if t.Kind.IsAggregate() {
		if inTable(t.Name) {
			return t.Name
		}
		if nested := r.typ + "::" + r.member; r.kind == nested {
			return nested
		}
		return fmt.Sprintf("bytes[%d]", t.Size)
	}
	return t.String()
}

// inTable reports whether the table has a type of this name.
func inTable(name string) bool {
	t, err := table()
	if err != nil {
		return false
	}
	_, ok := t.named[name]
	return ok
}
