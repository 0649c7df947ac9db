package command

import (
	"context"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/memory"
)

func displayCommands() []*Command {
	run := func(ctx context.Context, s *Session, c *Call) error { return s.runDisplay(ctx, c) }
	family := func(args, short string, names ...string) *Command {
		return &Command{Names: names, Args: args, Short: short, Run: run}
	}
	const rows = "[/c Width] [/p] [Range]"
	return []*Command{
		family(rows, "show memory in the form that was used last", "d"),
		family(rows, "show memory as bytes, words, dwords, qwords or pointers", "db", "dw", "dd", "dc", "dq", "dp"),
		family(rows, "show memory as floats and, with capital D, doubles", "df"),
		family(rows, "show memory as bits", "dy", "dyb", "dyd"),
		family(rows, "show a string of characters", "da", "du"),
		family("[/c Width] [Address]", "show the string of a STRING or, with capital S, a UNICODE_STRING", "ds"),
		family(rows, "show pointers with their symbols", "dps", "dds", "dqs"),
		family(rows, "show what pointers point to", "dpp", "dpa", "dpu", "dda", "ddp", "ddu", "dqa", "dqp", "dqu"),
		family("Address [MaxCount [Size]]", "show the nodes of a linked list", "dl", "dlb"),
	}
}

// display is what the d commands remember.
type display struct {
	form  string // letters of the command that plain d repeats; "" is db
	next  uint64 // where a command without an address goes on
	moved bool   // next was set; before that it is the instruction pointer

	physical uint64 // where !db and its like go on
}

// displayed notes the commands outside the d family that a plain d repeats.
func (s *Session) displayed(name string) {
	switch name = strings.ToLower(name); name {
	case "dt", "dv", "dx":
		s.display.form = name
	}
}

// A displayCall is one use of a d command.
type displayCall struct {
	form     string // normalised letters: "db", "dD", "dps", "dpS"
	start    int    // offset of the command in the text
	width    uint64 // /c; 0 without
	physical bool   // /p
	space    memory.Space
}

// maxUnlimited is what L? may ask a display for, in bytes.
const maxUnlimited = 1<<32 - 1

func (s *Session) runDisplay(ctx context.Context, c *Call) error {
	d := displayCall{start: c.Args.Pos - len(c.Name)}
	form, n := displayForm(c.Args.Text, d.start)
	c.Args.Pos = d.start + n
	if d.form = form; form == "d" {
		if d.form = s.display.form; d.form == "" {
			d.form = "db"
		}
		if other, name, ok := s.debuggee.vocabulary().nativeName(d.form); ok && (name == "dt" || name == "dv" || name == "dx") {
			return other.Run(ctx, s, &Call{Name: name, Args: c.Args})
		}
	}
	s.display.form = d.form
	if d.form == "dy" {
		return expr.Caret("Syntax error", c.Args.Pos)
	}
	if d.form == "dl" || d.form == "dlb" {
		return s.displayList(ctx, c.Args, d.form == "dlb")
	}
	if err := s.displayOptions(c.Args, &d); err != nil {
		return err
	}
	if d.form == "ds" || d.form == "dS" {
		return s.displayCounted(c.Args, d)
	}
	if d.form == "da" || d.form == "du" {
		return s.displayString(ctx, c.Args, d)
	}
	if len(d.form) == 3 && d.form[1] != 'y' {
		return s.displayPointers(ctx, c.Args, d)
	}
	return s.displayRows(ctx, c.Args, d)
}

// displayForm reads the letters of a d command at start: their normal
// spelling and how many they are. A letter that is no form belongs to the
// address ("dnt", "dz"), and the form is the last one. dy without b or d is a
// form that cannot be shown, and stays so until the next form.
func displayForm(text string, start int) (form string, n int) {
	letter := func(i int) byte {
		if start+i < len(text) {
			return text[start+i]
		}
		return 0
	}
	lower := func(b byte) byte {
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		return b
	}
	b, third := letter(1), letter(2)
	switch {
	case b == 'D' || b == 'W' || b == 'S' || b == 's':
		return "d" + string(b), 2
	case lower(b) == 'y':
		if third == 'b' || third == 'd' {
			return "dy" + string(third), 3
		}
		return "dy", 2
	case lower(b) == 'l':
		if third == 'b' {
			return "dlb", 3
		}
		return "dl", 2
	case b == 'd' || lower(b) == 'q' || lower(b) == 'p':
		form = "d" + string(lower(b))
		switch lower(third) {
		case 's':
			return form + string(third), 3
		case 'a', 'u', 'p':
			return form + string(lower(third)), 3
		}
		return form, 2
	case b != 0 && strings.IndexByte("abcfuw", lower(b)) >= 0:
		return "d" + string(lower(b)), 2
	}
	return "d", 1
}

// withText tells the forms that show characters: their rows are not wider than
// maxTextWidth.
func withText(form string) bool { return strings.Contains("db dc dW da du ds dS", form) }

const (
	maxTextWidth = 0x100
	maxWidth     = 0x10000 // more cells in a row than anybody asks for
)

// displayOptions reads /c and /p and sets up the memory to show.
func (s *Session) displayOptions(c *expr.Cursor, d *displayCall) error {
	d.space = s.space()
	for {
		c.SkipBlanks()
		rest := c.Rest()
		if len(rest) < 2 || rest[0] != '/' {
			return nil
		}
		c.Pos += 2
		switch rest[1] {
		case 'c':
			if err := s.displayWidth(c, d); err != nil {
				return err
			}
		case 'p':
			d.physical = true
			d.space = memory.PhysicalSpace{Phys: s.env().Physical()}
			if strings.HasPrefix(c.Rest(), "[") {
				if err := s.cacheAttribute(c, d); err != nil {
					return err
				}
			}
		default:
			s.printf("Unknown option '%c'\n", rest[1])
		}
	}
}

func (s *Session) displayWidth(c *expr.Cursor, d *displayCall) error {
	c.SkipBlanks()
	named := c.Rest() != "" && (c.Rest()[0] < '0' || c.Rest()[0] > '9')
	width, err := expr.Term(s.env(), c)
	if err != nil {
		return err
	}
	if width == 0 || width > maxTextWidth && withText(d.form) {
		if named {
			c.SkipBlanks() // the blanks behind a name belong to it
		}
		return expr.Caret("Illegal column count", c.Pos)
	}
	d.width = min(width, maxWidth)
	return nil
}

// cacheAttribute reads the [c], [uc] or [wc] behind /p. A dump holds no memory
// under such an attribute.
func (s *Session) cacheAttribute(c *expr.Cursor, d *displayCall) error {
	word, _, closed := strings.Cut(c.Rest()[1:], "]")
	switch {
	case closed && (word == "c" || word == "uc" || word == "wc"):
		c.Pos += len(word) + 2
		d.space = memory.PhysicalSpace{}
		return nil
	}
	command := c.Text[d.start:]
	if i := strings.IndexByte(command, ';'); i >= 0 {
		command = command[:i]
	}
	return Failf("%*s^ Unknown physical memory caching attribute\n '%s'", s.promptWidth()+c.Pos+1-d.start, "", command)
}

// displayRange reads the range of a display, or goes on where the last one ended.
func (s *Session) displayRange(c *expr.Cursor, size, count uint64) (expr.Range, error) {
	if c.Done() {
		return expr.Range{Addr: s.displayNext(), Count: count}, nil
	}
	r, err := expr.ReadRange(s.env(), c, expr.RangeSpec{ElemSize: size, Default: count, MaxUnlimited: maxUnlimited})
	if err != nil {
		if r.Placed {
			s.setDisplayNext(r.Addr)
		}
		return r, err
	}
	return r, nil
}

func (s *Session) displayNext() uint64 {
	if !s.display.moved {
		if r, err := s.env().Register("$ip"); err == nil {
			return r.Bits
		}
	}
	return s.display.next
}

func (s *Session) setDisplayNext(va uint64) { s.display.next, s.display.moved = va, true }
