package windows

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kdap/engine/pe"
	"kdap/engine/symbols"
)

// DebuggerImage returns the file name and path that debuggers show for the
// module's image. That is what the loader has, but for the files that the boot
// loader renames: the kernel, the hardware layer and the kernel debugger's
// transport are known under one name whichever file was chosen, so they are
// named after their PDB, with the extension that the header tells.
func (m *Module) DebuggerImage() (name, path string) {
	if m.User || m.WOW64 || !m.isRenamed() {
		return m.ImageName, m.Path
	}
	img, err := m.Image()
	if err != nil {
		return m.ImageName, m.Path
	}
	name = ImageNameOfPDB(img)
	if name == "" {
		return m.ImageName, m.Path
	}
	return name, name
}

// ImageNameOfPDB returns the file name that an image's PDB and header suggest,
// "" when the PDB is not known.
func ImageNameOfPDB(img *pe.Image) string {
	cv, err := img.CodeView()
	if err != nil {
		return ""
	}
	base := baseName(cv.Name)
	if i := strings.LastIndexByte(base, '.'); i > 0 {
		base = base[:i]
	}
	switch {
	case base == "":
		return ""
	case img.Characteristics&pe.CharDLL != 0:
		return base + ".dll"
	}
	return base + ".exe"
}

func (m *Module) isRenamed() bool {
	if m.sys != nil && m == m.sys.nt {
		return true
	}
	return strings.EqualFold(m.ImageName, "hal.dll") || strings.EqualFold(m.ImageName, "kdcom.dll")
}

// UnloadedModule makes a module of a driver that was unloaded, under a name of
// the caller's. What the kernel remembers of it has neither time stamp nor
// checksum.
func (s *System) UnloadedModule(d UnloadedDriver, name string) *Module {
	m := s.DeclaredModule(name, d.Start, d.End-d.Start, 0, false)
	m.Source, m.HasTimeDateStamp = "unloaded", true
	return m
}

// DeclaredModule makes a module that the user says is there. A time stamp of 0
// is not known.
func (s *System) DeclaredModule(path string, base, size uint64, stamp uint32, user bool) *Module {
	m := &Module{
		sys: s, space: s.Kernel(), Source: "declared", User: user,
		Path: path, ImageName: baseName(path), Base: base, Size: size,
		TimeDateStamp: stamp, HasTimeDateStamp: stamp != 0,
	}
	m.Name = moduleName(m.ImageName)
	if slices.ContainsFunc(symbols.KernelNames(), func(k string) bool { return strings.EqualFold(m.ImageName, k) }) {
		m.Name = kernelName
	}
	return m
}

// In returns a declared module as one of another system of the same dump.
func (m *Module) In(s *System) *Module {
	return &Module{
		sys: s, space: s.Kernel(), Source: m.Source, User: m.User,
		Path: m.Path, ImageName: m.ImageName, Base: m.Base, Size: m.Size,
		TimeDateStamp: m.TimeDateStamp, HasTimeDateStamp: m.HasTimeDateStamp, Name: m.Name,
	}
}

// UniqueName returns the name that a module gets beside the others.
func UniqueName(m *Module, others []*Module) string {
	used := nameTaker{}
	for _, o := range others {
		used[strings.ToLower(o.Name)] = true
	}
	return used.take(m)
}

// LocalFile looks for the module's image file in the folders and stores of a
// finder, without asking servers. It is opened anew: the caller closes it.
func (m *Module) LocalFile(ctx context.Context, f *symbols.Finder) (*pe.Image, string, error) {
	if !m.HasTimeDateStamp {
		return nil, "", fmt.Errorf("%s: its time stamp is not known", m.ImageName)
	}
	im, path, _, err := f.FindImage(ctx, symbols.WantImage{Name: m.ImageName, Stamp: m.TimeDateStamp, Size: uint32(m.Size), Local: true})
	return im, path, err
}
