package pdb

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestBlockSizes reads the small PDB from files of every block size that
// linkers write, the large ones (/pdbpagesize) too.
func TestBlockSizes(t *testing.T) {
	for _, bs := range []int{512, 1024, 2048, 4096, 8192, 16384, 32768, 65536} {
		p := sample()
		p.blockSize = bs
		f, err := New(p.build())
		if err != nil {
			t.Errorf("blocks of %d bytes: %v", bs, err)
			continue
		}
		checkSample(t, f)
	}
	for _, bs := range []uint32{0, 256, 3000, 131072} {
		b := sample().build()
		binary.LittleEndian.PutUint32(b[32:], bs)
		if _, err := New(b); err == nil {
			t.Errorf("blocks of %d bytes were read", bs)
		}
	}
}

// checkSample asks the small PDB for something of each stream.
func checkSample(t *testing.T, f *File) {
	t.Helper()
	s, ok := f.LookupPublic("other")
	typ, found := f.Type("S")
	l, lined := f.LineAt(0x101a)
	p, covered := f.ProcAt(0x1020)
	if !ok || s.RVA != 0x1080 || !found || len(typ.Fields()) != 2 || !lined || l.Number != 6 || l.File.Name != "a.c" || !covered || p.Name != "main" {
		t.Errorf("%v, %v, %v, %v", s, typ, l, p)
	}
}

// TestLongDirectory reads a file whose directory is so long that the numbers
// of its blocks fill several blocks: those that the superblock names one by
// one, and those that only follow the first, as LLVM writes them.
func TestLongDirectory(t *testing.T) {
	streams := sample().streams()
	streams = append(streams, make([]byte, 20<<20)) // 40,960 blocks of 512 bytes
	b := writeMSF(streams)
	maps := binary.LittleEndian.Uint32(b[44:]) / 512 * 4 / 512
	if maps < 2 {
		t.Fatalf("only %d blocks of block numbers", maps)
	}
	for _, named := range []bool{true, false} {
		if !named {
			clear(b[superBlockLen : superBlockLen+4*maps])
		}
		f, err := New(b)
		if err != nil {
			t.Fatalf("named %v: %v", named, err)
		}
		checkSample(t, f)
	}
}

// TestBeyond4GB reads streams whose blocks lie behind the first 4 GB of a file.
func TestBeyond4GB(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("files with holes are made on Linux only")
	}
	const bs = 65536
	first := uint32(5 << 30 / bs)
	_, head, body := layMSF(bs, first, sample().streams())
	path := filepath.Join(t.TempDir(), "big.pdb")
	fd, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	if _, err := fd.WriteAt(head, 0); err != nil {
		t.Fatal(err)
	}
	for i, b := range body {
		block := make([]byte, bs)
		copy(block, b)
		if _, err := fd.WriteAt(block, (int64(first)+int64(i))*bs); err != nil {
			t.Skipf("no file of 5 GB here: %v", err)
		}
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	checkSample(t, f)
}
