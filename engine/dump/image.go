package dump

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"sync"

	"kdap/engine/memory"
)

// The types of images without a Windows header; they stand in no file.
const (
	ELFCoreImage Type = 0x10001 // core of a virtual machine
	RawImage     Type = 0x10002 // physical memory, offset = address
)

// openImage opens memory that comes without a Windows header: it must be the
// memory of 64-bit Windows, which shows by the page tables of its kernel. The
// Header holds what could be found and filler elsewhere.
func openImage(path string, src *source) (*File, error) {
	f := &File{path: path, data: src.data, file: src.file, unpacked: src.unpacked, typ: RawImage}
	f.window = newWindow(f.data)
	runs := []Run{{0, uint64(len(f.data)) / memory.PageSize}}
	var roots []uint64 // candidates for a page-table root
	if src.format == formatELFCore {
		f.typ = ELFCoreImage
		core, err := parseELF(src.data)
		if err != nil {
			return nil, &OpenError{Path: path, Reason: ELFCore, Err: err, Msg: fmt.Sprintf("an ELF core that cannot be read: %v", err)}
		}
		f.index, runs, roots = core.index, core.runs, core.roots
	} else {
		f.index = newSegments(runs, 0)
	}
	dtb := f.findRoot(roots)
	if dtb == 0 {
		e := refuse(path, src.format)
		if src.format == formatELFCore {
			e.Msg = "an ELF core, but no page tables of a 64-bit Windows kernel are in it"
		}
		return nil, e
	}
	f.Header = blankHeader(dtb, runs)
	f.present = f.countPages()
	f.blobsAt = uint64(len(f.data))
	f.warn(NoHeader, 0, nil, "The file has no Windows header: bug check, time and version come from memory, as far as they can be found there.")
	return f, nil
}

// blankHeader makes a header of filler and what is known.
func blankHeader(dtb uint64, runs []Run) *Header {
	b := bytes.Repeat([]byte("PAGE"), HeaderSize/4)
	le := binary.LittleEndian
	le.PutUint32(b[0x08:], 0xf)
	le.PutUint32(b[0x0c:], 0)
	le.PutUint64(b[0x10:], dtb)
	le.PutUint32(b[0x30:], 0x8664)
	for off := 0x34; off < 0x60; off += 4 {
		le.PutUint32(b[off:], 0) // processors, bug check and parameters
	}
	for _, off := range []int{0x18, 0x20, 0x28, 0x80, 0xfa8, 0x1030} {
		le.PutUint64(b[off:], 0)
	}
	clear(b[offContext : offContext+contextSize])
	clear(b[offException : offException+0x98])
	h := parseHeader(b)
	h.Runs = runs
	return h
}

// lowStub is how much of memory may hold the processor start block.
const lowStub = 1 << 20

// findRoot returns the physical address of a page-table root that maps the
// kernel: one that is offered, that in the start block of the processors in low
// memory, or the first that maps itself.
func (f *File) findRoot(offered []uint64) uint64 {
	for _, root := range offered {
		if f.isRoot(root >> memory.PageShift) {
			return root &^ (memory.PageSize - 1)
		}
	}
	for root := range f.PageTableRoots() {
		return root
	}
	return 0
}

// PageTableRoots yields the physical addresses of pages that look like the
// root of x64 Windows' page tables: that of the processor start block in low
// memory, then pages that map themselves, in ascending order. It is for dumps
// whose header does not say, or says it wrong; which root is the right one the
// caller must find out.
func (f *File) PageTableRoots() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		le := binary.LittleEndian
		for pfn := uint64(1); pfn < lowStub>>memory.PageShift; pfn++ {
			// PROCESSOR_START_BLOCK: a jump, at 0x70 the kernel's entry, at 0xa0 CR3.
			p, ok := f.Page(pfn)
			if !ok || le.Uint64(p)&0xffffffffffff00ff != 0x00000001000600e9 || le.Uint64(p[0x70:])>>47 != 0x1ffff {
				continue
			}
			if root := le.Uint64(p[0xa0:]); root < 1<<52 && f.isRoot(root>>memory.PageShift) {
				if !yield(root &^ (memory.PageSize - 1)) {
					return
				}
			}
		}
		// The kernel's own tables are among the first pages that it hands out.
		const searched = 256 << 20 >> memory.PageShift
		for r := range f.Runs() {
			for pfn := r.BasePage; pfn < min(r.BasePage+r.PageCount, searched); pfn++ {
				if f.isRoot(pfn) && !yield(pfn<<memory.PageShift) {
					return
				}
			}
		}
	}
}

// isRoot tells whether a page looks like the root of x64 Windows' page tables:
// one entry of the upper half maps the page itself, for the kernel only, and
// others lead to pages that are there.
func (f *File) isRoot(pfn uint64) bool {
	p, ok := f.Page(pfn)
	if !ok {
		return false
	}
	const frame, valid, write, user, large = 0x000ffffffffff000, 1, 2, 4, 0x80
	self, kernel := 0, 0
	for i := 256; i < 512; i++ {
		switch e := binary.LittleEndian.Uint64(p[i*8:]); {
		case e&(valid|write) != valid|write || e&large != 0:
		case e&frame>>memory.PageShift == pfn:
			if e&user != 0 {
				return false
			}
			self++
		default:
			if _, ok := f.Page(e & frame >> memory.PageShift); !ok {
				return false
			}
			kernel++
		}
	}
	return self == 1 && kernel > 0
}

// An elfCore is what an ELF core says about memory.
type elfCore struct {
	index *segments
	runs  []Run
	roots []uint64 // CR3 of the processors
}

// maxNotes bounds the segments of notes that are looked through; QEMU writes one.
const maxNotes = 8

// parseELF reads the program headers of an ELF64 core and, of its notes, those
// of QEMU with the processors' registers.
func parseELF(data []byte) (*elfCore, error) {
	d := newDecoder("ELF header", data, 0, 64)
	ident := d.bytes(16)
	d.skip(16)
	phoff := d.u64()
	d.skip(14)
	phsize, phnum := uint64(d.u16()), uint64(d.u16())
	switch {
	case d.err != nil:
		return nil, d.err
	case ident[4] != 2 || ident[5] != 1:
		return nil, &FormatError{"ELF header", "not a 64-bit little-endian file", 4}
	case phsize < 56:
		return nil, &FormatError{"ELF header", fmt.Sprintf("program headers of %d bytes, 56 are needed", phsize), 54}
	}
	core := &elfCore{}
	var offs []uint64
	notes := 0
	for i := range phnum {
		d := newDecoder("ELF program header", data, phoff+i*phsize, 56)
		typ := d.u32()
		d.skip(4)
		off := d.u64()
		d.skip(8)
		pa, size := d.u64(), d.u64()
		if d.err != nil {
			return nil, d.err
		}
		switch {
		case typ == 1 && pa%memory.PageSize == 0 && size >= memory.PageSize && off < uint64(len(data)):
			core.runs = append(core.runs, Run{pa >> memory.PageShift, size >> memory.PageShift})
			offs = append(offs, off)
		case typ == 4 && notes < maxNotes:
			notes++
			core.roots = append(core.roots, qemuRoots(newDecoder("ELF note", data, off, min(size, 1<<20)))...)
		}
	}
	core.index = newSegments(core.runs, 0)
	core.index.offs = offs
	return core, nil
}

// qemuRoots returns CR3 of each QEMUCPUState in a segment of notes.
func qemuRoots(d *decoder) (roots []uint64) {
	align := func(n uint32) int { return int(n+3) &^ 3 }
	for d.off < len(d.b) {
		nameSize, descSize := d.u32(), d.u32()
		d.skip(4)
		if d.err != nil || nameSize > 1<<16 || descSize > 1<<20 {
			return roots
		}
		name, desc := d.bytes(align(nameSize)), d.bytes(align(descSize))
		// Version, size, 16 registers, rip, rflags, 10 segments of 24 bytes, then
		// cr[0] to cr[4].
		const cr3 = 8 + 16*8 + 16 + 10*24 + 3*8
		if d.err == nil && bytes.HasPrefix(name, []byte("QEMU\x00")) && len(desc) >= cr3+8 {
			roots = append(roots, binary.LittleEndian.Uint64(desc[cr3:]))
		}
	}
	return roots
}

// countPages returns a function that counts the pages once, when it is needed.
func (f *File) countPages() func() uint64 {
	return sync.OnceValue(func() (n uint64) {
		for r := range f.Runs() {
			n += r.PageCount
		}
		return n
	})
}
