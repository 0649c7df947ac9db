package pdb

import (
	"encoding/binary"
	"fmt"
	"sort"
	"sync"
)

// A typeStream is the TPI or IPI stream: numbered records, with a sparse index
// of their offsets and a hash of their names in another stream.
type typeStream struct {
	s          *stream
	hash       *stream
	begin, end uint32 // type indexes
	at         uint32 // of the first record
	recEnd     uint32
	buckets    uint32
	hashes     extent // of the records' hash values in the hash stream
	keySize    uint32
	offsets    extent // of the sparse index
	adjust     extent // of the table of types that go before others of their name

	sparse func() []sparseEntry
	byName func() *nameIndex
	chunks sync.Map // index of a sparse entry → []uint32, offsets of its records
	err    error
}

type sparseEntry struct{ ti, off uint32 }

const tpiHeaderLen = 56

func (t *typeStream) init(s *stream, m *msf, hashName string) {
	t.s = s
	t.sparse = sync.OnceValue(t.readSparse)
	t.byName = sync.OnceValue(t.readNameIndex)
	if s.len() == 0 {
		return
	}
	d := s.decoder(s.name, 0, min(s.len(), tpiHeaderLen))
	d.u32() // version
	header := d.u32()
	begin, end := d.u32(), d.u32()
	bytes := d.u32()
	hash := d.u16()
	d.u16() // a second hash stream, never seen in use
	t.keySize = d.u32()
	t.buckets = d.u32()
	t.hashes = extent{d.u32(), d.u32()}
	t.offsets = extent{d.u32(), d.u32()}
	t.adjust = extent{d.u32(), d.u32()}
	switch {
	case d.err != nil:
		t.err = d.err
	case header < tpiHeaderLen || header > s.len():
		t.err = &FormatError{s.name, 4, fmt.Sprintf("header of %d bytes in a stream of %d", header, s.len())}
	case begin < firstTI || end < begin:
		t.err = &FormatError{s.name, 8, fmt.Sprintf("type indexes %#x to %#x", begin, end)}
	case (end - begin) > (s.len()-header)/4:
		t.err = &FormatError{s.name, 12, fmt.Sprintf("%d types in %d bytes", end-begin, s.len()-header)}
	}
	if t.err != nil {
		return
	}
	t.begin, t.end, t.at = begin, end, header
	t.recEnd = header + min(bytes, s.len()-header)
	t.hash = m.stream(uint32(hash), hashName)
}

// firstTI is where type indexes of records begin; below are the simple types.
const firstTI = 0x1000

func (t *typeStream) has(ti uint32) bool { return ti >= t.begin && ti < t.end }

// readSparse reads the index of record offsets, one for some 8 KB of records.
// When it is missing or contradicts itself, one is made by reading all.
func (t *typeStream) readSparse() []sparseEntry {
	n := t.offsets.len / 8
	if t.hash != nil && n > 0 && uint64(t.offsets.off)+uint64(n)*8 <= uint64(t.hash.len()) {
		d := t.hash.decoder(t.hash.name, t.offsets.off, n*8)
		out := make([]sparseEntry, 0, n)
		ok := true
		for i := range n {
			e := sparseEntry{d.u32(), d.u32()}
			if i == 0 {
				ok = e.ti == t.begin && e.off == 0
			} else {
				p := out[i-1]
				ok = ok && e.ti > p.ti && e.off > p.off && e.ti-p.ti <= (e.off-p.off)/4 && e.ti-p.ti <= maxChunk
			}
			ok = ok && e.ti < t.end && e.off < t.recEnd-t.at
			out = append(out, e)
		}
		if ok && d.err == nil && t.end-out[n-1].ti <= maxChunk {
			return out
		}
	}
	return t.walkSparse()
}

// maxChunk bounds the records between two entries of the sparse index. The
// writers of PDBs place one every 8 KB, and no record is shorter than 4 bytes.
const maxChunk = 64 << 10

func (t *typeStream) walkSparse() []sparseEntry {
	var out []sparseEntry
	off := t.at
	for ti := t.begin; ti < t.end && off < t.recEnd; ti++ {
		if (ti-t.begin)%256 == 0 {
			out = append(out, sparseEntry{ti, off - t.at})
		}
		n, err := t.s.u16(off)
		if err != nil || n < 2 {
			break
		}
		off += 2 + uint32(n)
	}
	return out
}

// record returns a type record: its leaf and its bytes behind it.
func (t *typeStream) record(ti uint32) (leaf uint16, body []byte, err error) {
	if !t.has(ti) {
		return 0, nil, &FormatError{"type index", int64(ti), fmt.Sprintf("not in %#x to %#x", t.begin, t.end)}
	}
	sp := t.sparse()
	i := sort.Search(len(sp), func(i int) bool { return sp[i].ti > ti }) - 1
	if i < 0 {
		return 0, nil, &FormatError{"type index", int64(ti), "no record for it"}
	}
	offs := t.chunk(sp, i)
	k := ti - sp[i].ti
	if uint64(k) >= uint64(len(offs)) {
		return 0, nil, &FormatError{"type index", int64(ti), "its record is cut off"}
	}
	leaf, body, _, err = t.s.recordAt(offs[k])
	return leaf, body, err
}

// decoder reads a record again: what is decoded later must not keep a view.
func (t *typeStream) decoder(ti uint32) *decoder {
	_, body, err := t.record(ti)
	return &decoder{record: "type record", base: 4, b: body, err: err}
}

// chunk returns the offsets of the records from one entry of the sparse index
// to the next.
func (t *typeStream) chunk(sp []sparseEntry, i int) []uint32 {
	if v, ok := t.chunks.Load(i); ok {
		return v.([]uint32)
	}
	end := t.end
	if i+1 < len(sp) {
		end = sp[i+1].ti
	}
	offs := make([]uint32, 0, min(end-sp[i].ti, maxChunk))
	off := t.at + sp[i].off
	for range cap(offs) {
		n, err := t.s.u16(off)
		if err != nil || n < 2 || off >= t.recEnd {
			break
		}
		offs = append(offs, off)
		off += 2 + uint32(n)
	}
	v, _ := t.chunks.LoadOrStore(i, offs)
	return v.([]uint32)
}

// A nameIndex finds type records by the hash of their name. Definitions are
// hashed in the file; scoped types, unnamed ones and forward references are
// not found that way and stand in rest, which is made when it is first needed.
type nameIndex struct {
	buckets []uint32 // per bucket: 1 + first record number; 0 for none
	next    []uint32 // per record: 1 + next record number of its bucket
	rest    func() []restEntry
	newest  map[uint32]bool // types that count before others of their name
}

type restEntry struct {
	hash uint32
	ti   uint32
}

// readNameIndex chains the records of each bucket, in ascending order.
func (t *typeStream) readNameIndex() *nameIndex {
	ix := &nameIndex{rest: sync.OnceValue(t.readRest), newest: t.readNewest()}
	n := t.end - t.begin
	if t.hash == nil || t.keySize != 4 || t.buckets == 0 || t.buckets > 1<<20 || t.hashes.len/4 < n {
		return ix
	}
	if uint64(t.hashes.off)+uint64(n)*4 > uint64(t.hash.len()) {
		return ix
	}
	ix.buckets = make([]uint32, t.buckets)
	ix.next = make([]uint32, n)
	const step = 1024
	for hi := n; hi > 0; { // from the end, so that chains ascend
		lo := hi - min(step, hi)
		b, err := t.hash.view(t.hashes.off+lo*4, (hi-lo)*4)
		if err != nil {
			ix.buckets, ix.next = nil, nil
			return ix
		}
		for i := hi; i > lo; i-- {
			h := binary.LittleEndian.Uint32(b[(i-1-lo)*4:])
			if h < t.buckets {
				ix.next[i-1] = ix.buckets[h]
				ix.buckets[h] = i
			}
		}
		hi = lo
	}
	return ix
}

// readNewest reads what incremental links leave: of several definitions of a
// name they say which is the current one.
func (t *typeStream) readNewest() map[uint32]bool {
	if t.hash == nil || t.adjust.len == 0 {
		return nil
	}
	d := t.hash.decoder(t.hash.name, t.adjust.off, t.adjust.len)
	newest := map[uint32]bool{}
	for _, ti := range readHashTable(d) {
		newest[ti] = true
	}
	return newest
}

// inBucket calls fn with the type indexes of one bucket until it returns false.
func (t *typeStream) inBucket(hash uint32, fn func(ti uint32) bool) {
	ix := t.byName()
	if len(ix.buckets) == 0 {
		return
	}
	for i := ix.buckets[hash%uint32(len(ix.buckets))]; i != 0; i = ix.next[i-1] {
		if !fn(t.begin + i - 1) {
			return
		}
	}
}

// readRest indexes every aggregate and enum whose name the file's own hash
// does not lead to.
func (t *typeStream) readRest() []restEntry {
	ix := t.byName()
	var out []restEntry
	t.each(func(ti uint32, leaf uint16, body []byte) bool {
		if !isUDT(leaf) {
			return true
		}
		u, err := decodeUDT(leaf, body, ti)
		if err != nil {
			return true
		}
		if len(ix.buckets) == 0 || u.forward() || u.scoped() || u.anonymous() {
			out = append(out, restEntry{hashV1(u.name), ti})
		}
		return true
	})
	sort.SliceStable(out, func(i, j int) bool { return out[i].hash < out[j].hash })
	return out
}

// inRest is inBucket for the records that only the rest index holds.
func (t *typeStream) inRest(hash uint32, fn func(ti uint32) bool) {
	rest := t.byName().rest()
	i := sort.Search(len(rest), func(i int) bool { return rest[i].hash >= hash })
	for ; i < len(rest) && rest[i].hash == hash; i++ {
		if !fn(rest[i].ti) {
			return
		}
	}
}

// each calls fn with every record in order until it returns false.
func (t *typeStream) each(fn func(ti uint32, leaf uint16, body []byte) bool) {
	off := t.at
	for ti := t.begin; ti < t.end && off < t.recEnd; ti++ {
		leaf, body, next, err := t.s.recordAt(off)
		if err != nil || !fn(ti, leaf, body) {
			return
		}
		off = next
	}
}
