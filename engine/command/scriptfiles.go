package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kdap/engine/expr"
)

func scriptCommands() []*Command {
	word := func(name, short string, how scriptForm) *Command {
		return &Command{Names: []string{name}, Args: how.args(), Short: short, Run: func(ctx context.Context, s *Session, c *Call) error {
			return s.runScript(ctx, c, how)
		}}
	}
	return []*Command{
		word("$<", "run a command file line by line; its name is the rest of the line", scriptForm{wholeLine: true}),
		word("$><", "run a command file as one block; its name is the rest of the line", scriptForm{wholeLine: true, block: true}),
		word("$$<", "run a command file line by line", scriptForm{}),
		word("$$><", "run a command file as one block", scriptForm{block: true}),
		word("$$>a<", "run a command file as one block, with arguments", scriptForm{block: true, arguments: true}),
		{Names: []string{"$>a<"}, Short: "see $$>a<", Run: func(_ context.Context, _ *Session, c *Call) error {
			return expr.Caret("Arguments cannot be specified with whole-command filenames", c.start+2)
		}},
		{Names: []string{"$$"}, Args: "text", Short: "a comment up to a semicolon", Run: func(_ context.Context, _ *Session, c *Call) error {
			skipToSemicolon(c.Args)
			return nil
		}},
		{Names: []string{"*"}, Args: "text", Short: "a comment up to the end of the line", Run: func(_ context.Context, _ *Session, c *Call) error {
			restOf(c.Args)
			return nil
		}},
	}
}

// A scriptForm is one of the words that run a command file.
type scriptForm struct {
	wholeLine bool // the name is the rest of the line, as it stands
	block     bool // the lines become one block
	arguments bool
}

func (f scriptForm) args() string {
	if f.arguments {
		return "File [Arguments]"
	}
	return "File"
}

func (s *Session) runScript(ctx context.Context, c *Call, form scriptForm) error {
	a := c.Args
	var name string
	if form.wholeLine {
		name = restOf(a)
	} else {
		a.SkipBlanks()
		switch {
		case a.Done():
			return expr.Caret("Non-empty string required", a.Pos-1)
		case a.Text[a.Pos] == '"':
			var err error
			if name, err = quoted(a); err != nil {
				return err
			}
		case form.arguments:
			name = a.Word()
		default:
			name = strings.TrimRight(upToSemicolon(a), " \t")
		}
	}
	var args []localAlias
	if form.arguments {
		for !a.Done() {
			word, err := scriptArgument(a)
			if err != nil {
				return err
			}
			args = append(args, localAlias{fmt.Sprintf("$arg%d", len(args)+1), word})
		}
	}
	if !s.opts.ScriptFiles {
		return Failf("%s", filesOff)
	}
	text, err := readSmallFile(name)
	if err == nil && len(text) == 0 && form.block {
		err = errEmptyFile
	}
	if err != nil {
		if form.wholeLine && (name == "" || name[0] == ' ') {
			err = errNoPath
		}
		code, words := win32Error(err)
		s.printf("Command file execution failed, Win32 error 0n%d\n    \"%s\"\n", code, words)
		s.interp.failed = true // the line goes on
		return nil
	}
	lines := strings.ReplaceAll(string(text), "\r\n", "\n")
	if form.block {
		err := s.withLocals(args, func() error { return s.runBlock(ctx, strings.ReplaceAll(lines, "\n", ";")) })
		if errors.Is(err, ErrFailed) { // the block has ended, the line goes on
			s.interp.failed = true
			return nil
		}
		return err
	}
	return s.runLines(ctx, lines)
}

// scriptArgument takes an argument for a command file: a word or a quoted text.
func scriptArgument(a *expr.Cursor) (string, error) {
	if a.Text[a.Pos] != '"' {
		return a.Word(), nil
	}
	n := strings.IndexByte(a.Rest()[1:], '"')
	if n < 0 {
		return "", expr.Caret("Trailing quote missing", len(a.Text))
	}
	text := a.Rest()[1 : 1+n]
	a.Pos += n + 2
	return text, nil
}

// runLines runs a command file line by line: each is shown with the prompt,
// and an error ends only its line.
func (s *Session) runLines(ctx context.Context, lines string) error {
	outer := s.interp.inFile
	defer func() { s.interp.inFile = outer }()
	for line := range strings.SplitSeq(lines, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		s.printf("%s%s\n", s.Prompt(), line)
		s.interp.inFile = true
		switch err := s.runBlock(ctx, line); {
		case errors.Is(err, ErrFailed):
			s.interp.failed = true
		case err != nil:
			return err
		}
	}
	return nil
}

// Errors of files that have a number of their own on Windows.
var (
	errEmptyFile = errors.New("empty file")
	errNoPath    = errors.New("no such folder")
)

// win32Error gives the number and words that Windows has for an error of a file.
func win32Error(err error) (code int, words string) {
	var path *fs.PathError
	switch {
	case errors.Is(err, errEmptyFile):
		return 87, "The parameter is incorrect."
	case errors.Is(err, errNoPath):
		return 3, "The system cannot find the path specified."
	case errors.Is(err, errTooLong):
		return 223, "The file size exceeds the limit allowed and cannot be saved."
	case errors.Is(err, fs.ErrPermission):
		return 5, "Access is denied."
	case errors.Is(err, fs.ErrNotExist) && errors.As(err, &path):
		if _, serr := os.Stat(filepath.Dir(path.Path)); serr != nil && !strings.Contains(path.Path, `\`) {
			return 3, "The system cannot find the path specified."
		}
	}
	return 2, "The system cannot find the file specified."
}
