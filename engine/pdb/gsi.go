package pdb

import (
	"bytes"
	"fmt"
	"math/bits"
	"sync"
)

const (
	gsiSignature = 0xffffffff
	gsiVersion   = 0xeffe0000 + 19990810
	gsiHeaderLen = 16
	gsiBuckets   = 4096
	// A bucket's value is an offset into the hash records as they lay in the
	// memory of a 32-bit linker, 12 bytes each; in the file they have 8.
	gsiMemRecord  = 12
	gsiFileRecord = 8
)

// A gsi is a hash of symbols by name: records that hold an offset into the
// symbol record stream, ordered by bucket.
type gsi struct {
	s        *stream
	at, end  uint32 // of the hash records
	bitsAt   uint32
	bucketAt uint32
	buckets  uint32 // entries of the bucket array
	index    func() *gsiIndex
	err      error
}

// gsiIndex is where each bucket's records start; built on the first look-up.
type gsiIndex struct{ start [gsiBuckets + 1]uint32 }

func (g *gsi) count() uint32 { return (g.end - g.at) / gsiFileRecord }

// init reads the header of the hash at off.
func (g *gsi) init(s *stream, off, length uint32) {
	g.s = s
	g.index = sync.OnceValue(g.readIndex)
	if length == 0 {
		return
	}
	d := s.decoder("symbol hash", off, min(length, gsiHeaderLen))
	sig, version, recs, buckets := d.u32(), d.u32(), d.u32(), d.u32()
	switch {
	case d.err != nil:
		g.err = d.err
		return
	case sig != gsiSignature || version != gsiVersion:
		g.err = &FormatError{"symbol hash", int64(off), fmt.Sprintf("signature %#x, version %#x", sig, version)}
		return
	case uint64(recs)+uint64(buckets) > uint64(length-gsiHeaderLen):
		g.err = &FormatError{"symbol hash", int64(off), fmt.Sprintf("%d bytes of records and %d of buckets in %d", recs, buckets, length)}
		return
	}
	g.at = off + gsiHeaderLen
	g.end = g.at + recs - recs%gsiFileRecord
	g.bitsAt = g.at + recs
	const bitmap = (gsiBuckets/32 + 1) * 4
	if buckets >= bitmap {
		g.bucketAt = g.bitsAt + bitmap
		g.buckets = (buckets - bitmap) / 4
	}
}

// readIndex turns the bitmap of used buckets and the array of their starts
// into one array. A start that steps back or out makes the index useless, and
// look-ups scan then.
func (g *gsi) readIndex() *gsiIndex {
	if g.bucketAt == 0 {
		return nil
	}
	bitmap, err := g.s.view(g.bitsAt, gsiBuckets/8)
	if err != nil {
		return nil
	}
	used := 0
	for _, b := range bitmap {
		used += bits.OnesCount8(b)
	}
	if uint32(used) > g.buckets {
		return nil
	}
	d := g.s.decoder("symbol hash buckets", g.bucketAt, uint32(used)*4)
	idx := &gsiIndex{}
	n := g.count()
	prev := uint32(0)
	pending := 0 // first bucket whose start is not known yet
	for i := range gsiBuckets {
		if bitmap[i/8]>>(i%8)&1 == 0 {
			continue
		}
		start := d.u32() / gsiMemRecord
		if d.err != nil || start < prev || start > n {
			return nil
		}
		for ; pending <= i; pending++ {
			idx.start[pending] = start
		}
		prev = start
	}
	for ; pending <= gsiBuckets; pending++ {
		idx.start[pending] = n
	}
	return idx
}

// offsets yields the symbol record offsets of hash records from..to, with no
// view of more than a block's worth at a time.
func (g *gsi) offsets(from, to uint32, yield func(off uint32) bool) {
	const chunk = 512
	for from < to {
		k := min(chunk, to-from)
		d := g.s.decoder("symbol hash", g.at+from*gsiFileRecord, k*gsiFileRecord)
		for range k {
			off := d.u32()
			d.u32() // reference count
			if d.err != nil {
				return
			}
			if off == 0 { // stored plus one; 0 is no symbol
				continue
			}
			if !yield(off - 1) {
				return
			}
		}
		from += k
	}
}

// bucket returns the range of hash records that may hold a name.
func (g *gsi) bucket(name string) (from, to uint32) {
	idx := g.index()
	if idx == nil {
		return 0, g.count()
	}
	h := hashV1([]byte(name)) % gsiBuckets
	return idx.start[h], idx.start[h+1]
}

// hashV1 is the hash that PDBs use for names. It does not see the case of
// letters, so looking up without case needs no other index.
func hashV1(b []byte) uint32 {
	var h uint32
	for ; len(b) >= 4; b = b[4:] {
		h ^= uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
	}
	if len(b) >= 2 {
		h ^= uint32(b[0]) | uint32(b[1])<<8
		b = b[2:]
	}
	if len(b) == 1 {
		h ^= uint32(b[0])
	}
	h |= 0x20202020
	h ^= h >> 11
	return h ^ h>>16
}

// equalFold compares ASCII names without case.
func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if d := b[i]; c != d && lower(c) != lower(d) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func equal(a []byte, b string) bool { return bytes.Equal(a, []byte(b)) }
