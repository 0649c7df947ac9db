package dump

import (
	"fmt"
	"iter"
)

// rangeArray is where the ranges of a range dump begin.
const rangeArray = HeaderSize + 0x30

// openRanges reads the record of a range dump.
func (f *File) openRanges() error {
	d := f.record("RANGE_DUMP", HeaderSize, 0x30)
	first, sig := d.u32(), d.text(4)
	d.skip(8)
	l := Layout{MetadataSize: d.u64(), FirstPage: d.u64(), Ranges: d.u32()}
	d.skip(4)
	l.Pages = d.u64()
	if d.err != nil {
		f.warn(Truncated, 60, []string{"WARNING: Dump file has been truncated.  Data may be missing."},
			"The file ends within the record behind the header, %v: it holds no pages.", d.err)
		f.index = newSegments(nil, 0)
		return nil
	}
	if first != 0x40 && sig != "RDMP" {
		return &FormatError{d.record, fmt.Sprintf("signature %q is not RDMP", sig), HeaderSize + 4}
	}
	f.layout = l

	room := min(l.FirstPage, uint64(len(f.data)))
	room = (room - min(room, rangeArray)) / 16
	n := uint64(l.Ranges)
	if n > room {
		f.warn(RangesCut, 0, nil, "The record at %#x promises %d ranges, but there is room for %d.", HeaderSize, n, room)
		n = room
	}
	if n == 0 {
		f.warn(RangesCut, 0, nil, "The record at %#x has no ranges: no page of this dump can be found.", HeaderSize)
	}
	d = f.record("RANGE_DUMP", rangeArray, n*16)
	runs := make([]Run, n)
	for i := range runs {
		runs[i] = Run{d.u64(), d.u64()}
	}
	f.index = newSegments(runs, l.FirstPage)
	f.checkSize(l.FirstPage, l.Pages, l.Pages)
	return nil
}

// Table yields the runs of a full or range dump in the order of its table,
// each with the file offset of its first page.
func (f *File) Table() iter.Seq2[Run, uint64] {
	return func(yield func(Run, uint64) bool) {
		s, ok := f.index.(*segments)
		if !ok {
			return
		}
		for i, r := range s.runsIn {
			if !yield(r, s.offs[i]) {
				return
			}
		}
	}
}
