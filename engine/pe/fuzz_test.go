package pe

import (
	"encoding/binary"
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
	f.Add(smallImage())
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

// smallImage is an image of 1 KB with one of everything: a seed that mutates fast.
func smallImage() []byte {
	b := make([]byte, 0x400)
	u32 := func(at int, v ...uint32) {
		for i, w := range v {
			binary.LittleEndian.PutUint32(b[at+4*i:], w)
		}
	}
	copy(b, "MZ")
	u32(0x3c, 0x40)
	copy(b[0x40:], "PE\x00\x00\x64\x86\x01\x00")
	b[0x54], b[0x58], b[0x59] = 0xf0, 0x0b, 2
	u32(0x58+56, 0x2000, 0x180, 0)
	u32(0x58+108, 16, 0x1000, 0x80, 0x1080, 0x40, 0x1100, 0x100) // exports, imports, resources
	u32(0x58+112+6*8, 0x1200, 28)                                // debug directory
	copy(b[0x148:], ".rdata")
	u32(0x150, 0x1000, 0x1000, 0x280, 0x180)

	// The section stands 0xe80 bytes lower in the file.
	u32(0x180+12, 0x1060, 1, 2, 2, 0x1028, 0x1030, 0x1038)
	u32(0x1a8, 0x1500, 0x1068, 0x1060, 0x1064, 0x10000)
	copy(b[0x1e0:], "a.d\x00b.c\x00N.Rtl\x00")
	u32(0x200, 0x10b0, 0, 0, 0x10a8, 0x10b0)
	copy(b[0x228:], "x.dll")
	u32(0x230, 0x10c0)
	copy(b[0x240:], "\x01\x00Function")
	b[0x28e] = 1
	u32(0x290, 16, 0x80000018)
	b[0x2a6] = 1
	u32(0x2a8, 1, 0x30)
	u32(0x2b0, 0x1180, 0x80)
	copy(b[0x300:0x380], versionResource())
	u32(0x38c, DebugCodeView, 0x1c, 0x1220)
	copy(b[0x3a0:], "RSDS0123456789abcdef\x01\x00\x00\x00a.b")
	return b
}

// The seed is an image in which everything is found.
func TestSmallImage(t *testing.T) {
	im, err := FromBytes(smallImage())
	if err != nil {
		t.Fatal(err)
	}
	if cv, err := im.CodeView(); err != nil || cv.Name != "a.b" {
		t.Errorf("CodeView: %+v, %v", cv, err)
	}
	if x, err := im.Exports(); err != nil || len(x.Exports) != 2 || x.Name != "a.d" || x.Exports[0].Forwarder != "N.Rtl" {
		t.Errorf("exports: %+v, %v", x, err)
	}
	if x, err := im.Imports(); err != nil || len(x) != 1 || x[0].DLL != "x.dll" || len(x[0].Entries) != 1 || x[0].Entries[0].Name != "Function" {
		t.Errorf("imports: %+v, %v", x, err)
	}
	if v, err := im.Version(); v == nil || !v.Fixed {
		t.Errorf("version: %+v, %v", v, err)
	}
}
