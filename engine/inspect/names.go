package inspect

import (
	"fmt"
	"strings"

	"kdap/engine/model"
	"kdap/engine/types"
)

// A namer makes the expressions of what is below a value.
type namer struct {
	whole string          // expression of the value, "" without one
	taken map[string]bool // names and keys that came before
}

// expression returns the expression of a part, "" where there is none that is
// sure to give it. place counts the elements.
func (n namer) expression(value model.Value, p model.Part, place int) string {
	first := !n.taken[p.Name]
	n.taken[p.Name] = true
	e := n.whole
	if e == "" {
		return ""
	}
	o, native := value.(model.Native)
	pointer := native && o.Type != nil && o.Type.Kind == types.Pointer
	switch {
	case p.Pointee:
		return "*" + postfix(e)
	case p.Element && !first:
		return fmt.Sprintf("%s.Skip(%d).First()", postfix(e), place)
	case p.Element && strings.ContainsAny(p.Name, `\`) || p.Element && strings.Count(p.Name, `"`) > 2:
		return "" // a text that the expression would have to write otherwise
	case p.Element:
		return postfix(e) + p.Name
	case p.Field != nil && p.Field.Base:
		return base(o, p, e, pointer)
	case !first || !isName(p.Name):
		return ""
	case pointer:
		return postfix(e) + "->" + p.Name
	}
	return postfix(e) + "." + p.Name
}

// base is the expression of a base class: its members are those of the class
// itself in an expression, it has no name of its own.
func base(o model.Native, p model.Part, e string, pointer bool) string {
	if p.Field.Offset != 0 || !o.Located && !pointer {
		return ""
	}
	if !pointer {
		e = "&" + postfix(e)
	}
	return fmt.Sprintf("(*(%s *)%s)", p.Field.Type.Name, postfix(e))
}

func isName(s string) bool {
	for i, r := range s {
		if r != '_' && !letter(r) && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

func letter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// postfix returns an expression that a member or an index can stand behind.
func postfix(e string) string {
	depth, closed := 0, false
	for i, r := range e {
		switch {
		case r == '(' || r == '[':
			depth++
		case r == ')' || r == ']':
			depth--
			closed = true
			continue
		case depth > 0:
		case closed && (r == '_' || letter(r) || r >= '0' && r <= '9'):
			return "(" + e + ")" // a cast
		case strings.ContainsRune("_.:!@$", r), letter(r), r >= '0' && r <= '9':
		case strings.HasPrefix(e[i:], "->"), r == '>' && i > 0 && e[i-1] == '-':
		default:
			return "(" + e + ")"
		}
		closed = false
	}
	return e
}
