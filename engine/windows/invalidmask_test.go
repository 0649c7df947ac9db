package windows

import (
	"context"
	"testing"

	"kdap/engine/dump"
	"kdap/engine/dumptest"
	"kdap/engine/symbols"
	"kdap/internal/truth"
)

// The mask that the page tables show is the one the kernel's symbols name.
func TestInvalidMask(t *testing.T) {
	corners, folder := dumptest.WriteFile(t, dumptest.Corners())
	small, _ := dumptest.WriteFile(t, dumptest.Small())
	for _, c := range []struct {
		file, symbols string
		want          uint64
	}{
		{small, folder, 0},
		{corners, folder, 0x0000_1000_0000_0000},
		{truth.Dump(t, "lab19041"), truth.Path(t, "symbols"), 0},
	} {
		f, err := dump.Open(context.Background(), c.file, dump.Options{CacheDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		sys, err := Open(context.Background(), f, &symbols.Finder{Path: symbols.ParsePath(c.symbols), CacheDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if got := sys.paging.Load().Options().InvalidPteMask; got != c.want {
			t.Errorf("%s: the symbols say %#x, want %#x", c.file, got, c.want)
		}
		if got := sys.invalidMask(context.Background()); got != c.want {
			t.Errorf("%s: the page tables say %#x, want %#x", c.file, got, c.want)
		}
	}
}
