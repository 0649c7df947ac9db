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

// For returns the profiles made for a build: several where its updates differ,
// so that the dump must tell which fits.
func For(build uint32) []*Profile {
	var out []*Profile
	for _, f := range Families() {
		if f.First <= build && build <= f.Last {
			out = append(out, f.Profile())
		}
	}
	return out
}

// Neighbours returns the profiles next to a build that has none of its own, the
// older one first, for a caller that verifies them on a dump.
func Neighbours(build uint32) []*Profile {
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
	cut    map[string]uint64 // by type: members from here on are not told

	once  sync.Once
	list  []*types.Type
	named map[string]*types.Type
}

var _ types.Source = (*Profile)(nil)

// Family returns the builds the profile is made for.
func (p *Profile) Family() Family { return p.family }

// HasSize reports whether a type of the profile may have this size; true for
// types that it does not know.
func (p *Profile) HasSize(typ string, size uint64) bool {
	t, err := table()
	if err != nil {
		return false
	}
	r, ok := t.named[typ]
	if !ok {
		return true
	}
	v := r.values[p.family.column]
	return !v.known || v.fits(size)
}

// Cut returns the profile without the members of a type that begin at an offset
// or behind it: for a kernel whose type is not as long as in the table, which
// tells that something in it moved.
func (p *Profile) Cut(typ string, from uint64) *Profile {
	c := &Profile{family: p.family, cut: map[string]uint64{typ: from}}
	for t, f := range p.cut {
		if t != typ || f < from {
			c.cut[t] = f
		}
	}
	return c
}

// IsCut reports whether the profile tells a part of the type only.
func (p *Profile) IsCut(typ string) bool {
	_, ok := p.cut[typ]
	return ok
}

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
		if from, ok := p.cut[typ]; !v.known || ok && v.offset >= from {
			continue
		}
		out = append(out, types.Field{Name: r.member, Offset: v.offset, Type: p.kind(r.kind, v)})
	}
	return out
}
