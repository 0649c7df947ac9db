package memory

import "encoding/binary"

// ReadUint reads a little-endian unsigned integer of size 1, 2, 4 or 8 bytes.
func ReadUint(s Space, va uint64, size int) (uint64, error) {
	if a, ok := s.(*AddressSpace); ok && va%PageSize <= PageSize-uint64(size) {
		// The usual case, without a buffer that escapes to the heap.
		page, err := a.page(va)
		if err != nil {
			return 0, err
		}
		var b [8]byte
		copy(b[:size], page[va%PageSize:])
		return binary.LittleEndian.Uint64(b[:]), nil
	}
	var b [8]byte
	if _, err := s.Read(va, b[:size]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// ReadBytes reads n bytes. On error it returns the bytes before the first
// unreadable one as well. What it allocates grows with what could be read, so n
// may come from the dump.
func ReadBytes(s Space, va uint64, n int) ([]byte, error) {
	const chunk = 1 << 20
	if n <= chunk {
		b := make([]byte, max(n, 0))
		got, err := s.Read(va, b)
		return b[:got], err
	}
	var b []byte
	for len(b) < n {
		have := len(b)
		b = append(b, make([]byte, min(n-have, max(chunk, have)))...)
		got, err := s.Read(va+uint64(have), b[have:])
		if err != nil {
			return b[:have+got], err
		}
	}
	return b, nil
}
