package pdb

import (
	"encoding/binary"
	"sort"
)

// writeMSF lays streams into a file of 512-byte blocks.
func writeMSF(streams [][]byte) []byte { return writeMSFOf(512, streams) }

// writeMSFOf lays streams into a file of blocks of a size, in descending order
// so that none lies in one piece. A nil stream is a deleted one.
func writeMSFOf(bs int, streams [][]byte) []byte {
	blocks, head, body := layMSF(bs, 3, streams) // behind the superblock and two free block maps
	out := make([]byte, int(blocks)*bs)
	copy(out, head)
	for i, b := range body {
		copy(out[(3+i)*bs:], b)
	}
	return out
}

// layMSF returns the superblock of a file and its blocks from block first on,
// and how many blocks it has in all.
func layMSF(bs int, first uint32, streams [][]byte) (blocks uint32, head []byte, body [][]byte) {
	dir := u32s(uint32(len(streams)))
	blocks = first
	var lists []byte
	for _, s := range streams {
		if s == nil {
			dir = append(dir, u32s(deletedStream)...)
			continue
		}
		dir = append(dir, u32s(uint32(len(s)))...)
		n := (len(s) + bs - 1) / bs
		for i := range n {
			lists = append(lists, u32s(blocks+uint32(n-1-i))...)
		}
		for i := range n { // the last part first
			from := (n - 1 - i) * bs
			body = append(body, s[from:min(from+bs, len(s))])
		}
		blocks += uint32(n)
	}
	dir = append(dir, lists...)
	var blockMap []byte
	for i := 0; i < len(dir); i += bs {
		blockMap = append(blockMap, u32s(blocks)...)
		body = append(body, dir[i:min(i+bs, len(dir))])
		blocks++
	}
	// The numbers of the directory's blocks have blocks of their own, which the
	// superblock names one after the other.
	var maps []uint32
	for i := 0; i < len(blockMap); i += bs {
		body = append(body, blockMap[i:min(i+bs, len(blockMap))])
		maps = append(maps, blocks)
		blocks++
	}
	head = cat([]byte(msfMagic), u32s(uint32(bs), 1, blocks, uint32(len(dir)), 0), u32s(maps...))
	return blocks, head, body
}

func u16s(v ...uint16) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint16(b, x)
	}
	return b
}

func u32s(v ...uint32) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func cat(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// rec is a record with its length, padded to four bytes.
func rec(kind uint16, body ...[]byte) []byte {
	b := cat(body...)
	for (len(b)+4)%4 != 0 {
		b = append(b, 0)
	}
	return cat(u16s(uint16(len(b)+2), kind), b)
}

func z(s string) []byte { return append([]byte(s), 0) }

// parts are the streams of a small PDB.
type parts struct {
	tpi, ipi   []byte // type records
	symrecs    []byte
	publics    []uint32 // offsets in symrecs
	globals    []uint32
	module     []byte // symbol records behind the signature
	c13        []byte
	names      []byte // text of /names
	tpiEnd     uint32 // 0: as many as there are records
	rawPublics []byte // instead of publics
	feature    uint32

	// Of an image that was rearranged: the maps, and the sections before.
	omapTo, omapFrom, original []byte
	frames                     []byte // frame data
	sections                   []byte
	blockSize                  int  // default 512
	typeHash                   bool // whether the types have a hash of their names
}

func countRecords(b []byte) (n uint32) {
	for len(b) >= 4 {
		k := int(binary.LittleEndian.Uint16(b)) + 2
		if k < 4 || k > len(b) {
			break
		}
		b = b[k:]
		n++
	}
	return n
}

func typeStreamBytes(recs []byte, end uint32) []byte {
	if end == 0 {
		end = firstTI + countRecords(recs)
	}
	h := u32s(20040203, tpiHeaderLen, firstTI, end, uint32(len(recs)))
	h = append(h, u16s(noStream, noStream)...)
	h = append(h, u32s(4, 0x3ffff, 0, 0, 0, 0, 0, 0)...)
	return cat(h, recs)
}

// gsiBytes writes the hash of symbols as a linker does.
func gsiBytes(symrecs []byte, offs []uint32) []byte {
	type entry struct{ bucket, off uint32 }
	var es []entry
	for _, o := range offs {
		es = append(es, entry{hashV1([]byte(recName(symrecs[o:]))) % gsiBuckets, o})
	}
	sort.SliceStable(es, func(i, j int) bool { return es[i].bucket < es[j].bucket })
	bitmap := make([]byte, (gsiBuckets/32+1)*4)
	var recs, starts []byte
	last := uint32(gsiBuckets)
	for i, e := range es {
		recs = append(recs, u32s(e.off+1, 1)...)
		if e.bucket != last {
			last = e.bucket
			bitmap[e.bucket/8] |= 1 << (e.bucket % 8)
			starts = append(starts, u32s(uint32(i)*gsiMemRecord)...)
		}
	}
	return cat(u32s(gsiSignature, gsiVersion, uint32(len(recs)), uint32(len(bitmap)+len(starts))), recs, bitmap, starts)
}

// recName is the name of a public symbol record.
func recName(b []byte) string {
	d := decoder{b: b[4:]}
	d.bytes(10)
	return d.strz()
}

func (p parts) build() []byte {
	if p.blockSize == 0 {
		p.blockSize = 512
	}
	return writeMSFOf(p.blockSize, p.streams())
}

// section is the header of .text at an address.
func section(rva uint32) []byte {
	return cat([]byte(".text\x00\x00\x00"), u32s(0x2000, rva, 0x2000), make([]byte, 16), u32s(0x60000020))
}

func (p parts) streams() [][]byte {
	feature := p.feature
	if feature == 0 {
		feature = featVC140
	}
	names := cat(z("/names"))
	info := cat(u32s(infoVC70, 1, 7), make([]byte, 16), u32s(uint32(len(names))), names, u32s(1, 1, 1, 1, 0, 0, 9), u32s(0, feature))
	addr := append([]uint32(nil), p.publics...)
	place := func(o uint32) uint64 {
		d := decoder{b: p.symrecs[o+8:]}
		off := d.u32()
		return segOff(d.u16(), off)
	}
	sort.SliceStable(addr, func(i, j int) bool { return place(addr[i]) < place(addr[j]) })
	pub := p.rawPublics
	if pub == nil {
		hash := gsiBytes(p.symrecs, p.publics)
		pub = cat(u32s(uint32(len(hash)), uint32(len(addr)*4), 0, 0, 0, 0, 0), hash, u32s(addr...))
	}
	modSyms := cat(u32s(4), p.module)
	contrib := cat(u16s(1, 0), u32s(0, 0x1000, 0x60000020), u16s(0, 0), u32s(0, 0))
	mod := cat(u32s(0), contrib, u16s(0, 8), u32s(uint32(len(modSyms)), 0, uint32(len(p.c13))), u16s(1, 0), u32s(0, 0, 0), z("a.obj"), z("a.lib"))
	for len(mod)%4 != 0 {
		mod = append(mod, 0)
	}
	contribs := cat(u32s(contribV60), contrib)
	files := cat(u16s(1, 1, 0, 1), u32s(0), z("a.c"))
	number := func(n uint16, stream []byte) uint16 {
		if stream == nil {
			return noStream
		}
		return n
	}
	dbg := u16s(noStream, noStream, noStream, number(11, p.omapTo), number(12, p.omapFrom), 10, noStream, noStream, noStream,
		number(14, p.frames), number(13, p.original))
	dbi := cat(u32s(0xffffffff, 19990903, 3), u16s(6, 0, 5, 0, 7, 0),
		u32s(uint32(len(mod)), uint32(len(contribs)), 0, uint32(len(files)), 0, 0, uint32(len(dbg)), 0), u16s(0, 0x8664), u32s(0),
		mod, contribs, files, dbg)
	sections := p.sections
	if sections == nil {
		sections = section(0x1000)
	}
	nameStream := cat(u32s(namesSignature, 1, uint32(len(p.names))), p.names)
	tpi, hash := typeStreamBytes(p.tpi, p.tpiEnd), []byte(nil)
	if p.typeHash {
		tpi, hash = hashTypes(p.tpi)
	}
	return [][]byte{
		{},
		info, tpi, dbi, typeStreamBytes(p.ipi, 0),
		pub, gsiBytes(p.symrecs, p.globals), p.symrecs, cat(modSyms, p.c13), nameStream, sections,
		p.omapTo, p.omapFrom, p.original, p.frames, hash,
	}
}

const typeHashStream = 15

// hashTypes returns a type stream with the hash of its structures' names and
// the index of its records, which are in a stream of their own.
func hashTypes(recs []byte) (stream, hash []byte) {
	var values, index []byte
	n, last := uint32(0), -8192
	for off := 0; off < len(recs); n++ {
		r := recs[off : off+int(binary.LittleEndian.Uint16(recs[off:]))+2]
		if off-last >= 8192 {
			index = append(index, u32s(firstTI+n, uint32(off))...)
			last = off
		}
		value := uint32(0)
		if binary.LittleEndian.Uint16(r[2:]) == lfStructure {
			d := decoder{b: r[22:]}
			value = hashV1([]byte(d.strz()))
		}
		values = append(values, u32s(value%typeBuckets)...)
		off += len(r)
	}
	h := u32s(20040203, tpiHeaderLen, firstTI, firstTI+n, uint32(len(recs)))
	h = append(h, u16s(typeHashStream, noStream)...)
	h = append(h, u32s(4, typeBuckets, 0, uint32(len(values)), uint32(len(values)), uint32(len(index)), 0, 0)...)
	return cat(h, recs), cat(values, index)
}

const typeBuckets = 0x3ffff
