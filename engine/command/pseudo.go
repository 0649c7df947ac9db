package command

import (
	"context"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"kdap/engine/arch/amd64"
	"kdap/engine/dump"
	"kdap/engine/expr"
	"kdap/engine/memory"
	"kdap/engine/types"
)

// pseudoRegisters are the values a session keeps under $ names.
type pseudoRegisters struct {
	t    [20]expr.Value // $t0 … $t19
	last uint64         // $exp
	p    uint64         // $p: the first element the last d command showed

	extret uint64 // $extret: the element that !list is at
}

// userPseudo returns the number of $t0 … $t19.
func userPseudo(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "$t")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 8)
	if err != nil || n >= uint64(len(pseudoRegisters{}.t)) || digits != strconv.FormatUint(n, 10) {
		return 0, false
	}
	return int(n), true
}

// fixedAliasText returns the text of the alias $.uN; false when it has none.
func (s *Session) fixedAliasText(n int) (string, bool) {
	text := s.aliases.fixed[n]
	return text, text != ""
}

func (s *Session) setFixedAlias(n int, text string) { s.aliases.fixed[n] = text }

// A pseudo computes a pseudo-register; its error means that there is no value now.
type pseudo func(ctx context.Context, s *Session) (expr.Register, error)

// plain makes a pseudo-register that is just a number.
func plain(f func(s *Session) (uint64, error)) pseudo {
	return func(_ context.Context, s *Session) (expr.Register, error) {
		v, err := f(s)
		return expr.Register{Bits: v}, err
	}
}

// untyped makes a pseudo-register that the C++ evaluator has no type for.
func untyped(f func(s *Session) (uint64, error)) pseudo {
	return func(_ context.Context, s *Session) (expr.Register, error) {
		v, err := f(s)
		return expr.Register{Class: expr.Typed, Bits: v, Value: expr.Value{Bits: v}}, err
	}
}

// of makes a pseudo-register of a C++ type of the debugger's own.
func of(t *types.Type, f func(s *Session) (uint64, error)) pseudo {
	return func(_ context.Context, s *Session) (expr.Register, error) {
		v, err := f(s)
		return expr.Register{Class: expr.Typed, Bits: v, Value: expr.Constant(t, v)}, err
	}
}

// pointerTo makes a pseudo-register that points to a type of the kernel; it is
// a number where the kernel's symbols lack the type.
func pointerTo(typeName string, f func(s *Session) (uint64, error)) pseudo {
	return func(_ context.Context, s *Session) (expr.Register, error) {
		v, err := f(s)
		if err != nil {
			return expr.Register{}, err
		}
		t, terr := s.sys.Type(typeName)
		if terr != nil {
			return expr.Register{Bits: v}, nil
		}
		return expr.Register{Class: expr.Typed, Bits: v, Value: expr.Constant(expr.PointerTo(t, pointerSize), v)}, nil
	}
}

const pointerSize = 8

// codePointer is the C++ type of addresses of code.
var codePointer = expr.PointerTo(typeByte, pointerSize)

func number(v uint64) func(*Session) (uint64, error) {
	return func(*Session) (uint64, error) { return v, nil }
}

// none is a pseudo-register that never has a value in a kernel dump.
func none(context.Context, *Session) (expr.Register, error) {
	return expr.Register{}, expr.ErrUnavailable
}

// pseudos are the pseudo-registers with fixed names, in lower case.
var pseudos = map[string]pseudo{
	"$proc":   pointerTo("_EPROCESS", func(s *Session) (uint64, error) { return s.scope.process.Addr(), nil }),
	"$thread": pointerTo("_ETHREAD", func(s *Session) (uint64, error) { return s.scope.thread.Addr(), nil }),
	"$peb":    pointerTo("_PEB", (*Session).pebPseudo),
	"$teb":    pointerTo("_TEB", (*Session).tebPseudo),
	"$tid":    plain(func(s *Session) (uint64, error) { return s.clientID("ClientId.UniqueThread") }),
	"$tpid":   plain(func(s *Session) (uint64, error) { return s.clientID("ClientId.UniqueProcess") }),
	"$pcr":    pointerTo("_KPCR", (*Session).pcrPseudo),
	"$prcb":   pointerTo("_KPRCB", (*Session).prcbPseudo),

	"$ip":       of(codePointer, (*Session).ip),
	"$eventip":  of(codePointer, (*Session).eventIP),
	"$scopeip":  of(codePointer, (*Session).scopeIP),
	"$exentry":  of(codePointer, (*Session).exeEntry),
	"$ra":       of(codePointer, (*Session).returnAddress),
	"$csp":      plain((*Session).stackPointer),
	"$retreg":   of(codePointer, (*Session).returnValue),
	"$retreg64": plain((*Session).returnValue),
	"$frame":    plain(func(s *Session) (uint64, error) { return uint64(s.frameNumber()), nil }),
	"$extret":   plain(func(s *Session) (uint64, error) { return s.pseudo.extret, nil }),
	"$callret":  plain(number(0)),
	"$dtid":     plain(number(0)),
	"$dpid":     plain(number(0)),
	"$dsid":     plain(number(0)),
	"$exp":      untyped(func(s *Session) (uint64, error) { return s.pseudo.last, nil }),
	"$p":        plain(func(s *Session) (uint64, error) { return s.pseudo.p, nil }),
	"$ptrsize":  of(typeUint32, func(s *Session) (uint64, error) { return uint64(s.dumpPointerSize()), nil }),
	"$pagesize": of(typeUint32, number(memory.PageSize)),
	"$dbgtime":  plain(func(*Session) (uint64, error) { return uint64(time.Now().UnixNano()/100) + unixEpoch, nil }),

	"$bug_code":   plain(func(s *Session) (uint64, error) { return uint64(s.sys.BugCheck().Code), nil }),
	"$bug_param1": plain(bugParameter(0)),
	"$bug_param2": plain(bugParameter(1)),
	"$bug_param3": plain(bugParameter(2)),
	"$bug_param4": plain(bugParameter(3)),

	// A dump holds an exception that nobody handled: the second chance.
	"$exr_chance": plain(number(2)),
	"$exr_code": plain(func(s *Session) (uint64, error) {
		return uint64(s.exception().Code), nil
	}),
	"$exr_numparams": plain(func(s *Session) (uint64, error) {
		return uint64(s.exception().NumberParameters), nil
	}),

	"$previp": none, "$relip": none, "$ea": none, "$ea2": none, "$clrex": none, "$lastclrex": none,
}

func bugParameter(i int) func(*Session) (uint64, error) {
	return func(s *Session) (uint64, error) { return s.sys.BugCheck().Params[i], nil }
}

// pseudoRegister returns a pseudo-register by its name in lower case.
func (s *Session) pseudoRegister(ctx context.Context, name string) (expr.Register, error) {
	if n, ok := userPseudo(name); ok {
		v := s.pseudo.t[n]
		return expr.Register{Class: expr.Typed, Bits: v.Bits, Value: v}, nil
	}
	if digits, ok := strings.CutPrefix(name, "$exr_param"); ok {
		return s.exceptionParameter(digits)
	}
	f, ok := s.debuggee.pseudo(name)
	if !ok {
		f, ok = pseudos[name]
	}
	if !ok {
		return expr.Register{}, expr.ErrNotFound
	}
	r, err := f(ctx, s)
	if err != nil {
		return expr.Register{}, expr.ErrUnavailable
	}
	return r, nil
}

// exception is what the dump was made for.
func (s *Session) exception() dump.Exception {
	e, _ := s.debuggee.event()
	return e
}

// exceptionParameter is $exr_param0 … $exr_param14.
func (s *Session) exceptionParameter(digits string) (expr.Register, error) {
	e := s.exception()
	n, err := strconv.ParseUint(digits, 10, 8)
	switch {
	case err != nil || n >= uint64(len(e.Information)) || digits != strconv.FormatUint(n, 10):
		return expr.Register{}, expr.ErrNotFound
	case n >= uint64(e.NumberParameters):
		return expr.Register{}, expr.ErrUnavailable
	}
	return expr.Register{Bits: e.Information[n]}, nil
}

func (s *Session) pebPseudo() (uint64, error) {
	if s.scope.process.Addr() == 0 {
		return 0, expr.ErrUnavailable
	}
	return s.scope.process.PEB()
}

func (s *Session) tebPseudo() (uint64, error) {
	t := s.scope.thread.Addr()
	if t == 0 || s.scope.dtb != nil && !s.sessionCanRead(t) {
		return 0, expr.ErrUnavailable
	}
	return s.scope.thread.TEB()
}

// clientID reads an id from the TEB, which only the thread's own process maps.
func (s *Session) clientID(member string) (uint64, error) {
	teb, err := s.tebPseudo()
	if err != nil || teb == 0 {
		return 0, expr.ErrUnavailable
	}
	t, err := s.sys.Type("_TEB")
	if err != nil {
		return 0, err
	}
	return types.NewObject(s.space(), t, teb).Field(member).Uint()
}

func (s *Session) pcrPseudo() (uint64, error) {
	c, err := s.sys.Processor(s.scope.cpu)
	if err != nil {
		return 0, err
	}
	return c.KPCR()
}

func (s *Session) prcbPseudo() (uint64, error) {
	c, err := s.sys.Processor(s.scope.cpu)
	return c.Addr(), err
}

func (s *Session) ip() (uint64, error) {
	regs, err := s.anyRegisters()
	if err != nil {
		return 0, err
	}
	return regs.ProgramCounter(), nil
}

func (s *Session) stackPointer() (uint64, error) {
	regs, err := s.anyRegisters()
	if err != nil {
		return 0, err
	}
	return regs.StackPointer(), nil
}

func (s *Session) returnValue() (uint64, error) {
	regs, err := s.anyRegisters()
	if err != nil {
		return 0, err
	}
	for _, name := range []string{"rax", "x0"} {
		if v, _, ok := regs.Get(name); ok {
			return v, nil
		}
	}
	return 0, errNoRegisters
}

func (s *Session) eventIP() (uint64, error) {
	regs, err := s.sys.StopRegisters(s.sys.CrashStop())
	if err != nil {
		return 0, err
	}
	return regs.ProgramCounter(), nil
}

func (s *Session) scopeIP() (uint64, error) {
	if f := s.scope.frame.walked; f != nil {
		return f.IP, nil
	}
	return s.ip()
}

// returnAddress is where the function of the register context returns to.
func (s *Session) returnAddress() (uint64, error) {
	regs, err := s.anyRegisters()
	if err != nil {
		return 0, err
	}
	st := s.walk(s.ctx, regs, 1)
	if len(st.Frames) == 0 {
		return 0, expr.ErrUnavailable
	}
	return st.Frames[0].Return, nil
}

// exeEntry is the entry point of the target's executable: in a kernel dump the
// kernel's.
func (s *Session) exeEntry() (uint64, error) {
	nt := s.sys.Nt()
	if nt == nil {
		return 0, expr.ErrUnavailable
	}
	img, err := nt.Image()
	if err != nil {
		return 0, err
	}
	return nt.Base + uint64(img.AddressOfEntryPoint), nil
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// A special is a register of the processor that no CONTEXT has.
type special struct {
	digits int
	get    func(*amd64.SpecialRegisters) uint64
}

var specialNames = map[string]special{
	"cr0":  {16, func(r *amd64.SpecialRegisters) uint64 { return r.CR0 }},
	"cr2":  {16, func(r *amd64.SpecialRegisters) uint64 { return r.CR2 }},
	"cr3":  {16, func(r *amd64.SpecialRegisters) uint64 { return r.CR3 }},
	"cr4":  {16, func(r *amd64.SpecialRegisters) uint64 { return r.CR4 }},
	"cr8":  {16, func(r *amd64.SpecialRegisters) uint64 { return r.CR8 }},
	"gdtr": {16, func(r *amd64.SpecialRegisters) uint64 { return r.GDTR.Base }},
	"gdtl": {4, func(r *amd64.SpecialRegisters) uint64 { return uint64(r.GDTR.Limit) }},
	"idtr": {16, func(r *amd64.SpecialRegisters) uint64 { return r.IDTR.Base }},
	"idtl": {4, func(r *amd64.SpecialRegisters) uint64 { return uint64(r.IDTR.Limit) }},
	"tr":   {4, func(r *amd64.SpecialRegisters) uint64 { return uint64(r.TR) }},
	"ldtr": {4, func(r *amd64.SpecialRegisters) uint64 { return uint64(r.LDTR) }},
	"kdr0": {16, func(r *amd64.SpecialRegisters) uint64 { return r.DR0 }},
	"kdr1": {16, func(r *amd64.SpecialRegisters) uint64 { return r.DR1 }},
	"kdr2": {16, func(r *amd64.SpecialRegisters) uint64 { return r.DR2 }},
	"kdr3": {16, func(r *amd64.SpecialRegisters) uint64 { return r.DR3 }},
	"kdr6": {16, func(r *amd64.SpecialRegisters) uint64 { return r.DR6 }},
	"kdr7": {16, func(r *amd64.SpecialRegisters) uint64 { return r.DR7 }},
}

// specialRegisters returns the current processor's.
func (s *Session) specialRegisters() (*amd64.SpecialRegisters, error) {
	c, err := s.sys.Processor(s.scope.cpu)
	if err != nil {
		return nil, err
	}
	return c.SpecialRegisters()
}

// specialRegister returns a control register of the current processor, with
// what r changed in it.
func (s *Session) specialRegister(name string) (uint64, bool) {
	n, ok := specialNames[name]
	if !ok {
		return 0, false
	}
	if v, ok := s.scope.special[name]; ok {
		return v, true
	}
	regs, err := s.specialRegisters()
	if err != nil {
		return 0, false
	}
	return n.get(regs), true
}
