package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"kdap/engine/expr"
)

// An Output is where a session's answers and notes go.
type Output struct {
	Out  io.Writer
	Note func(text string) // one sentence, without a line end; may be nil
}

// Execute runs one command line. Output is written as it is made. The error
// reports that a command failed; its text was written to the output already,
// in the debugger's words.
func (s *Session) Execute(ctx context.Context, line string, o Output) error {
	s.ctx, s.out, s.note = ctx, o.Out, o.Note
	if s.note == nil {
		s.note = func(string) {}
	}
	cur := expr.NewCursor(line)
	for {
		cur.SkipBlanks()
		if cur.Pos >= len(line) {
			return nil
		}
		if line[cur.Pos] == ';' {
			cur.Pos++
			continue
		}
		start := cur.Pos
		if err := s.runOne(ctx, cur); err != nil {
			s.printError(err, line, start)
			return ErrFailed
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// runOne runs the command at the cursor.
func (s *Session) runOne(ctx context.Context, cur *expr.Cursor) error {
	rest := cur.Rest()
	var c *Command
	var name string
	if rest[0] == '.' || rest[0] == '!' {
		name = rest
		if i := strings.IndexAny(rest, " \t;"); i >= 0 {
			name = rest[:i]
		}
		found, ok := lookupWord(name)
		if i := strings.IndexAny(name[1:], "+-"); !ok && i >= 0 {
			// .f+2: a sign ends the name.
			name = name[:i+2]
			found, ok = lookupWord(name)
		}
		if !ok {
			return s.unknown(cur, name)
		}
		c = found
	} else {
		found, n, ok := lookupNative(rest)
		if !ok {
			return s.unknown(cur, rest)
		}
		c, name = found, n
	}
	cur.Pos += len(name)
	if err := c.Run(ctx, s, &Call{Name: name, Args: cur}); err != nil {
		return err
	}
	return cur.Extra()
}

func (s *Session) unknown(cur *expr.Cursor, name string) error {
	switch name[0] {
	case '!':
		return Failf("%s is not extension gallery command\nNo export %s found\n", name[1:], name[1:])
	case '.':
		return expr.Caret("Syntax error", cur.Pos+len(name))
	}
	return expr.Caret("Syntax error", cur.Pos+1)
}

// printError writes an error in the form it has.
func (s *Session) printError(err error, line string, start int) {
	var e *expr.Error
	var f *Failure
	switch {
	case errors.As(err, &e) && e.Form == expr.CaretForm:
		end := len(line)
		if i := strings.IndexByte(line[min(e.Pos, len(line)):], ';'); i >= 0 {
			end = min(e.Pos, len(line)) + i
		}
		s.printf("%*s^ %s in '%s'\n", len(s.Prompt())+e.Pos-start, "", e.Text, line[start:end])
	case errors.As(err, &e):
		s.printf("%s\n", e.Error())
	case errors.As(err, &f):
		s.printf("%s", f.Text)
		if !strings.HasSuffix(f.Text, "\n") {
			s.printf("\n")
		}
	case errors.Is(err, ErrFailed), errors.Is(err, context.Canceled):
	default:
		fmt.Fprintf(s.out, "%v\n", err)
	}
}
