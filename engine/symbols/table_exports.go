package symbols

import (
	"iter"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"kdap/engine/pe"
)

// exportTable answers from the names an image exports. Forwarders have no
// address and are left out.
type exportTable struct {
	list     []pe.Export // by address, then name
	sections []Section
	size     uint32 // of the image
	opts     Options
	byName   func() map[string]int
}

func newExportTable(ex *pe.ExportTable, sections []Section, size uint32, opts Options) *exportTable {
	t := &exportTable{sections: sections, size: size, opts: opts}
	for _, e := range ex.Exports {
		if e.Forwarder != "" {
			continue
		}
		if e.Name == "" {
			e.Name = "Ordinal" + strconv.FormatUint(uint64(e.Ordinal), 10)
		}
		t.list = append(t.list, e)
	}
	t.list = slices.Clip(t.list)
	t.byName = sync.OnceValue(func() map[string]int {
		m := make(map[string]int, len(t.list))
		for i := len(t.list) - 1; i >= 0; i-- {
			m[strings.ToLower(t.list[i].Name)] = i
		}
		return m
	})
	return t
}

func (t *exportTable) search(rva uint32) int {
	return sort.Search(len(t.list), func(i int) bool { return t.list[i].RVA >= rva })
}

func (t *exportTable) symbol(i int) Symbol {
	e := t.list[i]
	s := Symbol{Name: e.Name, Raw: e.Name, RVA: e.RVA, Kind: ExportedSymbol}
	if strings.HasPrefix(e.Name, "?") && t.opts&Undname != 0 {
		s.Name = DisplayName(e.Name)
	}
	end := t.size
	if j := i + sort.Search(len(t.list)-i, func(k int) bool { return t.list[i+k].RVA > e.RVA }); j < len(t.list) {
		end = t.list[j].RVA
	}
	if end > e.RVA {
		s.Size = end - e.RVA
	}
	return s
}

func (t *exportTable) nearest(rva uint32) (Symbol, bool) {
	sec, ok := sectionAt(t.sections, rva)
	if !ok {
		return Symbol{}, false
	}
	i := sort.Search(len(t.list), func(i int) bool { return t.list[i].RVA > rva }) - 1
	if i < 0 || t.list[i].RVA < sec.RVA {
		return Symbol{}, false
	}
	return t.symbol(t.search(t.list[i].RVA)), true
}

func (t *exportTable) outside(rva uint32) (Symbol, bool) { return outside(t, t.sections, rva) }

func (t *exportTable) next(rva uint32) (Symbol, bool) {
	i := sort.Search(len(t.list), func(i int) bool { return t.list[i].RVA > rva })
	if i == len(t.list) {
		return Symbol{}, false
	}
	return t.symbol(i), true
}

func (t *exportTable) at(rva uint32) []Symbol {
	var out []Symbol
	for i := t.search(rva); i < len(t.list) && t.list[i].RVA == rva; i++ {
		out = append(out, t.symbol(i))
	}
	return out
}

func (t *exportTable) lookup(raw string, fold bool) iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		i, ok := t.byName()[strings.ToLower(raw)]
		if !ok || !fold && t.list[i].Name != raw {
			return
		}
		yield(t.symbol(i))
	}
}

func (t *exportTable) all() iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		for i := range t.list {
			if !yield(t.symbol(i)) {
				return
			}
		}
	}
}

func (t *exportTable) decorated() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, e := range t.list {
			if strings.HasPrefix(e.Name, "?") && !yield(e.Name) {
				return
			}
		}
	}
}
