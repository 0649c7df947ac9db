package model

import (
	"context"
	"strings"
	"unicode/utf8"
)

func badCount(method string) error {
	return Errorf("Invalid number of arguments to method '%s'", method)
}

func mustBe(n int, what, method string) error {
	return Errorf("Argument number %d must be %s in call to method '%s'", n, what, method)
}

func outOfRange(method string) error {
	return Errorf("Index out of range in call to method '%s'", method)
}

// stringMethods take texts (s) and numbers (n); a capital stands for one that
// may be left out.
var stringMethods = map[string]struct {
	args string
	call func(s []rune, args []Value, name string) (Value, error)
}{
	"Contains": {"s", func(s []rune, a []Value, _ string) (Value, error) {
		return Truth(strings.Contains(string(s), text(a[0]))), nil
	}},
	"StartsWith": {"s", func(s []rune, a []Value, _ string) (Value, error) {
		return Truth(strings.HasPrefix(string(s), text(a[0]))), nil
	}},
	"EndsWith": {"s", func(s []rune, a []Value, _ string) (Value, error) {
		return Truth(strings.HasSuffix(string(s), text(a[0]))), nil
	}},
	"IndexOf": {"s", func(s []rune, a []Value, _ string) (Value, error) {
		return position(string(s), strings.Index(string(s), text(a[0]))), nil
	}},
	"LastIndexOf": {"s", func(s []rune, a []Value, _ string) (Value, error) {
		return position(string(s), strings.LastIndex(string(s), text(a[0]))), nil
	}},
	"ToUpper": {"", func(s []rune, _ []Value, _ string) (Value, error) { return String(strings.ToUpper(string(s))), nil }},
	"ToLower": {"", func(s []rune, _ []Value, _ string) (Value, error) { return String(strings.ToLower(string(s))), nil }},
	"Replace": {"ss", func(s []rune, a []Value, name string) (Value, error) {
		if text(a[0]) == "" {
			return String(s), nil
		}
		out := strings.ReplaceAll(string(s), text(a[0]), text(a[1]))
		if len(out) > maxString {
			return nil, outOfRange(name)
		}
		return String(out), nil
	}},
	"PadLeft":  {"n", func(s []rune, a []Value, name string) (Value, error) { return pad(s, a[0], name, true) }},
	"PadRight": {"n", func(s []rune, a []Value, name string) (Value, error) { return pad(s, a[0], name, false) }},
	"Substring": {"nN", func(s []rune, a []Value, name string) (Value, error) {
		from, to, err := span(s, a, name)
		if err != nil {
			return nil, err
		}
		return String(s[from:to]), nil
	}},
	"Remove": {"nN", func(s []rune, a []Value, name string) (Value, error) {
		from, to, err := span(s, a, name)
		if err != nil {
			return nil, err
		}
		return String(string(s[:from]) + string(s[to:])), nil
	}},
}

// maxString bounds the texts that methods make.
const maxString = 1 << 20

func text(v Value) string {
	s, _ := v.(String)
	return string(s)
}

// position converts a byte offset, -1 for none, to a number of characters.
func position(s string, at int) Value {
	if at >= 0 {
		at = utf8.RuneCountInString(s[:at])
	}
	return I32(int32(at))
}

func pad(s []rune, width Value, name string, left bool) (Value, error) {
	n := index64(width)
	if n > maxString {
		return nil, outOfRange(name)
	}
	blanks := strings.Repeat(" ", max(0, int(n)-len(s)))
	if left {
		return String(blanks + string(s)), nil
	}
	return String(string(s) + blanks), nil
}

// index64 is a number that was checked already.
func index64(v Value) uint64 {
	n, _, _ := numberOf(v)
	return uint64(n.Int())
}

func span(s []rune, a []Value, name string) (from, to int, err error) {
	start := index64(a[0])
	if start > uint64(len(s)) {
		return 0, 0, outOfRange(name)
	}
	length := uint64(len(s)) - start
	if len(a) > 1 {
		if n := index64(a[1]); n > length {
			return 0, 0, outOfRange(name)
		}
		length = index64(a[1])
	}
	return int(start), int(start + length), nil
}

// stringMember returns a property or method of a text.
func stringMember(s String, name string) (Value, bool) {
	if name == "Length" {
		return U64(uint64(utf8.RuneCountInString(string(s)))), true
	}
	m, ok := stringMethods[name]
	if !ok {
		return nil, false
	}
	return &Function{Name: name, Call: func(_ context.Context, args []Value) (Value, error) {
		least := len(strings.TrimRight(m.args, "N"))
		if len(args) < least || len(args) > len(m.args) {
			return nil, badCount(name)
		}
		for i, a := range args {
			if m.args[i] == 's' {
				if _, ok := a.(String); !ok {
					return nil, mustBe(i+1, "a string", name)
				}
				continue
			}
			if _, ok := nonNegative(a); !ok {
				return nil, mustBe(i+1, "an non-negative integer", name)
			}
		}
		return m.call([]rune(string(s)), args, name)
	}}, true
}

// nonNegative returns a number that counts something.
func nonNegative(v Value) (uint64, bool) {
	n, ok, err := numberOf(v)
	if !ok || err != nil || n.Kind == Double || n.Kind.signed() && n.Int() < 0 {
		return 0, false
	}
	return uint64(n.Int()), true
}
