package windows

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/memory"
	"kdap/engine/pe"
)

// findKDBG reads the block the header points at. Whether it can be had
// otherwise is asked again once there are symbols.
func (s *System) findKDBG() {
	if t := s.triage(); t != nil && len(t.DebuggerData) > 0 {
		if k, err := parseKDBG(s.dump.Header.KdDebuggerDataBlock, t.DebuggerData); err == nil {
			s.kdbg = k
			return
		}
	}
	if s.dump.Header.HasDebuggerData() {
		s.kdbg, _ = s.readKDBG(s.dump.Header.KdDebuggerDataBlock)
	}
}

func (s *System) readKDBG(addr uint64) (*KDBG, error) {
	b := make([]byte, kdbgReadSize)
	n, err := s.kernel.Read(addr, b)
	k, perr := parseKDBG(addr, b[:n])
	if perr != nil {
		return nil, errors.Join(perr, err)
	}
	return k, nil
}

// maxKernelSize bounds how far below an address of the kernel its header is
// looked for: kernels are about 17 MB.
const maxKernelSize = 64 << 20

// findKernel returns the base of the kernel's image, and its size where it is known.
func (s *System) findKernel(ctx context.Context) (base, size uint64, err error) {
	if s.kdbg != nil && s.kdbg.KernBase != 0 {
		return s.kdbg.KernBase, s.loadedSize(s.kdbg.KernBase), nil
	}
	if t := s.triage(); t != nil && len(t.Drivers) > 0 {
		return t.Drivers[0].DllBase, uint64(t.Drivers[0].SizeOfImage), nil
	}
	// The kernel is the first entry of its own list of modules.
	list := s.dump.Header.PsLoadedModuleList
	first, err := memory.ReadUint(s.kernel, list, 8)
	if err == nil {
		base, berr := memory.ReadUint(s.kernel, first+kldr64.base, 8)
		if berr == nil && s.hasImage(base) {
			return base, s.loadedSize(base), nil
		}
	}
	// The list's head lies in the kernel: its header is somewhere below.
	for _, inside := range []uint64{list, s.dump.Header.KdDebuggerDataBlock, s.dump.Header.PsActiveProcessHead} {
		if base, ok := s.scanDown(inside); ok {
			return base, 0, nil
		}
	}
	if base, ok := s.baseBySymbols(ctx); ok {
		return base, 0, nil
	}
	return 0, 0, fmt.Errorf("no kernel image found: neither by the KDBG, nor by the list of modules at %#x, nor below it: %w", list, errOrNot(err))
}

func errOrNot(err error) error {
	if err == nil {
		return ErrNoKernel
	}
	return err
}

// loadedSize returns the kernel's size as its own list of modules has it, 0 if it cannot be read.
func (s *System) loadedSize(base uint64) uint64 {
	first, err := memory.ReadUint(s.kernel, s.dump.Header.PsLoadedModuleList, 8)
	if err != nil {
		return 0
	}
	if b, err := memory.ReadUint(s.kernel, first+kldr64.base, 8); err != nil || b != base {
		return 0
	}
	size, _ := memory.ReadUint(s.kernel, first+kldr64.size, 4)
	return size
}

func (s *System) hasImage(base uint64) bool {
	mz, err := memory.ReadUint(s.kernel, base, 2)
	return err == nil && mz == 'M'|'Z'<<8
}

func (s *System) scanDown(inside uint64) (uint64, bool) {
	if inside < 1<<47 {
		return 0, false // filler, or nothing of the kernel
	}
	for at := inside &^ (memory.PageSize - 1); inside-at < maxKernelSize; at -= memory.PageSize {
		if !s.hasImage(at) {
			continue
		}
		img, err := pe.FromMemory(s.kernel, at)
		if err == nil && at+uint64(img.SizeOfImage) > inside {
			return at, true
		}
	}
	return 0, false
}

// attachKernelSymbols loads the kernel's symbols and, with them, what had to
// be guessed before.
func (s *System) attachKernelSymbols(ctx context.Context) {
	s.nt.Symbols(ctx)
	s.refinePaging(ctx)
	s.findKDBGAgain()
	if !s.hasTypes() && ctx.Err() == nil {
		s.useProfile(ctx)
		s.refinePaging(ctx)
	}
}

// findKDBGAgain looks for a block that the header does not lead to.
func (s *System) findKDBGAgain() {
	if s.kdbg != nil || !s.Paged() {
		return
	}
	if addr, err := s.Symbol("KdDebuggerDataBlock"); err == nil {
		if s.kdbg, _ = s.readKDBG(addr); s.kdbg == nil {
			s.kdbg = s.encodedKDBG(addr)
		}
	}
	if s.kdbg == nil && s.nt.Size != 0 {
		s.kdbg, _ = scanKDBG(s.kernel, s.nt.Base, s.nt.Size)
	}
	if s.kdbg == nil && !s.hasTypes() {
		if s.dump.Header.HasDebuggerData() {
			s.kdbg = s.kdbgByBase(s.dump.Header.KdDebuggerDataBlock)
		}
		if s.kdbg == nil {
			s.kdbg = s.scanEncodedKDBG()
		}
	}
	if s.kdbg == nil {
		s.problems = append(s.problems, errors.New(noKDBG(s.hasTypes())))
	}
}

func (s *System) encodedKDBG(addr uint64) *KDBG {
	never, err1 := s.GlobalUint("KiWaitNever", 8)
	always, err2 := s.GlobalUint("KiWaitAlways", 8)
	flag, err3 := s.Symbol("KdpDataBlockEncoded")
	if errors.Join(err1, err2, err3) != nil {
		return nil
	}
	b := make([]byte, kdbgReadSize)
	n, _ := s.kernel.Read(addr, b)
	// Public readers disagree on which of two addresses goes into the encoding.
	// A block decoded with the wrong one has no tag.
	for _, mixed := range []uint64{flag, addr} {
		if k, err := parseKDBG(addr, decodeKDBG(b[:n], never, always, mixed)); err == nil {
			return k
		}
	}
	return nil
}

func noKDBG(types bool) string {
	if types {
		return "no KDBG found; the kernel's symbols are used in its place"
	}
	return "no KDBG found: the kernel's debugger data is not in the dump"
}
