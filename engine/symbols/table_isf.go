package symbols

import (
	"iter"
	"sort"
	"strings"

	"kdap/engine/isf"
)

// isfTable answers from an ISF table, whose symbols are those of a PDB's
// publics. It has no sections; they come from the image.
type isfTable struct {
	f        *isf.File
	sections func() []Section // sorted
	opts     Options
}

func (t *isfTable) symbol(i int) Symbol {
	s := t.f.Symbol(i)
	out := Symbol{Name: s.Raw, Raw: s.Raw, RVA: s.RVA, Kind: PublicFunction}
	if t.opts&Undname != 0 {
		out.Name = DisplayName(s.Raw)
	}
	if sec, ok := sectionAt(t.sections(), s.RVA); ok && !sec.Code {
		out.Kind = PublicData
	}
	return out
}

// sectionAt returns the section that holds rva; without any sections the image
// is one.
func sectionAt(sections []Section, rva uint32) (Section, bool) {
	if len(sections) == 0 {
		return Section{0, 1<<32 - 1, true}, true
	}
	i := sort.Search(len(sections), func(i int) bool { return sections[i].RVA > rva }) - 1
	if i < 0 || rva-sections[i].RVA >= sections[i].Size {
		return Section{}, false
	}
	return sections[i], true
}

// first returns the index of the first of the symbols that share an address.
func (t *isfTable) first(i int) int { return t.f.Search(t.f.RVA(i)) }

func (t *isfTable) nearest(rva uint32) (Symbol, bool) {
	sec, ok := sectionAt(t.sections(), rva)
	if !ok {
		return Symbol{}, false
	}
	i := t.f.NumSymbols() - 1
	if rva != 1<<32-1 {
		i = t.f.Search(rva+1) - 1
	}
	if i < 0 || t.f.RVA(i) < sec.RVA {
		return Symbol{}, false
	}
	return t.symbol(t.first(i)), true
}

func (t *isfTable) outside(rva uint32) (Symbol, bool) { return outside(t, t.sections(), rva) }

func (t *isfTable) next(rva uint32) (Symbol, bool) {
	if rva == 1<<32-1 {
		return Symbol{}, false
	}
	if i := t.f.Search(rva + 1); i < t.f.NumSymbols() {
		return t.symbol(i), true
	}
	return Symbol{}, false
}

func (t *isfTable) at(rva uint32) []Symbol {
	if _, ok := sectionAt(t.sections(), rva); !ok {
		return nil
	}
	var list []int
	for i := t.f.Search(rva); i < t.f.NumSymbols() && t.f.RVA(i) == rva; i++ {
		list = append(list, i)
	}
	out := make([]Symbol, len(list))
	for i, n := range list {
		out[i] = t.symbol(n)
	}
	sort.SliceStable(out, func(i, j int) bool { return isf.HashBucket(out[i].Raw) < isf.HashBucket(out[j].Raw) })
	return out
}

func (t *isfTable) lookup(raw string, fold bool) iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		other := -1 // the first that differs in case
		for i := range t.f.Lookup(raw) {
			switch s := t.f.Symbol(i); {
			case s.Raw == raw:
				yield(t.symbol(i))
				return
			case other < 0:
				other = i
			}
		}
		if fold && other >= 0 {
			yield(t.symbol(other))
		}
	}
}

func (t *isfTable) all() iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		for i := range t.f.HashOrder() {
			if s := t.symbol(i); !(t.opts&Undname != 0 && isStringLiteral(s.Raw)) && !yield(s) {
				return
			}
		}
	}
}

func (t *isfTable) decorated() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range t.f.NumSymbols() {
			if s := t.f.Symbol(i); strings.HasPrefix(s.Raw, "?") && !yield(s.Raw) {
				return
			}
		}
	}
}
