package dump

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"kdap/internal/truth"
)

var le = binary.LittleEndian

// header returns a DUMP_HEADER64 of the type, all other fields filler or plain.
func header(typ Type, runs ...Run) []byte {
	b := bytes.Repeat([]byte("PAGE"), HeaderSize/4)
	copy(b[4:], "DU64")
	le.PutUint32(b[0x08:], 0xf)
	le.PutUint32(b[0x0c:], 19041)
	le.PutUint64(b[0x10:], 0x1ad000)
	le.PutUint32(b[0x30:], 0x8664)
	le.PutUint32(b[0x34:], 2)
	le.PutUint32(b[0xf98:], uint32(typ))
	if runs != nil {
		var pages uint64
		le.PutUint32(b[0x88:], uint32(len(runs)))
		for i, r := range runs {
			le.PutUint64(b[0x98+16*i:], r.BasePage)
			le.PutUint64(b[0xa0+16*i:], r.PageCount)
			pages += r.PageCount
		}
		le.PutUint64(b[0x90:], pages)
	}
	return b
}

// page returns a page that says its number.
func page(n uint64) []byte {
	return bytes.Repeat(le.AppendUint64(nil, n|0xabc<<48), 4096/8)
}

func pages(numbers ...uint64) (b []byte) {
	for _, n := range numbers {
		b = append(b, page(n)...)
	}
	return b
}

// ranges returns a range dump; gap bytes lie between its table and its pages.
func ranges(typ Type, gap int, runs []Run, data []byte) []byte {
	b := append(header(typ), make([]byte, 0x30+16*len(runs)+gap)...)
	r := b[HeaderSize:]
	le.PutUint32(r, 0x40)
	copy(r[4:], "RDMPDUMP")
	le.PutUint64(r[0x10:], uint64(0x10+16*len(runs)))
	le.PutUint64(r[0x18:], uint64(len(b)))
	le.PutUint32(r[0x20:], uint32(len(runs)))
	var total uint64
	for i, run := range runs {
		le.PutUint64(r[0x30+16*i:], run.BasePage)
		le.PutUint64(r[0x38+16*i:], run.PageCount)
		total += run.PageCount
	}
	le.PutUint64(r[0x28:], total)
	return append(b, data...)
}

// bitmapDump returns a bitmap or summary dump with room for bits pages.
func bitmapDump(typ Type, bits uint64, present ...uint64) []byte {
	at := 0x38
	if typ == Summary {
		at = 0x28
	}
	b := append(header(typ), make([]byte, at+int(bits+7)/8)...)
	r := b[HeaderSize:]
	copy(r, "SDMPDUMP")
	if typ == Summary {
		le.PutUint32(r[0x0c:], uint32(len(b)))
		le.PutUint32(r[0x10:], uint32(bits))
		le.PutUint32(r[0x14:], uint32(len(present)))
		le.PutUint32(r[0x18:], uint32(bits))
	} else {
		le.PutUint64(r[0x20:], uint64(len(b)))
		le.PutUint64(r[0x28:], uint64(len(present)))
		le.PutUint64(r[0x30:], bits)
	}
	for _, p := range present {
		r[at+int(p/8)] |= 1 << (p % 8)
	}
	return append(b, pages(present...)...)
}

// write puts content in a file and returns its path.
func write(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.dmp")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, content []byte) (*File, error) {
	t.Helper()
	f, err := Open(t.Context(), write(t, content), Options{CacheDir: t.TempDir()})
	if err == nil {
		t.Cleanup(func() { f.Close() })
	}
	return f, err
}

func mustOpen(t testing.TB, content []byte) *File {
	t.Helper()
	f, err := open(t, content)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// sample opens one of the reference dumps.
func sample(t testing.TB, name string) *File {
	t.Helper()
	f, err := Open(t.Context(), truth.Dump(t, name), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// wantPages checks that exactly these pages below limit are there.
func wantPages(t *testing.T, f *File, limit uint64, want map[uint64]uint64) {
	t.Helper()
	for pfn := range limit {
		got, ok := f.Page(pfn)
		n, there := want[pfn]
		if ok != there || ok && !bytes.Equal(got, page(n)) {
			t.Errorf("page %#x: present %v, %d bytes, want %v", pfn, ok, len(got), there)
		}
	}
	var runs uint64
	for r := range f.Runs() {
		runs += r.PageCount
		for pfn := r.BasePage; pfn < r.BasePage+r.PageCount; pfn++ {
			if _, ok := want[pfn]; !ok {
				t.Errorf("run %v holds a page that is absent", r)
				break
			}
		}
	}
	if runs != uint64(len(want)) || f.PresentPages() != runs {
		t.Errorf("%d pages in runs, PresentPages %d, want %d", runs, f.PresentPages(), len(want))
	}
}

// wantWarnings checks the kinds of the warnings, in order.
func wantWarnings(t *testing.T, f *File, kinds ...WarningKind) {
	t.Helper()
	got := f.Warnings()
	for i := 0; i < max(len(got), len(kinds)); i++ {
		if i >= len(got) || i >= len(kinds) || got[i].Kind != kinds[i] {
			t.Errorf("warnings %+v, want kinds %v", got, kinds)
			return
		}
	}
}
