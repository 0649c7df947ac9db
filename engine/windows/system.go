// Package windows gives views over the objects of a Windows kernel in a dump:
// processors, processes, threads, modules, address ranges, stacks.
//
// A view is a typed object of the kernel's own symbols with the questions
// debuggers ask of it. Views hold no copies and resolve members by name; where
// builds differ they ask for the member, never for the build. Layouts that have
// no public type stand in one table a subject, with their source.
//
// Everything a dump says is doubted: walks remember what they saw and end,
// counts are bounded, the good part comes first and the reason for stopping
// last. A System is safe for concurrent use.
package windows

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"kdap/engine/arch/amd64"
	"kdap/engine/dump"
	"kdap/engine/memory"
	"kdap/engine/profile"
	"kdap/engine/symbols"
	"kdap/engine/types"
)

// A System is the Windows system in a dump.
type System struct {
	dump   *dump.File
	stops  stops
	user   *UserProcess // of a user minidump, which has no kernel
	paging atomic.Pointer[amd64.Paging]
	kernel memory.Space // the kernel's address space as the crashing processor saw it
	dtb    uint64
	kdbg   *KDBG
	nt     *Module
	finder *symbols.Finder

	profile *profile.Profile // stands for the types of a kernel without symbols

	typeCache     sync.Map // name → *types.Type or error
	symbolCache   sync.Map // name → uint64 or error
	objectTypes   sync.Map // index → ObjectType
	spaces        sync.Map // DTB → *memory.AddressSpace
	processSpaces sync.Map // EPROCESS → *memory.AddressSpace, with the process's prototype PTEs
	layouts       sync.Map // type name → amd64.FrameLayout
	userMods      sync.Map // EPROCESS → *ModuleSet
	allMods       sync.Map // the same with the kernel's
	views         imageViews
	codeViewScans sync.Map // base of a kernel without header → what was found in its pages
	tables        sync.Map // image identity → shared symbols and function tables

	kernelModsOnce sync.Once
	kernelMods     *ModuleSet

	drivesOnce sync.Once
	drives     map[string]string // volume, lower case → "C:"

	unloadedOnce sync.Once
	unloaded     []unloadedSlot

	crashOnce      sync.Once
	crashProcessor int

	problems []error
}

// Open finds the kernel in the dump and loads its symbols. It reads the
// header, the KDBG and the kernel's own headers, nothing else. A system without
// symbols opens too, and Problems tells what is missing; it fails only when not
// even the address of the kernel can be found out.
func Open(ctx context.Context, f *dump.File, finder *symbols.Finder) (*System, error) {
	s := &System{dump: f, finder: finder, dtb: amd64.CleanDTB(f.Header.DirectoryTableBase)}
	s.stops = processorStops{s}
	if t := s.triage(); t != nil {
		s.kernel = t.Space()
	} else {
		s.openPaging()
	}
	s.findKDBG()
	base, size, err := s.findKernel(ctx)
	if err != nil {
		s.problems = append(s.problems, err)
		return s, nil
	}
	s.nt = &Module{
		sys: s, space: s.kernel, Name: kernelName, ImageName: "ntoskrnl.exe", Base: base, Size: size, Source: "kdbg",
	}
	if img, err := s.nt.Image(); err == nil {
		s.nt.TimeDateStamp, s.nt.CheckSum, s.nt.HasTimeDateStamp = img.TimeDateStamp, img.CheckSum, true
		s.nt.Size = uint64(img.SizeOfImage)
	} else {
		s.headerlessKernel(err)
	}
	s.attachKernelSymbols(ctx)
	return s, ctx.Err()
}

// openPaging sets up the kernel's address space with the page tables that the
// header names or, when those do not map the kernel, with others that do. How
// many levels the processor uses the header does not say: only one of the two
// ways maps the kernel.
func (s *System) openPaging() {
	named := s.dtb
	if s.tryRoot(named) {
		return
	}
	for root := range s.dump.PageTableRoots() {
		if root != named && s.tryRoot(root) {
			s.problems = append(s.problems, fmt.Errorf(
				"the page tables at %#x (DirectoryTableBase of the header) do not map the kernel; those at %#x, found by searching, are used", named, root))
			return
		}
	}
	s.useRoot(named, false)
	s.problems = append(s.problems, fmt.Errorf(
		"no page tables map the kernel's list of modules at %#x (PsLoadedModuleList of the header), those at %#x (DirectoryTableBase) no more than others: the header is damaged, or the pages are not in the dump",
		s.dump.Header.PsLoadedModuleList, named))
}

func (s *System) useRoot(root uint64, la57 bool) {
	s.dtb = root
	s.paging.Store(amd64.NewPaging(amd64.PagingOptions{LA57: la57}))
	s.kernel = memory.NewAddressSpace(s.dump, s.paging.Load(), root, nil)
}

// tryRoot uses the page tables at root if they map the kernel's list of
// modules, or at least its debugger block.
func (s *System) tryRoot(root uint64) bool {
	if root == 0 {
		return false
	}
	for _, la57 := range []bool{false, true} {
		s.useRoot(root, la57)
		head := s.dump.Header.PsLoadedModuleList
		if next, err := memory.ReadUint(s.kernel, head, 8); err == nil {
			// The neighbour points back: these are tables of this kernel.
			if back, err := memory.ReadUint(s.kernel, next+8, 8); err == nil && back == head {
				return true
			}
		}
		if _, err := s.readKDBG(s.dump.Header.KdDebuggerDataBlock); err == nil {
			return true
		}
	}
	return false
}

// refinePaging takes the options that depend on the build and the machine from
// the kernel's symbols, and starts the address spaces anew with them.
func (s *System) refinePaging(ctx context.Context) {
	if !s.Paged() {
		return
	}
	o := s.paging.Load().Options()
	mask, err := s.Global("MiState", "_MI_SYSTEM_INFORMATION").Field("Hardware.InvalidPteMask").Uint()
	if err != nil && s.profile != nil {
		mask = s.invalidMask(ctx)
	}
	o.InvalidPteMask = mask
	bit := func(b *amd64.Bits, typeName, field string) {
		t, err := s.Type(typeName)
		if err != nil {
			return
		}
		if f := t.Field(field); f != nil && f.Type.Kind == types.BitField {
			*b = amd64.Bits{Pos: f.Type.BitPos, Len: f.Type.BitLen}
		}
	}
	bit(&o.SwizzleBit, "_MMPTE_SOFTWARE", "SwizzleBit")
	bit(&o.PageFileLow, "_MMPTE_SOFTWARE", "PageFileLow")
	bit(&o.PageFileHigh, "_MMPTE_SOFTWARE", "PageFileHigh")
	bit(&o.Protection, "_MMPTE_SOFTWARE", "Protection")
	bit(&o.TransitionPFN, "_MMPTE_TRANSITION", "PageFrameNumber")
	bit(&o.ProtoAddress, "_MMPTE_PROTOTYPE", "ProtoAddress")
	if o == s.paging.Load().Options() {
		return
	}
	s.paging.Store(amd64.NewPaging(o))
	s.kernel = memory.NewAddressSpace(s.dump, s.paging.Load(), s.dtb, nil)
	s.spaces.Clear()
	s.nt.space = s.kernel
}

// Dump returns the dump the system is read from.
func (s *System) Dump() *dump.File { return s.dump }

// Problems tells what the system had to do without.
func (s *System) Problems() []error { return s.problems }

// KDBG returns the kernel's debugger block, nil when none was found.
func (s *System) KDBG() *KDBG { return s.kdbg }

// Nt returns the kernel, nil when it was not found.
func (s *System) Nt() *Module { return s.nt }

// Kernel returns the kernel's address space as the crashing processor saw it;
// of a user minidump the memory of its process.
func (s *System) Kernel() memory.Space { return s.kernel }

// Paged reports whether the dump has page tables; a triage dump and a user
// minidump have not.
func (s *System) Paged() bool { return s.paging.Load() != nil }

// DTB returns the physical address of the crashing context's page tables.
func (s *System) DTB() uint64 { return s.dtb }

// SpaceOf returns the address space of the page tables at dtb, which may carry PCID bits.
func (s *System) SpaceOf(dtb uint64) *memory.AddressSpace {
	dtb = amd64.CleanDTB(dtb)
	if a, ok := s.spaces.Load(dtb); ok {
		return a.(*memory.AddressSpace)
	}
	a, _ := s.spaces.LoadOrStore(dtb, memory.NewAddressSpace(s.dump, s.paging.Load(), dtb, s.kernel))
	return a.(*memory.AddressSpace)
}

// ErrNoKernel says that the kernel was not found, and so nothing about its symbols.
var ErrNoKernel = errors.New("the kernel was not found in the dump")

// Type returns a type of the kernel's symbols, or of ntdll's in a user minidump.
func (s *System) Type(name string) (*types.Type, error) {
	if v, ok := s.typeCache.Load(name); ok {
		if t, ok := v.(*types.Type); ok {
			return t, nil
		}
		return nil, v.(error)
	}
	t, err := s.lookupType(name)
	if err != nil {
		s.typeCache.Store(name, err)
		return nil, err
	}
	s.typeCache.Store(name, t)
	return t, nil
}

func (s *System) lookupType(name string) (*types.Type, error) {
	m := s.typeModule()
	if m != nil {
		if src := m.Types(); src != nil {
			if t, ok := src.Type(name); ok {
				return t, nil
			}
		}
	}
	if s.profile != nil {
		if t, ok := s.profile.Type(name); ok {
			return t, nil
		}
	}
	if m == nil {
		return nil, ErrNoKernel
	}
	return nil, &types.NoTypeError{Name: m.Name + "!" + name}
}

// typeModule is the module whose symbols describe the system's structures: the
// kernel, or ntdll in the dump of a process.
func (s *System) typeModule() *Module {
	if s.user != nil {
		return s.user.ntdll
	}
	return s.nt
}

// A NoSymbolError says that the kernel's symbols have no such name.
type NoSymbolError struct{ Name string }

func (e *NoSymbolError) Error() string { return "no symbol nt!" + e.Name }

// Symbol returns the address of a name of the kernel.
func (s *System) Symbol(name string) (uint64, error) {
	if v, ok := s.symbolCache.Load(name); ok {
		if a, ok := v.(uint64); ok {
			return a, nil
		}
		return 0, v.(error)
	}
	a, err := s.lookupSymbol(name)
	if err != nil {
		s.symbolCache.Store(name, err)
		return 0, err
	}
	s.symbolCache.Store(name, a)
	return a, nil
}

func (s *System) lookupSymbol(name string) (uint64, error) {
	if s.nt == nil {
		return 0, ErrNoKernel
	}
	if sym, ok := s.nt.Symbols(context.Background()).Lookup(name); ok {
		return s.nt.Base + uint64(sym.RVA), nil
	}
	if s.profile != nil {
		if addr, ok := s.position(name); ok {
			return addr, nil
		}
	}
	return 0, &NoSymbolError{name}
}

// symbolOr returns the address of a name, or what the KDBG has for it.
func (s *System) symbolOr(name string, fromKDBG func(*KDBG) uint64) (uint64, error) {
	addr, err := s.Symbol(name)
	if err != nil && s.kdbg != nil {
		if v := fromKDBG(s.kdbg); v != 0 {
			return v, nil
		}
	}
	return addr, err
}

// Struct returns the object of a kernel type at addr in the kernel's space.
func (s *System) Struct(typeName string, addr uint64) types.Object {
	t, err := s.Type(typeName)
	if err != nil {
		return types.FailedAt(addr, err)
	}
	return types.NewObject(s.kernel, t, addr)
}

// Global returns the variable nt!name as an object of a kernel type: public
// symbols carry no types of their own.
func (s *System) Global(name, typeName string) types.Object {
	addr, err := s.Symbol(name)
	if err != nil {
		return types.Failed(err)
	}
	return s.Struct(typeName, addr)
}

// GlobalUint reads the number at nt!name.
func (s *System) GlobalUint(name string, size int) (uint64, error) {
	addr, err := s.Symbol(name)
	if err != nil {
		return 0, err
	}
	return memory.ReadUint(s.kernel, addr, size)
}
