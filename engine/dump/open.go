package dump

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/edsrzf/mmap-go"

	"kdap/engine/memory"
)

// Options say where a packed dump is unpacked to and who is told about it.
type Options struct {
	// CacheDir receives dumps unpacked from .zip and .zst files. When it is
	// empty they go to kdap/dumps in the user's cache folder.
	CacheDir string
	// Progress is called now and then while a packed dump is unpacked, with
	// the packed bytes read and their total.
	Progress func(done, total uint64)
	// MaxUnpacked bounds the size of an unpacked dump; 0 means 1 TiB.
	MaxUnpacked uint64
}

// Open opens a kernel dump, unpacking it first when it is a .zip or .zst file.
// What a file is follows from its content, never from its name. Every error is
// an *OpenError, except that of a context that ended.
func Open(ctx context.Context, path string, opt Options) (*File, error) {
	src, err := openSource(ctx, path, opt)
	if err != nil {
		return nil, err
	}
	if src.format == formatELFCore || src.format == formatOther && len(src.data)%memory.PageSize == 0 {
		f, err := openImage(path, src)
		if err != nil {
			src.close()
			if src.unpacked != "" { // no dump after all
				os.Remove(src.unpacked)
			}
			return nil, err
		}
		return f, nil
	}
	if src.format != formatKernel64 {
		e := refuse(path, src.format)
		e.tiny = len(src.data) <= 4
		src.close()
		return nil, e
	}
	f, err := newFile(path, src)
	if err != nil {
		src.close()
		return nil, err
	}
	return f, nil
}

// A source is the mapped file that a path leads to.
type source struct {
	file     *os.File
	data     mmap.MMap
	format   format
	unpacked string // path of the unpacked copy
}

func (s *source) close() {
	if s.data != nil {
		s.data.Unmap()
	}
	s.file.Close()
}

// openSource opens the file, unpacked when need be, and maps it.
func openSource(ctx context.Context, path string, opt Options) (*source, error) {
	src, err := mapFile(path, path)
	if err != nil {
		return nil, err
	}
	if src.format != formatZip && src.format != formatZstd {
		return src, nil
	}
	defer src.close()
	out, err := unpack(ctx, path, src, opt)
	if err != nil {
		return nil, err
	}
	in, err := mapFile(out, path)
	if err != nil {
		return nil, err
	}
	if in.format == formatZip || in.format == formatZstd {
		in.close()
		return nil, &OpenError{Path: path, Reason: Archive, Msg: "the dump in it is packed a second time: unpack it once and open the result"}
	}
	in.unpacked = out
	return in, nil
}

// mapFile maps the file at path; errors name it as the user did.
func mapFile(path, named string) (*source, error) {
	file, err := os.Open(path)
	if err != nil {
		msg := "the file cannot be opened"
		var pe *os.PathError
		switch {
		case errors.Is(err, os.ErrNotExist):
			msg = "there is no such file"
		case errors.Is(err, os.ErrPermission):
			msg = "the file may not be read: its permissions forbid it"
		case errors.As(err, &pe):
			msg += ": " + pe.Err.Error()
		}
		return nil, &OpenError{Path: named, Reason: NotFound, Msg: msg, Err: err}
	}
	s := &source{file: file}
	info, err := file.Stat()
	switch {
	case err != nil:
		err = &OpenError{Path: named, Reason: NotFound, Msg: "the file cannot be read: " + err.Error(), Err: err}
	case info.IsDir():
		err = &OpenError{Path: named, Reason: NotFound, Msg: "this is a folder, not a dump file"}
	case info.Size() == 0:
		err = &OpenError{Path: named, Reason: Empty, Msg: "the file is empty (0 bytes): the dump was never written, or its copy failed"}
	default:
		s.data, err = mmap.Map(file, mmap.RDONLY, 0)
		if err != nil {
			err = &OpenError{Path: named, Reason: NotFound, Msg: fmt.Sprintf("the file cannot be mapped into memory: %v", err), Err: err}
		}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	s.format = sniff(s.data)
	return s, nil
}

// newFile reads the header and the record behind it.
func newFile(path string, src *source) (*File, error) {
	if len(src.data) < HeaderSize {
		return nil, &OpenError{Path: path, Reason: TooShort, Msg: fmt.Sprintf(
			"a 64-bit kernel dump that ends after %d bytes, within its header of %d: the copy was cut short, copy it again", len(src.data), HeaderSize)}
	}
	f := &File{Header: parseHeader(src.data), path: path, data: src.data, file: src.file, unpacked: src.unpacked}
	if err := f.checkHeader(); err != nil {
		return nil, err
	}
	f.window = newWindow(f.data)
	var err error
	switch f.typ {
	case Full:
		f.openFull()
	case Summary, BitmapFull, BitmapKernel:
		err = f.openBitmap()
	case RangeKernel, RangeActive, RangeFull:
		err = f.openRanges()
	case Triage:
		f.openTriage()
	}
	if err != nil {
		return nil, &OpenError{Path: path, Reason: BadSignature, Err: err, Msg: fmt.Sprintf(
			"the header announces a %v dump, but %v: the file is damaged, copy or write it again", f.typ, err)}
	}
	if f.present == nil {
		f.present = f.countPages()
	}
	return f, nil
}

// machines are the processors that may stand in a 64-bit header.
var machines = map[uint32]bool{0x8664: true, 0xaa64: true, 0x14c: true, 0x200: true}

// checkHeader refuses what no one could make sense of, and notes what is odd.
func (f *File) checkHeader() error {
	h := f.Header
	f.typ = h.DumpType
	if !f.typ.Known() {
		// Third-party writers leave the type out; a full dump shows by its runs.
		if (h.DumpType != 0 && h.DumpType != Filler32) || !f.looksFull() {
			return &OpenError{Path: f.path, Reason: BadType, Msg: fmt.Sprintf(
				"DumpType at offset 0xf98 is %d, which no version of Windows writes (1, 2, 4, 5, 6, 8, 9 and 10 exist): the header is damaged", uint32(h.DumpType))}
		}
		f.typ = Full
		f.warn(TypeGuessed, 0, nil, "DumpType at offset 0xf98 is not filled in; the physical runs look like a full dump's, so it is read as one.")
	}
	if !machines[h.MachineImageType] {
		return &OpenError{Path: f.path, Reason: BadMachine, Msg: fmt.Sprintf(
			"MachineImageType at offset 0x30 is %#x, a processor that is not known (x64 is 0x8664, ARM64 0xaa64): the header is damaged", h.MachineImageType)}
	}
	switch n := h.NumberProcessors; {
	case n == 0:
		f.warn(Processors, 0, []string{"Invalid number of processors: 0"}, "NumberProcessors at offset 0x34 is 0.")
	case n > 2048:
		f.warn(Processors, 0, []string{fmt.Sprintf("Unsupported number of processors (max: 2048): %d", n)},
			"NumberProcessors at offset 0x34 is %d; more than 2048 are not possible.", n)
	}
	if h.DirectoryTableBase == 0 {
		f.warn(NoDirectoryBase, 0, []string{"Invalid directory table base value 0x0"}, "DirectoryTableBase at offset 0x10 is 0.")
	}
	if h.HasRuns() && h.NumberOfRuns > maxRuns && f.typ == Full {
		f.warn(TooManyRuns, 72, []string{
			"WARNING: Dump header physical memory block has been truncated.",
			"Some valid physical pages may be inaccessible.",
		}, "The header at offset 0x88 promises %d runs of physical memory; %d fit and are used.", h.NumberOfRuns, maxRuns)
	}
	return nil
}

// looksFull tells whether the runs are those of a full dump: their sum is what
// the header or the file's size says.
func (f *File) looksFull() bool {
	n := f.Header.pages()
	return n > 0 && (n == f.Header.NumberOfPages || pageEnd(HeaderSize, n) == uint64(len(f.data)))
}

// Layout holds what the record behind the header says, as the file has it. The
// fields that a type of dump has no use for are 0.
type Layout struct {
	FirstPage    uint64 // file offset of the first page: HeaderSize or FirstPageOffset
	Pages        uint64 // pages promised
	DumpOptions  uint32 // bitmap and summary dumps
	BitmapBits   uint64 // bitmap and summary dumps: BitmapSize as the file says
	SizeOfBitMap uint32 // summary dumps
	MetadataSize uint64 // range dumps
	Ranges       uint32 // range dumps: count as the file says
}

// Layout returns the fields of the record behind the header.
func (f *File) Layout() Layout { return f.layout }

// openFull lays out the pages of a type 1 dump.
func (f *File) openFull() {
	h := f.Header
	f.index = newSegments(h.Runs, HeaderSize)
	f.layout = Layout{FirstPage: HeaderSize, Pages: h.NumberOfPages}
	f.checkSize(HeaderSize, h.NumberOfPages, h.pages())
	if len(h.Runs) == 0 {
		f.warn(Truncated, 0, nil, "The physical memory block at offset 0x88 is empty: no page of this dump can be found.")
	}
}

// checkSize compares the end of the pages as promised with that of the file.
// runs is what the runs promise, where that may differ.
func (f *File) checkSize(first, pages, runs uint64) {
	f.blobsAt = pageEnd(first, pages)
	size := uint64(len(f.data))
	end := max(f.blobsAt, pageEnd(first, runs))
	if end <= size {
		return
	}
	have := f.wholePages(first)
	var box []string
	wide := 0
	if f.blobsAt > size {
		box, wide = []string{"WARNING: Dump file has been truncated.  Data may be missing."}, 60
	}
	f.warn(Truncated, wide, box, "The file ends at %#x, but its pages should reach to %#x: %d of %d pages are there.",
		size, end, min(have, max(pages, runs)), max(pages, runs))
}

// pageEnd returns first + pages pages, or the highest offset when that wraps.
func pageEnd(first, pages uint64) uint64 {
	if pages > (^uint64(0)-first)/memory.PageSize {
		return ^uint64(0)
	}
	return first + pages*memory.PageSize
}
