package dumptest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSparse(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a file of 16 GB")
	}
	d := Sparse(300, 3000)
	path := filepath.Join(t.TempDir(), "sparse.dmp")
	if err := d.WriteFile(path, Full); err != nil {
		t.Skipf("this file system has no room for a sparse file: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(0x400000) << 12; info.Size() < want {
		t.Errorf("%d bytes, want at least %d", info.Size(), want)
	}
	n := 0
	for _, p := range d.Truth().Processes[1:] {
		n += len(p.Threads)
	}
	if n != 3000 {
		t.Errorf("%d threads", n)
	}
}

func TestBrokenAreBroken(t *testing.T) {
	whole := map[Format][]byte{}
	for _, f := range Formats {
		whole[f] = tiny().Bytes(f)
	}
	for _, v := range Broken() {
		b := v.Make()
		for f, good := range whole {
			if string(b) == string(good) {
				t.Errorf("%s is a good dump of type %d", v.Name, f)
			}
		}
	}
}
