package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/memory"
	"kdap/engine/types"
)

func listCommands() []*Command {
	return []*Command{
		{
			Names: []string{"!list"}, Args: `-t Type.Field -x "Commands" [-a "Arguments"] [-e] [-m Max] Start`,
			Short: "run commands for every element of a list, @$extret", Run: runList,
		},
		{Names: []string{"!validatelist"}, Args: "Address", Short: "check the pointers of a linked list", Run: runValidateList},
	}
}

// A listWalk is what !list was asked for.
type listWalk struct {
	link      string // Type.Field; "" for a pointer at the element's start
	commands  string
	arguments *string // -a: behind the commands; nil for the element's address
	echo      bool
	most      uint64
	start     uint64
}

// maxListElements is where a walk ends that was given no -m.
const maxListElements = 1 << 20

func runList(ctx context.Context, s *Session, c *Call) error {
	w, err := s.listWalk(c)
	if err != nil {
		return err
	}
	next, err := s.listStep(w.link)
	if err != nil {
		return err
	}
	defer func(v uint64) { s.pseudo.extret = v }(s.pseudo.extret)
	s.interp.loops++
	defer func() { s.interp.loops-- }()
	seen := map[uint64]bool{}
	for at := w.start; at != 0 && !seen[at] && uint64(len(seen)) < w.most; {
		if err := ctx.Err(); err != nil {
			return err
		}
		seen[at] = true
		after, nextErr := next(at)
		if nextErr != nil {
			s.notef("%v", nextErr)
			return nil // unreadable memory ends a list
		}
		s.pseudo.extret = at
		line := w.commands
		if w.arguments != nil {
			line += " " + *w.arguments
		} else if line == "" {
			line = fmt.Sprintf("dp 0x%x L4", at)
		}
		if w.echo {
			s.printf("%s\n", line)
		}
		if more, err := s.objectEnded(s.runBlock(ctx, line)); err != nil || !more {
			return err
		}
		s.printf("\n")
		at = after
	}
	return nil
}

// listWalk reads the arguments; all of them may stand in quotes, with \" for
// the quotes inside.
func (s *Session) listWalk(c *Call) (w listWalk, err error) {
	a := c.Args
	a.SkipBlanks()
	text := a.Text[a.Pos:max(c.end, a.Pos)]
	a.Pos = max(c.end, a.Pos)
	if t := strings.TrimSpace(text); len(t) > 2 && t[0] == '"' && t[len(t)-1] == '"' && strings.HasPrefix(strings.TrimSpace(t[1:]), "-") {
		text = strings.ReplaceAll(t[1:len(t)-1], `\"`, `"`)
	}
	w.most = maxListElements
	cur := expr.NewCursor(text)
	for {
		cur.SkipBlanks()
		if !strings.HasPrefix(cur.Rest(), "-") {
			break
		}
		switch option := cur.Word(); option {
		case "-t":
			w.link = cur.Word()
		case "-x":
			if w.commands, err = listText(cur); err != nil {
				return w, err
			}
		case "-a":
			arguments, err := listText(cur)
			if err != nil {
				return w, err
			}
			w.arguments = &arguments
		case "-e":
			w.echo = true
		case "-m":
			if w.most, err = s.evaluate(cur.Word()); err != nil {
				return w, err
			}
			w.most = min(w.most, maxListElements)
		default:
			return w, Failf("!list: unknown option %s", option)
		}
	}
	if cur.Pos >= len(text) {
		return w, Failf("!list: Missing start address")
	}
	w.start, err = s.number(cur)
	return w, err
}

// listText takes a text in quotes, in which \" is a quote, or a word.
func listText(cur *expr.Cursor) (string, error) {
	cur.SkipBlanks()
	if !strings.HasPrefix(cur.Rest(), `"`) {
		return cur.Word(), nil
	}
	end := closingQuote(cur.Text, cur.Pos+1)
	if end < 0 {
		return "", expr.Caret("Trailing quote missing", len(cur.Text))
	}
	text := strings.ReplaceAll(cur.Text[cur.Pos+1:end], `\"`, `"`)
	cur.Pos = end + 1
	return text, nil
}

// listStep returns what finds the element behind one. The link is a field that
// points to the next element or, when it lies in a _LIST_ENTRY, to the
// _LIST_ENTRY in it.
func (s *Session) listStep(link string) (func(at uint64) (uint64, error), error) {
	space := s.space()
	if link == "" {
		return func(at uint64) (uint64, error) { return memory.ReadUint(space, at, pointerSize) }, nil
	}
	module, name, qualified := strings.Cut(link, "!")
	if !qualified {
		module, name = "", link
	}
	name, path, ok := strings.Cut(name, ".")
	if !ok {
		return nil, Failf("!list: Type.Field expected, %s given", link)
	}
	t, found := env{s, s.ctx}.Type(module, name)
	if !found {
		return nil, Failf("Cannot find type %s", link)
	}
	// Where the link is, without reading: fields of a type are where they are.
	field := types.NewObject(space, t, 0).Field(path)
	if err := field.Err(); err != nil {
		return nil, Failf("Cannot find field %s", link)
	}
	offset, back := field.Addr(), uint64(0)
	if entry, _, nested := cutLast(path, "."); nested {
		if o := types.NewObject(space, t, 0).Field(entry); o.Err() == nil && o.Type().Name == "_LIST_ENTRY" {
			back = o.Addr()
		}
	}
	return func(at uint64) (uint64, error) {
		v, err := memory.ReadUint(space, at+offset, pointerSize)
		if v == 0 {
			return 0, err
		}
		return v - back, err
	}, nil
}

// cutLast cuts at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// runValidateList follows the Flink pointers and checks each Blink.
func runValidateList(ctx context.Context, s *Session, c *Call) error {
	head, err := s.address(c.Args)
	if err != nil {
		return err
	}
	space := s.space()
	seen := map[uint64]bool{}
	for at := head; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, err := memory.ReadUint(space, at, pointerSize)
		if err != nil {
			return Failf("Cannot read Flink at %016x after %d entries", at, len(seen))
		}
		back, err := memory.ReadUint(space, next+pointerSize, pointerSize)
		switch {
		case err != nil:
			return Failf("Cannot read Blink at %016x after %d entries", next+pointerSize, len(seen))
		case back != at:
			return Failf("Blink at address %016x is %016x, expected %016x", next+pointerSize, back, at)
		case next == head:
			s.printf("Found list end after %d entries\n", len(seen))
			return nil
		case seen[next] || len(seen) >= maxListElements:
			return Failf("The list at %016x does not come back to its head after %d entries", head, len(seen))
		}
		seen[next] = true
		at = next
	}
}
