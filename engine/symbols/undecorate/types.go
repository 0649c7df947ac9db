package undecorate

import "strings"

// basic are the types of one letter, and those of two behind an underscore.
var basic = map[byte]string{
	'C': "signed char", 'D': "char", 'E': "unsigned char", 'F': "short", 'G': "unsigned short", 'H': "int",
	'I': "unsigned int", 'J': "long", 'K': "unsigned long", 'M': "float", 'N': "double", 'O': "long double", 'X': "void",
}

var basic2 = map[byte]string{
	'D': "__int8", 'E': "unsigned __int8", 'F': "__int16", 'G': "unsigned __int16", 'H': "__int32", 'I': "unsigned __int32",
	'J': "__int64", 'K': "unsigned __int64", 'L': "__int128", 'M': "unsigned __int128", 'N': "bool", 'P': "auto",
	'Q': "char8_t", 'S': "char16_t", 'T': "decltype(auto)", 'U': "char32_t", 'W': "wchar_t",
}

// returnType reads a type that may carry cv of its own behind a ?.
func (p *parser) returnType() typ {
	if p.accept("?") {
		cv := p.cv()
		return qualify(p.typ(), cv)
	}
	return p.typ()
}

// qualify adds const and volatile to a type, once.
func qualify(t typ, cv string) typ {
	if cv != "" && !strings.HasSuffix(t.left, " "+cv) {
		t.left += " " + cv
	}
	return t
}

// typ reads a type.
func (p *parser) typ() typ {
	if !p.enter() {
		return typ{}
	}
	defer p.leave()
	t := p.typ1()
	p.limit(t.text())
	return t
}

func (p *parser) typ1() typ {
	switch c := p.next(); c {
	case 'T':
		return p.tagged("union ")
	case 'U':
		return p.tagged("struct ")
	case 'V':
		return p.tagged("class ")
	case 'W':
		if d := p.next(); d < '0' || d > '7' { // the size is not shown
			p.fail()
		}
		return p.tagged("enum ")
	case 'P':
		return p.pointer("*", "")
	case 'Q':
		return p.pointer("*", "const")
	case 'R':
		return p.pointer("*", "volatile")
	case 'S':
		return p.pointer("*", "const volatile")
	case 'A':
		return p.pointer("&", "")
	case 'B':
		return p.pointer("&", "volatile")
	case 'Y':
		return p.array()
	case '?':
		cv := p.cv()
		return qualify(p.typ(), cv)
	case '_':
		if name, ok := basic2[p.next()]; ok {
			return typ{left: name}
		}
	case '$':
		return p.dollar()
	default:
		if name, ok := basic[c]; ok {
			return typ{left: name}
		}
	}
	p.fail()
	return typ{}
}

func (p *parser) tagged(tag string) typ {
	name := p.qualifiedName().text()
	if p.full {
		name = tag + name
	}
	return typ{left: name}
}

// dollar reads the types behind $$.
func (p *parser) dollar() typ {
	p.expect("$")
	switch p.next() {
	case 'Q':
		return p.pointer("&&", "")
	case 'R':
		return p.pointer("&&", "volatile")
	case 'A':
		switch {
		case p.accept("6"):
			return p.functionType("", "")
		case p.accept("8@@"):
			this := p.thisQualifiers()
			return p.functionType("", this)
		}
	case 'B':
		return p.typ()
	case 'C':
		cv := p.cv()
		return qualify(p.typ(), cv)
	case 'T':
		return typ{left: "std::nullptr_t"}
	}
	p.fail()
	return typ{}
}

// pointerModifiers reads __ptr64, __unaligned and __restrict. Only the first is
// shown, and not in declarations.
func (p *parser) pointerModifiers() (ptr64 bool) {
	for {
		switch {
		case p.accept("E"):
			ptr64 = true
		case p.accept("F"), p.accept("I"):
		default:
			return ptr64
		}
	}
}

// pointer reads what a pointer or reference leads to.
func (p *parser) pointer(sign, cv string) typ {
	switch p.peek() {
	case '6', '7':
		p.next()
		return qualifySign(p.functionType(sign, ""), cv)
	case '8', '9':
		p.next()
		class := p.qualifiedName().text()
		this := p.thisQualifiers()
		return qualifySign(p.functionType(class+"::"+sign, this), cv)
	}
	ptr64 := p.pointerModifiers()
	switch p.peek() { // function pointers may have modifiers too
	case '6', '8':
		return p.pointer(sign, cv)
	}
	member := ""
	var target string
	switch c := p.next(); c {
	case 'A', 'B', 'C', 'D':
		target = [...]string{"", "const", "volatile", "const volatile"}[c-'A']
	case 'Q', 'R', 'S', 'T': // data member
		target = [...]string{"", "const", "volatile", "const volatile"}[c-'Q']
		member = p.qualifiedName().text() + "::"
	default:
		p.fail()
		return typ{}
	}
	t := p.typ()
	sign = member + sign
	if ptr64 && !p.full {
		sign += " __ptr64"
	}
	if cv != "" && sign[len(sign)-1] != '&' {
		sign += " " + cv
	}
	if strings.HasPrefix(t.right, "[") { // to an array
		return typ{qualify(t, target).left + " (" + sign, ")" + t.right}
	}
	if t.right != "" { // to a pointer to a function: inside its parentheses
		return typ{qualify(t, target).left + sign, t.right}
	}
	return typ{left: qualify(t, target).left + " " + sign}
}

// qualifySign puts the const of a function pointer behind its star.
func qualifySign(t typ, cv string) typ {
	if cv != "" {
		t.left += " " + cv
	}
	return t
}

// call reads what types and signatures of functions have in common. The return
// type is empty for constructors and the like.
func (p *parser) call() (convention string, ret typ, args string) {
	convention = p.callingConvention()
	if !p.accept("@") {
		ret = p.returnType()
	}
	args = p.arguments()
	p.throws()
	return convention, ret, args
}

// functionType reads a function type; sign is the pointer in front, "" for the
// function itself.
func (p *parser) functionType(sign, this string) typ {
	conv, ret, args := p.call()
	if sign == "" {
		return typ{ret.left + " " + conv, "(" + args + ")" + this + ret.right}
	}
	return typ{ret.left + " (" + conv + " " + sign, ")(" + args + ")" + this + ret.right}.tight(conv, sign)
}

// tight removes the blank between calling convention and star: (__cdecl*.
func (t typ) tight(conv, sign string) typ {
	if strings.HasPrefix(sign, "*") {
		t.left = strings.TrimSuffix(t.left, conv+" "+sign) + conv + sign
	}
	return t
}

// array reads dimensions and the element.
func (p *parser) array() typ {
	n := p.number()
	if n < 1 || n > 32 {
		p.fail()
		return typ{}
	}
	dims := ""
	for range n {
		dims += "[" + itoa(p.number()) + "]"
	}
	if p.accept("$$C") {
		cv := p.cv()
		t := qualify(p.typ(), cv)
		return typ{t.left, dims + t.right}
	}
	t := p.typ()
	return typ{t.left, dims + t.right}
}
