package session

import (
	"context"

	"kdap/engine/rpc"
)

// Modules returns the kernel's modules and those of the process in focus.
func (s *Session) Modules(ctx context.Context) ([]rpc.Module, error) {
	r, err := s.engine.client.Modules(ctx, s.Focus().Process)
	return r.Modules, s.engine.explain(err)
}
