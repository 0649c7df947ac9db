package expr

import (
	"encoding/binary"

	"kdap/engine/memory"
)

func readMemory(env Env, va uint64, size int) (uint64, error) {
	space := env.Memory()
	if space == nil {
		return 0, ErrUnavailable
	}
	return memory.ReadUint(space, va, size)
}

func readPhysical(env Env, pa uint64, size int) (uint64, error) {
	phys := env.Physical()
	if phys == nil {
		return 0, ErrUnavailable
	}
	var b [8]byte
	for i := range size {
		at := pa + uint64(i)
		page, ok := phys.Page(at >> memory.PageShift)
		if off := int(at & (memory.PageSize - 1)); ok && off < len(page) {
			b[i] = page[off]
			continue
		}
		return 0, &memory.ReadError{Addr: at, Kind: memory.NotInDump, Physical: true, PFN: at >> memory.PageShift}
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// readable reports whether every byte of a range can be read. It touches each
// page once and gives up at the first that is not there, or after maxValid
// pages: no expression needs more.
func readable(space memory.Space, addr, length uint64) bool {
	const maxValid = 1 << 20
	last := addr + length - 1
	if space == nil || last < addr {
		return false
	}
	var b [1]byte
	for pages := 0; pages < maxValid; pages++ {
		if n, err := space.Read(addr, b[:]); n != 1 || err != nil {
			return false
		}
		next := addr&^(memory.PageSize-1) + memory.PageSize
		if next > last || next == 0 {
			n, err := space.Read(last, b[:])
			return n == 1 && err == nil
		}
		addr = next
	}
	return false
}
