// Package dump reads 64-bit Windows kernel crash dumps and serves the physical
// pages they hold: full, summary, bitmap, range and triage dumps (DumpType 1,
// 2, 4, 5, 6, 8, 9 and 0xa), plain or packed with zip or zstd. It also reads
// user minidumps (OpenUser), and images of 64-bit Windows' memory without a
// Windows header: ELF cores and raw ones.
//
// DUMP_HEADER64 is a public type of the kernel's symbol file. The records
// behind it (bitmap, range, triage) are not documented: their offsets come
// from dumps that Windows and its debugger wrote, and from what the debugger
// does with bytes changed in them. User minidumps follow the public minidump
// types, ELF cores the ELF specification and QEMU's note of registers.
//
// A dump is hostile input: every count and offset is bounded before it is
// used. What a damaged dump still holds can be read, and Warnings says what is
// wrong with it. A File is memory-mapped, uses memory that does not grow with
// the dump, never writes to it, and is safe for concurrent use until Close.
package dump

import (
	"fmt"
	"iter"
	"os"
	"sync"

	"github.com/edsrzf/mmap-go"

	"kdap/engine/memory"
)

// A File is an open kernel dump. It implements memory.Physical.
type File struct {
	Header *Header

	path     string // as the user named it
	data     mmap.MMap
	file     *os.File
	unpacked string
	typ      Type
	index    pageIndex // nil in triage dumps
	warnings []Warning

	blobsAt uint64      // where secondary data begins
	layout  Layout      // of the record behind the header
	triage  *TriageDump // type 4

	window      *window // of what is mapped at a time
	present     func() uint64
	machineOnce sync.Once
	machine     *segments // the machine's memory, from the header's runs
}

var _ memory.Physical = (*File)(nil)

// Path returns the path the dump was opened by, DataPath that of the file its
// bytes come from, which is another one when it had to be unpacked.
func (f *File) Path() string { return f.path }

// DataPath returns the path of the file that is mapped.
func (f *File) DataPath() string {
	if f.unpacked != "" {
		return f.unpacked
	}
	return f.path
}

// Size returns the size of the dump in bytes, unpacked.
func (f *File) Size() uint64 { return uint64(len(f.data)) }

// Type returns the type the dump is read as: Header.DumpType, or the one
// guessed where the writer left it out.
func (f *File) Type() Type { return f.typ }

// Warnings returns what is wrong with the dump, in the order found.
func (f *File) Warnings() []Warning { return f.warnings }

// Close unmaps the file. Slices returned by Page must not be used afterwards.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.data.Unmap()
	if e := f.file.Close(); err == nil {
		err = e
	}
	f.file = nil
	return err
}

// Page returns the page with frame number pfn, or false when the dump does not
// hold all of it.
func (f *File) Page(pfn uint64) ([]byte, bool) {
	if f.index == nil {
		return nil, false
	}
	off, ok := f.index.find(pfn)
	if !ok {
		return nil, false
	}
	size := uint64(len(f.data))
	if size < memory.PageSize || off > size-memory.PageSize {
		return nil, false
	}
	f.window.touch(off)
	return f.data[off : off+memory.PageSize : off+memory.PageSize], true
}

// Runs yields the pages that the dump holds, in ascending order, as runs. Runs
// that touch may be yielded apart.
func (f *File) Runs() iter.Seq[Run] {
	return func(yield func(Run) bool) {
		if f.index == nil {
			return
		}
		for r, off := range f.index.runs() {
			if r.PageCount = min(r.PageCount, f.wholePages(off)); r.PageCount > 0 && !yield(r) {
				return
			}
		}
	}
}

// wholePages returns how many pages lie between off and the end of the file.
func (f *File) wholePages(off uint64) uint64 {
	if size := uint64(len(f.data)); off < size {
		return (size - off) / memory.PageSize
	}
	return 0
}

// PresentPages returns how many pages the dump holds.
func (f *File) PresentPages() uint64 { return f.present() }

// PhysicalPages returns how many pages the machine had as far as the header's
// runs tell, and whether they do.
func (f *File) PhysicalPages() (uint64, bool) {
	return f.Header.pages(), len(f.Header.Runs) > 0
}

// An Absence says why a page cannot be had.
type Absence uint8

// The reasons for a page to be absent.
const (
	Present      Absence = iota // it is there
	LeftOut                     // the machine had it, this type of dump leaves it out: a full dump would have it
	CutOff                      // the dump had it: the file is cut short
	NotInMachine                // the machine has no memory there
	Unknown                     // not in the dump, which does not say what the machine had
)

func (a Absence) String() string {
	switch a {
	case Present:
		return "present"
	case LeftOut:
		return "left out of this type of dump"
	case CutOff:
		return "behind the end of the truncated file"
	case NotInMachine:
		return "no memory at this address"
	}
	return "not in the dump"
}

// Missing tells whether a page is there, and if not, whether a full dump would
// have had it.
func (f *File) Missing(pfn uint64) Absence {
	if _, ok := f.Page(pfn); ok {
		return Present
	}
	if f.index != nil {
		if _, ok := f.index.find(pfn); ok {
			return CutOff
		}
	}
	if len(f.Header.Runs) == 0 {
		return Unknown
	}
	f.machineOnce.Do(func() { f.machine = newSegments(f.Header.Runs, 0) })
	if _, ok := f.machine.find(pfn); ok {
		return LeftOut
	}
	return NotInMachine
}

// ReadPhysical fills p with physical memory. It returns how many bytes before
// the first one that is not in the dump were read, and a *memory.ReadError for
// that one.
func (f *File) ReadPhysical(pa uint64, p []byte) (int, error) {
	return memory.ReadPhysical(f, pa, p)
}

// At returns n bytes of the file at an offset, for those who show what the
// records of a dump refer to. The slice must not be changed.
func (f *File) At(off, n uint64) ([]byte, error) {
	if size := uint64(len(f.data)); off > size || n > size-off {
		return nil, &FormatError{"dump file", fmt.Sprintf("need %d bytes, have %d", n, size-min(off, size)), int64(off)}
	}
	return f.data[off : off+n : off+n], nil
}
