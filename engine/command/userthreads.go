package command

import (
	"context"
	"strconv"
	"strings"

	"kdap/engine/dump"
	"kdap/engine/expr"
)

func userThreadCommands() []*Command {
	return []*Command{{
		Names: []string{"~"}, Args: "[. | # | * | N | ~[TID]] [s | e Commands | k… | r… | u…]",
		Short: "show the threads, choose one, or run a command on one or all", Run: runThreads,
	}}
}

// threadWords are the commands that may follow the thread.
const threadWords = "krup"

// runThreads is ~: the threads it names, then what to do with them.
func runThreads(ctx context.Context, s *Session, c *Call) error {
	numbers, all, err := s.threadNumbers(c.Args)
	if err != nil {
		return err
	}
	named := c.Args.Pos > c.start+1
	if c.Args.Done() {
		for _, n := range numbers {
			s.printThread(n, named, false)
		}
		return nil
	}
	a := c.Args
	switch letter := a.Rest()[0]; {
	case letter == 's' && (!named || len(numbers) == 1):
		a.Pos++
		if !named {
			numbers = []int{s.scope.cpu}
		}
		s.selectThread(ctx, numbers[0])
		return nil
	case !named:
		return expr.Caret("Syntax error", a.Pos)
	case strings.IndexByte("fFuUnNmM", letter) >= 0 && !strings.HasPrefix(a.Rest(), "u "):
		a.Pos++
		return expr.Caret("Operation not supported in current debug session", a.Pos)
	case letter == 'e':
		a.Pos++
		return s.onThreads(ctx, numbers, false, c)
	case strings.IndexByte(threadWords, letter) >= 0:
		return s.onThreads(ctx, numbers, all && letter == 'k', c)
	}
	return expr.Caret("Syntax error", a.Pos)
}

// threadNumbers reads which threads are meant; without a word all of them.
func (s *Session) threadNumbers(c *expr.Cursor) (numbers []int, all bool, err error) {
	count := s.sys.StopCount()
	every := make([]int, count)
	for i := range every {
		every[i] = i
	}
	c.SkipBlanks()
	rest := c.Rest()
	illegal := func() error { return expr.Caret("Illegal thread error", c.Pos) }
	one := func(n int) ([]int, bool, error) {
		if n < 0 || n >= count {
			return nil, false, illegal()
		}
		return []int{n}, false, nil
	}
	switch {
	case strings.HasPrefix(rest, "*"):
		c.Pos++
		c.SkipBlanks()
		return every, true, nil
	case strings.HasPrefix(rest, "."):
		c.Pos++
		return one(s.scope.cpu)
	case strings.HasPrefix(rest, "#"):
		c.Pos++
		return one(s.sys.CrashStop())
	case strings.HasPrefix(rest, "~["):
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			return nil, false, expr.Caret("Syntax error", len(c.Text))
		}
		id, perr := s.threadID(rest[2:end])
		c.Pos += end + 1
		for i, t := range s.sys.User().File().Threads {
			if perr == nil && uint64(t.ID) == id {
				return []int{i}, false, nil
			}
		}
		return nil, false, illegal()
	case rest != "" && isDigit(rest[0]):
		n, _ := digits(c)
		return one(n)
	}
	return every, true, nil
}

// threadID evaluates the system's id of a thread.
func (s *Session) threadID(text string) (uint64, error) {
	if v, err := strconv.ParseUint(text, 16, 32); err == nil {
		return v, nil
	}
	return s.number(expr.NewCursor(text))
}

// threadMark is the first column: the current thread, the event's.
func (s *Session) threadMark(n int) string {
	switch n {
	case s.scope.cpu:
		return "."
	case s.sys.CrashStop():
		return "#"
	}
	return " "
}

// printThread prints a thread's row, and its priorities where one was asked for.
func (s *Session) printThread(n int, details, before bool) {
	t := s.sys.User().File().Threads[n]
	pid, _ := s.sys.User().PID()
	if before {
		s.printf("\n")
	}
	s.printf("%s %2d  Id: %x.%x Suspend: %d Teb: %s Unfrozen%s\n", s.threadMark(n), n, pid, t.ID, t.SuspendCount, s.addressText(t.TEB), threadNameText(t))
	if details {
		s.printf("      Priority: %d  Priority class: %d\n", int32(t.Priority), t.PriorityClass)
	}
}

func threadNameText(t dump.UserThread) string {
	if t.Name == "" {
		return ""
	}
	return ` "` + visible(t.Name) + `"`
}

// selectThread makes thread n current and shows where it is.
func (s *Session) selectThread(ctx context.Context, n int) {
	if n != s.scope.cpu {
		s.flushRegisters()
		s.switchProcessor(n)
	}
	regs, err := s.anyRegisters()
	if err != nil {
		s.notef("%v", err)
		return
	}
	s.printInstruction(ctx, regs)
}

// onThreads runs what follows for each of the threads.
func (s *Session) onThreads(ctx context.Context, numbers []int, rows bool, c *Call) error {
	a := c.Args
	text, from := a.Text, a.Pos
	end := len(text)
	if !strings.HasPrefix(text[max(from-1, 0):], "e") {
		if i := strings.IndexByte(text[from:], ';'); i >= 0 {
			end = from + i
		}
	}
	a.Pos = end
	before := s.scope
	defer func() { s.scope = before }()
	for _, n := range numbers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if rows {
			s.scope = before
			s.printThread(n, false, true)
		}
		if s.scope = before; n != before.cpu {
			s.switchProcessor(n)
		}
		if err := s.runText(ctx, text[:end], from); err != nil {
			return err
		}
	}
	return nil
}
