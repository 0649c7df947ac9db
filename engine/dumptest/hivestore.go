package dumptest

import (
	"fmt"
	"slices"
	"sort"
)

// A hiveStore is one of a hive's two storages in the making: bins of whole
// blocks, with cells in them. Layout: public descriptions of the hive file
// format (bins begin with "hbin", cells with their negative size).
type hiveStore struct {
	h     *Hive
	bit   uint32 // volatileBit for the volatile storage
	space *Space // where its blocks are mapped
	bins  []*hiveBin
	free  []extent       // room inside of bins
	first map[uint32]int // by size: before it nothing in free is large enough
}

const (
	volatileBit   = 1 << 31
	hiveBlock     = 0x1000
	hiveBinHeader = 0x20
	hiveTable     = 512 // blocks that one table of the map has
)

// A hiveBin is a run of blocks. One that is absent was never read from the
// file: the map has it, memory does not.
type hiveBin struct {
	off, size uint32
	absent    bool
	addr      uint64
}

type extent struct{ off, size uint32 }

func (s *hiveStore) index(off uint32) uint32 { return off | s.bit }

// cover makes bins for pieces whose places are given.
func (s *hiveStore) cover(pieces []extent) {
	slices.SortFunc(pieces, func(a, b extent) int { return int(int64(a.off) - int64(b.off)) })
	var runs []extent
	for _, p := range pieces {
		first, end := p.off&^(hiveBlock-1), roundUp(p.off+p.size, uint32(hiveBlock))
		if n := len(runs); n > 0 && first < runs[n-1].off+runs[n-1].size {
			runs[n-1].size = max(runs[n-1].size, end-runs[n-1].off)
		} else {
			runs = append(runs, extent{first, end - first})
		}
	}
	for _, r := range runs {
		if end := s.end(); r.off > end {
			s.bins = append(s.bins, &hiveBin{off: end, size: r.off - end, absent: true})
		}
		s.addBin(r.off, r.size)
	}
}

// stretch gives the storage its full length.
func (s *hiveStore) stretch(length uint32) {
	if end := s.end(); length > end {
		s.bins = append(s.bins, &hiveBin{off: end, size: length - end, absent: true})
	}
}

func (s *hiveStore) end() uint32 {
	if len(s.bins) == 0 {
		return 0
	}
	last := s.bins[len(s.bins)-1]
	return last.off + last.size
}

func (s *hiveStore) addBin(off, size uint32) {
	s.bins = append(s.bins, &hiveBin{off: off, size: size})
	s.free = append(s.free, extent{off + hiveBinHeader, size - hiveBinHeader})
}

func cellSize(content int) uint32 { return uint32(roundUp(content+4, 8)) }

// take allocates a cell for some bytes of content.
func (s *hiveStore) take(content int) uint32 {
	size := cellSize(content)
	if s.first == nil {
		s.first = map[uint32]int{}
	}
	for {
		for i := s.first[size]; i < len(s.free); i++ {
			if e := &s.free[i]; e.size >= size {
				off := e.off
				e.off, e.size = e.off+size, e.size-size
				s.first[size] = i
				return off
			}
		}
		s.first[size] = len(s.free)
		s.grow(roundUp(size+hiveBinHeader, uint32(hiveBlock)))
	}
}

// grow makes one more bin, out of what is absent where there is such.
func (s *hiveStore) grow(size uint32) {
	for i, b := range s.bins {
		if b.absent && b.size >= size {
			off := b.off
			if b.off, b.size = b.off+size, b.size-size; b.size == 0 {
				s.bins = slices.Delete(s.bins, i, i+1)
			}
			s.bins = slices.Insert(s.bins, i, &hiveBin{off: off, size: size})
			s.free = append(s.free, extent{off + hiveBinHeader, size - hiveBinHeader})
			return
		}
	}
	s.addBin(s.end(), size)
}

// takeAt allocates a cell whose place is given.
func (s *hiveStore) takeAt(off uint32, content int) {
	size := cellSize(content)
	for i, e := range s.free {
		if off >= e.off && off+size <= e.off+e.size {
			s.free[i].size = off - e.off
			s.free = append(s.free, extent{off + size, e.off + e.size - off - size})
			return
		}
	}
	panic(fmt.Sprintf("dumptest: %s: the cell %#x of %#x bytes has no room", s.h.opt.Mount, off, size))
}

// place gives the bins their addresses.
func (s *hiveStore) place(pool bool, base uint64) {
	m := s.h.m
	if pool {
		s.space = m.Kernel
	} else {
		s.space = m.RegistryProcess().Space
	}
	next := base
	if !pool && base == 0 {
		next = m.registry.views
		m.registry.views += 0x4000000
	}
	for i, b := range s.bins {
		switch {
		case pool:
			m.paged = roundUp(m.paged, pageSize)
			b.addr = m.paged
			if m.paged += uint64(b.size); !b.absent {
				m.Kernel.MapNew(b.addr, uint64(b.size), ReadWrite)
			}
		default:
			if base == 0 && i%5 == 4 {
				next += 0x30000 // another view
			}
			if b.addr = next; !b.absent {
				s.space.MapNew(b.addr, uint64(b.size), ReadWrite)
			}
			next += uint64(b.size)
		}
		if !b.absent {
			head := append([]byte("hbin"), le.AppendUint32(le.AppendUint32(nil, b.off), b.size)...)
			s.space.Write(b.addr, head)
			s.space.U32(b.addr+0x1c, b.size)
		}
	}
	for _, e := range s.free {
		if e.size > 0 {
			s.space.U32(s.addr(e.off), e.size)
		}
	}
}

func (s *hiveStore) bin(off uint32) *hiveBin {
	i := sort.Search(len(s.bins), func(i int) bool { return off < s.bins[i].off+s.bins[i].size })
	if i < len(s.bins) && off >= s.bins[i].off {
		return s.bins[i]
	}
	panic(fmt.Sprintf("dumptest: %s has no block for the cell %#x", s.h.opt.Mount, off))
}

// addr is where the byte of the storage lies.
func (s *hiveStore) addr(off uint32) uint64 {
	b := s.bin(off)
	return b.addr + uint64(off-b.off)
}

// put writes a cell in use.
func (s *hiveStore) put(off uint32, content []byte) {
	at := s.addr(off)
	s.space.U32(at, -cellSize(len(content)))
	s.space.Write(at+4, content)
}

// writeMap writes the storage's map and enters it in the hive.
func (s *hiveStore) writeMap(dual string, given uint64) {
	m, k := s.h.m, s.h.m.Kernel
	o := k.obj("_CMHIVE", s.h.va)
	k.link(o.addr(dual + ".FreeBins"))
	length := s.end()
	o.set(dual+".Length", uint64(length))
	if length == 0 {
		return
	}
	tables := (length/hiveBlock + hiveTable - 1) / hiveTable
	directory := given
	switch {
	case tables == 1 && given == 0:
		directory = o.addr(dual + ".SmallDir")
	case given == 0:
		directory = m.allocPaged(m.l.size("_HMAP_DIRECTORY"))
	default:
		k.MapNew(given, uint64(m.l.size("_HMAP_DIRECTORY")), ReadWrite)
	}
	o.set(dual+".Map", directory)
	entry := uint64(m.l.size("_HMAP_ENTRY"))
	for t := range tables {
		table := m.allocPaged(m.l.size("_HMAP_TABLE"))
		k.U64(directory+8*uint64(t), table)
		for i := range uint32(hiveTable) {
			if off := (t*hiveTable + i) * hiveBlock; off < length {
				s.writeEntry(table+uint64(i)*entry, off)
			}
		}
	}
}

func (s *hiveStore) writeEntry(at uint64, off uint32) {
	b := s.bin(off)
	flags := uint64(0)
	e := s.h.m.Kernel.obj("_HMAP_ENTRY", at)
	if off == b.off {
		flags = 1 // an allocation begins here
		e.set("MemAlloc", uint64(b.size))
	}
	bin := "PermanentBinAddress"
	if _, _, err := s.h.m.l.lookup("_HMAP_ENTRY", "TemporaryBinAddress"); err == nil && s.bit == 0 && off/hiveBlock%2 == 1 {
		bin = "TemporaryBinAddress" // mapped, but not for good
	}
	e.set(bin, b.addr|flags).set("BlockOffset", uint64(off-b.off))
}
