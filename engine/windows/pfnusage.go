package windows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/types"
)

// A PageUse is what one file or one process has of physical memory, in pages.
type PageUse struct {
	ControlArea uint64 // of a file; 0 for processes and for what has no owner
	Process     Process
	Name        string // path of the file, name of the process, or a word for the rest
	Err         error  // why the file has no name

	Valid, Standby, Dirty, Shared, Locked, PageTables uint64

	nameBuffer uint64
}

// FileNameBuffer returns where the file's name should be, when only the name
// could not be read.
func (u PageUse) FileNameBuffer() (uint64, bool) {
	return u.nameBuffer, u.Err != nil && u.nameBuffer != 0
}

// PageOwners knows the processes by the frames of their page directories.
type PageOwners struct {
	byRoot map[uint64]Process
}

// PageOwners lists the processes for Usage.
func (s *System) PageOwners(ctx context.Context) (*PageOwners, error) {
	o := &PageOwners{byRoot: map[uint64]Process{}}
	for p, err := range s.Processes(ctx) {
		if err != nil {
			return o, err
		}
		if dtb, err := p.DTB(); err == nil {
			root := amd64.CleanDTB(dtb) >> memory.PageShift
			if _, taken := o.byRoot[root]; !taken { // the idle process borrows System's
				o.byRoot[root] = p
			}
		}
	}
	return o, nil
}

// Frames that stand for no page table. The AWE one is the third largest value
// that the member can have, whatever its width.
const (
	noOwner   = ^uint64(0)
	aweFrame  = 0xffffffffd // pages of AWE regions and MDLs, as frames of 36 bits have it
	maxLevels = 6
)

// Usage reads the whole database and sums the pages by their owners: those of
// shared memory by control area, the others by process. keep, if not nil, says
// which lists count.
func (d *PFNDatabase) Usage(ctx context.Context, owners *PageOwners, keep func(PageLocation) bool, progress func(done, total uint64)) ([]PageUse, error) {
	u := usage{
		db: d, owners: owners, byRoot: map[uint64]*PageUse{}, byArea: map[uint64]*PageUse{},
		areas: map[uint64]uint64{}, roots: map[uint64]uint64{},
	}
	u.tables, _ = d.sys.selfMap()
	w := pfnWalk{PFNDatabase: d, ctx: ctx, progress: progress}
	err := w.each(func(pfn uint64, b []byte) {
		for ; uint64(len(b)) >= d.size; pfn, b = pfn+1, b[d.size:] {
			if at := PageLocation(d.f.location.get(b)); at > PageFree && at != PageBad && (keep == nil || keep(at)) {
				u.page(pfn, at, b)
			}
		}
	}, func(uint64, uint64) {})
	return u.result(), err
}

type usage struct {
	db     *PFNDatabase
	owners *PageOwners
	byRoot map[uint64]*PageUse // by frame of the page directory
	byArea map[uint64]*PageUse // by control area
	areas  map[uint64]uint64   // subsection → control area
	roots  map[uint64]uint64   // frame of a page table → frame of its directory

	tables selfMap
}

func (u *usage) page(pfn uint64, at PageLocation, b []byte) {
	f := &u.db.f
	use := u.owner(pfn, b)
	switch at {
	case PageActive:
		use.Valid++
		if use.ControlArea != 0 && f.shareCount.get(b) > 1 {
			use.Shared++
		}
		if use.ControlArea != 0 && f.referenceCount.get(b) > 1 {
			use.Locked++
		}
		if use.ControlArea == 0 && u.isTable(b) {
			use.PageTables++
		}
	case PageStandby:
		use.Standby++
	default:
		use.Dirty++
	}
}

// isTable reports whether a page is a page table: its address is one of those
// that the kernel maps page tables at.
func (u *usage) isTable(b []byte) bool {
	va, ok := u.tables.mapped(u.db.f.pteAddress.get(b) &^ pteLockBits)
	return ok && u.tables.has(va)
}

func (u *usage) owner(pfn uint64, b []byte) *PageUse {
	f := &u.db.f
	if f.prototype.is(b) {
		return u.fileUse(f.originalPte.get(b))
	}
	frame := f.pteFrame.get(b)
	switch {
	case frame == aweFrame || frame == f.pteFrame.most()-2:
		return u.rootUse(aweFrame)
	case frame == 0 && f.pteAddress.get(b) == 0:
		return u.rootUse(noOwner)
	case frame == pfn:
		return u.rootUse(pfn)
	}
	return u.rootUse(u.root(frame))
}

// root follows the tables up from one to the directory that is its own table.
func (u *usage) root(frame uint64) uint64 {
	if r, ok := u.roots[frame]; ok {
		return r
	}
	var way [maxLevels]uint64
	root, n := noOwner, 0
	for at := frame; n < maxLevels; n++ {
		if r, ok := u.roots[at]; ok {
			root = r
			break
		}
		way[n] = at
		e, err := u.db.Entry(at)
		if err != nil || e.Location != PageActive && e.Location != PageTransition {
			break
		}
		if e.PteFrame == at {
			root = at
			n++
			break
		}
		at = e.PteFrame
	}
	for _, at := range way[:n] {
		u.roots[at] = root
	}
	return root
}

func (u *usage) rootUse(root uint64) *PageUse {
	use := u.byRoot[root]
	if use == nil {
		use = &PageUse{}
		u.byRoot[root] = use
	}
	return use
}

// fileUse finds the file of a page by what its prototype PTE goes back to: a
// subsection, or a place in the paging file.
func (u *usage) fileUse(original uint64) *PageUse {
	if original&ptePrototype == 0 {
		return u.areaUse(0)
	}
	o := u.db.sys.paging.Load()
	if o == nil {
		return u.areaUse(0)
	}
	opt := o.Options()
	subsection := amd64.ProtoAddress(&opt, original)
	area, ok := u.areas[subsection]
	if !ok {
		area, _ = u.db.sys.Struct("_SUBSECTION", subsection).Field("ControlArea").Uint()
		u.areas[subsection] = area
	}
	return u.areaUse(area)
}

func (u *usage) areaUse(area uint64) *PageUse {
	use := u.byArea[area]
	if use == nil {
		use = &PageUse{ControlArea: area}
		u.byArea[area] = use
	}
	return use
}

// result names the owners; files first, each part with the largest first.
func (u *usage) result() []PageUse {
	var files, others []PageUse
	for area, use := range u.byArea {
		if area == 0 {
			use.Name = "page_file sections"
			others = append(others, *use)
			continue
		}
		use.Name, use.nameBuffer, use.Err = u.fileName(area)
		files = append(files, *use)
	}
	for root, use := range u.byRoot {
		p, ok := u.owners.byRoot[root]
		switch {
		case ok:
			use.Process = p
			use.Name, use.Err = p.ImageName()
		case root == aweFrame:
			use.Name = "AWE"
		case root == noOwner:
			use.Name = "no page table"
		default:
			use.Name = fmt.Sprintf("page tables at %#x", root<<memory.PageShift)
		}
		others = append(others, *use)
	}
	for _, part := range [][]PageUse{files, others} {
		slices.SortFunc(part, func(a, b PageUse) int {
			return cmp.Or(cmp.Compare(b.Valid+b.Standby+b.Dirty, a.Valid+a.Standby+a.Dirty),
				cmp.Compare(a.ControlArea, b.ControlArea), cmp.Compare(a.Process.Addr(), b.Process.Addr()), cmp.Compare(a.Name, b.Name))
		})
	}
	return append(files, others...)
}

func (u *usage) fileName(area uint64) (name string, buffer uint64, err error) {
	ptr, err := u.db.sys.Struct("_CONTROL_AREA", area).Field("FilePointer.Value").Uint()
	if err != nil || ptr&^0xf == 0 {
		return "", 0, err
	}
	text := u.db.sys.Struct("_FILE_OBJECT", ptr&^0xf).Field("FileName")
	name, err = text.UnicodeString()
	var missing *types.NoFieldError
	if err != nil && !errors.As(err, &missing) {
		buffer, _ = text.Field("Buffer").Uint()
	}
	return name, buffer, err
}
