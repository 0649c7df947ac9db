// Package profile knows the kernel's structures without symbols: for each
// family of Windows builds the sizes of some sixty types and the places of the
// members that the engine asks for.
//
// All facts stand in facts.txt, one row a type or member and one column a
// family, with what each column rests on. Only numbers are kept there. The
// program in check compares them with any symbol file of a kernel, and prints
// the column of one. A profile is chosen by build and says nothing about
// whether it fits: who uses it verifies it on the dump first.
package profile

import (
	_ "embed"
	"fmt"
	"iter"
	"sync"

	"kdap/engine/types"
)

//go:embed facts.txt
var factsText string

var table = sync.OnceValues(func() (*facts, error) { return parseFacts(factsText) })

// A Family is a range of builds that share a layout.
type Family struct {
	ID          string // the first build, "19041"
	First, Last uint32 // builds
	Name        string // "Windows 10 2004 to 22H2"
	Source      string // what its facts rest on

	column int
}

// Families returns the families with facts, oldest first.
func Families() []Family {
	t, err := table()
	if err != nil {
		return nil
	}
	return t.families
}

// For returns the profile of a build.
func For(build uint32) (*Profile, bool) {
	for _, f := range Families() {
		if f.First <= build && build <= f.Last {
			return f.Profile(), true
		}
	}
	return nil, false
}

// Candidates returns the profile of a build; for a build between or beyond the
// families those of its neighbours, the older one first, for a caller that
// verifies them on a dump.
func Candidates(build uint32) []*Profile {
	if p, ok := For(build); ok {
		return []*Profile{p}
	}
	var older, newer *Profile
	for _, f := range Families() {
		switch {
		case f.Last < build:
			older = f.Profile()
		case f.First > build && newer == nil:
			newer = f.Profile()
		}
	}
	var out []*Profile
	for _, p := range []*Profile{older, newer} {
		if p != nil {
			out = append(out, p)
		}
	}
	return out
}

// Profile returns the types of the family.
func (f Family) Profile() *Profile { return &Profile{family: f} }

// A Profile is a types.Source of the few types that a family has facts for.
// Its types have no other members than the known ones: they serve code that
// asks for a member by name, and must not be shown as the kernel's types.
type Profile struct {
	family Family

	once  sync.Once
	list  []*types.Type
	named map[string]*types.Type
}

var _ types.Source = (*Profile)(nil)

// Family returns the builds the profile is made for.
func (p *Profile) Family() Family { return p.family }

func (p *Profile) String() string {
	f := p.family
	if f.First == f.Last {
		return fmt.Sprintf("%s (build %d)", f.Name, f.First)
	}
	return fmt.Sprintf("%s (builds %d to %d)", f.Name, f.First, f.Last)
}

// PointerSize is 8: the profiles are those of x64 kernels.
func (p *Profile) PointerSize() int { return pointerSize }

const pointerSize = 8

// Type returns the type of this name.
func (p *Profile) Type(name string) (*types.Type, bool) {
	p.once.Do(p.build)
	t, ok := p.named[name]
	return t, ok
}

// Types yields the types in the order of the table.
func (p *Profile) Types() iter.Seq[*types.Type] {
	return func(yield func(*types.Type) bool) {
		p.once.Do(p.build)
		for _, t := range p.list {
			if !yield(t) {
				return
			}
		}
	}
}

// build makes the types; the members of each are made on first use.
func (p *Profile) build() {
	p.named = map[string]*types.Type{}
	t, err := table()
	if err != nil {
		return
	}
	for _, r := range t.rows {
		v := r.values[p.family.column]
		switch {
		case !v.known:
		case r.member == "" && r.kind == enumKind:
			p.add(enumType(r, v))
		case r.member == "":
			typ := &types.Type{Kind: types.Struct, Name: r.typ, Size: v.offset, MemberCount: -1}
			p.add(typ.NewLazy(func(l *types.Lazy) { l.Fields = p.fields(r.typ) }))
		}
	}
}

func (p *Profile) add(t *types.Type) {
	p.list = append(p.list, t)
	p.named[t.Name] = t
}

func (p *Profile) fields(typ string) []types.Field {
	t, err := table()
	if err != nil {
		return nil
	}
	var out []types.Field
	for _, r := range t.byType[typ] {
		v := r.values[p.family.column]
		if !v.known {
			continue
		}
		out = append(out, types.Field{Name: r.member, Offset: v.offset, Type: p.kind(r.kind, v)})
	}
	return out
}
