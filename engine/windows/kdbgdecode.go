package windows

import (
	"encoding/binary"
	"math/bits"

	"kdap/engine/memory"
)

// An encoded KDBG can be read without the kernel's keys: the encoding of a
// quadword x is a rotation, a byte swap and exclusive-ors, so two quadwords
// relate as
//
//	plain1 ^ plain2 = bswap(rol(x1 ^ x2, r))
//
// and one whose plain form is known opens all others. That one is KernBase; the
// block's tag tells which of the 64 rotations it is.

const kdbgBaseOff = 0x18 // KernBase

// decodeByBase decodes a block that begins with b, of the kernel at base. It
// fails when no rotation gives a block.
func decodeByBase(b []byte, base uint64) ([]byte, bool) {
	if len(b) < kdbgMinSize {
		return nil, false
	}
	known, tag := le64(b[kdbgBaseOff:]), le64(b[kdbgTagOff:])
	for r := range 64 {
		plain := func(x uint64) uint64 { return base ^ bits.ReverseBytes64(bits.RotateLeft64(x^known, r)) }
		v := plain(tag)
		if uint32(v) != kdbgTagValue || v>>32 < kdbgMinSize || v>>32 > kdbgMaxSize {
			continue
		}
		out := make([]byte, len(b))
		for i := 0; i+8 <= len(b); i += 8 {
			binary.LittleEndian.PutUint64(out[i:], plain(le64(b[i:])))
		}
		return out, true
	}
	return nil, false
}

// kdbgTagValue is the tag as a number.
const kdbgTagValue = 'K' | 'D'<<8 | 'B'<<16 | 'G'<<24

// kdbgByBase reads an encoded block at addr without keys.
func (s *System) kdbgByBase(addr uint64) *KDBG {
	b := make([]byte, kdbgReadSize)
	n, _ := s.kernel.Read(addr, b)
	plain, ok := decodeByBase(b[:n], s.nt.Base)
	if !ok {
		return nil
	}
	k, err := parseKDBG(addr, plain)
	if err != nil || k.PsLoadedModuleList != s.dump.Header.PsLoadedModuleList {
		return nil
	}
	return k
}

// scanEncodedKDBG looks for an encoded block in the kernel's data. The module
// list that the header names has to be in it.
func (s *System) scanEncodedKDBG() *KDBG {
	img, err := s.nt.Image()
	if err != nil {
		return nil
	}
	page := make([]byte, memory.PageSize+kdbgBaseOff+8)
	for _, sec := range img.Sections {
		if sec.Characteristics&scnWrite == 0 {
			continue
		}
		start := s.nt.Base + uint64(sec.VirtualAddress)
		size := min(uint64(max(sec.VirtualSize, sec.SizeOfRawData)), uint64(img.SizeOfImage))
		for at := start; at < start+size; at += memory.PageSize {
			n, _ := s.kernel.Read(at, page)
			for off := 0; off < memory.PageSize && off+kdbgBaseOff+8 <= n; off += 8 {
				if !maybeEncoded(page[off:], s.nt.Base) {
					continue
				}
				if k := s.kdbgByBase(at + uint64(off)); k != nil {
					return k
				}
			}
		}
	}
	return nil
}

// maybeEncoded tells quickly that b is not the start of an encoded block: the
// rotated and swapped difference of two quadwords has as many bits as it had,
// and a tag with a size has few that are free.
func maybeEncoded(b []byte, base uint64) bool {
	x := le64(b[kdbgBaseOff:]) ^ le64(b[kdbgTagOff:])
	want := bits.OnesCount64(base ^ kdbgTagValue)
	got := bits.OnesCount64(x)
	// The size's twelve low bits may be any.
	return x != 0 && got >= want-sizeBits && got <= want+sizeBits
}

const sizeBits = 13
