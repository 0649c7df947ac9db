package pdb

import (
	"fmt"
	"sort"
	"sync"
)

const (
	dbiHeaderLen   = 64
	dbiIncremental = 1
	dbiStripped    = 2
)

// Entries of the optional debug header.
const (
	dbgFPO         = 0
	dbgOmapTo      = 3
	dbgOmapFrom    = 4
	dbgSections    = 5
	dbgNewFPO      = 9
	dbgOrigSection = 10
)

// dbiStream is the header of the DBI stream and where its parts lie.
type dbiStream struct {
	s       *stream
	flags   uint16
	machine uint16

	globals, publics, symrecs uint32 // stream numbers

	modInfo, contrib, secMap, fileInfo, typeServers, ec extent
	dbg                                                 []uint16
}

type extent struct{ off, len uint32 }

// readDBI reads the header. A PDB without a DBI stream has types only.
func (f *File) readDBI() error {
	const record = "DBI stream"
	dbi := &f.dbi
	dbi.globals, dbi.publics, dbi.symrecs = noStream, noStream, noStream
	dbi.s = f.m.stream(3, record)
	if dbi.s.len() == 0 {
		return nil
	}
	d := dbi.s.decoder(record, 0, min(dbiHeaderLen, dbi.s.len()))
	if sig := d.u32(); sig != 0xffffffff && d.err == nil {
		return &UnsupportedError{"PDB with an old DBI stream", "it was written before Visual C++ 4.1"}
	}
	d.u32() // version
	f.id.Age = d.u32()
	dbi.globals = uint32(d.u16())
	d.u16() // build number
	dbi.publics = uint32(d.u16())
	d.u16() // version of the DLL that wrote it
	dbi.symrecs = uint32(d.u16())
	d.u16()
	var sizes [7]uint32 // in the order of the header
	for i := range 5 {
		sizes[i] = d.u32()
	}
	d.u32() // type server index
	sizes[5], sizes[6] = d.u32(), d.u32()
	dbi.flags = d.u16()
	dbi.machine = d.u16()
	d.u32()
	if d.err != nil {
		return d.err
	}
	at := uint32(dbiHeaderLen)
	place := func(what string, n uint32) extent {
		if n > dbi.s.len()-at { // also for negative sizes
			d.fail("%s of %d bytes in a stream of %d", what, n, dbi.s.len())
			n = dbi.s.len() - at
		}
		e := extent{at, n}
		at += n
		return e
	}
	// The parts lie in this order; the header gives the last two swapped.
	dbi.modInfo = place("module list", sizes[0])
	dbi.contrib = place("section contributions", sizes[1])
	dbi.secMap = place("section map", sizes[2])
	dbi.fileInfo = place("file list", sizes[3])
	dbi.typeServers = place("type server map", sizes[4])
	dbi.ec = place("edit and continue names", sizes[6])
	dbg := place("debug header", sizes[5])
	if d.err != nil {
		return d.err
	}
	h := dbi.s.decoder(record, dbg.off, dbg.len)
	for h.left() >= 2 && len(dbi.dbg) < 64 {
		dbi.dbg = append(dbi.dbg, h.u16())
	}
	return h.err
}

// debugStream returns a stream named in the optional debug header, or nil.
func (f *File) debugStream(i int, name string) *stream {
	if i >= len(f.dbi.dbg) {
		return nil
	}
	return f.m.stream(uint32(f.dbi.dbg[i]), name)
}

func (f *File) initLazy() {
	f.names = sync.OnceValue(f.readNames)
	f.modules = sync.OnceValue(f.readModules)
	f.contribs = sync.OnceValue(f.readContributions)
	f.sections = sync.OnceValue(func() []Section { return readSections(f.debugStream(dbgSections, "section header stream")) })
	f.origSecs = sync.OnceValue(func() []Section {
		return readSections(f.debugStream(dbgOrigSection, "original section header stream"))
	})
	f.files = sync.OnceValue(f.readFileList)
	f.data = sync.OnceValue(f.readGlobalData)
	f.private = sync.OnceValue(f.readPrivate)
	f.fpos = sync.OnceValue(f.readFPO)
	f.frames = sync.OnceValue(f.readFrames)
	f.omapTo = sync.OnceValue(func() []omapEntry { return readOmap(f.debugStream(dbgOmapTo, "OMAP to source")) })
	f.omapFrom = sync.OnceValue(func() []omapEntry { return readOmap(f.debugStream(dbgOmapFrom, "OMAP from source")) })
}

// A Section is an image section header.
type Section struct {
	Name            string
	VirtualSize     uint32
	RVA             uint32
	RawSize         uint32
	Characteristics uint32
}

// Sections returns the section headers of the image, as the PDB has them.
func (f *File) Sections() []Section { return f.sections() }

const sectionHeaderLen = 40

func readSections(s *stream) []Section {
	n := min(s.len()/sectionHeaderLen, 0xffff)
	if n == 0 {
		return nil
	}
	d := s.decoder(s.name, 0, n*sectionHeaderLen)
	secs := make([]Section, 0, n)
	for range n {
		name := d.bytes(8)
		sec := Section{VirtualSize: d.u32(), RVA: d.u32(), RawSize: d.u32()}
		d.bytes(16)
		sec.Characteristics = d.u32()
		if d.err != nil {
			return secs
		}
		for len(name) > 0 && name[len(name)-1] == 0 {
			name = name[:len(name)-1]
		}
		sec.Name = string(name)
		secs = append(secs, sec)
	}
	return secs
}

// symbolSections are the sections that symbols' section numbers refer to: of
// the image before it was rearranged, when it was.
func (f *File) symbolSections() []Section {
	if len(f.omapFrom()) > 0 {
		if s := f.origSecs(); len(s) > 0 {
			return s
		}
	}
	return f.sections()
}

// RVA translates a section and offset to an address relative to the image's
// base. Absolute symbols have a section number past the last section and no
// such address.
func (f *File) RVA(seg uint16, off uint32) (uint32, bool) {
	secs := f.symbolSections()
	if seg == 0 || int(seg) > len(secs) {
		return 0, false
	}
	rva := uint64(secs[seg-1].RVA) + uint64(off)
	if rva >= 1<<32 {
		return 0, false
	}
	return omapLookup(f.omapFrom(), uint32(rva))
}

// mappedSize is how far the section reaches in memory: to the end of its last
// page, whose rest debuggers count to the section too.
func (s *Section) mappedSize() uint64 {
	const page = 0x1000
	return (uint64(max(s.VirtualSize, s.RawSize)) + page - 1) &^ (page - 1)
}

// SegOff is the reverse of RVA.
func (f *File) SegOff(rva uint32) (seg uint16, off uint32, ok bool) {
	rva, ok = omapLookup(f.omapTo(), rva)
	if !ok {
		return 0, 0, false
	}
	for i, s := range f.symbolSections() {
		if rva >= s.RVA && uint64(rva-s.RVA) < s.mappedSize() {
			return uint16(i + 1), rva - s.RVA, true
		}
	}
	return 0, 0, false
}

type omapEntry struct{ rva, to uint32 }

func readOmap(s *stream) []omapEntry {
	n := s.len() / 8
	if n == 0 {
		return nil
	}
	d := s.decoder(s.name, 0, n*8)
	if d.err != nil {
		return nil
	}
	om := make([]omapEntry, n)
	for i := range om {
		om[i] = omapEntry{d.u32(), d.u32()}
	}
	if !sort.SliceIsSorted(om, func(i, j int) bool { return om[i].rva < om[j].rva }) {
		sort.SliceStable(om, func(i, j int) bool { return om[i].rva < om[j].rva })
	}
	return om
}

// omapLookup translates an address; without a map it stays what it is. An
// entry that leads to 0 marks bytes that were taken out or put in.
func omapLookup(om []omapEntry, rva uint32) (uint32, bool) {
	if len(om) == 0 {
		return rva, true
	}
	i := sort.Search(len(om), func(i int) bool { return om[i].rva > rva })
	if i == 0 || om[i-1].to == 0 {
		return 0, false
	}
	return om[i-1].to + (rva - om[i-1].rva), true
}

// A Module is one object file or import that was linked into the image.
type Module struct {
	Index  int
	Name   string // path of the object file, "* Linker *", "Import:ntdll.dll"
	Object string // the library it came from, or the object file again

	stream              uint16
	symBytes            uint32
	c11Bytes, c13Bytes  uint32
	first               Contribution
	files               uint16
	pdbName, sourceName uint32
}

// HasSymbols reports whether the module has symbol records of its own.
func (m *Module) HasSymbols() bool { return m.symBytes > 4 && m.stream != noStream }

// Modules returns the modules in the order of the file.
func (f *File) Modules() []Module { return f.modules() }

// maxModules bounds the module list; module numbers have 16 bits.
const maxModules = 0xffff

func (f *File) readModules() []Module {
	e := f.dbi.modInfo
	if e.len == 0 {
		return nil
	}
	d := f.dbi.s.decoder("module list", e.off, e.len)
	var mods []Module
	for d.left() >= 64 && len(mods) < maxModules {
		m := Module{Index: len(mods)}
		d.u32()
		m.first = readContribution(d, false)
		d.u16() // flags
		m.stream = d.u16()
		m.symBytes, m.c11Bytes, m.c13Bytes = d.u32(), d.u32(), d.u32()
		m.files = d.u16()
		d.u16()
		d.u32()
		m.sourceName, m.pdbName = d.u32(), d.u32()
		m.Name, m.Object = d.strz(), d.strz()
		if d.err != nil {
			break
		}
		d.off = min(len(d.b), (d.off+3)&^3)
		mods = append(mods, m)
	}
	return mods
}

// A Contribution is a piece of a section that came from one module.
type Contribution struct {
	Seg             uint16
	Off, Size       uint32
	Characteristics uint32
	Module          uint16
}

func readContribution(d *decoder, v2 bool) Contribution {
	c := Contribution{Seg: d.u16()}
	d.u16()
	c.Off, c.Size, c.Characteristics = d.u32(), d.u32(), d.u32()
	c.Module = d.u16()
	d.u16()
	d.u32() // CRC of the data
	d.u32() // CRC of the relocations
	if v2 {
		d.u32() // COFF section index
	}
	return c
}

const (
	contribV60 = 0xeffe0000 + 19970605
	contribV2  = 0xeffe0000 + 20140516
)

// readContributions sorts them by address where the file does not.
func (f *File) readContributions() []Contribution {
	e := f.dbi.contrib
	if e.len < 4 {
		return nil
	}
	d := f.dbi.s.decoder("section contributions", e.off, e.len)
	size := 28
	version := d.u32()
	switch {
	case version == contribV2:
		size = 32
	case version != contribV60:
		return nil
	}
	n := d.left() / size
	cs := make([]Contribution, 0, n)
	for range n {
		cs = append(cs, readContribution(d, size == 32))
	}
	if d.err != nil {
		return nil
	}
	less := func(i, j int) bool {
		return segOff(cs[i].Seg, cs[i].Off) < segOff(cs[j].Seg, cs[j].Off)
	}
	if !sort.SliceIsSorted(cs, less) {
		sort.SliceStable(cs, less)
	}
	return cs
}

func segOff(seg uint16, off uint32) uint64 { return uint64(seg)<<32 | uint64(off) }

// Contributions returns the pieces of the image in the order of addresses.
func (f *File) Contributions() []Contribution { return f.contribs() }

// ModuleAt returns the module whose contribution covers an address.
func (f *File) ModuleAt(rva uint32) (*Module, bool) {
	seg, off, ok := f.SegOff(rva)
	if !ok {
		return nil, false
	}
	cs := f.contribs()
	i := sort.Search(len(cs), func(i int) bool { return segOff(cs[i].Seg, cs[i].Off) > segOff(seg, off) })
	// Contributions of size 0 may share an address with the one that counts.
	for i--; i >= 0 && cs[i].Seg == seg; i-- {
		c := cs[i]
		if off-c.Off < c.Size {
			return f.moduleByIndex(int(c.Module))
		}
		if c.Size > 0 {
			break
		}
	}
	return nil, false
}

func (f *File) moduleByIndex(i int) (*Module, bool) {
	mods := f.modules()
	if i < 0 || i >= len(mods) {
		return nil, false
	}
	return &mods[i], true
}

func (c Contribution) String() string {
	return fmt.Sprintf("%04X:%08X+%X module %d", c.Seg, c.Off, c.Size, c.Module)
}
