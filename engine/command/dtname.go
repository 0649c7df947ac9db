package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/memory"
	"kdap/engine/symbols"
	"kdap/engine/types"
	"kdap/engine/typetext"
	"kdap/engine/windows"
)

// A dtTarget is what a name of dt stands for.
type dtTarget struct {
	module  *windows.Module // nil for locals and base types
	name    string          // as the symbol file spells it
	typ     *types.Type
	addr    uint64
	located bool // a variable or function
}

// printer makes the printer of dt for the session's memory and settings.
func (s *Session) printer(ctx context.Context, o typetext.Options, physical bool) *typetext.Printer {
	p := &typetext.Printer{
		Space: s.space(), PointerSize: s.env().PointerSize(), Radix: s.settings.radix,
		SignedHex: s.words.longStatus || s.words.forceRadix,
		Symbol:    func(va uint64) (string, uint64, bool) { return s.functionAt(ctx, va) },
		Options:   o,
	}
	if physical {
		p.Space = memory.PhysicalSpace{Phys: s.env().Physical()}
	}
	return p
}

// functionAt names what a function pointer points to.
func (s *Session) functionAt(ctx context.Context, va uint64) (string, uint64, bool) {
	p, ok := s.place(ctx, va)
	if !ok || p.Name == "" || p.Outside {
		return "", 0, false
	}
	return p.Module.Name + "!" + p.Name, p.Offset, true
}

// dtName shows a type or a variable by its name.
func (s *Session) dtName(ctx context.Context, d *dtCall) error {
	name, subscript, indexed := strings.Cut(d.name, "[")
	index := 0
	if indexed {
		v, err := s.evaluate(strings.TrimSuffix(subscript, "]"))
		if err != nil {
			return Tellf("Symbol %s not found.", d.name)
		}
		index = int(min(v, maxDtRows))
	}
	if !strings.Contains(name, "!") && !d.prefix {
		if ok, err := s.dtLocal(ctx, d, name, index, indexed); ok {
			return err
		}
	}
	t, ok := s.resolveType(ctx, d, name)
	if !ok {
		return nil
	}
	if t.module != nil && (!strings.Contains(strings.TrimPrefix(name, "!"), "!") || d.prefix) {
		s.printf("%s!%s\n", t.module.Name, visible(t.name))
	}
	if t.module != nil {
		s.lastType = t.module.Name + "!" + t.name
	}
	if t.typ.Kind == types.Function {
		s.dtFunction(d, t)
		return nil
	}
	return s.dtShow(ctx, d, t, index, indexed)
}

// dtShow shows a type at the address that was given, or a variable at its own.
func (s *Session) dtShow(ctx context.Context, d *dtCall, t dtTarget, index int, indexed bool) error {
	r := typetext.Request{
		Type: t.typ, Addr: t.addr, Located: t.located, Name: t.name, List: d.link,
		Words: d.words, Selectors: d.selectors, Index: s.subscript, Rows: d.rows,
	}
	if d.located && d.addr != 0 {
		r.Addr, r.Located = d.addr, true
	}
	if d.options.Verbose {
		s.printf("%s", verboseHead(t.typ))
	}
	switch {
	case d.rows:
		r.Array = d.rowCount
		if t.typ.Kind == types.Array && t.typ.Elem() != nil {
			r.Type = t.typ.Elem()
			if r.Array == 0 {
				r.Array = int(min(t.typ.Count, maxDtRows))
			}
		}
		if r.Array == 0 {
			r.Array = defaultDtRows
		}
		if !r.Located {
			r.Array, r.Rows = 0, false
		}
	case indexed && t.located:
		elem := t.typ
		if elem.Kind == types.Array && elem.Elem() != nil {
			elem = elem.Elem()
		}
		s.printf("[%d] ", index)
		r.Type, r.Addr = elem, r.Addr+uint64(index)*elem.Size
	case indexed:
		r.Array = max(index, 1)
		if index == 0 {
			r.Array = -1
		}
	}
	return s.printer(ctx, d.options, d.physical).Dump(ctx, s.out, r)
}

// verboseHead is the line that -v puts first.
func verboseHead(t *types.Type) string {
	switch {
	case t.Kind.IsAggregate():
		return typetext.Summary(t) + "\n"
	case t.Kind == types.Enum:
		return fmt.Sprintf("Enum %s,  %d total enums\n", visible(t.Name), len(t.Enumerators()))
	}
	return ""
}

// subscript evaluates what stands in the brackets of a field.
func (s *Session) subscript(text string) (int64, error) {
	c := expr.NewCursor(text)
	if strings.HasPrefix(strings.TrimSpace(text), "]") {
		return 0, expr.Quote("Syntax error at", c, 0)
	}
	v, err := s.number(c)
	if e := (*expr.Error)(nil); errors.As(err, &e) && strings.HasPrefix(e.Text, "Couldn't resolve") {
		s.printf("%s", expr.MissingTypeBox(strings.TrimSuffix(e.Rest, "]"), s.env().NoUnqualified()))
	}
	return int64(v), err
}

// dtFunction shows a function's prototype.
func (s *Session) dtFunction(d *dtCall, t dtTarget) {
	if d.options.Verbose {
		s.printf("Got address %016x for symbol\n<function> ", t.addr)
	}
	f := t.typ.Func()
	s.printf("%s  %s (", visible(t.name), expr.ShortTypeName(f.Elem))
	for i, p := range f.Params {
		if i > 0 {
			s.printf(", ")
		}
		s.printf("\n\t%s", expr.ShortTypeName(p))
	}
	s.printf(")\n")
}

// resolveType finds a type or typed variable. When there is none it says so.
func (s *Session) resolveType(ctx context.Context, d *dtCall, name string) (dtTarget, bool) {
	if t, ok := baseType(name); ok {
		return dtTarget{typ: t, name: name}, true
	}
	mod, sym, qualified := strings.Cut(name, "!")
	if mod == "" {
		qualified = false
	}
	if strings.IndexByte(name, '!') < 0 {
		mod, sym = "", name
	}
	if qualified {
		m := s.moduleNamed(ctx, mod)
		if m == nil {
			s.printf("Symbol %s not found.\n", d.name)
			s.noteKernelType(ctx, sym)
			return dtTarget{}, false
		}
		table := s.symbolsOf(ctx, m)
		if d.prefix || sym == "" {
			return s.typeByPrefix(table, m, d, sym)
		}
		if t, ok := typeIn(table, m, sym); ok {
			return t, true
		}
		if table.Types() == nil {
			s.printf("%s", expr.MissingTypeBox(d.name, s.env().NoUnqualified()))
		}
		s.printf("Symbol %s not found.\n", d.name)
		s.noteKernelType(ctx, sym)
		return dtTarget{}, false
	}
	for _, m := range s.modulesFor(ctx, "") {
		table := s.symbolsOf(ctx, m)
		if d.prefix {
			if t, ok := s.typeByPrefix(table, m, d, sym); ok {
				return t, true
			}
			continue
		}
		if t, ok := typeIn(table, m, sym); ok {
			return t, true
		}
	}
	s.printf("%sSymbol %s not found.\n", expr.MissingTypeBox(d.name, s.env().NoUnqualified()), d.name)
	return dtTarget{}, false
}

// noteKernelType tells that the kernel has the type that another module lacks:
// ntdll's symbols may have the kernel's types, and they may not.
func (s *Session) noteKernelType(ctx context.Context, name string) {
	kernel := s.moduleNamed(ctx, kernelSymbols)
	if kernel == nil || name == "" {
		return
	}
	if t, ok := s.symbolsOf(ctx, kernel).Type(name); ok {
		s.notef("the kernel has this type: dt %s!%s", kernel.Name, t.Name)
	}
}

// typeIn looks a name up in one module: types, typedefs, typed symbols.
func typeIn(table *symbols.Table, m *windows.Module, name string) (dtTarget, bool) {
	if t, ok := table.Type(name); ok {
		return dtTarget{module: m, name: t.Name, typ: t}, true
	}
	if p := table.PDB(); p != nil {
		if t, ok := p.Typedef(name); ok {
			return dtTarget{module: m, name: name, typ: t}, true
		}
	}
	if sym, ok := table.Lookup(name); ok {
		if t := sym.Type(); t != nil && t.Kind != types.Unknown {
			return dtTarget{module: m, name: sym.Name, typ: t, addr: m.Base + uint64(sym.RVA), located: true}, true
		}
	}
	return dtTarget{}, false
}

// typeByPrefix finds the types whose names begin with a prefix. Of several the
// first is taken, unless a larger one follows: that ends the search. Those that
// are as large as the first do not count, for it may have several records.
func (s *Session) typeByPrefix(table *symbols.Table, m *windows.Module, d *dtCall, prefix string) (dtTarget, bool) {
	var pick *types.Type
	var listed []string
	seen := map[string]bool{}
	note := ":"
	if src := table.Types(); src != nil {
		for t := range src.Types() {
			if len(t.Name) < len(prefix) || !strings.EqualFold(t.Name[:len(prefix)], prefix) || seen[t.Name] {
				continue
			}
			seen[t.Name] = true
			name := m.Name + "!" + visible(t.Name)
			switch {
			case pick == nil:
				pick = t
			case t.Size == pick.Size:
				continue
			case t.Size > pick.Size:
				pick = t
				name += fmt.Sprintf(" {0x%03x bytes}", t.Size)
				note = " (dumping largest sized):"
			}
			listed = append(listed, name)
			if note != ":" {
				break
			}
		}
	}
	if pick == nil {
		s.printf("Symbol %s not found.\n", d.name)
		return dtTarget{}, false
	}
	d.prefix = true
	if len(listed) > 1 {
		s.printf("Ambiguous matches found for %s%s\n", d.name, note)
		for _, name := range listed {
			s.printf("\t%s\n", name)
		}
	}
	if full, ok := table.Types().Type(pick.Name); ok {
		pick = full
	}
	return dtTarget{module: m, name: pick.Name, typ: pick}, true
}

// baseType returns a type the debugger knows without symbols, or a pointer to one.
func baseType(name string) (*types.Type, bool) {
	if t, ok := expr.Builtin(strings.Join(strings.Fields(name), " ")); ok {
		return t, true
	}
	if elem, ok := strings.CutSuffix(name, "*"); ok {
		if t, ok := baseType(strings.TrimSpace(elem)); ok {
			return expr.PointerTo(t, 8), true
		}
	}
	return nil, false
}

// dtAddress shows the symbol at an address that was given without a name.
func (s *Session) dtAddress(ctx context.Context, d *dtCall) error {
	m := s.moduleSet(ctx).Find(d.addr)
	if m == nil {
		return s.said("Symbol not found at address %016x.\n", d.addr)
	}
	sym, off, ok := s.symbolsOf(ctx, m).Nearest(uint32(d.addr - m.Base))
	if !ok || off == symbols.Outside {
		return s.said("Symbol not found at address %016x.\n", d.addr)
	}
	s.printf("%s\n", visible(sym.Name))
	t := dtTarget{module: m, name: sym.Name, typ: sym.Type(), addr: m.Base + uint64(sym.RVA), located: true}
	switch {
	case t.typ == nil || t.typ.Kind == types.Unknown:
		return s.said("Symbol  not found.\n")
	case t.typ.Kind == types.Function:
		s.dtFunction(d, t)
		return nil
	}
	d.located = false
	return s.dtShow(ctx, d, t, 0, false)
}

// said prints an answer that is no failure.
func (s *Session) said(format string, args ...any) error {
	s.printf(format, args...)
	return nil
}

func init() {
	newPrinter = func(ctx context.Context, s *Session) expr.Printer {
		return s.printer(ctx, typetext.Options{}, false)
	}
}

// numberSwitch is a command that must be given a number and keeps whether it
// was 0.
func numberSwitch(field func(*wordSettings) *bool) func(context.Context, *Session, *Call) error {
	return func(_ context.Context, s *Session, c *Call) error {
		v, err := s.number(c.Args)
		if err == nil {
			*field(&s.words) = v != 0
		}
		return err
	}
}
