package dumptest

import (
	"slices"
	"strings"
	"unicode"
)

// The cells of a hive, as public descriptions of the hive file format have
// them; they are alike in memory and in files.

const (
	noCell       = 0xffffffff
	nodeSize     = 0x4c // without the name
	valueSize    = 0x14
	leafEntries  = 507   // of a list of sub keys, before it gets a list of lists
	bigSegment   = 16344 // bytes of data that one cell has at most
	bigDataMinor = 4     // formats that know data in segments
	rootCell     = 0x20
)

// A planned cell is one whose content is made when all cells have places.
type plannedCell struct {
	store  *hiveStore
	off    uint32
	render func() []byte
}

// layout gives each cell its place. What was fixed comes first.
func (h *Hive) layout() []plannedCell {
	h.root.At(rootCell)
	var fixed [2][]extent
	h.root.walk(func(k *HiveKey) {
		h.keys++
		k.order()
		if k.fixed {
			fixed[k.where] = append(fixed[k.where], extent{k.cell, cellSize(k.nodeLength())})
		}
	})
	for i, s := range h.stores {
		s.cover(slices.Clone(fixed[i]))
	}
	h.root.walk(func(k *HiveKey) {
		if k.fixed {
			h.stores[k.where].takeAt(k.cell, k.nodeLength())
		}
	})
	for i, s := range h.stores {
		s.stretch(h.opt.Lengths[i])
	}
	var cells []plannedCell
	plan := func(s *hiveStore, size int, render func() []byte) uint32 {
		off := s.take(size)
		cells = append(cells, plannedCell{s, off, render})
		return off
	}
	h.root.walk(func(k *HiveKey) {
		if s := h.stores[k.where]; !k.fixed {
			k.cell = s.take(k.nodeLength())
		}
	})
	sk := h.securityCell()
	h.security = plan(h.stores[0], len(sk), func() []byte {
		le.PutUint32(sk[4:], h.security)
		le.PutUint32(sk[8:], h.security)
		le.PutUint32(sk[0xc:], uint32(h.keys))
		return sk
	})
	h.root.walk(func(k *HiveKey) { cells = append(cells, k.plan(plan)...) })
	return cells
}

// walk visits the keys from here down, parents first.
func (k *HiveKey) walk(f func(*HiveKey)) {
	f(k)
	for _, s := range k.subs {
		s.walk(f)
	}
}

// order sorts the sub keys by their names in upper case, as hives keep them.
func (k *HiveKey) order() {
	slices.SortFunc(k.subs, func(a, b *HiveKey) int { return strings.Compare(strings.ToUpper(a.name), strings.ToUpper(b.name)) })
}

// cellText is a name as cells have it: a byte a character where that does.
func cellText(name string) (b []byte, compressed bool) {
	for _, c := range name {
		if c > 0xff {
			return utf16Bytes(name), false
		}
		b = append(b, byte(c))
	}
	return b, true
}

func (k *HiveKey) nodeLength() int {
	b, _ := cellText(k.name)
	return nodeSize + len(b)
}

// plan makes the cells of a key: its node, class, values, lists.
func (k *HiveKey) plan(plan func(*hiveStore, int, func() []byte) uint32) []plannedCell {
	s := k.hive.stores[k.where]
	class := uint32(noCell)
	if k.class != "" {
		text := utf16Bytes(k.class)
		class = s.index(plan(s, len(text), func() []byte { return text }))
	}
	var cells []plannedCell
	list := uint32(noCell)
	if len(k.values) > 0 {
		var index []byte
		for _, v := range k.values {
			data := k.hive.planData(v, s, plan)
			name, compressed := cellText(v.name)
			b := append([]byte("vk"), le.AppendUint16(nil, uint16(len(name)))...)
			b = append(b, data...)
			b = le.AppendUint16(le.AppendUint32(b, v.typ), map[bool]uint16{true: 1}[compressed && v.name != ""])
			b = append(le.AppendUint16(b, 0), name...)
			v.cell = s.index(plan(s, len(b), func() []byte { return b }))
			index = le.AppendUint32(index, v.cell)
		}
		list = s.index(plan(s, len(index), func() []byte { return index }))
	}
	var lists, counts [2]uint32
	for where := range 2 {
		var subs []*HiveKey
		for _, sub := range k.subs {
			if sub.where == where {
				subs = append(subs, sub)
			}
		}
		counts[where], lists[where] = uint32(len(subs)), noCell
		if len(subs) > 0 {
			lists[where] = k.hive.planList(k.hive.stores[where], k.index, subs, plan)
		}
	}
	return append(cells, plannedCell{s, k.cell, func() []byte { return k.node(counts, lists, list, class) }})
}

// planData makes the cells of a value's data and returns length and cell as the
// value has them.
func (h *Hive) planData(v *HiveValue, s *hiveStore, plan func(*hiveStore, int, func() []byte) uint32) []byte {
	n := uint32(len(v.data))
	head := le.AppendUint32(nil, n)
	switch {
	case n <= 4:
		head[3] |= 0x80
		return append(append(head, v.data...), make([]byte, 4-n)...)
	case n <= bigSegment || h.opt.Minor < bigDataMinor:
		v.dataCell = s.index(plan(s, len(v.data), func() []byte { return v.data }))
		return le.AppendUint32(head, v.dataCell)
	}
	var list []byte
	for part := range slices.Chunk(v.data, bigSegment) {
		list = le.AppendUint32(list, s.index(plan(s, len(part)+4, func() []byte { return append(slices.Clone(part), 0, 0, 0, 0) })))
	}
	at := s.index(plan(s, len(list), func() []byte { return list }))
	db := le.AppendUint32(le.AppendUint16([]byte("db"), uint16(len(list)/4)), at)
	v.dataCell = s.index(plan(s, len(db), func() []byte { return db }))
	return le.AppendUint32(head, v.dataCell)
}

// planList makes the list of sub keys; a long one is a list of lists.
func (h *Hive) planList(s *hiveStore, kind string, subs []*HiveKey, plan func(*hiveStore, int, func() []byte) uint32) uint32 {
	leaf := kind
	switch {
	case kind == "" || kind == "ri":
		leaf = "lh"
		if h.opt.Minor < 5 {
			leaf = "lf"
		}
	}
	entry := map[string]int{"lf": 8, "lh": 8, "li": 4}[leaf]
	if kind != "ri" && len(subs) <= leafEntries {
		return s.index(plan(s, 4+entry*len(subs), func() []byte { return leafList(leaf, subs) }))
	}
	size := leafEntries
	if kind == "ri" {
		size = min(size, len(subs)/2+1)
	}
	b := []byte("ri\x00\x00")
	for part := range slices.Chunk(subs, size) {
		b = le.AppendUint32(b, s.index(plan(s, 4+entry*len(part), func() []byte { return leafList(leaf, part) })))
	}
	le.PutUint16(b[2:], uint16(len(b)/4-1))
	return s.index(plan(s, len(b), func() []byte { return b }))
}

func leafList(kind string, subs []*HiveKey) []byte {
	b := le.AppendUint16([]byte(kind), uint16(len(subs)))
	for _, k := range subs {
		b = le.AppendUint32(b, k.Cell())
		switch kind {
		case "lh":
			b = le.AppendUint32(b, nameHash(k.name))
		case "lf":
			hint := append([]byte(k.name), 0, 0, 0, 0)
			b = append(b, hint[:4]...)
		}
	}
	return b
}

// nameHash is the hash of one name of a path.
func nameHash(name string) (h uint32) {
	for _, c := range name {
		h = 37*h + uint32(unicode.ToUpper(c))
	}
	return h
}

// node renders a key node.
func (k *HiveKey) node(counts, lists [2]uint32, values, class uint32) []byte {
	name, compressed := cellText(k.name)
	b := append([]byte("nk"), le.AppendUint16(nil, k.nodeFlags(compressed))...)
	b = le.AppendUint32(le.AppendUint64(b, k.time), 0)
	parent := uint32(noCell)
	switch {
	case k.parent != nil:
		parent = k.parent.Cell()
	case k.hive.exit != nil:
		parent = k.hive.exit.Cell()
	}
	b = le.AppendUint32(b, parent)
	b = le.AppendUint32(le.AppendUint32(b, counts[0]), counts[1])
	if k.target != nil { // the lists' place leads to the other hive
		b = le.AppendUint64(le.AppendUint32(le.AppendUint32(b, rootCell), 0), k.target.va)
	} else {
		b = le.AppendUint32(le.AppendUint32(b, lists[0]), lists[1])
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(k.values))), values)
	}
	b = le.AppendUint32(le.AppendUint32(b, k.hive.security), class)
	most := k.longest()
	for _, n := range most {
		b = le.AppendUint32(b, n)
	}
	b = le.AppendUint32(b, 0)
	b = le.AppendUint16(le.AppendUint16(b, uint16(len(name))), uint16(2*len([]rune(k.class))))
	return append(b, name...)
}

// longest are the figures that a node keeps of what is below it: names and
// classes of sub keys, names and data of values, in bytes of UTF-16.
func (k *HiveKey) longest() (n [4]uint32) {
	for _, s := range k.subs {
		n[0], n[1] = max(n[0], uint32(2*len([]rune(s.name)))), max(n[1], uint32(2*len([]rune(s.class))))
	}
	for _, v := range k.values {
		n[2], n[3] = max(n[2], uint32(2*len([]rune(v.name)))), max(n[3], uint32(len(v.data)))
	}
	return n
}

// nodeFlags are the key's flags. That it is volatile only its cell tells.
func (k *HiveKey) nodeFlags(compressed bool) uint16 {
	f := k.flags
	if compressed {
		f |= keyCompressed
	}
	if k.parent == nil {
		f |= keyEntry | keyNoDelete
	}
	if k.target != nil {
		f |= keyExit | keyNoDelete
	}
	return f
}

// securityCell is the descriptor that all keys share: owner and group are the
// administrators, no access lists.
func (h *Hive) securityCell() []byte {
	admins := []byte{1, 2, 0, 0, 0, 0, 0, 5, 0x20, 0, 0, 0, 0x20, 2, 0, 0}
	d := []byte{1, 0, 0x00, 0x80}
	for _, at := range []uint32{0x14, 0x14, 0, 0} {
		d = le.AppendUint32(d, at)
	}
	d = append(d, admins...)
	sk := append([]byte("sk"), make([]byte, 14)...)
	return append(le.AppendUint32(sk, uint32(len(d))), d...)
}
