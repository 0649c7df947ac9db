package dump

import (
	"iter"

	"kdap/engine/internal/spans"
	"kdap/engine/memory"
)

// maxPFN bounds frame numbers: a physical address has 52 bits.
const maxPFN = 1<<(52-memory.PageShift) - 1

// A pageIndex says where in the file a page is. It may name places behind the
// end of the file: the File checks.
type pageIndex interface {
	// find returns the file offset of the page.
	find(pfn uint64) (off uint64, ok bool)
	// runs yields the pages in ascending order, with the offset of the first.
	runs() iter.Seq2[Run, uint64]
}

// segments index pages by runs: type 1 and the range dumps.
type segments struct {
	pieces []spans.Span
	runsIn []Run
	offs   []uint64 // file offset of each run's first page
}

// newSegments lays out runs from file offset base in table order; where they
// overlap the first one wins. Runs that leave the physical address space are
// cut there, but count in full for what follows them in the file.
func newSegments(runs []Run, base uint64) *segments {
	s := &segments{runsIn: runs, offs: make([]uint64, len(runs))}
	off := base
	for i, r := range runs {
		s.offs[i] = off
		// No file is longer than this; the bound keeps offsets from wrapping.
		const far = 1 << 62
		off = min(off+min(r.PageCount, far>>memory.PageShift)*memory.PageSize, far)
		if r.PageCount > 0 && r.BasePage <= maxPFN {
			last := min(r.PageCount-1, maxPFN-r.BasePage) + r.BasePage
			s.pieces = append(s.pieces, spans.Span{First: r.BasePage, Last: last, ID: i})
		}
	}
	s.pieces = spans.Flatten(s.pieces)
	return s
}

func (s *segments) off(p spans.Span, pfn uint64) uint64 {
	return s.offs[p.ID] + (pfn-s.runsIn[p.ID].BasePage)*memory.PageSize
}

func (s *segments) find(pfn uint64) (uint64, bool) {
	i, ok := spans.Find(s.pieces, pfn)
	if !ok {
		return 0, false
	}
	return s.off(s.pieces[i], pfn), true
}

func (s *segments) runs() iter.Seq2[Run, uint64] {
	return func(yield func(Run, uint64) bool) {
		for _, p := range s.pieces {
			if !yield(Run{p.First, p.Last - p.First + 1}, s.off(p, p.First)) {
				return
			}
		}
	}
}
