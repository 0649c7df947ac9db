package dumptest

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
)

// Lists of _MMPFNENTRY1.PageLocation.
const (
	pageZeroed = iota
	pageFree
	pageStandby
	pageModified
	pageModifiedNoWrite
	pageBad
	pageActive
	pageTransition
)

// PageCounts says how many pages of the machine are in which state. Pages that
// hold something are counted in; the others are made up to fit. What the counts
// do not name is zeroed.
type PageCounts struct {
	Zeroed, Free, Standby, Modified, ModifiedNoWrite, Active, Transition uint64
	Slist, Bad                                                           uint64

	// Of the active ones, those that belong to no page table.
	DanglingCommit, DanglingNoCommit uint64

	Owner *Process // of the active pages that are made up; default System

	// Distinct gives each page that is made up an entry of its own, so that the
	// database takes the memory that it takes on a real machine.
	Distinct bool
}

// A pfnEntry is what the database says of one page.
type pfnEntry struct {
	location            uint64
	pte, frame          uint64 // where it is mapped
	share, references   uint64
	original            uint64
	prototype, modified bool
	charged, parity     bool
	priority            uint64
}

// A prototype is where a page of a file is known: its prototype entry and the
// subsection that the entry goes back to.
type prototype struct{ pte, original uint64 }

// SetPages gives the machine a PFN database. It describes every page the writer
// took as it is used, and a population of others.
func (m *Machine) SetPages(c PageCounts) { m.pageCounts = &c }

// makePFNs writes the database. Pages of the database that say the same are one
// page of memory: a machine of 16 GB takes no more than one of a few MB.
func (m *Machine) makePFNs() {
	if m.pageCounts == nil {
		return
	}
	size := uint64(m.l.size("_MMPFN"))
	// Its page tables and pages are described, too, so they are taken first.
	var places []uint64
	for _, r := range m.phys.runs {
		for va := (pfnBase + r.Base*size) &^ (pageSize - 1); va < pfnBase+(r.Base+r.Count)*size; va += pageSize {
			if n := len(places); n == 0 || places[n-1] < va {
				places = append(places, va)
				m.Kernel.entry(va, 1)
			}
		}
	}
	frames := m.takePFNPages(places)
	w := pfnWriter{m: m, size: size, known: m.survey(), made: map[page]uint64{}, frames: frames, pteAt: m.l.offset("_MMPFN", "PteAddress")}
	w.population()
	for _, va := range places {
		w.write(va)
	}
}

// takePFNPages takes frames for the database: one for each of its pages that
// describes a page in use, the frames themselves too, and some for the others.
func (m *Machine) takePFNPages(places []uint64) (frames []uint64) {
	size := uint64(m.l.size("_MMPFN"))
	for {
		needed := map[uint64]bool{}
		for pfn := range m.phys.taken {
			needed[(pfn*size)/pageSize] = true
			needed[(pfn*size+size-1)/pageSize] = true
		}
		want := min(len(places), len(needed)+64)
		if m.pageCounts.Distinct {
			want = len(places)
		}
		if len(frames) >= want {
			return frames
		}
		for i := len(frames); i < want; i++ {
			f := m.phys.alloc()
			frames = append(frames, f)
			m.Kernel.Map(places[i], f, ReadWrite) // for the survey: all are pages of the database
		}
	}
}

// A pfnWriter lays the database page by page.
type pfnWriter struct {
	m      *Machine
	size   uint64
	known  map[uint64]pfnEntry
	fill   []pfnFill
	made   map[page]uint64 // the frame of each text of a page
	frames []uint64        // that are free for it

	pteAt     int    // where an entry has PteAddress
	straddler uint64 // the page whose entry was made up last
	straddled []byte
}

// A pfnFill is pages of one state that are made up: the next ones without use.
type pfnFill struct {
	left  uint64
	entry []byte
	pte   uint64 // in the entry
}

// population lists what the counts ask for beyond the pages in use.
func (w *pfnWriter) population() {
	c := *w.m.pageCounts
	used := map[uint64]uint64{}
	for _, e := range w.known {
		used[e.location]++
	}
	total := w.m.phys.total
	add := func(n uint64, e pfnEntry) {
		n -= min(n, used[e.location])
		w.fill = append(w.fill, pfnFill{n, w.encode(e), e.pte})
		total -= n
	}
	for l, n := range used {
		total -= n
		if l == pageActive && c.Active < n {
			c.Active = n
		}
	}
	owner := c.Owner
	if owner == nil {
		owner = w.m.System()
	}
	dangling := c.DanglingCommit + c.DanglingNoCommit
	if c.Active > 0 && c.Active-used[pageActive] < dangling {
		dangling, c.DanglingCommit, c.DanglingNoCommit = 0, 0, 0
	}
	add(c.Active-dangling, pfnEntry{
		location: pageActive, pte: selfMapped(0x1000, 1), frame: owner.Space.root, share: 1, references: 1, original: 0x80, modified: true, priority: 5,
	})
	used[pageActive] = 0 // the rest is made up whatever is in use
	add(c.DanglingCommit, pfnEntry{location: pageActive, share: 1, references: 1, charged: true})
	add(c.DanglingNoCommit, pfnEntry{location: pageActive, share: 1, references: 1})
	away := pfnEntry{pte: selfMapped(0x2000, 1), frame: owner.Space.root, original: 0x80}
	for _, s := range []struct {
		n, location, priority uint64
		dirty                 bool
	}{
		{c.Standby, pageStandby, 5, false},
		{c.Modified, pageModified, 5, true},
		{c.ModifiedNoWrite, pageModifiedNoWrite, 5, true},
		{c.Transition, pageTransition, 5, true},
	} {
		e := away
		e.location, e.priority, e.modified = s.location, s.priority, s.dirty
		add(s.n, e)
	}
	add(c.Free, pfnEntry{location: pageFree})
	add(c.Slist, pfnEntry{location: pageBad})
	add(c.Bad, pfnEntry{location: pageBad, parity: true})
	if total > 1<<63 {
		panic("dumptest: more pages are counted than the machine has")
	}
	w.fill = append(w.fill, pfnFill{left: total, entry: w.encode(pfnEntry{location: pageZeroed})})
}

// next is the entry of a page without use.
func (w *pfnWriter) next() []byte {
	for len(w.fill) > 1 && w.fill[0].left == 0 {
		w.fill = w.fill[1:]
	}
	w.fill[0].left--
	if !w.m.pageCounts.Distinct || w.fill[0].pte == 0 {
		return w.fill[0].entry
	}
	e := bytes.Clone(w.fill[0].entry)
	le.PutUint64(e[w.pteAt:], w.fill[0].pte+8*w.fill[0].left)
	return e
}

// write makes the page of the database at va. Entries can straddle two.
func (w *pfnWriter) write(va uint64) {
	var p page
	first := (va - pfnBase) / w.size
	for pfn := first; pfnBase+pfn*w.size < va+pageSize; pfn++ {
		e := w.entry(pfn)
		at := pfnBase + pfn*w.size
		if at < va {
			copy(p[:], e[va-at:])
		} else {
			copy(p[at-va:], e)
		}
	}
	frame, ok := w.made[p]
	if !ok {
		if len(w.frames) == 0 {
			panic("dumptest: the PFN database has more pages than were taken for it")
		}
		frame, w.frames = w.frames[0], w.frames[1:]
		w.made[p] = frame
		*w.m.phys.page(frame) = p
	}
	w.m.Kernel.Map(va, frame, ReadWrite)
}

// entry returns the bytes of a page's entry; of one that the machine has not
// zeros. A page that straddles is asked for twice and must not count twice.
func (w *pfnWriter) entry(pfn uint64) []byte {
	if e, ok := w.known[pfn]; ok {
		return w.encode(e)
	}
	if w.m.phys.has(pfn) {
		if pfn == w.straddler {
			return w.straddled
		}
		w.straddler, w.straddled = pfn, w.next()
		return w.straddled
	}
	return make([]byte, w.size)
}

// encode renders an entry.
func (w *pfnWriter) encode(e pfnEntry) []byte {
	b := make([]byte, w.size)
	put := func(path string, v uint64) { w.m.l.put(b, "_MMPFN", path, v) }
	bit := func(path string, v bool) {
		if v {
			put(path, 1)
		}
	}
	put("u3.e1.PageLocation", e.location)
	put("u3.e1.CacheAttribute", 1)
	put("u3.e3.Priority", e.priority)
	put("u3.ReferenceCount", e.references)
	put("PteAddress", e.pte)
	put("OriginalPte", e.original)
	put("u4.PteFrame", e.frame)
	put("u4.PfnExists", 1)
	bit("u4.PrototypePte", e.prototype)
	bit("u3.e1.Modified", e.modified)
	bit("u3.e3.SystemChargedPage", e.charged)
	bit("u3.e3.ParityError", e.parity)
	if e.location == pageActive {
		put("u2.ShareCount", e.share)
	} else {
		put("u1.Flink", 1<<40-1) // each the only one of its list
		put("u2.Blink", 1<<40-1)
	}
	return b
}

// put stores a field in the bytes of a structure.
func (all layoutSet) put(b []byte, typ, path string, v uint64) {
	off, f := all.find(typ, path)
	n, _, _ := all.sizeOf(f.ref)
	if f.bits == 0 {
		copy(b[off:off+n], le.AppendUint64(nil, v))
		return
	}
	mask := uint64(1)<<f.bits - 1
	for i := range n {
		b[off+i] = b[off+i]&^byte(mask<<f.bit>>(8*i)) | byte(v&mask<<f.bit>>(8*i))
	}
}

// has tells whether the machine has a page.
func (p *physical) has(pfn uint64) bool {
	for _, r := range p.runs {
		if pfn-r.Base < r.Count {
			return true
		}
	}
	return false
}

// selfMapped is where the self-map shows the entry of a level for va.
func selfMapped(va uint64, level int) uint64 {
	va &= 1<<48 - 1
	for range level {
		va = uint64(selfIndex)<<39 | va>>9&^7
	}
	return 0xffff<<48 | va
}

// survey finds what every page in use is used for, by the page tables.
func (m *Machine) survey() map[uint64]pfnEntry {
	s := surveyor{m: m, known: map[uint64]pfnEntry{}}
	for _, p := range m.processes {
		if p.Space != m.Kernel {
			s.root(p.Space.root, 0, 256)
		}
	}
	s.root(m.Kernel.root, 0, 512)
	for _, pfn := range slices.SortedFunc(maps.Keys(m.phys.taken), cmp.Compare) {
		if _, ok := s.known[pfn]; !ok && m.phys.has(pfn) {
			// Nothing maps it any more.
			s.known[pfn] = pfnEntry{location: pageStandby, pte: selfMapped(0x3000, 1), frame: m.Kernel.root, original: 0x80, priority: 3}
		}
	}
	for pfn, p := range m.prototypes {
		if e, ok := s.known[pfn]; ok && p.pte != 0 {
			e.pte, e.original, e.prototype, e.modified = p.pte, p.original, true, false
			s.known[pfn] = e
		}
	}
	return s.known
}

// A surveyor walks page tables of four levels.
type surveyor struct {
	m     *Machine
	known map[uint64]pfnEntry
}

func (s *surveyor) root(root, from, to uint64) {
	s.known[root] = pfnEntry{location: pageActive, pte: selfMapped(0, 4)&^0xfff | selfIndex*8, frame: root, share: 1, references: 1, modified: true}
	s.table(root, 4, 0, from, to)
}

func (s *surveyor) table(table uint64, level int, base, from, to uint64) {
	for i := from; i < to; i++ {
		e := s.m.phys.u64(table<<12 + 8*i)
		if e == 0 || level == 4 && i == selfIndex {
			continue
		}
		if e&(pteValid|pteSwizzle) == 0 {
			e ^= s.m.opts.InvalidPteMask
		}
		va := base | i<<(12+9*(level-1))
		pfn := e & pteFrame >> 12
		switch {
		case e&pteValid == 0 && (level > 1 || e&(pteTransition|ptePrototype) != pteTransition):
		case e&pteValid == 0:
			s.note(pfn, pfnEntry{location: pageTransition, pte: selfMapped(va, 1), frame: table, original: 0x80, modified: true, priority: 5})
		case level == 1:
			s.note(pfn, pfnEntry{location: pageActive, pte: selfMapped(va, 1), frame: table, original: 0x80, modified: e&pteDirty != 0, priority: 5})
		case e&pteLarge != 0:
			for k := range min(uint64(1)<<(9*(level-1)), 512) {
				s.note(pfn+k, pfnEntry{location: pageActive, pte: selfMapped(va, level), frame: table, original: 0x80, priority: 5})
			}
		default:
			s.note(pfn, pfnEntry{location: pageActive, pte: selfMapped(va, level), frame: table, original: 0x80, modified: true, priority: 5})
			s.table(pfn, level-1, va, 0, 512)
		}
		if up := s.known[table]; e&pteValid != 0 {
			up.share++
			s.known[table] = up
		}
	}
}

// note enters one use of a page; the first says where it is mapped.
func (s *surveyor) note(pfn uint64, e pfnEntry) {
	if !s.m.phys.has(pfn) {
		return
	}
	old, ok := s.known[pfn]
	if !ok {
		old = e
	}
	if e.location == pageActive {
		old.location = pageActive
		old.share++
		old.references = 1
	}
	s.known[pfn] = old
}
