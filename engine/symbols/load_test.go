package symbols

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"kdap/engine/pe"
)

// loadModule loads a user program of the reference store as if its image lay
// in memory.
func loadModule(t *testing.T, f *Finder, image func() (*pe.Image, error), name string) *Loaded {
	t.Helper()
	l, err := f.Load(context.Background(), Module{Name: name, Image: image}, DefaultOptions)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLoad(t *testing.T) {
	shared := sharedDir(t)
	found, _ := filepath.Glob(filepath.Join(shared, "ntdll.dll", "*", "ntdll.dll"))
	if len(found) == 0 {
		t.Skip("no ntdll.dll in the reference symbols")
	}
	im, err := pe.Open(found[0])
	if err != nil {
		t.Fatal(err)
	}
	here := func() (*pe.Image, error) { return im, nil }
	gone := func() (*pe.Image, error) { return nil, errors.New("page not in the dump") }

	f := &Finder{Path: ParsePath(shared)}
	l := loadModule(t, f, here, `C:\Windows\System32\ntdll.dll`)
	if l.Table.Rank != PrivatePDB || len(l.Notes) != 0 {
		t.Errorf("rank %s, notes %q", l.Table.Rank, l.Notes)
	}
	if other := loadModule(t, f, here, `C:\Windows\System32\ntdll.dll`); other.Table != l.Table {
		t.Error("two processes do not share the table")
	}

	// No symbol file: the export table, and why.
	l = loadModule(t, &Finder{Path: ParsePath(t.TempDir())}, here, "ntdll.dll")
	if l.Table.Rank != ExportSymbols || len(l.Notes) != 1 || !strings.Contains(l.Notes[0], "not found in 1 of 1 stores") {
		t.Errorf("rank %s, notes %q", l.Table.Rank, l.Notes)
	}

	// The header page is not in the dump: the image file tells.
	m := Module{Name: "ntdll.dll", Stamp: im.TimeDateStamp, Size: im.SizeOfImage, Image: gone}
	l, err = f.Load(context.Background(), m, DefaultOptions)
	if err != nil || l.Table.Rank != PrivatePDB || l.ImageFile != found[0] || len(l.Notes) != 1 {
		t.Errorf("rank %s, image %q, notes %q, %v", l.Table.Rank, l.ImageFile, l.Notes, err)
	}

	// No symbol file and no export directory in memory: the image file has it.
	dir := t.TempDir()
	copyTo(t, found[0], dir, "ntdll.dll")
	l, err = (&Finder{Images: ParsePath(dir)}).Load(context.Background(), m, DefaultOptions)
	if err != nil || l.Table.Rank != ExportSymbols || l.ImageFile != filepath.Join(dir, "ntdll.dll") {
		t.Errorf("rank %s, image %q, notes %q, %v", l.Table.Rank, l.ImageFile, l.Notes, err)
	}

	// Nothing at all.
	l, err = (&Finder{}).Load(context.Background(), m, DefaultOptions)
	if err != nil || l.Table.Rank != NoSymbols || len(l.Notes) != 1 || !strings.Contains(l.Notes[0], "no RSDS record: page not in the dump") {
		t.Errorf("rank %s, notes %q, %v", l.Table.Rank, l.Notes, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.Load(ctx, m, DefaultOptions); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
