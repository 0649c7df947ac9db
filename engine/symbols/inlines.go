package symbols

import (
	"iter"

	"kdap/engine/pdb"
)

// An InlineSite is a place where a function was inlined.
type InlineSite struct {
	Name      string
	RVA, Size uint32
	Caller    string // the procedure it was inlined into
	CallerRVA uint32
}

// Inlines yields the inlined functions of all procedures, procedure by
// procedure. It reads every procedure's records, so it is slow for large files.
func (t *Table) Inlines() iter.Seq[InlineSite] {
	return func(yield func(InlineSite) bool) {
		if t.pdb == nil || t.Rank != PrivatePDB || t.opts&PublicsOnly != 0 {
			return
		}
		for p := range t.pdb.Procs() {
			body, _ := p.Body()
			if !inlinesIn(&body.Scope, p, yield) {
				return
			}
		}
	}
}

func inlinesIn(s *pdb.Scope, p *pdb.Proc, yield func(InlineSite) bool) bool {
	for _, in := range s.Inner {
		if in.Inline != nil && len(in.Inline.Ranges) > 0 {
			r := in.Inline.Ranges[0]
			if !yield(InlineSite{in.Inline.Name, r.RVA, r.Size, p.Name, p.RVA}) {
				return false
			}
		}
		if !inlinesIn(in, p, yield) {
			return false
		}
	}
	return true
}
