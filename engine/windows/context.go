package windows

import (
	"fmt"
	"strings"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
)

// DispatcherThread is the type byte of a thread's dispatcher header.
const DispatcherThread = dispatcherThread

// HasPageDirectories reports whether the object has the address of page tables
// where a process has it, and they map the kernel: what debuggers take for a
// process.
func (p Process) HasPageDirectories() bool {
	dtb, err := p.DTB()
	if err != nil || amd64.CleanDTB(dtb) == 0 {
		return false
	}
	if !p.sys.Paged() {
		return p.IsProcess()
	}
	if p.sys.nt == nil {
		return true
	}
	_, err = memory.ReadUint(p.sys.SpaceOf(dtb), p.sys.nt.Base, 2)
	return err == nil
}

// IsSystem reports whether the process is one of the kernel's own, which have
// no user part and the kernel's page tables.
func (p Process) IsSystem() bool {
	dtb, err := p.DTB()
	return err == nil && amd64.CleanDTB(dtb) == p.sys.kernelDTB()
}

// kernelDTB returns the page tables of the kernel's own processes: those of
// nt!PsInitialSystemProcess, else of the KiInitialProcess, else the dump's.
func (s *System) kernelDTB() uint64 {
	if addr, err := s.GlobalUint("PsInitialSystemProcess", 8); err == nil {
		if dtb, err := s.Process(addr).DTB(); err == nil {
			return amd64.CleanDTB(dtb)
		}
	}
	return s.dtb
}

// LdrField returns the address of the member Ldr of the PEB at peb.
func (p Process) LdrField(peb uint64) uint64 { return peb + p.sys.fieldOr("_PEB", "Ldr", 0x18) }

// PEBPagedOut reports whether the loader's data cannot be found because the
// page of the PEB is not there.
func (p Process) PEBPagedOut() bool {
	peb, err := p.PEB()
	if err != nil || peb == 0 {
		return false
	}
	space, err := p.Space()
	if err != nil {
		return true
	}
	_, err = memory.ReadUint(space, p.LdrField(peb), 8)
	return err != nil
}

// ProcessField returns the address of the member that says in which process
// the thread runs.
func (t Thread) ProcessField() uint64 {
	f := t.tcb("ApcState.Process")
	if f.Err() != nil && t.sys.kdbg != nil {
		return t.Addr() + uint64(t.sys.kdbg.KThreadApcProcess)
	}
	return f.Addr()
}

// SummaryName is what a module is called in lists of symbol errors: the
// kernel by its PDB, the others by their module names.
func (m *Module) SummaryName() string {
	if m == m.sys.nt {
		if cv, err := m.CodeView(); err == nil {
			return strings.TrimSuffix(cv.Name, ".pdb")
		}
	}
	return m.Name
}

// SpecialRegisters returns the processor's control and descriptor registers as
// saved at the crash.
func (c Processor) SpecialRegisters() (*amd64.SpecialRegisters, error) {
	at := c.prcb.Field("ProcessorState.SpecialRegisters")
	addr := at.Addr()
	if at.Err() != nil {
		off := c.sys.offsets().PrcbSpecialRegs
		if off == 0 {
			return nil, fmt.Errorf("control registers of processor %d: %w", c.number, at.Err())
		}
		addr = c.Addr() + uint64(off)
	}
	regs, err := amd64.ReadSpecialRegisters(c.sys.Kernel(), addr, c.sys.layout(amd64.DefaultSpecialRegisters))
	if err != nil {
		return nil, fmt.Errorf("control registers of processor %d: %w", c.number, err)
	}
	return regs, nil
}
