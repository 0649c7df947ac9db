// Package truth finds the reference material that tests compare against: dumps
// nobody of this project's code made, what they contain, and the symbols.
//
// The folder is named by KDAP_SHARED, else it is ../shared beside the
// repository. A test that needs it is skipped, with the reason, where it is
// absent. Compressed dumps are unpacked once, to KDAP_TEST_CACHE or
// kdap-test in the user's cache folder. Only tests import this package.
package truth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Root returns the repository's root: the nearest folder above that has a go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = up
	}
}

// Dir returns the folder of reference material, or skips the test.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("KDAP_SHARED")
	if dir == "" {
		dir = filepath.Join(Root(t), "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "dumps")); err != nil {
		t.Skipf("reference material is absent (KDAP_SHARED): %v", err)
	}
	return dir
}

// Path returns the path of a file below the folder of reference material, or
// skips the test when it is not there.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	p := filepath.Join(append([]string{Dir(t)}, elem...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("reference file is absent: %v", err)
	}
	return p
}

// JSON decodes a JSON file below the folder of reference material into v.
func JSON(t testing.TB, v any, elem ...string) {
	t.Helper()
	b, err := os.ReadFile(Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", filepath.Join(elem...), err)
	}
}

// dumpFolders are the places below Dir where Dump looks.
var dumpFolders = []string{"dumps", "dumps/written-by-windbg"}

// unpacking keeps parallel tests of one program from unpacking a dump twice.
// Two programs may: the last rename wins, both files are whole.
var unpacking sync.Mutex

// Dump returns the path of the dump with this name ("lab19041", with or
// without ".dmp"), unpacked when it is kept compressed. It skips the test when
// the dump is absent.
func Dump(t testing.TB, name string) string {
	t.Helper()
	name = strings.TrimSuffix(name, ".dmp") + ".dmp"
	for _, folder := range dumpFolders {
		path := filepath.Join(Dir(t), filepath.FromSlash(folder), name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		info, err := os.Stat(path + ".zst")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		out, err := unpack(path+".zst", name, info)
		if err != nil {
			t.Fatalf("unpacking %s: %v", path, err)
		}
		return out
	}
	t.Skipf("dump %s is absent", name)
	return ""
}

func unpack(path, name string, info fs.FileInfo) (string, error) {
	unpacking.Lock()
	defer unpacking.Unlock()
	cache := os.Getenv("KDAP_TEST_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(dir, "kdap-test")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	out := filepath.Join(cache, name)
	if have, err := os.Stat(out); err == nil && have.ModTime().Equal(info.ModTime()) {
		return out, nil
	}
	in, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(1<<31))
	if err != nil {
		return "", err
	}
	defer z.Close()
	tmp, err := os.CreateTemp(cache, name+".*.tmp")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name()) // fails after the rename, as it should
	if err := copySparse(tmp, z); err != nil {
		tmp.Close()
		return "", err
	}
	if err := tmp.Close(); err != nil {
		return "", err
	}
	if err := os.Chtimes(tmp.Name(), info.ModTime(), info.ModTime()); err != nil {
		return "", err
	}
	return out, os.Rename(tmp.Name(), out)
}

// copySparse writes r to f and leaves holes where it holds zeros.
func copySparse(f *os.File, r io.Reader) error {
	var zero, buf [1 << 16]byte
	for off := int64(0); ; {
		n, err := io.ReadFull(r, buf[:])
		if !bytes.Equal(buf[:n], zero[:n]) {
			if _, err := f.WriteAt(buf[:n], off); err != nil {
				return err
			}
		}
		off += int64(n)
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return f.Truncate(off)
		case err != nil:
			return err
		}
	}
}
