package model

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/types"
)

// A Spec is a format specifier.
type Spec struct {
	radix  byte // x d o b, 0 for the usual one
	char   bool // c
	bare   bool // sb, s8b: byte strings without quotes
	wide   bool // sub: wide strings without quotes
	text   bool // one of the string formats
	name   bool // en: enumerators without their value
	raw    bool // !
	count  uint64
	limits bool // count was given
}

// specs are the words of formats; na, hv, hr, wm and nd change nothing.
var specs = map[string]Spec{
	"x": {radix: 'x'}, "d": {radix: 'd'}, "o": {radix: 'o'}, "b": {radix: 'b'},
	"c": {char: true}, "en": {name: true}, "!": {raw: true},
	"s": {text: true}, "s8": {text: true}, "su": {text: true},
	"sb": {text: true, bare: true}, "s8b": {text: true, bare: true}, "sub": {text: true, wide: true},
	"nd": {}, "na": {}, "hv": {}, "hr": {}, "wm": {},
}

// spec reads a format: a word, or an expression that gives a number of elements.
func (m *Machine) spec(ctx context.Context, text string) (Spec, error) {
	if s, ok := specs[text]; ok {
		return s, nil
	}
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	p, err := parse(text, nil)
	if err != nil {
		return Spec{}, err
	}
	v, err := m.ev.value(ctx, p.root, nil)
	if err != nil {
		return Spec{}, err
	}
	n, ok, err := numberOf(v)
	if err != nil || !ok {
		return Spec{}, errors.Join(err, SystemError(TypeMismatch))
	}
	return Spec{count: uint64(max(n.Int(), 0)), limits: true}, nil
}

// child is the format of what an object of this format holds.
func (s Spec) child() Spec {
	s.limits, s.count = false, 0
	return s
}

func hex(v uint64) string { return "0x" + strconv.FormatUint(v, 16) }

// digits writes a number in a radix.
func digits(v uint64, radix byte) string {
	switch radix {
	case 'o':
		if v == 0 {
			return "0"
		}
		return "0" + strconv.FormatUint(v, 8)
	case 'b':
		return "0y" + strconv.FormatUint(v, 2)
	case 'd':
		return strconv.FormatUint(v, 10)
	}
	return hex(v)
}

// integer writes a number of a width in bits.
func (m *Machine) integer(v uint64, width uint, signed bool, s Spec) string {
	set := m.host.Settings()
	radix := s.radix
	if radix == 0 {
		switch {
		case signed && !set.SignedInRadix, set.Radix == 10:
			radix = 'd'
		case set.Radix == 8:
			radix = 'o'
		default:
			radix = 'x'
		}
	}
	if radix == 'd' && signed {
		return strconv.FormatInt(signExtend(v, width), 10)
	}
	if width < 64 {
		v &= 1<<width - 1
	}
	return digits(v, radix)
}

func floatText(f float64) string { return format.F(f, 6) }

// numberText writes a number without a C type.
func (m *Machine) numberText(n Number, s Spec) string {
	switch n.Kind {
	case Double:
		return floatText(n.Float())
	case Bool:
		return strconv.FormatBool(n.Bits != 0)
	case BigDecimal:
		if s.radix == 0 {
			return strconv.FormatUint(n.Bits, 10)
		}
	}
	text := m.integer(n.Bits, n.Kind.bits(), n.Kind.signed(), s)
	if s.char {
		text += " " + forcedCharacter(n.Bits)
	}
	return text
}

// forcedCharacter is what ,c shows of any number.
func forcedCharacter(v uint64) string {
	if v > unicode.MaxRune || v == 0 || !unicode.IsPrint(rune(v)) {
		return "''"
	}
	return "'" + string(rune(v)) + "'"
}

// characters are the characters that show as themselves or by their name
// behind a number.
func characterText(v uint64) string {
	switch {
	case v == '\n':
		return ` '\n'`
	case v == '\r':
		return ` '\r'`
	case v == '\t':
		return ` '\t'`
	case v >= 0x20 && v < 0x7f:
		return " '" + string(rune(v)) + "'"
	}
	return ""
}

// text returns what is shown of a value, "" when nothing is, and its type.
// The error is that of reading it.
func (m *Machine) text(ctx context.Context, v Value, s Spec) (text, typ string, err error) {
	switch v := v.(type) {
	case Number:
		return m.numberText(v, s), "", nil
	case String:
		return visible(string(v)), "", nil
	case *Object:
		if v.Text == nil {
			return "", "", nil
		}
		text, err = v.Text(ctx)
		return visible(text), "", err
	case Failure:
		return "", "", v.Err
	case Native:
		if v.isVoid() {
			if v.Located {
				return "", "", v.noType()
			}
			return "", "void", nil
		}
		text, err = m.nativeText(ctx, v, s)
		return text, TypeName(v.Type), err
	}
	return "", "", nil
}

// visible replaces what would move the cursor.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == unicode.ReplacementChar {
			return '.'
		}
		return r
	}, s)
}

// nativeText returns the text of a C++ object.
func (m *Machine) nativeText(ctx context.Context, n Native, s Spec) (string, error) {
	t := n.Type
	switch {
	case t.Kind == types.Array:
		return m.arrayText(n, s)
	case t.Kind == types.Function:
		return m.host.CodeName(ctx, n.Addr), nil
	case t.Kind.IsAggregate():
		if n.closed {
			return "", nil
		}
		return guidText(n), nil
	case !n.isScalar():
		return "", nil
	}
	bits, err := n.load()
	if err != nil {
		return "", err
	}
	if t.Kind == types.Pointer {
		return m.pointerText(ctx, n, bits, s), nil
	}
	return m.scalarText(t, bits, s), nil
}

// scalarText writes the bits of a number type.
func (m *Machine) scalarText(t *types.Type, bits uint64, s Spec) string {
	st := storage(t)
	width := widthOf(t)
	switch st.Kind {
	case types.Bool:
		return strconv.FormatBool(bits != 0)
	case types.Float:
		return floatText(nativeNumber(st, bits).Float())
	case types.Enum:
		return m.enumText(st, bits, width, s)
	}
	text := m.integer(bits, width, isSigned(st), s)
	switch {
	case s.char:
		text += " " + forcedCharacter(bits)
	case s.radix == 0 && (st.Kind == types.Char || st.Kind == types.WChar || st.Name == "char16_t" || st.Name == "char32_t"):
		text += characterText(bits)
	}
	return text
}

func (m *Machine) enumText(t *types.Type, bits uint64, width uint, s Spec) string {
	number := m.integer(bits, width, true, s)
	for _, e := range t.Enumerators() {
		if signExtend(uint64(e.Value), width) == signExtend(bits, width) {
			if s.name {
				return e.Name
			}
			return fmt.Sprintf("%s (%s)", e.Name, number)
		}
	}
	return number
}

// pointerText writes a pointer and what it points to.
func (m *Machine) pointerText(ctx context.Context, n Native, bits uint64, s Spec) string {
	text := hex(bits)
	elem := n.Type.Elem()
	if bits == 0 || elem == nil || elem.Kind == types.Void || s.limits {
		return text
	}
	target := n.at(elem, bits)
	if isText(elem) {
		return text + " : " + m.quoted(target, maxText, s)
	}
	if elem.Kind == types.Pointer {
		if _, err := target.load(); err != nil {
			return text + " : " + err.Error()
		}
		return text
	}
	if n.raw && elem.Kind == types.Array {
		return text
	}
	more, err := m.nativeText(ctx, target, s)
	switch {
	case err != nil:
		return text + " : " + err.Error()
	case more == "":
		return text
	}
	return text + " : " + more
}

// isText reports character types whose sequences are strings.
func isText(t *types.Type) bool {
	return t != nil && (t.Kind == types.Char || t.Kind == types.WChar)
}

func (m *Machine) arrayText(n Native, s Spec) (string, error) {
	elem := n.Type.Elem()
	if !isText(elem) || n.raw || s.limits {
		return "", nil
	}
	if s.char {
		first, err := n.element(0)
		if err != nil {
			return "", err
		}
		bits, err := first.load()
		if err != nil {
			return "", err
		}
		return m.scalarText(elem, bits, s), nil
	}
	return m.quoted(n.at(elem, n.Addr), n.Type.Count, s), nil
}

// maxText bounds the strings that are shown.
const maxText = 0x1000

// quoted returns the text at an object of a character type, up to a NUL or a
// number of characters.
func (m *Machine) quoted(n Native, count uint64, s Spec) string {
	text, ok := readText(n.Space, n.Addr, int(n.Type.Size), min(count, maxText))
	if !ok {
		text = "--- memory read error at address 0x" + format.Addr(n.Addr) + " ---"
	} else if s.bare && n.Type.Size == 1 || s.wide && n.Type.Size == 2 {
		return text
	}
	return `"` + text + `"`
}

// readText reads characters; false when not even the first can be read.
func readText(space memory.Space, addr uint64, size int, count uint64) (string, bool) {
	if space == nil {
		return "", false
	}
	buf := make([]byte, count*uint64(size))
	var have int
	for have < len(buf) { // page by page, for strings that end before a hole
		n := min(len(buf)-have, memory.PageSize-int((addr+uint64(have))%memory.PageSize))
		got, err := space.Read(addr+uint64(have), buf[have:have+n])
		have += got
		if err != nil || got < n || endsText(buf[:have], size) {
			break
		}
	}
	if have < size && count > 0 {
		return "", false
	}
	buf = buf[:have]
	if size == 1 {
		var b strings.Builder
		for _, c := range buf {
			if c == 0 {
				break
			}
			if c < 0x20 || c >= 0x7f {
				c = '.'
			}
			b.WriteByte(c)
		}
		return b.String(), true
	}
	var units []uint16
	for i := 0; i+1 < len(buf); i += 2 {
		u := uint16(buf[i]) | uint16(buf[i+1])<<8
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return visible(string(utf16.Decode(units))), true
}

func endsText(b []byte, size int) bool {
	for i := 0; i+size <= len(b); i += size {
		if b[i] == 0 && (size == 1 || b[i+1] == 0) {
			return true
		}
	}
	return false
}

// isGUID reports the one structure that has a view of its own.
func isGUID(t *types.Type) bool {
	return t.Kind.IsAggregate() && t.Size == 16 && (t.Name == "_GUID" || t.Name == "GUID")
}

// guidText returns the text of a GUID, "" for other structures and where it
// cannot be read.
func guidText(n Native) string {
	if !isGUID(n.Type) || !n.Located || n.Space == nil {
		return ""
	}
	var b [16]byte
	if got, err := n.Space.Read(n.Addr, b[:]); err != nil || got < len(b) {
		return ""
	}
	return fmt.Sprintf("{%02X%02X%02X%02X-%02X%02X-%02X%02X-%X-%X}", b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8:10], b[10:])
}

// toDisplayString is the method of that name.
func (ev *evaluator) toDisplayString(ctx context.Context, v Value, args []Value) (Value, error) {
	m := &Machine{ev.host, ev}
	var s Spec
	if len(args) > 1 {
		return nil, badCount(displayMethod)
	}
	if len(args) == 1 {
		word, ok := args[0].(String)
		if !ok {
			return nil, mustBe(1, "a string", displayMethod)
		}
		if s, ok = specs[string(word)]; !ok {
			return nil, SystemError(Unexpected)
		}
	}
	if n, ok := v.(Native); ok && isPointer(n.Type) && s.text && isText(n.Type.Elem()) {
		bits, err := n.load()
		if err != nil {
			return nil, err
		}
		return String(m.quoted(n.at(n.Type.Elem(), bits), maxText, s)), nil
	}
	if n, ok := v.(Native); ok && n.Type != nil && n.Type.Kind == types.Array && !s.text {
		return nil, SystemError(NotImplemented)
	}
	text, _, err := m.text(ctx, v, s)
	return String(text), err
}
