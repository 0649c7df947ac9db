package model

import (
	"strings"
)

// operators are the binary operators, weakest first; every level associates to
// the left. Longer ones stand before those they begin with.
var operators = [][]string{
	{"||"}, {"&&"}, {"|"}, {"^"}, {"&"}, {"==", "!="}, {"<=", ">=", "<", ">"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "%"},
}

// enter bounds the nesting.
func (p *parser) enter() error {
	p.depth++
	if p.depth > maxDepth {
		return Errorf("The expression is nested more than %d deep", maxDepth)
	}
	return nil
}

// expression reads a lambda, an assignment or a conditional expression.
func (p *parser) expression() (node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	if params, ok := p.lambdaHead(); ok {
		body, err := p.expression()
		return &lambdaNode{params, body}, err
	}
	left, err := p.conditional()
	if err != nil {
		return nil, err
	}
	op, ok := p.assignment()
	if !ok {
		return left, nil
	}
	if op == "++" || op == "--" {
		return &assignNode{op, left, &valueNode{I32(1)}}, nil
	}
	right, err := p.expression()
	return &assignNode{op, left, right}, err
}

// assignment takes an operator that assigns.
func (p *parser) assignment() (string, bool) {
	p.skip()
	for _, op := range []string{"++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="} {
		if p.take(op) {
			return op, true
		}
	}
	if p.at(0) == '=' && p.at(1) != '=' && p.at(1) != '>' {
		p.pos++
		return "=", true
	}
	return "", false
}

// lambdaHead takes "x =>" or "(a, b) =>".
func (p *parser) lambdaHead() (params []string, ok bool) {
	start := p.pos
	defer func() {
		if !ok {
			p.pos = start
		}
	}()
	if name, found := p.ident(); found {
		return []string{name}, p.take("=>")
	}
	if !p.take("(") {
		return nil, false
	}
	if p.take(")") {
		return nil, p.take("=>")
	}
	for {
		name, found := p.ident()
		if !found {
			return nil, false
		}
		params = append(params, name)
		if p.take(",") {
			continue
		}
		return params, p.take(")") && p.take("=>")
	}
}

func (p *parser) conditional() (node, error) {
	cond, err := p.binary(0)
	if err != nil || !p.take("?") {
		return cond, err
	}
	yes, err := p.expression()
	if err != nil {
		return nil, err
	}
	if !p.take(":") {
		return nil, p.expected("':'")
	}
	no, err := p.expression()
	return &condNode{cond, yes, no}, err
}

func (p *parser) binary(level int) (node, error) {
	if level == len(operators) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for err == nil {
		op := p.operator(level)
		if op == "" {
			return left, nil
		}
		var right node
		if right, err = p.binary(level + 1); err == nil {
			left = &binaryNode{op, left, right}
		}
	}
	return nil, err
}

// operator takes an operator of a level.
func (p *parser) operator(level int) string {
	p.skip()
	rest := p.src[p.pos:]
	for _, op := range operators[level] {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		next := byte(0)
		if len(rest) > len(op) {
			next = rest[len(op)]
		}
		switch {
		case len(op) == 1 && (op == "|" || op == "&" || op == "<" || op == ">") && next == op[0],
			next == '=' && op != "==" && op != "!=" && op != "<=" && op != ">=",
			(op == "+" || op == "-") && next == op[0] && p.endsAfter(2):
			continue
		}
		p.pos += len(op)
		return op
	}
	return ""
}

// endsAfter reports whether nothing that could be an operand follows n bytes
// ahead: x++ against x + +1.
func (p *parser) endsAfter(n int) bool {
	for i := p.pos + n; i < len(p.src); i++ {
		if !isBlank(p.src[i]) {
			return p.src[i] == ')' || p.src[i] == ','
		}
	}
	return true
}

func (p *parser) unary() (node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	switch c := p.peek(); c {
	case '!', '~', '-', '+', '*', '&':
		p.pos++
		x, err := p.unary()
		return &unaryNode{c, x}, err
	case '(':
		if n, ok, err := p.cast(); ok || err != nil {
			return n, err
		}
	}
	start := p.pos
	if word, ok := p.ident(); ok && word == "sizeof" && p.peek() == '(' {
		return p.sizeof()
	}
	p.pos = start
	return p.postfix()
}

// sizeof reads "(type)" or "(expression)".
func (p *parser) sizeof() (node, error) {
	p.take("(")
	start := p.pos
	if t, ok := p.typeRef(); ok && p.take(")") {
		end := p.pos
		p.pos = start
		x, err := p.expression()
		if err != nil || !p.take(")") || p.pos != end {
			x, p.pos = nil, end
		}
		return &sizeofNode{&t, x}, nil
	}
	p.pos = start
	x, err := p.expression()
	if err != nil {
		return nil, err
	}
	if !p.take(")") {
		return nil, p.expected("')'")
	}
	return &sizeofNode{nil, x}, nil
}

// cast reads "(type)x". A name in brackets is a type when an operand follows.
func (p *parser) cast() (node, bool, error) {
	start := p.pos
	p.pos++
	t, ok := p.typeRef()
	if !ok || !p.take(")") {
		if t.bare && ok {
			return nil, false, nil
		}
		if t.bare {
			// "unsigned" takes another word.
			p.skip()
			if p.pos < len(p.src) {
				p.pos++
			}
			return nil, false, p.expected("')'")
		}
		p.pos = start
		return nil, false, nil
	}
	if !p.castFollows(t) {
		p.pos = start
		return nil, false, nil
	}
	x, err := p.unary()
	return &castNode{t, x}, true, err
}

// castFollows decides whether "(type)" was a cast by what follows.
func (p *parser) castFollows(t typeRef) bool {
	c := p.peek()
	operand := isNameByte(c) || c == '@' || c == '"' || c == '\'' || c == '~' || c == '!' && p.at(1) != '='
	either := c == '(' || c == '-' || c == '+' || c == '*' || c == '&' && p.at(1) != '&'
	switch {
	case operand:
		return true
	case !either:
		return false
	case t.basic || t.suffix != nil || t.module != "" && c == '(':
		return true
	}
	return p.isType != nil && p.isType(t.module, t.name)
}

func (p *parser) postfix() (node, error) {
	n, err := p.primary()
	for err == nil {
		switch c := p.peek(); {
		case c == '.' || c == '-' && p.at(1) == '>':
			arrow := c == '-'
			start := p.pos
			p.pos++
			if arrow {
				p.pos++
			}
			name, ok := p.ident()
			if !ok {
				p.pos = start
				return n, nil
			}
			n = &memberNode{n, name, arrow}
		case c == '[':
			p.pos++
			var args []node
			if args, err = p.arguments(']'); err == nil {
				n = &indexNode{n, args}
			}
		case c == '(':
			p.pos++
			var args []node
			if args, err = p.arguments(')'); err == nil {
				n = &callNode{n, args}
			}
		default:
			return n, nil
		}
	}
	return nil, err
}

func (p *parser) arguments(end byte) ([]node, error) {
	if p.peek() == end {
		p.pos++
		return nil, nil
	}
	var args []node
	for {
		a, err := p.expression()
		if err != nil {
			return nil, err
		}
		args = append(args, a)
		if p.take(",") {
			continue
		}
		if !p.take(string(end)) {
			return nil, p.expected("'" + string(end) + "'")
		}
		return args, nil
	}
}

func (p *parser) primary() (node, error) {
	c := p.peek()
	switch {
	case c == '(':
		return p.brackets()
	case isDigit(c):
		v, err := p.number()
		return &valueNode{v}, err
	case c == '"', c == 'L' && p.at(1) == '"':
		return p.text()
	case c == '\'', c == 'L' && p.at(1) == '\'':
		return p.character()
	case c == '@':
		return p.at1()
	case isNameStart(c):
		return p.name()
	}
	return nil, p.expected("expression")
}

func (p *parser) brackets() (node, error) {
	p.pos++
	if p.peek() == 0 {
		return nil, p.expected("')'")
	}
	for {
		n, err := p.expression()
		if err != nil {
			return nil, err
		}
		if p.take(",") {
			continue // the comma operator: the last value counts
		}
		if !p.take(")") {
			return nil, p.expected("')'")
		}
		return n, nil
	}
}

func (p *parser) text() (node, error) {
	start := p.pos
	if p.at(0) == 'L' {
		p.pos++
	}
	s, ok := p.quoted('"')
	if !ok {
		p.pos = start
		return nil, p.expected("expression")
	}
	return &valueNode{String(s)}, nil
}

func (p *parser) character() (node, error) {
	start, kind := p.pos, Int32
	if p.at(0) == 'L' {
		p.pos++
		kind = Uint16
	}
	s, ok := p.quoted('\'')
	r := []rune(s)
	if !ok || len(r) != 1 {
		p.pos = start
		return nil, p.expected("expression")
	}
	return &valueNode{Number{kind, uint64(uint16(r[0]))}}, nil
}

// at1 reads "@register" or "@$variable".
func (p *parser) at1() (node, error) {
	p.pos++
	if p.at(0) == '$' {
		p.pos++
		name := p.wordHere()
		return &variableNode{name}, nil
	}
	return &registerNode{p.wordHere()}, nil
}

// wordHere takes the letters and digits that stand here, without a blank.
func (p *parser) wordHere() string {
	start := p.pos
	for p.pos < len(p.src) && isNameByte(p.src[p.pos]) && p.src[p.pos] != '$' {
		p.pos++
	}
	return p.src[start:p.pos]
}

func (p *parser) name() (node, error) {
	start := p.pos
	word, _ := p.ident()
	switch word {
	case "true", "false":
		return &valueNode{Truth(word == "true")}, nil
	case "new":
		if p.peek() == '{' {
			return p.anonymous()
		}
	case "static_cast", "reinterpret_cast", "const_cast", "dynamic_cast":
		if n, ok, err := p.wordCast(); ok || err != nil {
			return n, err
		}
		p.pos = start + len(word)
	}
	if p.at(0) == '!' && isNameStart(p.at(1)) {
		p.pos++
		name, _ := p.ident()
		return &symbolNode{word, p.scopedName(name)}, nil
	}
	return &symbolNode{"", p.scopedName(word)}, nil
}

// wordCast reads what follows static_cast.
func (p *parser) wordCast() (node, bool, error) {
	if !p.take("<") {
		return nil, false, nil
	}
	t, ok := p.typeRef()
	if !ok || !p.take(">") || !p.take("(") {
		return nil, false, p.expected("'>'")
	}
	x, err := p.expression()
	if err != nil {
		return nil, false, err
	}
	if !p.take(")") {
		return nil, false, p.expected("')'")
	}
	return &castNode{t, x}, true, nil
}

// anonymous reads "{ A = expr, … }".
func (p *parser) anonymous() (node, error) {
	p.take("{")
	n := &newNode{}
	if p.take("}") {
		return n, nil
	}
	for {
		p.skip()
		start := p.pos
		name, ok := p.ident()
		if ok && p.peek() == '=' && p.at(1) != '=' && p.at(1) != '>' {
			p.pos++
		} else {
			p.pos = start
			return nil, p.expected("'}'")
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		n.set(name, x)
		if p.take(",") {
			continue
		}
		if !p.take("}") {
			return nil, p.expected("'}'")
		}
		return n, nil
	}
}

// Parsed is an expression with the format it is to be shown in.
type Parsed struct {
	root   node
	format string // what stands behind the comma
	given  bool   // there is a comma
}

// parse reads the expression of a dx command.
func parse(src string, isType func(module, name string) bool) (Parsed, error) {
	p := &parser{src: src, isType: isType}
	root, err := p.expression()
	if err != nil {
		return Parsed{}, err
	}
	out := Parsed{root: root}
	if p.take(",") {
		out.given = true
		out.format = strings.TrimSpace(p.src[p.pos:])
		if out.format == "" {
			return out, p.expected("expression")
		}
		return out, nil
	}
	if p.peek() != 0 {
		return out, p.fail("Unexpected token")
	}
	return out, nil
}
