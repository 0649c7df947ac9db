// Package pdb reads Windows program databases (MSF 7.00): public and private
// symbols, types, source lines, local variables and their places.
//
// Layouts follow the public description of the format (the LLVM project's "PDB
// file format" pages and the CodeView records it names) and were compared with
// what llvm-pdbutil prints of real files.
//
// A File is memory-mapped and lazy. Opening reads the stream directory and two
// small streams; a public symbol, a type or a procedure is found through the
// indexes in the file, so the cost of a question does not grow with the file.
// What a file claims is checked before use: a damaged one gives errors or
// fewer answers, never a panic or an endless loop.
//
// A File is safe for concurrent use. Close must not run beside other calls.
package pdb

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"

	mmap "github.com/edsrzf/mmap-go"
)

// A File is an open PDB.
type File struct {
	m      *msf
	mapped mmap.MMap // nil when the bytes were given

	id   ID
	info infoStream
	dbi  dbiStream

	tpi typeStream
	ipi typeStream

	symrecs *stream // symbol records that publics and globals point into
	publics gsi
	globals gsi
	addrMap addressMap

	names     func() *stringTable
	modules   func() []Module
	contribs  func() []Contribution
	sections  func() []Section
	origSecs  func() []Section
	omapTo    func() []omapEntry // image → original
	omapFrom  func() []omapEntry // original → image
	files     func() *fileList
	data      func() *globalData
	private   func() bool
	fpos      func() []FPO
	frames    func() []rawFrame
	modStates sync.Map // module index → *moduleState
	fwdCache  sync.Map // index of a forward reference → index of its definition
	typeCache sync.Map // type index → *types.Type
}

// An ID is what an image's debug directory says of its PDB.
type ID struct {
	GUID    GUID
	Age     uint32 // of the DBI stream: the one an image asks for
	InfoAge uint32 // of the PDB info stream, which other tools may count up
	Stamp   uint32 // the signature: the time the file was made
}

// A GUID is stored as Windows stores it: three little-endian numbers and eight bytes.
type GUID [16]byte

// String returns the 32 digits that symbol stores use.
func (g GUID) String() string {
	return fmt.Sprintf("%08X%04X%04X%X", binary.LittleEndian.Uint32(g[0:]), binary.LittleEndian.Uint16(g[4:]),
		binary.LittleEndian.Uint16(g[6:]), g[8:])
}

// Key is the folder name in a symbol store.
func (id ID) Key() string { return fmt.Sprintf("%s%X", id.GUID, id.Age) }

// Open maps the file read-only and reads its headers.
func Open(path string) (*File, error) {
	fd, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer fd.Close()
	st, err := fd.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() == 0 || !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, &FormatError{"MSF superblock", 0, "not a PDB file: it is empty or no regular file"})
	}
	data, err := mmap.Map(fd, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := New(data)
	if err != nil {
		_ = data.Unmap()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.mapped = data
	return f, nil
}

// New reads a PDB that is in memory. The bytes must not change afterwards.
func New(b []byte) (*File, error) {
	m, err := openMSF(b)
	if err != nil {
		return nil, err
	}
	f := &File{m: m}
	if err := f.init(); err != nil {
		return nil, err
	}
	return f, nil
}

// init reads what tells where everything is.
func (f *File) init() error {
	m := f.m
	if err := f.readInfo(); err != nil {
		return err
	}
	if err := f.readDBI(); err != nil {
		return err
	}
	f.tpi.init(m.stream(2, "TPI stream"), m, "TPI hash stream")
	if f.info.hasIDs {
		f.ipi.init(m.stream(4, "IPI stream"), m, "IPI hash stream")
	}
	f.initSymbols()
	f.initLazy()
	return nil
}

// Close unmaps the file. Types handed out before keep what was decoded;
// what was not is of kind Unknown or empty then.
func (f *File) Close() error {
	if f.m.closed.Swap(true) || f.mapped == nil {
		return nil
	}
	return f.mapped.Unmap()
}

// ID returns the file's identity.
func (f *File) ID() ID { return f.id }

// Machine returns the COFF machine type: 0x8664, 0x14c, 0xaa64; 0 when the
// file has no debug information stream.
func (f *File) Machine() uint16 { return f.dbi.machine }

// IsStripped reports whether private symbols were taken out of the file.
func (f *File) IsStripped() bool { return f.dbi.flags&dbiStripped != 0 }

// HasPrivate reports whether the file has global symbols or any module with
// symbols of its own: what WinDbg calls private symbols.
func (f *File) HasPrivate() bool { return f.private() }

func (f *File) readPrivate() bool {
	if f.globals.count() > 0 {
		return true
	}
	for _, m := range f.Modules() {
		if m.HasSymbols() {
			return true
		}
	}
	return false
}

// HasLines reports whether any module has source lines.
func (f *File) HasLines() bool {
	for _, m := range f.Modules() {
		if m.c13Bytes > 0 && f.m.stream(uint32(m.stream), "") != nil {
			return true
		}
	}
	return false
}

// PointerSize is 8 or 4, after the machine.
func (f *File) PointerSize() int {
	switch f.dbi.machine {
	case 0x14c, 0x1c0, 0x1c2, 0x1c4, 0x166:
		return 4
	}
	return 8
}
