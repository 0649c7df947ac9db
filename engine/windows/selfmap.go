package windows

import "kdap/engine/memory"

// A selfMap is where the kernel maps its page tables: one entry of the root
// table leads to the root itself, so that the entry of every page lies at an
// address of its own. Its size follows from the bits that addresses have. The
// zero value is an unknown place.
type selfMap struct {
	base uint64
	bits int // of an address: 48, 57 with five levels of tables
}

func (s *System) selfMap() (selfMap, error) {
	base, err := s.pteBase()
	return selfMap{base, 9*s.TableLevels() + memory.PageShift}, err
}

// span is the size of all page tables.
func (m selfMap) span() uint64 { return 1 << (m.bits - 9) }

// has tells whether an address is one of the page tables'.
func (m selfMap) has(va uint64) bool { return m.base != 0 && va-m.base < m.span() }

// entry returns the address of the entry of va in the tables of a level; 0
// where the place of the tables is not known.
func (m selfMap) entry(va uint64, level int) uint64 {
	if m.base == 0 {
		return 0
	}
	for range level + 1 {
		va = m.base + va&(1<<m.bits-1)>>memory.PageShift*8
	}
	return va
}

// mapped returns the address that the PTE at an address maps, false for
// addresses that are not of the page tables.
func (m selfMap) mapped(pte uint64) (va uint64, ok bool) {
	if !m.has(pte) {
		return 0, false
	}
	unused := 64 - m.bits
	va = (pte - m.base) / 8 << memory.PageShift
	return uint64(int64(va<<unused) >> unused), true
}

// pteBase returns where the kernel maps its page tables.
func (s *System) pteBase() (uint64, error) {
	v, err := s.GlobalUint("MmPteBase", 8)
	if err != nil && s.kdbg != nil && s.kdbg.PteBase != 0 {
		return s.kdbg.PteBase, nil
	}
	return v, err
}

// PteBase returns where the kernel maps its page tables.
func (s *System) PteBase() (uint64, error) { return s.pteBase() }

// EntryAddress returns where the kernel maps the entry of va in the tables of a
// level; 0 where that is not known.
func (s *System) EntryAddress(va uint64, level int) uint64 {
	m, _ := s.selfMap()
	return m.entry(va, level)
}

// PTEAddress returns what the entry at an address of the page tables maps,
// false for other addresses. The entry may be of a table of any level: what it
// maps is then a table itself.
func (s *System) PTEAddress(pte uint64) (va uint64, ok bool) {
	m, err := s.selfMap()
	if err != nil {
		return 0, false
	}
	return m.mapped(pte)
}
