package list

import (
	"context"
	"fmt"

	"kdap/engine/windows"
	"kdap/engine/windows/machine"
)

// A System is the value of the kind "system".
type System struct {
	Format        string     `json:"format"`       // "PAGEDU64", "MDMP"
	Type          string     `json:"type"`         // "full", "kernel (bitmap)", "triage" ...
	Architecture  string     `json:"architecture"` // "x64", "arm64", "x86", "ia64", or the machine type as a number
	Build         uint32     `json:"build"`        // number of the Windows build: 19045
	BuildLab      string     `json:"buildLab,omitempty"`
	CPUs          uint32     `json:"cpus"`                    // processors
	PhysicalPages *uint64    `json:"physicalPages,omitempty"` // that the machine had
	PresentPages  uint64     `json:"presentPages"`            // that the dump holds
	CrashTime     *Time      `json:"crashTime,omitempty"`     // when the dump was made
	Uptime        *float64   `json:"uptime,omitempty"`        // seconds
	KernelBase    *Hex       `json:"kernelBase,omitempty"`    // where the kernel lies
	KernelPDB     *PDB       `json:"kernelPdb,omitempty"`     // the kernel's symbols
	Symbols       string     `json:"symbols,omitempty"`       // what the kernel's types come from: "pdb", "isf", "profile", "none"
	ComputerName  string     `json:"computerName,omitempty"`
	BugCheck      BugCheck   `json:"bugcheck,omitzero"`   // of kernel dumps
	Exception     *Exception `json:"exception,omitempty"` // of user minidumps

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// A BugCheck is why the system stopped.
type BugCheck struct {
	Code       Hex    `json:"code"`
	Name       string `json:"name"` // as bugcodes.h has it
	Parameters [4]Hex `json:"parameters"`
}

// NewBugCheck names a bug check.
func NewBugCheck(b windows.BugCheck) BugCheck {
	v := BugCheck{Code: Hex(b.Code), Name: b.Name()}
	for i, p := range b.Params {
		v.Parameters[i] = Hex(p)
	}
	return v
}

// machines are the processors of the header's MachineImageType.
var machines = map[uint32]string{0x8664: "x64", 0xaa64: "arm64", 0x14c: "x86", 0x200: "ia64"}

// NewSystem reads the facts of the system.
func NewSystem(ctx context.Context, sys *windows.System) System {
	if u := sys.User(); u != nil {
		return userSystem(u)
	}
	f := sys.Dump()
	v := System{
		Format: "PAGEDU64", Type: f.Type().String(), Architecture: machines[f.Header.MachineImageType],
		Build: sys.Build(), CPUs: f.Header.NumberProcessors, PresentPages: f.PresentPages(),
		BugCheck: NewBugCheck(sys.BugCheck()),
	}
	u := &v.Unreadable
	if v.Architecture == "" {
		v.Architecture = fmt.Sprintf("%#x", f.Header.MachineImageType)
	}
	lab, err := sys.BuildLab()
	v.BuildLab = readText(u, "buildLab", lab, err)
	if pages, ok := f.PhysicalPages(); ok {
		v.PhysicalPages = &pages
	}
	v.CrashTime = readTime(u, "crashTime", sys.CrashTime(), nil)
	uptime, err := sys.Uptime()
	v.Uptime = read(u, "uptime", uptime.Seconds(), err)
	name, err := machine.Name(ctx, sys)
	v.ComputerName = readText(u, "computerName", name, err)
	nt := sys.Nt()
	if nt == nil {
		u.add("kernelBase", windows.ErrNoKernel)
		return v
	}
	base := Hex(nt.Base)
	v.KernelBase = &base
	nt.Symbols(ctx)
	v.Symbols = sys.SymbolRank()
	cv, err := nt.CodeView()
	if err != nil {
		u.add("kernelPdb", err)
	} else {
		v.KernelPDB = &PDB{Name: cv.Name, GUID: cv.GUID.String(), Age: cv.Age}
	}
	return v
}
