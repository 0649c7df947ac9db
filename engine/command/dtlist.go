package command

import (
	"context"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/symbols"
	"kdap/engine/types"
	"kdap/engine/typetext"
	"kdap/engine/wildcard"
	"kdap/engine/windows"
)

// dtPattern lists the types and symbols whose names match, or shows each (-d).
func (s *Session) dtPattern(ctx context.Context, d *dtCall) error {
	mod, pattern, qualified := strings.Cut(d.name, "!")
	var m *windows.Module
	if qualified {
		m = s.moduleNamed(ctx, mod)
	}
	switch {
	case !qualified:
		s.printf("%s", expr.MissingTypeBox(d.name, s.env().NoUnqualified()))
		fallthrough
	case m == nil, d.located && d.addr != 0:
		return s.said("Symbol %s not found.\n", d.name)
	}
	l := dtLister{s: s, d: d, m: m, table: s.symbolsOf(ctx, m), match: wildcard.Compile(pattern), shown: s.listName(m)}
	if d.options.Verbose && !d.dump {
		s.printf("Enumerating symbols matching %s\nAddress   Size Symbol\n", d.name)
	}
	if err := l.types(ctx); err != nil || d.types {
		return err
	}
	return l.symbols(ctx)
}

// listName is the module's name in such lists: the kernel's is that of its PDB.
func (s *Session) listName(m *windows.Module) string {
	if m == s.sys.Nt() {
		if cv, err := m.CodeView(); err == nil && cv.Name != "" {
			name := cv.Name[strings.LastIndexAny(cv.Name, `\/`)+1:]
			if i := strings.LastIndexByte(name, '.'); i > 0 {
				name = name[:i]
			}
			return visible(name)
		}
	}
	return m.Name
}

type dtLister struct {
	s     *Session
	d     *dtCall
	m     *windows.Module
	table *symbols.Table
	match *wildcard.Pattern
	shown string
}

func (l *dtLister) types(ctx context.Context) error {
	each := func(name string, t *types.Type) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		size := uint64(0)
		if t != nil {
			size = t.Size
		}
		switch {
		case !l.match.Match(name) || l.d.size != nil && size != *l.d.size:
		case l.d.dump && t != nil:
			l.show(ctx, t)
		case l.d.options.Verbose:
			l.s.printf("           %03x %s!%s\n", size, l.shown, visible(name))
		default:
			l.s.printf("          %s!%s\n", l.shown, visible(name))
		}
		return nil
	}
	if p := l.table.PDB(); p != nil {
		for name, t := range p.NamedTypes() {
			if err := each(name, t); err != nil {
				return err
			}
		}
		return nil
	}
	if src := l.table.Types(); src != nil {
		for t := range src.Types() {
			if err := each(t.Name, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// show shows one type in the form of -d.
func (l *dtLister) show(ctx context.Context, t *types.Type) {
	if full, ok := l.table.Types().Type(t.Name); ok && t.Kind.IsAggregate() {
		t = full
	}
	l.s.printf("%s", verboseHead(t))
	o := l.d.options
	o.Verbose, o.Unpadded = true, true
	l.s.printer(ctx, o, false).Dump(ctx, l.s.out, typetext.Request{Type: t})
}

func (l *dtLister) symbols(ctx context.Context) error {
	for sym := range l.table.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		private := sym.Kind.IsPrivate()
		size := uint64(sym.Size)
		if !private && !l.d.options.Verbose || !l.match.Match(sym.Name) || l.d.size != nil && size != *l.d.size {
			continue
		}
		addr := l.m.Base + uint64(sym.RVA)
		switch t := sym.Type(); {
		case l.d.dump && t != nil && t.Kind == types.Function:
			d := *l.d
			d.options.Verbose = true
			l.s.dtFunction(&d, dtTarget{name: sym.Name, typ: t, addr: addr})
		case l.d.dump:
			l.s.printf("Got address %016x for symbol\n", addr)
			if t != nil {
				l.s.printf("%s", verboseHead(t))
				o := l.d.options
				o.Verbose, o.Unpadded = true, true
				l.s.printer(ctx, o, false).Dump(ctx, l.s.out, typetext.Request{Type: t, Addr: addr, Located: true})
			}
		case l.d.options.Verbose:
			note := ""
			if !private {
				note = " (no type info)"
			}
			l.s.printf("%016x   %03x %s!%s%s\n", addr, size, l.shown, visible(sym.Name), note)
		default:
			l.s.printf("%016x  %s!%s\n", addr, l.shown, visible(sym.Name))
		}
	}
	return nil
}
