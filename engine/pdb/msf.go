package pdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

const (
	msfMagic      = "Microsoft C/C++ MSF 7.00\r\n\x1aDS\x00\x00\x00"
	msf2Magic     = "Microsoft C/C++ program database 2.00\r\n\x1aJG"
	msfzMagic     = "Microsoft MSFZ Container"
	portableMagic = "BSJB"

	superBlockLen = 56
	deletedStream = 0xffffffff // the size of a stream that was removed
)

// An msf is a multi-stream file: numbered streams, each a list of blocks that
// may lie anywhere.
type msf struct {
	data      []byte
	closed    atomic.Bool
	blockSize uint32
	shift     uint   // blockSize == 1<<shift
	numBlocks uint32 // as the file holds them, whatever the header says

	read func(n uint32) // told how much is looked at; nil but in tests

	// dir is the stream directory: sizes, then the block numbers of all streams.
	dir   []byte
	sizes []uint32
	first []uint32 // per stream: index of its first block number in dir, in bytes
}

func openMSF(data []byte) (*msf, error) {
	switch {
	case bytes.HasPrefix(data, []byte(portableMagic)):
		return nil, &UnsupportedError{"portable PDB (.NET)", "it describes managed code only; native symbols need a Windows PDB (MSF 7.00)"}
	case bytes.HasPrefix(data, []byte(msf2Magic)):
		return nil, &UnsupportedError{"PDB 2.00 (Visual C++ 6 and older)", "only MSF 7.00 files are read"}
	case bytes.HasPrefix(data, []byte(msfzMagic)):
		return nil, &UnsupportedError{"compressed PDB (MSFZ)", "unpack it to an MSF 7.00 file first"}
	case !bytes.HasPrefix(data, []byte(msfMagic)):
		return nil, &FormatError{"MSF superblock", 0, "not a PDB file: no MSF 7.00 signature"}
	}
	d := &decoder{record: "MSF superblock", b: data[:min(len(data), superBlockLen)], off: len(msfMagic)}
	m := &msf{data: data, blockSize: d.u32()}
	d.u32() // free block map
	claimed := d.u32()
	dirLen := d.u32()
	d.u32()
	mapBlock := d.u32()
	if d.err != nil {
		return nil, d.err
	}
	switch m.blockSize {
	case 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536:
	default:
		return nil, &FormatError{d.record, 32, fmt.Sprintf("block size %d", m.blockSize)}
	}
	for m.shift = 9; 1<<m.shift != m.blockSize; m.shift++ {
	}
	// A last block that is cut short still holds what it holds.
	m.numBlocks = uint32(min((uint64(len(data))+uint64(m.blockSize)-1)>>m.shift, 1<<32-1))
	m.numBlocks = min(m.numBlocks, claimed)
	if err := m.readDirectory(dirLen, mapBlock); err != nil {
		return nil, err
	}
	return m, nil
}

// readDirectory copies the directory, whose blocks are scattered too: their
// numbers stand in a block of their own. A directory too long for one such
// block (of a PDB of 4 GB) has several, named one after the other in the
// superblock; LLVM writes them in sequence and names the first only.
func (m *msf) readDirectory(dirLen, mapBlock uint32) error {
	const record = "MSF directory"
	n := m.blocksFor(dirLen)
	if n > m.numBlocks {
		return &FormatError{record, 44, fmt.Sprintf("directory of %d bytes in a file of %d", dirLen, len(m.data))}
	}
	var blockMap []byte
	for i, left := uint32(0), n*4; left > 0; i++ {
		k := min(left, m.blockSize)
		b := mapBlock + i
		if at := superBlockLen - 4 + i*4; i > 0 && at+4 <= m.blockSize {
			if named := binary.LittleEndian.Uint32(m.data[at:]); named != 0 {
				b = named
			}
		}
		p, err := m.block(record, b, 0, k)
		if err != nil {
			return &FormatError{record, 52, fmt.Sprintf("block map in block %d of %d", b, m.numBlocks)}
		}
		blockMap = append(blockMap, p...)
		left -= k
	}
	m.dir = make([]byte, 0, dirLen)
	for left := dirLen; left > 0; {
		b := binary.LittleEndian.Uint32(blockMap)
		blockMap = blockMap[4:]
		k := min(left, m.blockSize)
		p, err := m.block(record, b, 0, k)
		if err != nil {
			return err
		}
		m.dir = append(m.dir, p...)
		left -= k
	}
	d := &decoder{record: record, b: m.dir}
	count := d.u32()
	if d.err != nil || uint64(count)*4 > uint64(d.left()) {
		return &FormatError{record, 0, fmt.Sprintf("%d streams in a directory of %d bytes", count, dirLen)}
	}
	m.sizes = make([]uint32, count)
	m.first = make([]uint32, count)
	at := uint64(4) + uint64(count)*4
	for i := range m.sizes {
		size := d.u32()
		if size == deletedStream {
			m.sizes[i], m.first[i] = deletedStream, uint32(at)
			continue
		}
		m.sizes[i], m.first[i] = size, uint32(min(at, uint64(dirLen)))
		at += uint64(m.blocksFor(size)) * 4
		if at > uint64(dirLen) {
			// Streams that end before this one can be read all the same.
			m.sizes, m.first = m.sizes[:i], m.first[:i]
			if i < 2 {
				return &FormatError{record, 4 + int64(i)*4, fmt.Sprintf("stream %d of %d bytes does not fit the directory", i, size)}
			}
			break
		}
	}
	return nil
}

func (m *msf) blocksFor(size uint32) uint32 {
	return uint32((uint64(size) + uint64(m.blockSize) - 1) >> m.shift)
}

// block returns n bytes at off of one block.
func (m *msf) block(record string, b, off, n uint32) ([]byte, error) {
	if m.read != nil {
		m.read(n)
	}
	at := uint64(b)<<m.shift + uint64(off)
	if b == 0 || b >= m.numBlocks || at+uint64(n) > uint64(len(m.data)) {
		return nil, &FormatError{record, int64(off), fmt.Sprintf("block %d of %d is not in the file", b, m.numBlocks)}
	}
	return m.data[at : at+uint64(n)], nil
}

// A stream is one stream of the file. A nil *stream is an absent one: it is
// empty.
type stream struct {
	m    *msf
	name string // for errors
	size uint32
	dir  []byte // its block numbers
}

const noStream = 0xffff // "no such stream" in 16-bit stream numbers

// stream returns the stream of this number, or nil if there is none.
func (m *msf) stream(n uint32, name string) *stream {
	if n == noStream || n >= uint32(len(m.sizes)) || m.sizes[n] == deletedStream {
		return nil
	}
	size := m.sizes[n]
	at := m.first[n]
	return &stream{m: m, name: name, size: size, dir: m.dir[at : at+4*m.blocksFor(size)]}
}

func (s *stream) len() uint32 {
	if s == nil {
		return 0
	}
	return s.size
}

func (s *stream) blockAt(i uint32) uint32 { return binary.LittleEndian.Uint32(s.dir[i*4:]) }

// view returns n bytes at off. It shares the file's memory where the bytes lie
// in one piece and copies them where they do not; callers must not keep it
// longer than the record they decode.
func (s *stream) view(off, n uint32) ([]byte, error) {
	if s == nil {
		return nil, &FormatError{"stream", int64(off), "the stream is missing"}
	}
	if s.m.closed.Load() {
		return nil, ErrClosed
	}
	if uint64(off)+uint64(n) > uint64(s.size) {
		return nil, &FormatError{s.name, int64(off), fmt.Sprintf("need %d bytes, have %d", n, s.size-min(off, s.size))}
	}
	if n == 0 {
		return nil, nil
	}
	m := s.m
	i, in := off>>m.shift, off&(m.blockSize-1)
	last := (off + n - 1) >> m.shift
	b := s.blockAt(i)
	whole := true
	for j := i + 1; j <= last; j++ {
		if s.blockAt(j) != b+(j-i) {
			whole = false
			break
		}
	}
	if whole {
		if m.read != nil {
			m.read(n)
		}
		at := uint64(b)<<m.shift + uint64(in)
		if b == 0 || uint64(b)+uint64(last-i) >= uint64(m.numBlocks) || at+uint64(n) > uint64(len(m.data)) {
			return nil, &FormatError{s.name, int64(off), fmt.Sprintf("block %d of %d is not in the file", b, m.numBlocks)}
		}
		return m.data[at : at+uint64(n) : at+uint64(n)], nil
	}
	out := make([]byte, 0, n)
	for ; n > 0; i++ {
		k := min(n, m.blockSize-in)
		p, err := m.block(s.name, s.blockAt(i), in, k)
		if err != nil {
			return nil, err
		}
		out = append(out, p...)
		n -= k
		in = 0
	}
	return out, nil
}

func (s *stream) u16(off uint32) (uint16, error) {
	b, err := s.view(off, 2)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint16(b), nil
}

func (s *stream) u32(off uint32) (uint32, error) {
	b, err := s.view(off, 4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

// decoder returns a decoder over n bytes at off; a failure to read them is
// its error.
func (s *stream) decoder(record string, off, n uint32) *decoder {
	b, err := s.view(off, n)
	return &decoder{record: record, base: int64(off), b: b, err: err}
}

// recordAt returns the record at off without its length field: its kind, its
// bytes behind the kind, and where the next one starts.
func (s *stream) recordAt(off uint32) (kind uint16, body []byte, next uint32, err error) {
	n, err := s.u16(off)
	if err != nil {
		return 0, nil, 0, err
	}
	if n < 2 {
		return 0, nil, 0, &FormatError{s.name, int64(off), fmt.Sprintf("record of length %d", n)}
	}
	b, err := s.view(off+2, uint32(n))
	if err != nil {
		return 0, nil, 0, err
	}
	return binary.LittleEndian.Uint16(b), b[2:], off + 2 + uint32(n), nil
}
