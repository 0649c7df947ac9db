package windows

import "fmt"

// PagePlace returns the PTE that maps a page of memory, by its entry in the
// PFN database, and the address it is mapped at. va is 0 for pages without an
// address of their own: shared ones, whose PTE is a prototype.
func (s *System) PagePlace(pfn uint64) (va, pte uint64, err error) {
	base, err := s.GlobalUint("MmPfnDatabase", 8)
	if err != nil {
		return 0, 0, err
	}
	t, err := s.Type("_MMPFN")
	if err != nil {
		return 0, 0, err
	}
	if t.Size == 0 || pfn > (^uint64(0)-base)/t.Size {
		return 0, 0, fmt.Errorf("PFN %#x is not in the PFN database", pfn)
	}
	pte, err = s.Struct("_MMPFN", base+pfn*t.Size).Field("PteAddress").Uint()
	if err != nil {
		return 0, 0, fmt.Errorf("PFN %#x: %w", pfn, err)
	}
	pte &^= 7 // the low bits are a lock
	va, _ = s.PTEAddress(pte)
	return va, pte, nil
}
