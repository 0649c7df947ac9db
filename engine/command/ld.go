package command

import (
	"context"

	"kdap/engine/expr"
	"kdap/engine/wildcard"
)

func cmdLd() *Command {
	return &Command{
		Names: []string{"ld"}, Args: "Pattern", Short: "load the symbols of modules",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			if c.Args.Done() {
				return expr.Caret("Non-empty string required", c.Args.Pos)
			}
			s.settle(ctx)
			word := c.Word()
			p := wildcard.Compile(word)
			found := false
			for _, m := range s.moduleSet(ctx).All() {
				if err := ctx.Err(); err != nil {
					return err
				}
				if !p.Match(m.Name) {
					continue
				}
				found = true
				already := ""
				if s.modules.state(m).loaded {
					already = "already "
				}
				s.symbolsOf(ctx, m)
				s.printf("Symbols %sloaded for %s\n", already, visible(m.Name))
			}
			if !found {
				s.printf("No modules matched '%s'\n", word)
			}
			return nil
		},
	}
}
