package pdb

import (
	"os"
	"path/filepath"
	"testing"

	"kdap/internal/truth"
)

// sharedDir returns the folder of symbol files, or skips the test.
func sharedDir(t testing.TB) string {
	t.Helper()
	return filepath.Join(truth.Dir(t), "symbols")
}

const kernelKey = "5278AFF86C341677D7D7835C85B7B844"

func kernelPath(t testing.TB) string {
	return filepath.Join(sharedDir(t), "ntkrnlmp.pdb", kernelKey+"1", "ntkrnlmp.pdb")
}

func openTest(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// allPDBs returns every PDB of the test data, the damaged one too.
func allPDBs(t testing.TB) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(sharedDir(t), func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(p) == ".pdb" {
			out = append(out, p)
		}
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("no PDBs in %s: %v", sharedDir(t), err)
	}
	return out
}
