package session

import (
	"context"

	"kdap/engine/rpc"
)

// Analyze explains the crash. It is asked for only when a person wants to know:
// it loads the symbols of the crashing stack's modules.
func (s *Session) Analyze(ctx context.Context) (rpc.AnalyzeResult, error) {
	r, err := s.engine.client.Analyze(ctx)
	if err != nil {
		return r, s.engine.explain(err)
	}
	return r, nil
}
