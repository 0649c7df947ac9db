package symbols

import (
	"strings"

	"kdap/engine/symbols/undecorate"
)

// DisplayName returns the form of a public symbol's name that debuggers show:
// one leading underscore is cut, and what follows an "@" with a digit; the
// names of C++ are undecorated without arguments and kinds.
func DisplayName(raw string) string {
	if strings.HasPrefix(raw, "?") {
		return undecorate.Name(raw)
	}
	name := strings.TrimPrefix(raw, "_")
	if name == "" {
		return raw
	}
	if !strings.Contains(name, "@") {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch {
		case name[i] != '@':
			b.WriteByte(name[i])
		case i+1 < len(name) && name[i+1] >= '0' && name[i+1] <= '9':
			return b.String()
		}
	}
	return b.String()
}

// Prototype returns what x shows in parentheses behind a public function: the
// name itself, or the whole declaration of a C++ one.
func Prototype(raw string) string {
	if strings.HasPrefix(raw, "?") {
		return undecorate.Full(raw)
	}
	return raw
}

// rawCandidates are the names a public symbol may have that is shown as name,
// the likeliest first. Names that lost more than an underscore are not among
// them.
func rawCandidates(name string) []string {
	if strings.HasPrefix(name, "_") {
		return []string{"_" + name, name}
	}
	return []string{name, "_" + name}
}

// isStringLiteral reports a name of a string constant, which x leaves out when
// no scope tells it from the others.
func isStringLiteral(raw string) bool {
	return strings.HasPrefix(raw, "??_C@") && DisplayName(raw) == "`string'"
}
