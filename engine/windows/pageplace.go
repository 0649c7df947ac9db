package windows

import (
	"fmt"

	"kdap/engine/memory"
)

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
	pteBase, err := s.pteBase()
	if err != nil {
		return 0, pte, nil
	}
	va, _ = tableAddress(pteBase, pte)
	return va, pte, nil
}

// pteSpan is the size of the page tables for 48 bits of address.
const pteSpan = 1 << 39

// tableAddress returns the address that the PTE at an address maps, false for
// addresses that are not of the page tables.
func tableAddress(pteBase, pte uint64) (va uint64, ok bool) {
	if pteBase == 0 || pte-pteBase >= pteSpan {
		return 0, false
	}
	va = (pte - pteBase) / 8 << memory.PageShift
	return uint64(int64(va<<16) >> 16), true
}

// pteBase returns where the kernel maps its page tables.
func (s *System) pteBase() (uint64, error) {
	v, err := s.GlobalUint("MmPteBase", 8)
	if err != nil && s.kdbg != nil && s.kdbg.PteBase != 0 {
		return s.kdbg.PteBase, nil
	}
	return v, err
}
