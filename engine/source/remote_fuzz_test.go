package source

import (
	"net/url"
	"path/filepath"
	"testing"

	"kdap/engine/pdb"
)

// FuzzCachePath: whatever a symbol file names, the file stays in the cache.
func FuzzCachePath(f *testing.F) {
	f.Add(`C:\src\a.c`, "https://example.com/a.c", "sum")
	f.Add(`..\..\.ssh\authorized_keys`, "https://example.com/../..", "")
	f.Add("a/..", "http://x/%2e%2e%2f", "/../")
	f.Fuzz(func(t *testing.T, name, address, sum string) {
		u, err := url.Parse(address)
		if err != nil {
			return
		}
		const cache = "/cache"
		path, err := cachePath(cache, u, pdb.SourceFile{Name: name, Hash: sum})
		if err != nil {
			return
		}
		rel, err := filepath.Rel(filepath.Join(cache, "sources"), path)
		if err != nil || !filepath.IsLocal(rel) || filepath.Dir(filepath.Dir(rel)) != "." {
			t.Fatalf("%q leads to %s", name, path)
		}
	})
}
