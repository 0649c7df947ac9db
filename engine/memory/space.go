package memory

import "encoding/binary"

// ReadUint reads a little-endian unsigned integer of size 1, 2, 4 or 8 bytes.
func ReadUint(s Space, va uint64, size int) (uint64, error) {
	var b [8]byte
	if _, err := s.Read(va, b[:size]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// ReadBytes reads n bytes. On error it returns the bytes before the first
// unreadable one as well.
func ReadBytes(s Space, va uint64, n int) ([]byte, error) {
	b := make([]byte, n)
	got, err := s.Read(va, b)
	return b[:got], err
}
