package command

import (
	"context"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"kdap/engine/expr"
	"kdap/engine/memory"
	"kdap/engine/symbols"
)

func searchCommands() []*Command {
	return []*Command{
		{
			Names: []string{"s"}, Args: "[-[[Flags]]Type] Range Pattern | -[[Flags]]v Range Object | -[[Flags]]sa|su Range",
			Short: "search memory for bytes, numbers, text or strings",
			Run:   func(ctx context.Context, s *Session, c *Call) error { return s.runSearch(ctx, c) },
		},
		{
			Names: []string{"c"}, Args: "Range Address", Short: "compare two ranges of memory",
			Run: func(ctx context.Context, s *Session, c *Call) error { return s.runCompare(ctx, c.Args) },
		},
	}
}

// searchState is what searches leave for the next ones.
type searchState struct {
	saved []uint64 // -[s]: the hits that -[r] looks at
	limit uint64   // -[n]: how many are saved; 0 for the most
}

// maxSaved bounds the hits that are saved.
const maxSaved = 1 << 22

// A searchCall is one use of s.
type searchCall struct {
	kind      string // b w d q a u v sa su
	addresses bool   // 1
	save      bool   // s
	restrict  bool   // r
	least     uint64 // l: of strings
	space     memory.Space
}

// searchUnits are the bytes of an element of each type.
var searchUnits = map[string]uint64{"b": 1, "w": 2, "d": 4, "q": 8, "a": 1, "u": 2, "v": 1, "sa": 1, "su": 2}

// searchForms are the d forms that hits are shown in.
var searchForms = map[string]string{"b": "db", "a": "db", "w": "dW", "u": "dW", "d": "dc", "q": "dq", "v": "dq"}

func (s *Session) runSearch(ctx context.Context, c *Call) error {
	q := searchCall{kind: "b", least: defaultStringLength, space: s.space()}
	if err := s.searchType(c.Args, &q); err != nil {
		return err
	}
	missing := expr.Caret("Search pattern missing from", len(c.Args.Text))
	if c.Args.Done() {
		missing.Pos = c.Args.Pos
		return missing
	}
	unit := searchUnits[q.kind]
	r, err := expr.ReadRange(s.env(), c.Args, expr.RangeSpec{ElemSize: unit, Default: 128 / unit, MaxUnlimited: maxUnlimited})
	if err != nil {
		return err
	}
	if q.kind == "sa" || q.kind == "su" {
		return s.searchStrings(ctx, q, r)
	}
	patterns, err := s.searchPattern(ctx, c, q)
	if err != nil || patterns == nil {
		return err
	}
	return s.showHits(ctx, c.Args, q, r, patterns)
}

// searchType reads "-[flags]type".
func (s *Session) searchType(c *expr.Cursor, q *searchCall) error {
	c.SkipBlanks()
	if !strings.HasPrefix(c.Rest(), "-") {
		return nil
	}
	c.Pos++
	if strings.HasPrefix(c.Rest(), "[") {
		c.Pos++
		if err := s.searchFlags(c, q); err != nil {
			return err
		}
	}
	rest := c.Rest()
	for _, kind := range []string{"sa", "su", "b", "w", "d", "q", "a", "u", "v"} {
		if strings.HasPrefix(rest, kind) {
			q.kind = kind
			c.Pos += len(kind)
			return nil
		}
	}
	return expr.Caret("Syntax error", c.Pos)
}

func (s *Session) searchFlags(c *expr.Cursor, q *searchCall) error {
	for {
		rest := c.Rest()
		if rest == "" {
			return expr.Caret("Syntax error", c.Pos)
		}
		switch rest[0] {
		case ']':
			c.Pos++
			return nil
		case '1':
			q.addresses = true
		case 's':
			q.save = true
		case 'r':
			q.restrict = true
		case 'w':
			return expr.Caret("Operation not supported in current debug session", c.Pos+1)
		case 'n', 'l':
			c.Pos++
			noun := "Search save length"
			if rest[0] == 'l' {
				noun = "Limit value"
			}
			v, err := expr.Evaluate(s.env(), c, expr.DefaultKind, noun)
			if err != nil {
				return err
			}
			if rest[0] == 'l' {
				q.least = v
			} else {
				s.search.limit = v
			}
			if !strings.HasPrefix(c.Rest(), "]") {
				return expr.Caret("Syntax error", c.Pos)
			}
			continue
		default:
			return expr.Caret("Syntax error", c.Pos)
		}
		c.Pos++
	}
}

// searchPattern reads what is looked for, nil when there is nothing to look
// for and that was said.
func (s *Session) searchPattern(ctx context.Context, c *Call, q searchCall) (patterns [][]byte, err error) {
	switch q.kind {
	case "a", "u":
		text, err := searchText(c)
		if err != nil {
			return nil, err
		}
		if q.kind == "u" {
			var b []byte
			for _, u := range utf16.Encode([]rune(text)) {
				b = binary.LittleEndian.AppendUint16(b, u)
			}
			return [][]byte{b}, nil
		}
		return [][]byte{[]byte(text)}, nil
	case "v":
		return s.vtables(ctx, c)
	}
	unit := searchUnits[q.kind]
	for !c.Args.Done() {
		v, err := s.number(c.Args)
		if err != nil {
			return nil, err
		}
		if unit < 8 && v>>(8*unit) != 0 {
			return nil, expr.Caret("Overflow error", c.Args.Pos)
		}
		b := make([]byte, 8)
		binary.LittleEndian.PutUint64(b, v)
		patterns = append(patterns, b[:unit])
	}
	if len(patterns) == 0 {
		return nil, expr.Caret("Search pattern missing from", c.Args.Pos)
	}
	return patterns, nil
}

// searchText reads a text in quotes, or one word.
func searchText(c *Call) (string, error) {
	a := c.Args
	if a.Done() {
		return "", expr.Caret("Non-empty string required", a.Pos)
	}
	if a.Rest()[0] != '"' {
		return c.Word(), nil
	}
	a.Pos++
	end := strings.IndexByte(a.Rest(), '"')
	switch {
	case end < 0:
		return "", expr.Caret("Trailing quote missing", len(a.Text))
	case end == 0:
		return "", expr.Caret("Non-empty string required", a.Pos)
	}
	text := a.Rest()[:end]
	c.shown = a.Text[:a.Pos+end] // errors quote the command up to there
	a.Pos += end + 1
	return text, nil
}

// vtables returns the values that objects of a class begin with.
func (s *Session) vtables(ctx context.Context, c *Call) ([][]byte, error) {
	name := c.Word()
	if name == "" {
		return nil, expr.Caret("Non-empty string required", c.Args.Pos)
	}
	mod, class, qualified := strings.Cut(name, "!")
	if !qualified {
		mod, class = "", name
	}
	size := s.env().PointerSize()
	var out [][]byte
	for _, m := range s.modulesFor(ctx, mod) {
		table := s.symbolsOf(ctx, m)
		if sym, ok := table.Lookup(class); ok {
			if t := sym.Type(); t != nil && t.Kind.IsAggregate() {
				class = t.Name
			}
		}
		for _, raw := range vtableNames(class) {
			if sym, ok := rawSymbol(table, raw); ok {
				b := make([]byte, 8)
				binary.LittleEndian.PutUint64(b, m.Base+uint64(sym.RVA))
				out = append(out, b[:size])
			}
		}
	}
	if len(out) == 0 {
		s.printf("Object '%s' has no vtables\n", name)
	}
	return out, nil
}

// vtableNames is how the compiler decorates a class's table of virtual
// functions: names of namespaces follow from the inside out.
func vtableNames(class string) []string {
	parts := strings.Split(class, "::")
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i] + "@")
	}
	return []string{"??_7" + b.String() + "@6B@"}
}

func rawSymbol(t *symbols.Table, raw string) (symbols.Symbol, bool) {
	sym, ok := t.Lookup(raw)
	return sym, ok && sym.Raw == raw
}

// showHits searches and shows the hits.
func (s *Session) showHits(ctx context.Context, c *expr.Cursor, q searchCall, r expr.Range, patterns [][]byte) error {
	limit := uint64(maxSaved)
	if s.search.limit != 0 {
		limit = min(limit, s.search.limit)
	}
	var saved []uint64
	full := false
	hit := func(va uint64) bool {
		if q.save && uint64(len(saved)) == limit {
			full = true
			return false
		}
		if q.save {
			saved = append(saved, va)
		}
		s.showHit(q, va)
		return ctx.Err() == nil
	}
	if q.restrict {
		before := s.search.saved
		if q.save {
			before = nil // saving begins with an empty list
		} else if !q.addresses {
			s.printf("Searching %d hits\n", len(before))
		}
		s.searchSaved(before, q, patterns, hit)
	} else if err := s.searchMemory(ctx, q, r, patterns, hit); err != nil {
		return err
	}
	if q.save {
		s.search.saved = saved
		if full {
			return expr.Caret("Overflow error", c.Pos)
		}
		if !q.addresses || q.restrict {
			s.printf("Saved %d hits\n", len(saved))
		}
	}
	return ctx.Err()
}

// searchSaved looks at the hits that were saved: only for one element.
func (s *Session) searchSaved(saved []uint64, q searchCall, patterns [][]byte, hit func(uint64) bool) {
	if len(patterns) != 1 || q.kind == "a" || q.kind == "u" {
		return
	}
	b := make([]byte, len(patterns[0]))
	for _, va := range saved {
		if n, _ := q.space.Read(va, b); n == len(b) && string(b) == string(patterns[0]) && !hit(va) {
			return
		}
	}
}

func (s *Session) searchMemory(ctx context.Context, q searchCall, r expr.Range, patterns [][]byte, hit func(uint64) bool) error {
	unit := searchUnits[q.kind]
	if r.Count == 0 {
		return nil
	}
	first, last := r.Addr, r.Addr+r.Count*unit-1
	if r.ByEnd {
		last = r.End
	}
	if last < first {
		last = ^uint64(0)
	}
	query := memory.Query{First: first, Last: last, Step: unit}
	if q.kind == "v" {
		query.Step = uint64(s.env().PointerSize())
		for _, p := range patterns {
			query.Pattern = p
			if err := memory.Search(ctx, q.space, query, hit); err != nil {
				return err
			}
		}
		return nil
	}
	for _, p := range patterns {
		query.Pattern = append(query.Pattern, p...)
	}
	return memory.Search(ctx, q.space, query, hit)
}

func (s *Session) showHit(q searchCall, va uint64) {
	if q.addresses {
		s.printf("0x%s\n", s.addressText(va))
		return
	}
	form := searchForms[q.kind]
	f := rowForms[form]
	w := rowWriter{form: f, dash: form == "db", narrow: s.addressDigits() == 8}
	b, valid := readHoles(q.space, va, f.cells*uint64(f.size))
	s.printf("%s", w.rows(va, b, valid))
}
