package adapter

import (
	"strings"
	"unicode/utf16"

	"github.com/google/go-dap"
)

// itemTypes are the protocol's sorts of completions.
var itemTypes = map[string]dap.CompletionItemType{
	"command": "keyword", "module": "module", "symbol": "function", "type": "class", "process": "value", "alias": "text", "register": "variable",
}

func onCompletions(a *Adapter, c *call, args dap.CompletionsArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(args.Text, "\n")
	n := args.Line
	if !a.zeroLines() {
		n--
	}
	n = min(max(n, 0), len(lines)-1)
	before := len(utf16.Encode([]rune(strings.Join(lines[:n], "\n"))))
	if n > 0 {
		before++ // the line end
	}
	first := a.column(1)
	r, err := s.Completions(c.ctx, lines[n], args.Column-first)
	if err != nil {
		return nil, err
	}
	b := dap.CompletionsResponseBody{Targets: []dap.CompletionItem{}}
	for _, it := range r.Items {
		b.Targets = append(b.Targets, dap.CompletionItem{
			Label: it.Text, Detail: it.Detail, Type: itemTypes[it.Kind], Start: before + r.Start + first, Length: r.Length,
		})
	}
	return b, nil
}

func (a *Adapter) zeroLines() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.client.zeroLines
}
