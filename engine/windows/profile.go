package windows

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/memory"
	"kdap/engine/profile"
	"kdap/engine/symbols"
)

// profileMachine is the header's MachineImageType of the kernels that profiles describe.
const profileMachine = 0x8664

// Profile returns the built-in profile that stands for the kernel's types, nil
// when there are symbols, or no profile that fits.
func (s *System) Profile() *profile.Profile { return s.profile }

// SymbolRank says where the kernel's types come from: "pdb", "isf", "profile",
// or "none". Names are another thing: without a symbol file they are those of
// the export table.
func (s *System) SymbolRank() string {
	if s.nt == nil {
		return "none"
	}
	if s.profile != nil {
		return "profile"
	}
	return s.nt.SymbolState()
}

// hasTypes reports whether the kernel's symbols describe its structures: there
// are PDBs without types too.
func (s *System) hasTypes() bool { return describes(s.nt.Symbols(context.Background()), "_EPROCESS") }

// Described reports whether symbols describe the system's structures, so that
// no profile has to stand for them.
func (s *System) Described() bool {
	m := s.typeModule()
	return m != nil && s.DescribedBy(m, m.Symbols(context.Background()))
}

// HasSymbols reports whether there is a symbol file of the module that describes
// the system's structures. It may do without types.
func (s *System) HasSymbols() bool {
	m := s.typeModule()
	if m == nil {
		return false
	}
	m.Symbols(context.Background())
	return m.SymbolsErr() == nil
}

// DescribedBy reports whether t, the symbols of module m, describes the
// system's structures: that of another module does not.
func (s *System) DescribedBy(m *Module, t *symbols.Table) bool {
	if m != s.typeModule() {
		return false
	}
	if s.user != nil {
		return describes(t, "_PEB")
	}
	return describes(t, "_EPROCESS")
}

// describes reports whether symbols have a type.
func describes(t *symbols.Table, name string) bool {
	src := t.Types()
	if src == nil {
		return false
	}
	_, ok := src.Type(name)
	return ok
}

// useProfile takes the built-in profile for a kernel without symbols. It must
// prove itself on the dump; for a build that has no facts of its own the
// neighbours are tried, and have to prove more.
func (s *System) useProfile(ctx context.Context) {
	build := s.Build()
	if s.dump.Header.MachineImageType != profileMachine {
		return
	}
	candidates := profile.For(build)
	known := len(candidates) > 0
	if !known {
		candidates = profile.Neighbours(build)
	}
	var whys []error
	for _, p := range candidates {
		s.setProfile(p)
		err := s.verifyProfile(ctx, p, !known)
		if err == nil {
			if len(candidates) > 1 && s.offsets().SizeEProcess == 0 {
				// Which of the updates it is nothing tells.
				p = s.cutProfile(p)
				s.setProfile(p)
			}
			s.problems = append(s.problems, profileNote(p, build, known))
			return
		}
		whys = append(whys, fmt.Errorf("the profile of %v does not fit: %w", p, err))
	}
	// An update that the table has not seen: what lies before the parts that
	// updates change is still where it was.
	for _, p := range candidates {
		if !known {
			break
		}
		cut := s.cutProfile(p)
		s.setProfile(cut)
		if s.verifyProfile(ctx, cut, true) == nil {
			s.problems = append(s.problems, profileNote(cut, build, known),
				errors.New("this update of the build has structures of another size, so what lies behind that is not told"))
			return
		}
	}
	s.setProfile(nil)
	if !known {
		whys = append([]error{fmt.Errorf("no symbols describe the kernel's structures, and no profile is built in for build %d", build)}, whys...)
	}
	s.problems = append(s.problems, whys...)
}

// cutProfile leaves out of a profile what the kernel's sizes contradict. What
// updates changed lay in the working set's part of _EPROCESS and behind it, and
// far behind the start of _KPRCB.
func (s *System) cutProfile(p *profile.Profile) *profile.Profile {
	k := s.offsets()
	if t, ok := p.Type("_EPROCESS"); ok && !p.HasSize(t.Name, uint64(k.SizeEProcess)) {
		if f := t.Field("Vm"); f != nil {
			p = p.Cut(t.Name, f.Offset)
		}
	}
	if t, ok := p.Type("_KPRCB"); ok && !p.HasSize(t.Name, uint64(k.SizePrcb)) {
		if f := t.Field("ProcessorState"); f != nil {
			p = p.Cut(t.Name, f.Offset)
		}
	}
	return p
}

func profileNote(p *profile.Profile, build uint32, known bool) error {
	if known {
		return fmt.Errorf("no symbols describe the kernel's structures: they are read by the built-in profile of %v, which fits this dump; routines have the names that modules export", p)
	}
	return fmt.Errorf("no symbols describe the kernel's structures, and no profile is built in for build %d: they are read by that of %v, which fits this dump as far as that can be checked", build, p)
}

// setProfile changes where types come from, and forgets what was answered before.
func (s *System) setProfile(p *profile.Profile) {
	s.profile = p
	s.typeCache.Clear()
	s.symbolCache.Clear()
	s.layouts.Clear()
	s.objectTypes.Clear()
}

// verifyProfile says why a profile does not describe the kernel in the dump.
// What the dump lacks is no proof against a profile made for the build; a
// strict check takes nothing on trust.
func (s *System) verifyProfile(ctx context.Context, p *profile.Profile, strict bool) error {
	checked, err := s.compareKDBG(p)
	if err != nil {
		return err
	}
	if strict && !checked {
		return errors.New("the kernel's debugger data, which tells offsets, is not in the dump")
	}
	if !s.Paged() {
		return s.verifySaved()
	}
	err = s.verifySystemProcess(ctx)
	if readErr := (*memory.ReadError)(nil); errors.As(err, &readErr) && checked && !strict {
		return nil
	}
	if err != nil || !strict {
		return err
	}
	return s.verifyLists(ctx)
}

// compareKDBG compares the profile with the structure offsets that the kernel
// tells debuggers, and reports whether there were any.
func (s *System) compareKDBG(p *profile.Profile) (checked bool, err error) {
	k := s.offsets()
	for _, c := range []struct {
		typ, member string // "" for the size
		tells       uint16
	}{
		{"_EPROCESS", "", k.SizeEProcess},
		{"_ETHREAD", "", k.SizeEThread},
		{"_KPRCB", "", k.SizePrcb},
		{"_EPROCESS", "Peb", k.EprocessPeb},
		{"_EPROCESS", "InheritedFromUniqueProcessId", k.EprocessParentCid},
		{"_KPROCESS", "DirectoryTableBase", k.EprocessDTB},
		{"_KTHREAD", "Teb", k.KThreadTeb},
		{"_KTHREAD", "KernelStack", k.KThreadKernelStack},
		{"_KTHREAD", "InitialStack", k.KThreadInitialStack},
		{"_KTHREAD", "State", k.KThreadState},
		{"_KPRCB", "CurrentThread", k.PrcbCurrentThread},
		{"_KPRCB", "Number", k.PrcbNumber},
	} {
		t, ok := p.Type(c.typ)
		if !ok || c.tells == 0 {
			continue // not told
		}
		if c.member == "" {
			if size := uint64(c.tells); !p.HasSize(c.typ, size) && !p.IsCut(c.typ) {
				return true, fmt.Errorf("the kernel says %s has %#x bytes, not %#x", c.typ, size, t.Size)
			}
		} else if f := t.Field(c.member); f != nil && f.Offset != uint64(c.tells) {
			return true, fmt.Errorf("the kernel says %s.%s is at %#x, not %#x", c.typ, c.member, c.tells, f.Offset)
		}
		checked = true
	}
	return checked, nil
}

// verifySaved checks the process and the thread of a triage dump.
func (s *System) verifySaved() error {
	a := s.triage().Addresses()
	if a.Process != 0 {
		if err := s.Process(a.Process).sane(); err != nil {
			return err
		}
	}
	if a.Thread != 0 {
		return s.Thread(a.Thread).sane()
	}
	return nil
}

// systemPID is the process id of the System process in all versions.
const systemPID = 4

// verifySystemProcess checks the one process that every kernel exports, its
// threads, and that the list of processes leads through it.
func (s *System) verifySystemProcess(ctx context.Context) error {
	addr, err := s.GlobalUint("PsInitialSystemProcess", 8)
	if err != nil {
		return fmt.Errorf("PsInitialSystemProcess: %w", err)
	}
	p := s.Process(addr)
	if err := p.sane(); err != nil {
		return err
	}
	if pid, err := p.PID(); err != nil || pid != systemPID {
		return errors.Join(fmt.Errorf("the System process %#x has process id %d", addr, pid), err)
	}
	n := 0
	for t, err := range p.Threads(ctx) {
		if err != nil {
			break // what was reached counts
		}
		if err := t.sane(); err != nil {
			return err
		}
		if owner, err := t.tcb("Process").Uint(); err != nil || owner != addr {
			return errors.Join(fmt.Errorf("thread %#x of the System process belongs to %#x", t.Addr(), owner), err)
		}
		if n++; n == maxVerified {
			break
		}
	}
	if n == 0 {
		return fmt.Errorf("the System process %#x has no threads", addr)
	}
	return ctx.Err()
}

// maxVerified bounds how many threads or processes are looked at.
const maxVerified = 64

// verifyLists checks that the list of processes closes and holds processes.
func (s *System) verifyLists(ctx context.Context) error {
	n := 0
	for p, err := range s.ActiveProcesses(ctx) {
		if err != nil {
			return err
		}
		if err := p.sane(); err != nil {
			return err
		}
		n++
	}
	if n < 2 {
		return fmt.Errorf("the list of processes has %d entries", n)
	}
	return nil
}

// sane says what is not as it is in every process.
func (p Process) sane() error {
	if !p.IsProcess() {
		return fmt.Errorf("there is no process at %#x", p.Addr())
	}
	pid, err := p.PID()
	if err != nil {
		return err
	}
	if pid%handleStep != 0 || pid >= maxHandles*handleStep {
		return fmt.Errorf("process %#x has process id %#x", p.Addr(), pid)
	}
	name, err := p.Name()
	if err != nil {
		return err
	}
	if name == "" && pid != 0 || !printable(name) {
		return fmt.Errorf("process %#x has the image name %q", p.Addr(), name)
	}
	return nil
}

// printable reports whether s can be the image name of a process: file names
// may have letters beyond ASCII, but no control characters and none of those
// that paths divide with.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7f || c == '\\' || c == '/' || c == ':' {
			return false
		}
	}
	return true
}

// sane says what is not as it is in every thread.
func (t Thread) sane() error {
	if !t.IsThread() {
		return fmt.Errorf("there is no thread at %#x", t.Addr())
	}
	tid, err := t.TID()
	if err != nil {
		return err
	}
	state, err := t.State()
	if err != nil {
		return err
	}
	if tid%handleStep != 0 || tid >= maxHandles*handleStep || state > maxThreadState {
		return fmt.Errorf("thread %#x has thread id %#x and state %d", t.Addr(), tid, state)
	}
	return nil
}

// maxThreadState is the last of _KTHREAD_STATE.
const maxThreadState = 9
