package types

import "fmt"

// String spells the type as C would: "_EPROCESS", "unsigned long *", "char [15]".
// It is for messages; the dt and dx commands have spellings of their own.
func (t *Type) String() string { return t.spell(8) }

func (t *Type) spell(depth int) string {
	switch {
	case t == nil:
		return "<no type>"
	case depth == 0:
		return "..."
	}
	switch t.Kind {
	case Pointer:
		return t.Elem().spell(depth-1) + "*"
	case Array:
		return fmt.Sprintf("%s [%d]", t.Elem().spell(depth-1), t.Count)
	case Function:
		return "<function>"
	case BitField:
		return fmt.Sprintf("%s:%d", t.Elem().spell(depth-1), t.BitLen)
	}
	return t.Name
}
