package command

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/expr"
	"kdap/engine/memory"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// env shows a session to the evaluators.
type env struct {
	s   *Session
	ctx context.Context
}

var _ expr.Env = env{}

func (s *Session) env() expr.Env {
	s.useScope()
	return env{s, s.ctx}
}

func (e env) Radix() int       { return e.s.settings.radix }
func (e env) DefaultCpp() bool { return e.s.settings.cpp }

// PointerSize follows the effective machine.
func (e env) PointerSize() int {
	if e.s.machine() == x86Machine {
		return 4
	}
	return 8
}

func (e env) Memory() memory.Space { return e.s.space() }

func (e env) Physical() memory.Physical {
	if !e.s.sys.Paged() {
		return nil
	}
	return e.s.target.Dump
}

func (e env) NoUnqualified() bool { return e.s.settings.symopt&symoptNoUnqualified != 0 }
func (e env) Print(text string)   { e.s.printf("%s", text) }
func (e env) SetLast(v uint64)    { e.s.pseudo.last = v }

// Register returns a register of the current context or a pseudo-register.
func (e env) Register(name string) (expr.Register, error) {
	name = strings.ToLower(name)
	if strings.HasPrefix(name, "$") {
		return e.s.pseudoRegister(e.ctx, name)
	}
	if r, ok := e.s.arm64Register(name); ok {
		return r, nil
	}
	if e.s.machine() == x86Machine {
		if slices.Contains(registerOrder, name) {
			return expr.Register{}, expr.ErrNotFound // x86 code has no 64-bit registers
		}
	} else if i := slices.Index(halfOrder, name); i >= 0 {
		// In an expression a 32-bit part is its whole register, as the record's
		// "? esp" and "u eip L1" show; r prints the part, and smaller parts are cut.
		name = registerOrder[i]
	}
	regs, err := e.s.registers()
	if err != nil {
		// A register has no value then; other names may be symbols.
		none := new(amd64.Context)
		_, _, scalar := none.Get(name)
		if _, vector := none.Vector(name); scalar || vector {
			return expr.Register{}, expr.ErrUnavailable
		}
		return expr.Register{}, expr.ErrNotFound
	}
	if v, bits, ok := regs.Get(name); ok {
		return expr.Register{Class: registerClass(name, bits), Bits: v}, nil
	}
	if v, ok := regs.Vector(name); ok && strings.HasPrefix(name, "st") {
		return expr.Register{Class: expr.FloatReg, Bits: math.Float64bits(extended(v))}, nil
	} else if ok {
		return expr.Register{Class: expr.Vector, Bits: le64(v)}, nil
	}
	if v, ok := e.s.specialRegister(name); ok {
		return expr.Register{Bits: v}, nil
	}
	return expr.Register{}, expr.ErrNotFound
}

// extended reads a floating point number of 80 bits.
func extended(b []byte) float64 {
	sign, exponent := 1.0, int(b[8])|int(b[9]&0x7f)<<8
	if b[9]&0x80 != 0 {
		sign = -1
	}
	const bias, fraction = 16383, 63
	return sign * math.Ldexp(float64(le64(b)), exponent-bias-fraction)
}

func registerClass(name string, bits int) expr.Class {
	switch {
	case name == "efl":
		return expr.Flags
	case bits == 16 && len(name) == 2 && name[1] == 's':
		return expr.Segment
	}
	return expr.General
}

// Symbol resolves "mod!name", "name" in all loaded modules, and the names of modules.
func (e env) Symbol(name string) (expr.Symbol, error) {
	mod, sym, qualified := strings.Cut(name, "!")
	if !qualified {
		mod, sym = "", name
	}
	if !qualified {
		if local, ok := e.s.local(e.ctx, name); ok {
			return local, nil
		}
		if m := e.s.moduleNamed(e.ctx, name); m != nil {
			return expr.Symbol{Name: m.Name, Module: m.Name, Addr: m.Base, IsModule: true}, nil
		}
	}
	for _, m := range e.s.modulesFor(e.ctx, mod) {
		t := e.s.symbolsOf(e.ctx, m)
		if found, ok := t.Lookup(sym); ok {
			return expr.Symbol{Name: found.Name, Module: m.Name, Addr: m.Base + uint64(found.RVA), Type: found.Type()}, nil
		}
		if v, typ, ok := t.Constant(sym); ok {
			return expr.Symbol{Name: sym, Module: m.Name, Type: typ, Bits: v, Constant: true}, nil
		}
	}
	return expr.Symbol{}, expr.ErrNotFound
}

// modulesFor returns the modules a name is looked up in: the named one, or,
// for a name without a module, those whose symbols were loaded.
func (s *Session) modulesFor(ctx context.Context, name string) []*windows.Module {
	if name != "" {
		if m := s.moduleNamed(ctx, name); m != nil {
			return []*windows.Module{m}
		}
		return nil
	}
	var loaded []*windows.Module
	for _, m := range s.moduleSet(ctx).All() {
		// Symbol option 0x100 keeps a name without a module from loading
		// the symbols of one module after the other.
		if s.settings.symopt&symoptNoUnqualified == 0 || s.modules.state(m).loaded {
			loaded = append(loaded, m)
		}
	}
	return loaded
}

// moduleNamed finds a module by the name debuggers use, its file name or, for
// the kernel, the name of its PDB.
func (s *Session) moduleNamed(ctx context.Context, name string) *windows.Module {
	for _, m := range s.moduleSet(ctx).All() {
		if strings.EqualFold(m.Name, name) || strings.EqualFold(m.ImageName, name) && m != s.sys.Nt() {
			return m
		}
	}
	if nt := s.sys.Nt(); nt != nil {
		if cv, err := nt.CodeView(); err == nil && strings.EqualFold(strings.TrimSuffix(cv.Name, ".pdb"), name) {
			return nt
		}
	}
	return nil
}

// Type finds a type by name; the kernel's symbols come first.
func (e env) Type(module, name string) (*types.Type, bool) {
	mods := e.s.modulesFor(e.ctx, module)
	for _, m := range mods {
		if t, ok := e.s.symbolsOf(e.ctx, m).Type(name); ok {
			return t, true
		}
	}
	return nil, false
}

func (e env) EntryPoint(addr uint64) (uint64, bool) {
	m := e.s.moduleSet(e.ctx).Find(addr)
	if m == nil {
		return 0, false
	}
	img, err := m.Image()
	if err != nil {
		return 0, false
	}
	return m.Base + uint64(img.AddressOfEntryPoint), true
}

// errNoRegisters is what commands that need registers say without any.
var errNoRegisters = errors.New("no registers")

// registers returns the register context of x64 or x86 code.
func (s *Session) registers() (*amd64.Context, error) {
	regs, err := s.namedRegisters()
	if err != nil {
		return nil, err
	}
	if c := amd64Part(regs); c != nil {
		return c, nil
	}
	return nil, errNoRegisters
}

// namedRegisters are those that names of registers mean.
func (s *Session) namedRegisters() (arch.Registers, error) {
	if s.opts.FrameRegisters {
		return s.frameRegs()
	}
	return s.anyRegisters()
}

// anyRegisters returns the register context, whatever the machine.
func (s *Session) anyRegisters() (arch.Registers, error) {
	if s.scope.regs == nil {
		return nil, errors.Join(errNoRegisters, s.scope.regsErr)
	}
	return s.scope.regs, nil
}

func (e env) SourceLine(module, file string, line int) (uint64, error) {
	return e.s.sourceLineAddress(e.ctx, module, file, line)
}

func (e env) FunctionType(addr uint64) (*types.Type, bool) {
	m := e.s.moduleSet(e.ctx).Find(addr)
	if m == nil {
		return nil, false
	}
	for _, sym := range e.s.symbolsOf(e.ctx, m).At(uint32(addr - m.Base)) {
		if t := sym.Type(); t != nil && t.Kind == types.Function {
			return t, true
		}
	}
	return nil, false
}
