package command

import (
	"context"

	"kdap/engine/expr"
)

// local resolves the name of a variable of the chosen frame.
func (s *Session) local(context.Context, string) (expr.Symbol, bool) { return expr.Symbol{}, false }
