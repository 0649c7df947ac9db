package expr

import (
	"strings"

	"kdap/engine/types"
)

// functions are the names that stand before bracketed operands. Each gets the
// place where its name begins, with the cursor behind the name.
var functions map[string]func(*masm, int) (uint64, error)

func init() { // the functions evaluate expressions, which look into the table
	functions = map[string]func(*masm, int) (uint64, error){
		"$iment":  (*masm).entryPoint,
		"$fnsucc": (*masm).functionSucceeded,
		"$vvalid": (*masm).valid,
		"$scmp": stringFunction(func(a, b string) uint64 {
			return uint64(int64(strings.Compare(a, b)))
		}),
		"$sicmp": stringFunction(func(a, b string) uint64 {
			return uint64(int64(strings.Compare(strings.ToLower(a), strings.ToLower(b))))
		}),
		"$spat": stringFunction(func(s, pattern string) uint64 {
			return oneIf((pattern != "" || s == "") && MatchPattern(s, pattern))
		}),
	}
}

// operand reads one operand of a function and the character behind it.
func (m *masm) operand(closing byte) (uint64, error) {
	v, err := m.nested(m.expr)
	if err != nil {
		return 0, err
	}
	return v, m.expect(closing)
}

// entryPoint is $iment(address).
func (m *masm) entryPoint(start int) (uint64, error) {
	if err := m.expect('('); err != nil {
		return 0, err
	}
	addr, err := m.operand(')')
	if err != nil {
		return 0, err
	}
	entry, ok := m.env.EntryPoint(addr)
	if !ok {
		return 0, Caret("Unknown image error", start)
	}
	return entry, nil
}

// functionSucceeded is $fnsucc(function, returned value, flag): what the value
// means follows from the function's return type.
func (m *masm) functionSucceeded(start int) (uint64, error) {
	if err := m.expect('('); err != nil {
		return 0, err
	}
	addr, err := m.nested(m.expr)
	if err != nil {
		return 0, err
	}
	t, ok := m.env.FunctionType(addr)
	if !ok || t.Kind != types.Function || t.Elem() == nil {
		return 0, Caret("Unknown or unsupported return type", start)
	}
	if err := m.expect(','); err != nil {
		return 0, err
	}
	value, err := m.operand(',')
	if err != nil {
		return 0, err
	}
	flag, err := m.operand(')')
	if err != nil {
		return 0, err
	}
	switch result := t.Elem(); {
	case result.Kind == types.HResult:
		return oneIf(int32(value) >= 0), nil
	case result.Kind == types.Int && flag != 0:
		return oneIf(value == 0), nil
	}
	return oneIf(value != 0), nil
}

// valid is $vvalid(address, length).
func (m *masm) valid(int) (uint64, error) {
	if err := m.expect('('); err != nil {
		return 0, err
	}
	addr, err := m.operand(',')
	if err != nil {
		return 0, err
	}
	length, err := m.nested(m.expr)
	if err != nil {
		return 0, err
	}
	if length == 0 {
		m.c.SkipBlanks()
		return 0, Quote("Invalid length in", m.c, m.c.Pos)
	}
	if err := m.expect(')'); err != nil {
		return 0, err
	}
	return oneIf(readable(m.env.Memory(), addr, length)), nil
}

// stringFunction makes a function of two quoted literals. Everything wrong
// with the operands is reported from the opening bracket on.
func stringFunction(apply func(a, b string) uint64) func(*masm, int) (uint64, error) {
	return func(m *masm, _ int) (uint64, error) {
		m.c.SkipBlanks()
		open := m.c.Pos
		if err := m.expect('('); err != nil {
			return 0, err
		}
		a, ok := m.literal()
		if !ok || m.expect(',') != nil {
			return 0, m.fail("Syntax", open)
		}
		b, ok := m.literal()
		if !ok {
			return 0, m.fail("Syntax", open)
		}
		if err := m.expect(')'); err != nil {
			return 0, err
		}
		return apply(a, b), nil
	}
}

// literal reads "text".
func (m *masm) literal() (string, bool) {
	m.c.SkipBlanks()
	if m.c.at(0) != '"' {
		return "", false
	}
	text, _, ok := strings.Cut(m.c.Text[m.c.Pos+1:m.c.end()], `"`)
	if !ok {
		return "", false
	}
	m.c.Pos += len(text) + 2
	return text, true
}
