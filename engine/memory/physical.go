package memory

import "math"

// ReadPhysical fills p with the physical memory at pa. It returns how many
// bytes before the first one that the dump does not hold were read; fewer than
// len(p) come with a *ReadError for that byte.
func ReadPhysical(phys Physical, pa uint64, p []byte) (int, error) {
	done := 0
	for done < len(p) {
		at := pa + uint64(done)
		if at < pa {
			return done, &ReadError{Addr: math.MaxUint64, Kind: NotInDump, PFN: math.MaxUint64 >> PageShift, Physical: true}
		}
		page, ok := phys.Page(at >> PageShift)
		if !ok {
			return done, &ReadError{Addr: at, Kind: NotInDump, PFN: at >> PageShift, Physical: true}
		}
		done += copy(p[done:], page[at%PageSize:])
	}
	return done, nil
}
