package command

import (
	"context"
	"errors"
	"strings"

	"kdap/engine/expr"
)

func controlCommands() []*Command {
	return []*Command{
		{Names: []string{".if"}, Args: "(Condition) { Commands } [.elsif (Condition) { … }] [.else { … }]", Short: "run commands if a condition holds", Run: runIf},
		{Names: []string{".else"}, Short: "see .if", Run: misplaced},
		{Names: []string{".elsif"}, Short: "see .if", Run: misplaced},
		{Names: []string{".while"}, Args: "(Condition) { Commands }", Short: "run commands while a condition holds", Run: runWhile},
		{Names: []string{".for"}, Args: "(Command ; Condition ; Command) { Commands }", Short: "run commands in a counted loop", Run: runFor},
		{Names: []string{".do"}, Args: "{ Commands } (Condition)", Short: "run commands, and again while a condition holds", Run: runDo},
		{Names: []string{".block"}, Args: "{ Commands }", Short: "run commands with aliases set before them replaced", Run: runBlockWord},
		{Names: []string{".catch"}, Args: "{ Commands }", Short: "run commands; an error ends only the block", Run: runCatch},
		{Names: []string{".break"}, Short: "leave the loop", Run: func(_ context.Context, s *Session, c *Call) error {
			return s.leave(c, s.interp.loops, ".break outside of scope error", errBreak)
		}},
		{Names: []string{".continue"}, Short: "go on with the loop's next round", Run: func(_ context.Context, s *Session, c *Call) error {
			return s.leave(c, s.interp.loops, ".continue outside of scope error", errContinue)
		}},
		{Names: []string{".leave"}, Short: "leave the .catch block", Run: func(_ context.Context, s *Session, c *Call) error {
			return s.leave(c, s.interp.catches, ".leave outside of .catch error", errLeave)
		}},
		{Names: []string{"j"}, Args: "Condition 'Commands' ; 'Commands'", Short: "run one of two commands", Run: runJ},
		{Names: []string{"z"}, Args: "(Condition)", Short: "run the line before it again while a condition holds", Run: runZ},
	}
}

func misplaced(_ context.Context, _ *Session, c *Call) error {
	return expr.Caret("Syntax error", c.Args.Pos)
}

func (s *Session) leave(c *Call, around int, outside string, how error) error {
	if around == 0 {
		return expr.Caret(outside, c.Args.Pos)
	}
	return how
}

// block takes a block, "{ … }", and returns the text between the braces.
// Braces in double quotes do not count, unless the block would not end then.
// Command files that are run as a block have semicolons for their line ends:
// those before the brace are passed over.
func block(a *expr.Cursor) (string, error) {
	a.SkipBlanks()
	p := skipCommandEnds(a.Text, a.Pos)
	if p >= len(a.Text) || a.Text[p] != '{' {
		return "", expr.Caret("Syntax error", a.Pos)
	}
	end := closing(a.Text, p+1, braces)
	if end < 0 {
		end = closing(a.Text, p+1, bracesAnywhere)
	}
	if end < 0 {
		return "", expr.Caret("Syntax error", p+1)
	}
	a.Pos = end + 1
	return a.Text[p+1 : end], nil
}

// skipCommandEnds passes over semicolons, blanks and line ends.
func skipCommandEnds(text string, pos int) int {
	for pos < len(text) && strings.IndexByte("; \t\r\n", text[pos]) >= 0 {
		pos++
	}
	return pos
}

// A pairing is how two characters enclose text: which, and what double quotes
// mean between them.
type pairing struct {
	open, close byte
	quotes      bool // in double quotes the characters do not count
	escapes     bool // there a backslash takes the next character's meaning
}

var (
	braces         = pairing{open: '{', close: '}', quotes: true, escapes: true}
	bracesAnywhere = pairing{open: '{', close: '}'}
	brackets       = pairing{open: '(', close: ')', quotes: true}
)

// closing finds the character that closes what was opened before pos, -1
// without one.
func closing(text string, pos int, pair pairing) int {
	depth, quoted := 0, false
	for ; pos < len(text); pos++ {
		switch b := text[pos]; {
		case b == '"' && pair.quotes:
			quoted = !quoted
		case b == '\\' && quoted && pair.escapes:
			pos++
		case quoted:
		case b == pair.open:
			depth++
		case b == pair.close:
			if depth == 0 {
				return pos
			}
			depth--
		}
	}
	return -1
}

func runIf(ctx context.Context, s *Session, c *Call) error {
	for taken := false; ; {
		holds := false
		if taken {
			skipCondition(c.Args) // it is not evaluated
		} else {
			v, err := s.number(c.Args)
			if err != nil {
				return err
			}
			holds = v != 0
		}
		body, err := block(c.Args)
		if err == nil && holds {
			taken = true
			err = s.runBlock(ctx, body)
		}
		if err != nil {
			return err
		}
		switch nextBranch(c.Args) {
		case "":
			return nil
		case ".else":
			body, err := block(c.Args)
			if err == nil && !taken {
				err = s.runBlock(ctx, body)
			}
			return err
		}
	}
}

// nextBranch takes the word ".else" or ".elsif" when it comes next, also
// behind semicolons.
func nextBranch(a *expr.Cursor) string {
	p := skipCommandEnds(a.Text, a.Pos)
	for _, word := range []string{".elsif", ".else"} {
		if end := p + len(word); end <= len(a.Text) && strings.EqualFold(a.Text[p:end], word) &&
			(end == len(a.Text) || !isNameByte(a.Text[end])) {
			a.Pos = end
			return word
		}
	}
	return ""
}

// skipCondition moves to the brace behind a condition.
func skipCondition(a *expr.Cursor) {
	for quoted := false; a.Pos < len(a.Text); a.Pos++ {
		switch a.Text[a.Pos] {
		case '"':
			quoted = !quoted
		case '{':
			if !quoted {
				return
			}
		}
	}
}

// loopBody runs one round of a loop and reports whether the loop goes on.
func (s *Session) loopBody(ctx context.Context, body string) (more bool, err error) {
	s.interp.loops++
	defer func() { s.interp.loops-- }()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return roundEnded(s.runBlock(ctx, body))
}

// roundEnded tells from how the commands of a round ended whether the loop
// goes on.
func roundEnded(err error) (more bool, _ error) {
	switch {
	case errors.Is(err, errBreak):
		return false, nil
	case err != nil && !errors.Is(err, errContinue):
		return false, err
	}
	return true, nil
}

// objectEnded is roundEnded for commands that run for each of many objects: a
// failure ends only those of one object.
func (s *Session) objectEnded(err error) (more bool, _ error) {
	if errors.Is(err, ErrFailed) {
		s.interp.failed = true
		return true, nil
	}
	return roundEnded(err)
}

func runWhile(ctx context.Context, s *Session, c *Call) error {
	start := c.Args.Pos
	for {
		c.Args.Pos = start
		v, err := s.number(c.Args)
		if err != nil {
			return err
		}
		body, err := block(c.Args)
		if err != nil || v == 0 {
			return err
		}
		more, err := s.loopBody(ctx, body)
		if err != nil || !more {
			return err
		}
	}
}

func runFor(ctx context.Context, s *Session, c *Call) error {
	a := c.Args
	a.SkipBlanks()
	if !strings.HasPrefix(a.Rest(), "(") {
		return expr.Caret("Syntax error", a.Pos)
	}
	a.Pos++
	first := a.Pos
	semi, _ := forPart(a.Text, first)
	if semi >= len(a.Text) || a.Text[semi] != ';' {
		return expr.Caret("Syntax error", first)
	}
	condition := semi + 1
	second, _ := forPart(a.Text, condition)
	if second >= len(a.Text) || a.Text[second] != ';' {
		return expr.Caret("Syntax error", second)
	}
	end := closing(a.Text, second+1, brackets)
	if end < 0 {
		return expr.Caret("Syntax error", condition)
	}
	a.Pos = end + 1
	body, err := block(a)
	if err != nil {
		if a.Done() {
			err = expr.Caret("Syntax error", condition)
		}
		return err
	}
	// The commands in the brackets run where they stand, cut at their ends.
	if err := s.runText(ctx, a.Text[:semi], first); err != nil {
		return err
	}
	for {
		v, err := s.number(&expr.Cursor{Text: a.Text, Pos: condition})
		if err != nil || v == 0 {
			return err
		}
		more, err := s.loopBody(ctx, body)
		if err != nil || !more {
			return err
		}
		if err := s.runText(ctx, a.Text[:end], second+1); err != nil {
			return err
		}
	}
}

// forPart finds the semicolon or the closing bracket that ends a part of a
// .for's brackets.
func forPart(text string, pos int) (end int, semicolon bool) {
	depth, quoted := 0, false
	for ; pos < len(text); pos++ {
		switch b := text[pos]; {
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '(':
			depth++
		case b == ')' && depth == 0:
			return pos, false
		case b == ')':
			depth--
		case b == ';' && depth == 0:
			return pos, true
		}
	}
	return pos, false
}

func runDo(ctx context.Context, s *Session, c *Call) error {
	body, err := block(c.Args)
	if err != nil {
		return err
	}
	condition := c.Args.Pos
	for {
		more, err := s.loopBody(ctx, body)
		if err != nil {
			return err
		}
		if !more {
			skipToSemicolon(c.Args)
			return nil
		}
		c.Args.Pos = condition
		v, err := s.number(c.Args)
		if err != nil || v == 0 {
			return err
		}
	}
}

// skipToSemicolon moves over what is not looked at, to the next command.
func skipToSemicolon(a *expr.Cursor) {
	if i := strings.IndexByte(a.Rest(), ';'); i >= 0 {
		a.Pos += i
	} else {
		a.Pos = len(a.Text)
	}
}

func runBlockWord(ctx context.Context, s *Session, c *Call) error {
	body, err := block(c.Args)
	if err != nil {
		return err
	}
	return s.runBlock(ctx, body)
}

// runCatch ends with its block what went wrong in it: the failure was printed.
func runCatch(ctx context.Context, s *Session, c *Call) error {
	body, err := block(c.Args)
	if err != nil {
		return err
	}
	failed := s.interp.failed
	s.interp.catches++
	err = s.runBlock(ctx, body)
	s.interp.catches--
	s.interp.failed = failed
	if errors.Is(err, errLeave) || errors.Is(err, ErrFailed) {
		return nil
	}
	return err
}

// runJ runs the first command when the condition holds, else the second. Both
// run where they stand; what follows them on the line is ignored.
func runJ(ctx context.Context, s *Session, c *Call) error {
	a := c.Args
	v, err := s.number(a)
	if err != nil {
		return err
	}
	text := a.Text
	first, firstEnd, next := jPart(text, a.Pos)
	a.Pos = len(text)
	if v == 0 {
		if next >= len(text) {
			return nil
		}
		first, firstEnd, _ = jPart(text, next+1)
	}
	return s.runText(ctx, text[:firstEnd], first)
}

// jPart finds a command of j, in single quotes or up to the next semicolon,
// and that semicolon.
func jPart(text string, pos int) (start, end, semicolon int) {
	for pos < len(text) && strings.IndexByte(" \t", text[pos]) >= 0 {
		pos++
	}
	if pos < len(text) && text[pos] == '\'' {
		if n := strings.IndexByte(text[pos+1:], '\''); n >= 0 {
			start, end = pos+1, pos+1+n
			semicolon = len(text)
			if i := strings.IndexByte(text[end:], ';'); i >= 0 {
				semicolon = end + i
			}
			return start, end, semicolon
		}
	}
	end = len(text)
	if i := strings.IndexByte(text[pos:], ';'); i >= 0 {
		end = pos + i
	}
	return pos, end, end
}

func runZ(_ context.Context, s *Session, c *Call) error {
	v, err := s.number(c.Args)
	if err != nil || v == 0 {
		return err
	}
	return errRedo
}
