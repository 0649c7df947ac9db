package dump

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// writeImage writes the pages of a dump, each at the offset that place gives,
// behind a head.
func writeImage(t *testing.T, f *File, head []byte, place func(pfn uint64) int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	makeSparse(out)
	out.Write(head)
	var end int64
	for r := range f.Runs() {
		for pfn := r.BasePage; pfn < r.BasePage+r.PageCount; pfn++ {
			p, _ := f.Page(pfn)
			if err := writeSparse(out, p, place(pfn)); err != nil {
				t.Fatal(err)
			}
			end = max(end, place(pfn)+4096)
		}
	}
	if err := out.Truncate(end); err != nil {
		t.Skipf("no sparse files here: %v", err)
	}
	return path
}

// checkImage compares an image with the dump it was made of.
func checkImage(t *testing.T, path string, typ Type, want *File) {
	t.Helper()
	f, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	wantWarnings(t, f, NoHeader)
	if f.Type() != typ || f.Header.DirectoryTableBase != want.Header.DirectoryTableBase || f.Header.HasDebuggerData() || f.Header.HasSystemTime() {
		t.Errorf("type %v, DTB %#x", f.Type(), f.Header.DirectoryTableBase)
	}
	for r := range want.Runs() {
		for pfn := r.BasePage; pfn < r.BasePage+r.PageCount; pfn += 97 {
			a, _ := want.Page(pfn)
			if b, ok := f.Page(pfn); !ok || !bytes.Equal(a, b) {
				t.Fatalf("page %#x: %v", pfn, ok)
			}
		}
	}
}

func TestRawImage(t *testing.T) {
	lab := sample(t, "lab19041")
	path := writeImage(t, lab, nil, func(pfn uint64) int64 { return int64(pfn) << 12 })
	checkImage(t, path, RawImage, lab)
}

func TestELFCore(t *testing.T) {
	lab := sample(t, "lab19041")
	runs := lab.Header.Runs
	h := make([]byte, 0x1000)
	copy(h, "\x7fELF\x02\x01\x01")
	le.PutUint16(h[16:], 4)
	le.PutUint64(h[32:], 64)
	le.PutUint16(h[54:], 56)
	le.PutUint16(h[56:], uint16(1+len(runs)))
	p := h[64:]
	le.PutUint32(p, 4)
	le.PutUint64(p[8:], 0x800)
	le.PutUint64(p[32:], 12+8+440)
	note := h[0x800:]
	le.PutUint32(note, 5)
	le.PutUint32(note[4:], 440)
	copy(note[12:], "QEMU")
	le.PutUint64(note[20+416:], lab.Header.DirectoryTableBase)
	off := uint64(len(h))
	offs := map[uint64]uint64{}
	for i, r := range runs {
		p := h[64+56*(i+1):]
		le.PutUint32(p, 1)
		le.PutUint64(p[8:], off)
		le.PutUint64(p[24:], r.BasePage<<12)
		le.PutUint64(p[32:], r.PageCount<<12)
		offs[r.BasePage] = off
		off += r.PageCount << 12
	}
	path := writeImage(t, lab, h, func(pfn uint64) int64 {
		for _, r := range runs {
			if pfn >= r.BasePage && pfn < r.BasePage+r.PageCount {
				return int64(offs[r.BasePage] + (pfn-r.BasePage)<<12)
			}
		}
		return 0
	})
	checkImage(t, path, ELFCoreImage, lab)
}

// FuzzELF: a core that is read lists only runs with an offset each.
func FuzzELF(f *testing.F) {
	h := make([]byte, 64+56+40)
	copy(h, "\x7fELF\x02\x01\x01")
	le.PutUint64(h[32:], 64)
	le.PutUint16(h[54:], 56)
	le.PutUint16(h[56:], 1)
	h[64] = 4
	le.PutUint64(h[64+8:], 120)
	le.PutUint64(h[64+32:], 40)
	f.Add(h)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 {
			return
		}
		core, err := parseELF(b)
		if err != nil {
			return
		}
		for r, off := range core.index.runs() {
			if r.PageCount == 0 || off >= 1<<62 && r.PageCount == 1 {
				t.Fatalf("run %+v at %#x", r, off)
			}
		}
		if len(core.runs) != len(core.index.offs) || 8*len(core.roots) > len(b)*65536 {
			t.Fatal("runs without offsets")
		}
	})
}
