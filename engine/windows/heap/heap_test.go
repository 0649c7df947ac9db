package heap

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"kdap/engine/memory"
)

// A made heap: one segment of three pages, of which the last is uncommitted.
// Offsets are written out here, apart from the package's table: those of the
// public types of ntdll 10.0.19041 for both widths.
type made struct {
	h      Heap
	b      []byte
	blocks []uint64 // the headers, in order
}

const madeBase = 0x10000

func makeHeap(t testing.TB, narrow bool) *made {
	t.Helper()
	m := &made{b: make([]byte, 0x2000)}
	le := binary.LittleEndian
	ptr := func(off int, v uint64) {
		if narrow {
			le.PutUint32(m.b[off:], uint32(v))
		} else {
			le.PutUint64(m.b[off:], v)
		}
	}
	o := struct{ signature, list, heap, base, pages, first, last, unpages, unranges, ucr, mask, encoding, virtual, segments, front, size, unit, desc int }{
		0x10, 0x18, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50, 0x54, 0x60, 0x7c, 0x88, 0x110, 0x120, 0x198, 0x740, 16, 0x40,
	}
	if narrow {
		o = struct{ signature, list, heap, base, pages, first, last, unpages, unranges, ucr, mask, encoding, virtual, segments, front, size, unit, desc int }{
			0x8, 0x10, 0x18, 0x1c, 0x20, 0x24, 0x28, 0x2c, 0x30, 0x38, 0x4c, 0x50, 0x9c, 0xa4, 0xe4, 0x4a8, 8, 0x20,
		}
	}
	width := 8
	if narrow {
		width = 4
	}
	list := func(head, link int) { // a list of one
		ptr(head, madeBase+uint64(link))
		ptr(head+width, madeBase+uint64(link))
		ptr(link, madeBase+uint64(head))
		ptr(link+width, madeBase+uint64(head))
	}
	le.PutUint32(m.b[o.signature:], 0xffeeffee)
	ptr(o.heap, madeBase)
	ptr(o.base, madeBase)
	le.PutUint32(m.b[o.pages:], 3)
	ptr(o.first, madeBase+uint64(o.size))
	ptr(o.last, madeBase+0x3000)
	le.PutUint32(m.b[o.unpages:], 1)
	le.PutUint32(m.b[o.unranges:], 1)
	le.PutUint32(m.b[o.mask:], 0x00100000)
	code := []byte{0x6e, 0x02, 0x57, 0xca, 0x05, 0xc1, 0, 0}
	copy(m.b[o.encoding:], code)
	list(o.segments, o.list)
	ptr(o.virtual, madeBase+uint64(o.virtual))
	ptr(o.virtual+width, madeBase+uint64(o.virtual))
	descriptor := 0x2000 - o.desc + o.unit // behind its block's header
	ptr(descriptor+4*width, madeBase+0x2000)
	ptr(descriptor+5*width, 0x1000)
	list(o.ucr, descriptor+2*width)

	at, previous := 0, 0
	put := func(size int, flags, unused byte) {
		h := []byte{0, 0, flags, 0, 0, 0, 0, unused}
		le.PutUint16(h, uint16(size/o.unit))
		le.PutUint16(h[4:], uint16(previous/o.unit))
		h[3] = h[0] ^ h[1] ^ h[2]
		for i := range h {
			h[i] ^= code[i]
		}
		copy(m.b[at+o.unit-8:], h)
		m.blocks = append(m.blocks, madeBase+uint64(at))
		previous, at = size, at+size
	}
	put(o.size, 1, 1)
	for i := 0; at+0x200 < 0x2000-o.desc; i++ {
		put(0x40+i%5*0x20, byte(i%3)&1, byte(o.unit+i%7))
	}
	put(0x2000-o.desc-at, 0, 0)
	put(o.desc, 1, 3)
	m.h = Heap{
		Address: madeBase, Kind: NT, l: newLayout(nil, narrow),
		space: memory.NewBlocks([]memory.Block{{VA: madeBase, Data: m.b}}),
		key:   func(context.Context) (uint64, error) { return 0, errors.New("no key") },
	}
	if narrow {
		m.h.Kind = NT32
	}
	var err error
	if m.h, err = m.h.withCode(); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *made) entries(t testing.TB) (entries []Entry, errs []error) {
	t.Helper()
	for s, err := range m.h.Segments(t.Context()) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		end := s.Address
		for e, err := range m.h.Entries(t.Context(), s) {
			if err != nil {
				errs = append(errs, err)
			}
			if e.State == 0 {
				continue
			}
			if e.Address != end || e.End() < e.Address || e.End() > s.End {
				t.Fatalf("entry %#x-%#x behind %#x in a segment up to %#x", e.Address, e.End(), end, s.End)
			}
			end = e.End()
			entries = append(entries, e)
		}
		if end != s.End {
			t.Fatalf("the walk ends at %#x of %#x", end, s.End)
		}
	}
	return entries, errs
}

func TestWalk(t *testing.T) {
	for _, narrow := range []bool{false, true} {
		m := makeHeap(t, narrow)
		entries, errs := m.entries(t)
		for _, err := range errs {
			t.Error(err)
		}
		if len(entries) != len(m.blocks)+1 {
			t.Fatalf("%d entries, want %d", len(entries), len(m.blocks)+1)
		}
		for i, addr := range m.blocks {
			if entries[i].Address != addr {
				t.Errorf("entry %d at %#x, want %#x", i, entries[i].Address, addr)
			}
		}
		n := len(entries)
		if entries[0].State != Header || entries[n-2].State != Descriptor || entries[n-2].Flags != FlagBusy|FlagLast ||
			entries[n-1] != (Entry{Address: madeBase + 0x2000, Size: 0x1000, State: Uncommitted}) {
			t.Errorf("ends: %+v %+v %+v", entries[0], entries[n-2], entries[n-1])
		}
	}
}

// TestDamage writes over each header in turn: that block is named, with the
// one before it, and all others are still found.
func TestDamage(t *testing.T) {
	for _, narrow := range []bool{false, true} {
		count := len(makeHeap(t, narrow).blocks)
		for i := 1; i < count; i++ {
			for _, fill := range []byte{0x41, 0, 0xff} {
				m := makeHeap(t, narrow)
				off := m.blocks[i] - madeBase
				for j := range m.h.l.header {
					m.b[off+j] = fill
				}
				entries, errs := m.entries(t)
				var d *Damage
				if len(errs) == 0 || !errors.As(errs[0], &d) || d.Address != m.blocks[i] || d.Before.Address != m.blocks[i-1] {
					t.Fatalf("block %#x written over with %x: %v", m.blocks[i], fill, errs)
				}
				if len(entries) != count+1 {
					t.Errorf("block %#x written over with %x: %d entries, want %d: %v", m.blocks[i], fill, len(entries), count+1, errs)
				}
			}
		}
	}
}

// TestLostDescriptor breaks the list of ranges: the block that describes a
// range still tells of it.
func TestLostDescriptor(t *testing.T) {
	m := makeHeap(t, false)
	clear(m.b[0x60:0x70])
	entries, errs := m.entries(t)
	if len(errs) != 1 || entries[len(entries)-1].State != Uncommitted {
		t.Errorf("%v, %+v", errs, entries[len(entries)-1])
	}
}

func TestMissingPage(t *testing.T) {
	m := makeHeap(t, false)
	m.h.space = memory.NewBlocks([]memory.Block{{VA: madeBase, Data: m.b[:0x1000]}})
	_, errs := m.entries(t)
	if len(errs) == 0 {
		t.Error("no error")
	}
}

// FuzzHeap patches a heap anywhere: walks end, and what they yield tiles the
// segment without overlap.
func FuzzHeap(f *testing.F) {
	f.Add(uint16(0x748), []byte{1, 2, 3}, false)
	f.Add(uint16(0x60), []byte{0, 0, 0, 0}, true)
	f.Add(uint16(0x1fd0), []byte{0xff, 0xff}, false)
	f.Add(uint16(0x1a2), []byte{2}, false)
	f.Fuzz(func(t *testing.T, off uint16, patch []byte, narrow bool) {
		m := makeHeap(t, narrow)
		copy(m.b[min(int(off), len(m.b)):], patch)
		h, err := m.h.withCode()
		if err != nil {
			t.Skip()
		}
		m.h = h
		if s, err := h.segment(madeBase); err == nil && s.End-s.Base < 1<<24 {
			m.entries(t)
			if u, _ := h.Usage(t.Context()); u.BusyBytes > 1<<40 && u.LargeBlocks == 0 {
				t.Errorf("%+v in three pages", u)
			}
			_, _, _ = h.Find(t.Context(), madeBase+uint64(off))
		}
	})
}

func BenchmarkEntries(b *testing.B) {
	m := makeHeap(b, false)
	s, err := m.h.segment(madeBase)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for range m.h.Entries(b.Context(), s) {
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(m.blocks)), "ns/block")
}

// BenchmarkLost walks a segment of a gigabyte that has two pages.
func BenchmarkLost(b *testing.B) {
	m := makeHeap(b, false)
	s, err := m.h.segment(madeBase)
	if err != nil {
		b.Fatal(err)
	}
	s.End = madeBase + 1<<30
	clear(m.b[0x60:0x70])
	clear(m.b[0x1000:])
	for b.Loop() {
		for range m.h.Entries(b.Context(), s) {
		}
	}
}
