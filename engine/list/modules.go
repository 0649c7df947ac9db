package list

import (
	"context"
	"iter"

	"kdap/engine/windows"
)

// A Module is an entry of the kind "modules".
type Module struct {
	PID       *uint64 `json:"pid,omitempty"` // absent for kernel modules
	Base      Hex     `json:"base"`
	Size      uint64  `json:"size"`                // bytes
	Name      string  `json:"name"`                // as commands name it
	ImageName string  `json:"imageName,omitempty"` // file name
	Path      string  `json:"path,omitempty"`      // as the loader has it
	Timestamp *uint32 `json:"timestamp,omitempty"` // the image header's
	Checksum  *uint32 `json:"checksum,omitempty"`  // the image header's
	PDB       *PDB    `json:"pdb,omitempty"`       // which symbols belong to it
	Symbols   string  `json:"symbols,omitempty"`   // those that are loaded: "pdb", "isf", "export", "none", "deferred"
	Unloaded  bool    `json:"unloaded,omitempty"`  // only its place is known

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// A PDB names a symbol file.
type PDB struct {
	Name string `json:"name"`
	GUID string `json:"guid"`
	Age  uint32 `json:"age"`
}

// Modules yields the kernel's modules, the unloaded drivers, then the modules
// of the processes that keep accepts; of a filter that narrows only the latter.
func Modules(ctx context.Context, sys *windows.System, keep Filter) iter.Seq2[Module, error] {
	return func(yield func(Module, error) bool) {
		if keep.Empty() && !kernelModules(ctx, sys, yield) {
			return
		}
		ofProcesses(AllProcesses(ctx, sys), keep, func(p windows.Process, yield func(Module, error) bool) bool {
			return processModules(ctx, p, yield)
		})(yield)
	}
}

func processModules(ctx context.Context, p windows.Process, yield func(Module, error) bool) bool {
	pid, err := p.PID()
	if err != nil {
		return true // the listing of processes reports it
	}
	set := p.UserModules(ctx)
	for _, m := range set.All() {
		v := NewModule(ctx, m)
		v.PID = &pid
		if !yield(v, nil) {
			return false
		}
	}
	for _, err := range set.Errs() {
		if !yield(Module{}, err) {
			return false
		}
	}
	return true
}

func kernelModules(ctx context.Context, sys *windows.System, yield func(Module, error) bool) bool {
	set := sys.KernelModules(ctx)
	for _, m := range set.All() {
		if !yield(NewModule(ctx, m), nil) {
			return false
		}
	}
	for _, err := range set.Errs() {
		if !yield(Module{}, err) {
			return false
		}
	}
	for d, err := range sys.UnloadedDrivers() {
		v := Module{Base: Hex(d.Start), Size: d.End - d.Start, Name: d.Name, ImageName: d.Name, Unloaded: true}
		if !yield(v, err) {
			return false
		}
	}
	return true
}

// NewModule reads the values of one module. It looks at the image's headers,
// not for its symbols: Symbols is "deferred" unless they were loaded before.
func NewModule(ctx context.Context, m *windows.Module) Module {
	v := Module{
		Base: Hex(m.Base), Size: m.Size, Name: m.Name, ImageName: m.ImageName, Path: m.Path, Symbols: m.SymbolState(),
	}
	u := &v.Unreadable
	if m.NameErr != nil {
		u.add("name", m.NameErr)
	}
	var stamp, sum uint32
	var err error
	if !m.HasTimeDateStamp || m.CheckSum == 0 && m.User {
		stamp, sum, err = m.Stamp(ctx)
	}
	switch {
	case m.HasTimeDateStamp:
		v.Timestamp = &m.TimeDateStamp
	case err == nil:
		v.Timestamp = &stamp
	default:
		u.add("timestamp", err)
	}
	switch {
	case m.CheckSum != 0 || !m.User:
		v.Checksum = &m.CheckSum
	case err == nil:
		v.Checksum = &sum
	default:
		u.add("checksum", err)
	}
	cv, err := m.CodeView()
	if err != nil {
		u.add("pdb", err)
	} else {
		v.PDB = &PDB{Name: cv.Name, GUID: cv.GUID.String(), Age: cv.Age}
	}
	return v
}
