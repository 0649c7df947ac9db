package windows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/arch/arm64"
	"kdap/engine/arch/x86"
	"kdap/engine/dump"
	"kdap/engine/memory"
	"kdap/engine/pe"
	"kdap/engine/profile"
	"kdap/engine/symbols"
	"kdap/engine/types"
)

// A UserProcess is the one process of a user minidump: what its streams say,
// and the modules with their symbols.
type UserProcess struct {
	sys    *System
	file   *dump.UserFile
	events int     // number of the event's thread
	ntdll  *Module // nil when the process has none
	wow64  bool    // both sides of a 32-bit process on a 64-bit system
}

// OpenUser gives the system that a user minidump shows: the memory and modules
// of one process, no kernel.
func OpenUser(u *dump.UserFile, finder *symbols.Finder) *System {
	s := &System{dump: dump.NoKernel(u.Path()), finder: finder}
	p := &UserProcess{sys: s, file: u}
	s.user, s.stops = p, threadStops{p}
	p.wow64 = p.Machine() == imageMachineAMD64 && slices.ContainsFunc(u.Modules, func(m dump.UserModule) bool {
		return strings.EqualFold(baseName(m.Name), "wow64cpu.dll")
	})
	mods := p.listModules()
	for _, m := range mods.Listed() {
		if p.ntdll == nil && strings.EqualFold(m.ImageName, "ntdll.dll") {
			p.ntdll = m
		}
	}
	s.kernel = newImageBacked(u.Space(), mods)
	s.kernelModsOnce.Do(func() { s.kernelMods = mods })
	if p.Machine() == profileMachine && u.System != nil {
		// The process's own structures are the same in all builds of a family,
		// and nearly in all.
		known := profile.For(u.System.BuildNumber)
		if len(known) == 0 {
			known = profile.Neighbours(u.System.BuildNumber)
		}
		if len(known) > 0 {
			s.profile = known[0]
		}
	}
	if e := u.Exception; e != nil {
		for i, t := range u.Threads {
			if t.ID == e.ThreadID {
				p.events = i
			}
		}
	}
	if len(u.Threads) == 0 {
		s.problems = append(s.problems, errors.New("the dump has no threads"))
	}
	return s
}

// User returns the process of a user minidump, nil in a kernel dump.
func (s *System) User() *UserProcess { return s.user }

// File returns the minidump.
func (p *UserProcess) File() *dump.UserFile { return p.file }

// EventThread returns the number of the thread that the dump was made for.
func (p *UserProcess) EventThread() int { return p.events }

// PID returns the process id; false when the dump does not tell.
func (p *UserProcess) PID() (uint32, bool) {
	if p.file.Misc == nil || p.file.Misc.Flags&miscProcessID == 0 {
		return 0, false
	}
	return p.file.Misc.ProcessID, true
}

// Flags of the MiscInfo stream (MINIDUMP_MISC_INFO, minidumpapiset.h).
const (
	miscProcessID    = 1
	miscProcessTimes = 2
)

// HasTimes reports whether the dump has the process's times.
func (p *UserProcess) HasTimes() bool {
	return p.file.Misc != nil && p.file.Misc.Flags&miscProcessTimes != 0
}

// Path returns the path of the program: that of the first module.
func (p *UserProcess) Path() string {
	if len(p.file.Modules) == 0 {
		return ""
	}
	return p.file.Modules[0].Name
}

// Name returns the program's file name.
func (p *UserProcess) Name() string { return baseName(p.Path()) }

// Modules returns the modules of the process.
func (p *UserProcess) Modules(ctx context.Context) *ModuleSet { return p.sys.KernelModules(ctx) }

// Time returns when the dump was made.
func (p *UserProcess) Time() time.Time { return time.Unix(int64(p.file.TimeDateStamp), 0).UTC() }

// Created returns when the process began; false when the dump does not tell.
func (p *UserProcess) Created() (time.Time, bool) {
	if !p.HasTimes() {
		return time.Time{}, false
	}
	return time.Unix(int64(p.file.Misc.CreateTime), 0).UTC(), true
}

// Stack walks the stack of thread n, at most limit frames (0 for DefaultFrames).
func (p *UserProcess) Stack(ctx context.Context, n, limit int) (Stack, error) {
	regs, err := p.sys.StopRegisters(n)
	if err != nil {
		return Stack{}, err
	}
	return p.sys.Walk(ctx, Walk{Regs: regs, Space: p.sys.Kernel(), Modules: p.Modules(ctx), Limit: limit}), nil
}

// WholeStack walks the stack of thread n and, in a dump of both sides of a 32-bit
// process, goes on with that of the 32-bit code.
func (p *UserProcess) WholeStack(ctx context.Context, n, limit int) (Stack, error) {
	st, err := p.Stack(ctx, n, limit)
	if err != nil || !p.wow64 || n >= len(p.file.Threads) {
		return st, err
	}
	side, err := p.wow64Thread(p.file.Threads[n].TEB)
	return st.with32(ctx, side, err, p.Modules(ctx), limit), nil
}

// PEBOf reads the address of the PEB from a TEB.
func (p *UserProcess) PEBOf(teb uint64) (uint64, error) {
	return p.Block(teb).PEB()
}

// ClientID reads the ids of process and thread from a TEB.
func (p *UserProcess) ClientID(teb uint64) (pid, tid uint64, err error) {
	return p.Block(teb).ClientID()
}

// Block returns the view over a TEB at an address.
func (p *UserProcess) Block(teb uint64) TEB { return TEBAt(p.sys.kernel, teb, p.PointerSize()) }

// PointerSize returns the size of a pointer of the process, 4 or 8.
func (p *UserProcess) PointerSize() int {
	switch p.Machine() {
	case imageMachineX86, imageMachineARM:
		return 4
	}
	return 8
}

// PEB returns the address of the PEB by the first TEB that is in the dump.
func (p *UserProcess) PEB() (uint64, error) {
	err := ErrNoPEB
	for _, t := range p.file.Threads {
		var addr uint64
		if addr, err = p.PEBOf(t.TEB); err == nil {
			return addr, nil
		}
	}
	return 0, err
}

// Process returns the process as commands know those of a kernel. It has no
// EPROCESS: only its memory can be asked for.
func (p *UserProcess) Process() Process {
	return Process{sys: p.sys, obj: types.Failed(ErrNoKernel), source: SourceMinidump}
}

// Environment returns the PEB.
func (p *UserProcess) Environment() (PEB, error) {
	addr, err := p.PEB()
	if err != nil {
		return PEB{}, err
	}
	return p.Process().EnvironmentAt(addr)
}

// ExceptionRegisters returns the registers at the exception that the dump was
// made for.
func (p *UserProcess) ExceptionRegisters() (arch.Registers, error) {
	if p.file.Exception == nil {
		return nil, errors.New("the dump has no exception")
	}
	return p.parseContext(p.file.Exception.Context)
}

// Processor architectures of the SystemInfo stream (winnt.h).
const (
	archX86   = 0
	archARM   = 5
	archAMD64 = 9
	archARM64 = 12
)

// Machine returns the machine of the dump's contexts as IMAGE_FILE_MACHINE, 0
// when the dump does not tell or the machine is none of Windows'.
func (p *UserProcess) Machine() uint32 {
	if p.file.System == nil {
		return 0
	}
	switch p.file.System.ProcessorArchitecture {
	case archX86:
		return imageMachineX86
	case archARM:
		return imageMachineARM
	case archAMD64:
		return imageMachineAMD64
	case archARM64:
		return imageMachineARM64
	}
	return 0
}

// parseContext decodes the CONTEXT of a thread.
func (p *UserProcess) parseContext(b []byte) (arch.Registers, error) {
	switch m := p.Machine(); m {
	case imageMachineAMD64:
		return registers(amd64.ParseContext(b))
	case imageMachineX86:
		return registers(x86.ParseContext(b))
	case imageMachineARM64:
		return registers(arm64.ParseContext(b))
	default:
		return nil, &MachineError{m}
	}
}

// registers drops the pointer of a machine's own type when there is an error.
func registers[R arch.Registers](regs R, err error) (arch.Registers, error) {
	if err != nil {
		return nil, err
	}
	return regs, nil
}

func (p *UserProcess) listModules() *ModuleSet {
	used := nameTaker{}
	var mods []*Module
	for _, u := range p.file.Modules {
		m := &Module{
			sys: p.sys, space: p.file.Space(), User: true, Source: "minidump",
			Base: u.Base, Size: uint64(u.Size), Path: u.Name, ImageName: baseName(u.Name),
			TimeDateStamp: u.TimeDateStamp, HasTimeDateStamp: true, CheckSum: u.CheckSum,
			codeView: u.CodeView, fixedVersion: u.Version,
		}
		m.Name = used.take(&Module{Name: moduleName(m.ImageName), ImageName: m.ImageName, Base: m.Base})
		if p.wow64 && m.Base>>32 == 0 {
			img, err := m.Image()
			m.WOW64 = err == nil && img.Machine == pe.MachineI386
		}
		mods = append(mods, m)
	}
	return NewModuleSet(mods)
}

// SavedCodeView returns the PDB record that the dump has beside the module, for
// those whose header is not in memory.
func (m *Module) SavedCodeView() (pe.CodeView, error) {
	if len(m.codeView) == 0 {
		return pe.CodeView{}, fmt.Errorf("module %s: the dump has no record of its symbols", m.Name)
	}
	return pe.ParseCodeView(m.codeView)
}

// SavedVersion returns the numbers of the version resource that the dump has
// beside the module; false for modules of other dumps, and without a resource.
func (m *Module) SavedVersion() (*pe.Version, bool) { return pe.ParseFixedVersion(m.fixedVersion) }

// imageBacked is memory with the holes in modules filled from their image
// files: code and read-only data that small dumps leave out.
type imageBacked struct {
	memory.Space
	modules *ModuleSet
}

func newImageBacked(s memory.Space, mods *ModuleSet) memory.Space { return imageBacked{s, mods} }

// Read implements memory.Space.
func (b imageBacked) Read(va uint64, p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := b.Space.Read(va+uint64(done), p[done:])
		done += n
		if err == nil || done == len(p) {
			return done, err
		}
		n = b.fromImage(va+uint64(done), p[done:])
		if n == 0 {
			return done, err
		}
		done += n
	}
	return done, nil
}

// Next returns where memory can go on at or behind va: in the dump, or in a
// module. Without it a search would try every page of the address space.
func (b imageBacked) Next(va uint64) (uint64, bool) {
	blocks, ok := b.Space.(*memory.Blocks)
	if !ok {
		next := va | (memory.PageSize - 1)
		return next + 1, next != ^uint64(0)
	}
	best, found := blocks.Next(va)
	for _, m := range b.modules.Listed() {
		at := m.Base
		if at <= va {
			at = (va | (memory.PageSize - 1)) + 1
		}
		if at < m.End() && (!found || at < best) {
			best, found = at, true
		}
	}
	return best, found
}

// fromImage reads from the image file of the module at va, at most up to the
// next memory of the dump.
func (b imageBacked) fromImage(va uint64, p []byte) int {
	m := b.modules.Find(va)
	if m == nil {
		return 0
	}
	file, err := m.File(context.Background())
	if err != nil {
		return 0
	}
	limit := min(uint64(len(p)), m.End()-va)
	if blocks, ok := b.Space.(*memory.Blocks); ok {
		if next, ok := blocks.Next(va); ok {
			limit = min(limit, next-va)
		}
	}
	return m.readFile(file, va, p[:limit])
}

// readFile reads from the image file what the image has at va. Of a module that
// was loaded elsewhere than it was linked for only code is taken: data may hold
// addresses that the loader changed.
func (m *Module) readFile(file *pe.Image, va uint64, p []byte) int {
	rva := uint32(va - m.Base)
	if file.ImageBase != m.Base {
		s, ok := file.SectionAt(rva)
		if !ok || s.Characteristics&sectionExecute == 0 {
			return 0
		}
		p = p[:min(uint64(len(p)), uint64(s.VirtualAddress)+uint64(max(s.VirtualSize, s.SizeOfRawData))-uint64(rva))]
	}
	n, _ := file.ReadRVA(rva, p)
	return n
}

// sectionExecute is IMAGE_SCN_MEM_EXECUTE.
const sectionExecute = 0x20000000
