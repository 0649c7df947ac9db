package command

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/symbols"
	"kdap/engine/types"
	"kdap/engine/wildcard"
	"kdap/engine/windows"
)

func cmdX() *Command {
	return &Command{
		Names: []string{"x"}, Args: "[/0|/1|/2] [/v] [/t] [/q] [/p] [/D] [/f|/d] [/s Size] [/a|/A|/n|/N|/z|/Z] [Module!Pattern]",
		Short: "list the symbols whose names match a pattern, or the variables of the frame",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			o, err := s.xOptions(c.Args)
			if err != nil {
				return err
			}
			s.useScope()
			// The last ! ends the module's name, also in the brackets of a set.
			end := strings.LastIndexByte(o.pattern, '!')
			if end < 0 {
				return s.examineLocals(ctx, o)
			}
			module, name := strings.TrimRight(o.pattern[:end], "!"), o.pattern[end+1:]
			mods, err := s.modulesMatching(ctx, module)
			if err != nil {
				return err
			}
			return s.examine(ctx, mods, name, o)
		},
	}
}

// xOptions are the options of x.
type xOptions struct {
	given   map[byte]bool
	columns byte // '0', '1', '2': which columns are shown; 0 for all
	order   byte // one of aAnNzZ
	sized   bool
	size    uint64
	pattern string
}

// xOptions reads the arguments. Every option stands alone: a letter with more
// behind it is taken for the pattern.
func (s *Session) xOptions(c *expr.Cursor) (xOptions, error) {
	o := xOptions{given: map[byte]bool{}}
	call := &Call{Args: c}
	for !c.Done() {
		word := call.Peek()
		if word[0] != '/' || len(word) < 2 {
			o.takePattern(call.Word())
			continue
		}
		letter := word[1]
		switch {
		case strings.IndexByte("012vtqpDfdsaAnNzZ", letter) < 0:
			return o, expr.Caret("Syntax error", c.Pos+1)
		case len(word) > 2:
			o.takePattern(call.Word())
			continue
		}
		call.Word()
		switch letter {
		case '0', '1', '2':
			o.columns = letter
		case 's':
			o.sized = true
			size := call.Word()
			v, err := s.evaluate(size)
			if err != nil {
				v = ^uint64(0)
			}
			o.size = v
		case 'a', 'A', 'n', 'N', 'z', 'Z':
			if o.order != 0 {
				return o, expr.Caret("Syntax error", c.Pos)
			}
			o.order = letter
		default:
			o.given[letter] = true
		}
	}
	return o, nil
}

// takePattern keeps a pattern. The last one counts, but one without a module
// is the end.
func (o *xOptions) takePattern(word string) {
	if o.pattern == "" || strings.Contains(o.pattern, "!") {
		o.pattern = word
	}
}

// modulesMatching returns the modules that a name or pattern in front of "!"
// stands for.
func (s *Session) modulesMatching(ctx context.Context, name string) ([]*windows.Module, error) {
	if isPlainModule(name) {
		if m := s.moduleNamed(ctx, name); m != nil && name != "" && !fileNameOnly(m, name) {
			return []*windows.Module{m}, nil
		}
		return nil, s.unresolvedModule("x " + name)
	}
	p := wildcard.Compile(name)
	var mods []*windows.Module
	for _, m := range s.moduleSet(ctx).All() {
		if p.Match(m.Name) {
			mods = append(mods, m)
		}
	}
	return mods, nil
}

// fileNameOnly reports that a name is that of the module's file, not its own.
func fileNameOnly(m *windows.Module, name string) bool {
	return !strings.EqualFold(m.Name, name) && strings.EqualFold(m.ImageName, name)
}

// isPlainModule reports a name that can be a module's. What holds other
// characters is a pattern.
func isPlainModule(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return !(r == '_' || r == '.' || r == '$' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80)
	})
}

// unresolvedModule is the error for a module that is not there: the text up to
// it is quoted, and the caret stands behind it.
func (s *Session) unresolvedModule(text string) error {
	return Failf("%*s^ Couldn't resolve '%s'", s.promptWidth()+len(text)+1, "", text)
}

// A matcher decides which names x lists.
type matcher struct {
	fold  *wildcard.Pattern
	exact string // pattern with letter case, "" when case does not count
}

// newMatcher compiles a pattern. Underscores in front of it match any number
// of them.
func (s *Session) newMatcher(pattern string) matcher {
	if pattern == "" {
		pattern = "*"
	}
	if rest := strings.TrimLeft(pattern, "_"); rest != pattern {
		pattern = "_#" + rest
	}
	m := matcher{fold: wildcard.Compile(pattern)}
	if s.settings.symopt&uint32(symbols.CaseInsensitive) == 0 && !strings.ContainsAny(pattern, `#+\`) {
		m.exact = pattern
	}
	return m
}

func (m matcher) match(name string) bool {
	if !m.fold.Match(name) {
		return false
	}
	if m.exact == "" {
		return true
	}
	ok, err := path.Match(m.exact, strings.ReplaceAll(name, "/", "_"))
	return err != nil || ok
}

// An xRow is one symbol that x found.
type xRow struct {
	module   *windows.Module
	addr     uint64
	place    string // what stands for the address of a variable
	name     string
	class    string // "prv", "pub"
	kind     string // "func", "global", "inline", "param", "local"
	size     uint64
	typeName string
	tail     string // with its blank in front
	function bool   // the tail is in parentheses
}

// examine lists the symbols of modules.
func (s *Session) examine(ctx context.Context, mods []*windows.Module, pattern string, o xOptions) error {
	match := s.newMatcher(pattern)
	if o.given['D'] {
		s.printf(" A B C D E F G H I J K L M N O P Q R S T U V W X Y Z\n\n")
	}
	var rows []xRow
	last := "" // what the last symbol found has in its parentheses
	row := func(r xRow) {
		switch {
		case o.order != 0:
			rows = append(rows, r)
		default:
			s.printRow(r, o)
		}
	}
	for _, m := range mods {
		t := s.symbolsOf(ctx, m)
		for sym := range t.All() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !match.match(sym.Name) {
				continue
			}
			r := s.xSymbol(m, sym, o)
			last = ""
			if r.function {
				last = r.tail
			}
			if o.wants(r) {
				row(r)
			}
		}
		for in := range t.Inlines() {
			if !match.match(in.Name) {
				continue
			}
			last = ""
			if r := inlineRow(m, in); o.wants(r) {
				row(r)
			}
		}
	}
	o.sort(rows)
	for _, r := range rows {
		if r.function && s.opts.Record {
			// The recorded engine shows the last symbol's text behind all
			// functions once it sorts; people are given the right one.
			r.tail = cmp.Or(last, " ()")
		}
		s.printRow(r, o)
	}
	return nil
}

func (o xOptions) wants(r xRow) bool {
	code := r.function || r.kind == "inline"
	return !(o.given['f'] && !code || o.given['d'] && code || o.sized && (o.size != r.size || r.class == "pub"))
}

func (s *Session) xSymbol(m *windows.Module, sym symbols.Symbol, o xOptions) xRow {
	blank := " "
	if o.given['p'] {
		blank = ""
	}
	r := xRow{
		module: m, addr: m.Base + uint64(sym.RVA), name: sym.Name, class: "pub", kind: "global",
		size: uint64(sym.Size), typeName: "<NoType>", tail: s.symbolTail(m, sym, blank),
	}
	if sym.Kind.IsFunction() || sym.Kind == symbols.ExportedSymbol {
		r.kind, r.function = "func", true
	}
	if sym.Kind.IsPrivate() {
		r.class = "prv"
		if t := sym.Type(); t != nil && t.Kind != types.Function {
			r.typeName = expr.TypeName(t)
		} else {
			r.typeName = "<function>"
		}
	}
	if sym.Kind == symbols.PublicFunction && o.given['p'] {
		// The engine's text for publics breaks without the blank.
		raw := symbolName(symbols.Prototype(sym.Raw))
		r.tail = "(" + raw + "("
	}
	return r
}

// symbolName makes a symbol's name visible. Compilers write a DEL in front of
// some names; it does no harm, and the debugger prints it.
func symbolName(name string) string {
	parts := strings.Split(name, "\x7f")
	for i, p := range parts {
		parts[i] = visible(p)
	}
	return strings.Join(parts, "\x7f")
}

// inlineSize is the size that the debugger shows for every inlined function.
const inlineSize = 8

func inlineRow(m *windows.Module, in symbols.InlineSite) xRow {
	return xRow{
		module: m, addr: m.Base + uint64(in.RVA), name: in.Name, class: "prv", kind: "inline", size: inlineSize,
		typeName: "<function>",
		tail:     fmt.Sprintf(" =  (inline caller) %s!%s+%x", m.Name, in.Caller, in.RVA-in.CallerRVA),
	}
}

// sort orders rows; those that are equal stay as they were found.
func (o xOptions) sort(rows []xRow) {
	var by func(a, b xRow) int
	switch o.order {
	case 'a', 'A':
		by = func(a, b xRow) int { return cmp.Compare(a.addr, b.addr) }
	case 'n', 'N':
		by = func(a, b xRow) int { return cmp.Compare(a.name, b.name) }
	case 'z', 'Z':
		by = func(a, b xRow) int { return cmp.Compare(a.size, b.size) }
	default:
		return
	}
	if o.order < 'a' {
		up := by
		by = func(a, b xRow) int { return up(b, a) }
	}
	slices.SortStableFunc(rows, by)
}

func (s *Session) printRow(r xRow, o xOptions) {
	name := r.name
	if r.module != nil {
		name = r.module.Name + "!" + name
	}
	name = symbolName(name)
	if o.given['q'] {
		name = `@!"` + name + `"`
	}
	place := s.addressText(r.addr)
	if r.place != "" {
		place = fmt.Sprintf("%-17s", r.place)
	}
	switch o.columns {
	case '0':
		s.printf("%s \n", place)
		return
	case '1':
		s.printf("%s\n", name)
		return
	case '2':
		s.printf("%s %s\n", place, name)
		return
	}
	var b strings.Builder
	if o.given['v'] {
		fmt.Fprintf(&b, "%s %-6s ", r.class, r.kind)
	}
	b.WriteString(place)
	if o.given['v'] {
		fmt.Fprintf(&b, " %4x", r.size)
	}
	if o.given['t'] {
		b.WriteString(" " + r.typeName)
	}
	s.printf("%s %s%s\n", b.String(), name, r.tail)
}

// examineLocals lists the variables of the chosen frame.
func (s *Session) examineLocals(ctx context.Context, o xOptions) error {
	locals, err := s.frameLocals(ctx)
	if err != nil {
		return ctx.Err() // a frame without private symbols has none
	}
	match := s.newMatcher(o.pattern)
	var rows []xRow
	for i := range locals {
		if err := ctx.Err(); err != nil {
			return err
		}
		l := &locals[i]
		if !match.match(l.Name) || o.sized && o.size != localSize(l) {
			continue
		}
		rows = append(rows, xRow{
			place: localAddress(l), addr: l.Addr, name: l.Name, class: "prv", kind: localClass(l), size: localSize(l),
			typeName: expr.TypeName(l.Type), tail: " = " + s.localValue(l),
		})
	}
	o.sort(rows)
	for _, r := range rows {
		s.printRow(r, o)
	}
	return nil
}
