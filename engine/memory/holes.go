package memory

// ReadHoles fills p with the bytes at va, as far as they can be read, and
// reports for each byte whether it was. Addresses go on at 0 behind the end of
// the address space. What follows an unreadable byte is tried again at the next
// page, or where the space knows that its memory goes on.
func ReadHoles(s Space, va uint64, p []byte, valid []bool) {
	next, _ := s.(interface {
		Next(va uint64) (uint64, bool)
	})
	for done := 0; done < len(p); {
		at := va + uint64(done)
		got, err := s.Read(at, p[done:])
		for i := done; i < done+got; i++ {
			valid[i] = true
		}
		done += got
		if err == nil || done >= len(p) {
			continue
		}
		at = va + uint64(done)
		hole := PageSize - at%PageSize
		if e, ok := err.(*ReadError); ok && e.Span > PageSize && !e.Physical {
			hole = e.Span - at%e.Span
		}
		if next != nil {
			if more, ok := next.Next(at); ok && more > at {
				hole = more - at
			}
		}
		for end := min(uint64(len(p)), uint64(done)+hole); uint64(done) < end; done++ {
			p[done], valid[done] = 0, false
		}
	}
}

// A PhysicalSpace shows physical memory as a Space whose addresses are
// physical ones.
type PhysicalSpace struct{ Phys Physical }

// Read implements Space.
func (s PhysicalSpace) Read(pa uint64, p []byte) (int, error) {
	if s.Phys == nil {
		return 0, &ReadError{Addr: pa, Kind: NotInDump, Physical: true, PFN: pa >> PageShift}
	}
	return ReadPhysical(s.Phys, pa, p)
}
