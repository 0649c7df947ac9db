package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/memory"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// An Output is where a session's answers and notes go.
type Output struct {
	Out  io.Writer
	Note func(text string) // one sentence, without a line end; may be nil
}

// maxNesting bounds blocks in blocks, command files that run command files and
// the like.
const maxNesting = 400

// Errors that leave a block without being failures.
var (
	errBreak    = errors.New(".break")
	errContinue = errors.New(".continue")
	errLeave    = errors.New(".leave")
	errRedo     = errors.New("z")
)

// An interpreter is the state of the command line that runs.
type interpreter struct {
	nesting int
	loops   int  // of the loops around this command: .break leaves the inner one
	catches int  // of the .catch blocks around this command
	inFile  bool // the line comes from a command file that is run line by line
	failed  bool // a command failed, but the line went on
	ended   bool // a failure ended the line

	// locals are aliases that live as long as what made them: the variable of
	// a .foreach, the arguments of a command file, @# words. The last one wins.
	locals []localAlias
}

// Execute runs one command line. Output is written as it is made. The error
// reports that a command failed; its text was written to the output already,
// in the debugger's words. ErrQuit is the end of the session. Text of several
// lines is run line by line: an error ends its line only.
func (s *Session) Execute(ctx context.Context, line string, o Output) error {
	s.ctx, s.out, s.note = ctx, tee{o.Out, &s.log}, func(string) {}
	if o.Note != nil {
		notes := newNoteFilter(o.Note)
		defer notes.end()
		s.note = notes.add
	}
	s.interp = interpreter{}
	s.catchUp(ctx)
	for l := range strings.SplitSeq(strings.TrimRight(line, "\r\n"), "\n") {
		l = strings.TrimRight(l, "\r")
		s.log.command(s.Prompt(), l)
		sys, scope, modules := s.sys, s.scope, s.modules
		err := s.runGuarded(ctx, l)
		var p *Panic
		givenUp := errors.As(err, &p) || ctx.Err() != nil
		if givenUp && sys == s.sys {
			s.scope, s.modules = scope, modules // not where it was given up
		}
		switch {
		case p != nil:
			return err
		case givenUp:
			return ctx.Err()
		case errors.Is(err, ErrQuit):
			return ErrQuit
		case err != nil:
			s.interp.ended = true
		}
	}
	if s.interp.ended || s.interp.failed {
		return ErrFailed
	}
	return nil
}

// A Panic is a fault of kdap's own in a command. The session can go on.
type Panic struct {
	Line  string
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("internal error in %q: %v", p.Line, p.Value) }

// runGuarded runs a line. A fault in it is the line's failure, not the
// session's: what was read from the dump so far is still there to look at.
func (s *Session) runGuarded(ctx context.Context, line string) (err error) {
	out := s.out
	defer func() {
		if v := recover(); v != nil {
			s.out, s.interp = out, interpreter{}
			err = &Panic{Line: shortened(line), Value: v, Stack: debug.Stack()}
			s.printf("%v\n", err)
		}
	}()
	return s.runBlock(ctx, line)
}

// shortened is a line as messages quote it.
func shortened(line string) string {
	const most = 200
	if len(line) > most {
		return strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}

// runBlock runs a line or the text of a block: aliases are replaced in the
// whole of it first.
func (s *Session) runBlock(ctx context.Context, text string) error {
	expanded, err := s.expand(text)
	if err != nil {
		s.printError(err, expr.NewCursor(text), "")
		return ErrFailed
	}
	return s.runText(ctx, expanded, 0)
}

// runText runs the commands of text from an offset on. It prints what fails
// and then returns ErrFailed. Text stays as it is for messages: a part of a
// command that is run in place is given with what stands before it.
func (s *Session) runText(ctx context.Context, text string, from int) error {
	s.interp.nesting++
	defer func() { s.interp.nesting-- }()
	cur := &expr.Cursor{Text: text, Pos: from}
	if s.interp.nesting > maxNesting {
		s.printError(Failf("Commands are nested more than %d deep", maxNesting), cur, "")
		return ErrFailed
	}
	for redo := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		cur.SkipBlanks()
		if cur.Pos >= len(cur.Text) {
			return nil
		}
		if cur.Text[cur.Pos] == ';' {
			cur.Pos++
			continue
		}
		call, err := s.runOne(ctx, cur)
		if call.rewritten != "" {
			text = call.rewritten
		}
		switch {
		case err == nil:
		case errors.Is(err, errRedo):
			if call.start == from {
				continue // nothing stands before it
			}
			redo++
			s.printf("redo [%d] %s\n", redo, text)
			cur = &expr.Cursor{Text: text, Pos: from}
		case passesThrough(err):
			return err
		case call.extension && !errors.As(err, new(*refusal)):
			s.printError(err, cur, call.shown)
			s.interp.failed = true
			cur.Pos = call.end
		case goesOn(err):
			s.printError(err, cur, call.shown)
			s.interp.failed = true
			if err := cur.Extra(); err != nil {
				s.printError(err, cur, call.shown)
				return ErrFailed
			}
		default:
			s.printError(err, cur, call.shown)
			return ErrFailed
		}
	}
}

// goesOn reports failures that do not end their line.
func goesOn(err error) bool {
	var f *Failure
	return errors.As(err, &f) && f.GoesOn
}

// passesThrough reports errors that a block hands to what is around it:
// control words, the end of the session, a cancel, failures that were printed.
func passesThrough(err error) bool {
	for _, e := range []error{errBreak, errContinue, errLeave, ErrQuit, ErrFailed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// runOne runs the command at the cursor. The Call is never nil.
func (s *Session) runOne(ctx context.Context, cur *expr.Cursor) (*Call, error) {
	call := &Call{Args: cur, start: cur.Pos}
	if done, err := s.fixedName(cur); done {
		return call, err
	}
	c, name := s.debuggee.vocabulary().find(cur.Rest())
	call.Name = name
	call.extension = name != "" && name[0] == '!' && name != "!!"
	if call.extension {
		call.end = extensionEnd(cur.Text, cur.Pos)
	}
	if c == nil {
		if name != "" && name[0] != '.' && name[0] != '!' {
			call.Name = ""
		}
		if strings.HasPrefix(cur.Rest(), "$") {
			skipToSemicolon(cur) // as behind $$; the record has "$fnsucc" alone
			return call, nil
		}
		return call, s.unknown(cur, name)
	}
	cur.Pos += len(name)
	s.displayed(name)
	err := c.Run(ctx, s, call)
	s.improve(ctx)
	if err == nil {
		err = cur.Extra()
	}
	if err != nil && !passesThrough(err) {
		s.suggestRunOn(cur.Text[call.start:], name)
	}
	return call, err
}

// suggestRunOn notes known commands when one failed that was found as the
// first letters of a longer word: "process 0 0" is p with an argument.
func (s *Session) suggestRunOn(text, name string) {
	if word, _ := firstWord(text); len(word) > len(name) && isLetter(name[0]) && strings.Trim(word, letters) == "" {
		s.suggest(word)
	}
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

func isLetter(b byte) bool { return strings.IndexByte(letters, b) >= 0 }

// firstWord returns the text up to a blank or semicolon, and the rest.
func firstWord(text string) (word, rest string) {
	if i := strings.IndexAny(text, " \t;"); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}

// find returns the command that text begins with, and its name as it stands
// there. For dot words and extensions the name is there also when they are not
// known.
func (v *vocabulary) find(text string) (*Command, string) {
	switch {
	case strings.HasPrefix(text, "!!"):
		return v.wordOrRefusal("!!"), "!!"
	case text[0] == '.' || text[0] == '!':
		return v.findWord(text)
	}
	c, name, ok := v.nativeName(text)
	if r, rname, rok := lookupRefusedNative(text); rok && (!ok || len(rname) > len(name)) {
		return r, rname
	}
	if !ok {
		return nil, ""
	}
	return c, name
}

// findWord finds a dot word or an extension. Its name ends at the first
// character that names have not; ".f+" and ".asm-" have a sign.
func (v *vocabulary) findWord(text string) (*Command, string) {
	n := 1
	for n < len(text) && isNameByte(text[n]) {
		n++
	}
	if n < len(text) && (text[n] == '+' || text[n] == '-') {
		if c := v.wordOrRefusal(text[:n+1]); c != nil {
			return c, text[:n+1]
		}
	}
	name := text[:n]
	if c := v.wordOrRefusal(name); c != nil {
		return c, name
	}
	// "!kdexts.process": the extension's own name may stand before.
	if dll, word, ok := strings.Cut(name[1:], "."); ok && name[0] == '!' && extensionNames[strings.ToLower(dll)] {
		if c := v.wordOrRefusal("!" + word); c != nil {
			return c, name
		}
	}
	if name[0] == '!' {
		if i := strings.IndexAny(text, " \t;"); i >= 0 {
			return nil, text[:i]
		}
		return nil, text
	}
	return nil, name
}

func isNameByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '.'
}

// extensionNames are the extensions whose commands are built in.
var extensionNames = map[string]bool{
	"kdexts": true, "exts": true, "ext": true, "ntsdexts": true, "uext": true, "wow64exts": true, "mex": true, "kext": true,
}

func (v *vocabulary) wordOrRefusal(name string) *Command {
	if c, ok := v.word(name); ok {
		return c
	}
	return lookupRefusedWord(name)
}

// extensionEnd returns where the arguments of the extension at pos end: at the
// first semicolon outside of double quotes.
func extensionEnd(text string, pos int) int {
	quoted := false
	for ; pos < len(text); pos++ {
		switch text[pos] {
		case '"':
			quoted = !quoted
		case ';':
			if !quoted {
				return pos
			}
		}
	}
	return pos
}

// unknown is the error for a word that is no command.
func (s *Session) unknown(cur *expr.Cursor, name string) error {
	if name == "" {
		if word, _ := firstWord(cur.Rest()); strings.Trim(word, letters) == "" {
			s.suggest(word)
		}
		return expr.Caret("Syntax error", cur.Pos+1)
	}
	s.suggest(name)
	if name[0] == '!' {
		if dll, export, ok := strings.Cut(name[1:], "."); ok && strings.EqualFold(dll, "dbghelp") {
			return Failf("%s has no %s export", dll, export) // the one DLL that the bare engine has loaded
		}
		return Failf("%s is not extension gallery command\nNo export %s found\n", name[1:], name[1:])
	}
	end := len(cur.Text)
	if i := strings.IndexByte(cur.Rest(), ';'); i >= 0 {
		end = cur.Pos + i
	}
	if name == "." {
		end = cur.Pos + 1
	}
	return expr.Caret("Syntax error", end)
}

// bareErrors are the texts of caret errors that the command follows without
// the word "in".
var bareErrors = map[string]bool{
	"Unknown format control character":                           true,
	"Operation not supported in current debug session":           true,
	"ub requires a length":                                       true,
	"Unable to find valid previous instruction for":              true,
	"Couldn't resolve":                                           true,
	"Search pattern missing from":                                true,
	"Arguments cannot be specified with whole-command filenames": true,
}

// printError writes an error in the form it has. A caret stands below the
// place it names, for a reader who sees the prompt and the command above it;
// shown is the command as it is quoted, "" for the cursor's text.
func (s *Session) printError(err error, cur *expr.Cursor, shown string) {
	var e *expr.Error
	var f *Failure
	var r *refusal
	switch {
	case errors.As(err, &e) && e.Form == expr.CaretForm:
		if shown == "" {
			shown = cur.Text
		}
		width := s.promptWidth()
		if s.interp.inFile {
			width--
		}
		in := " in"
		if bareErrors[e.Text] {
			in = ""
		}
		s.printf("%*s^ %s%s '%s'\n", max(width+e.Pos, 0), "", e.Text, in, shown)
	case errors.As(err, &e):
		s.printf("%s\n", e.Error())
	case errors.As(err, &r):
		s.printf("%s\n", r.text)
	case errors.As(err, &f):
		s.printf("%s", f.Text)
		if !strings.HasSuffix(f.Text, "\n") {
			s.printf("\n")
		}
	default:
		s.printf("%s\n", s.innerError(err))
	}
}

// innerError is what a command prints of an error from below that it has no
// words for: the debugger's, the reason becoming a note, where it has some.
func (s *Session) innerError(err error) string {
	var unread *memory.ReadError
	switch {
	case errors.As(err, &unread):
		s.notef("%v", err)
		return fmt.Sprintf("Memory read error %016x", unread.Addr)
	case symbolsLack(err):
		s.notef("%v", err)
		return wrongSymbols
	}
	return err.Error()
}

// wrongSymbols is what the kernel's extensions say where its types or names are
// not to be had.
const wrongSymbols = "NT symbols are incorrect, please fix symbols"

func symbolsLack(err error) bool {
	var noType *types.NoTypeError
	var noSymbol *windows.NoSymbolError
	return errors.As(err, &noType) || errors.As(err, &noSymbol)
}

// capture runs f and returns what it printed instead of showing it.
func (s *Session) capture(f func() error) (string, error) {
	out := s.out
	defer func() { s.out = out }()
	var b cappedBuffer
	s.out = &b
	err := f()
	if b.full {
		return "", Failf("Output is longer than %d MB", maxCapture>>20)
	}
	return b.String(), err
}

// maxCapture bounds output that is kept: for .foreach and the like.
const maxCapture = 64 << 20

// A cappedBuffer keeps what is written to it, up to maxCapture bytes.
type cappedBuffer struct {
	strings.Builder
	full bool
}

func (b *cappedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxCapture {
		b.full = true
		return len(p), nil
	}
	return b.Builder.Write(p)
}
