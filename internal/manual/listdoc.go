package manual

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"kdap/engine/list"
)

// The comments around what is made in list.md.
const (
	fieldsBegin = "<!-- fields: made by docs/gen -->\n"
	fieldsEnd   = "<!-- end -->\n"
)

// ListFile makes the page about "kdap list" anew. The fields come from the
// values' types, their meaning from the comments in the package's source.
func ListFile(path, source string) (File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return File{}, err
	}
	f := File{Path: path, Old: strings.ReplaceAll(string(b), "\r\n", "\n")}
	before, rest, ok := strings.Cut(f.Old, fieldsBegin)
	_, after, ok2 := strings.Cut(rest, fieldsEnd)
	if !ok || !ok2 {
		return File{}, fmt.Errorf("%s: no place for the fields", path)
	}
	notes, err := fieldNotes(source)
	if err != nil {
		return File{}, err
	}
	f.New = before + fieldsBegin + fieldsText(notes) + fieldsEnd + after
	return f, nil
}

// fieldNotes returns the comments of a package's struct fields by "Type.Field".
func fieldNotes(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	notes := map[string]string{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if st, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range st.Fields.List {
					text := strings.Join(strings.Fields(field.Doc.Text()+" "+field.Comment.Text()), " ")
					for _, name := range field.Names {
						notes[spec.Name.Name+"."+name.Name] = text
					}
				}
			}
			return true
		})
	}
	return notes, nil
}

func fieldsText(notes map[string]string) string {
	var b strings.Builder
	parts := map[reflect.Type]bool{}
	for _, k := range list.Kinds() {
		fmt.Fprintf(&b, "\n### %s\n\n%s.\n\n", k.Name, upper(k.Short))
		table(&b, k.Entry(), notes, parts)
	}
	done := map[reflect.Type]bool{}
	for len(done) < len(parts) {
		for _, t := range slices.SortedFunc(maps.Keys(parts), func(a, b reflect.Type) int { return strings.Compare(a.Name(), b.Name()) }) {
			if !done[t] {
				done[t] = true
				fmt.Fprintf(&b, "\n### Part: %s\n\n", t.Name())
				table(&b, t, notes, parts)
			}
		}
	}
	return b.String() + "\n"
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// table writes a type's fields and notes the types of parts it meets.
func table(b *strings.Builder, t reflect.Type, notes map[string]string, parts map[reflect.Type]bool) {
	b.WriteString("| Field | Value | |\n|---|---|---|\n")
	for _, f := range reflect.VisibleFields(t) {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "-" || tag == "" || !f.IsExported() {
			continue
		}
		owner := t
		for _, i := range f.Index[:len(f.Index)-1] { // of an embedded struct
			owner = deref(owner.Field(i).Type)
		}
		note := notes[owner.Name()+"."+f.Name]
		if !strings.Contains(options, "omit") {
			note = strings.TrimPrefix(note+"; always there", "; ")
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", tag, jsonType(f.Type, parts), cell(note))
	}
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

var (
	hexType        = reflect.TypeFor[list.Hex]()
	timeType       = reflect.TypeFor[list.Time]()
	unreadableType = reflect.TypeFor[list.Unreadable]()
)

// jsonType says what a value is in JSON.
func jsonType(t reflect.Type, parts map[reflect.Type]bool) string {
	t = deref(t)
	switch t {
	case hexType:
		return "address"
	case timeType:
		return "time"
	case unreadableType:
		return "reasons by field"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Slice, reflect.Array:
		return "list of " + jsonType(t.Elem(), parts)
	case reflect.Map:
		return jsonType(t.Elem(), parts) + " by name"
	case reflect.Struct:
		if t.PkgPath() == hexType.PkgPath() {
			parts[t] = true
			return "[" + t.Name() + "](#part-" + strings.ToLower(t.Name()) + ")"
		}
		return "string"
	case reflect.Interface:
		return "any"
	}
	if t.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()) {
		return "string"
	}
	return "number"
}
