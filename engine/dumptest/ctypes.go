package dumptest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// CxxTypes renders the made-up kernel's types as C++, for the compiler that
// makes its PDB. Each type ends with assertions that the compiler lays it out
// as this package does.
func CxxTypes() string {
	layouts := layouts[""]
	var b strings.Builder
	b.WriteString("// Made by engine/dumptest/gentypes from engine/dumptest/layout. Do not edit.\n")
	b.WriteString("#pragma once\n")
	names := slices.Sorted(maps.Keys(layouts))
	for _, n := range forwardNames() {
		fmt.Fprintf(&b, "%s;\n", n)
	}
	seen := map[string]bool{}
	for _, n := range names {
		if !strings.HasPrefix(n, "__anonymous_") {
			cxxType(&b, layouts[n], seen)
		}
	}
	for _, n := range names {
		if strings.HasPrefix(n, "__anonymous_") {
			continue
		}
		if layouts[n].kind == kindEnum {
			continue
		}
		fmt.Fprintf(&b, "static_assert(sizeof(%s) == %d, \"%s\");\n", n, layouts[n].size, n)
		for _, f := range layouts[n].fields {
			if f.bits == 0 {
				fmt.Fprintf(&b, "static_assert(__builtin_offsetof(%s, %s) == %d, \"%s\");\n", n, f.name, f.off, n)
			}
		}
	}
	return b.String()
}

// forwardNames lists the declarations that pointers need.
func forwardNames() []string {
	layouts := layouts[""]
	set := map[string]bool{}
	for _, t := range layouts {
		for _, f := range t.fields {
			if _, base := baseTypes[f.ref.base]; f.ref.ptr > 0 && !base {
				kw := "struct "
				if d := layouts[f.ref.base]; d != nil && d.kind == kindUnion {
					kw = "union "
				}
				set[kw+f.ref.base] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func cxxType(b *strings.Builder, t *layoutType, seen map[string]bool) {
	if seen[t.name] {
		return
	}
	seen[t.name] = true
	if t.kind == kindEnum {
		fmt.Fprintf(b, "enum %s : int {\n", t.name)
		for _, c := range t.consts {
			fmt.Fprintf(b, "  %s = %d,\n", c.name, c.value)
		}
		b.WriteString("};\n")
		return
	}
	cxxNeeds(b, t, seen)
	attr := ""
	if t.name == "_M128A" {
		attr = "alignas(16) "
	}
	if t.pack > 0 {
		fmt.Fprintf(b, "#pragma pack(push, %d)\n", t.pack)
	}
	fmt.Fprintf(b, "%s %s%s {\n", cxxKeyword(t), attr, t.name)
	cxxBody(b, t)
	b.WriteString("};\n")
	if t.pack > 0 {
		b.WriteString("#pragma pack(pop)\n")
	}
}

func cxxKeyword(t *layoutType) string {
	if t.kind == kindUnion {
		return "union"
	}
	return "struct"
}

// cxxNeeds renders what a type holds by value, before it.
func cxxNeeds(b *strings.Builder, t *layoutType, seen map[string]bool) {
	for _, f := range t.fields {
		d := layouts[""][f.ref.base]
		switch {
		case d == nil || f.ref.ptr > 0:
		case strings.HasPrefix(d.name, "__anonymous_"):
			cxxNeeds(b, d, seen)
		default:
			cxxType(b, d, seen)
		}
	}
}

func cxxBody(b *strings.Builder, t *layoutType) {
	at := map[string]int{}
	for _, f := range t.fields {
		at[f.name] = f.off
	}
	var open []string
	end := 0 // only followed at the outer level, for "@"
	for _, line := range t.source {
		switch {
		case line == "{":
			b.WriteString("  union {\n")
			open = append(open, line)
		case line == "(":
			b.WriteString("  struct {\n")
			open = append(open, line)
		case line == "}" || line == ")":
			b.WriteString("  };\n")
			open = open[:len(open)-1]
		case line[0] == '@':
			var to int
			_, _ = fmt.Sscanf(line, "@0x%x", &to)
			for ; end < to; end++ {
				b.WriteString("  unsigned char : 8;\n")
			}
		default:
			name, ref, _ := strings.Cut(line, " ")
			r, bits, _ := parseRef(ref)
			cxxField(b, name, r, bits)
			n, _, _ := layouts[""].sizeOf(r)
			end = max(end, at[name]+n)
		}
	}
}

func cxxField(b *strings.Builder, name string, r typeRef, bits int) {
	base := baseTypes[r.base].cc
	if d := layouts[""][r.base]; base == "" {
		if d != nil && strings.HasPrefix(d.name, "__anonymous_") {
			fmt.Fprintf(b, "  %s {\n", cxxKeyword(d))
			cxxBody(b, d)
			fmt.Fprintf(b, "  } %s;\n", name)
			return
		}
		base = r.base
	}
	fmt.Fprintf(b, "  %s %s%s", base, strings.Repeat("*", r.ptr), name)
	if r.count > 0 {
		fmt.Fprintf(b, "[%d]", r.count)
	}
	if bits > 0 {
		fmt.Fprintf(b, " : %d", bits)
	}
	b.WriteString(";\n")
}
