package command

import (
	"context"
	"errors"
	"os"
	"strings"

	"kdap/engine/expr"
)

func foreachCommands() []*Command {
	return []*Command{{
		Names: []string{".foreach"}, Args: "[/pS n] [/ps n] (Variable { InCommands }) { OutCommands } | /s (Variable \"text\") | /f (Variable \"file\")",
		Short: "run commands for every token of an output, a text or a file", Run: runForeach,
	}}
}

// foreachOptions are the switches before the bracket.
type foreachOptions struct {
	source    byte // 's', 'f', or 0 for commands
	skipFirst uint64
	skipEach  uint64
}

func runForeach(ctx context.Context, s *Session, c *Call) error {
	a := c.Args
	opt, err := s.foreachOptions(a)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(a.Rest(), "(") {
		return expr.Caret("Syntax error", a.Pos)
	}
	a.Pos++
	a.SkipBlanks()
	name := a.Word()
	a.SkipBlanks()
	if name == "" {
		return expr.Caret("Syntax error", a.Pos)
	}
	input, err := s.foreachInput(ctx, c, opt)
	if err != nil {
		return err
	}
	a.SkipBlanks()
	if !strings.HasPrefix(a.Rest(), ")") {
		return expr.Caret("Syntax error", a.Pos)
	}
	a.Pos++
	body, err := block(a)
	if err != nil {
		return err
	}
	text, err := input()
	if err != nil {
		return err
	}
	skip := opt.skipFirst
	for token := range strings.FieldsFuncSeq(text, isTokenBreak) {
		if skip > 0 {
			skip--
			continue
		}
		skip = opt.skipEach
		var more bool
		err := s.withLocals([]localAlias{{name, token}}, func() (err error) {
			more, err = s.loopBody(ctx, body)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func isTokenBreak(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }

func (s *Session) foreachOptions(a *expr.Cursor) (o foreachOptions, err error) {
	for {
		a.SkipBlanks()
		rest := a.Rest()
		switch {
		case strings.HasPrefix(rest, "/pS"), strings.HasPrefix(rest, "/ps"):
			a.Pos += 3
			a.SkipBlanks()
			start := a.Pos
			a.Word() // one word: a slash behind it begins the next switch
			n, err := s.number(&expr.Cursor{Text: a.Text[:a.Pos], Pos: start})
			if err != nil {
				return o, err
			}
			if rest[2] == 'S' {
				o.skipFirst = n
			} else {
				o.skipEach = n
			}
		case strings.HasPrefix(rest, "/s"), strings.HasPrefix(rest, "/f"):
			a.Pos += 2
			o.source = rest[1]
		case strings.HasPrefix(rest, "/"):
			return o, expr.Caret("Syntax error", a.Pos+1)
		default:
			return o, nil
		}
	}
}

// foreachInput reads what stands behind the variable and returns how to get
// the text: commands run when the whole of the command was understood.
func (s *Session) foreachInput(ctx context.Context, c *Call, o foreachOptions) (func() (string, error), error) {
	a := c.Args
	if o.source == 0 {
		if !strings.HasPrefix(a.Rest(), "{") {
			return nil, expr.Caret("Syntax error", a.Pos)
		}
		in, err := block(a)
		if err != nil {
			return nil, err
		}
		return func() (string, error) {
			out, err := s.capture(func() error { return s.runBlock(ctx, in) })
			if errors.Is(err, ErrFailed) {
				return "", ErrFailed // without a text, as WinDbg
			}
			return out, err
		}, nil
	}
	if !strings.HasPrefix(a.Rest(), `"`) {
		return nil, expr.Caret("Quotes required", a.Pos)
	}
	n := strings.IndexByte(a.Rest()[1:], '"')
	if n < 0 {
		return nil, expr.Caret("Trailing quote missing", len(a.Text))
	}
	text := a.Rest()[1 : 1+n]
	a.Pos += n + 2
	if o.source == 's' {
		return func() (string, error) { return text, nil }, nil
	}
	return func() (string, error) {
		if !s.opts.ScriptFiles {
			return "", Failf("%s", filesOff)
		}
		b, err := readSmallFile(text)
		if err != nil {
			code, words := win32Error(err)
			return "", Failf("Unable to read file content, Win32 error 0n%d\n    \"%s\"\n", code, words)
		}
		return string(b), nil
	}, nil
}

// filesOff is what a session that must not read files says.
const filesOff = "Reading files is off in this session; kdap run and kdap shell allow it."

// maxFile bounds files that scripts read.
const maxFile = 16 << 20

// errTooLong says that a file is longer than maxFile.
var errTooLong = errors.New("file too long")

func readSmallFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, os.ErrPermission // a pipe would never end
	case st.Size() > maxFile:
		return nil, errTooLong
	}
	return os.ReadFile(path)
}
