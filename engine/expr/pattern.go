package expr

import "unicode"

// MatchPattern matches a string wildcard of the debugger, without regard to
// letter case: * any run, ? any one character, [a-z] one of a set, # zero or
// more and + one or more of the character before it, \ takes the special
// meaning off the next character.
func MatchPattern(s, pattern string) bool {
	items := compilePattern([]rune(pattern))
	text := []rune(s)
	// at[i] says whether the items so far can match the first i characters:
	// linear in the text for every item, whatever the pattern.
	at := make([]bool, len(text)+1)
	next := make([]bool, len(text)+1)
	at[0] = true
	for _, item := range items {
		for i := range next {
			next[i] = item.min == 0 && at[i]
			if i > 0 && item.matches(text[i-1]) {
				next[i] = next[i] || at[i-1] || item.many && next[i-1]
			}
		}
		at, next = next, at
	}
	return at[len(text)]
}

type patternItem struct {
	any  bool
	set  []runeRange
	min  int
	many bool
}

type runeRange struct{ lo, hi rune }

func (p patternItem) matches(r rune) bool {
	if p.any {
		return true
	}
	r = unicode.ToLower(r)
	for _, s := range p.set {
		if s.lo <= r && r <= s.hi {
			return true
		}
	}
	return false
}

func compilePattern(p []rune) []patternItem {
	var items []patternItem
	for i := 0; i < len(p); i++ {
		switch r := p[i]; {
		case r == '*':
			items = append(items, patternItem{any: true, many: true})
		case r == '?':
			items = append(items, patternItem{any: true, min: 1})
		case (r == '#' || r == '+') && len(items) > 0:
			last := &items[len(items)-1]
			last.many = true
			if r == '#' {
				last.min = 0
			}
		case r == '[':
			set, n := compileSet(p[i+1:])
			items = append(items, patternItem{set: set, min: 1})
			i += n
		default:
			if r == '\\' && i+1 < len(p) {
				i++
				r = p[i]
			}
			r = unicode.ToLower(r)
			items = append(items, patternItem{set: []runeRange{{r, r}}, min: 1})
		}
	}
	return items
}

// compileSet reads what follows a [ up to its ] and returns how many
// characters that took.
func compileSet(p []rune) ([]runeRange, int) {
	var set []runeRange
	for i := 0; i < len(p); i++ {
		if p[i] == ']' {
			return set, i + 1
		}
		lo := unicode.ToLower(p[i])
		if i+2 < len(p) && p[i+1] == '-' && p[i+2] != ']' {
			set = append(set, runeRange{lo, unicode.ToLower(p[i+2])})
			i += 2
			continue
		}
		set = append(set, runeRange{lo, lo})
	}
	return set, len(p)
}
