package symbols

import (
	"os"
	"path/filepath"
	"testing"
)

// sharedDir returns the folder of the reference symbols.
func sharedDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("KDAP_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	dir, err := filepath.Abs(filepath.Join(dir, "symbols"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no reference symbols: KDAP_SHARED names no folder with symbols")
	}
	return dir
}

// copyTo copies a file of the reference symbols into a new tree.
func copyTo(t testing.TB, from string, to ...string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeTo(t, b, to...)
}

func writeTo(t testing.TB, b []byte, to ...string) {
	t.Helper()
	path := filepath.Join(to...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
