package command

import (
	"context"
	"strconv"

	"kdap/engine/expr"
)

func processorCommands() []*Command {
	return []*Command{cmdProcessor(), cmdOnProcessor()}
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// digits takes the decimal digits at the cursor; false when there are none. A
// number that is too large for any processor is -1.
func digits(c *expr.Cursor) (n int, ok bool) {
	rest := c.Rest()
	i := 0
	for i < len(rest) && isDigit(rest[i]) {
		i++
	}
	c.Pos += i
	if i == 0 {
		return 0, false
	}
	n, err := strconv.Atoi(rest[:i])
	if err != nil {
		n = -1
	}
	return n, true
}

func cmdProcessor() *Command {
	return &Command{
		Names: []string{"~"}, Args: "N[s]", Short: "make processor N current",
		Run: func(_ context.Context, s *Session, c *Call) error {
			start := c.Args.Pos
			n, ok := digits(c.Args)
			if !ok {
				return expr.Caret("Syntax error", start)
			}
			number := c.Args.Text[start:c.Args.Pos]
			c.Args.Accept("s")
			if n < 0 || n >= s.sys.ProcessorCount() {
				return Tellf("%s is not a valid processor number", number)
			}
			s.selectProcessor(n)
			return nil
		},
	}
}

// selectProcessor makes processor n current; to the current one nothing changes.
func (s *Session) selectProcessor(n int) {
	if n == s.scope.cpu {
		return
	}
	s.flushRegisters()
	s.switchProcessor(n)
}

// flushRegisters is where the debugger would write changed registers back: a
// dump refuses, and they are lost.
func (s *Session) flushRegisters() {
	if s.scope.own != nil || s.scope.special != nil {
		s.printf("Can't set dump file contexts\n")
		s.scope.own, s.scope.special = nil, nil
	}
}

// cmdOnProcessor is a digit: the number of the processor that k or r, which
// follows, is for.
func cmdOnProcessor() *Command {
	return &Command{
		Names: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, Args: "k… | r…",
		Short: "run k or r once on another processor: 1k, 2rM 80",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			c.Args.Pos -= len(c.Name)
			n, _ := digits(c.Args)
			at := c.Args.Pos
			run := s.runStack
			switch {
			case c.Args.Accept("k"):
			case c.Args.Accept("r"):
				run = func(ctx context.Context, args *expr.Cursor) error { return s.runRegisters(ctx, args, true) }
			default:
				return expr.Caret("Syntax error", c.start+1)
			}
			if n < 0 || n >= s.sys.ProcessorCount() {
				return expr.Caret("Range error", at)
			}
			return s.onProcessor(n, func() error { return run(ctx, c.Args) })
		},
	}
}

// onProcessor runs f with processor n current, keeping a set register context.
// Afterwards the page tables are those of the processor's own process.
func (s *Session) onProcessor(n int, f func() error) error {
	before := s.scope
	if n != before.cpu {
		s.flushRegisters()
		before.own, before.special = s.scope.own, s.scope.special
	}
	s.switchProcessor(n)
	if before.set {
		s.scope.regs, s.scope.set, s.scope.base = before.regs, true, before.base
	} else if n == before.cpu {
		s.scope.regs, s.scope.regsErr = before.regs, before.regsErr
	}
	s.scope.foreign = true
	err := f()
	s.scope = before
	_, s.scope.memory = s.processorThread(before.cpu)
	if !before.set && s.scope.own == nil {
		s.scope.regs, s.scope.regsErr = s.sys.StopRegisters(before.cpu)
	}
	return err
}
