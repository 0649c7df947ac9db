package undecorate

import (
	"strconv"
	"strings"
)

func itoa(v int64) string { return strconv.FormatInt(v, 10) }

// A qualified name, the innermost part last.
type qualified struct {
	parts      []string
	conversion bool // an operator named by the type that is returned
}

func (q qualified) text() string { return strings.Join(q.parts, "::") }

// kinds of names that are finished when their class is known
const (
	plain = iota
	constructor
	destructor
	conversion
)

// symbolName reads the name of a symbol, which may be an operator.
func (p *parser) symbolName() qualified {
	kind, name := plain, ""
	prefix, suffix := "", ""
	switch {
	case p.accept("?$"): // a function template; its name cannot be referred to
		name = p.template(&kind)
	case p.accept("?"):
		kind, name, prefix, suffix = p.operator()
	default:
		name = p.simpleName()
	}
	scopes := p.scopes()
	switch kind {
	case constructor, destructor:
		if len(scopes) == 0 {
			p.fail()
			break
		}
		class := scopes[0]
		if kind == destructor {
			class = "~" + class
		}
		name = class + name
	}
	q := qualified{conversion: kind == conversion}
	for i := len(scopes) - 1; i >= 0; i-- {
		q.parts = append(q.parts, scopes[i])
	}
	q.parts = append(q.parts, name)
	if prefix != "" { // `dynamic initializer for 'x''
		return qualified{parts: []string{prefix + q.text() + suffix}}
	}
	p.limit(q.text())
	return q
}

// qualifiedName reads the name of a type.
func (p *parser) qualifiedName() qualified {
	if !p.enter() {
		return qualified{}
	}
	defer p.leave()
	name := p.part()
	scopes := p.scopes()
	var q qualified
	for i := len(scopes) - 1; i >= 0; i-- {
		q.parts = append(q.parts, scopes[i])
	}
	q.parts = append(q.parts, name)
	p.limit(q.text())
	return q
}

// scopes reads the parts up to the closing @, the innermost first.
func (p *parser) scopes() []string {
	var out []string
	for !p.bad && !p.accept("@") {
		if len(out) > maxDepth {
			p.fail()
			break
		}
		out = append(out, p.part())
	}
	return out
}

// part reads one part of a qualified name.
func (p *parser) part() string {
	if !p.enter() {
		return ""
	}
	defer p.leave()
	switch c := p.peek(); {
	case c >= '0' && c <= '9':
		p.next()
		if int(c-'0') >= len(p.names) {
			p.fail()
			return ""
		}
		return p.names[c-'0']
	case c != '?':
		return p.simpleName()
	case p.accept("?$"):
		return p.remember(p.template(nil))
	case p.accept("?A"):
		if _, rest, ok := strings.Cut(p.s, "@"); ok {
			p.s = rest
			return p.remember("`anonymous namespace'")
		}
		p.fail()
		return ""
	case p.accept("??"): // a symbol as scope: ?? is never a number
		p.s = "?" + p.s
		text := p.symbol()
		p.expect("@")
		return "`" + text + "'"
	}
	// A numbered block of a function: ?1? and the function.
	p.next()
	n := p.number()
	if p.accept("?") {
		text := p.symbol()
		return "`" + text + "'::`" + itoa(n) + "'"
	}
	return "`" + itoa(n) + "'"
}

// simpleName reads letters up to an @.
func (p *parser) simpleName() string {
	name, rest, ok := strings.Cut(p.s, "@")
	if p.bad || !ok || name == "" {
		p.fail()
		return ""
	}
	p.s = rest
	return p.remember(name)
}

func (p *parser) remember(name string) string {
	if len(p.names) < 10 {
		p.names = append(p.names, name)
	}
	return p.limit(name)
}

// template reads the name and arguments of a template, behind its ?$. kind is
// not nil where the name may be an operator.
func (p *parser) template(kind *int) string {
	if !p.enter() {
		return ""
	}
	defer p.leave()
	outer := p.memo
	p.memo = memo{}
	defer func() { p.memo = outer }()
	var name string
	if kind != nil && p.accept("?") {
		*kind, name, _, _ = p.operator()
	} else {
		name = p.simpleName()
	}
	args := p.templateArguments()
	if strings.HasSuffix(args, ">") {
		args += " "
	}
	return p.limit(name + "<" + args + ">")
}

func (p *parser) templateArguments() string {
	var list []string
	size := 0
	for !p.bad && !p.accept("@") {
		if p.accept("$$V") || p.accept("$$Z") || p.accept("$$$V") || p.accept("$S") {
			continue // an empty pack
		}
		arg := p.templateArgument()
		if size += len(arg) + 1; size > maxText {
			p.fail()
		}
		list = append(list, arg)
	}
	return strings.Join(list, ",")
}

func (p *parser) templateArgument() string {
	if !p.enter() {
		return ""
	}
	defer p.leave()
	switch {
	case p.accept("$0"):
		return itoa(p.number())
	case p.accept("$1"):
		return "&" + p.symbol()
	case p.accept("$E"):
		return p.symbol()
	case p.accept("$H"):
		text := p.symbol()
		return "{" + text + "," + itoa(p.number()) + "}"
	case p.accept("$I"):
		text := p.symbol()
		return "{" + text + "," + itoa(p.number()) + "," + itoa(p.number()) + "}"
	case p.accept("$F"):
		return "{" + itoa(p.number()) + "," + itoa(p.number()) + "}"
	case p.accept("$G"):
		return "{" + itoa(p.number()) + "," + itoa(p.number()) + "," + itoa(p.number()) + "}"
	case p.accept("$D"), p.accept("$Q"):
		return "`template-parameter-" + itoa(p.number()) + "'"
	case p.accept("$M"):
		p.typ()
		p.s = "$" + p.s // of the value, which comes without
		return p.templateArgument()
	case p.accept("$$Y"):
		return p.qualifiedName().text()
	}
	return p.typ().text()
}

// operators are the names behind one ?, and those behind ?_ and ?__.
var operators = map[string]string{
	"2": "operator new", "3": "operator delete", "4": "operator=", "5": "operator>>", "6": "operator<<", "7": "operator!",
	"8": "operator==", "9": "operator!=", "A": "operator[]", "C": "operator->", "D": "operator*", "E": "operator++",
	"F": "operator--", "G": "operator-", "H": "operator+", "I": "operator&", "J": "operator->*", "K": "operator/",
	"L": "operator%", "M": "operator<", "N": "operator<=", "O": "operator>", "P": "operator>=", "Q": "operator,",
	"R": "operator()", "S": "operator~", "T": "operator^", "U": "operator|", "V": "operator&&", "W": "operator||",
	"X": "operator*=", "Y": "operator+=", "Z": "operator-=",
	"_0": "operator/=", "_1": "operator%=", "_2": "operator>>=", "_3": "operator<<=", "_4": "operator&=", "_5": "operator|=",
	"_6": "operator^=", "_7": "`vftable'", "_8": "`vbtable'", "_9": "`vcall'", "_A": "`typeof'",
	"_B": "`local static guard'", "_C": "`string'", "_D": "`vbase destructor'", "_E": "`vector deleting destructor'",
	"_F": "`default constructor closure'", "_G": "`scalar deleting destructor'", "_H": "`vector constructor iterator'",
	"_I": "`vector destructor iterator'", "_J": "`vector vbase constructor iterator'", "_K": "`virtual displacement map'",
	"_L": "`eh vector constructor iterator'", "_M": "`eh vector destructor iterator'",
	"_N": "`eh vector vbase constructor iterator'", "_O": "`copy constructor closure'", "_S": "`local vftable'",
	"_T": "`local vftable constructor closure'", "_U": "operator new[]", "_V": "operator delete[]",
	"_X": "`placement delete closure'", "_Y": "`placement delete[] closure'",
	"__A": "`managed vector constructor iterator'", "__B": "`managed vector destructor iterator'",
	"__C": "`eh vector copy constructor iterator'", "__D": "`eh vector vbase copy constructor iterator'",
	"__G": "`vector copy constructor iterator'", "__H": "`vector vbase copy constructor iterator'",
	"__I": "`managed vector copy constructor iterator'", "__J": "`local static thread guard'",
	"__L": "operator co_await", "__M": "operator<=>",
}

// operator reads the name of a special symbol. prefix and suffix enclose the
// whole name, when they are not empty.
func (p *parser) operator() (kind int, name, prefix, suffix string) {
	code := string(p.next())
	if code == "_" {
		code += string(p.next())
		if code == "__" {
			code += string(p.next())
		}
	}
	switch code {
	case "0":
		return constructor, "", "", ""
	case "1":
		return destructor, "", "", ""
	case "B":
		return conversion, "operator", "", ""
	case "_R":
		return plain, p.rtti(), "", ""
	case "__E":
		return p.dynamic("`dynamic initializer for '")
	case "__F":
		return p.dynamic("`dynamic atexit destructor for '")
	case "__K":
		return plain, `operator "" ` + p.simpleName(), "", ""
	}
	name, ok := operators[code]
	if !ok {
		p.fail()
	}
	return plain, name, "", ""
}

// dynamic reads what an initializer is for: a name, or a whole symbol.
func (p *parser) dynamic(prefix string) (kind int, name, before, after string) {
	if p.peek() == '?' {
		text := p.symbol()
		p.expect("@")
		return plain, prefix + text + "''", "", ""
	}
	return plain, p.simpleName(), prefix, "''"
}

// rtti reads the run-time type records.
func (p *parser) rtti() string {
	switch p.next() {
	case '0':
		t := p.typ()
		return t.text() + " `RTTI Type Descriptor'"
	case '1':
		a, b, c, d := p.number(), p.number(), p.number(), p.number()
		return "`RTTI Base Class Descriptor at (" + itoa(a) + "," + itoa(b) + "," + itoa(c) + "," + itoa(d) + ")'"
	case '2':
		return "`RTTI Base Class Array'"
	case '3':
		return "`RTTI Class Hierarchy Descriptor'"
	case '4':
		return "`RTTI Complete Object Locator'"
	}
	p.fail()
	return ""
}
