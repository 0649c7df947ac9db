package windows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"kdap/engine/memory"
	"kdap/engine/pe"
)

// A Module is an image mapped into kernel or user space. Its symbols and
// headers are read on first use.
type Module struct {
	sys   *System
	space memory.Space

	Name             string // as debuggers call it: "nt", "PotionShop"
	ImageName        string // file name
	Path             string // as the loader has it
	Base             uint64
	Size             uint64
	TimeDateStamp    uint32
	CheckSum         uint32
	HasTimeDateStamp bool   // loaders' entries have it; a module known by its VAD alone has not until its header is read
	Entry            uint64 // the loader's entry, 0 for modules found another way
	User             bool
	WOW64            bool   // a 32-bit module of a WOW64 process
	Source           string // "ldr", "vad", "triage"
	NameErr          error  // why the name could not be read

	codeView, fixedVersion []byte // that a minidump has beside the module

	imageOnce sync.Once
	image     *pe.Image
	imageErr  error

	owner      Process // of a user module
	identityMu sync.Mutex
	identity   *identity // nil until the own headers were missed

	sharedOnce sync.Once
	shared     *imageData
}

// End returns the first address behind the module.
func (m *Module) End() uint64 { return m.Base + m.Size }

// Contains reports whether va lies in the module.
func (m *Module) Contains(va uint64) bool { return va-m.Base < m.Size }

// Space returns the address space the module lies in.
func (m *Module) Space() memory.Space { return m.space }

// Image returns the image as it lies in memory. Its header page may be missing.
func (m *Module) Image() (*pe.Image, error) {
	m.imageOnce.Do(func() {
		m.image, m.imageErr = pe.FromMemory(m.space, m.Base)
		if m.imageErr != nil {
			m.imageErr = fmt.Errorf("module %s: %w", m.Name, m.imageErr)
		}
	})
	return m.image, m.imageErr
}

// CodeView returns the record that names the module's PDB: from the module's
// own pages or, where those are out, from another process that maps the file.
func (m *Module) CodeView() (pe.CodeView, error) {
	img, err := m.Image()
	if err == nil {
		var cv pe.CodeView
		if cv, err = img.CodeView(); err == nil {
			return cv, nil
		}
	}
	if len(m.codeView) > 0 {
		return m.SavedCodeView()
	}
	if unread := (*memory.ReadError)(nil); !errors.As(err, &unread) {
		return pe.CodeView{}, err // there is none
	}
	if m.sys != nil && m == m.sys.nt {
		if cv, ok := m.sys.scanKernelCodeView(); ok {
			return cv, nil
		}
	}
	id := m.elsewhere(context.Background())
	switch {
	case id.header == nil:
		return pe.CodeView{}, id.explain(err)
	case id.cvErr != nil:
		return pe.CodeView{}, id.cvErr
	}
	return id.cv, nil
}

// Stamp returns the time stamp and the checksum of the module's headers, its
// own or those that another process has of the same file.
func (m *Module) Stamp(ctx context.Context) (stamp, checkSum uint32, err error) {
	img, err := m.header(ctx)
	if err != nil {
		return 0, 0, err
	}
	return img.TimeDateStamp, img.CheckSum, nil
}

// moduleName makes the name debuggers use from a file name: without its last
// extension, and with every character that is no letter, digit or underscore
// replaced.
func moduleName(file string) string {
	if i := strings.LastIndexByte(file, '.'); i > 0 {
		file = file[:i]
	}
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, file)
}

// A ModuleSet is the modules one address can belong to, in order of their bases.
type ModuleSet struct {
	mods   []*Module
	listed []*Module // as given
	errs   []error   // what ended or thinned the lists it was made from
}

// NewModuleSet sorts the modules. Where two overlap Find takes the one with the higher base.
func NewModuleSet(mods []*Module, errs ...error) *ModuleSet {
	listed := slices.Clone(mods)
	mods = slices.Clone(mods)
	slices.SortStableFunc(mods, func(a, b *Module) int { return cmp.Compare(a.Base, b.Base) })
	return &ModuleSet{mods: mods, listed: listed, errs: errs}
}

// All returns the modules in order of their bases.
func (s *ModuleSet) All() []*Module { return s.mods }

// Listed returns the modules in the order of the lists they come from.
func (s *ModuleSet) Listed() []*Module { return s.listed }

// Errs returns what went wrong while the modules were listed.
func (s *ModuleSet) Errs() []error { return s.errs }

// Find returns the module that holds va, or nil.
func (s *ModuleSet) Find(va uint64) *Module {
	if s == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(s.mods, va, func(m *Module, va uint64) int { return cmp.Compare(m.Base, va) })
	if !found {
		i--
	}
	if i >= 0 && s.mods[i].Contains(va) {
		return s.mods[i]
	}
	return nil
}

// Join returns the modules of both sets.
func (s *ModuleSet) Join(o *ModuleSet) *ModuleSet {
	return NewModuleSet(append(slices.Clone(s.listed), o.listed...), append(slices.Clone(s.errs), o.errs...)...)
}

// KernelModules returns the loaded drivers and the kernel (nt!PsLoadedModuleList),
// listed once; of a user minidump the modules of its process: what every
// address space of the dump has. A list that breaks leaves its good part and its error.
func (s *System) KernelModules(ctx context.Context) *ModuleSet {
	s.kernelModsOnce.Do(func() {
		// What is listed once is not cut short by who asked first.
		s.kernelMods = s.listKernelModules(context.WithoutCancel(ctx))
	})
	return s.kernelMods
}

func (s *System) listKernelModules(ctx context.Context) *ModuleSet {
	var mods []*Module
	var errs []error
	used := nameTaker{}
	for m, err := range s.loadedModules(ctx) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if s.nt != nil && m.Base == s.nt.Base {
			s.nt.adopt(m)
			m = s.nt
		}
		m.Name = used.take(m)
		mods = append(mods, m)
	}
	if s.nt != nil && !slices.Contains(mods, s.nt) {
		mods = append(mods, s.nt)
	}
	return NewModuleSet(mods, errs...)
}

// adopt takes over what a loader's entry knows of the kernel, which was found
// before the list could be read.
func (m *Module) adopt(o *Module) {
	m.ImageName, m.Path, m.Size = o.ImageName, o.Path, o.Size
	m.TimeDateStamp, m.CheckSum, m.HasTimeDateStamp = o.TimeDateStamp, o.CheckSum, o.HasTimeDateStamp
	m.Entry, m.Source = o.Entry, o.Source
}

// nameTaker gives each module a name of its own, as the debugger's engine
// does: a name already taken gets "_exe" or the base address behind it.
type nameTaker map[string]bool

func (n nameTaker) take(m *Module) string {
	name := m.Name
	if n[strings.ToLower(name)] {
		if strings.HasSuffix(strings.ToLower(m.ImageName), ".exe") && !n[strings.ToLower(name)+"_exe"] {
			name += "_exe"
		} else {
			name = fmt.Sprintf("%s_%x", name, m.Base)
		}
	}
	n[strings.ToLower(name)] = true
	return name
}

func (s *System) loadedModules(ctx context.Context) iter.Seq2[*Module, error] {
	if t := s.triage(); t != nil {
		return s.triageModules(t)
	}
	return func(yield func(*Module, error) bool) {
		head, err := s.symbolOr("PsLoadedModuleList", func(k *KDBG) uint64 { return k.PsLoadedModuleList })
		if err != nil {
			head = s.dump.Header.PsLoadedModuleList
		}
		walk := ldrWalk{sys: s, space: s.Kernel(), layout: s.ldrLayout("_KLDR_DATA_TABLE_ENTRY", kldr64)}
		for m, err := range walk.list(ctx, head) {
			if err != nil {
				err = fmt.Errorf("loaded modules: %w", err)
			} else if s.nt != nil && m.Base == s.nt.Base {
				m.Name = kernelName
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// kernelName is what debuggers call the kernel, whatever its file is.
const kernelName = "nt"

// UserModules returns the modules of the process: the loader's list in its
// PEB; where that cannot be read the images its VADs map. It is listed once.
func (p Process) UserModules(ctx context.Context) *ModuleSet {
	if set, ok := p.sys.userMods.Load(p.Addr()); ok {
		return set.(*ModuleSet)
	}
	set := p.listUserModules(ctx)
	if ctx.Err() == nil {
		p.sys.userMods.Store(p.Addr(), set)
	}
	return set
}

// Modules returns the kernel's modules and the process's own. It is one set for
// all stacks of the process, which keep it.
func (p Process) Modules(ctx context.Context) *ModuleSet {
	if set, ok := p.sys.allMods.Load(p.Addr()); ok {
		return set.(*ModuleSet)
	}
	set := p.sys.KernelModules(ctx).Join(p.UserModules(ctx))
	if ctx.Err() == nil {
		p.sys.allMods.Store(p.Addr(), set)
	}
	return set
}

func (p Process) listUserModules(ctx context.Context) *ModuleSet {
	peb, err := p.PEB()
	if err != nil || peb == 0 {
		return NewModuleSet(nil, compact(err)...)
	}
	mods, errs := p.ldrModules(ctx, peb)
	if len(errs) > 0 || len(mods) == 0 {
		// The loader's list is broken, out or not there yet: the VADs still
		// tell what is mapped.
		known := NewModuleSet(mods)
		for m, err := range p.vadModules(ctx) {
			if err != nil {
				errs = append(errs, err)
			} else if known.Find(m.Base) == nil {
				mods = append(mods, m)
			}
		}
	}
	used := nameTaker{}
	for _, m := range mods {
		m.Name, m.owner = used.take(m), p
	}
	return NewModuleSet(mods, errs...)
}

// LoaderModulesAt returns the modules of the loader's list of the PEB at an
// address, in load order, and what was wrong with the list; of a WOW64 process
// those of the 64-bit loader.
func (p Process) LoaderModulesAt(ctx context.Context, peb uint64) ([]*Module, []error) {
	space, err := p.Space()
	if err != nil {
		return nil, []error{err}
	}
	return p.ldrList(ctx, space, peb)
}

// ldrList lists the modules of the loader's list of a PEB.
func (p Process) ldrList(ctx context.Context, space memory.Space, peb uint64) (mods []*Module, errs []error) {
	block, err := p.EnvironmentAt(peb)
	if err != nil {
		return nil, []error{err}
	}
	ldr, err := block.obj.Field("Ldr").Uint()
	if err != nil {
		return nil, []error{fmt.Errorf("PEB %#x: %w", peb, err)}
	}
	if ldr != 0 { // 0 in a process that has not started yet
		head := p.sys.fieldOr("_PEB_LDR_DATA", "InLoadOrderModuleList", 0x10)
		walk := ldrWalk{sys: p.sys, space: space, user: true, layout: p.sys.ldrLayout("_LDR_DATA_TABLE_ENTRY", ldr64)}
		mods, errs = walk.collect(ctx, ldr+head)
	}
	return mods, errs
}

// ldrModules lists the modules of the process: of a WOW64 process those of both
// loaders.
func (p Process) ldrModules(ctx context.Context, peb uint64) (mods []*Module, errs []error) {
	space, err := p.Space()
	if err != nil {
		return nil, []error{err}
	}
	mods, errs = p.ldrList(ctx, space, peb)
	if wow, err := p.WOW64(); err == nil && wow {
		more, e := p.wow64Modules(ctx, space)
		for _, m := range more {
			// The 64-bit list of a WOW64 process holds the program itself too.
			i := slices.IndexFunc(mods, func(o *Module) bool { return o.Base == m.Base })
			if i < 0 {
				mods = append(mods, m)
			} else {
				mods[i].WOW64 = true
			}
		}
		errs = append(errs, e...)
	}
	return mods, errs
}

func (p Process) wow64Modules(ctx context.Context, space memory.Space) ([]*Module, []error) {
	peb32, err := p.PEB32()
	if err != nil || peb32 == 0 {
		return nil, compact(err)
	}
	return p.narrowModules(ctx, space, peb32)
}

// narrowModules lists the modules of the loader's list of a 32-bit PEB.
func (p Process) narrowModules(ctx context.Context, space memory.Space, peb32 uint64) ([]*Module, []error) {
	ldr, err := memory.ReadUint(space, peb32+peb32Ldr, 4)
	if err != nil || ldr == 0 {
		return nil, compact(err)
	}
	walk := ldrWalk{sys: p.sys, space: space, user: true, wow64: true, layout: ldr32}
	return walk.collect(ctx, ldr+ldrData32List)
}

// PEB32 returns the address of a WOW64 process's 32-bit PEB, 0 for others.
func (p Process) PEB32() (uint64, error) {
	v, err := p.obj.FirstField("WoW64Process", "Wow64Process").Uint()
	if err != nil || v == 0 {
		return 0, err
	}
	// Since Windows 10 the field points at an _EWOW64PROCESS; before, it was
	// the PEB itself.
	if v < userEnd {
		return v, nil
	}
	return p.sys.Struct("_EWOW64PROCESS", v).Field("Peb").Uint()
}

// userEnd is the first address that no user space reaches.
const userEnd = 1 << 47

func (p Process) vadModules(ctx context.Context) iter.Seq2[*Module, error] {
	return func(yield func(*Module, error) bool) {
		space, err := p.Space()
		if err != nil {
			yield(nil, err)
			return
		}
		wow, _ := p.WOW64()
		for v, err := range p.VADs(ctx) {
			if err != nil {
				if !yield(nil, err) {
					return
				}
				continue
			}
			if !v.Image() {
				continue
			}
			path, err := v.NTPath()
			if err != nil || path == "" {
				continue
			}
			path = p.sys.DOSPath(ctx, path)
			m := &Module{
				sys: p.sys, space: space, User: true, Source: "vad",
				Base: v.Start, Size: v.End + 1 - v.Start, Path: path, ImageName: baseName(path), owner: p,
			}
			m.Name = moduleName(m.ImageName)
			if stamp, sum, err := m.Stamp(ctx); err == nil {
				m.TimeDateStamp, m.CheckSum, m.HasTimeDateStamp = stamp, sum, true
			} else if o := m.notedElsewhere(ctx); o != nil {
				m.TimeDateStamp, m.CheckSum, m.HasTimeDateStamp = o.TimeDateStamp, o.CheckSum, true
			}
			if wow {
				img, err := m.Image()
				m.WOW64 = err == nil && img.Machine == pe.MachineI386
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

func compact(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}
