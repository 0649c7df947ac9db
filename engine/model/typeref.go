package model

import (
	"context"
	"strconv"
	"strings"

	"kdap/engine/types"
)

// A typeRef is a type as the language spells it.
type typeRef struct {
	module, name string
	basic        bool     // name is one of the language's own
	bare         bool     // "unsigned" or "signed" alone, which is no type
	suffix       []string // "*", "[n]", from the inside out
}

// basicTypes are the types of the language, by their words in order.
var basicTypes = map[string]*types.Type{}

func basic(kind types.Kind, size uint64, name string, spellings ...string) *types.Type {
	t := &types.Type{Kind: kind, Size: size, Name: name}
	for _, s := range append(spellings, name) {
		basicTypes[s] = t
	}
	return t
}

var (
	typeVoid   = basic(types.Void, 0, "void")
	typeBool   = basic(types.Bool, 1, "bool")
	typeShort  = basic(types.Int, 2, "short", "short int", "signed short", "__int16")
	typeUShort = basic(types.Uint, 2, "unsigned short", "unsigned short int", "unsigned __int16")
	typeInt    = basic(types.Int, 4, "int", "signed int", "__int32")
	typeUInt   = basic(types.Uint, 4, "unsigned int", "unsigned __int32")
	typeInt64  = basic(types.Int, 8, "__int64", "long long", "signed __int64", "long long int", "signed long long")
	typeUInt64 = basic(types.Uint, 8, "unsigned __int64", "unsigned long long", "unsigned long long int")
	typeDouble = basic(types.Float, 8, "double")
)

// basicWords are the words that names of basic types are made of.
var basicWords = map[string]bool{}

func init() {
	basic(types.Char, 1, "char", "signed char", "__int8")
	basic(types.UChar, 1, "unsigned char", "unsigned __int8")
	basic(types.WChar, 2, "wchar_t")
	basic(types.Uint, 2, "char16_t")
	basic(types.Uint, 4, "char32_t")
	basic(types.Int, 4, "long", "long int", "signed long")
	basic(types.Uint, 4, "unsigned long", "unsigned long int")
	basic(types.Float, 4, "float")
	for s := range basicTypes {
		for w := range strings.FieldsSeq(s) {
			basicWords[w] = true
		}
	}
}

// typeRef reads a type. Where there is none the place is not defined.
func (p *parser) typeRef() (typeRef, bool) {
	var t typeRef
	word, ok := p.ident()
	if !ok {
		return t, false
	}
	if basicWords[word] {
		return p.basicType(word)
	}
	t.name = p.scopedName(word)
	for p.at(0) != '!' { // "struct nt!_X" is a module named "struct nt"
		start := p.pos
		more, ok := p.ident()
		if !ok || p.at(0) != '!' {
			p.pos = start
			break
		}
		t.name += " " + more
	}
	if p.at(0) == '!' && isNameStart(p.at(1)) {
		p.pos++
		t.module = t.name
		name, _ := p.ident()
		t.name = p.scopedName(name)
	}
	if p.at(0) == '<' {
		t.name += p.templateArguments()
	}
	return t, p.typeSuffix(&t)
}

// templateArguments takes "<…>" behind a name, "" when it does not close.
func (p *parser) templateArguments() string {
	depth := 0
	for i := p.pos; i < len(p.src); i++ {
		switch p.src[i] {
		case '<':
			depth++
		case '>':
			if depth--; depth == 0 {
				text := p.src[p.pos : i+1]
				p.pos = i + 1
				return text
			}
		case ';', '"':
			return ""
		}
	}
	return ""
}

func (p *parser) basicType(word string) (typeRef, bool) {
	t := typeRef{basic: true, name: word}
	for {
		start := p.pos
		more, ok := p.ident()
		if !ok || !basicWords[more] {
			p.pos = start
			break
		}
		t.name += " " + more
	}
	if basicTypes[t.name] == nil {
		t.bare = t.name == "unsigned" || t.name == "signed"
		return t, false
	}
	return t, p.typeSuffix(&t)
}

// typeSuffix reads stars and bounds: "*", "(*)[4]", "[4]".
func (p *parser) typeSuffix(t *typeRef) bool {
	for p.take("*") {
		t.suffix = append(t.suffix, "*")
	}
	inner := 0
	start := p.pos
	if p.take("(") {
		for p.take("*") {
			inner++
		}
		if inner == 0 || !p.take(")") {
			p.pos = start
			return true // a bracket that belongs to something else
		}
	}
	var bounds []string
	for p.take("[") {
		p.skip()
		if !isDigit(p.at(0)) {
			return false
		}
		n, err := p.number()
		if err != nil || !p.take("]") {
			return false
		}
		bounds = append(bounds, "["+strconv.FormatUint(n.Bits, 10)+"]")
	}
	for i := len(bounds) - 1; i >= 0; i-- {
		t.suffix = append(t.suffix, bounds[i])
	}
	for range inner {
		t.suffix = append(t.suffix, "*")
	}
	return true
}

// spell returns the name as errors quote it: "_NOSUCH *".
func (t typeRef) spell() string {
	s := t.name
	for _, x := range t.suffix {
		s += " " + x
	}
	return s
}

// maxArray bounds the arrays that an expression makes.
const maxArray = 1 << 32

// resolve finds the type; an Error says which part is not known.
func (t typeRef) resolve(ctx context.Context, h Host) (*types.Type, error) {
	base := basicTypes[t.name]
	if !t.basic {
		if t.module != "" && !h.HasModule(ctx, t.module) {
			return nil, Errorf("Unable to find module '%s' for qualified type lookup.", t.module)
		}
		var ok bool
		if base, ok = h.Type(ctx, t.module, t.name); !ok {
			return nil, Errorf("Unable to find type '%s' for cast.", t.spell())
		}
	}
	for _, x := range t.suffix {
		if x == "*" {
			base = pointerTo(base)
			continue
		}
		n, err := strconv.ParseUint(x[1:len(x)-1], 10, 64)
		if err != nil || base.Size != 0 && n > maxArray/base.Size {
			return nil, Errorf("Unable to find type '%s' for cast.", t.spell())
		}
		base = arrayOf(base, n)
	}
	return base, nil
}

const pointerSize = 8

func pointerTo(t *types.Type) *types.Type {
	p := &types.Type{Kind: types.Pointer, Size: pointerSize}
	return p.NewLazy(func(l *types.Lazy) { l.Elem = t })
}

func arrayOf(t *types.Type, n uint64) *types.Type {
	a := &types.Type{Kind: types.Array, Size: t.Size * n, Count: n}
	return a.NewLazy(func(l *types.Lazy) { l.Elem = t })
}

// PointerTo returns the type of pointers to t.
func PointerTo(t *types.Type) *types.Type { return pointerTo(t) }

// Basic returns a type of the language by its name, nil for others.
func Basic(name string) *types.Type { return basicTypes[name] }
