package windows

import (
	"errors"
	"fmt"
	"strings"

	"kdap/engine/types"
)

// A SystemRegion is a part of the kernel's addresses that one use was given.
type SystemRegion struct {
	Name       string // "PagedPool"
	Base, Size uint64
}

// maxRegions bounds the table of regions, which has some fifteen entries.
const maxRegions = 256

// SystemRegions returns the regions of the kernel's addresses that are in use
// (nt!MiState.Vs.SystemVaRegions; their names are those of the kernel's own
// enumeration). Kernels before Windows 10 1703 have no such table.
func (s *System) SystemRegions() ([]SystemRegion, error) {
	table := s.Global("MiState", "_MI_SYSTEM_INFORMATION").Field("Vs.SystemVaRegions")
	if table.Err() != nil {
		return nil, fmt.Errorf("regions: %w", table.Err())
	}
	names := s.enumNames("_MI_ASSIGNED_REGION_TYPES", "AssignedRegion")
	var out []SystemRegion
	var errs []error
	for i := range int(min(table.Type().Count, maxRegions)) {
		e := table.Index(i)
		base, err1 := e.Field("BaseAddress").Uint()
		size, err2 := e.Field("NumberOfBytes").Uint()
		if err := errors.Join(err1, err2); err != nil {
			errs = append(errs, fmt.Errorf("region %d: %w", i, err))
			continue
		}
		if base == 0 || size == 0 {
			continue
		}
		out = append(out, SystemRegion{nameOr(names, int64(i)), base, size})
	}
	return out, errors.Join(errs...)
}

func nameOr(names map[int64]string, v int64) string {
	if n, ok := names[v]; ok {
		return n
	}
	return fmt.Sprintf("type %d", v)
}

// enumNames returns the names of an enumeration without their common beginning.
func (s *System) enumNames(name, prefix string) map[int64]string {
	names := map[int64]string{}
	t, err := s.Type(name)
	if err != nil || t.Kind != types.Enum {
		return names
	}
	for _, e := range t.Enumerators() {
		if _, taken := names[e.Value]; !taken {
			names[e.Value] = strings.TrimPrefix(e.Name, prefix)
		}
	}
	return names
}

// kernelHalf is where the upper half of the addresses begins.
const kernelHalf = 0xffff800000000000

// topShift is what the kernel notes its uses of addresses by: 512 GB.
const topShift = 39

// SystemVaType returns what the kernel uses the 512 GB around an address for
// ("PagedPool"), by nt!MiState.Vs.SystemVaType, and where they begin.
func (s *System) SystemVaType(va uint64) (name string, base, size uint64, err error) {
	switch {
	case s.TableLevels() > 4: // the array has a place for each of 256 such parts
		return "", 0, 0, fmt.Errorf("use of %#x: the kernel's table of uses does not tell it with five levels of page tables", va)
	case va < kernelHalf:
		return "", 0, 0, fmt.Errorf("%#x is no kernel address", va)
	}
	table := s.Global("MiState", "_MI_SYSTEM_INFORMATION").FirstField("Vs.SystemVaType", "SystemVa.SystemVaType")
	if table.Err() != nil {
		table = s.Global("MiVisibleState", "_MI_VISIBLE_STATE").Field("SystemVaType")
	}
	i := int(va >> topShift & 0xff)
	v, err := table.Index(i).Uint()
	if err != nil {
		return "", 0, 0, fmt.Errorf("use of %#x: %w", va, err)
	}
	return nameOr(s.enumNames("_MI_SYSTEM_VA_TYPE", "MiVa"), int64(v)), va &^ (1<<topShift - 1), 1 << topShift, nil
}

// UnusedVA is the name of addresses that the kernel has no use for.
const UnusedVA = "Unused"

// KernelUse returns what the kernel uses an address for: a region of its table,
// the page tables, the PFN database, or the use of the 512 GB around it.
func (s *System) KernelUse(va uint64) (SystemRegion, error) {
	if regions, err := s.SystemRegions(); err == nil {
		for _, r := range regions {
			if va-r.Base < r.Size {
				return r, nil
			}
		}
	}
	if m, err := s.selfMap(); err == nil && m.has(va) {
		return SystemRegion{"PageTables", m.base, m.span()}, nil
	}
	if db, err := s.PFNDatabase(); err == nil {
		if size := db.span(); va-db.base < size {
			return SystemRegion{"PfnDatabase", db.base, size}, nil
		}
	}
	name, base, size, err := s.SystemVaType(va)
	return SystemRegion{name, base, size}, err
}
