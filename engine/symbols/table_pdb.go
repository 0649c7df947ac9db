package symbols

import (
	"iter"
	"strings"

	"kdap/engine/pdb"
	"kdap/engine/types"
)

// pdbTable answers from a PDB. A private symbol goes before a public one at
// the same address; of publics the first in the file's address map counts.
type pdbTable struct {
	f        *pdb.File
	opts     Options
	privates bool // the file has private symbols, and they are wanted
	sections func() []Section
}

func (t *pdbTable) public(s pdb.Symbol) Symbol {
	out := Symbol{Name: s.Name, Raw: s.Name, RVA: s.RVA, Kind: PublicData}
	if t.opts&Undname != 0 {
		out.Name = DisplayName(s.Name)
	}
	if sec, ok := sectionAt(t.sections(), s.RVA); s.IsFunction() || ok && sec.Code {
		out.Kind = PublicFunction
	}
	return out
}

func (t *pdbTable) private(s pdb.Symbol) Symbol {
	out := Symbol{Name: s.Name, Raw: s.Name, RVA: s.RVA, Size: s.Size, Kind: PrivateData}
	if s.IsFunction() {
		out.Kind = PrivateFunction
		out.typ = func() *types.Type { return t.f.TypeByIndex(s.TI) }
		return out
	}
	out.typ = func() *types.Type { return t.f.ResolvedType(s.TI) }
	out.Size = uint32(min(out.typ().Size, 1<<32-1))
	return out
}

// pick returns the better of two neighbours; higher says that the larger
// address is the nearer one.
func (t *pdbTable) pick(pub pdb.Symbol, havePub bool, priv pdb.Symbol, havePriv, higher bool) (Symbol, bool) {
	switch {
	case !havePub && !havePriv:
		return Symbol{}, false
	case havePriv && (!havePub || priv.RVA == pub.RVA || priv.RVA > pub.RVA == higher):
		return t.private(priv), true
	}
	return t.public(pub), true
}

func (t *pdbTable) nearest(rva uint32) (Symbol, bool) {
	pub, havePub, priv, havePriv := t.below(rva)
	return t.pick(pub, havePub, priv, havePriv, true)
}

func (t *pdbTable) below(rva uint32) (pub pdb.Symbol, havePub bool, priv pdb.Symbol, havePriv bool) {
	if t.opts&NoPublics == 0 {
		pub, havePub = t.f.NearestPublic(rva)
		havePub = havePub && !pub.NoRVA
	}
	if t.privates {
		priv, havePriv = t.f.NearestPrivate(rva)
		havePriv = havePriv && !priv.NoRVA
	}
	return
}

func (t *pdbTable) next(rva uint32) (Symbol, bool) {
	var pub, priv pdb.Symbol
	var havePub, havePriv bool
	if t.opts&NoPublics == 0 {
		pub, havePub = t.f.NextPublic(rva)
	}
	if t.privates {
		priv, havePriv = t.f.NextPrivate(rva)
	}
	return t.pick(pub, havePub, priv, havePriv, false)
}

func (t *pdbTable) outside(rva uint32) (Symbol, bool) { return outside(t, t.sections(), rva) }

// sectionsOf returns the sections that a PDB names, by address.
func sectionsOf(f *pdb.File) []Section {
	secs := f.Sections()
	out := make([]Section, len(secs))
	for i, s := range secs {
		out[i] = Section{RVA: s.RVA, Size: mappedSize(s.VirtualSize, s.RawSize), Code: s.Characteristics&scnCode != 0}
	}
	return sortSections(out)
}

// outside returns the last symbol of the nearest section below that has any,
// else the first symbol of the image. The sections are sorted.
func outside(t backend, sections []Section, rva uint32) (Symbol, bool) {
	for i := len(sections) - 1; i >= 0; i-- {
		s := sections[i]
		if s.Size == 0 || s.RVA > rva {
			continue
		}
		last := min(uint64(rva), uint64(s.RVA)+uint64(s.Size)-1)
		if sym, ok := t.nearest(uint32(last)); ok {
			return sym, true
		}
	}
	return t.next(0)
}

func (t *pdbTable) at(rva uint32) []Symbol {
	var out []Symbol
	if t.privates {
		for _, s := range t.f.PrivatesAt(rva) {
			if !s.NoRVA {
				out = append(out, t.private(s))
			}
		}
	}
	if t.opts&NoPublics != 0 || t.opts&AutoPublics != 0 && t.privates {
		return out
	}
	private := out
	for _, s := range t.f.PublicsAt(rva) {
		if !hasName(private, s.Name) {
			out = append(out, t.public(s))
		}
	}
	return out
}

func hasName(list []Symbol, raw string) bool {
	for i := range list {
		if list[i].Raw == raw {
			return true
		}
	}
	return false
}

func (t *pdbTable) lookup(raw string, fold bool) iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		if t.privates {
			for g := range t.f.LookupGlobals(raw) {
				if !fold && g.Name != raw {
					continue
				}
				if s, ok := t.global(g); ok && !yield(s) {
					return
				}
			}
		}
		if t.opts&NoPublics != 0 {
			return
		}
		find := t.f.LookupPublic
		if fold {
			find = t.f.LookupPublicFold
		}
		if s, ok := find(raw); ok && !s.NoRVA {
			yield(t.public(s))
		}
	}
}

// global turns a record of the globals hash into a symbol with an address.
func (t *pdbTable) global(g pdb.Symbol) (Symbol, bool) {
	if p, ok := t.f.Resolve(g); ok {
		g = p.Symbol()
	}
	if g.NoRVA {
		return Symbol{}, false
	}
	return t.private(g), true
}

func (t *pdbTable) all() iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		type place struct {
			name string
			rva  uint32
		}
		seen := map[place]bool{}
		if t.privates {
			for _, functions := range [...]bool{false, true} {
				for g := range t.f.Globals() {
					if g.IsFunction() != functions {
						continue
					}
					s, ok := t.global(g)
					if !ok {
						continue
					}
					seen[place{s.Raw, s.RVA}] = true
					if !yield(s) {
						return
					}
				}
			}
		}
		if t.opts&NoPublics != 0 {
			return
		}
		for p := range t.f.Publics() {
			if p.NoRVA || seen[place{p.Name, p.RVA}] || t.opts&Undname != 0 && isStringLiteral(p.Name) {
				continue
			}
			if !yield(t.public(p)) {
				return
			}
		}
	}
}

func (t *pdbTable) decorated() iter.Seq[string] {
	return func(yield func(string) bool) {
		if t.opts&NoPublics != 0 {
			return
		}
		for p := range t.f.Publics() {
			if strings.HasPrefix(p.Name, "?") && !yield(p.Name) {
				return
			}
		}
	}
}
