// Package pe reads Windows executable images: files on disk, and images as the
// system mapped them into the memory of a dump.
//
// Layouts follow Microsoft's PE/COFF specification (sections "COFF File
// Header", "Optional Header", "The .debug Section", "The .edata Section", "The
// .idata Section", "The .rsrc Section"); the CodeView records RSDS and NB10 and
// VS_VERSIONINFO follow Microsoft's published debug information and version
// resource descriptions. Import libraries, object files and relocations are not
// read.
//
// Every count, size and name in an image is taken for a claim: it is bounded
// before anything is allocated or read for it, and a wrong one is a
// *FormatError with its place. A page that a dump does not hold shows as an
// error that wraps the *memory.ReadError. What could be read before is returned
// with the error.
//
// An Image reads on demand: opening it costs the header pages. It is safe for
// concurrent use.
package pe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/edsrzf/mmap-go"

	"kdap/engine/memory"
)

// A FormatError says which record of an image is wrong, where and how.
type FormatError struct {
	Record, Msg string
	Off         int64 // file offset, or RVA when Mapped is set
	Mapped      bool
}

func (e *FormatError) Error() string {
	where := "offset"
	if e.Mapped {
		where = "RVA"
	}
	return fmt.Sprintf("%s at %s %#x: %s", e.Record, where, e.Off, e.Msg)
}

// ErrNoDirectory is returned for data that the image says it does not have.
var ErrNoDirectory = errors.New("image has no such data directory")

// An Image is an executable image. Its exported fields never change.
type Image struct {
	Header

	src  source
	base uint64

	close func() error

	exportsOnce sync.Once
	exports     *ExportTable
	exportsErr  error
}

// A source holds the bytes of an image in one of the two layouts.
type source interface {
	// readRVA fills p with what the loader maps at rva. It returns how many
	// bytes it could read, with an error when that is fewer than len(p).
	readRVA(rva uint32, p []byte) (int, error)
	// readHeader does so for the headers, which lie at the same place in both
	// layouts, before the section table is known.
	readHeader(off uint32, p []byte) (int, error)
	// readRaw reads at a file offset; mapped images cannot.
	readRaw(off uint32, p []byte) (int, error)
	mapped() bool
}

// Open maps the image file at path. Close releases it.
func Open(path string) (*Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() == 0 {
		return nil, fmt.Errorf("image %s: not a file with content", path)
	}
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", path, err)
	}
	im, err := FromBytes(m)
	if err != nil {
		m.Unmap()
		return nil, fmt.Errorf("image %s: %w", path, err)
	}
	im.close = m.Unmap
	return im, nil
}

// FromBytes reads an image file held in b, which must not change any more.
func FromBytes(b []byte) (*Image, error) {
	src := &fileSource{b: b}
	h, err := parseHeader(src)
	if err != nil {
		return nil, err
	}
	src.sections = h.Sections
	src.headers = h.SizeOfHeaders
	return &Image{Header: *h, src: src, base: h.ImageBase}, nil
}

// FromMemory reads the image that is mapped at base of s.
func FromMemory(s memory.Space, base uint64) (*Image, error) {
	src := memorySource{s, base}
	h, err := parseHeader(src)
	if err != nil {
		return nil, fmt.Errorf("image at %#x: %w", base, err)
	}
	return &Image{Header: *h, src: src, base: base}, nil
}

// Base returns the address that the image is mapped at; for a file, the one it
// prefers.
func (im *Image) Base() uint64 { return im.base }

// Mapped tells whether the image is read from memory.
func (im *Image) Mapped() bool { return im.src.mapped() }

// Close releases the file of an image made by Open. The image must not be used
// afterwards.
func (im *Image) Close() error {
	if im.close == nil {
		return nil
	}
	f := im.close
	im.close = nil
	return f()
}

// ReadRVA fills p with the bytes at rva of the image as it is loaded. It
// returns how many could be read, with an error when that is fewer than len(p).
func (im *Image) ReadRVA(rva uint32, p []byte) (int, error) {
	return im.src.readRVA(rva, p)
}

// read returns up to n bytes at rva. Memory is allocated for what the image can
// hold only.
func (im *Image) read(rva, n uint32) ([]byte, error) {
	if uint64(rva)+uint64(n) > uint64(im.SizeOfImage) {
		if rva >= im.SizeOfImage {
			return nil, im.errorf("data", rva, "outside the image of %#x bytes", im.SizeOfImage)
		}
		b, err := im.read(rva, im.SizeOfImage-rva)
		if err == nil {
			err = im.errorf("data", rva, "%#x bytes reach beyond the image of %#x bytes", n, im.SizeOfImage)
		}
		return b, err
	}
	// Growing by what was really there keeps a file of a few bytes that claims
	// gigabytes cheap.
	const step = 1 << 16
	var b []byte
	for uint32(len(b)) < n {
		have := len(b)
		want := min(int(n)-have, step)
		b = append(b, make([]byte, want)...)
		got, err := im.src.readRVA(rva+uint32(have), b[have:])
		if err != nil || got < want {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return b[:have+max(got, 0)], err
		}
	}
	return b, nil
}

// maxName bounds every name read from an image.
const maxName = 4096

// cString returns the zero-terminated bytes at rva.
func (im *Image) cString(rva uint32) (string, error) {
	// Most names are short: the first read stays small, and reads end at page
	// borders so that a missing page behind a name does no harm.
	var out []byte
	for len(out) < maxName {
		at := rva + uint32(len(out))
		if at < rva {
			return "", im.errorf("name", rva, "wraps around")
		}
		var buf [128]byte
		n := min(len(buf), memory.PageSize-int(at%memory.PageSize))
		got, err := im.src.readRVA(at, buf[:n])
		for i, c := range buf[:got] {
			if c == 0 {
				return string(append(out, buf[:i]...)), nil
			}
		}
		if err != nil {
			return "", err
		}
		out = append(out, buf[:got]...)
		if got < n {
			return "", io.ErrUnexpectedEOF
		}
	}
	return "", im.errorf("name", rva, "longer than %d bytes", maxName)
}

func (im *Image) errorf(record string, rva uint32, format string, args ...any) error {
	return &FormatError{Record: record, Msg: fmt.Sprintf(format, args...), Off: int64(rva), Mapped: true}
}

type memorySource struct {
	s    memory.Space
	base uint64
}

func (m memorySource) mapped() bool { return true }

func (m memorySource) readRVA(rva uint32, p []byte) (int, error) {
	va := m.base + uint64(rva)
	if va < m.base {
		return 0, &FormatError{Record: "image", Msg: "wraps around the address space", Off: int64(rva), Mapped: true}
	}
	return m.s.Read(va, p)
}

func (m memorySource) readHeader(off uint32, p []byte) (int, error) { return m.readRVA(off, p) }

func (m memorySource) readRaw(off uint32, p []byte) (int, error) {
	return 0, &FormatError{Record: "file data", Msg: "not mapped into memory", Off: int64(off)}
}

type fileSource struct {
	b        []byte
	sections []Section
	headers  uint32
}

func (f *fileSource) mapped() bool { return false }

func (f *fileSource) readRaw(off uint32, p []byte) (int, error) {
	if uint64(off) >= uint64(len(f.b)) {
		return 0, &FormatError{Record: "file data", Msg: fmt.Sprintf("behind the end of the file (%#x bytes)", len(f.b)), Off: int64(off)}
	}
	n := copy(p, f.b[off:])
	if n < len(p) {
		return n, &FormatError{Record: "file data", Msg: fmt.Sprintf("need %d bytes, have %d", len(p), n), Off: int64(off)}
	}
	return n, nil
}

func (f *fileSource) readHeader(off uint32, p []byte) (int, error) { return f.readRaw(off, p) }

// readRVA does what the loader does: raw data first, zeros up to the section's
// virtual size. A read may go on into the next section.
func (f *fileSource) readRVA(rva uint32, p []byte) (int, error) {
	done := 0
	for done < len(p) {
		at := uint64(rva) + uint64(done)
		part := p[done:]
		raw, size, zero, ok := f.locate(at)
		if !ok {
			return done, &FormatError{Record: "image data", Msg: "in no section", Off: int64(at), Mapped: true}
		}
		part = part[:min(uint64(len(part)), size)]
		if zero {
			clear(part)
		} else if n, err := f.readRaw(raw, part); err != nil {
			return done + n, err
		}
		done += len(part)
	}
	return done, nil
}

// locate finds the run of bytes that holds rva: size bytes at file offset raw,
// or size zeros.
func (f *fileSource) locate(rva uint64) (raw uint32, size uint64, zero, ok bool) {
	if rva < uint64(f.headers) {
		return uint32(rva), uint64(f.headers) - rva, false, true
	}
	for i := range f.sections {
		s := &f.sections[i]
		virtual := uint64(s.VirtualSize)
		if virtual == 0 {
			virtual = uint64(s.SizeOfRawData)
		}
		// The loader maps whole pages.
		virtual = (virtual + memory.PageSize - 1) &^ (memory.PageSize - 1)
		off := rva - uint64(s.VirtualAddress)
		if rva < uint64(s.VirtualAddress) || off >= virtual {
			continue
		}
		stored := min(virtual, uint64(s.SizeOfRawData))
		if off < stored {
			if uint64(s.PointerToRawData)+off > 0xffffffff {
				return 0, 0, false, false
			}
			return s.PointerToRawData + uint32(off), stored - off, false, true
		}
		return 0, virtual - off, true, true
	}
	return 0, 0, false, false
}
