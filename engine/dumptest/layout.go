package dumptest

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed layout/*.types
var layoutFiles embed.FS

// A typeKind tells structures, unions and enumerations apart.
type typeKind int

const (
	kindStruct typeKind = iota
	kindUnion
	kindEnum
)

// A layoutType is one type of the made-up kernel. fields is flat, as symbol
// files list the members of unnamed unions; source keeps the nesting for the
// C++ rendering.
type layoutType struct {
	name   string
	kind   typeKind
	size   int
	align  int
	pack   int  // most alignment of a member, 0: its own
	opaque bool // public symbols do not describe it
	fields []layoutField
	source []string
	consts []layoutConst

	atLeast int    // bytes that a type takes, whatever its members need
	cut     string // the first member that symbols do not tell any more

	done, open bool
}

// A layoutField is one member with its final place.
type layoutField struct {
	name string
	off  int
	ref  typeRef
	bit  int // position of a bit field
	bits int // 0: no bit field
}

type layoutConst struct {
	name  string
	value int64
}

// A typeRef is a type as a field names it: pointers around a base, then
// perhaps an array of it.
type typeRef struct {
	ptr   int
	base  string
	count int // 0: no array
}

// baseTypes maps the short names of the layout files to size and the names
// that symbol files use.
var baseTypes = map[string]struct {
	size    int
	isf, cc string
	signed  bool
}{
	"u8":    {1, "unsigned char", "unsigned char", false},
	"char":  {1, "char", "char", true},
	"u16":   {2, "unsigned short", "unsigned short", false},
	"i16":   {2, "short", "short", true},
	"u32":   {4, "unsigned long", "unsigned long", false},
	"i32":   {4, "long", "long", true},
	"u64":   {8, "unsigned long long", "unsigned long long", false},
	"i64":   {8, "long long", "long long", true},
	"wchar": {2, "wchar", "wchar_t", true},
	"void":  {0, "void", "void", true},
}

// A layoutSet is every type of one kernel.
type layoutSet map[string]*layoutType

// layouts are the types of the kernel that has a PDB, and those of its
// relatives that are known by an ISF table only.
var layouts = map[string]layoutSet{
	"": mustLayouts("", 0), "older": mustLayouts("older", 7), "newer": mustLayouts("newer", 11), "tutorial": mustLayouts("tutorial", 0),
}

// pair are the relatives of mutate.go, made when a test wants them.
var pair = map[string]func() layoutSet{
	mutated: sync.OnceValue(func() layoutSet { return pairLayouts(mutated) }),
	roomy:   sync.OnceValue(func() layoutSet { return pairLayouts(roomy) }),
}

// layoutsOf returns the types of a relative.
func layoutsOf(relative string) layoutSet {
	if of := pair[relative]; of != nil {
		return of()
	}
	return layouts[relative]
}

// mustLayouts reads the types; a relative's file changes some, and its seed
// gives the larger structures another order.
func mustLayouts(relative string, seed uint64) layoutSet {
	all := layoutSet{}
	readLayouts(all, "base", "kernel", "memory", "registry")
	if relative != "" {
		readLayouts(all, relative)
	}
	if seed != 0 {
		for _, n := range []string{"_EPROCESS", "_KPROCESS", "_ETHREAD", "_KTHREAD", "_KPRCB", "_MMVAD", "_FILE_OBJECT", "_OBJECT_TYPE", "_HANDLE_TABLE"} {
			if all[n].cut == "" {
				all[n].shuffle(seed)
			}
		}
	}
	all.placeAll()
	return all
}

// readLayouts parses layout files.
func readLayouts(all layoutSet, files ...string) {
	for _, name := range files {
		b, err := layoutFiles.ReadFile("layout/" + name + ".types")
		if err != nil {
			panic(err)
		}
		if err := parseLayout(string(b), all); err != nil {
			panic(fmt.Sprintf("%s.types: %v", name, err))
		}
	}
}

// placeAll gives every type its offsets.
func (all layoutSet) placeAll() {
	for _, n := range slices.Sorted(maps.Keys(all)) {
		if err := all.place(all[n]); err != nil {
			panic(fmt.Sprintf("type %s: %v", n, err))
		}
	}
}

// shuffle gives the fields behind the first another order; what stands in
// brackets stays together.
func (t *layoutType) shuffle(seed uint64) {
	var items [][]string
	depth := 0
	for _, line := range t.source {
		if depth == 0 {
			items = append(items, nil)
		}
		items[len(items)-1] = append(items[len(items)-1], line)
		switch line {
		case "{", "(":
			depth++
		case "}", ")":
			depth--
		}
	}
	for i := len(items) - 1; i > 1; i-- {
		seed = seed*6364136223846793005 + 1442695040888963407
		k := 1 + int(seed>>33)%i
		items[i], items[k] = items[k], items[i]
	}
	t.source = nil
	for _, it := range items {
		t.source = append(t.source, it...)
	}
}

// edit changes a type by a line of an "edit" block: "-name" takes a field out,
// "name type" changes its type; more fields follow after semicolons.
func (t *layoutType) edit(line string) error {
	name, _, _ := strings.Cut(line, " ")
	gone := strings.HasPrefix(name, "-")
	name = strings.TrimPrefix(name, "-")
	for i, l := range t.source {
		if first, _, _ := strings.Cut(l, " "); first != name {
			continue
		}
		var with []string
		if !gone {
			for _, f := range strings.Split(line, ";") {
				with = append(with, strings.TrimSpace(f))
			}
		}
		t.source = slices.Replace(t.source, i, i+1, with...)
		return nil
	}
	return fmt.Errorf("no field %s in %s", name, t.name)
}

// parseLayout splits a layout file into types; place gives them offsets.
func parseLayout(text string, all layoutSet) error {
	var t *layoutType
	editing := false
	for i, line := range strings.Split(text, "\n") {
		if k := strings.Index(line, "#"); k >= 0 {
			line = line[:k]
		}
		f := strings.Fields(line)
		if len(f) == 0 {
			t = nil
			continue
		}
		switch {
		case t == nil && f[0] == "cut" && len(f) == 3:
			all[f[1]].cut = f[2]
		case t == nil && f[0] == "edit":
			if t = all[f[1]]; t == nil {
				return fmt.Errorf("line %d: no type %s to edit", i+1, f[1])
			}
			editing = true
		case t == nil:
			editing = false
			kind, ok := map[string]typeKind{"struct": kindStruct, "union": kindUnion, "enum": kindEnum}[f[0]]
			if !ok || len(f) < 2 {
				return fmt.Errorf("line %d: %q starts no type", i+1, line)
			}
			t = &layoutType{name: f[1], kind: kind, align: 1}
			if len(f) == 4 && f[2] == "align" {
				t.align, _ = strconv.Atoi(f[3])
			}
			if len(f) == 4 && f[2] == "pack" {
				t.pack, _ = strconv.Atoi(f[3])
			}
			t.opaque = len(f) == 3 && f[2] == "opaque"
			all[t.name] = t
		case editing:
			if err := t.edit(strings.Join(f, " ")); err != nil {
				return fmt.Errorf("line %d: %w", i+1, err)
			}
		case t.kind == kindEnum:
			next := int64(0)
			for _, c := range f {
				name, v, has := strings.Cut(c, "=")
				if has {
					next, _ = strconv.ParseInt(v, 0, 64)
				}
				t.consts = append(t.consts, layoutConst{name, next})
				next++
			}
		default:
			t.source = append(t.source, strings.Join(f, " "))
		}
	}
	return nil
}

func parseRef(s string) (r typeRef, bits int, err error) {
	if base, b, ok := strings.Cut(s, ":"); ok {
		bits, err = strconv.Atoi(b)
		s = base
	}
	if base, n, ok := strings.Cut(s, "["); ok {
		r.count, err = strconv.Atoi(strings.TrimSuffix(n, "]"))
		s = base
	}
	r.base = strings.TrimLeft(s, "*")
	r.ptr = len(s) - len(r.base)
	return r, bits, err
}

// sizeOf returns size and alignment of one element and of the whole.
func (all layoutSet) sizeOf(r typeRef) (size, align int, err error) {
	switch b, ok := baseTypes[r.base]; {
	case r.ptr > 0:
		size, align = 8, 8
	case ok:
		size, align = b.size, b.size
	default:
		t := all[r.base]
		if t == nil {
			return 0, 0, fmt.Errorf("no type %q", r.base)
		}
		if err := all.place(t); err != nil {
			return 0, 0, err
		}
		size, align = t.size, t.align
	}
	if r.count > 0 {
		size *= r.count
	}
	return size, align, nil
}

// place computes a type's offsets by the rules of the Microsoft ABI.
func (all layoutSet) place(t *layoutType) error {
	switch {
	case t.done:
		return nil
	case t.open:
		return fmt.Errorf("%s holds itself", t.name)
	case t.kind == kindEnum:
		t.size, t.align, t.done = 4, 4, true
		return nil
	}
	t.open = true
	rest := t.source
	fields, size, align, err := all.placeBlock(&rest, t.kind == kindUnion, t.pack)
	if err != nil {
		return err
	}
	t.align = max(t.align, align)
	t.fields, t.size, t.done = fields, roundUp(max(size, t.atLeast), t.align), true
	return nil
}

// placeBlock lays out one nesting level, up to its closing bracket, from
// offset 0; the caller shifts it.
func (all layoutSet) placeBlock(lines *[]string, union bool, pack int) (fields []layoutField, size, align int, err error) {
	align = 1
	off, bitBase, bitSize, bitPos := 0, 0, 0, 0
	for len(*lines) > 0 {
		line := (*lines)[0]
		*lines = (*lines)[1:]
		switch {
		case line == "}" || line == ")":
			return fields, roundUp(size, align), align, nil
		case line == "{" || line == "(":
			inner, n, a, err := all.placeBlock(lines, line == "{", pack)
			if err != nil {
				return nil, 0, 0, err
			}
			bitSize = 0
			if !union {
				off = roundUp(off, a)
			}
			for _, f := range inner {
				f.off += off
				fields = append(fields, f)
			}
			size, align = max(size, off+n), max(align, a)
			if !union {
				off += n
			}
			continue
		case line[0] == '@':
			to, err := strconv.ParseInt(line[1:], 0, 32)
			if err != nil || int(to) < off {
				return nil, 0, 0, fmt.Errorf("%s at %#x", line, off)
			}
			off, bitSize = int(to), 0
			size = max(size, off)
			continue
		}
		name, ref, _ := strings.Cut(line, " ")
		r, bits, err := parseRef(ref)
		if err != nil {
			return nil, 0, 0, fmt.Errorf("%s: %w", line, err)
		}
		n, a, err := all.sizeOf(r)
		if err != nil {
			return nil, 0, 0, fmt.Errorf("%s: %w", line, err)
		}
		if pack > 0 {
			a = min(a, pack)
		}
		align = max(align, a)
		switch {
		case union:
			fields = append(fields, layoutField{name: name, ref: r, bits: bits})
			size = max(size, n)
			continue
		case bits > 0 && bitSize == n && bitPos+bits <= 8*n:
			// Goes on in the unit that is open.
		case bits > 0:
			off = roundUp(off, a)
			bitBase, bitSize, bitPos = off, n, 0
			off += n
		default:
			off = roundUp(off, a)
			fields = append(fields, layoutField{name: name, off: off, ref: r})
			off, bitSize = off+n, 0
		}
		if bits > 0 {
			fields = append(fields, layoutField{name: name, off: bitBase, ref: r, bit: bitPos, bits: bits})
			bitPos += bits
		}
		size = max(size, off)
	}
	return fields, size, align, nil
}

func roundUp[T ~int | ~uint64 | ~uint32](n, a T) T {
	return (n + a - 1) / a * a
}

// find resolves a dotted path below a type. A wrong path is a mistake of this
// package or of a test, so it panics.
func (all layoutSet) find(typ, path string) (off int, f layoutField) {
	off, f, err := all.lookup(typ, path)
	if err != nil {
		panic("dumptest: " + err.Error())
	}
	return off, f
}

func (all layoutSet) lookup(typ, path string) (off int, f layoutField, err error) {
	t := all[typ]
	for i, part := range strings.Split(path, ".") {
		if i > 0 {
			t = all[f.ref.base]
		}
		if t == nil {
			return 0, f, fmt.Errorf("no type on the way to %s.%s", typ, path)
		}
		index := 0
		if p, n, ok := strings.Cut(part, "["); ok {
			part = p
			index, _ = strconv.Atoi(strings.TrimSuffix(n, "]"))
		}
		k := slices.IndexFunc(t.fields, func(f layoutField) bool { return f.name == part })
		if k < 0 {
			return 0, f, fmt.Errorf("no field %s in %s", part, t.name)
		}
		f = t.fields[k]
		off += f.off
		if index > 0 {
			one := f.ref
			one.count = 0
			n, _, _ := all.sizeOf(one)
			off += index * n
		}
	}
	return off, f, nil
}

func (all layoutSet) offset(typ, path string) int {
	off, _ := all.find(typ, path)
	return off
}

func (all layoutSet) size(typ string) int {
	t := all[typ]
	if t == nil {
		panic("dumptest: no type " + typ)
	}
	return t.size
}

func (all layoutSet) enum(enum, name string) uint64 {
	for _, c := range all[enum].consts {
		if c.name == name {
			return uint64(c.value)
		}
	}
	panic("dumptest: no " + name + " in " + enum)
}

// OffsetOf gives the offset of a field ("Tcb.State") in a type of the
// made-up kernel, for tests that damage a structure.
func OffsetOf(typ, path string) int { return layouts[""].offset(typ, path) }

// SizeOf gives the size of a type of the made-up kernel.
func SizeOf(typ string) int { return layouts[""].size(typ) }
