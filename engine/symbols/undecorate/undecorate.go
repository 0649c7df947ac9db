// Package undecorate turns the decorated names of Microsoft's C++ compiler back
// into declarations, in the words of UnDecorateSymbolName.
//
// The grammar follows what the LLVM and Wine projects have published about it;
// the wording was compared with names that WinDbg printed. Names of managed
// code are not covered. A name that cannot be read is returned as it is.
package undecorate

import "strings"

const (
	// maxDepth bounds the nesting of types and names.
	maxDepth = 64
	// maxText bounds a result: back references can make a short name explode.
	maxText = 1 << 14
)

// Name returns the name alone, without tags (struct, class), return type and
// arguments: what WinDbg shows as the name of a symbol.
func Name(raw string) string { return run(raw, false) }

// Full returns the whole declaration: what WinDbg shows in parentheses behind a
// public function.
func Full(raw string) string { return run(raw, true) }

func run(raw string, full bool) string {
	if !strings.HasPrefix(raw, "?") || len(raw) > maxText {
		return raw
	}
	if text, ok := stringLiteral(raw, full); ok {
		return text
	}
	d := &parser{s: raw, full: full}
	text := d.symbol()
	if d.bad || d.s != "" {
		return raw
	}
	return text
}

// stringLiteral reads ??_C@_<width><length><hash>@<text>@<scope>@. A scope, which
// a linker adds to tell merged literals apart, is all that is shown of it.
func stringLiteral(raw string, full bool) (string, bool) {
	s, ok := strings.CutPrefix(raw, "??_C@_")
	if !ok || len(s) < 2 {
		return "", false
	}
	s = s[1:] // width
	if s[0] >= '0' && s[0] <= '9' {
		s = s[1:]
	} else if _, s, ok = strings.Cut(s, "@"); !ok {
		return "", false
	}
	_, s, ok = strings.Cut(s, "@") // hash
	if !ok {
		return "", false
	}
	_, s, _ = strings.Cut(s, "@") // text
	scope, _, _ := strings.Cut(s, "@")
	switch {
	case scope == "":
		return "`string'", true
	case full:
		return " ?? ?? ::" + scope + "::`string'", true
	}
	return " ?? ::" + scope + "::`string'", true
}

// A parser reads one decorated name from the front of s.
type parser struct {
	s     string
	full  bool
	bad   bool
	depth int
	memo
}

// A memo holds what digits refer back to. A template's arguments have one of
// their own.
type memo struct {
	names []string
	types []typ
}

// A typ is the text of a type in front of and behind what is declared.
type typ struct{ left, right string }

func (t typ) text() string { return t.left + t.right }

// declare puts a name into a type.
func (t typ) declare(name string) string {
	return t.left + " " + name + t.right
}

func (p *parser) fail() { p.bad = true }

// limit fails for a text that grew too long.
func (p *parser) limit(s string) string {
	if len(s) > maxText {
		p.fail()
		return ""
	}
	return s
}

func (p *parser) peek() byte {
	if p.bad || p.s == "" {
		return 0
	}
	return p.s[0]
}

func (p *parser) next() byte {
	if p.bad || p.s == "" {
		p.fail()
		return 0
	}
	c := p.s[0]
	p.s = p.s[1:]
	return c
}

func (p *parser) accept(prefix string) bool {
	if p.bad || !strings.HasPrefix(p.s, prefix) {
		return false
	}
	p.s = p.s[len(prefix):]
	return true
}

func (p *parser) expect(prefix string) {
	if !p.accept(prefix) {
		p.fail()
	}
}

// enter counts nesting; leave undoes it.
func (p *parser) enter() bool {
	if p.depth++; p.depth > maxDepth {
		p.fail()
	}
	return !p.bad
}

func (p *parser) leave() { p.depth-- }

// number reads 0 to 9 as 1 to 10, or hexadecimal digits A to P up to an @, with
// a ? for minus.
func (p *parser) number() int64 {
	sign := int64(1)
	if p.accept("?") {
		sign = -1
	}
	if c := p.peek(); c >= '0' && c <= '9' {
		p.next()
		return sign * int64(c-'0'+1)
	}
	var v uint64
	for n := 0; ; n++ {
		c := p.next()
		switch {
		case p.bad || n > 16:
			p.fail()
			return 0
		case c == '@':
			return sign * int64(v)
		case c < 'A' || c > 'P':
			p.fail()
			return 0
		}
		v = v<<4 | uint64(c-'A')
	}
}

// symbol reads a whole decorated name, from its ? on.
func (p *parser) symbol() string {
	if !p.enter() {
		return ""
	}
	defer p.leave()
	p.expect("?")
	n := p.symbolName()
	return p.limit(p.encoding(n))
}

// encoding reads what follows the name: the kind of the symbol and its type.
func (p *parser) encoding(n qualified) string {
	switch c := p.next(); {
	case c >= '0' && c <= '4':
		return p.data(c, n)
	case c == '5': // guard of a local static: which one it is
		return n.text() + "{" + itoa(p.number()) + "}'"
	case c == '6' || c == '7':
		return p.table(n)
	case c == '8' || c == '9':
		return n.text()
	case c >= 'A' && c <= 'Z':
		return p.function(c, n)
	case c == '$':
		return p.thunk(n)
	}
	p.fail()
	return ""
}

// data reads a variable: its type and cv.
func (p *parser) data(c byte, n qualified) string {
	t := p.typ()
	p.pointerModifiers()
	cv := p.cv()
	if !p.full {
		return n.text()
	}
	access := ""
	switch c {
	case '0':
		access = "private: static "
	case '1':
		access = "protected: static "
	case '2':
		access = "public: static "
	}
	if cv != "" && !strings.HasSuffix(t.left, cv) {
		t.left += " " + cv
	}
	return access + t.declare(n.text())
}

// table reads a table of virtual functions or bases, perhaps one for a base
// class.
func (p *parser) table(n qualified) string {
	p.pointerModifiers()
	cv := p.cv()
	var targets []string
	for !p.bad && !p.accept("@") {
		targets = append(targets, p.qualifiedName().text())
	}
	text := n.text()
	if len(targets) > 0 {
		text += "{for `" + strings.Join(targets, "'s `") + "'}"
	}
	if p.full && cv != "" {
		text = cv + " " + text
	}
	return text
}

// functionCode says what the letter of a function means.
type functionCode struct {
	access          string
	static, virtual bool
	thunk           bool
}

func codeOf(c byte) functionCode {
	if c >= 'Y' {
		return functionCode{static: true} // of no class
	}
	i := int(c - 'A')
	f := functionCode{access: [...]string{"private: ", "protected: ", "public: "}[i/8]}
	switch i % 8 / 2 {
	case 1:
		f.static = true
	case 2:
		f.virtual = true
	case 3:
		f.virtual, f.thunk = true, true
	}
	return f
}

// function reads a function: access, this, calling convention and types.
func (p *parser) function(c byte, n qualified) string {
	code := codeOf(c)
	adjust := ""
	if code.thunk {
		adjust = "`adjustor{" + itoa(p.number()) + "}' "
	}
	return p.signature(code, n, adjust)
}

func (p *parser) signature(code functionCode, n qualified, adjust string) string {
	this := ""
	if !code.static {
		this = p.thisQualifiers()
	}
	conv, ret, args := p.call()
	if n.conversion { // "operator" and the type it converts to
		n.parts[len(n.parts)-1] += " " + ret.text()
		ret = typ{}
	}
	if !p.full {
		return n.text() + strings.TrimSuffix(adjust, " ")
	}
	var b strings.Builder
	if code.thunk {
		b.WriteString("[thunk]:")
	}
	b.WriteString(code.access)
	switch {
	case code.virtual:
		b.WriteString("virtual ")
	case code.static && code.access != "":
		b.WriteString("static ")
	}
	decl := conv + " " + n.text() + adjust + "(" + args + ")" + this
	if ret.left == "" && ret.right == "" {
		b.WriteString(decl)
	} else {
		b.WriteString(ret.left + " " + decl + ret.right)
	}
	return b.String()
}

// thunk reads the rarer kinds behind a $: vcall and vtordisp.
func (p *parser) thunk(n qualified) string {
	switch c := p.next(); {
	case c == 'B':
		offset := p.number()
		p.expect("A")
		conv := p.callingConvention()
		text := n.text() + "{" + itoa(offset) + ",{flat}}' }'"
		if p.full {
			text = "[thunk]: " + conv + " " + text
		}
		return text
	case c >= '0' && c <= '5':
		i := int(c - '0')
		code := functionCode{access: [...]string{"private: ", "protected: ", "public: "}[i/2], virtual: true, thunk: true}
		a, b := p.number(), p.number()
		return p.signature(code, n, "`vtordisp{"+itoa(a)+","+itoa(b)+"}' ")
	}
	p.fail()
	return ""
}

// thisQualifiers reads what const and & behind the arguments come from.
func (p *parser) thisQualifiers() string {
	ref := ""
	ptr64 := ""
	for {
		switch {
		case p.accept("E"):
			if !p.full {
				ptr64 = "__ptr64 "
			}
			continue
		case p.accept("F"):
			ref += "__unaligned "
			continue
		case p.accept("I"):
			ref += "__restrict "
			continue
		case p.accept("G"):
			ref += "& "
			continue
		case p.accept("H"):
			ref += "&& "
			continue
		}
		break
	}
	cv := p.cv()
	if cv != "" {
		cv += " "
	}
	return cv + ref + ptr64
}

func (p *parser) callingConvention() string {
	switch p.next() {
	case 'A', 'B':
		return "__cdecl"
	case 'C', 'D':
		return "__pascal"
	case 'E', 'F':
		return "__thiscall"
	case 'G', 'H':
		return "__stdcall"
	case 'I', 'J':
		return "__fastcall"
	case 'M', 'N':
		return "__clrcall"
	case 'O', 'P':
		return "__eabi"
	case 'Q':
		return "__vectorcall"
	case 'S':
		return "__swift_1"
	case 'W':
		return "__swift_2"
	}
	p.fail()
	return ""
}

// cv reads const and volatile of an object.
func (p *parser) cv() string {
	switch p.next() {
	case 'A':
		return ""
	case 'B':
		return "const"
	case 'C':
		return "volatile"
	case 'D':
		return "const volatile"
	}
	p.fail()
	return ""
}

// throws reads the end of a function type.
func (p *parser) throws() {
	if !p.accept("_E") {
		p.expect("Z")
	}
}

// arguments reads a list of parameters.
func (p *parser) arguments() string {
	if p.accept("X") {
		return "void"
	}
	var list []string
	size := 0
	for !p.bad {
		if p.accept("@") {
			break
		}
		if p.accept("Z") {
			list = append(list, "...")
			break
		}
		t := p.argument().text()
		if size += len(t) + 1; size > maxText {
			p.fail()
		}
		list = append(list, t)
	}
	return strings.Join(list, ",")
}

// argument reads one parameter; those of more than one letter can be referred
// back to.
func (p *parser) argument() typ {
	if c := p.peek(); c >= '0' && c <= '9' {
		p.next()
		if int(c-'0') >= len(p.types) {
			p.fail()
			return typ{}
		}
		return p.types[c-'0']
	}
	before := len(p.s)
	t := p.typ()
	if before-len(p.s) > 1 && len(p.types) < 10 {
		p.types = append(p.types, t)
	}
	return t
}
