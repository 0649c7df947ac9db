package engine

import (
	"fmt"
	"os"
	"path/filepath"

	"kdap/engine/symbols"
)

// cacheDir returns the folder for unpacked dumps, indexes and symbols. It is
// made when something is stored in it.
func cacheDir(given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder: %w; set one with --cache", err)
	}
	return filepath.Join(dir, "kdap"), nil
}

func newFinder(o Options, cache string) *symbols.Finder {
	return &symbols.Finder{
		Path:     symbols.SymbolPath(o.SymbolPath),
		Images:   symbols.ImagePath(o.ImagePath),
		CacheDir: cache,
	}
}
