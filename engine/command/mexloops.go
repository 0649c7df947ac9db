package command

import (
	"bytes"
	"context"
	"slices"
	"strings"
)

// Words that run a command for each of many things, or put a command's lines in
// another order.

func mexLoopCommands() []*Command {
	return []*Command{
		{Names: []string{"!foreachprocess", "!mex.foreachprocess"}, Args: `-x "Commands"`, Short: "run commands for every process, in its context, @#Process", Run: runMexForEachProcess},
		{Names: []string{"!foreachthread", "!mex.foreachthread"}, Args: `-x "Commands"`, Short: "run commands for every thread, @#Thread of @#Process", Run: runMexForEachThread},
		{Names: []string{"!fel", "!mex.fel"}, Args: `-x "Commands" Command…`, Short: "run commands for every line of a command's output, @#Line", Run: runForEachLine},
		{Names: []string{"!sort", "!mex.sort"}, Args: "Command…", Short: "a command's lines in order", Run: runSort},
		{Names: []string{"!cut", "!mex.cut"}, Args: "-f Field Command…", Short: "one blank-separated field of each line of a command's output", Run: runCut},
	}
}

// executeOption takes -x and the commands behind it.
func (c *Call) executeOption() (string, error) {
	if !strings.EqualFold(c.Peek(), "-x") {
		return "", Failf(`usage: %s -x "Commands"`, c.Name)
	}
	c.Word()
	text := c.quotedWord()
	if text == "" {
		return "", Failf(`usage: %s -x "Commands"`, c.Name)
	}
	return text, nil
}

// runMexForEachProcess runs the commands with each process as the process
// context, which is what it was before at the end.
func runMexForEachProcess(ctx context.Context, s *Session, c *Call) error {
	text, err := c.executeOption()
	if err != nil {
		return err
	}
	scope, modules := s.scope, s.modules
	defer func() { s.scope, s.modules = scope, modules }()
	return s.forEach(ctx, text, func(yield func([]localAlias, error) bool) {
		for p, err := range s.sys.ActiveProcesses(ctx) {
			if err == nil {
				s.setProcess(p)
			}
			if !yield([]localAlias{hexAlias("@#Process", p.Addr())}, err) {
				return
			}
		}
	})
}

func runMexForEachThread(ctx context.Context, s *Session, c *Call) error {
	text, err := c.executeOption()
	if err != nil {
		return err
	}
	return s.forEach(ctx, text, func(yield func([]localAlias, error) bool) {
		for p, t := range threadsOf(ctx, s.sys.ActiveProcesses(ctx)) {
			if !yield([]localAlias{hexAlias("@#Thread", t.Addr()), hexAlias("@#Process", p.Addr())}, nil) {
				return
			}
		}
	})
}

// maxLines bounds the lines of an output that are kept.
const maxLines = 1 << 20

// linesOf runs a command and returns the lines it prints.
func (s *Session) linesOf(ctx context.Context, command string) ([]string, error) {
	k := &lineKeeper{}
	err := s.filtered(k, func() error { return s.runBlock(ctx, command) })
	if k.cut {
		s.notef("only the first %d lines are taken", maxLines)
	}
	return k.lines, err
}

// A lineKeeper keeps what is written, line by line.
type lineKeeper struct {
	lines   []string
	partial []byte
	cut     bool
}

func (k *lineKeeper) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			k.partial = append(k.partial, p...)
			return n, nil
		}
		k.keep(string(append(k.partial, p[:i]...)))
		k.partial, p = nil, p[i+1:]
	}
}

func (k *lineKeeper) keep(line string) {
	if len(k.lines) == maxLines {
		k.cut = true
		return
	}
	k.lines = append(k.lines, strings.TrimRight(line, "\r"))
}

// Close keeps the last line when it has no end.
func (k *lineKeeper) Close() error {
	if len(k.partial) > 0 {
		k.keep(string(k.partial))
		k.partial = nil
	}
	return nil
}

func runForEachLine(ctx context.Context, s *Session, c *Call) error {
	text, err := c.executeOption()
	if err != nil {
		return err
	}
	command := c.restOfCall()
	if command == "" {
		return Failf(`usage: %s -x "Commands" Command`, c.Name)
	}
	lines, err := s.linesOf(ctx, command)
	if err != nil {
		return err
	}
	return s.forEach(ctx, text, func(yield func([]localAlias, error) bool) {
		for _, line := range lines {
			if !yield([]localAlias{{"@#Line", line}}, nil) {
				return
			}
		}
	})
}

func runSort(ctx context.Context, s *Session, c *Call) error {
	command := c.restOfCall()
	if command == "" {
		return Failf("usage: %s Command", c.Name)
	}
	lines, err := s.linesOf(ctx, command)
	slices.Sort(lines)
	for _, line := range lines {
		s.printf("%s\n", line)
	}
	return err
}

func runCut(ctx context.Context, s *Session, c *Call) error {
	field := 0
	if strings.EqualFold(c.Peek(), "-f") {
		c.Word()
		field = c.lineCount()
	}
	command := c.restOfCall()
	if field < 1 || command == "" {
		return Failf("usage: %s -f Field Command", c.Name)
	}
	lines, err := s.linesOf(ctx, command)
	for _, line := range lines {
		word := ""
		if words := strings.Fields(line); field <= len(words) {
			word = words[field-1]
		}
		s.printf("%s\n", word)
	}
	return err
}
