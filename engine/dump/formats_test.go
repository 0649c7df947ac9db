package dump

import (
	"bytes"
	"os"
	"testing"
)

func TestFull(t *testing.T) {
	runs := []Run{{4, 2}, {1, 1}, {0x100, 3}}
	content := append(header(Full, runs...), pages(4, 5, 1, 0x100, 0x101, 0x102)...)
	f := mustOpen(t, content)
	wantPages(t, f, 0x200, map[uint64]uint64{1: 1, 4: 4, 5: 5, 0x100: 0x100, 0x101: 0x101, 0x102: 0x102})
	wantWarnings(t, f)
	if f.Missing(2) != NotInMachine || f.Missing(4) != Present {
		t.Errorf("Missing: %v, %v", f.Missing(2), f.Missing(4))
	}

	// Cut within the page of 0x101: what is whole is there, and a box says so.
	f = mustOpen(t, content[:HeaderSize+4*4096+100])
	wantPages(t, f, 0x200, map[uint64]uint64{1: 1, 4: 4, 5: 5, 0x100: 0x100})
	wantWarnings(t, f, Truncated)
	want := "************************************************************\n" +
		"WARNING: Dump file has been truncated.  Data may be missing.\n" +
		"************************************************************"
	if got := f.Warnings()[0].Text(); got != want {
		t.Errorf("box:\n%s", got)
	}
	if f.Missing(0x102) != CutOff {
		t.Errorf("Missing(102) = %v", f.Missing(0x102))
	}
	var p [8192]byte
	n, err := f.ReadPhysical(0x100ff8, p[:])
	if n != 8 || err == nil {
		t.Errorf("ReadPhysical: %d, %v", n, err)
	}
}

func TestFullOverlap(t *testing.T) {
	// The first run that holds a page wins; the others still take their room.
	f := mustOpen(t, append(header(Full, Run{10, 2}, Run{9, 4}, Run{^uint64(0), 5}), pages(10, 11, 109, 110, 111, 112)...))
	wantPages(t, f, 20, map[uint64]uint64{9: 109, 10: 10, 11: 11, 12: 112})
}

func TestFullTooManyRuns(t *testing.T) {
	runs := make([]Run, 42)
	var data []byte
	want := map[uint64]uint64{}
	for i := range runs {
		runs[i] = Run{uint64(2 * i), 1}
		data = append(data, page(uint64(i))...)
		want[uint64(2*i)] = uint64(i)
	}
	b := append(header(Full, runs...), data...)
	b[0x88] = 43
	f := mustOpen(t, b)
	wantPages(t, f, 100, want)
	wantWarnings(t, f, TooManyRuns)
	if f.Header.NumberOfRuns != 43 {
		t.Error("the count must stay as the file has it")
	}
}

func TestTypeGuessed(t *testing.T) {
	b := append(header(0, Run{3, 1}), pages(3)...)
	f := mustOpen(t, b)
	wantPages(t, f, 10, map[uint64]uint64{3: 3})
	wantWarnings(t, f, TypeGuessed)
}

func TestBitmaps(t *testing.T) {
	present := []uint64{0, 3, 4, 63, 64, 65, 127, 130, 2047, 2048, 4099}
	want := map[uint64]uint64{}
	for _, p := range present {
		want[p] = p
	}
	for _, typ := range []Type{Summary, BitmapFull, BitmapKernel} {
		b := bitmapDump(typ, 4100, present...)
		f := mustOpen(t, b)
		wantPages(t, f, 5000, want)
		wantWarnings(t, f)

		le.PutUint32(b[0x2000:], 0x504d4446) // FDMP is as good
		wantPages(t, mustOpen(t, b), 5000, want)

		f = mustOpen(t, b[:len(b)-1]) // the last page is cut
		wantWarnings(t, f, Truncated)
		if _, ok := f.Page(4099); ok || f.Missing(4099) != CutOff || f.PresentPages() != uint64(len(present)-1) {
			t.Errorf("type %v: the page that is cut: %v", typ, f.Missing(4099))
		}

		b[0x2000] = 'X'
		if _, err := open(t, b); reason(err) != BadSignature {
			t.Errorf("type %v, wrong signature: %v", typ, err)
		}
	}
	// More bits than there is room for: the pages are not taken for bits.
	b := bitmapDump(BitmapKernel, 64, 1, 2)
	le.PutUint64(b[0x2030:], 1<<40)
	f := mustOpen(t, b)
	wantPages(t, f, 5000, map[uint64]uint64{1: 1, 2: 2})
	wantWarnings(t, f, BitmapCut)
	// Pages only counts for messages.
	b = bitmapDump(BitmapFull, 64, 1, 2)
	le.PutUint64(b[0x2028:], 1)
	f = mustOpen(t, b)
	wantPages(t, f, 100, map[uint64]uint64{1: 1, 2: 2})
	wantWarnings(t, f, BitCount)
	// Cut within the record behind the header.
	wantWarnings(t, mustOpen(t, b[:0x2010]), Truncated)
}

func TestRanges(t *testing.T) {
	runs := []Run{{7, 2}, {0, 1}, {0x80, 1}}
	want := map[uint64]uint64{7: 7, 8: 8, 0: 0, 0x80: 0x80}
	for _, typ := range []Type{RangeKernel, RangeActive, RangeFull} {
		for _, gap := range []int{0, 0x123} {
			b := ranges(typ, gap, runs, pages(7, 8, 0, 0x80))
			f := mustOpen(t, b)
			wantPages(t, f, 0x100, want)
			wantWarnings(t, f)
			if l := f.Layout(); l.Ranges != 3 || l.Pages != 4 || l.FirstPage != uint64(0x2060+gap) {
				t.Errorf("layout %+v", l)
			}
			b[0x2000], b[0x2008] = 0, 0 // one of the marks suffices
			wantPages(t, mustOpen(t, b), 0x100, want)
			b[0x2004] = 0
			if _, err := open(t, b); reason(err) != BadSignature {
				t.Errorf("no mark is left: %v", err)
			}
		}
	}
	b := ranges(RangeFull, 0, runs, pages(7, 8, 0, 0x80))
	le.PutUint32(b[0x2020:], 0xffffffff)
	f := mustOpen(t, b)
	wantPages(t, f, 0x100, want)
	wantWarnings(t, f, RangesCut)
	le.PutUint32(b[0x2020:], 1)
	wantPages(t, mustOpen(t, b), 0x100, map[uint64]uint64{7: 7, 8: 8})
	le.PutUint32(b[0x2020:], 0)
	f = mustOpen(t, b)
	wantPages(t, f, 0x100, nil)
	wantWarnings(t, f, RangesCut)
	wantWarnings(t, mustOpen(t, b[:0x2010]), Truncated)
}

// TestLabFormats opens the same machine in six formats: where a page is there,
// its bytes are those of the full dump.
func TestLabFormats(t *testing.T) {
	full := sample(t, "lab19041")
	if n, ok := full.PhysicalPages(); full.PresentPages() != 130716 || n != 130716 || !ok {
		t.Errorf("%d pages present, %d in the machine", full.PresentPages(), n)
	}
	for _, tt := range []struct {
		name  string
		typ   Type
		pages uint64
	}{
		{"lab19041_t5", BitmapFull, 0},
		{"lab19041_t6", BitmapKernel, 0x4e17},
		{"lab_k", RangeKernel, 0x2a23},
		{"lab_ka", RangeActive, 0},
		{"lab_f", RangeFull, 130716},
	} {
		f := sample(t, tt.name)
		wantWarnings(t, f)
		if f.Type() != tt.typ || tt.pages != 0 && f.PresentPages() != tt.pages {
			t.Errorf("%s: type %v, %d pages", tt.name, f.Type(), f.PresentPages())
		}
		var n uint64
		for r := range f.Runs() {
			for pfn := r.BasePage; pfn < r.BasePage+r.PageCount; pfn++ {
				a, ok1 := f.Page(pfn)
				b, ok2 := full.Page(pfn)
				if n++; !ok1 || !ok2 || !bytes.Equal(a, b) {
					t.Fatalf("%s: page %#x differs (present: %v, %v)", tt.name, pfn, ok1, ok2)
				}
			}
		}
		if n != f.PresentPages() {
			t.Errorf("%s: %d pages in runs, PresentPages %d", tt.name, n, f.PresentPages())
		}
	}
}

// TestSparse opens a dump of 16 GB that is nearly all holes.
func TestSparse(t *testing.T) {
	const ram = 4 << 20 // pages
	path := write(t, header(Full, Run{0, ram / 2}, Run{ram, ram / 2}))
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	makeSparse(file)
	_, err = file.WriteAt(page(ram+ram/2-1), HeaderSize+(ram-1)<<12)
	file.Close()
	if err != nil {
		t.Skipf("a sparse file of 16 GB cannot be made here: %v", err)
	}
	f, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	wantWarnings(t, f)
	if p, ok := f.Page(ram + ram/2 - 1); !ok || !bytes.Equal(p, page(ram+ram/2-1)) || f.PresentPages() != ram {
		t.Errorf("last page: %v, %d pages", ok, f.PresentPages())
	}
}
