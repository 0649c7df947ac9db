package dump

import (
	"testing"

	"github.com/edsrzf/mmap-go"

	"kdap/engine/memory"
)

// parse opens a dump from memory: fuzzing should not wait for files.
func parse(b []byte) (*File, error) {
	return newFile("x.dmp", &source{data: mmap.MMap(b), format: sniff(b)})
}

// checkFile holds for every dump that opens: runs ascend, do not overlap, and
// are what Page serves and PresentPages counts; every slice lies in the file.
func checkFile(t *testing.T, b []byte) {
	f, err := parse(b)
	if err != nil {
		if err.Error() == "" {
			t.Error("an error without words")
		}
		return
	}
	var sum, next uint64
	for r := range f.Runs() {
		if r.PageCount == 0 || r.BasePage < next && sum > 0 {
			t.Fatalf("run %+v after page %#x", r, next)
		}
		next = r.BasePage + r.PageCount
		sum += r.PageCount
		for _, pfn := range []uint64{r.BasePage, next - 1} {
			if p, ok := f.Page(pfn); !ok || len(p) != memory.PageSize || f.Missing(pfn) != Present {
				t.Fatalf("page %#x of run %+v: %v", pfn, r, ok)
			}
		}
	}
	if sum != f.PresentPages() {
		t.Fatalf("%d pages in runs, PresentPages %d", sum, f.PresentPages())
	}
	// Overlapping runs may give a page of the file to several frames only if
	// the table says so; no dump has more whole pages than bytes.
	if f.typ != Full && f.Type() != Triage && sum > uint64(len(b)) {
		t.Fatalf("%d pages in %d bytes", sum, len(b))
	}
	n := 0
	for blob, err := range f.Blobs() {
		if n++; n > len(b) {
			t.Fatal("the blobs do not end")
		}
		if err == nil && len(blob.Data) != int(blob.Size) {
			t.Fatalf("blob of %d bytes has %d", blob.Size, len(blob.Data))
		}
	}
	if tr, ok := f.Triage(); ok {
		if len(tr.Drivers)*driverEntry > len(b) || len(tr.DataBlocks)*16 > len(b) {
			t.Fatal("more drivers or blocks than the file has room for")
		}
		end := uint64(0)
		for blk := range tr.Space().All() {
			if len(blk.Data) == 0 || blk.VA < end {
				t.Fatalf("piece at %#x after %#x", blk.VA, end)
			}
			end = blk.VA + uint64(len(blk.Data)) - 1
			got, err := memory.ReadBytes(tr.Space(), blk.VA, len(blk.Data))
			if err != nil || string(got) != string(blk.Data) {
				t.Fatalf("piece at %#x cannot be read: %v", blk.VA, err)
			}
		}
	}
}

// FuzzHeader changes fields in the header of a full dump: each 10 bytes of
// changes are an offset and a value.
func FuzzHeader(f *testing.F) {
	f.Add([]byte{0x88, 0, 3, 0, 0, 0, 0, 0, 0, 0}, uint8(3))
	f.Add([]byte{0x98, 0xf, 0, 0, 0, 0, 0, 0, 0, 0, 0xa8, 0, 2, 0, 0, 0, 0, 0, 0, 0}, uint8(1))
	f.Fuzz(func(t *testing.T, changes []byte, n uint8) {
		b := append(header(Full, Run{1, 2}, Run{5, 1}), make([]byte, int(n%64)*4096)...)
		for ; len(changes) >= 10; changes = changes[10:] {
			copy(b[le.Uint16(changes)%(HeaderSize-8):], changes[2:10])
		}
		checkFile(t, b)
	})
}

// fuzzRecord changes what follows the header of a dump of some type.
func fuzzRecord(f *testing.F, types ...Type) {
	f.Fuzz(func(t *testing.T, which uint8, rest []byte) {
		b := append(header(types[int(which)%len(types)], Run{0, 100}), rest...)
		checkFile(t, b)
	})
}

func FuzzBitmap(f *testing.F) {
	f.Add(uint8(0), bitmapDump(Summary, 128, 1, 2, 64)[HeaderSize:])
	f.Add(uint8(1), bitmapDump(BitmapFull, 128, 1, 2, 64)[HeaderSize:])
	fuzzRecord(f, Summary, BitmapFull, BitmapKernel)
}

func FuzzRange(f *testing.F) {
	f.Add(uint8(0), ranges(RangeFull, 0, []Run{{3, 1}, {1, 1}}, pages(3, 1))[HeaderSize:])
	fuzzRecord(f, RangeKernel, RangeActive, RangeFull)
}

// triageRecord is a small triage dump's record, with one driver and one block.
func triageRecord() []byte {
	b := make([]byte, 0x400)
	put := func(off, v uint32) { le.PutUint32(b[off:], v) }
	put(0x04, HeaderSize+0x400)
	copy(b[0x3fc:], "TRGD")
	put(0x14, HeaderSize+0x80)
	put(0x18, HeaderSize+0x80)
	put(0x1c, HeaderSize+0x100)
	put(0x30, HeaderSize+0x200)
	put(0x34, 1)
	put(0x200, HeaderSize+0x2a0)
	put(0x2a0, 3)
	copy(b[0x2a4:], "a\x00b\x00c\x00")
	put(0x70, HeaderSize+0x100)
	put(0x74, 0x100)
	put(0x78, HeaderSize+0x2c0)
	put(0x7c, 2)
	le.PutUint64(b[0x2c0:], 0xfffff80000001000)
	put(0x2c8, HeaderSize)
	put(0x2cc, 0x20)
	le.PutUint64(b[0x2d0:], 0xfffff80000001010)
	put(0x2d8, HeaderSize)
	put(0x2dc, 0x20)
	return b
}

func FuzzTriage(f *testing.F) {
	f.Add(uint8(0), triageRecord())
	fuzzRecord(f, Triage)
}

func FuzzBlobs(f *testing.F) {
	b := append([]byte("DumpBlob"), 0x10, 0, 0, 0, 0x61, 0x4a, 0, 0)
	b = le.AppendUint32(b, 0x20)
	b = append(b, make([]byte, 16)...)
	b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, 4), 2), 2)
	b = append(b, "..data.."...)
	f.Add(append(b, b[16:]...))
	f.Fuzz(func(t *testing.T, rest []byte) {
		checkFile(t, append(append(header(Full, Run{0, 1}), page(0)...), rest...))
	})
}
