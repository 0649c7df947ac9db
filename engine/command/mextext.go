package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
)

func mexTextCommands() []*Command {
	return []*Command{
		{
			Names: []string{"!grep"}, Args: "[-A n] [-B n] [-i] [-v] [-r] Pattern Command…", Short: "lines of a command's output that have a text",
			Run: runGrep,
		},
		{
			Names: []string{"!head"}, Args: "[-n Lines] Command…", Short: "the first lines of a command's output",
			Run: func(ctx context.Context, s *Session, c *Call) error { return runLines(ctx, s, c, true) },
		},
		{
			Names: []string{"!tail"}, Args: "[-n Lines] Command…", Short: "the last lines of a command's output",
			Run: func(ctx context.Context, s *Session, c *Call) error { return runLines(ctx, s, c, false) },
		},
	}
}

// maxContextLines bounds the lines that are kept around a match.
const maxContextLines = 10_000

// restOfCall takes the rest of an extension's arguments: a command.
func (c *Call) restOfCall() string {
	end := min(max(c.end, c.Args.Pos), len(c.Args.Text))
	rest := strings.TrimSpace(c.Args.Text[c.Args.Pos:end])
	c.Args.Pos = end
	return rest
}

// quotedWord takes a word, or a text in quotes.
func (c *Call) quotedWord() string {
	if c.Args.Done() {
		return ""
	}
	rest := c.Args.Rest()
	if rest[0] == '"' {
		if n := strings.IndexByte(rest[1:], '"'); n >= 0 {
			c.Args.Pos += n + 2
			return rest[1 : n+1]
		}
	}
	return c.Word()
}

// lineCount takes the decimal number behind an option.
func (c *Call) lineCount() int {
	c.Args.Done()
	n, _ := digits(c.Args)
	return min(max(n, 0), maxContextLines)
}

func runGrep(ctx context.Context, s *Session, c *Call) error {
	f := &lineFilter{out: s.out}
	regular, invert := false, false
	for {
		word := c.Peek()
		if len(word) != 2 || word[0] != '-' {
			break
		}
		switch word {
		case "-A":
			c.Word()
			f.after = c.lineCount()
			continue
		case "-B":
			c.Word()
			f.before = c.lineCount()
			continue
		case "-v":
			invert = true
		case "-r":
			regular = true
		case "-i": // letter case is ignored anyway
		default:
			return Failf("Unknown option: %s", word)
		}
		c.Word()
	}
	pattern := c.quotedWord()
	command := c.restOfCall()
	if pattern == "" || command == "" {
		return Failf("Usage: !grep [-A n] [-B n] [-i] [-v] [-r] pattern command")
	}
	if !regular {
		pattern = regexp.QuoteMeta(pattern)
	}
	re, err := regexp.Compile("(?i)" + pattern)
	if err != nil {
		return Failf("%v", err)
	}
	f.match = func(line []byte) bool { return re.Match(line) != invert }
	return s.filtered(f, func() error { return s.runBlock(ctx, command) })
}

// filtered runs f with its output through a filter, line by line.
func (s *Session) filtered(w io.WriteCloser, f func() error) error {
	out := s.out
	s.out = w
	err := f()
	s.out = out
	_ = w.Close()
	return err
}

// A lineFilter hands on the lines that match, with lines around them.
type lineFilter struct {
	out           io.Writer
	match         func(line []byte) bool
	before, after int

	partial []byte
	kept    [][]byte // the last lines that were not handed on
	follow  int      // lines still to be handed on
}

func (f *lineFilter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			f.partial = append(f.partial, p...)
			return n, nil
		}
		f.line(append(f.partial, p[:i+1]...))
		f.partial = nil
		p = p[i+1:]
	}
}

func (f *lineFilter) line(line []byte) {
	switch {
	case f.match(bytes.TrimRight(line, "\r\n")):
		for _, k := range f.kept {
			_, _ = f.out.Write(k)
		}
		f.kept, f.follow = nil, f.after
	case f.follow > 0:
		f.follow--
	default:
		if f.before > 0 {
			if len(f.kept) == f.before {
				f.kept = f.kept[1:]
			}
			f.kept = append(f.kept, bytes.Clone(line))
		}
		return
	}
	_, _ = f.out.Write(line)
}

// Close hands on the last line when it has no end.
func (f *lineFilter) Close() error {
	if len(f.partial) > 0 {
		f.line(append(f.partial, '\n'))
	}
	return nil
}

// runLines is !head and !tail.
func runLines(ctx context.Context, s *Session, c *Call, first bool) error {
	n := 10
	if w := c.Peek(); w == "-n" {
		c.Word()
		n = c.lineCount()
	}
	command := c.restOfCall()
	if command == "" {
		return Failf("Usage: %s [-n lines] command", c.Name)
	}
	f := &lineFilter{out: s.out, match: func([]byte) bool { n--; return n >= 0 }}
	if !first {
		f.match, f.before = func([]byte) bool { return false }, n
	}
	err := s.filtered(f, func() error { return s.runBlock(ctx, command) })
	if !first {
		for _, line := range f.kept {
			fmt.Fprintf(s.out, "%s", line)
		}
	}
	return err
}
