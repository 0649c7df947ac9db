package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/windows"
)

func threadStackCommands() []*Command {
	return []*Command{
		{Names: []string{"!uniqstack"}, Args: "[-b | -v | -p] [-n]", Short: "show the stacks of all threads of the process, equal ones once", Run: runUniqStack},
		{Names: []string{"!findstack"}, Args: "Symbol [0 | 1 | 2]", Short: "find the threads of the process that have a symbol or module on their stack", Run: runFindStack},
	}
}

// stackOf walks a thread's stack; a stack that is not there is noted.
func (s *Session) stackOf(ctx context.Context, t processThread) []windows.Frame {
	st, err := t.stack(ctx, s.settings.kframes)
	if err != nil {
		s.notef("thread %x: %v", t.tid, err)
	}
	return st.Frames
}

func runUniqStack(ctx context.Context, s *Session, c *Call) error {
	view := stackView{}
	for !c.Args.Done() {
		switch option, _ := c.Option(); option {
		case "b", "v", "p":
			view.letter = option[0]
		case "n":
			view.numbers = true
		default:
			s.printf("Usage: !uniqstack [-b | -v | -p] [-n]\n")
			return nil
		}
	}
	var threads []processThread
	for t, err := range s.debuggee.threads(ctx, s) {
		if err != nil {
			s.incomplete(err)
			break
		}
		threads = append(threads, t)
	}
	s.printf("Processing %d threads, please wait\n\n", len(threads))
	first := map[string]bool{}
	var duplicates []string
	for _, t := range threads {
		if err := ctx.Err(); err != nil {
			return err
		}
		frames := s.stackOf(ctx, t)
		if key := stackKey(frames); len(frames) > 0 && first[key] {
			duplicates = append(duplicates, fmt.Sprint(t.number))
			continue
		} else {
			first[key] = true
		}
		s.showProcessThread(t)
		s.printf("%s", view.header())
		for i, f := range frames {
			space := s.space()
			for _, row := range s.rows(ctx, f) {
				if f.Module != nil && s.moduleSet(ctx).Find(f.IP) != f.Module {
					s.printf("%s %s     %s\n", s.addressText(f.SP), s.addressText(f.Return), s.frameName(ctx, f))
					continue
				}
				s.printStackRow(ctx, view, space, i, row, false, 0)
			}
		}
		s.printf("\n")
	}
	s.printf("Total threads: %d\n", len(threads))
	s.printf("Duplicate callstacks: %d", len(duplicates))
	if len(duplicates) > 0 {
		s.printf(" (windbg thread #s follow):\n%s", strings.Join(duplicates, ", "))
	}
	s.printf("\n")
	return nil
}

// stackKey is what equal stacks have in common: the places they return to.
func stackKey(frames []windows.Frame) string {
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "%x ", f.IP)
	}
	return b.String()
}

// showProcessThread prints a thread's row as ~ has it.
func (s *Session) showProcessThread(t processThread) {
	if !s.debuggee.kernelMode() {
		s.printThread(t.number, true, false)
		return
	}
	mark := " "
	if t.addr == s.scope.thread.Addr() {
		mark = "."
	}
	s.printf("%s %2d  Id: %x.%x Thread: %016x Teb: %s\n", mark, t.number, t.pid, t.tid, t.addr, s.addressText(t.teb))
}

func runFindStack(ctx context.Context, s *Session, c *Call) error {
	symbol := strings.ToLower(c.Word())
	if symbol == "" {
		s.printf("Usage: !findstack <symbol> [0 | 1 | 2]\n")
		return nil
	}
	level, err := s.extensionNumberOr(c, 1)
	if err != nil {
		return err
	}
	for t, err := range s.debuggee.threads(ctx, s) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.incomplete(err)
			break
		}
		s.findOnStack(ctx, t, symbol, level)
	}
	return ctx.Err()
}

// findOnStack prints the frames of a thread whose names hold the symbol: none
// at level 0, and at level 2 all of its frames, with a star at those.
func (s *Session) findOnStack(ctx context.Context, t processThread, symbol string, level uint64) {
	frames := s.stackOf(ctx, t)
	names := make([]string, len(frames))
	matches := 0
	for i, f := range frames {
		names[i] = s.frameName(ctx, f)
		if strings.Contains(strings.ToLower(names[i]), symbol) {
			matches++
		}
	}
	if matches == 0 {
		return
	}
	s.printf("Thread %03d, %d frame(s) match\n", t.number, matches)
	if level > 0 {
		for i, f := range frames {
			mark := " "
			if strings.Contains(strings.ToLower(names[i]), symbol) {
				mark = "*"
			} else if level < 2 {
				continue
			}
			digits := 2 * s.userPointer()
			s.printf("        %s %02d %0*x %0*x %s\n", mark, i, digits, f.SP, digits, f.Return, names[i])
		}
	}
	s.printf("\n")
}
