package command

import (
	"context"
	"math"
	"strings"

	"kdap/engine/arch/amd64/disasm"
	"kdap/engine/expr"
	"kdap/engine/wildcard"
)

func cmdSearchCode() *Command {
	return &Command{
		Names: []string{"#"}, Args: "[Pattern] [Address [L Count]]", Short: "search code for text of its lines",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			pattern := searchPattern(c.Args)
			r, limited, err := s.searchRange(c.Args)
			if err != nil {
				return err
			}
			return s.searchCode(ctx, c.Args, wildcard.CompileContains(pattern), r, limited)
		},
	}
}

// searchPattern takes the pattern: a word, or text in quotes.
func searchPattern(c *expr.Cursor) string {
	if c.Done() {
		return ""
	}
	rest := c.Rest()
	if rest[0] == '"' {
		if end := strings.IndexByte(rest[1:], '"'); end >= 0 {
			c.Pos += end + 2
			return rest[1 : end+1]
		}
	}
	return c.Word()
}

// searchRange reads where to search. Without a length the search goes on to
// the first hit.
func (s *Session) searchRange(c *expr.Cursor) (r codeRange, limited bool, err error) {
	from := c.Pos
	if c.Done() {
		c.Pos = from
		r.count = math.MaxUint64
		if s.code.search != nil {
			r.start = *s.code.search
			return r, false, nil
		}
		r.start, err = s.nextCode()
		return r, false, err
	}
	read, err := expr.ReadRange(s.env(), c, expr.RangeSpec{ElemSize: 1, Default: 1})
	if err != nil {
		return r, false, err
	}
	r.start, r.count = read.Addr, read.Count
	if !read.Given {
		r.count = math.MaxUint64
	}
	if r.start == 0 {
		if r.start, err = s.currentCode(); err != nil {
			return r, false, err
		}
		s.printf("Search address set to %s \n", s.addressText(r.start))
	}
	return r, read.Given, nil
}

func (s *Session) searchCode(ctx context.Context, c *expr.Cursor, pattern *wildcard.Pattern, r codeRange, all bool) error {
	v := s.codeView(ctx)
	va := r.start
	s.code.search = &va
	for n := uint64(0); n < r.count && va >= r.start; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		l := v.at(va)
		if l.state == disasm.Unreadable || l.state == disasm.Cut {
			return expr.Caret("Memory access error", c.Pos)
		}
		hit := va
		va = l.next
		if !pattern.Match(l.text) {
			continue
		}
		v.begun = false
		v.print(ctx, hit, l.text)
		if !all {
			return nil
		}
	}
	return nil
}
