// Package spans turns ranges that may overlap into ranges that do not.
//
// Dump files list physical runs and virtual blocks in any order, and damaged
// ones let them overlap: one rule decides who wins, and the result can be
// searched. The cost is O(n log n) whatever the input says.
package spans

import (
	"cmp"
	"container/heap"
	"slices"
	"sort"
)

// A Span is the addresses First to Last, both included, of the range ID.
type Span struct {
	First, Last uint64
	ID          int
}

// Flatten returns the union of the spans as sorted pieces that do not overlap.
// Where spans overlap, the one with the smallest ID wins. Spans with First
// above Last are dropped. The result has at most twice as many pieces as there
// are spans. The argument is reordered.
func Flatten(in []Span) []Span {
	in = slices.DeleteFunc(in, func(s Span) bool { return s.First > s.Last })
	slices.SortFunc(in, func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.ID, b.ID))
	})
	if disjoint(in) {
		return in
	}
	var out []Span
	var active spanHeap // those that cover cur or ended before it, smallest ID on top
	cur := uint64(0)
	for i := 0; ; {
		for len(active) > 0 && active[0].Last < cur {
			heap.Pop(&active)
		}
		if len(active) == 0 {
			if i == len(in) {
				return out
			}
			cur = max(cur, in[i].First)
		}
		for i < len(in) && in[i].First <= cur {
			if in[i].Last >= cur {
				heap.Push(&active, in[i])
			}
			i++
		}
		if len(active) == 0 {
			continue
		}
		top := active[0]
		last := top.Last
		if i < len(in) && in[i].First <= last {
			last = in[i].First - 1 // above cur: those at or below it are active
		}
		if n := len(out); n > 0 && out[n-1].ID == top.ID && out[n-1].Last+1 == cur {
			out[n-1].Last = last
		} else {
			out = append(out, Span{cur, last, top.ID})
		}
		if last == ^uint64(0) {
			return out
		}
		cur = last + 1
	}
}

func disjoint(sorted []Span) bool {
	for i := 1; i < len(sorted); i++ {
		if sorted[i].First <= sorted[i-1].Last {
			return false
		}
	}
	return true
}

// Find returns the index of the piece that holds addr, or, when none does, of
// the first piece behind addr, and false.
func Find(sorted []Span, addr uint64) (int, bool) {
	i := sort.Search(len(sorted), func(i int) bool { return sorted[i].Last >= addr })
	return i, i < len(sorted) && sorted[i].First <= addr
}

type spanHeap []Span

func (h spanHeap) Len() int           { return len(h) }
func (h spanHeap) Less(i, j int) bool { return h[i].ID < h[j].ID }
func (h spanHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *spanHeap) Push(x any)        { *h = append(*h, x.(Span)) }
func (h *spanHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
