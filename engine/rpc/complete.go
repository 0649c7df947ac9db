package rpc

import (
	"context"
	"iter"
	"slices"
	"strings"
	"unicode/utf16"

	"kdap/engine/command"
	"kdap/engine/list"
)

// Bounds of one answer, and of the names that are looked through for it.
const (
	maxCompletions = 200
	maxLookedAt    = 400000
)

func onCompletions(c *client, ctx context.Context, t *target, p CompletionsParams) (any, error) {
	s := c.session(p.Session)
	if s == nil {
		return nil, errNoSession(p.Session)
	}
	units := utf16.Encode([]rune(p.Line))
	column := min(max(p.Column, 0), len(units))
	line := string(utf16.Decode(units[:column]))
	// A word ends at blanks, operators and the end of a command.
	start := strings.LastIndexAny(line, " \t;(),+-*/=&|<>\"'") + 1
	word := line[start:]
	before := strings.TrimLeft(line[strings.LastIndexByte(line, ';')+1:start], " \t")
	f := completer{word: strings.ToLower(strings.TrimPrefix(word, "@")), items: []Completion{}}
	if before == "" {
		f.commands()
	}
	if before != "" || !strings.HasPrefix(word, ".") && !strings.HasPrefix(word, "!") && len(word) > 0 {
		f.names(ctx, t, s)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	length := len(utf16.Encode([]rune(f.replaced(word))))
	return CompletionsResult{Start: column - length, Length: length, Items: f.items}, nil
}

type completer struct {
	word  string // lower case
	items []Completion
}

// replaced is the part of the typed word that an item stands for.
func (f *completer) replaced(word string) string { return strings.TrimPrefix(word, "@") }

func (f *completer) full() bool { return len(f.items) >= maxCompletions }

func (f *completer) add(text, detail, kind string) {
	if !f.full() && strings.HasPrefix(strings.ToLower(text), f.word) {
		f.items = append(f.items, Completion{Text: text, Detail: detail, Kind: kind})
	}
}

func (f *completer) commands() {
	for _, c := range command.All() {
		for _, name := range c.Names {
			f.add(name, c.Short, "command")
		}
	}
	slices.SortStableFunc(f.items, func(a, b Completion) int { return strings.Compare(a.Text, b.Text) })
}

// names offers modules; behind "mod!" the module's symbols and types; and the
// names of processes.
func (f *completer) names(ctx context.Context, t *target, s *session) {
	set := s.console.Modules(ctx)
	module, prefix, qualified := strings.Cut(f.word, "!")
	if qualified {
		for _, m := range set.All() {
			if !strings.EqualFold(m.Name, module) {
				continue
			}
			tab := m.Symbols(ctx)
			if src := tab.Types(); src != nil && prefix != "" {
				f.matching(ctx, m.Name+"!", "type", func(yield func(string) bool) {
					for typ := range src.Types() {
						if !typ.Forward && !yield(typ.Name) {
							return
						}
					}
				})
			}
			f.matching(ctx, m.Name+"!", "symbol", func(yield func(string) bool) {
				for sym := range tab.All() {
					if !yield(sym.Name) {
						return
					}
				}
			})
			return
		}
		return
	}
	for _, m := range set.All() {
		f.add(m.Name+"!", m.ImageName, "module")
	}
	if f.word == "" {
		return
	}
	for p, err := range list.AllProcesses(ctx, t.System) {
		if err == nil {
			if name, err := p.ImageName(); err == nil {
				f.add(name, "process", "process")
			}
		}
	}
	if strings.HasPrefix(f.word, "_") && t.System.Nt() != nil {
		if src := t.System.Nt().Types(); src != nil {
			f.matching(ctx, "", "type", func(yield func(string) bool) {
				for typ := range src.Types() {
					if !typ.Forward && !yield(typ.Name) {
						return
					}
				}
			})
		}
	}
}

// matching adds the names that begin as the word does, each once, in order.
func (f *completer) matching(ctx context.Context, prefix, kind string, names iter.Seq[string]) {
	seen := map[string]bool{}
	looked := 0
	for name := range names {
		if looked++; looked > maxLookedAt || looked%1024 == 0 && ctx.Err() != nil {
			break
		}
		full := prefix + name
		if len(full) >= len(f.word) && strings.EqualFold(full[:len(f.word)], f.word) {
			seen[full] = true
		}
	}
	found := make([]string, 0, len(seen))
	for name := range seen {
		found = append(found, name)
	}
	slices.Sort(found)
	for _, name := range found {
		f.add(name, "", kind)
	}
}
