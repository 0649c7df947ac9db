package cab

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sharedSymbols(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("KDAP_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared")
	}
	dir = filepath.Join(dir, "symbols")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no reference symbols: KDAP_SHARED names no folder with symbols")
	}
	return dir
}

// TestKernel unpacks the same PDB from both compressions and compares it with
// the file that is not compressed.
func TestKernel(t *testing.T) {
	dir := sharedSymbols(t)
	want, err := filepath.Glob(filepath.Join(dir, "ntkrnlmp.pdb", "*", "ntkrnlmp.pdb"))
	if err != nil || len(want) != 1 {
		t.Skip("no kernel PDB")
	}
	plain, err := os.ReadFile(want[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"compressed", "compressed-lzx"} {
		found, _ := filepath.Glob(filepath.Join(dir, kind, "ntkrnlmp.pdb", "*", "ntkrnlmp.pd_"))
		if len(found) != 1 {
			t.Fatalf("%s: %v", kind, found)
		}
		b, err := os.ReadFile(found[0])
		if err != nil {
			t.Fatal(err)
		}
		c, err := Open(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if len(c.Files) != 1 || !strings.EqualFold(c.Files[0].Name, "ntkrnlmp.pdb") {
			t.Errorf("%s: files %+v", kind, c.Files)
		}
		var out bytes.Buffer
		if err := c.Extract(c.Files[0], &out); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if sha256.Sum256(out.Bytes()) != sha256.Sum256(plain) {
			t.Errorf("%s: %d bytes differ from the plain file's %d", kind, out.Len(), len(plain))
		}

		// Cut short, damaged: an error that names a place, never more bytes than claimed.
		for _, n := range []int{0, 10, 36, 50, 70, 1000, len(b) / 2, len(b) - 1} {
			c, err := Open(bytes.NewReader(b[:n]))
			if err == nil {
				err = c.Extract(c.Files[0], &bytes.Buffer{})
			}
			if fe := (*FormatError)(nil); !errors.As(err, &fe) {
				t.Errorf("%s cut to %d bytes: error %v", kind, n, err)
			}
		}
	}
}

type limited struct {
	n, limit int64
	t        *testing.T
}

func (l *limited) Write(p []byte) (int, error) {
	if l.n += int64(len(p)); l.n > l.limit {
		l.t.Fatalf("wrote %d bytes, the file claims %d", l.n, l.limit)
	}
	return len(p), nil
}

// FuzzCAB: never more output than the entry claims, errors name a place.
// Checksums are cleared, or nothing would get past them.
func FuzzCAB(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Open(bytes.NewReader(b))
		if err == nil {
			for _, file := range c.Files[:min(len(c.Files), 4)] {
				if file.Size > 1<<20 {
					continue
				}
				if err = c.Extract(file, &limited{limit: file.Size, t: t}); err != nil {
					break
				}
			}
		}
		if fe := (*FormatError)(nil); err != nil && !errors.As(err, &fe) {
			t.Fatalf("error without a place: %v", err)
		}
	})
}

// seeds are cabinets of one block for each method.
func seeds() [][]byte {
	var out [][]byte
	for method, data := range map[uint16][]byte{
		methodStored: []byte("hello"),
		methodMSZIP:  append([]byte("CK"), 1, 5, 0, 0xfa, 0xff, 'h', 'e', 'l', 'l', 'o'), // a stored deflate block
		methodLZX | 15<<8: {
			// no translation, block of kind 3, 5 bytes, padding, three offsets, text, padding
			0x00, 0x30, 0x50, 0x00, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 'h', 'e', 'l', 'l', 'o', 0,
		},
	} {
		b := make([]byte, 36)
		copy(b, "MSCF")
		le.PutUint32(b[16:], 44)
		b[24], b[25], b[26], b[28] = 3, 1, 1, 1
		b = le.AppendUint32(b, 44+16+2)
		b = le.AppendUint16(b, 1)
		b = le.AppendUint16(b, method)
		b = le.AppendUint32(b, 5)
		b = append(b, make([]byte, 12)...)
		b = append(b, 'x', 0)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint16(b, uint16(len(data)))
		b = le.AppendUint16(b, 5)
		out = append(out, append(b, data...))
	}
	return out
}

func TestSeeds(t *testing.T) {
	for _, b := range seeds() {
		c, err := Open(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := c.Extract(c.Files[0], &out); err != nil || out.String() != "hello" {
			t.Errorf("method %#x: %q, %v", c.folders[0].method, out.String(), err)
		}
	}
}
