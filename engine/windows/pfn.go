package windows

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A PageLocation says on which list of the memory manager a page is
// (_MMLISTS of the kernel's public types).
type PageLocation uint8

// The locations.
const (
	PageZeroed PageLocation = iota
	PageFree
	PageStandby
	PageModified
	PageModifiedNoWrite
	PageBad // also: on the per-processor lists of free pages, or in passing
	PageActive
	PageTransition
)

// A PFNDatabase is nt!MmPfnDatabase: an _MMPFN for each page of memory.
// Where its members lie is looked up once; entries are then read as bytes.
type PFNDatabase struct {
	sys  *System
	base uint64
	size uint64 // of an entry
	f    pfnFields
}

// pfnFields are the members of an _MMPFN. Those that a build does not have are
// zero, and so is what they read.
type pfnFields struct {
	flink, nextSlist, blink, shareCount rawField
	pteAddress, originalPte             rawField
	referenceCount, location, priority  rawField
	cacheAttribute, modified            rawField
	writeInProgress, readInProgress     rawField
	inPageError, systemCharged          rawField
	removalRequested, parityError, rom  rawField
	pteFrame, prototype, usedEntries    rawField
}

// A rawField is a member of a structure that is read as bytes.
type rawField struct {
	off      int
	size     int // 1, 2, 4, 8; 0 for a member that does not exist
	pos, len uint8
}

// get reads the field from the bytes of its structure.
func (f rawField) get(b []byte) uint64 {
	var v uint64
	switch f.size {
	case 1:
		v = uint64(b[f.off])
	case 2:
		v = uint64(binary.LittleEndian.Uint16(b[f.off:]))
	case 4:
		v = uint64(binary.LittleEndian.Uint32(b[f.off:]))
	case 8:
		v = binary.LittleEndian.Uint64(b[f.off:])
	default:
		return 0
	}
	if f.len == 0 {
		return v
	}
	return v >> f.pos & (1<<f.len - 1)
}

// most is the largest value of a bit field, 0 of other members.
func (f rawField) most() uint64 {
	if f.len == 0 {
		return 0
	}
	return 1<<f.len - 1
}

func (f rawField) is(b []byte) bool { return f.get(b) != 0 }

// raw finds the first of the named members that t has.
func raw(t *types.Type, paths ...string) rawField {
	o := types.NewObject(nil, t, 0).FirstField(paths...)
	if o.Err() != nil {
		return rawField{}
	}
	f := rawField{off: int(o.Addr())}
	storage := o.Type()
	if storage.Kind == types.BitField {
		f.pos, f.len = storage.BitPos, storage.BitLen
		if storage = storage.Elem(); storage == nil {
			return rawField{}
		}
	}
	switch storage.Size {
	case 1, 2, 4, 8:
		f.size = int(storage.Size)
	default:
		return rawField{}
	}
	// A symbol file may say anything.
	if o.Addr()+storage.Size > t.Size || f.pos >= 64 || f.len > 64 {
		return rawField{}
	}
	return f
}

// maxPFNSize bounds the size of an entry: it is 48 bytes on all x64 systems.
const maxPFNSize = 1 << 10

// PFNDatabase finds the database and the layout of its entries.
func (s *System) PFNDatabase() (*PFNDatabase, error) {
	base, err := s.pointerAt("MmPfnDatabase")
	if err != nil {
		return nil, fmt.Errorf("PFN database: %w", err)
	}
	t, err := s.Type("_MMPFN")
	if err != nil {
		return nil, fmt.Errorf("PFN database: %w", err)
	}
	d := &PFNDatabase{sys: s, base: base, size: t.Size, f: newPFNFields(t)}
	if d.size < 8 || d.size > maxPFNSize || d.f.location.size == 0 || d.f.pteAddress.size != 8 {
		return nil, fmt.Errorf("PFN database: _MMPFN of the symbols is none: %d bytes", d.size)
	}
	return d, nil
}

func newPFNFields(t *types.Type) pfnFields {
	return pfnFields{
		flink:            raw(t, "u1.Flink"),
		nextSlist:        raw(t, "u1.NextSlistPfn.Next", "u1.NextSlistPfn"),
		blink:            raw(t, "u2.Blink"),
		shareCount:       raw(t, "u2.ShareCount"),
		pteAddress:       raw(t, "PteAddress", "PteLong"),
		originalPte:      raw(t, "OriginalPte.u.Long", "OriginalPte"),
		referenceCount:   raw(t, "u3.e2.ReferenceCount", "u3.ReferenceCount"),
		location:         raw(t, "u3.e1.PageLocation"),
		cacheAttribute:   raw(t, "u3.e1.CacheAttribute"),
		modified:         raw(t, "u3.e1.Modified"),
		writeInProgress:  raw(t, "u3.e1.WriteInProgress"),
		readInProgress:   raw(t, "u3.e1.ReadInProgress"),
		priority:         raw(t, "u3.e3.Priority", "u3.e1.Priority"),
		inPageError:      raw(t, "u3.e3.InPageError", "u3.e1.InPageError"),
		systemCharged:    raw(t, "u3.e3.SystemChargedPage", "u3.e1.SystemChargedPage"),
		removalRequested: raw(t, "u3.e3.RemovalRequested", "u3.e1.RemovalRequested"),
		parityError:      raw(t, "u3.e3.ParityError", "u3.e1.ParityError"),
		rom:              raw(t, "u3.e1.Rom"),
		pteFrame:         raw(t, "u4.PteFrame", "u5.PteFrame"),
		prototype:        raw(t, "u4.PrototypePte", "u5.PrototypePte"),
		usedEntries:      raw(t, "UsedPageTableEntries", "u1.Active.PageTable.UsedPageTableEntries"),
	}
}

// pointerAt reads the pointer at nt!name. Where the symbols do not have the
// name, the kernel's debugger block may.
func (s *System) pointerAt(name string) (uint64, error) {
	addr, err := s.Symbol(name)
	if err != nil {
		block, kerr := s.KDBGBlock()
		if kerr != nil {
			return 0, err
		}
		for _, f := range KDBGFields() {
			if f.Name == name && f.Size == 8 && f.Offset+8 <= len(block) {
				addr = binary.LittleEndian.Uint64(block[f.Offset:])
			}
		}
		if addr == 0 {
			return 0, err
		}
	}
	return memory.ReadUint(s.kernel, addr, 8)
}

// Base returns the address of the entry of page 0.
func (d *PFNDatabase) Base() uint64 { return d.base }

// EntrySize returns the size of an entry.
func (d *PFNDatabase) EntrySize() uint64 { return d.size }

// span returns how many bytes the database has up to the last page of memory.
func (d *PFNDatabase) span() uint64 {
	runs, _ := d.sys.PhysicalRuns()
	last := uint64(0)
	for _, r := range runs {
		last = max(last, r.First+r.Count)
	}
	return last * d.size
}

// A PFN is one entry of the database.
type PFN struct {
	Number, Addr uint64

	Flink, Blink   uint64 // neighbours on a list
	NextSlist      uint64 // address of the next entry on a per-processor list
	ShareCount     uint64
	ReferenceCount uint64
	PteAddress     uint64 // without the lock bit
	OriginalPte    uint64
	PteFrame       uint64 // page that holds the PTE
	UsedEntries    uint64 // of a page table

	Location       PageLocation
	Priority       uint8
	CacheAttribute uint8

	Modified, Prototype                        bool
	WriteInProgress, ReadInProgress            bool
	InPageError, RemovalRequested, ParityError bool
	SystemCharged, Rom                         bool
}

// ErrNoPFN says that a page has no entry.
var ErrNoPFN = errors.New("not in the PFN database")

// entryAddr returns where the entry of a page is.
func (d *PFNDatabase) entryAddr(pfn uint64) (uint64, bool) {
	if pfn >= maxPages || pfn > (^uint64(0)-d.base-d.size)/d.size {
		return 0, false
	}
	return d.base + pfn*d.size, true
}

// maxPages bounds frame numbers: 2^34 pages are 64 TB, more than Windows drives.
const maxPages = 1 << 34

// Entry reads the entry of a page.
func (d *PFNDatabase) Entry(pfn uint64) (PFN, error) {
	addr, ok := d.entryAddr(pfn)
	if !ok {
		return PFN{}, fmt.Errorf("PFN %#x: %w", pfn, ErrNoPFN)
	}
	b, err := memory.ReadBytes(d.sys.kernel, addr, int(d.size))
	if err != nil {
		return PFN{Number: pfn, Addr: addr}, fmt.Errorf("PFN %#x: %w", pfn, err)
	}
	return d.decode(pfn, addr, b), nil
}

func (d *PFNDatabase) decode(pfn, addr uint64, b []byte) PFN {
	f := &d.f
	return PFN{
		Number: pfn, Addr: addr,
		Flink: f.flink.get(b), Blink: f.blink.get(b), NextSlist: f.nextSlist.get(b),
		ShareCount: f.shareCount.get(b), ReferenceCount: f.referenceCount.get(b),
		PteAddress: f.pteAddress.get(b) &^ pteLockBits, OriginalPte: f.originalPte.get(b),
		PteFrame: f.pteFrame.get(b), UsedEntries: f.usedEntries.get(b),
		Location: PageLocation(f.location.get(b)), Priority: uint8(f.priority.get(b)),
		CacheAttribute: uint8(f.cacheAttribute.get(b)),
		Modified:       f.modified.is(b), Prototype: f.prototype.is(b),
		WriteInProgress: f.writeInProgress.is(b), ReadInProgress: f.readInProgress.is(b),
		InPageError: f.inPageError.is(b), RemovalRequested: f.removalRequested.is(b), ParityError: f.parityError.is(b),
		SystemCharged: f.systemCharged.is(b), Rom: f.rom.is(b),
	}
}

// pteLockBits are bits of PteAddress that are not of the address.
const pteLockBits = 7

// A PageRun is consecutive pages of memory.
type PageRun struct{ First, Count uint64 }

// maxRuns bounds the runs of memory; machines have some ten.
const maxRuns = 1 << 12

// PhysicalRuns returns the pages that the memory manager uses
// (nt!MmPhysicalMemoryBlock). The header's list can differ a little.
func (s *System) PhysicalRuns() ([]PageRun, error) {
	block, err := s.pointerAt("MmPhysicalMemoryBlock")
	if err != nil {
		return nil, fmt.Errorf("physical memory block: %w", err)
	}
	o := s.Struct("_PHYSICAL_MEMORY_DESCRIPTOR", block)
	n, err := o.Field("NumberOfRuns").Uint()
	if err != nil {
		return nil, fmt.Errorf("physical memory block: %w", err)
	}
	if n == 0 || n > maxRuns {
		return nil, fmt.Errorf("physical memory block %#x: it claims %d runs", block, n)
	}
	runs := make([]PageRun, 0, n)
	for i := range int(n) {
		run := o.Field("Run").Index(i)
		first, err1 := run.Field("BasePage").Uint()
		count, err2 := run.Field("PageCount").Uint()
		if err := errors.Join(err1, err2); err != nil {
			return runs, fmt.Errorf("run %d of the physical memory block: %w", i, err)
		}
		if first >= maxPages || count > maxPages-first {
			return runs, fmt.Errorf("run %d of the physical memory block: page %#x and %#x following", i, first, count)
		}
		runs = append(runs, PageRun{first, count})
	}
	return runs, nil
}

// A PageCount counts the pages of memory by their state, as !memusage does.
type PageCount struct {
	Zeroed, Free, Standby, Modified, ModifiedNoWrite uint64
	Active, Transition                               uint64
	SlistTemp, Bad                                   uint64
	Unknown                                          uint64 // entries that cannot be read

	StandbyByPriority [8]uint64

	// Active pages that no page table accounts for, with and without commit.
	DanglingCommit, DanglingNoCommit uint64
}

// Total returns the number of all pages.
func (c *PageCount) Total() uint64 {
	return c.Zeroed + c.Free + c.Standby + c.Modified + c.ModifiedNoWrite + c.Active + c.Transition + c.SlistTemp + c.Bad + c.Unknown
}

// countBuffer is how much of the database is read at a time.
const countBuffer = 256 << 10

// Count reads the whole database once and counts the pages. It tells how far
// it has come, if progress is not nil. It fails with the context, or when the
// runs of memory cannot be read: what was counted till then is returned too.
func (d *PFNDatabase) Count(ctx context.Context, progress func(done, total uint64)) (PageCount, error) {
	var c PageCount
	location, ok1 := d.f.location.narrow()
	priority, ok2 := d.f.priority.narrow()
	if !ok1 || !ok2 {
		return c, errors.New("PFN database: PageLocation or Priority of the symbols is wider than a byte")
	}
	t := pfnTally{db: d, location: location, priority: priority}
	w := pfnWalk{PFNDatabase: d, ctx: ctx, progress: progress}
	err := w.each(func(_ uint64, b []byte) { t.count(&c, b) }, func(_, n uint64) { c.Unknown += n })
	c.Zeroed, c.Free, c.Standby = t.at(PageZeroed), t.at(PageFree), t.at(PageStandby)
	c.Modified, c.ModifiedNoWrite = t.at(PageModified), t.at(PageModifiedNoWrite)
	c.Active, c.Transition = t.at(PageActive), t.at(PageTransition)
	for priority := range c.StandbyByPriority {
		c.StandbyByPriority[priority] = t.seen[priority<<3|int(PageStandby)]
	}
	return c, err
}

// A byteField is a bit field that lies in one byte.
type byteField struct {
	off         int
	shift, mask uint8
}

// narrow returns the field as one of a byte. A field that does not exist reads
// as zero.
func (f rawField) narrow() (byteField, bool) {
	if f.size == 0 {
		return byteField{}, true
	}
	n := f.len
	if n == 0 {
		n = uint8(8 * f.size)
	}
	if f.pos/8 != (f.pos+n-1)/8 {
		return byteField{}, false
	}
	return byteField{f.off + int(f.pos/8), f.pos % 8, uint8(1<<n - 1)}, true
}

// pfnTally counts entries. Its loop is where a count's time goes, so states and
// priorities are counted without asking what they are, and only the few
// entries that say more are looked at.
type pfnTally struct {
	db                 *PFNDatabase
	location, priority byteField
	seen               [64]uint64 // by priority and location
}

func (t *pfnTally) count(c *PageCount, b []byte) {
	size, pte := int(t.db.size), t.db.f.pteAddress.off
	location, priority, seen := t.location, t.priority, &t.seen
	for ; len(b) >= size; b = b[size:] {
		at := b[location.off] >> location.shift & location.mask & 7
		seen[b[priority.off]>>priority.shift&priority.mask&7<<3|at]++
		if at == uint8(PageBad) || binary.LittleEndian.Uint64(b[pte:]) == 0 {
			t.special(c, PageLocation(at), b)
		}
	}
}

// special counts bad pages and active ones without a PTE.
func (t *pfnTally) special(c *PageCount, at PageLocation, b []byte) {
	f := &t.db.f
	switch {
	case at == PageBad && (f.parityError.is(b) || f.removalRequested.is(b)):
		c.Bad++
	case at == PageBad:
		c.SlistTemp++
	case at != PageActive || f.pteFrame.is(b):
	case f.systemCharged.is(b):
		c.DanglingCommit++
	default:
		c.DanglingNoCommit++
	}
}

// at returns how many pages are on a list.
func (t *pfnTally) at(l PageLocation) (n uint64) {
	for priority := range 8 {
		n += t.seen[priority<<3|int(l)]
	}
	return n
}

// A pfnWalk reads the database front to back.
type pfnWalk struct {
	*PFNDatabase
	ctx         context.Context
	progress    func(done, total uint64)
	done, total uint64
}

// each calls entries with those that can be read, from page pfn on, and missing
// for the pages whose entries cannot.
func (w *pfnWalk) each(entries func(pfn uint64, b []byte), missing func(pfn, n uint64)) error {
	runs, err := w.sys.PhysicalRuns()
	for _, r := range runs {
		w.total += r.Count
	}
	w.total = min(w.total, maxPages)
	buf := make([]byte, countBuffer/w.size*w.size)
	for _, r := range runs {
		if err := w.run(r, buf, entries, missing); err != nil {
			return err
		}
	}
	return err
}

func (w *pfnWalk) run(r PageRun, buf []byte, entries func(uint64, []byte), missing func(pfn, n uint64)) error {
	for pfn, end := r.First, r.First+r.Count; pfn < end; {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if w.done >= w.total && r.Count > 0 && w.total == maxPages {
			return fmt.Errorf("the physical memory block claims more than %#x pages", uint64(maxPages))
		}
		addr, ok := w.entryAddr(pfn)
		if !ok {
			missing(pfn, end-pfn)
			return nil
		}
		b := buf[:min(uint64(len(buf)), (end-pfn)*w.size)]
		n, err := w.sys.kernel.Read(addr, b)
		read := uint64(n) / w.size
		if read > 0 {
			entries(pfn, b[:read*w.size])
		}
		pfn += read
		w.done += read
		if err != nil && pfn < end {
			hole := min(end-pfn, w.hole(addr, uint64(n), read, err))
			missing(pfn, hole)
			pfn += hole
			w.done += hole
		}
		if w.progress != nil {
			w.progress(w.done, w.total)
		}
	}
	return nil
}

// hole returns how many entries a failed read leaves out: all those that begin
// before memory can be readable again.
func (w *pfnWalk) hole(addr, n, read uint64, err error) uint64 {
	failed := addr + n
	span := uint64(memory.PageSize)
	var e *memory.ReadError
	if errors.As(err, &e) && !e.Physical {
		span = max(span, e.Span)
	}
	next := failed | (span - 1) // the last byte of the region
	at := addr + read*w.size
	return (next-at)/w.size + 1
}
