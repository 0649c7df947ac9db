package adapter

import (
	"fmt"
	"strings"

	"github.com/google/go-dap"

	"kdap/engine/rpc"
)

// onExceptionInfo explains the bug check: what it is called, and what its
// parameters mean.
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
	b := s.Dump().BugCheck
	return dap.ExceptionInfoResponseBody{
		ExceptionId: b.Name, Description: explain(b), BreakMode: "always",
		Details: &dap.ExceptionDetails{
			Message: explain(b), TypeName: b.Name, FullTypeName: fmt.Sprintf("bug check %v", b.Code), StackTrace: stack.String(),
		},
	}, nil
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
