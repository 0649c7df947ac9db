// Package memory models the memory of a machine in a dump: physical pages,
// address spaces built on them, and the reason why a read failed.
//
// It knows no file format and no processor: dump files implement Physical,
// package arch/amd64 implements Translator. Everything here is safe for
// concurrent use.
package memory

// PageSize and PageShift describe the smallest page of every processor that
// Windows dumps come from.
const (
	PageSize  = 1 << PageShift
	PageShift = 12
)

// Physical serves the pages of physical memory that a dump holds.
type Physical interface {
	// Page returns the PageSize bytes of the page with frame number pfn, or
	// false when the dump does not hold it. The slice belongs to the dump and
	// must not be changed.
	Page(pfn uint64) ([]byte, bool)
}

// A Space is virtual memory: translated pages, or the blocks a small dump saved.
type Space interface {
	// Read fills p with the bytes at va. It returns how many bytes before the
	// first unreadable one were read; fewer than len(p) come with a *ReadError
	// for that byte. Reads do not wrap at the end of the address space.
	Read(va uint64, p []byte) (int, error)
}
