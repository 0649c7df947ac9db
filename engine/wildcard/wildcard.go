// Package wildcard matches names against the debugger's symbol-style wildcards.
//
// A pattern is compared with a whole string, without regard to case:
//
//   - any characters, or none
//     ?      one character
//     [a-z7] one character of the set; a hyphen makes a range
//     #      none or more of the character (or set) before it
//   - one or more of the character (or set) before it
//     \c     the character c itself
//
// The language is that of the debugger documentation's "String Wildcard
// Syntax". Every string is a pattern: a bracket that is not closed, an empty
// set, a # or + with nothing before it and a \ at the end stand for themselves.
//
// Matching takes at most len(pattern)·len(string) steps, whatever the pattern.
// A Pattern is safe for concurrent use.
package wildcard

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// An element matches one character, or with many set any number of them.
type element struct {
	char rune // folded; not used when any or set is there
	any  bool
	many bool
	set  []span
}

// A span is one range of a set, both ends included.
type span struct{ lo, hi rune }

// A Pattern is a compiled wildcard pattern.
type Pattern struct {
	elems   []element
	literal string // the folded text when wild is false
	prefix  string // folded text that every match begins with
	wild    bool
}

// Compile reads a pattern that must cover the whole of what it is compared with.
func Compile(pattern string) *Pattern { return build(parse(pattern)) }

// CompileContains reads a pattern that may match anywhere in a string, as the
// command # searches lines.
func CompileContains(pattern string) *Pattern {
	anything := element{any: true, many: true}
	elems := append([]element{anything}, parse(pattern)...)
	return build(append(elems, anything))
}

// HasWildcards reports whether any character of the pattern has a meaning of
// its own, so that it can match more than one name.
func (p *Pattern) HasWildcards() bool { return p.wild }

// Literal returns the only name the pattern matches, in lower case and with
// escapes resolved; false when it has wildcards.
func (p *Pattern) Literal() (string, bool) { return p.literal, !p.wild }

// Prefix returns the lower-case text that every match begins with, for an
// index to start from. It may be empty.
func (p *Pattern) Prefix() string { return p.prefix }

func build(elems []element) *Pattern {
	p := &Pattern{elems: elems}
	var text strings.Builder
	for _, e := range elems {
		if e.any || e.many || e.set != nil {
			p.wild = true
			break
		}
		text.WriteRune(e.char)
	}
	p.prefix = text.String()
	if !p.wild {
		p.literal = p.prefix
	}
	return p
}

func parse(pattern string) []element {
	var elems []element
	repeatable := false // the element before is one that # and + can follow
	for rest := pattern; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		after := rest[n:]
		e := element{char: fold(r)}
		switch {
		case r == '*':
			e, repeatable = element{any: true, many: true}, false
		case (r == '#' || r == '+') && repeatable:
			last := elems[len(elems)-1]
			if r == '#' {
				elems = elems[:len(elems)-1]
			}
			last.many = true
			e, repeatable = last, false
		case r == '?':
			e, repeatable = element{any: true}, true
		case r == '[':
			if set, size := parseSet(rest); set != nil {
				e, after = element{set: set}, rest[size:]
			}
			repeatable = true
		case r == '\\' && after != "":
			r, n = utf8.DecodeRuneInString(after)
			e, after, repeatable = element{char: fold(r)}, after[n:], true
		default:
			repeatable = true
		}
		elems = append(elems, e)
		rest = after
	}
	return elems
}

// parseSet reads a set from its opening bracket on and returns how many bytes
// it takes; nil when it has no end or nothing in it.
func parseSet(s string) ([]span, int) {
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return nil, 0
	}
	chars := []rune(s[1:end])
	var set []span
	for i := 0; i < len(chars); i++ {
		sp := span{chars[i], chars[i]}
		if i+2 < len(chars) && chars[i+1] == '-' {
			sp.hi = chars[i+2]
			i += 2
		}
		if sp.lo > sp.hi {
			sp.lo, sp.hi = sp.hi, sp.lo
		}
		set = append(set, sp)
	}
	return set, end + 1
}

// fold maps all spellings of a letter to one.
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if least < utf8.RuneSelf {
		return fold(least)
	}
	return least
}

// accepts reports whether the element matches the character r, given folded as
// well.
func (e *element) accepts(r, folded rune) bool {
	switch {
	case e.any:
		return true
	case e.set == nil:
		return e.char == folded
	}
	for f := r; ; {
		for _, s := range e.set {
			if s.lo <= f && f <= s.hi {
				return true
			}
		}
		if f = unicode.SimpleFold(f); f == r {
			return false
		}
	}
}

// Match reports whether the pattern matches all of s.
func (p *Pattern) Match(s string) bool {
	s, ok := p.cutPrefix(s)
	if !ok || !p.wild {
		return ok && s == ""
	}
	elems := p.elems[utf8.RuneCountInString(p.prefix):]
	if len(elems) == 1 && elems[0].any && elems[0].many {
		return true
	}

	// at[i] says that what was read so far can have brought us before
	// element i. All ways are followed at once, so none is tried twice.
	var small [64]bool
	at := small[:]
	if len(elems) >= len(small) {
		at = make([]bool, len(elems)+1)
	}
	at = at[:len(elems)+1]
	at[0] = true
	skip(elems, at)
	for _, r := range s {
		folded, alive := fold(r), false
		// From the end, so that a step is not taken twice for one character.
		for i := len(elems); i >= 0; i-- {
			here := i < len(elems) && at[i] && elems[i].many && elems[i].accepts(r, folded)
			if i > 0 && !here {
				e := &elems[i-1]
				here = at[i-1] && !e.many && e.accepts(r, folded)
			}
			at[i] = here
			alive = alive || here
		}
		if !alive {
			return false
		}
		skip(elems, at)
	}
	return at[len(elems)]
}

// skip steps over the elements that may match nothing.
func skip(elems []element, at []bool) {
	for i := range elems {
		if at[i] && elems[i].many {
			at[i+1] = true
		}
	}
}

// cutPrefix removes the pattern's literal beginning from s.
func (p *Pattern) cutPrefix(s string) (string, bool) {
	for _, want := range p.prefix {
		r, n := utf8.DecodeRuneInString(s)
		if n == 0 || fold(r) != want {
			return s, false
		}
		s = s[n:]
	}
	return s, true
}
