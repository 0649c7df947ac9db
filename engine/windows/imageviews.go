package windows

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"kdap/engine/memory"
	"kdap/engine/pe"
)

// Where the headers of an image are paged out in one process they may be in
// memory in another one that maps the same file: processes share the pages of
// an image, but each has page tables of its own, and pages that the loader
// wrote to are private.

// An imageView is where a process maps an image file.
type imageView struct {
	space memory.Space
	base  uint64
	size  uint64
	owner Process
}

// imageViews are the views of all images, by the section's control area and by
// the file's path on its volume, in lower case.
type imageViews struct {
	mu             sync.Mutex
	listed         bool
	byArea, byFile map[uint64][]imageView
	paths          map[string]uint64 // path → key of byFile
}

// load lists the views once. Whatever cannot be read is left out.
func (i *imageViews) load(ctx context.Context, s *System) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.listed {
		return true
	}
	i.byArea, i.byFile, i.paths = map[uint64][]imageView{}, map[uint64][]imageView{}, map[string]uint64{}
	for p, err := range s.ActiveProcesses(ctx) {
		if err != nil {
			break
		}
		space, err := p.Space()
		if err != nil {
			continue
		}
		for v, err := range p.VADs(ctx) {
			if err == nil && v.Image() {
				i.add(v, imageView{space, v.Start, v.End + 1 - v.Start, p})
			}
		}
	}
	i.listed = ctx.Err() == nil
	return i.listed
}

func (i *imageViews) add(v VAD, view imageView) {
	if area, err := v.ControlArea(); err == nil && area.Addr() != 0 {
		i.byArea[area.Addr()] = append(i.byArea[area.Addr()], view)
	}
	if path, err := v.File(); err == nil && path != "" {
		key, known := i.paths[strings.ToLower(path)]
		if !known {
			key = uint64(len(i.paths))
			i.paths[strings.ToLower(path)] = key
		}
		i.byFile[key] = append(i.byFile[key], view)
	}
}

// otherViews returns where other processes map the module's image: those of the
// same section first, then those of the same file. A driver of a session is
// looked for in the other sessions.
func (m *Module) otherViews(ctx context.Context) []imageView {
	if m.sys == nil || m.sys.user != nil || !m.sys.Paged() {
		return nil
	}
	if m == m.sys.nt {
		return nil // it is the same everywhere, and its types are what finds processes
	}
	if !m.User {
		return m.sessionViews(ctx)
	}
	i := &m.sys.views
	if m.owner.Addr() == 0 || !i.load(ctx, m.sys) {
		return nil
	}
	path := volumePath(m.Path)
	var views []imageView
	if v, ok, err := m.owner.VADAt(m.Base); err == nil && ok && v.Image() {
		if area, err := v.ControlArea(); err == nil && area.Addr() != 0 {
			views = append(views, i.byArea[area.Addr()]...)
		}
		if file, err := v.File(); err == nil && file != "" {
			path = file // the loader calls files of 32-bit processes by other folders
		}
	}
	if key, ok := i.paths[strings.ToLower(path)]; ok && path != "" {
		for _, v := range i.byFile[key] {
			if v.size == m.pages() {
				views = append(views, v)
			}
		}
	}
	return views
}

// sessionViews are the module's place in one process of each session.
func (m *Module) sessionViews(ctx context.Context) (views []imageView) {
	seen := map[uint32]bool{}
	for p, err := range m.sys.ActiveProcesses(ctx) {
		if err != nil {
			break
		}
		id, ok, err := p.Session()
		if err != nil || !ok || seen[id] {
			continue
		}
		if space, err := p.Space(); err == nil {
			seen[id] = true
			views = append(views, imageView{space, m.Base, m.pages(), p})
		}
	}
	return views
}

// pages is the module's size in whole pages.
func (m *Module) pages() uint64 { return (m.Size + memory.PageSize - 1) &^ (memory.PageSize - 1) }

// volumePath is a DOS path without its drive.
func volumePath(path string) string {
	if len(path) > 2 && path[1] == ':' {
		return path[2:]
	}
	return path
}

// An identity is what another view tells of an image whose own headers are out.
type identity struct {
	header *pe.Image // nil: no view has them
	owner  Process   // whose view it is
	cv     pe.CodeView
	cvErr  error // why there is no cv
	looked int   // views that were looked at
}

// elsewhere looks at the other views of the module's image, once. A header with
// another time stamp than the loader noted is another file's.
func (m *Module) elsewhere(ctx context.Context) *identity {
	m.identityMu.Lock()
	defer m.identityMu.Unlock()
	if m.identity != nil {
		return m.identity
	}
	id := &identity{}
	for _, v := range m.otherViews(ctx) {
		if v.owner.Addr() == m.owner.Addr() && v.base == m.Base {
			continue
		}
		id.looked++
		img, err := pe.FromMemory(v.space, v.base)
		if err != nil || m.HasTimeDateStamp && m.TimeDateStamp != 0 && img.TimeDateStamp != m.TimeDateStamp {
			continue
		}
		cv, err := img.CodeView()
		if id.header == nil || err == nil {
			id.header, id.owner, id.cv, id.cvErr = img, v.owner, cv, err
		}
		if err == nil {
			break
		}
	}
	if ctx.Err() == nil {
		m.identity = id
	}
	return id
}

// notedElsewhere returns what the loader of another process noted of the same
// file, nil when none of the first few that map it did: where the headers are
// out of all views, its time stamp still tells which file it is.
func (m *Module) notedElsewhere(ctx context.Context) *Module {
	const most = 8
	for i, v := range m.otherViews(ctx) {
		if i == most {
			break
		}
		if v.owner.Addr() == m.owner.Addr() {
			continue
		}
		peb, err := v.owner.PEB()
		if err != nil || peb == 0 {
			continue
		}
		listed, _ := v.owner.ldrModules(ctx, peb)
		for _, o := range listed {
			if o.Base == v.base && o.pages() == m.pages() && o.HasTimeDateStamp {
				return o
			}
		}
	}
	return nil
}

// header returns the module's headers: its own or, where those are out, the
// ones that another process has of the same file.
func (m *Module) header(ctx context.Context) (*pe.Image, error) {
	img, err := m.Image()
	if err == nil {
		return img, nil
	}
	id := m.elsewhere(ctx)
	if id.header == nil {
		return nil, id.explain(err)
	}
	return id.header, nil
}

// explain adds to the reason why headers cannot be read where else they were
// looked for.
func (id *identity) explain(err error) error {
	switch id.looked {
	case 0:
		return fmt.Errorf("%w; no other process maps the file", err)
	case 1:
		return fmt.Errorf("%w; the one other process that maps the file does not have it either", err)
	}
	return fmt.Errorf("%w; none of %d other views of the file has it either", err, id.looked)
}

// IdentifiedBy returns the process whose view of the image told what the
// module's own pages could not: false when that was not needed, or no help.
func (m *Module) IdentifiedBy() (Process, bool) {
	m.identityMu.Lock()
	defer m.identityMu.Unlock()
	if m.identity == nil || m.identity.header == nil {
		return Process{}, false
	}
	return m.identity.owner, true
}
