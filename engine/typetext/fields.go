package typetext

import (
	"strings"

	"kdap/engine/types"
)

// A Selector is a word that names members: "Pcb.Header.Type", "Peb->Ldr",
// "Image*", "parts[1].", "Pcb.".
type Selector struct {
	parts  []part
	prefix bool // the last name is a prefix
	// hideLeaf leaves out the last name: the path to a list's link is shown,
	// the link itself is not.
	hideLeaf bool
}

// A part is one name of a path.
type part struct {
	name      string
	subscript string // inside of the brackets
	indexed   bool
	arrow     bool // -> follows, not a dot
	all       bool // every member: the word ended with a dot
}

// ParseSelector reads a word of a field list; prefix is the -y in front of it.
func ParseSelector(word string, prefix bool) Selector {
	s := Selector{prefix: prefix}
	if strings.HasSuffix(word, "*") {
		word, s.prefix = strings.TrimSuffix(word, "*"), true
	}
	for rest := word; ; {
		end, width, arrow := len(rest), 0, false
		if i := strings.IndexByte(rest, '.'); i >= 0 {
			end, width = i, 1
		}
		if i := strings.Index(rest[:end], "->"); i >= 0 {
			end, width, arrow = i, 2, true
		}
		p := part{name: rest[:end], arrow: arrow}
		if i := strings.IndexByte(p.name, '['); i >= 0 {
			p.subscript, p.indexed = p.name[i+1:], true
			p.name = p.name[:i]
		}
		s.parts = append(s.parts, p)
		rest = rest[end+width:]
		if width == 0 {
			break
		}
		if rest == "" {
			s.parts = append(s.parts, part{all: !arrow})
			break
		}
	}
	// "A.." goes down as deep as structures go: names that are empty up to the
	// end stand for every member.
	for i := len(s.parts) - 1; i > 0 && s.parts[i].name == "" && s.parts[len(s.parts)-1].all; i-- {
		s.parts[i].all = true
	}
	return s
}

// matches reports whether part k of the selector names a member. A subscript
// together with a final dot makes the name a prefix.
func (s *Selector) matches(k int, name string) bool {
	p := s.parts[k]
	last := k == len(s.parts)-1
	loose := p.indexed && s.parts[len(s.parts)-1].all || last && s.prefix
	switch {
	case p.all:
		return true
	case loose:
		return len(name) >= len(p.name) && strings.EqualFold(name[:len(p.name)], p.name)
	}
	return p.name != "" && strings.EqualFold(name, p.name)
}

// chosen is a selector and how far into its path one is.
type chosen struct {
	s *Selector
	k int
}

// Members returns the members of a structure as dt lists them: those of base
// classes in their places, static members left out.
func Members(t *types.Type) []types.Field { return members(t, 0, nil, 0) }

// maxMembers bounds a structure with its base classes.
const maxMembers = 1 << 16

func members(t *types.Type, offset uint64, out []types.Field, depth int) []types.Field {
	for _, f := range t.Fields() {
		switch {
		case len(out) >= maxMembers:
			return out
		case f.Base && f.Type != nil && depth < maxNesting:
			out = members(f.Type, offset+f.Offset, out, depth+1)
		case f.Static:
		default:
			f.Offset += offset
			out = append(out, f)
		}
	}
	return out
}
