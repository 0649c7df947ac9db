package command

import (
	"kdap/engine/expr"
	"kdap/engine/list"
)

// visible makes the control characters of a text from the dump visible.
func visible(s string) string { return list.Visible(s) }

// evaluate evaluates one word with the default evaluator.
func (s *Session) evaluate(word string) (uint64, error) {
	c := expr.NewCursor(word)
	v, err := s.number(c)
	if err == nil {
		err = c.Extra()
	}
	return v, err
}
