package amd64

import (
	"encoding/binary"

	"kdap/engine/memory"
)

// Bits names a bit field of a page table entry. Len 0 means there is none.
type Bits struct {
	Pos, Len uint8
}

// Get returns the field's value in an entry.
func (b Bits) Get(entry uint64) uint64 {
	return entry >> b.Pos & (1<<b.Len - 1)
}

// PagingOptions hold what differs between processors and between builds of
// Windows. The zero value of a field stands for its default.
type PagingOptions struct {
	LA57 bool // five levels

	// InvalidPteMask is nt!MiState.Hardware.InvalidPteMask: entries that are
	// not valid are exclusive-ored with it, unless their swizzle bit is set.
	InvalidPteMask uint64
	SwizzleBit     Bits // _MMPTE_SOFTWARE.SwizzleBit; default bit 4

	PageFileLow   Bits // _MMPTE_SOFTWARE.PageFileLow: number of the file; default 12, 4 (1709 and later; before: 1, 4)
	PageFileHigh  Bits // _MMPTE_SOFTWARE.PageFileHigh: page in the file; default 32, 32
	Protection    Bits // _MMPTE_SOFTWARE.Protection; default 5, 5
	TransitionPFN Bits // _MMPTE_TRANSITION.PageFrameNumber; default 12, 36
	ProtoAddress  Bits // _MMPTE_PROTOTYPE.ProtoAddress, sign-extended; default 16, 48
}

// Paging walks the page tables of x64 processors as Windows uses them: also
// through the entries that the processor does not follow, but whose pages are
// still in memory. It implements memory.Translator.
type Paging struct {
	o PagingOptions
}

var _ memory.Translator = (*Paging)(nil)

// NewPaging returns the translator for these options.
func NewPaging(o PagingOptions) *Paging {
	def := func(b *Bits, pos, n uint8) {
		if b.Len == 0 {
			*b = Bits{pos, n}
		}
	}
	def(&o.SwizzleBit, 4, 1)
	def(&o.PageFileLow, 12, 4)
	def(&o.PageFileHigh, 32, 32)
	def(&o.Protection, 5, 5)
	def(&o.TransitionPFN, 12, 36)
	def(&o.ProtoAddress, 16, 48)
	return &Paging{o}
}

// Options returns the options with the defaults filled in.
func (p *Paging) Options() PagingOptions { return p.o }

// CleanDTB takes the bits that are no address (PCID, no-flush, LAM) off a CR3
// or DirectoryTableBase. It returns 0 for the values that stand for "no page
// tables of its own", as UserDirectoryTableBase 1 does without KVA shadow.
func CleanDTB(cr3 uint64) uint64 { return cr3 & frameMask }

// Bits of entries, from the processor's manual and, for those that are not
// valid, _MMPTE_SOFTWARE, _MMPTE_PROTOTYPE and _MMPTE_TRANSITION.
const (
	bitValid      = 1 << 0
	bitWrite      = 1 << 1
	bitUser       = 1 << 2
	bitPWT        = 1 << 3
	bitPCD        = 1 << 4
	bitAccessed   = 1 << 5
	bitDirty      = 1 << 6
	bitLarge      = 1 << 7
	bitGlobal     = 1 << 8
	bitCopy       = 1 << 9 // Windows: copy on write
	bitPrototype  = 1 << 10
	bitTransition = 1 << 11
	bitNX         = 1 << 63

	frameMask = 0x000ffffffffff000
)

// protoVAD in ProtoAddress says that the VAD knows the prototype PTE.
const protoVAD = 0xffffffffffff0000

// levels are the names of entries by the number of tables below them.
var levels = [...]string{"PTE", "PDE", "PDPTE", "PML4E", "PML5E"}

// Canonical tells whether va is an address the processor accepts.
func (p *Paging) Canonical(va uint64) bool {
	unused := uint(16)
	if p.o.LA57 {
		unused = 7
	}
	return uint64(int64(va<<unused)>>unused) == va
}

// Translate implements memory.Translator.
func (p *Paging) Translate(m *memory.Tables, va uint64, t *memory.Translation, trace bool) error {
	*t = memory.Translation{VA: va, Steps: t.Steps[:0]}
	w := walk{p: p, m: m, t: t, trace: trace}
	if !p.Canonical(va) {
		w.span = 1 << 47 // halves of the hole begin and end at multiples of it
		return w.fail(memory.NonCanonical, "", 0)
	}
	top := 3
	if p.o.LA57 {
		top = 4
	}
	t.Flags = memory.Writable | memory.User | memory.Executable
	table := m.DTB & frameMask
	for level := top; ; level-- {
		shift := uint(memory.PageShift + 9*level)
		w.span = 1 << shift
		pa := table + va>>shift&0x1ff*8
		page, ok := m.Phys.Page(pa >> memory.PageShift)
		if !ok {
			w.span <<= 9 // the whole table is missing
			return w.missingTable(level, pa)
		}
		entry := binary.LittleEndian.Uint64(page[pa%memory.PageSize:])
		plain := p.unmask(entry)
		if trace {
			t.Steps = append(t.Steps, memory.Step{Level: levels[level], Addr: pa, Value: entry, Unmasked: plain})
		}
		t.Entry = plain
		if entry&bitValid == 0 {
			next, err := w.invalid(level, plain)
			if err != nil {
				return err
			}
			if t.State != 0 { // this was the page
				return nil
			}
			t.Flags |= memory.TransitionTop
			table = next
			continue
		}
		w.rights(entry)
		if level == 0 || (entry&bitLarge != 0 && level <= 2) {
			w.finish(level, entry, va)
			return nil
		}
		table = entry & frameMask
	}
}

// unmask undoes the mask on entries that are not valid. Zero entries are never
// masked.
func (p *Paging) unmask(entry uint64) uint64 {
	if entry&bitValid == 0 && entry != 0 && p.o.SwizzleBit.Get(entry) == 0 {
		return entry ^ p.o.InvalidPteMask
	}
	return entry
}

// A walk is one translation under way.
type walk struct {
	p     *Paging
	m     *memory.Tables
	t     *memory.Translation
	trace bool
	span  uint64 // bytes of address space that the current entry covers
	proto uint64 // prototype PTE that the VADs know
}

// rights narrows the rights by those of a valid entry.
func (w *walk) rights(entry uint64) {
	if entry&bitWrite == 0 {
		w.t.Flags &^= memory.Writable
	}
	if entry&bitUser == 0 {
		w.t.Flags &^= memory.User
	}
	if entry&bitNX != 0 {
		w.t.Flags &^= memory.Executable
	}
}

// lastFlags are the flags that only the last entry has a say in.
var lastFlags = [...]struct {
	bit  uint64
	flag memory.Flags
}{
	{bitAccessed, memory.Accessed},
	{bitDirty, memory.Dirty},
	{bitGlobal, memory.Global},
	{bitPWT, memory.WriteThrough},
	{bitPCD, memory.CacheDisabled},
	{bitCopy, memory.CopyOnWrite},
}

// finish notes the page that a valid last entry maps.
func (w *walk) finish(level int, entry, va uint64) {
	for _, f := range lastFlags {
		if entry&f.bit != 0 {
			w.t.Flags |= f.flag
		}
	}
	if level > 0 {
		w.t.Flags |= memory.Large
	}
	w.t.State = memory.Valid
	w.t.PageSize = 1 << (memory.PageShift + 9*level)
	w.t.PA = entry&frameMask&^(w.t.PageSize-1) | va&(w.t.PageSize-1)
}

func (w *walk) fail(kind memory.Kind, level string, entry uint64) *memory.ReadError {
	return &memory.ReadError{Addr: w.t.VA, DTB: w.m.DTB, Kind: kind, Level: level, Entry: entry, Span: w.span}
}

// missingTable says that the table with the entry at pa is not in the dump.
func (w *walk) missingTable(level int, pa uint64) error {
	above := ""
	if level+1 < len(levels) {
		above = levels[level+1]
	}
	e := w.fail(memory.NotInDump, above, w.t.Entry)
	e.PFN = pa >> memory.PageShift
	return e
}

// invalid follows an entry that is not valid. It returns the table that an
// entry above the last level leads to; at the last level it completes t.
func (w *walk) invalid(level int, entry uint64) (table uint64, err error) {
	o := &w.p.o
	name := levels[level]
	switch {
	case entry == 0:
		if w.resolve() {
			return 0, w.resolved()
		}
		return 0, w.fail(memory.NotValid, name, 0)
	case entry&bitPrototype != 0:
		if level != 0 {
			return 0, w.fail(memory.Prototype, name, entry)
		}
		proto := ProtoAddress(o, entry)
		if proto == protoVAD {
			if w.resolve() {
				return 0, w.resolved()
			}
			return 0, w.fail(memory.Prototype, name, entry)
		}
		return 0, w.prototype(proto)
	case entry&bitTransition != 0:
		if level > 0 {
			return o.TransitionPFN.Get(entry) << memory.PageShift, nil
		}
		w.transition(entry)
		return 0, nil
	}
	return 0, w.software(name, entry)
}

// ProtoAddress returns the address in an entry that points at a prototype PTE
// or, in a prototype PTE, at a subsection.
func ProtoAddress(o *PagingOptions, entry uint64) uint64 {
	b := o.ProtoAddress
	return uint64(int64(entry<<(64-b.Pos-b.Len)) >> (64 - b.Len))
}

// transition notes the page of an entry in transition.
func (w *walk) transition(entry uint64) {
	w.t.Entry = entry
	w.t.State = memory.InTransition
	w.t.PageSize = memory.PageSize
	w.t.PA = w.p.o.TransitionPFN.Get(entry)<<memory.PageShift | w.t.VA%memory.PageSize
}

// software explains an entry whose page is not in memory.
func (w *walk) software(name string, entry uint64) *memory.ReadError {
	o := &w.p.o
	high := o.PageFileHigh.Get(entry)
	if high == 0 {
		kind := memory.DemandZero
		if o.Protection.Get(entry) == 0 {
			kind = memory.NotValid
		}
		return w.fail(kind, name, entry)
	}
	e := w.fail(memory.PageFile, name, entry)
	e.PageFile, e.PageFileOffset = uint8(o.PageFileLow.Get(entry)), high
	return e
}

const protoName = "prototype PTE"

// resolve asks the VADs for the prototype PTE of the address, which it keeps.
// A PTE holds for one page only; that there is none, as far as the VADs say.
func (w *walk) resolve() bool {
	if w.m.Resolve == nil {
		return false
	}
	va := w.t.VA
	var ok bool
	if w.proto, ok = w.m.Resolve(va); ok || w.m.Gap == nil {
		w.span = memory.PageSize
		return ok
	}
	first, last := w.m.Gap(va)
	for w.span > memory.PageSize && (va&^(w.span-1) < first || va|(w.span-1) > last) {
		w.span >>= 1
	}
	return false
}

func (w *walk) resolved() error {
	w.t.Flags |= memory.ByVAD
	return w.prototype(w.proto)
}

// prototype follows the prototype PTE at a virtual address of the kernel.
func (w *walk) prototype(addr uint64) error {
	if w.m.Kernel == nil {
		return w.fail(memory.Prototype, levels[0], w.t.Entry)
	}
	entry, err := memory.ReadUint(w.m.Kernel, addr, 8)
	if err != nil {
		return w.fail(memory.Prototype, levels[0], w.t.Entry)
	}
	w.t.Flags |= memory.ByPrototype
	plain := w.p.unmask(entry)
	if w.trace {
		w.t.Steps = append(w.t.Steps, memory.Step{Level: protoName, Addr: addr, Value: entry, Unmasked: plain, Virtual: true})
	}
	w.t.Entry = plain
	switch {
	case entry&bitValid != 0:
		// The page's rights come from the entry that will be made of this one;
		// what the prototype allows is an upper bound.
		w.rights(entry | bitUser)
		w.finish(0, entry, w.t.VA)
		return nil
	case plain == 0:
		return w.fail(memory.NotValid, protoName, 0)
	case plain&bitPrototype != 0: // _MMPTE_SUBSECTION: the page is in its file
		return w.fail(memory.InFile, protoName, plain)
	case plain&bitTransition != 0:
		w.transition(plain)
		return nil
	}
	return w.software(protoName, plain)
}
