package dumptest

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// AddStream returns a PDB with one more named stream, as linkers write
// "sourcelink" and source indexing tools "srcsrv". The old blocks stay where
// they are; the new ones and a new directory come behind them (LLVM's "The MSF
// File Format" and "The PDB Info Stream").
func AddStream(pdb []byte, name string, data []byte) ([]byte, error) {
	m, err := openMSF(pdb)
	if err != nil {
		return nil, err
	}
	info, err := withName(m.read(1), name, uint32(len(m.sizes)))
	if err != nil {
		return nil, err
	}
	m.sizes[1], m.blocks[1] = uint32(len(info)), m.write(info)
	m.sizes, m.blocks = append(m.sizes, uint32(len(data))), append(m.blocks, m.write(data))

	directory := le32(nil, uint32(len(m.sizes)))
	for _, n := range m.sizes {
		directory = le32(directory, n)
	}
	for _, list := range m.blocks {
		directory = le32(directory, list...)
	}
	at := m.write(le32(nil, m.write(directory)...))
	head := m.file[32:]
	binary.LittleEndian.PutUint32(head[8:], uint32(len(m.file))/m.size)
	binary.LittleEndian.PutUint32(head[12:], uint32(len(directory)))
	binary.LittleEndian.PutUint32(head[20:], at[0])
	return m.file, nil
}

func le32(b []byte, values ...uint32) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// An msf is a PDB as streams of blocks.
type msf struct {
	file   []byte
	size   uint32 // of a block
	sizes  []uint32
	blocks [][]uint32 // of each stream
}

const emptyStream = 0xffffffff

func openMSF(pdb []byte) (*msf, error) {
	if len(pdb) < 56 {
		return nil, fmt.Errorf("%d bytes are no PDB", len(pdb))
	}
	u := func(at uint32) uint32 { return binary.LittleEndian.Uint32(pdb[at:]) }
	m := &msf{file: append([]byte(nil), pdb...), size: u(32)}
	length := u(44)
	var directory []byte
	for i := range (length + m.size - 1) / m.size {
		at := u(u(52)*m.size+4*i) * m.size
		directory = append(directory, pdb[at:at+m.size]...)
	}
	words := make([]uint32, length/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(directory[4*i:])
	}
	n := words[0]
	m.sizes = append(m.sizes, words[1:1+n]...)
	rest := words[1+n:]
	for _, size := range m.sizes {
		if size == emptyStream {
			size = 0
		}
		count := (size + m.size - 1) / m.size
		m.blocks = append(m.blocks, rest[:count])
		rest = rest[count:]
	}
	return m, nil
}

func (m *msf) read(stream int) []byte {
	var b []byte
	for _, block := range m.blocks[stream] {
		b = append(b, m.file[block*m.size:(block+1)*m.size]...)
	}
	return b[:m.sizes[stream]]
}

// write puts data into new blocks at the end of the file. Two of as many blocks
// as a block has bytes belong to the free block maps.
func (m *msf) write(data []byte) []uint32 {
	var blocks []uint32
	for len(data) > 0 {
		at := uint32(len(m.file)) / m.size
		block := make([]byte, m.size)
		if k := at % m.size; k != 1 && k != 2 {
			data = data[copy(block, data):]
			blocks = append(blocks, at)
		}
		m.file = append(m.file, block...)
	}
	return blocks
}

// withName adds a name to the hash table of named streams in the info stream.
func withName(info []byte, name string, stream uint32) ([]byte, error) {
	const header = 28 // version, signature, age, GUID
	u := func(at uint32) uint32 { return binary.LittleEndian.Uint32(info[at:]) }
	at := header + 4 + u(header)
	text := append([]byte(nil), info[header+4:at]...)
	count, capacity := u(at), u(at+4)
	at += 8
	present := u(at)
	bits := make([]uint32, present)
	for i := range bits {
		bits[i] = u(at + 4 + 4*uint32(i))
	}
	at += 4 + 4*present
	at += 4 + 4*u(at) // deleted entries
	pairs := info[at : at+8*count]
	rest := info[at+8*count:]

	// The table has a place for each bit of present; the first free one is
	// taken, wherever the name's hash would lead: readers that look for all
	// names find it.
	free := uint32(0)
	for int(free/32) < len(bits) && bits[free/32]&(1<<(free%32)) != 0 {
		free++
	}
	if free >= capacity {
		return nil, fmt.Errorf("the table of %d named streams is full", capacity)
	}
	before := uint32(0)
	for i := range free {
		if bits[i/32]&(1<<(i%32)) != 0 {
			before++
		}
	}
	for int(free/32) >= len(bits) {
		bits = append(bits, 0)
	}
	bits[free/32] |= 1 << (free % 32)
	entry := le32(nil, uint32(len(text)), stream)
	text = append(append(text, name...), 0)

	out := append([]byte(nil), info[:header]...)
	out = append(le32(out, uint32(len(text))), text...)
	out = le32(out, count+1, capacity, uint32(len(bits)))
	out = le32(le32(out, bits...), 0)
	out = append(out, pairs[:8*before]...)
	out = append(out, entry...)
	out = append(out, pairs[8*before:]...)
	return append(out, rest...), nil
}

// IndexSources adds a stream to all PDBs of a name below a folder.
func IndexSources(dir, pdb, stream string, data []byte) error {
	found := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() != pdb {
			return err
		}
		found = true
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if b, err = AddStream(b, stream, data); err != nil {
			return err
		}
		return os.WriteFile(path, b, 0o600)
	})
	if err == nil && !found {
		err = fmt.Errorf("no %s below %s", pdb, dir)
	}
	return err
}
