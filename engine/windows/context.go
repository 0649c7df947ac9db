package windows

import (
	"fmt"
	"strings"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
)

// DispatcherThread is the type byte of a thread's dispatcher header.
const DispatcherThread = dispatcherThread

// A MachineError says that the dump is of a machine whose registers are not
// decoded.
type MachineError struct{ Machine uint32 } // IMAGE_FILE_MACHINE

func (e *MachineError) Error() string {
	return fmt.Sprintf("registers of machine type %#x are not decoded", e.Machine)
}

// Machine types (PE/COFF specification, "Machine Types").
const (
	imageMachineX86   = 0x14c
	imageMachineARM   = 0x1c4
	imageMachineAMD64 = 0x8664
	imageMachineARM64 = 0xaa64
)

// checkMachine fails for dumps of other machines than x64.
func (s *System) checkMachine() error {
	if m := s.dump.Header.MachineImageType; m != imageMachineAMD64 {
		return &MachineError{m}
	}
	return nil
}

// HasPageDirectories reports whether the object has the address of page tables
// where a process has it, and they map the kernel: what debuggers take for a
// process.
func (p Process) HasPageDirectories() bool {
	if !p.sys.Paged() {
		return true // nothing to check
	}
	dtb, err := p.DTB()
	if err != nil || amd64.CleanDTB(dtb) == 0 {
		return false
	}
	return p.sys.mapsKernel(amd64.CleanDTB(dtb))
}

// mapsKernel reports whether the table at dtb is in the dump and has a valid
// entry where the kernel's own has one.
func (s *System) mapsKernel(dtb uint64) bool {
	if s.nt == nil {
		_, ok := s.dump.Page(dtb >> memory.PageShift)
		return ok
	}
	shift := 39 // the root table of four levels has an entry for each 512 GB
	if s.paging.Load().Options().LA57 {
		shift = 48
	}
	var entry [8]byte
	_, err := memory.ReadPhysical(s.dump, dtb+8*(s.nt.Base>>shift&0x1ff), entry[:])
	return err == nil && entry[0]&1 != 0
}

// TablesAt returns memory as the page tables at dtb alone show it, right or
// wrong.
func (s *System) TablesAt(dtb uint64) *memory.AddressSpace {
	return memory.NewAddressSpace(s.dump, s.paging.Load(), amd64.CleanDTB(dtb), nil)
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
