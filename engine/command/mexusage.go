package command

import (
	"context"
	"strings"
)

// withUsage makes commands tell their usage when -h or -? is their first
// argument, as those of MEX do.
func withUsage(families ...[]*Command) []*Command {
	var all []*Command
	for _, family := range families {
		for _, c := range family {
			run := c.Run
			c.Run = func(ctx context.Context, s *Session, call *Call) error {
				if w := call.Peek(); w != "-h" && w != "-?" {
					return run(ctx, s, call)
				}
				_ = call.restOfCall()
				s.showCommandUsage(c)
				return nil
			}
			all = append(all, c)
		}
	}
	return all
}

func (s *Session) showCommandUsage(c *Command) {
	name := c.Names[0]
	s.printf("%s", name)
	if len(c.Names) > 1 {
		s.printf(" (%s)", strings.Join(c.Names[1:], ", "))
	}
	s.printf(" - %s\n\nUsage:\n", c.Short)
	s.printf("    %s\n", strings.TrimSpace(name+" "+c.Args))
}
