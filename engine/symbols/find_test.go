package symbols

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kdap/engine/pdb"
	"kdap/engine/pe"
)

const (
	kernelGUID = "5278AFF86C341677D7D7835C85B7B844"
	kernelKey  = kernelGUID + "1"
)

// guid turns the text of a store into the bytes of a CodeView record.
func guid(t testing.TB, text string) [16]byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 16 {
		t.Fatalf("GUID %q", text)
	}
	for _, swap := range [][2]int{{0, 3}, {1, 2}, {4, 5}, {6, 7}} {
		b[swap[0]], b[swap[1]] = b[swap[1]], b[swap[0]]
	}
	return [16]byte(b)
}

func kernelWant(t testing.TB) Want {
	return Want{PDB: "ntkrnlmp.pdb", GUID: guid(t, kernelGUID), Age: 1, Ext: "exe"}
}

func kernelPDB(t testing.TB) string {
	path := filepath.Join(sharedDir(t), "ntkrnlmp.pdb", kernelKey, "ntkrnlmp.pdb")
	if _, err := os.Stat(path); err != nil {
		t.Skip("no kernel PDB in the reference symbols")
	}
	return path
}

func find(t *testing.T, f *Finder, w Want) (Found, *Report) {
	t.Helper()
	found, r, err := f.Find(context.Background(), w)
	if err != nil && !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if (err == nil) != (found.PDB != nil || found.ISF != nil) {
		t.Fatalf("found %+v, error %v", found, err)
	}
	return found, r
}

// TestLayouts puts the kernel's PDB into each layout that a path may have.
func TestLayouts(t *testing.T) {
	src := kernelPDB(t)
	shared := sharedDir(t)
	table := filepath.Join(shared, "isf", kernelGUID+"-1.json.xz")
	for _, tt := range []struct {
		name, path string // $ is the test's folder
		files      map[string]string
		want       string // "" for nothing; below the test's folder
	}{
		{"flat", "$/s", map[string]string{"s/ntkrnlmp.pdb": src}, "s/ntkrnlmp.pdb"},
		{"flat, other case", "$/S", map[string]string{"S/NtKrnlMP.PDB": src}, "S/NtKrnlMP.PDB"},
		{"by extension", "$/s", map[string]string{"s/EXE/ntkrnlmp.pdb": src}, "s/EXE/ntkrnlmp.pdb"},
		{"symbols by extension", "$/s", map[string]string{"s/symbols/exe/ntkrnlmp.pdb": src}, "s/symbols/exe/ntkrnlmp.pdb"},
		{"store as folder", "$/s", map[string]string{"s/ntkrnlmp.pdb/" + kernelKey + "/ntkrnlmp.pdb": src}, "s/ntkrnlmp.pdb/" + kernelKey + "/ntkrnlmp.pdb"},
		{"store", "srv*$/s", map[string]string{"s/ntkrnlmp.pdb/" + strings.ToLower(kernelKey) + "/ntkrnlmp.pdb": src}, "s/ntkrnlmp.pdb/" + strings.ToLower(kernelKey) + "/ntkrnlmp.pdb"},
		{"store before flat", "$/s", map[string]string{
			"s/nt/ntkrnlmp.pdb/" + kernelKey + "/ntkrnlmp.pdb": src, "s/index2.txt": "", "s/exe/ntkrnlmp.pdb": src,
		}, "s/nt/ntkrnlmp.pdb/" + kernelKey + "/ntkrnlmp.pdb"},
		{"two tiers", "srv*$/s", map[string]string{"s/nt/ntkrnlmp.pdb/" + kernelKey + "/ntkrnlmp.pdb": src, "s/index2.txt": ""}, "s/nt/ntkrnlmp.pdb/" + kernelKey + "/ntkrnlmp.pdb"},
		{"cache", "cache*$/s", map[string]string{"s/ntkrnlmp.pdb/" + kernelKey + "/ntkrnlmp.pdb": src}, "s/ntkrnlmp.pdb/" + kernelKey + "/ntkrnlmp.pdb"},
		{"srv does not look flat", "srv*$/s", map[string]string{"s/ntkrnlmp.pdb": src}, ""},
		{"pointer", "srv*$/s", map[string]string{"s/ntkrnlmp.pdb/" + kernelKey + "/file.ptr": "PATH:$/else/k.pdb", "else/k.pdb": src}, "else/k.pdb"},
		{"pointer without a word", "srv*$/s", map[string]string{"s/ntkrnlmp.pdb/" + kernelKey + "/file.ptr": "$/else/k.pdb\r\n", "else/k.pdb": src}, "else/k.pdb"},
		{"pointer with a message", "srv*$/s", map[string]string{"s/ntkrnlmp.pdb/" + kernelKey + "/file.ptr": "MSG: not kept"}, ""},
		{"table", "$/s", map[string]string{"s/" + kernelGUID + "-1.json.xz": table}, "s/" + kernelGUID + "-1.json.xz"},
		{"table in isf", "$/s", map[string]string{"s/isf/" + kernelGUID + "-1.json.xz": table}, "s/isf/" + kernelGUID + "-1.json.xz"},
		{"PDB before the table", "$/s", map[string]string{"s/isf/" + kernelGUID + "-1.json.xz": table, "s/exe/ntkrnlmp.pdb": src}, "s/exe/ntkrnlmp.pdb"},
		{"elements in order", "$/a;$/s", map[string]string{"a/" + kernelGUID + "-1.json.xz": table, "s/ntkrnlmp.pdb": src}, "a/" + kernelGUID + "-1.json.xz"},
		{"mismatch is passed over", "$/a;$/s", map[string]string{"a/ntkrnlmp.pdb": filepath.Join(shared, "cmd.pdb"), "s/ntkrnlmp.pdb": src}, "s/ntkrnlmp.pdb"},
		{"nothing", "$/a;$/none", nil, ""},
		{"compressed", "srv*$/s", map[string]string{"s/ntkrnlmp.pdb/" + kernelKey + "/ntkrnlmp.pd_": "compressed"}, "cache/symbols/ntkrnlmp.pdb/" + kernelKey + "/ntkrnlmp.pdb"},
		{"compressed, LZX", "cache*$/c;srv*$/s", map[string]string{"s/ntkrnlmp.pdb/" + kernelKey + "/ntkrnlmp.pd_": "compressed-lzx"}, "c/ntkrnlmp.pdb/" + kernelKey + "/ntkrnlmp.pdb"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for file, from := range tt.files {
				switch {
				case strings.HasPrefix(from, "compressed"):
					from = filepath.Join(shared, from, "ntkrnlmp.pdb", kernelKey, "ntkrnlmp.pd_")
				case strings.HasSuffix(from, "cmd.pdb"):
					from = anyPDB(t, "cmd.pdb")
				}
				if filepath.IsAbs(from) && !strings.HasPrefix(from, "$") && !strings.Contains(from, "\r") {
					copyTo(t, from, dir, file)
				} else {
					writeTo(t, []byte(strings.ReplaceAll(from, "$", dir)), dir, file)
				}
			}
			f := &Finder{Path: ParsePath(strings.ReplaceAll(tt.path, "$", dir)), CacheDir: filepath.Join(dir, "cache")}
			for range 2 { // the second time from what the first one kept
				found, r := find(t, f, kernelWant(t))
				got := strings.TrimPrefix(found.File, dir+"/")
				if got != tt.want || r.Found() != (tt.want != "") {
					t.Errorf("found %q, want %q\n%+v", got, tt.want, r)
				}
			}
		})
	}
}

// anyPDB returns a user program's PDB from the reference store.
func anyPDB(t testing.TB, name string) string {
	found, _ := filepath.Glob(filepath.Join(sharedDir(t), name, "*", name))
	if len(found) == 0 {
		t.Skipf("no %s in the reference symbols", name)
	}
	return found[0]
}

// TestChain: what the last store of a chain has is copied into the first.
func TestChain(t *testing.T) {
	src := kernelPDB(t)
	dir := t.TempDir()
	copyTo(t, src, dir, "far", "ntkrnlmp.pdb", kernelKey, "ntkrnlmp.pdb")
	f := &Finder{Path: ParsePath("srv*" + dir + "/near*" + dir + "/far")}
	if found, r := find(t, f, kernelWant(t)); !strings.HasPrefix(found.File, dir+"/far") {
		t.Errorf("first: %+v", r)
	}
	found, r := find(t, f, kernelWant(t))
	if !strings.HasPrefix(found.File, dir+"/near") {
		t.Errorf("second: %+v", r)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "near", "*", "*", ".part*")); len(left) != 0 {
		t.Errorf("temporary files stay: %v", left)
	}
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	copyTo(t, anyPDB(t, "cmd.pdb"), dir, "s", "ntkrnlmp.pdb")
	writeTo(t, []byte("no PDB at all"), dir, "d", "ntkrnlmp.pdb")
	f := &Finder{Path: ParsePath(dir + "/s;" + dir + "/none;" + dir + "/d")}
	_, r := find(t, f, kernelWant(t))
	for _, want := range []string{
		"ntkrnlmp.pdb GUID " + kernelGUID + " age 1 not found in 3 of 3 stores",
		dir + "/s/ntkrnlmp.pdb mismatched: GUID ", dir + "/d/ntkrnlmp.pdb damaged: ",
	} {
		if !strings.Contains(r.String(), want) {
			t.Errorf("report %q lacks %q", r, want)
		}
	}
	_, r = find(t, &Finder{}, kernelWant(t))
	if !strings.Contains(r.String(), "the path is empty") {
		t.Errorf("report of an empty path: %q", r)
	}
	f.LoadAnything = true
	found, _ := find(t, f, kernelWant(t))
	if !found.Unmatched || found.File != filepath.Join(dir, "s", "ntkrnlmp.pdb") {
		t.Errorf("LoadAnything took %+v", found)
	}
}

// TestHostileNames: nothing outside the path is opened, nothing outside the
// cache is written, whatever the dump calls the PDB.
func TestHostileNames(t *testing.T) {
	src := kernelPDB(t)
	dir := t.TempDir()
	copyTo(t, src, dir, "outside.pdb")
	copyTo(t, src, dir, "a", "b", "inside.pdb")
	f := &Finder{Path: ParsePath(dir + "/a/b;srv*" + dir + "/a/b"), CacheDir: filepath.Join(dir, "cache")}
	for _, name := range []string{
		`..\..\outside.pdb`, `../../outside.pdb`, dir + "/outside.pdb", `..`, ``, "outside.pdb\x00", `C:\`, `C:outside.pdb`,
		"\\\\server\\share\\", strings.Repeat("../", 50) + "etc/passwd", "NUL",
	} {
		w := kernelWant(t)
		w.PDB, w.Ext = name, `..\..`
		if found, r := find(t, f, w); found.File != "" {
			t.Errorf("%q: found %+v", name, r)
		} else if len(r.String()) > 4000 {
			t.Errorf("%q: a report of %d bytes", name, len(r.String()))
		}
	}
	w := kernelWant(t)
	w.PDB = `x:\..\..\inside.pdb`
	if found, _ := find(t, f, w); found.File != filepath.Join(dir, "a", "b", "inside.pdb") {
		t.Errorf("the last part of a path was not found: %q", found.File)
	}
	if _, err := os.Stat(filepath.Join(dir, "cache")); err == nil {
		t.Error("a cache folder was made for nothing")
	}
}

// TestUnverified: a store that delivers another file under the key must not get
// it into the cache.
func TestUnverified(t *testing.T) {
	kernelPDB(t)
	shared, dir := sharedDir(t), t.TempDir()
	w := kernelWant(t)
	w.Age = 2
	copyTo(t, filepath.Join(shared, "compressed", "ntkrnlmp.pdb", kernelKey, "ntkrnlmp.pd_"), dir, "s", "ntkrnlmp.pdb", kernelGUID+"2", "ntkrnlmp.pd_")
	f := &Finder{Path: ParsePath("srv*" + dir + "/s"), CacheDir: filepath.Join(dir, "cache")}
	found, r := find(t, f, w)
	if found.File != "" || !strings.Contains(r.String(), "mismatched") {
		t.Errorf("found %q: %s", found.File, r)
	}
	_ = filepath.WalkDir(filepath.Join(dir, "cache"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("%s is in the cache", path)
		}
		return nil
	})
}

func TestImages(t *testing.T) {
	shared := sharedDir(t)
	found, _ := filepath.Glob(filepath.Join(shared, "ntdll.dll", "*", "ntdll.dll"))
	if len(found) == 0 {
		t.Skip("no ntdll.dll in the reference symbols")
	}
	im, err := pe.Open(found[0])
	if err != nil {
		t.Fatal(err)
	}
	w := WantImage{Name: `C:\Windows\System32\NTDLL.dll`, Stamp: im.TimeDateStamp, Size: im.SizeOfImage}
	f := &Finder{Images: ParsePath(shared)}
	got, path, r, err := f.FindImage(context.Background(), w)
	if err != nil || path != found[0] || got.TimeDateStamp != w.Stamp {
		t.Errorf("found %q, %v: %s", path, err, r)
	}
	w.Stamp++
	if _, _, r, err = f.FindImage(context.Background(), w); !errors.Is(err, ErrNotFound) {
		t.Errorf("an image with another stamp: %v, %s", err, r)
	}
	// Flat, under another of the kernel's names, and with the wrong size first.
	dir := t.TempDir()
	copyTo(t, found[0], dir, "b", "ntkrnlmp.exe")
	w = WantImage{Name: "ntoskrnl.exe", Stamp: im.TimeDateStamp, Size: im.SizeOfImage}
	f = &Finder{Images: ParsePath(dir + "/a"), Path: ParsePath(dir + "/b")}
	if _, path, r, err = f.FindImage(context.Background(), w); err != nil || path != filepath.Join(dir, "b", "ntkrnlmp.exe") {
		t.Errorf("kernel: %q, %v, %s", path, err, r)
	}
	w.Size += 4096
	if _, _, r, err = f.FindImage(context.Background(), w); err == nil || !strings.Contains(r.String(), "mismatched") {
		t.Errorf("an image of another size: %v, %s", err, r)
	}
}

func TestGUIDs(t *testing.T) {
	if got := pdb.GUID(guid(t, kernelGUID)).String(); got != kernelGUID {
		t.Errorf("GUID %s", got)
	}
}
