package pdb

import (
	"cmp"
	"slices"
	"sort"
)

// Code that is one piece for the compiler may lie in several places: the
// compiler itself moves cold parts of a procedure away (S_SEPCODE), and tools
// that rearrange a finished image move what they like and leave a map (OMAP).
// Symbols and lines count in the image before it was rearranged.

// pieces returns where size bytes of code that began at a place of the image
// before it was rearranged lie now, in their former order; without a map in one
// piece. What was taken out is left out.
func (f *File) pieces(seg uint16, off, size uint32) []Range {
	from := f.omapFrom()
	if len(from) == 0 {
		if rva, ok := f.RVA(seg, off); ok {
			return []Range{{rva, min(size, ^rva)}} // no image reaches the end of all addresses
		}
		return nil
	}
	secs := f.symbolSections()
	if seg == 0 || int(seg) > len(secs) {
		return nil
	}
	at := uint64(secs[seg-1].RVA) + uint64(off)
	end := min(at+uint64(size), 1<<32)
	var out []Range
	i := sort.Search(len(from), func(i int) bool { return uint64(from[i].rva) > at })
	for i = max(i-1, 0); i < len(from) && uint64(from[i].rva) < end; i++ {
		start, stop := max(uint64(from[i].rva), at), end
		if i+1 < len(from) {
			stop = min(stop, uint64(from[i+1].rva))
		}
		if from[i].to == 0 || start >= stop {
			continue
		}
		r := Range{RVA: from[i].to + uint32(start-uint64(from[i].rva))}
		r.Size = min(uint32(stop-start), ^r.RVA)
		if n := len(out); n > 0 && out[n-1].RVA+out[n-1].Size == r.RVA {
			out[n-1].Size += r.Size
		} else {
			out = append(out, r)
		}
	}
	return out
}

// covers reports whether one of the ranges contains an address.
func covers(ranges []Range, rva uint32) bool {
	for _, r := range ranges {
		if r.Contains(rva) {
			return true
		}
	}
	return false
}

// sepCode is a part of a procedure that the compiler put elsewhere.
type sepCode struct {
	procEntry
	parentSeg uint16 // where the procedure begins, or another part of it
	parentOff uint32
}

// sepCodeOf decodes an S_SEPCODE record.
func sepCodeOf(b []byte, rec uint32) (s sepCode, end uint32, ok bool) {
	d := decoder{b: b}
	d.u32() // the scope around it; 0 where it stands for itself
	end = d.u32()
	s.rec, s.size = rec, d.u32()
	d.u32() // flags
	s.off, s.parentOff = d.u32(), d.u32()
	s.seg, s.parentSeg = d.u16(), d.u16()
	return s, end, d.err == nil
}

// separated is what a module has of separated code.
type separated struct {
	byPlace []sepCode            // by section and offset
	of      map[uint32][]sepCode // record of the procedure → its parts, in the order of their records
}

func (ms *moduleState) readSeparated() *separated {
	sep := &separated{of: map[uint32][]sepCode{}}
	var all []sepCode
	for off := uint32(4); off < ms.symEnd(); {
		kind, b, next, err := ms.s.recordAt(off)
		if err != nil {
			break
		}
		if kind == SSepCode {
			if s, _, ok := sepCodeOf(b, off); ok {
				all = append(all, s)
			}
		}
		off = next
	}
	sep.byPlace = slices.Clone(all)
	slices.SortStableFunc(sep.byPlace, func(a, b sepCode) int { return cmp.Compare(segOff(a.seg, a.off), segOff(b.seg, b.off)) })
	for _, s := range all {
		if e, ok := ms.parent(sep, s); ok {
			sep.of[e.rec] = append(sep.of[e.rec], s)
		}
	}
	return sep
}

// at returns the separated code that covers a place.
func (sep *separated) at(seg uint16, off uint32) (sepCode, bool) {
	key := segOff(seg, off)
	i := sort.Search(len(sep.byPlace), func(i int) bool { return segOff(sep.byPlace[i].seg, sep.byPlace[i].off) > key }) - 1
	if i < 0 || sep.byPlace[i].seg != seg || off-sep.byPlace[i].off >= sep.byPlace[i].size {
		return sepCode{}, false
	}
	return sep.byPlace[i], true
}

// maxParents bounds the way from separated code to its procedure.
const maxParents = 16

// parent returns the procedure that separated code belongs to.
func (ms *moduleState) parent(sep *separated, s sepCode) (procEntry, bool) {
	procs := ms.procs()
	for range maxParents {
		i := nearest(procs, segOff(s.parentSeg, s.parentOff))
		if i >= 0 && procs[i].seg == s.parentSeg && s.parentOff-procs[i].off < procs[i].size {
			return procs[i], true
		}
		var ok bool
		if s, ok = sep.at(s.parentSeg, s.parentOff); !ok {
			break
		}
	}
	return procEntry{}, false
}

// separatedFrom returns the procedure that a place in separated code belongs to.
func (ms *moduleState) separatedFrom(seg uint16, off uint32) (procEntry, bool) {
	sep := ms.separated()
	s, ok := sep.at(seg, off)
	if !ok {
		return procEntry{}, false
	}
	return ms.parent(sep, s)
}
