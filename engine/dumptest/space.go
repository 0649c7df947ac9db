package dumptest

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// Bits of an x64 page-table entry (Intel SDM 3A §4.5), and of the entries
// that Windows keeps while the valid bit is off.
const (
	pteValid      = 1 << 0
	pteWrite      = 1 << 1
	pteUser       = 1 << 2
	pteSwizzle    = 1 << 4 // software: not exclusive-ored with InvalidPteMask
	pteAccessed   = 1 << 5
	pteDirty      = 1 << 6
	pteLarge      = 1 << 7
	pteGlobal     = 1 << 8
	pteCopy       = 1 << 9 // software: copy on write
	ptePrototype  = 1 << 10
	pteTransition = 1 << 11
	pteSoftWrite  = 1 << 11 // software, of a valid entry
	pteNX         = 1 << 63
	pteFrame      = 0x0000_ffff_ffff_f000
)

// A Prot is what a mapping allows.
type Prot int

// Protections of a mapping.
const (
	ReadOnly Prot = iota
	ReadWrite
	Execute
	ExecuteReadWrite
	CopyOnWrite
)

func (p Prot) bits() uint64 {
	switch p {
	case ReadWrite:
		return pteWrite | pteSoftWrite | pteDirty | pteNX
	case Execute:
		return 0
	case ExecuteReadWrite:
		return pteWrite | pteSoftWrite | pteDirty
	case CopyOnWrite:
		return pteCopy | pteNX
	default:
		return pteNX
	}
}

// soft is the protection code that invalid entries carry (MM_PROTECTION).
func (p Prot) soft() uint64 { return [...]uint64{1, 4, 3, 6, 5}[p] }

// levels is how many tables a translation passes.
func (m *Machine) levels() int {
	if m.opts.LA57 {
		return 5
	}
	return 4
}

// A Space is one 4- or 5-level address space of the machine. Writing maps what is
// not mapped yet.
type Space struct {
	m    *Machine
	root uint64 // PFN of the PML4
}

// DTB is the value for CR3, without PCID bits.
func (s *Space) DTB() uint64 { return s.root << 12 }

// rootFor sends kernel addresses to the one kernel half; finish copies its
// top entries into every root.
func (s *Space) rootFor(va uint64) uint64 {
	if va>>63 != 0 && s.m.Kernel != nil {
		return s.m.Kernel.root
	}
	return s.root
}

func canonical(va uint64) bool { return va+1<<47 < 1<<48 }

// entry returns the physical address of the page-table entry of a level (1 is
// the page table), making the tables above it.
func (s *Space) entry(va uint64, level int) uint64 {
	if !canonical(va) {
		panic(fmt.Sprintf("dumptest: %#x is not canonical", va))
	}
	table := s.rootFor(va)
	for l := s.m.levels(); ; l-- {
		pa := table<<12 + va>>(12+9*(l-1))&0x1ff*8
		if l == level {
			return pa
		}
		e := s.m.phys.u64(pa)
		if e&pteLarge != 0 && e&pteValid != 0 {
			panic(fmt.Sprintf("dumptest: %#x lies in a large page", va))
		}
		if e&pteValid == 0 {
			e = s.m.phys.alloc()<<12 | pteValid | pteWrite | pteAccessed | pteDirty
			if va>>63 == 0 {
				e |= pteUser
			}
			s.m.phys.page(e & pteFrame >> 12)
			s.m.phys.putU64(pa, e)
		}
		table = e & pteFrame >> 12
	}
}

// lookup finds the frame behind an address; also behind a transition entry,
// because the bytes are there.
func (s *Space) lookup(va uint64) (pfn uint64, ok bool) {
	table := s.rootFor(va)
	for l := s.m.levels(); l >= 1; l-- {
		pa := table<<12 + va>>(12+9*(l-1))&0x1ff*8
		e := s.m.phys.u64(pa)
		if e&(pteValid|pteSwizzle) == 0 && e != 0 {
			e ^= s.m.opts.InvalidPteMask
		}
		switch {
		case e&pteValid == 0 && l == 1 && e&pteTransition != 0 && e&ptePrototype == 0:
			return e & pteFrame >> 12, true
		case e&pteValid == 0:
			return 0, false
		case l > 1 && l < 4 && e&pteLarge != 0:
			pages := uint64(1) << (9 * (l - 1))
			return e&pteFrame>>12&^(pages-1) + va>>12&(pages-1), true
		}
		table = e & pteFrame >> 12
	}
	return table, true
}

// Map maps one page to a frame.
func (s *Space) Map(va, pfn uint64, prot Prot) {
	e := pfn<<12 | pteValid | pteAccessed | prot.bits()
	if va>>63 == 0 {
		e |= pteUser
	} else {
		e |= pteGlobal
	}
	s.m.phys.putU64(s.entry(va, 1), e)
}

// MapNew maps pages from va on to new frames; pages that are mapped stay.
func (s *Space) MapNew(va, size uint64, prot Prot) {
	for a := va &^ 0xfff; a < va+size; a += pageSize {
		if _, ok := s.lookup(a); !ok {
			pfn := s.m.phys.alloc()
			s.m.phys.page(pfn) // in use, though zero
			s.Map(a, pfn, prot)
		}
	}
}

// MapLarge maps 2 MB to frames that follow one another.
func (s *Space) MapLarge(va uint64, prot Prot) {
	pfn := s.m.phys.allocLarge()
	for i := range uint64(512) {
		s.m.phys.page(pfn + i)
	}
	e := pfn<<12 | pteValid | pteAccessed | pteLarge | prot.bits()
	if va>>63 == 0 {
		e |= pteUser
	} else {
		e |= pteGlobal
	}
	s.m.phys.putU64(s.entry(va, 2), e)
}

// MapHuge maps 1 GB to the frames from pfn on, whether the machine has them
// all or not.
func (s *Space) MapHuge(va, pfn uint64, prot Prot) {
	s.m.phys.putU64(s.entry(va, 3), pfn<<12|pteValid|pteAccessed|pteLarge|pteUser|prot.bits())
}

// SetPTE stores an entry of the lowest level as it is, whatever it says.
func (s *Space) SetPTE(va, e uint64) { s.m.phys.putU64(s.entry(va, 1), e) }

// Transition takes a mapped page out of the working set: its frame still
// holds it, and the entry says so. write tells the protection.
func (s *Space) Transition(va uint64, prot Prot) {
	pfn, ok := s.lookup(va)
	if !ok {
		panic(fmt.Sprintf("dumptest: %#x is not mapped", va))
	}
	s.SetPTE(va, s.m.softPTE(pfn<<12|pteTransition|prot.soft()<<5))
}

// PageFile moves a page to the page file: its bytes are gone.
func (s *Space) PageFile(va, file, offset uint64, prot Prot) {
	s.SetPTE(va, s.m.pageFilePTE(file, offset, prot))
}

// DemandZero makes a page one that was never touched.
func (s *Space) DemandZero(va uint64, prot Prot) { s.SetPTE(va, s.m.softPTE(prot.soft()<<5)) }

// Prototype makes a page refer to a prototype entry in kernel memory, which
// stays as it is. 0 leaves the place of the entry to the VAD.
func (s *Space) Prototype(va, proto uint64, prot Prot) {
	if proto == 0 {
		proto = 0xffffffff0000
	}
	s.SetPTE(va, s.m.protoPTE(proto, prot))
}

func (m *Machine) pageFilePTE(file, offset uint64, prot Prot) uint64 {
	if m.opts.Relative == "older" {
		return offset<<32 | file<<1 | prot.soft()<<5
	}
	return m.softPTE(offset<<32 | file<<12 | prot.soft()<<5 | 1<<2)
}

// protoPTE is an entry that leads to a prototype entry, or to a subsection.
func (m *Machine) protoPTE(address uint64, prot Prot) uint64 {
	if m.opts.Relative == "older" {
		return address<<16 | ptePrototype | prot.soft()<<11
	}
	return address<<16 | ptePrototype | prot.soft()<<5 | pteSwizzle
}

// softPTE applies the L1TF scheme: an entry whose swizzle bit is clear is
// stored exclusive-or the mask.
func (m *Machine) softPTE(e uint64) uint64 {
	if m.opts.InvalidPteMask != 0 && e != 0 {
		e ^= m.opts.InvalidPteMask
	}
	return e
}

// Write stores bytes, mapping new pages where there are none.
func (s *Space) Write(va uint64, b []byte) {
	for len(b) > 0 {
		pfn, ok := s.lookup(va)
		if !ok {
			s.Map(va, s.m.phys.alloc(), ReadWrite)
			pfn, _ = s.lookup(va)
		}
		n := copy(s.m.phys.page(pfn)[va&0xfff:], b)
		va, b = va+uint64(n), b[n:]
	}
}

// Read returns bytes that were written; pages that are not mapped read zero.
func (s *Space) Read(va uint64, n int) []byte {
	out := make([]byte, 0, n)
	for len(out) < n {
		k := min(n-len(out), int(pageSize-va&0xfff))
		part := make([]byte, k)
		if pfn, ok := s.lookup(va); ok && s.m.phys.pages[pfn] != nil {
			copy(part, s.m.phys.pages[pfn][va&0xfff:])
		}
		out, va = append(out, part...), va+uint64(k)
	}
	return out
}

// U64, U32 and U8 store little-endian values.
func (s *Space) U64(va, v uint64) { s.Write(va, le.AppendUint64(nil, v)) }

// U32 stores a 32-bit value.
func (s *Space) U32(va uint64, v uint32) { s.Write(va, le.AppendUint32(nil, v)) }

// UTF16 stores text and returns its length in bytes.
func (s *Space) UTF16(va uint64, text string) int {
	b := utf16Bytes(text)
	s.Write(va, b)
	return len(b)
}

func (s *Space) u64(va uint64) uint64 { return le.Uint64(s.Read(va, 8)) }

func utf16Bytes(text string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(text)) {
		b = le.AppendUint16(b, c)
	}
	return b
}

// An object is a structure of the made-up kernel at a place.
type object struct {
	s   *Space
	typ string
	va  uint64
}

func (s *Space) obj(typ string, va uint64) object { return object{s, typ, va} }

// set stores a field by path. Bit fields keep the bits around them.
func (o object) set(path string, v uint64) object {
	path, ok := o.s.m.relative(o.typ, path)
	if !ok {
		return o
	}
	off, f := o.s.m.l.find(o.typ, path)
	n, _, _ := o.s.m.l.sizeOf(typeRef{ptr: f.ref.ptr, base: f.ref.base})
	b := o.s.Read(o.va+uint64(off), 8)
	old := le.Uint64(b)
	width, shift := 8*n, 0
	if f.bits > 0 {
		width, shift = f.bits, f.bit
	}
	mask := ^uint64(0)
	if width < 64 {
		mask = 1<<width - 1
	}
	le.PutUint64(b, old&^(mask<<shift)|v&mask<<shift)
	o.s.Write(o.va+uint64(off), b[:n])
	return o
}

func (o object) get(path string) uint64 {
	off, f := o.s.m.l.find(o.typ, path)
	n, _, _ := o.s.m.l.sizeOf(typeRef{ptr: f.ref.ptr, base: f.ref.base})
	v := uint64(0)
	for i, c := range o.s.Read(o.va+uint64(off), n) {
		v |= uint64(c) << (8 * i)
	}
	return v
}

// relative turns the path of a field into what a relative of the kernel has,
// false when it has no such field.
func (m *Machine) relative(typ, path string) (string, bool) {
	switch m.opts.Relative {
	case "older":
		path = strings.Replace(path, "Vm.Instance.", "Vm.", 1)
	case "":
		return path, true
	}
	_, _, err := m.l.lookup(typ, path)
	return path, err == nil
}

// addr is the address of a field.
func (o object) addr(path string) uint64 {
	off, _ := o.s.m.l.find(o.typ, path)
	return o.va + uint64(off)
}

// str makes a _UNICODE_STRING field that points at text stored at buffer.
func (o object) str(path string, buffer uint64, text string) object {
	n := o.s.UTF16(buffer, text+"\x00") - 2
	return o.set(path+".Length", uint64(n)).set(path+".MaximumLength", uint64(n+2)).set(path+".Buffer", buffer)
}

// link makes a circular list of the entries behind head.
func (s *Space) link(head uint64, entries ...uint64) {
	prev := head
	for _, e := range append(entries, head) {
		s.U64(prev, e)
		s.U64(e+8, prev)
		prev = e
	}
}
