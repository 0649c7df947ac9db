package command

import (
	"context"

	"kdap/engine/expr"
)

func sourceCommands() []*Command {
	return []*Command{cmdLines()}
}

func cmdLines() *Command {
	return &Command{
		Names: []string{".lines"}, Args: "[-e | -d | -t]", Short: "switch source lines on or off",
		Run: func(_ context.Context, s *Session, c *Call) error {
			on := !s.settings.lines
			switch word := c.Word(); word {
			case "", "-t":
			case "-e":
				on = true
			case "-d":
				on = false
			default:
				return expr.Caret("Syntax error", c.Args.Pos-len(word)+1)
			}
			s.setLines(on)
			if on {
				s.printf("Line number information will be loaded\n")
			} else {
				s.printf("Line number information will not be loaded\n")
			}
			return nil
		},
	}
}

// setLines switches source lines in what other commands print.
func (s *Session) setLines(on bool) {
	s.settings.lines = on
	s.settings.symopt &^= symoptLines
	if on {
		s.settings.symopt |= symoptLines
	}
}
