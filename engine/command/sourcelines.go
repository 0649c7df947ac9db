package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/source"
)

func sourceCommands() []*Command {
	return []*Command{
		cmdListSource(), cmdListSourceAt(), cmdCurrentSource(), cmdLoadSource(), cmdSourceSettings(),
		cmdSourceOption("l+", true), cmdSourceOption("l-", false),
	}
}

// sourceState is the source file that ls shows, and how much the commands show.
type sourceState struct {
	file  *source.File
	lines []string
	next  int // the line that ls goes on with

	loaded []string // names of the files that were shown, the latest last

	before, after int // r with l+s: lines before the current one, and from it on
	listBefore    int // lsa: lines before the address's own
	listCount     int // ls, lsa: lines
	options       uint32

	maps []source.Mapping // names of the build machine, and where the files are here
}

// newSourceState is how a session starts.
func newSourceState() sourceState {
	return sourceState{after: 1, listBefore: 4, listCount: 10}
}

// listSource prints lines of the current file from first on and marks one of
// them; the next list goes on behind.
func (s *Session) listSource(ctx context.Context, first, count, mark int) error {
	st := &s.source
	for n := max(first, 1); n < first+count && n <= len(st.lines); n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		prefix := " "
		if n == mark {
			prefix = ">"
		}
		s.printf("%s%5d: %s\n", prefix, n, visible(strings.ReplaceAll(st.lines[n-1], "\t", "        ")))
		st.next = n + 1
	}
	return nil
}

// decimalEnv reads numbers as decimal ones, whatever the base is: lines are
// counted so.
type decimalEnv struct{ expr.Env }

func (decimalEnv) Radix() int { return 10 }

// maxLine bounds what line numbers and counts may be.
const maxLine = 1 << 30

// line reads a line number, or takes the default where none stands.
func (s *Session) line(c *expr.Cursor, missing int) (int, error) {
	if c.Done() || c.Rest()[0] == ',' {
		return missing, nil
	}
	v, err := expr.Default(decimalEnv{s.env()}, c)
	if err != nil {
		return 0, err
	}
	return int(min(max(int64(v), -maxLine), maxLine)), nil
}

func cmdListSource() *Command {
	return &Command{
		Names: []string{"ls"}, Args: "[Line[,Count]]", Short: "show lines of the current source file",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			first, err := s.line(c.Args, s.source.next)
			if err != nil {
				return err
			}
			count := s.source.listCount
			if c.Args.Accept(",") {
				if count, err = s.line(c.Args, count); err != nil {
					return err
				}
			}
			if s.source.file == nil {
				s.printf("No current source file\n")
				return nil
			}
			return s.listSource(ctx, first, count, 0)
		},
	}
}

func cmdListSourceAt() *Command {
	return &Command{
		Names: []string{"lsa"}, Args: "Address[,First[,Count]]", Short: "show the source lines around an address",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			va, err := expr.Evaluate(s.env(), c.Args, expr.DefaultKind, "Address expression")
			if err != nil {
				return err
			}
			first, count := -s.source.listBefore, s.source.listCount
			c.Args.SkipBlanks()
			if c.Args.Accept(",") {
				if first, err = s.line(c.Args, first); err != nil {
					return err
				}
			}
			if c.Args.Accept(",") {
				if count, err = s.line(c.Args, count); err != nil {
					return err
				}
			}
			p, ok := s.place(ctx, va)
			if !ok || !s.sourceOf(ctx, p) {
				return ctx.Err()
			}
			return s.listSource(ctx, int(p.Line)+first, count, int(p.Line))
		},
	}
}

func cmdCurrentSource() *Command {
	return &Command{
		Names: []string{"lsc"}, Short: "tell which source file and line ls goes on with",
		Run: func(_ context.Context, s *Session, _ *Call) error {
			if s.source.file == nil {
				s.printf("No current source file\n")
				return nil
			}
			s.printf("Current: %s(%d)\n", visible(s.source.file.Name), s.source.next)
			return nil
		},
	}
}

func cmdLoadSource() *Command {
	return &Command{
		Names: []string{"lsf"}, Args: "File", Short: "make a source file the current one",
		Run: func(_ context.Context, s *Session, c *Call) error {
			c.Args.Accept("-")
			if c.Args.Done() {
				return expr.Caret("Syntax error", c.Args.Pos)
			}
			name := c.Args.Rest()
			if i := strings.IndexByte(name, ';'); i >= 0 {
				name = name[:i]
			}
			c.Args.Pos += len(name)
			name = strings.TrimSpace(name)
			places := s.tracedPlaces()
			file, err := places.Open(name)
			if err == nil {
				err = s.openSource(file)
			}
			if err != nil {
				s.printf("No source found for '%s'\nUnable to load '%s'\n\n", name, name)
				return nil
			}
			s.printf("%s\n", visible(file.Path))
			return nil
		},
	}
}

func cmdSourceSettings() *Command {
	return &Command{
		Names: []string{"lsp"}, Args: "[-a] [Lines | Before After]", Short: "choose how many source lines r, lsa and ls show",
		Run: func(_ context.Context, s *Session, c *Call) error {
			all := false
			if c.Peek() == "-a" || c.Peek() == "/a" {
				c.Word()
				all = true
			}
			st := &s.source
			if !c.Args.Done() {
				total, err := s.number(c.Args)
				if err != nil {
					return err
				}
				before := total / 2
				after := total - before
				if !c.Args.Done() {
					before = total
					if after, err = s.number(c.Args); err != nil {
						return err
					}
				}
				st.before, st.after = int(min(before, maxLine)), int(min(after, maxLine))
				if all {
					st.listBefore, st.listCount = st.before, st.before+st.after
				}
			}
			if st.options&sourceAtPrompt == 0 {
				s.printf("WARNING: Source line display is disabled\n")
			}
			s.printf("At the prompt, display %d source lines before and %d after\n", st.before, st.after)
			if all {
				s.printf("For lsa commands, display %d source lines before\n", st.listBefore)
				s.printf("For ls and lsa commands, display %d source lines\n", st.listCount)
			}
			return nil
		},
	}
}

// Source options, as l+ numbers them.
const (
	stepByLine     = 1
	lineAtPrompt   = 2
	sourceAtPrompt = 4
	onlySource     = 8
)

var sourceOptionNames = []struct {
	bit    uint32
	letter byte
	text   string
}{
	{stepByLine, 't', "Step/trace by source line"},
	{lineAtPrompt, 'l', "List source line at prompt"},
	{sourceAtPrompt, 's', "List source code at prompt"},
	{onlySource, 'o', "Only show source code at prompt"},
}

func cmdSourceOption(name string, on bool) *Command {
	short := "show a source line or code with the registers"
	if !on {
		short = "stop what l+ began"
	}
	return &Command{
		Names: []string{name}, Args: "[t | l | s | o | *]", Short: short,
		Run: func(_ context.Context, s *Session, c *Call) error {
			rest := c.Args.Rest()
			if rest != "" && !isDelimiter(rest[0]) {
				bits := uint32(0)
				for _, o := range sourceOptionNames {
					if o.letter == rest[0]|0x20 {
						bits = o.bit
					}
				}
				if rest[0] == '*' {
					bits = ^uint32(0)
				}
				if bits == 0 {
					return expr.Caret("Syntax error", c.Args.Pos)
				}
				c.Args.Pos++
				if s.source.options &^= bits; on {
					s.source.options |= bits
				}
			}
			s.printf("Source options are %x:\n", s.source.options)
			for _, o := range sourceOptionNames {
				if s.source.options&o.bit != 0 {
					s.printf("    %2x/%c - %s\n", o.bit, o.letter, o.text)
				}
			}
			if s.source.options == 0 {
				s.printf("    None\n")
			}
			return nil
		},
	}
}

// printPromptSource prints what l+ asks for in front of the current
// instruction.
func (s *Session) printPromptSource(ctx context.Context, va uint64) {
	if s.source.options&(sourceAtPrompt|lineAtPrompt) == 0 || !s.settings.lines {
		return
	}
	p, ok := s.place(ctx, va)
	if !ok || p.File == "" {
		return
	}
	if s.source.options&sourceAtPrompt == 0 {
		s.printf("%s(%d)\n", visible(p.File), p.Line)
		return
	}
	kept := s.source
	if s.sourceOf(ctx, p) {
		// A cancel ends the command that this belongs to.
		_ = s.listSource(ctx, int(p.Line)-kept.before, kept.before+kept.after, int(p.Line))
	}
	s.source.file, s.source.lines, s.source.next = kept.file, kept.lines, kept.next
}

// sourceLineAddress returns the address of a line of a source file, or of the
// next one that has code. Lines that have several pieces of code are ambiguous.
func (s *Session) sourceLineAddress(ctx context.Context, module, file string, line int) (uint64, error) {
	if !s.settings.lines {
		s.printf("%s", strings.Repeat("WARNING: Line information loading disabled\n", 3))
		return 0, expr.ErrNotFound
	}
	var found []uint64
	best := uint32(0)
	for _, m := range s.modulesFor(ctx, module) {
		f := s.symbolsOf(ctx, m).PDB()
		if f == nil {
			continue
		}
		for l := range f.LinesOf(file) {
			if ctx.Err() != nil {
				return 0, ctx.Err()
			}
			va := m.Base + uint64(l.RVA)
			switch {
			case int64(l.Number) < int64(line):
			case len(found) == 0 || l.Number < best:
				best, found = l.Number, []uint64{va}
			case l.Number == best && found[0] != va:
				found = append(found, va)
			}
		}
	}
	switch len(found) {
	case 0:
		return 0, fmt.Errorf("no code at or after line %d of %s: %w", line, file, expr.ErrNotFound)
	case 1:
		return found[0], nil
	}
	return 0, expr.ErrAmbiguous
}
