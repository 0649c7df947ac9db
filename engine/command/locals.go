package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/types"
	"kdap/engine/wildcard"
	"kdap/engine/windows"
)

func localCommands() []*Command {
	return []*Command{cmdDv()}
}

// frameLocals returns the variables of the chosen frame, with their places and
// values there.
func (s *Session) frameLocals(ctx context.Context) ([]windows.Local, error) {
	regs, err := s.frameRegs()
	if err != nil {
		return nil, windows.ErrNoModuleSymbols
	}
	ip := regs.ProgramCounter()
	m := s.moduleSet(ctx).Find(ip)
	if m == nil {
		return nil, windows.ErrNoModuleSymbols
	}
	return m.Locals(ctx, s.symbolsOf(ctx, m), ip, s.scope.frame.inlined, regs)
}

// localsAt returns the variables of the function at an address, without places.
func (s *Session) localsAt(ctx context.Context, va uint64) ([]windows.Local, error) {
	m := s.moduleSet(ctx).Find(va)
	if m == nil {
		return nil, windows.ErrNoModuleSymbols
	}
	return m.Locals(ctx, s.symbolsOf(ctx, m), va, 0, nil)
}

// localNamed returns the variable of the chosen frame that a name means: of
// several the innermost, the same letters before the same name in other case.
func (s *Session) localNamed(ctx context.Context, name string) (windows.Local, bool) {
	locals, err := s.frameLocals(ctx)
	if err != nil {
		return windows.Local{}, false
	}
	found := -1
	for i, l := range locals {
		if l.Name == name || strings.EqualFold(l.Name, name) && (found < 0 || locals[found].Name != name) {
			found = i
		}
	}
	if found < 0 {
		return windows.Local{}, false
	}
	return locals[found], true
}

// local resolves the name of a variable of the chosen frame.
func (s *Session) local(ctx context.Context, name string) (expr.Symbol, bool) {
	l, ok := s.localNamed(ctx, name)
	if !ok {
		return expr.Symbol{}, false
	}
	sym := expr.Symbol{Name: l.Name, Type: l.Type, Addr: l.Addr, Bits: l.Bits}
	switch l.Place {
	case windows.Nowhere:
		sym.Unavailable = true
	case windows.InRegister:
		sym.InRegister = true
	case windows.AsConstant:
		sym.Constant = true
	case windows.InMemory, windows.InStaticData:
	}
	return sym, true
}

// dvOptions are the options of dv.
type dvOptions struct {
	class, typed, place, addressed bool   // i, t, V, v or V
	order                          byte   // a, n, z
	function                       uint64 // f: only the names, of the function at this address
	byAddress                      bool
}

func cmdDv() *Command {
	return &Command{
		Names: []string{"dv"}, Args: "[/i] [/t] [/v|/V] [/a|/n|/z] [/f Address] [Pattern]", Short: "show the variables of the chosen frame",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			o, err := s.dvOptions(c)
			if err != nil {
				return err
			}
			pattern := c.Word()
			if pattern == "" {
				pattern = "*"
			}
			return s.showLocals(ctx, o, pattern)
		},
	}
}

func (s *Session) dvOptions(c *Call) (o dvOptions, err error) {
	for {
		word := c.Peek()
		if len(word) != 2 || word[0] != '/' && word[0] != '-' {
			return o, nil
		}
		c.Word()
		switch word[1] {
		case 'i':
			o.class = true
		case 't':
			o.typed = true
		case 'V':
			o.place, o.addressed = true, true
		case 'v':
			o.addressed = true
		case 'a', 'n', 'z':
			o.order = word[1]
		case 'f':
			if o.function, err = s.address(c.Args); err != nil {
				return o, err
			}
			o.byAddress = true
		case 'r':
		default:
			s.printf("Unknown option '%c'\n", word[1])
		}
	}
}

// Win32 errors that the debugger names as the reason for having no variables.
const (
	errorInvalidParameter = 87
	errorNoMoreSymbols    = 318
)

func (s *Session) showLocals(ctx context.Context, o dvOptions, pattern string) error {
	var locals []windows.Local
	var err error
	if o.byAddress {
		locals, err = s.localsAt(ctx, o.function)
	} else {
		locals, err = s.frameLocals(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		code := errorInvalidParameter
		if errors.Is(err, windows.ErrNoModuleSymbols) {
			code = errorNoMoreSymbols
		}
		s.printf("Unable to enumerate locals, Win32 error 0n%d\n"+
			"Private symbols (symbols.pri) are required for locals.\nType \".hh dbgerr005\" for details.\n", code)
		return nil
	}
	match := wildcard.Compile(pattern)
	locals = slices.DeleteFunc(locals, func(l windows.Local) bool { return !match.Match(l.Name) })
	sortLocals(locals, o.order)
	for i := range locals {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.printLocal(&locals[i], o)
	}
	return nil
}

// sortLocals orders variables by address, name or size.
func sortLocals(locals []windows.Local, order byte) {
	var by func(a, b windows.Local) int
	switch order {
	case 'a':
		by = func(a, b windows.Local) int { return cmp.Compare(a.Addr, b.Addr) }
	case 'n':
		by = func(a, b windows.Local) int { return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) }
	case 'z':
		by = func(a, b windows.Local) int { return cmp.Compare(localSize(&a), localSize(&b)) }
	default:
		return
	}
	slices.SortStableFunc(locals, by)
}

func localSize(l *windows.Local) uint64 {
	if l.Type == nil {
		return 0
	}
	return l.Type.Size
}

// printLocal prints a line of dv.
func (s *Session) printLocal(l *windows.Local, o dvOptions) {
	var b strings.Builder
	if o.class {
		b.WriteString("prv " + localClass(l) + "  ")
	}
	if o.addressed || o.byAddress {
		fmt.Fprintf(&b, "%-17s ", localAddress(l))
	}
	if o.place {
		fmt.Fprintf(&b, "%-17s ", localPlace(l))
	}
	if o.typed {
		fmt.Fprintf(&b, "%s %s", expr.TypeName(l.Type), l.Name)
	} else {
		fmt.Fprintf(&b, "%15s", l.Name)
	}
	if !o.byAddress {
		b.WriteString(" = " + s.localValue(l))
	}
	s.printf("%s\n", visible(b.String()))
}

func localClass(l *windows.Local) string {
	if l.Param {
		return "param"
	}
	return "local"
}

// localAddress is the address of a variable as dv /v shows it, or what stands
// for one.
func localAddress(l *windows.Local) string {
	switch l.Place {
	case windows.InMemory, windows.InStaticData:
		return format.Addr(l.Addr)
	case windows.InRegister:
		return "@" + l.Register
	case windows.AsConstant:
		return "<Addr: Internal implementation error>"
	}
	return "<unavailable>"
}

// localPlace tells how a variable is found: "@rsp+0x0078".
func localPlace(l *windows.Local) string {
	if l.Place != windows.InMemory {
		return localAddress(l)
	}
	sign, off := "+", int64(l.Offset)
	if off < 0 {
		sign, off = "-", -off
	}
	return fmt.Sprintf("@%s%s0x%04x", l.Register, sign, off)
}

// localValue is the value of a variable as dv shows it.
func (s *Session) localValue(l *windows.Local) string {
	if l.Place == windows.Nowhere {
		return "<value unavailable>"
	}
	return s.variableText(l)
}

// variableText is the value of a variable that has a place.
func (s *Session) variableText(l *windows.Local) string {
	t := l.Type
	switch {
	case l.Located() || t == nil:
		return s.typedValue(s.space(), t, l.Addr)
	case t.Kind.IsAggregate(), t.Kind == types.Array, t.Kind == types.Function, t.Kind == types.Void:
		return expr.TypeName(t)
	}
	return s.scalarText(s.space(), expr.Constant(t, l.Bits))
}

// scalarText shows a number or pointer; behind a pointer to characters their
// text stands.
func (s *Session) scalarText(space memory.Space, v expr.Value) string {
	text := s.numberText(v)
	if e := v.Type.Elem(); v.Type.Kind == types.Pointer && e != nil {
		switch e.Kind {
		case types.Char, types.UChar, types.WChar:
			if v.Bits == 0 {
				return text + ` ""`
			}
			text += " " + expr.QuotedText(space, v.Bits, int(e.Size))
		}
	}
	return visible(text)
}

// numberText shows a number as dv and x do: in the session's base, and signed
// numbers as the settings say.
func (s *Session) numberText(v expr.Value) string {
	switch k := v.Type.Kind; {
	case k == types.Uint && s.settings.radix == 10 && v.Bits >= 10:
		return fmt.Sprintf("0n%d", v.Bits)
	case k == types.Int && s.words.forceRadix && s.settings.radix != 10:
		return format.Unsigned(v.Bits)
	}
	return expr.NumberText(v)
}

// frameParameters are the parameters of a frame's function with their values,
// as kp and kP show them. ok is false without private symbols.
func (s *Session) frameParameters(ctx context.Context, f windows.Frame) (params []string, ok bool) {
	m := s.moduleSet(ctx).Find(f.IP)
	if m == nil {
		return nil, false
	}
	locals, err := m.Locals(ctx, s.symbolsOf(ctx, m), f.IP, 0, f.Registers())
	if err != nil {
		return nil, false
	}
	for i := range locals {
		l := &locals[i]
		if !l.Param {
			continue
		}
		value := "<Value unavailable error>"
		if l.Place != windows.Nowhere {
			value = s.variableText(l)
		}
		params = append(params, visible(fmt.Sprintf("%s %s = %s", expr.TypeName(l.Type), l.Name, value)))
	}
	return params, true
}
