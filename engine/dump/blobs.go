package dump

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// A GUID is the tag of a blob.
type GUID [16]byte

// String returns the usual lower-case form.
func (g GUID) String() string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(g[:]), le.Uint16(g[4:]), le.Uint16(g[6:]), g[8:10], g[10:])
}

// EnumTag returns the form that .enumtag prints: capitals in braces and no dash
// before the last twelve digits.
func (g GUID) EnumTag() string {
	le := binary.LittleEndian
	return fmt.Sprintf("{%08X-%04X-%04X-%X%X}", le.Uint32(g[:]), le.Uint16(g[4:]), le.Uint16(g[6:]), g[8:10], g[10:])
}

// A Blob is secondary data that a driver or the kernel added to the dump.
type Blob struct {
	Tag  GUID
	Size uint32 // as the blob's header says
	Off  uint64 // of the data, in the file
	Data []byte // shorter than Size where the file is cut; must not be changed
}

// HasBlobs tells whether secondary data follows the dump's own.
func (f *File) HasBlobs() bool {
	_, ok := f.blobHeader()
	return ok
}

// blobHeader returns the offset of the first blob.
func (f *File) blobHeader() (uint64, bool) {
	d := f.record("DumpBlob", f.blobsAt, 16)
	sig, size := d.text(8), uint64(d.u32())
	if d.skip(4); d.err != nil || sig != "DumpBlob" || size < 16 {
		return 0, false
	}
	return f.blobsAt + size, true
}

// Blobs yields the secondary data in the order of the file. When it cannot be
// followed to the end of the file, the last pair has an error: a *FormatError,
// together with the blob whose data the file does not wholly hold, if that is
// the reason.
func (f *File) Blobs() iter.Seq2[Blob, error] {
	return func(yield func(Blob, error) bool) {
		at, ok := f.blobHeader()
		for ok && at < uint64(len(f.data)) {
			d := f.record("secondary data blob", at, 0x20)
			size := uint64(d.u32())
			var b Blob
			copy(b.Tag[:], d.bytes(len(b.Tag)))
			b.Size = d.u32()
			pre, post := uint64(d.u32()), uint64(d.u32())
			if d.err != nil {
				yield(Blob{}, d.err)
				return
			}
			if size == 0 { // the end, as the debugger sees it
				return
			}
			if size < 0x20 {
				yield(Blob{}, &FormatError{"secondary data blob", fmt.Sprintf("header of %d bytes, 32 are needed", size), int64(at)})
				return
			}
			b.Off = at + size + pre
			var err error
			if b.Data, err = f.At(b.Off, uint64(b.Size)); err != nil {
				rest := uint64(len(f.data)) - min(b.Off, uint64(len(f.data)))
				b.Data, _ = f.At(min(b.Off, uint64(len(f.data))), rest)
				yield(b, &FormatError{"secondary data blob", fmt.Sprintf("%d bytes of data, %d are in the file", b.Size, rest), int64(at)})
				return
			}
			if !yield(b, nil) {
				return
			}
			at = b.Off + uint64(b.Size) + post
		}
	}
}
