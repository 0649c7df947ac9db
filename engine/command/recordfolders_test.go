package command

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"kdap/internal/truth"
)

// recordText returns a record's text, unpacked.
func recordText(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".xz") {
		if r, err = xz.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// recordFolders makes the folders of the recording machine, as the heads of
// the records describe them, and returns the folder that holds them.
func recordFolders(t *testing.T) string {
	t.Helper()
	here := t.TempDir()
	store := storeFiles(t, absolute(t, truth.Path(t, "symbols")))
	put := func(folder, name, from string) {
		t.Helper()
		dir := filepath.Join(here, folder)
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(from, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, from := range store {
		put(`S:\lab`, name, from.path)
		isPDB := strings.HasSuffix(name, ".pdb")
		if isPDB {
			put(`S:\lab_noimg`, name, from.path)
		} else {
			put(`S:\lab_nopdb`, name, from.path)
			put(`S:\lab_mism`, name, from.path)
			put(`S:\lab_sub`, name, from.path)
		}
	}
	for name, from := range map[string]string{
		"symbols/exe/ntkrnlmp.pdb": "ntkrnlmp.pdb", "exe/PotionShop.pdb": "PotionShop.pdb", "symbols/dll/ntdll.pdb": "ntdll.pdb",
		"dll/kernel32.pdb": "kernel32.pdb", "symbols/dll/kernelbase.pdb": "kernelbase.pdb",
	} {
		put(`S:\lab_sub`, name, store[from].path)
	}
	for _, name := range []string{"ntkrnlmp.pdb", "PotionShop.pdb", "PotionShop.exe"} {
		put(`S:\lab_store`, filepath.Join(name, store[name].key, name), store[name].path)
	}
	for name, from := range map[string]string{"PotionShop.pdb": "notepad.pdb", "ntdll.pdb": "kernelbase.pdb", "kernel32.pdb": "kernel32.pdb", "notepad.pdb": "notepad.pdb"} {
		put(`S:\lab_mism`, name, store[from].path)
	}
	kernel := store["ntkrnlmp.pdb"].path
	put(`S:\lab_mism`, "ntkrnlmp.pdb", otherPDB(t, kernel, func(_, guid []byte) {
		copy(guid, []byte{0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33, 0x44, 0x44, 0x55, 0x55, 0x66, 0x66, 0x77, 0x77})
	}))
	put(`S:\lab_age`, "ntkrnlmp.pdb", otherPDB(t, kernel, func(age, _ []byte) { age[0]++ }))
	scripts := absolute(t, truth.Path(t, "reference", "windbg", "lab", "scripting-files"))
	entries, err := os.ReadDir(scripts)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		put("", `W:\s\`+e.Name(), filepath.Join(scripts, e.Name()))
	}
	put("", `S:\src`, absolute(t, truth.Path(t, "symbols", "src", "lab")))
	for _, link := range [][2]string{{`S:\lab\`, `S:\lab`}, {"s:/lab", `../S:\lab`}, {`S:\lab_sub\symbols`, `S:\lab_sub/symbols`}} {
		put("", link[0], link[1])
	}
	if err := os.Mkdir(filepath.Join(here, `S:\none`), 0o700); err != nil {
		t.Fatal(err)
	}
	return here
}

// A storeFile is a file of a symbol store.
type storeFile struct{ path, key string }

// storeFiles finds the files of a symbol store by name.
func storeFiles(t *testing.T, root string) map[string]storeFile {
	t.Helper()
	files := map[string]storeFile{}
	paths, err := filepath.Glob(filepath.Join(root, "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		name, key := filepath.Base(p), filepath.Base(filepath.Dir(p))
		if filepath.Base(filepath.Dir(filepath.Dir(p))) == name {
			files[name] = storeFile{p, key}
		}
	}
	if len(files) == 0 {
		t.Fatal(fs.ErrNotExist)
	}
	return files
}

// kernelGUID is that of the reference kernel's PDB, as the file holds it; its
// age stands before it.
var kernelGUID = []byte{0xf8, 0xaf, 0x78, 0x52, 0x34, 0x6c, 0x77, 0x16, 0xd7, 0xd7, 0x83, 0x5c, 0x85, 0xb7, 0xb8, 0x44}

// otherPDB writes a PDB that differs in age or GUID.
func otherPDB(t *testing.T, path string, change func(age, guid []byte)) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, kernelGUID)
	if at < 4 {
		t.Fatal("the PDB does not hold its GUID")
	}
	change(data[at-4:at], data[at:at+16])
	out := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(out, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}
