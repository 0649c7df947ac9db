package dumptest_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kdap/engine/dumptest"
	"kdap/engine/dumptest/demo"
)

// TestDemoIsCommitted compares what is packed, not how: compressors change.
func TestDemoIsCommitted(t *testing.T) {
	got, err := demo.Dump()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, dumptest.Demo().Bytes(dumptest.Full)) {
		t.Error("demo.dmp.zst is not what the generator makes: go generate ./engine/dumptest/gendemo")
	}
	_, dir, err := demo.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := dumptest.SymbolFiles(dumptest.PDBs | dumptest.ISF | dumptest.Images)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil || !bytes.Equal(b, want[name]) {
			t.Errorf("symbols.zip: %s is not what the generator makes (%v)", name, err)
		}
	}
}
