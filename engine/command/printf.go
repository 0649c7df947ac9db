package command

import (
	"context"
	"strconv"
	"strings"
	"unicode/utf16"

	"kdap/engine/expr"
)

func printCommands() []*Command {
	return []*Command{
		{Names: []string{".echo"}, Args: "text", Short: "print a text", Run: runEcho},
		{Names: []string{".printf"}, Args: `[/D] [/oX] "format" [, arguments]`, Short: "print values by a format", Run: runPrintf},
	}
}

func runEcho(_ context.Context, s *Session, c *Call) error {
	a := c.Args
	if a.Done() {
		s.printf("\n")
		return nil
	}
	if a.Text[a.Pos] != '"' {
		s.printf("%s\n", strings.TrimRight(upToSemicolon(a), " \t"))
		return nil
	}
	start := a.Pos
	n := strings.IndexByte(a.Text[start+1:], '"')
	if n < 0 {
		return expr.Caret("Trailing quote missing", len(a.Text))
	}
	end := start + 1 + n
	if end+1 < len(a.Text) && strings.IndexByte(" \t;", a.Text[end+1]) < 0 {
		return expr.Caret("Malformed string", end)
	}
	a.Pos = end + 1
	s.printf("%s\n", a.Text[start+1:end])
	c.shown = a.Text[:end]
	return nil
}

// maxPadding bounds the widths and precisions of .printf.
const maxPadding = 4096

func runPrintf(ctx context.Context, s *Session, c *Call) error {
	a := c.Args
	dml, silent, err := printfOptions(a)
	if err != nil {
		return err
	}
	start := a.Pos
	if a.Rest() == "" || a.Text[start] != '"' {
		return expr.Caret("Quotes required", start)
	}
	end := closingQuote(a.Text, start+1)
	if end < 0 {
		return expr.Caret("Trailing quote missing", len(a.Text))
	}
	if end == start+1 {
		return expr.Caret("Non-empty string required", end)
	}
	text := unescape(a.Text[start+1 : end])
	// The engine takes the escapes out of its own copy of the line, and ends
	// it at the closing quote: so errors show it.
	c.shown = a.Text[:start+1] + text
	if len(text) != end-start-1 {
		c.rewritten = c.shown
	}
	a.Pos = end + 1
	p := printer{s: s, ctx: ctx, a: a, format: text, show: func(text string) { s.printf("%s", text) }}
	var tagged cappedBuffer
	switch {
	case silent:
		p.show = func(string) {}
	case dml:
		p.show = func(text string) { _, _ = tagged.Write([]byte(text)) }
	}
	err = p.run()
	s.printf("%s", stripDML(tagged.String()))
	return err
}

func printfOptions(a *expr.Cursor) (dml, silent bool, err error) {
	for {
		a.SkipBlanks()
		rest := a.Rest()
		switch {
		case !strings.HasPrefix(rest, "/"):
			return dml, silent, nil
		case strings.HasPrefix(rest, "/D"):
			dml = true
			a.Pos += 2
		case strings.HasPrefix(rest, "/o"):
			if len(rest) < 3 || strings.IndexByte("newvdps", rest[2]) < 0 {
				return dml, silent, expr.Caret("Syntax error", a.Pos+2)
			}
			silent = rest[2] == 'v' // verbose output is off
			a.Pos += 3
		default:
			return dml, silent, expr.Caret("Syntax error", a.Pos+1)
		}
	}
}

// closingQuote finds the quote that ends a text with escapes, -1 without one.
func closingQuote(text string, pos int) int {
	for ; pos < len(text); pos++ {
		switch text[pos] {
		case '\\':
			pos++
		case '"':
			return pos
		}
	}
	return -1
}

// unescape replaces the escapes of a .printf format.
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	var high rune // the first half of a surrogate pair
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch text[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'x':
			n := i + 1
			for n < len(text) && n < i+5 && isHexDigit(text[n]) {
				n++
			}
			unit, err := strconv.ParseUint(text[i+1:n], 16, 16)
			i = n - 1
			if err != nil {
				continue
			}
			r := rune(unit)
			switch {
			case high != 0:
				r = utf16.DecodeRune(high, r)
				high = 0
			case utf16.IsSurrogate(r) && strings.HasPrefix(text[n:], `\x`):
				high = r
				continue
			}
			b.WriteRune(r)
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

func isHexDigit(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
}

// stripDML takes the tags out of a text and replaces its entities. A tag that
// does not end takes the rest with it.
func stripDML(text string) string {
	var b strings.Builder
	for {
		before, tag, found := strings.Cut(text, "<")
		b.WriteString(before)
		if !found {
			break
		}
		if _, text, found = strings.Cut(tag, ">"); !found {
			break
		}
	}
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&").Replace(b.String())
}
