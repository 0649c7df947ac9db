package manual

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"kdap/engine"
	"kdap/engine/command"
	"kdap/engine/dumptest/demo"
)

// A console runs examples on the demo dump.
type console struct {
	dir     string // of the dump, its symbols, and what examples write
	sources string // of the demo's programs
	target  *engine.Target
}

func newConsole(ctx context.Context, sources string) (*console, error) {
	sources, err := filepath.Abs(sources)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "kdap-manual")
	if err != nil {
		return nil, err
	}
	c := &console{dir: dir, sources: sources}
	dump, symbols, err := demo.Write(filepath.Join(dir, "demo"))
	if err == nil {
		c.target, err = engine.Open(ctx, dump, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: filepath.Join(dir, "cache")})
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, nil
}

func (c *console) close() {
	c.target.Close()
	os.RemoveAll(c.dir)
}

const prompt = "kd> "

// longest is how long an example may take: one that does not end is no example.
const longest = 20 * time.Second

// How much of an output an example shows, unless its fence has a number.
const defaultLines = 24

// examples fills in the output of a page's examples, and tells which failed.
// They run one after the other in one session.
func (c *console) examples(ctx context.Context, text string) (filled string, failed []string, err error) {
	s := command.NewSession(c.target, command.Options{DumpPath: "demo.dmp", CommandLine: "kdap shell demo.dmp", OutputDir: c.dir})
	defer s.Close()
	s.SetSourcePath(c.sources)
	var out strings.Builder
	lines := strings.SplitAfter(text, "\n")
	for i := 0; i < len(lines); i++ {
		out.WriteString(lines[i])
		if !strings.HasPrefix(lines[i], "```") || i+1 == len(lines) {
			continue
		}
		end := i + 1
		for end < len(lines) && !strings.HasPrefix(lines[end], "```") {
			end++
		}
		if end == len(lines) {
			return "", nil, errors.New("a fence is not closed")
		}
		if !strings.HasPrefix(lines[i+1], prompt) {
			for _, l := range lines[i+1 : end+1] {
				out.WriteString(l)
			}
			i = end
			continue
		}
		most := defaultLines
		if words := strings.Fields(strings.TrimLeft(lines[i], "`")); len(words) > 1 {
			n, err := strconv.Atoi(words[1])
			if err != nil {
				return "", nil, fmt.Errorf("fence %q: %w", strings.TrimSpace(lines[i]), err)
			}
			most = n
		}
		for _, l := range lines[i+1 : end] {
			if line, ok := strings.CutPrefix(l, prompt); ok {
				out.WriteString(l)
				answer, err := c.run(ctx, s, strings.TrimRight(line, "\n"))
				if errors.Is(err, command.ErrFailed) {
					failed = append(failed, strings.TrimSpace(line))
				} else if err != nil {
					return "", nil, fmt.Errorf("%s: %w", strings.TrimSpace(line), err)
				}
				out.WriteString(shorten(answer, most))
			}
		}
		out.WriteString(lines[end])
		i = end
	}
	return out.String(), failed, nil
}

// run returns what a command prints, also when it fails. Files of the demo are
// named as if they lay where the reader is.
func (c *console) run(ctx context.Context, s *command.Session, line string) (string, error) {
	var b bytes.Buffer
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	err := s.Execute(ctx, line, command.Output{Out: &b})
	if errors.Is(err, command.ErrQuit) {
		err = nil
	}
	if err != nil && !errors.Is(err, command.ErrFailed) {
		return "", err
	}
	var text strings.Builder
	for l := range strings.Lines(b.String()) {
		for _, folder := range []string{c.dir, filepath.Dir(c.sources)} {
			if strings.Contains(l, folder) {
				l = filepath.ToSlash(strings.ReplaceAll(l, folder+string(filepath.Separator), ""))
			}
		}
		text.WriteString(strings.TrimRight(l, " \r\n") + "\n")
	}
	return text.String(), err
}

// shorten cuts an output of many lines.
func shorten(text string, most int) string {
	lines := strings.SplitAfter(text, "\n")
	if len(lines)-1 <= most {
		return text
	}
	return strings.Join(lines[:most], "") + fmt.Sprintf("… (%d more lines)\n", len(lines)-1-most)
}
