package dumptest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"kdap/engine/dumptest"
	"kdap/engine/pdb"
)

// TestAddStream: the new streams are there, and all that was there before.
func TestAddStream(t *testing.T) {
	before, err := os.ReadFile(filepath.Join("..", "..", "testdata", "images", "quillpress.pdb"))
	if err != nil {
		t.Fatal(err)
	}
	old, err := pdb.New(before)
	if err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("0123456789"), 2000)
	b := before
	for _, s := range []struct {
		name string
		data []byte
	}{{"sourcelink", []byte("{}")}, {"srcsrv", big}} {
		if b, err = dumptest.AddStream(b, s.name, s.data); err != nil {
			t.Fatal(err)
		}
	}
	f, err := pdb.New(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.NamedStream("sourcelink"); err != nil || string(got) != "{}" {
		t.Errorf("sourcelink: %q, %v", got, err)
	}
	if got, err := f.NamedStream("srcsrv"); err != nil || !bytes.Equal(got, big) {
		t.Errorf("srcsrv: %d bytes, %v", len(got), err)
	}
	if f.ID() != old.ID() || len(f.StreamNames()) != len(old.StreamNames())+2 || len(f.Files()) != len(old.Files()) {
		t.Errorf("%v with streams %q, was %v with %q", f.ID(), f.StreamNames(), old.ID(), old.StreamNames())
	}
}
