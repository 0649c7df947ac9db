package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/memory"
	"kdap/engine/symbols"
	"kdap/engine/types"
	"kdap/engine/typetext"
	"kdap/engine/windows"
)

func symbolCommands() []*Command {
	return []*Command{cmdLn(), cmdX()}
}

func cmdLn() *Command {
	return &Command{
		Names: []string{"ln"}, Args: "[/D] [Address]",
		Short: "name the symbols at and around an address",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			dml := false
			for !c.Args.Done() && c.Args.Text[c.Args.Pos] == '/' {
				c.Args.Pos++
				if !strings.HasPrefix(c.Args.Rest(), "D") {
					return expr.Caret("Syntax error", c.Args.Pos)
				}
				dml = true
				c.Args.Pos++
			}
			var va uint64
			if c.Args.Done() {
				regs, err := s.frameRegs()
				if err != nil {
					return err
				}
				va = regs.ProgramCounter()
			} else {
				var err error
				if va, err = s.number(c.Args); err != nil {
					return err
				}
			}
			s.listNearest(ctx, va, dml)
			return nil
		},
	}
}

// listNearest prints the symbols next to an address; nothing when its module
// has none.
func (s *Session) listNearest(ctx context.Context, va uint64, dml bool) {
	m := s.moduleSet(ctx).Find(va)
	if m == nil {
		if text := s.symbolText(ctx, va); text != "" { // in a driver that is gone
			s.printf("(%s)   %s\n", s.addressText(va), visible(text))
		}
		return
	}
	t, rva := s.symbolsOf(ctx, m), uint32(va-m.Base)
	near, disp, ok := t.Nearest(rva)
	if !ok {
		return
	}
	if dml || s.settings.dml {
		s.printf("Browse module\nSet bu breakpoint\n\n")
	}
	if line, ok := t.Line(rva); ok && s.settings.symopt&symoptLines != 0 {
		if s.settings.dml {
			s.printf(" [%s @ %d] ", visible(line.File.Name), line.Number)
		} else {
			s.printf("%s\n", plusOffset(fmt.Sprintf("%s(%d)", visible(line.File.Name), line.Number), uint64(rva-line.RVA)))
		}
	}
	row := func(sym symbols.Symbol) string {
		return fmt.Sprintf("(%s)   %s!%s", s.addressText(m.Base+uint64(sym.RVA)), visible(m.Name), symbolName(sym.Name))
	}
	text := row(near)
	switch {
	case disp == symbols.Outside:
		text += "+0x" + s.addressText(disp)
	case disp != 0:
		text = plusOffset(text, disp)
	}
	text += "   "
	if next, ok := t.Next(nextFrom(rva, near, disp)); ok {
		text += "|  " + row(next)
	}
	s.printf("%s\n", text)
	if disp != 0 {
		return
	}
	s.printf("Exact matches:\n")
	for _, sym := range t.At(rva) {
		s.printf("    %s!%s%s\n", visible(m.Name), symbolName(sym.Name), s.symbolTail(m, sym, " "))
	}
}

// nextFrom is the address that the following symbol is looked for from: for an
// address outside of all parts with symbols, that of the symbol shown.
func nextFrom(rva uint32, near symbols.Symbol, disp uint64) uint32 {
	if disp == symbols.Outside {
		return near.RVA
	}
	return rva
}

// symbolTail is what x and ln show behind a name: parameters or value, with a
// blank or nothing in front of parentheses.
func (s *Session) symbolTail(m *windows.Module, sym symbols.Symbol, blank string) string {
	switch sym.Kind {
	case symbols.ExportedSymbol:
		return blank + "(<no parameter info>)"
	case symbols.PublicFunction:
		return blank + "(" + symbolName(symbols.Prototype(sym.Raw)) + ")"
	case symbols.PrivateFunction:
		return blank + "(" + visible(parameterList(sym.Type())) + ")"
	case symbols.PrivateData:
		return " = " + s.typedValue(m.Space(), sym.Type(), m.Base+uint64(sym.RVA))
	}
	return " = <no type information>"
}

// parameterList spells the parameters of a function's type.
func parameterList(t *types.Type) string {
	if t == nil || t.Kind != types.Function {
		return ""
	}
	f := t.Func()
	params := make([]string, 0, len(f.Params)+1)
	for _, p := range f.Params {
		params = append(params, expr.TypeName(p))
	}
	if f.Variadic {
		params = append(params, "...")
	}
	if len(params) == 0 {
		return "void"
	}
	return strings.Join(params, ", ")
}

// typedValue shows a variable in one line, as x and dv do: numbers as ?? does,
// structures and arrays by their type, text in quotes behind an array of
// characters.
func (s *Session) typedValue(space memory.Space, t *types.Type, addr uint64) string {
	switch {
	case t == nil:
		return "<no type information>"
	case t.Kind.IsAggregate():
		// Behind the type name stands what dt shows of lists, strings and the like.
		p := typetext.Printer{Space: space, PointerSize: 8}
		return visible(expr.TypeName(t) + strings.TrimPrefix(p.Value(t, addr), t.Name))
	case t.Kind == types.Function, t.Kind == types.Void:
		return expr.TypeName(t)
	case t.Kind == types.Array:
		text := expr.TypeName(t)
		if elem := t.Elem(); elem != nil && (elem.Kind == types.Char || elem.Kind == types.UChar || elem.Kind == types.WChar) {
			text += " " + quotedArray(space, addr, int(elem.Size), t.Count)
		}
		return visible(text)
	}
	v, err := expr.At(spaceEnv{s.env(), space}, t, addr)
	if err != nil {
		return "<Memory access error>"
	}
	return s.scalarText(space, v)
}

// spaceEnv is an evaluation in another space than the session's.
type spaceEnv struct {
	expr.Env
	space memory.Space
}

func (e spaceEnv) Memory() memory.Space { return e.space }

// quotedArray shows the text in an array of characters. It ends with the array
// when no zero does so before.
func quotedArray(space memory.Space, addr uint64, size int, count uint64) string {
	return expr.QuotedText(limitedSpace{space, addr + uint64(size)*min(count, 1<<20)}, addr, size)
}

// limitedSpace reads as zero from end on.
type limitedSpace struct {
	memory.Space
	end uint64
}

func (l limitedSpace) Read(va uint64, p []byte) (int, error) {
	if va >= l.end {
		clear(p)
		return len(p), nil
	}
	return l.Space.Read(va, p)
}
