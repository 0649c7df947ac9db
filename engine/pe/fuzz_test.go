package pe

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"kdap/internal/truth"
)

// FuzzImage reads everything there is in an image. Errors must say where, names
// must be bounded, and exports must be in order, so that a search among them ends
// at the right place.
func FuzzImage(f *testing.F) {
	for _, name := range []string{"xframe_eh_dll.dll", "nested_collided.exe"} {
		path := filepath.Join(os.Getenv("KDAP_SHARED"), "symbols", "samples", "seh-x64", name)
		if os.Getenv("KDAP_SHARED") == "" {
			path = filepath.Join(truth.Root(f), "..", "shared", "symbols", "samples", "seh-x64", name)
		}
		if b, err := os.ReadFile(path); err == nil {
			f.Add(b)
			f.Add(b[:len(b)/2])
		}
	}
	f.Add([]byte("MZ"))
	typed := func(t *testing.T, err error) {
		var fe *FormatError
		if err != nil && !errors.As(err, &fe) && !errors.Is(err, ErrNotImage) && !errors.Is(err, ErrNoDirectory) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("error without a place: %v", err)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		im, err := FromBytes(b)
		typed(t, err)
		if err != nil {
			return
		}
		if cv, err := im.CodeView(); err == nil && len(cv.Name) > maxName {
			t.Fatal("name of the PDB is too long")
		} else {
			typed(t, err)
		}
		_, err = im.Imports()
		typed(t, err)
		_, err = im.Version()
		typed(t, err)
		exports, err := im.Exports()
		typed(t, err)
		if exports == nil {
			return
		}
		for i, e := range exports.Exports {
			if i > 0 && e.RVA < exports.Exports[i-1].RVA {
				t.Fatal("exports are not in order")
			}
			if near, ok := exports.Nearest(e.RVA); e.Forwarder == "" && (!ok || near.RVA != e.RVA) {
				t.Fatalf("nearest to %#x: %+v", e.RVA, near)
			}
		}
	})
}

// FuzzVersion decodes version resources. What it returns cannot be larger than
// what it was given.
func FuzzVersion(f *testing.F) {
	f.Add(versionResource())
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseVersion(b, 0)
		var fe *FormatError
		if err != nil && !errors.As(err, &fe) {
			t.Fatal(err)
		}
		if v != nil && (len(v.Strings) > len(b) || len(v.Translations) > len(b)) {
			t.Fatalf("%d strings, %d translations out of %d bytes", len(v.Strings), len(v.Translations), len(b))
		}
	})
}
