package command

import (
	"context"
	"strconv"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/typetext"
)

func typeCommands() []*Command {
	return []*Command{{
		Names: []string{"dt"}, Args: "[-options] [mod!]Name [[-options] Field …] [Address] [-l ListField]",
		Short: "show types, and memory by its type",
		Run:   func(ctx context.Context, s *Session, c *Call) error { return s.runDt(ctx, c.Args) },
	}}
}

// dtUsage is what dt -h prints.
const dtUsage = `dt [-options] [mod!]Name [[-options] Field ...] [Address] [-l ListField]
dt [-options] Address [mod!]Name ...
   -a[n]  arrays element by element; before the type: an array of the type
   -b     embedded structures and arrays in full
   -c     compact, one line
   -d     with Name*: show each type
   -e     list the types and symbols that match
   -i     no indentation
   -l F   follow the list through field F
   -n     the next word is a name
   -o     no offsets
   -p     the address is physical
   -r[n]  n levels of substructures
   -s n   with Name*: only this size
   -t     with Name*: types only
   -v     verbose
   -y     the next word is a prefix
`

// A dtCall is one use of dt.
type dtCall struct {
	options  typetext.Options
	physical bool

	name      string // of the type or variable
	prefix    bool   // -y in front of it
	addr      uint64
	located   bool
	words     []string // the field list
	selectors []typetext.Selector
	link      string // -l
	rows      bool   // -a in front of the name
	rowCount  int

	list  bool // -e
	types bool // -t
	dump  bool // -d
	size  *uint64
}

func (s *Session) runDt(ctx context.Context, c *expr.Cursor) error {
	d, err := s.parseDt(c)
	if err != nil || d == nil {
		return err
	}
	switch {
	case d.name == "" && d.located && d.addr != 0:
		return s.dtAddress(ctx, d)
	case d.name == "":
		return nil
	case d.name == ".":
		if s.lastType == "" {
			return nil
		}
		d.name = s.lastType
		s.printf("Using sym %s\n", d.name)
	}
	if strings.ContainsAny(d.name, "*?") {
		return s.dtPattern(ctx, d)
	}
	if d.list {
		return nil // without a pattern nothing is listed
	}
	return s.dtName(ctx, d)
}

// dtParser reads the words of dt.
type dtParser struct {
	s *Session
	c *expr.Cursor
	d *dtCall

	nextName, nextPrefix bool // -n, -y: what the next word is
}

func (s *Session) parseDt(c *expr.Cursor) (*dtCall, error) {
	p := dtParser{s: s, c: c, d: &dtCall{}}
	for !c.Done() {
		rest := c.Rest()
		switch {
		case rest[0] == '-' || rest[0] == '/':
			usage, err := p.options()
			if err != nil || usage {
				return nil, err
			}
		case !p.nextName && p.isAddress(rest):
			if err := p.address(); err != nil {
				return nil, err
			}
		default:
			if err := p.word(p.take()); err != nil {
				return nil, err
			}
		}
	}
	return p.d, nil
}

// take takes a word: up to a blank, brackets whole. A word in brackets loses them.
func (p *dtParser) take() string {
	word := p.span()
	if len(word) > 1 && word[0] == '(' && word[len(word)-1] == ')' {
		word = strings.TrimSpace(word[1 : len(word)-1])
	}
	return word
}

func (p *dtParser) span() string {
	start, depth := p.c.Pos, 0
	for ; p.c.Pos < len(p.c.Text); p.c.Pos++ {
		switch b := p.c.Text[p.c.Pos]; {
		case b == '(':
			depth++
		case b == ')' && depth > 0:
			depth--
		case depth > 0:
		case isDelimiter(b):
			return p.c.Text[start:p.c.Pos]
		}
	}
	return p.c.Text[start:p.c.Pos]
}

// isAddress reports whether a word is an address: it begins with a digit, is a
// hexadecimal number, or begins like an expression that cannot be a name.
func (p *dtParser) isAddress(rest string) bool {
	rest = strings.TrimLeft(rest, "( ")
	switch {
	case rest == "":
		return false
	case rest[0] >= '0' && rest[0] <= '9', rest[0] == '@', rest[0] == '"':
		return true
	case len(rest) > 3 && strings.EqualFold(rest[:3], "poi") && strings.HasPrefix(strings.TrimLeft(rest[3:], " "), "("):
		return true
	}
	word := rest
	if i := strings.IndexAny(rest, " \t;"); i >= 0 {
		word = rest[:i]
	}
	if strings.IndexByte(word, '+') > 0 {
		return true // "nt+108"
	}
	n := 0
	for n < len(rest) && strings.IndexByte("0123456789abcdefABCDEF`", rest[n]) >= 0 {
		n++
	}
	if n == 0 {
		return false
	}
	if n == len(rest) {
		return true
	}
	switch rest[n] {
	case ' ', '\t', ';', ',', ')', '+', '*':
		return true
	case '-':
		return !strings.HasPrefix(rest[n:], "->")
	}
	return false
}

// dtEnv evaluates dt's address. The debugger has another name there for the
// error of a symbol without type information.
type dtEnv struct{ expr.Env }

func (e dtEnv) Print(text string) {
	if name, ok := strings.CutPrefix(text, expr.NoTypeError); ok {
		text = "Type information missing error for " + name
	}
	e.Env.Print(text)
}

// address reads an address. Only the first counts; others are names of fields
// that no type has.
func (p *dtParser) address() error {
	text := p.span()
	if p.d.located {
		p.d.words = append(p.d.words, text)
		return nil
	}
	v, err := expr.Address(dtEnv{p.s.env()}, expr.NewCursor(text))
	if err != nil {
		return err
	}
	p.d.addr, p.d.located = v, true
	return nil
}

// word takes a name: the first is the type, the others are fields.
func (p *dtParser) word(w string) error {
	d := p.d
	if d.name == "" {
		d.name, d.prefix = w, p.nextPrefix
	} else {
		if strings.HasSuffix(w, "->") && !d.located && !strings.Contains(strings.TrimSuffix(w, "->"), "->") && len(d.words) == 0 {
			return expr.Quote("Couldn't resolve error at", p.c, p.c.Pos-len(w))
		}
		d.words = append(d.words, w)
		d.selectors = append(d.selectors, typetext.ParseSelector(w, p.nextPrefix))
	}
	p.nextName, p.nextPrefix = false, false
	return nil
}

// options reads an option word, "-r1o". usage reports -h.
func (p *dtParser) options() (usage bool, err error) {
	d := p.d
	start := p.c.Pos
	word := p.span()
	for i := 0; i < len(word); i++ {
		digits := func() (int, bool) {
			n := i + 1
			for n < len(word) && word[n] >= '0' && word[n] <= '9' {
				n++
			}
			v, err := strconv.Atoi(word[i+1 : n])
			i = n - 1
			return min(v, maxDtRows), err == nil
		}
		switch word[i] {
		case '-', '/', 'z', 'x', 'Z', 'X':
		case 'a', 'A':
			n, _ := digits()
			if d.name == "" {
				d.rows, d.rowCount = true, n
			} else {
				d.options.Elements, d.options.ElementMax = true, n
			}
		case 'r', 'R':
			n, ok := digits()
			if !ok {
				n = defaultDtDepth
			}
			d.options.Depth = min(n, 9)
		case 'b', 'B':
			d.options.Block = true
		case 'c', 'C':
			d.options.Compact = true
		case 'd', 'D':
			d.dump = true
		case 'e', 'E':
			d.list = true
		case 'i', 'I':
			d.options.NoIndent = true
		case 'o', 'O':
			d.options.NoOffsets = true
		case 'p', 'P':
			d.physical = true
		case 't', 'T':
			d.types = true
		case 'v', 'V':
			d.options.Verbose = true
		case 'n', 'N':
			p.nextName = true
		case 'y', 'Y':
			p.nextName, p.nextPrefix = true, true
		case 'l', 'L':
			if d.name != "" && !p.c.Done() {
				d.link = p.take()
			}
		case 's', 'S':
			p.size()
		case 'h', 'H', '?':
			p.s.printf("%s", dtUsage)
			p.c.Pos = len(p.c.Text)
			return true, nil
		default:
			p.s.printf("Unknown argument -%c\n%s", word[i], dtUsage)
			return false, expr.Caret("Extra character error", start+i+1)
		}
	}
	return false, nil
}

const (
	defaultDtDepth = 2       // of -r without a number
	defaultDtRows  = 5       // of -a without a number
	maxDtRows      = 1 << 20 // more rows than anybody reads
)

// size reads the number behind -s, if one stands there.
func (p *dtParser) size() {
	if p.c.Done() || p.c.Rest()[0] < '0' || p.c.Rest()[0] > '9' {
		return
	}
	pos := p.c.Pos
	word := p.span()
	v, err := p.s.evaluate(word)
	if err != nil {
		p.c.Pos = pos
		return
	}
	p.d.size = &v
}
