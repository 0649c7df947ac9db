package rpc

import (
	"context"
	"unicode/utf16"
)

// onCompletions asks the console itself: it runs in the session's turn, never
// beside a command.
func onCompletions(c *client, ctx context.Context, _ *target, p CompletionsParams) (any, error) {
	s := c.session(p.Session)
	if s == nil {
		return nil, errNoSession(p.Session)
	}
	units := utf16.Encode([]rune(p.Line))
	column := min(max(p.Column, 0), len(units))
	line := string(utf16.Decode(units[:column]))
	start, found := s.console.Complete(ctx, line, len(line))
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := CompletionsResult{Length: len(utf16.Encode([]rune(line[start:]))), Items: make([]Completion, 0, len(found))}
	r.Start = column - r.Length
	for _, it := range found {
		r.Items = append(r.Items, Completion{Text: it.Text, Detail: it.Detail, Kind: it.Kind})
	}
	return r, nil
}
