package adapter

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-dap"

	"kdap/engine/rpc"
	"kdap/session"
)

// onExceptionInfo explains the crash: what the bug check is called, what its
// parameters mean, and which module is to blame.
func onExceptionInfo(a *Adapter, c *call, args dap.ExceptionInfoArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	st, err := s.Stack(c.ctx, args.ThreadId)
	if err != nil {
		return nil, err
	}
	var stack strings.Builder
	for _, f := range st.Frames {
		fmt.Fprintln(&stack, f.Name)
	}
	b, text, err := explained(c.ctx, s)
	if err != nil {
		return nil, err
	}
	return dap.ExceptionInfoResponseBody{
		ExceptionId: b.Name, Description: text, BreakMode: "always",
		Details: &dap.ExceptionDetails{
			Message: text, TypeName: b.Name, FullTypeName: fmt.Sprintf("bug check %v", b.Code), StackTrace: stack.String(),
		},
	}, nil
}

// explained returns the bug check with its explanation. An analysis that fails
// leaves what the header says.
func explained(ctx context.Context, s *session.Session) (rpc.BugCheck, string, error) {
	r, err := s.Analyze(ctx)
	switch {
	case ctx.Err() != nil:
		return r.BugCheck, "", ctx.Err()
	case errors.As(err, new(*session.EngineGoneError)):
		return r.BugCheck, "", err
	case err != nil:
		b := s.Dump().BugCheck
		return b, explain(b), nil
	}
	return r.BugCheck, explain(r.BugCheck) + verdict(r), nil
}

// verdict is who is to blame, and what else is known.
func verdict(r rpc.AnalyzeResult) string {
	var t strings.Builder
	if r.Description != "" {
		fmt.Fprintf(&t, "\n\n%s", r.Description)
	}
	switch {
	case r.Module == "":
	case r.Sure:
		fmt.Fprintf(&t, "\n\nProbably caused by: %s (%s)", r.Image, r.Symbol)
	default:
		fmt.Fprintf(&t, "\n\nPerhaps: %s (%s)", r.Image, r.Symbol)
	}
	if r.Why != "" {
		fmt.Fprintf(&t, "\nWhy: %s", r.Why)
	}
	if r.Process != "" {
		fmt.Fprintf(&t, "\nProcess: %s", r.Process)
	}
	for _, d := range r.Details {
		fmt.Fprintf(&t, "\n%s: %s", d.Label, d.Text)
	}
	return t.String()
}

func explain(b rpc.BugCheck) string {
	if b.User {
		return fmt.Sprintf("%s (code %08x)", b.Name, uint64(b.Code))
	}
	var t strings.Builder
	fmt.Fprintf(&t, "Bug check 0x%X: %s", uint64(b.Code), b.Name)
	if b.Manual {
		t.WriteString(" (manual: the system was made to stop, it did not crash by itself)")
	}
	for i, p := range b.Parameters {
		fmt.Fprintf(&t, "\nParameter %d: %016x", i+1, uint64(p))
		if i < len(b.Meaning) && b.Meaning[i] != "" && b.Meaning[i] != "0" {
			fmt.Fprintf(&t, "  %s", b.Meaning[i])
		}
	}
	return t.String()
}
