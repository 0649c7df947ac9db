package command

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf16"

	"kdap/engine/expr"
	"kdap/engine/memory"
)

func aliasCommands() []*Command {
	return []*Command{
		{
			Names: []string{"as"}, ExactCase: true, Args: "Name Text | /x Name Expression | /ma|/mu|/msa|/msu Name Address | /c Name Commands | /f Name File | /e Name Variable",
			Short: "set an alias to the rest of the line",
			Run:   func(ctx context.Context, s *Session, c *Call) error { return s.runAs(ctx, c, true) },
		},
		{
			Names: []string{"aS"}, ExactCase: true, Args: "Name Text | Name \"Text\" | the switches of as",
			Short: "set an alias to the text up to a semicolon",
			Run:   func(ctx context.Context, s *Session, c *Call) error { return s.runAs(ctx, c, false) },
		},
		{Names: []string{"al"}, Short: "list the aliases", Run: runAl},
		{Names: []string{"ad"}, Args: "[/q] Name | *", Short: "delete aliases", Run: runAd},
	}
}

// runAs reads as and aS: whole tells that the text is the rest of the line.
func (s *Session) runAs(ctx context.Context, c *Call, whole bool) error {
	a := c.Args
	a.SkipBlanks()
	kind := ""
	if strings.HasPrefix(a.Rest(), "/") {
		for _, k := range []string{"/msa", "/msu", "/ma", "/mu", "/x", "/f", "/c", "/e"} {
			if strings.HasPrefix(a.Rest(), k) {
				kind = k
				break
			}
		}
		if kind == "" {
			return expr.Caret("Syntax error", a.Pos+1)
		}
		a.Pos += len(kind)
	}
	name := aliasName(a.Word())
	if name == "" {
		return expr.Caret("Syntax error", a.Pos)
	}
	c.shown = a.Text[:a.Pos] // as errors of the rest quote it
	missing := func() error {
		c.shown = ""
		return expr.Caret("Syntax error", a.Pos)
	}
	a.SkipBlanks()
	if a.Pos >= len(a.Text) || a.Text[a.Pos] == ';' && (!whole || kind != "") {
		return missing()
	}
	value, err := s.aliasValue(ctx, c, kind, whole)
	if err != nil {
		return err
	}
	c.shown = ""
	return s.setAlias(name, value)
}

// aliasName takes the name out of ${/v:name}.
func aliasName(word string) string {
	if inner, ok := strings.CutPrefix(word, "${/v:"); ok && strings.HasSuffix(inner, "}") {
		return inner[:len(inner)-1]
	}
	return word
}

// aliasValue reads the value behind the name.
func (s *Session) aliasValue(ctx context.Context, c *Call, kind string, whole bool) (string, error) {
	a := c.Args
	switch kind {
	case "":
		if whole {
			return restOf(a), nil
		}
		if a.Text[a.Pos] == '"' {
			return quoted(a)
		}
		return upToSemicolon(a), nil
	case "/x":
		v, err := s.number(a)
		return fmt.Sprintf("%#x", v), err
	case "/ma", "/mu", "/msa", "/msu":
		addr, err := s.address(a)
		if err != nil {
			return "", err
		}
		v, err := aliasMemory(s.space(), addr, kind)
		if err != nil {
			return "", expr.Caret("Memory access error", a.Pos)
		}
		return v, nil
	}
	start := a.Pos
	text := restOf(a)
	if !whole {
		a.Pos = start
		text = upToSemicolon(a)
	}
	switch kind {
	case "/c":
		out, err := s.capture(func() error { return s.runBlock(ctx, text) })
		if err != nil {
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			return "", expr.Caret("Syntax error", start)
		}
		return out, nil
	case "/f":
		if !s.opts.ScriptFiles {
			s.notef("Files are read only in kdap run and kdap shell.")
			return "", expr.Caret("Out of memory error", start)
		}
		b, err := readSmallFile(text)
		if err != nil {
			return "", expr.Caret("Out of memory error", start)
		}
		return string(b), nil
	default: // /e
		if v, ok := os.LookupEnv(strings.TrimRight(text, " \t")); ok && s.opts.ScriptFiles {
			return v, nil
		}
		return "", expr.Caret("No information found error", a.Pos)
	}
}

// restOf takes the rest of the line.
func restOf(a *expr.Cursor) string {
	text := a.Rest()
	a.Pos = len(a.Text)
	return text
}

// upToSemicolon takes the text before the next semicolon, blanks at its end included.
func upToSemicolon(a *expr.Cursor) string {
	text, _, _ := strings.Cut(a.Rest(), ";")
	a.Pos += len(text)
	return text
}

// quoted takes a text in double quotes.
func quoted(a *expr.Cursor) (string, error) {
	if a.Rest() == "" || a.Rest()[0] != '"' {
		return "", expr.Caret("Quotes required", a.Pos)
	}
	n := strings.IndexByte(a.Rest()[1:], '"')
	switch {
	case n < 0:
		return "", expr.Caret("Trailing quote missing", len(a.Text))
	case n == 0:
		return "", expr.Caret("Non-empty string required", a.Pos+1)
	}
	text := a.Rest()[1 : 1+n]
	a.Pos += n + 2
	return text, nil
}

// maxText bounds texts read from the dump for aliases and .printf, in bytes.
const maxText = 1 << 16

// aliasMemory reads the text of /ma, /mu, /msa and /msu; the s forms read a
// counted string's descriptor first.
func aliasMemory(space memory.Space, addr uint64, kind string) (string, error) {
	wide := kind[len(kind)-1] == 'u'
	if len(kind) == 3 {
		return zeroTerminated(space, addr, wide, maxText)
	}
	n, err := memory.ReadUint(space, addr, 2)
	if err != nil {
		return "", err
	}
	buffer, err := memory.ReadUint(space, addr+8, 8)
	if err != nil {
		return "", err
	}
	return zeroTerminated(space, buffer, wide, int(n))
}

// zeroTerminated reads characters up to a zero, or most bytes. The error is
// that of the first character; a text whose end cannot be read is cut.
func zeroTerminated(space memory.Space, addr uint64, wide bool, most int) (string, error) {
	size := 1
	if wide {
		size = 2
	}
	var units []uint16
	for off := 0; off+size <= most; {
		// Up to the end of the page: what follows may not be there.
		n := min(most-off, memory.PageSize-int((addr+uint64(off))%memory.PageSize))
		if n < size {
			n = size // a wide character across two pages
		}
		b, err := memory.ReadBytes(space, addr+uint64(off), n)
		if err != nil && len(b) < size {
			if off == 0 {
				return "", err
			}
			break
		}
		for i := 0; i+size <= len(b); i += size {
			u := uint16(b[i])
			if wide {
				u = uint16(b[i]) | uint16(b[i+1])<<8
			}
			if u == 0 {
				return text16(units), nil
			}
			units = append(units, u)
		}
		if err != nil {
			break
		}
		off += n - n%size
	}
	return text16(units), nil
}

func text16(units []uint16) string { return visible(string(utf16.Decode(units))) }

func runAl(_ context.Context, s *Session, _ *Call) error {
	if len(s.aliases.named) == 0 {
		s.printf("No aliases\n")
		return nil
	}
	s.printf("  Alias            Value  \n -------          ------- \n")
	for _, name := range slices.Sorted(maps.Keys(s.aliases.named)) {
		s.printf(" %-16s %s \n", name, s.aliases.named[name])
	}
	return nil
}

func runAd(_ context.Context, s *Session, c *Call) error {
	a := c.Args
	a.SkipBlanks()
	quiet := false
	if strings.HasPrefix(a.Rest(), "/q") {
		quiet = true
		a.Pos += 2
	}
	if a.Done() {
		return expr.Caret("Syntax error", a.Pos)
	}
	for !a.Done() {
		name := aliasName(a.Word())
		found := s.deleteAlias(name)
		if name == "*" && !found {
			found = len(s.aliases.named) > 0
			s.aliases.named, s.aliases.size = nil, 0
		}
		if !found && !quiet {
			return expr.Caret("No information found error", a.Pos) // the names behind it stay
		}
	}
	return nil
}

// fixedName runs "r $.u0=text" and "r $.u0", which are about the fixed names
// of aliases, not about registers. The text is the rest of the line.
func (s *Session) fixedName(a *expr.Cursor) (done bool, err error) {
	rest, ok := strings.CutPrefix(a.Rest(), "r")
	if !ok {
		return false, nil
	}
	rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " \t"), "$.u")
	if !ok || rest == "" || rest[0] < '0' || rest[0] > '9' || len(rest) > 1 && isNameByte(rest[1]) {
		return false, nil
	}
	n := rest[0] - '0'
	rest = strings.TrimLeft(rest[1:], " \t")
	if !strings.HasPrefix(rest, "=") {
		a.Pos = len(a.Text) - len(rest)
		value := s.aliases.fixed[n]
		if value == "" {
			value = "<Empty>"
		}
		s.printf("$u%d=%s\n", n, value)
		return true, a.Extra()
	}
	text := strings.Trim(rest[1:], " \t")
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	if len(text) > maxText {
		return true, Failf("An alias of a fixed name is at most %d characters long", maxText)
	}
	s.aliases.fixed[n] = text
	a.Pos = len(a.Text)
	return true, nil
}
