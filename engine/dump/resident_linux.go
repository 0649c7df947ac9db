package dump

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// skew returns how far into a chunk of the address space data begins.
func skew(data []byte) uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(data)))) & (1<<chunkShift - 1)
}

// release gives the pages of a shared, read-only mapping back to the system;
// the next access maps them again. When it fails nothing is lost but memory.
func release(data []byte) {
	_ = unix.Madvise(data, unix.MADV_DONTNEED)
}
