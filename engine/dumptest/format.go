package dumptest

import (
	"fmt"
	"io"
	"os"
)

// A Format is a kind of dump file, numbered as DumpType is.
type Format uint32

// The formats that can be written.
const (
	Full          Format = 1
	Summary       Format = 2
	Triage        Format = 4
	ActiveBitmap  Format = 5
	KernelBitmap  Format = 6
	KernelRange   Format = 8
	ActiveRange   Format = 9
	CompleteRange Format = 10
)

// Formats lists them all.
var Formats = []Format{Full, Summary, Triage, ActiveBitmap, KernelBitmap, KernelRange, ActiveRange, CompleteRange}

// WriteFile writes the dump. Pages of zeros become holes of the file, so a
// machine of many gigabytes takes no longer than what was written to it.
func (d *Dump) WriteFile(path string, f Format) error {
	w, err := os.Create(path)
	if err != nil {
		return err
	}
	size, err := d.WriteTo(w, f)
	if err == nil {
		err = w.Truncate(size)
	}
	if e := w.Close(); err == nil {
		err = e
	}
	return err
}

// Bytes returns the dump as it would be in a file.
func (d *Dump) Bytes(f Format) []byte {
	var b buffer
	n, err := d.WriteTo(&b, f)
	if err != nil {
		panic(err)
	}
	b.grow(int(n))
	return b.b
}

// buffer is memory that is written at any place.
type buffer struct{ b []byte }

func (b *buffer) grow(n int) {
	if n > len(b.b) {
		b.b = append(b.b, make([]byte, n-len(b.b))...)
	}
}

func (b *buffer) WriteAt(p []byte, off int64) (int, error) {
	b.grow(int(off) + len(p))
	return copy(b.b[off:], p), nil
}

// WriteTo writes the dump and returns its size; what lies between the writes
// is zero.
func (d *Dump) WriteTo(w io.WriterAt, f Format) (size int64, err error) {
	switch f {
	case Full:
		return d.writeFull(w)
	case Summary, ActiveBitmap, KernelBitmap:
		return d.writeBitmap(w, f)
	case KernelRange, ActiveRange, CompleteRange:
		return d.writeRange(w, f)
	case Triage:
		return d.writeTriage(w)
	}
	return 0, fmt.Errorf("dumptest: no format %d", f)
}

// writer keeps the first error.
type writer struct {
	w   io.WriterAt
	err error
}

func (w *writer) at(off uint64, b []byte) {
	if w.err == nil {
		_, w.err = w.w.WriteAt(b, int64(off))
	}
}

// page writes a frame; one of zeros is left out.
func (w *writer) page(off uint64, p *page) {
	if p != nil && *p != (page{}) {
		w.at(off, p[:])
	}
}

func (d *Dump) writeFull(out io.WriterAt) (int64, error) {
	w := &writer{w: out}
	off := uint64(headerSize)
	for _, r := range d.m.phys.runs {
		for pfn, p := range d.m.phys.pages {
			if pfn-r.Base < r.Count && !d.m.phys.gone[pfn] {
				w.page(off+(pfn-r.Base)*pageSize, p)
			}
		}
		off += r.Count * pageSize
	}
	w.at(off, d.blobs)
	size := off + uint64(len(d.blobs))
	w.at(0, d.headerFor(uint32(Full), size))
	return int64(size), w.err
}

// frames lists what a format holds, ascending.
func (d *Dump) frames(f Format) []uint64 {
	p := d.m.phys
	var out []uint64
	user := map[uint64]bool{}
	if f == KernelBitmap || f == KernelRange || f == Summary {
		user = d.m.userFrames()
	}
	for _, r := range p.runs {
		for pfn := r.Base; pfn < r.Base+r.Count; pfn++ {
			used := p.pages[pfn] != nil || f == CompleteRange
			if used && !p.gone[pfn] && !user[pfn] {
				out = append(out, pfn)
			}
		}
	}
	return out
}

// userFrames are the frames that only user addresses lead to.
func (m *Machine) userFrames() map[uint64]bool {
	user := map[uint64]bool{}
	for _, p := range m.processes {
		for i := range uint64(256) {
			m.markUser(user, m.phys.u64(p.Space.root<<12+8*i), m.levels()-1)
		}
	}
	shared, _ := m.Kernel.lookup(sharedKernel)
	delete(user, shared)
	return user
}

func (m *Machine) markUser(user map[uint64]bool, entry uint64, level int) {
	if entry&(pteValid|pteSwizzle) == 0 && entry != 0 {
		entry ^= m.opts.InvalidPteMask
	}
	frame := entry & pteFrame >> 12
	switch {
	case level == 0 && (entry&pteValid != 0 || entry&(pteTransition|ptePrototype) == pteTransition):
		user[frame] = true
	case level > 0 && entry&pteValid != 0 && entry&pteLarge == 0:
		for i := range uint64(512) {
			m.markUser(user, m.phys.u64(frame<<12+8*i), level-1)
		}
	}
}

func (d *Dump) writeBitmap(out io.WriterAt, f Format) (int64, error) {
	w := &writer{w: out}
	frames := d.frames(f)
	last := d.m.phys.runs[len(d.m.phys.runs)-1]
	n := last.Base + last.Count
	bitmap := make([]byte, (n+7)/8)
	for _, pfn := range frames {
		bitmap[pfn/8] |= 1 << (pfn % 8)
	}
	at := uint64(0x38)
	if f == Summary {
		at = 0x28
	}
	first := roundUp(headerSize+at+uint64(len(bitmap)), uint64(pageSize))
	h := make([]byte, at)
	copy(h, "SDMPDUMP")
	if f == ActiveBitmap {
		copy(h, "FDMP")
	}
	if f == Summary {
		le.PutUint32(h[0xc:], uint32(first))
		le.PutUint32(h[0x10:], uint32(n))
		le.PutUint32(h[0x14:], uint32(len(frames)))
		le.PutUint32(h[0x18:], uint32(n))
	} else {
		le.PutUint64(h[0x20:], first)
		le.PutUint64(h[0x28:], uint64(len(frames)))
		le.PutUint64(h[0x30:], n)
	}
	w.at(headerSize, append(h, bitmap...))
	return d.writePages(w, f, first, frames)
}

// writePages writes the frames from an offset on, what follows them, and the
// header.
func (d *Dump) writePages(w *writer, f Format, first uint64, frames []uint64) (int64, error) {
	for i, pfn := range frames {
		w.page(first+uint64(i)*pageSize, d.m.phys.pages[pfn])
	}
	end := first + uint64(len(frames))*pageSize
	w.at(end, d.blobs)
	size := end + uint64(len(d.blobs))
	w.at(0, d.headerFor(uint32(f), size))
	return int64(size), w.err
}

func (d *Dump) writeRange(out io.WriterAt, f Format) (int64, error) {
	w := &writer{w: out}
	frames := d.frames(f)
	var ranges []Run
	for _, pfn := range frames {
		if n := len(ranges); n > 0 && ranges[n-1].Base+ranges[n-1].Count == pfn {
			ranges[n-1].Count++
		} else {
			ranges = append(ranges, Run{pfn, 1})
		}
	}
	first := uint64(0x2030 + 16*len(ranges))
	b := le.AppendUint32(nil, 0x40)
	b = append(b, "RDMPDUMP\x00\x00\x00\x00"...)
	b = le.AppendUint64(b, uint64(0x10+16*len(ranges)))
	b = le.AppendUint64(b, first)
	b = le.AppendUint64(b, uint64(len(ranges)))
	b = le.AppendUint64(b, uint64(len(frames)))
	for _, r := range ranges {
		b = le.AppendUint64(le.AppendUint64(b, r.Base), r.Count)
	}
	w.at(headerSize, b)
	return d.writePages(w, f, first, frames)
}
