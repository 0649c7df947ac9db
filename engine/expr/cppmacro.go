package expr

import (
	"fmt"
	"strings"
)

// macros are the macros of the Windows headers that the evaluator knows, by
// name and number of operands, with the text they stand for. Errors inside one
// quote that text, so it is spelled as WinDbg's is.
var macros = map[string]struct {
	operands int
	text     string
}{
	"FIELD_OFFSET":             {2, "((long)&(((%[1]s *)0)->%[2]s))"},
	"CONTAINING_RECORD":        {3, "((%[2]s *)((char*)(%[1]s) - (int64)(&((%[2]s *)0)->%[3]s)))"},
	"RTL_FIELD_SIZE":           {2, "(sizeof(((%[1]s *)0)->%[2]s))"},
	"RTL_SIZEOF_THROUGH_FIELD": {2, "(((long)&(((%[1]s *)0)->%[2]s)) + (sizeof(((%[1]s *)0)->%[2]s)))"},
	"RTL_NUMBER_OF":            {1, "(sizeof(%[1]s)/sizeof((%[1]s)[0]))"},
	"RTL_CONTAINS_FIELD":       {3, "(((((char*)(&(%[1]s)->%[3]s)) + sizeof((%[1]s)->%[3]s)) <= ((char*)(%[1]s))+(%[2]s)))"},
}

// maxMacros bounds macros inside macros: every level may repeat its operands
// three times.
const maxMacros = 4

func (p *cpp) macro() (Value, error) {
	at := p.tok
	m, ok := macros[at.text]
	if !ok || p.macros >= maxMacros {
		return Value{}, p.fail("Syntax error at")
	}
	p.advance()
	operands, end, ok := splitOperands(p.c, p.tok.pos)
	if !ok || len(operands) != m.operands {
		return Value{}, p.fail("Syntax error at")
	}
	args := make([]any, len(operands))
	for i, o := range operands {
		args[i] = o
	}
	inner := &cpp{env: p.env, c: NewCursor(fmt.Sprintf(m.text, args...)), nesting: p.nesting}
	inner.macros++
	inner.advance()
	v, err := inner.comma()
	if err == nil && inner.tok.kind != tokEnd {
		err = inner.fail("Unexpected token")
	}
	if err != nil {
		return v, err
	}
	p.c.Pos = end
	p.advance()
	v.imaginary = false
	return v, nil
}

// splitOperands cuts a bracketed list at its commas and returns the place
// behind its closing bracket.
func splitOperands(c *Cursor, pos int) (operands []string, end int, ok bool) {
	if pos >= c.end() || c.Text[pos] != '(' {
		return nil, 0, false
	}
	depth, start := 0, pos+1
	for i := pos; i < c.end(); i++ {
		switch c.Text[i] {
		case '(', '[':
			depth++
		case ')', ']':
			if depth--; depth == 0 {
				return append(operands, strings.TrimSpace(c.Text[start:i])), i + 1, true
			}
		case ',':
			if depth == 1 {
				operands = append(operands, strings.TrimSpace(c.Text[start:i]))
				start = i + 1
			}
		}
	}
	return nil, 0, false
}
