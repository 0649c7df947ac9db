package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kdap/internal/truth"
)

// layers are the packages in the order in which data flows: a package imports
// only what stands in a line above its own, or before it in the same line.
var layers = []string{
	// bytes
	"docs testdata engine/internal/spans engine/format engine/wildcard engine/errortext engine/bugcheck engine/whea engine/smbios engine/arch/flow",
	// files, pages and address spaces
	"engine/memory engine/dump engine/pe",
	// types and symbols
	"engine/types engine/pdb engine/isf engine/symbols/cab engine/symbols/undecorate engine/symbols engine/source engine/profile",
	// machines
	"engine/arch engine/arch/amd64 engine/arch/amd64/disasm engine/arch/x86 engine/arch/arm64",
	// the system in the dump
	"engine/windows engine/windows/heap engine/windows/registry engine/windows/machine engine/analyze engine",
	// typed values and expressions
	"engine/expr engine/typetext engine/model engine/inspect",
	// answers
	"engine/list engine/command engine/rpc",
	// an editor
	"session adapter",
	// the program, and what makes its manual, tables and fixtures
	"internal/truth engine/dumptest/demo engine/dumptest internal/manual . docs/gen engine/profile/check engine/dumptest/gendemo engine/dumptest/gentypes engine/dumptest/gensparse",
}

// noLayer are packages that stand apart: who else must not import them.
var noLayer = map[string][]string{
	"session":         {"adapter", "."},
	"adapter":         {"."},
	"engine/dumptest": {"engine/dumptest/gendemo", "engine/dumptest/gentypes", "engine/dumptest/gensparse"},
	"internal/truth":  {},
}

// TestDataFlowsOneWay holds the drawing of ARCHITECTURE.md against the code.
// Tests may import what they like.
func TestDataFlowsOneWay(t *testing.T) {
	rank := map[string]int{}
	for _, line := range layers {
		for _, p := range strings.Fields(line) {
			rank[p] = len(rank) + 1
		}
	}
	seen := map[string]bool{}
	for file, imports := range imported(t) {
		from := path.Dir(file)
		seen[from] = true
		if rank[from] == 0 {
			t.Errorf("package %s has no place in the layers", from)
		}
		for _, to := range imports {
			if rank[to] >= rank[from] {
				t.Errorf("%s imports %s, which comes after %s", file, to, from)
			}
			if only, ok := noLayer[to]; ok && !slices.Contains(only, from) {
				t.Errorf("%s imports %s, which is not for %s", file, to, from)
			}
		}
	}
	for p := range rank {
		if !seen[p] {
			t.Errorf("there is no package %s", p)
		}
	}
}

// imported returns the packages of this module that each of its files imports.
func imported(t *testing.T) map[string][]string {
	t.Helper()
	root := truth.Root(t)
	all := map[string][]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() != "." && strings.HasPrefix(d.Name(), ".") && name != root):
			return fs.SkipDir
		case d.IsDir(), !strings.HasSuffix(name, ".go"), strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		file, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		file = filepath.ToSlash(file)
		all[file] = nil
		for _, i := range f.Imports {
			to, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if to, ok := strings.CutPrefix(to, "kdap/"); ok {
				all[file] = append(all[file], to)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
