package command

import (
	"context"
	"strings"

	"kdap/engine/expr"
)

// runUserProcess is |: the one process.
func runUserProcess(ctx context.Context, s *Session, c *Call) error {
	a := c.Args
	rest := a.Rest()
	switch {
	case rest != "" && strings.IndexByte(".#*", rest[0]) >= 0:
		a.Pos++
	case rest != "" && isDigit(rest[0]):
		n, _ := digits(a)
		if n != 0 {
			return expr.Caret("Illegal process error", a.Pos)
		}
	}
	if a.Accept("s") {
		s.selectThread(ctx, s.scope.cpu)
		return nil
	}
	pid, _ := s.sys.User().PID()
	s.printf(".  0\tid: %x\texamine\tname: %s\n", pid, visible(s.sys.User().Path()))
	return nil
}
