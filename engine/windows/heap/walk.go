package heap

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
)

// Entries yields the blocks of a segment and its uncommitted ranges, in the
// order of their addresses, from the segment's own header to its end. A header
// that cannot be one comes as a Broken entry with its *Damage; the walk goes on
// at the next header that fits. A damage beside a good entry is a
// contradiction that does not hide the entry.
func (h Heap) Entries(ctx context.Context, s SegmentInfo) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		w := walk{h: h, s: s, ctx: ctx, r: newReader(h.space), at: s.Address, fits: true, yield: yield}
		ranges, err := h.uncommitted(ctx, s)
		w.ranges = ranges
		if err != nil && !yield(Entry{}, err) {
			return
		}
		w.run()
	}
}

type walk struct {
	h      Heap
	s      SegmentInfo
	ctx    context.Context
	r      *reader
	ranges []Range // by address
	yield  func(Entry, error) bool

	at     uint64
	before Entry  // the block in front of at
	prev   uint64 // its size, as at must say it
	fits   bool   // prev is known
	steps  int
}

func (w *walk) run() {
	for {
		if w.steps++; w.steps&0xff == 0 && w.ctx.Err() != nil {
			w.yield(Entry{}, w.ctx.Err())
			return
		}
		if gap, ok := w.gapAt(w.at); ok {
			if !w.yield(Entry{Address: gap.Address, Size: gap.Size, State: Uncommitted}, nil) {
				return
			}
			w.at += gap.Size
			if gap.Size != 0 {
				w.before, w.prev, w.fits = Entry{}, 0, true
				continue
			}
		}
		if w.at >= w.s.End {
			return
		}
		if !w.block() {
			return
		}
	}
}

// gapAt returns the uncommitted range that begins at an address.
func (w *walk) gapAt(va uint64) (Range, bool) {
	i, ok := slices.BinarySearchFunc(w.ranges, va, func(r Range, va uint64) int { return cmp.Compare(r.Address, va) })
	if !ok {
		return Range{}, false
	}
	return w.ranges[i], true
}

// limit returns where the blocks from va on must end: at an uncommitted range
// or the segment's end.
func (w *walk) limit(va uint64) uint64 {
	i, _ := slices.BinarySearchFunc(w.ranges, va+1, func(r Range, va uint64) int { return cmp.Compare(r.Address, va) })
	if i < len(w.ranges) {
		return min(w.ranges[i].Address, w.s.End)
	}
	return w.s.End
}

// block yields the block at w.at and steps over it.
func (w *walk) block() bool {
	limit := w.limit(w.at)
	raw, err := w.header(w.at)
	if err != nil {
		return w.recover(limit, fmt.Errorf("heap %#x: segment %#x: block %#x: %w", w.h.Address, w.s.Address, w.at, err))
	}
	if d := w.check(w.at, raw, limit); d != nil {
		d.Before = w.before
		d.Bytes = make([]byte, w.h.l.header)
		if w.r.bytes(w.at, d.Bytes) != nil {
			d.Bytes = nil
		}
		return w.recover(limit, d)
	}
	var damage error
	if previous := raw.previous * w.h.l.unit; w.fits && previous != w.prev {
		damage = &Damage{
			Heap: w.h.Address, Segment: w.s.Address, Address: w.at, Reason: "size of the previous block",
			Expected: w.prev, Found: previous, Before: w.before,
		}
	}
	e, err := w.entry(raw, limit)
	if damage == nil {
		damage = err
	}
	if !w.yield(e, damage) {
		return false
	}
	w.at, w.before, w.prev, w.fits = e.End(), e, e.Size, true
	return true
}

func (w *walk) header(va uint64) (rawHeader, error) {
	var b [8]byte
	if err := w.r.bytes(va+w.h.l.codeOff, b[:]); err != nil {
		return rawHeader{}, err
	}
	return w.h.decode(b), nil
}

// check says why a header cannot be one; nil when it can.
func (w *walk) check(va uint64, raw rawHeader, limit uint64) *Damage {
	d := &Damage{Heap: w.h.Address, Segment: w.s.Address, Address: va}
	size := raw.size * w.h.l.unit
	switch {
	case raw.encoded && raw.sum != raw.tag:
		d.Reason, d.Expected, d.Found = "header checksum", uint64(raw.sum), uint64(raw.tag)
	case w.h.encode != 0 && !raw.encoded && (size == 0 || size > limit-va || raw.previous*w.h.l.unit != w.prev):
		// Headers are encoded, and the mark of it is gone.
		d.Reason, d.Expected = "header checksum: the header is not encoded", uint64(w.h.encode)
	case size == 0:
		d.Reason, d.Expected = "size", w.h.l.unit
	case size > limit-va:
		d.Reason, d.Expected, d.Found = "size", limit-va, size
	default:
		return nil
	}
	return d
}

// entry makes the entry of a good header. The error is about a part of it.
func (w *walk) entry(raw rawHeader, limit uint64) (Entry, error) {
	e := Entry{
		Address: w.at, Size: raw.size * w.h.l.unit, PreviousSize: raw.previous * w.h.l.unit,
		Flags: raw.flags, State: Free,
	}
	if e.Flags&FlagBusy == 0 {
		if e.End() == limit {
			e.Flags |= FlagLast
		}
		return e, nil
	}
	e.State = Busy
	var err error
	if e.Unused, err = w.h.unused(w.r, e.Address, e.Size, raw.unused); err != nil {
		err = fmt.Errorf("heap %#x: block %#x: its unused bytes: %w", w.h.Address, e.Address, err)
	} else if e.Unused > e.Size {
		err = &Damage{
			Heap: w.h.Address, Segment: w.s.Address, Address: e.Address, Reason: "unused bytes",
			Expected: e.Size, Found: e.Unused,
		}
	}
	switch {
	case e.Address == w.s.Address:
		e.State = Header
	case e.Flags&FlagVirtual != 0:
		e.State = Internal
	case w.describes(e):
		e.State = Descriptor
		limit = e.End()
	}
	if e.End() == limit {
		e.Flags |= FlagLast
	}
	return e, err
}

// describes reports whether a block holds the descriptor of an uncommitted
// range. One that the segment's list does not name is taken from the block.
func (w *walk) describes(e Entry) bool {
	size := w.h.l.ucrSize + uint64(w.h.l.ptr)
	if e.Size != (w.h.l.header+size+w.h.l.unit-1)&^(w.h.l.unit-1) {
		return false
	}
	user := e.Address + w.h.l.header
	if gap, ok := w.gapAt(e.End()); ok {
		return gap.Descriptor == user
	}
	at, err := w.r.uint(user+w.h.l.ucrAddress, w.h.l.ptr)
	if err != nil || at != e.End() || at%pageSize != 0 {
		return false
	}
	n, err := w.r.uint(user+w.h.l.ucrSize, w.h.l.ptr)
	if err != nil || n%pageSize != 0 || n > w.s.End-at || e.Unused != w.h.l.unit-size%w.h.l.unit && e.Unused != descriptorUnused {
		return false
	}
	i, _ := slices.BinarySearchFunc(w.ranges, at, func(r Range, va uint64) int { return cmp.Compare(r.Address, va) })
	w.ranges = slices.Insert(w.ranges, i, Range{Descriptor: user, Address: at, Size: n})
	return true
}

const pageSize = 0x1000

// descriptorUnused is the count of unused bytes that such a block has.
const descriptorUnused = 3

// recover yields what is wrong at w.at and finds where the walk goes on.
func (w *walk) recover(limit uint64, why error) bool {
	next, followed := w.search(limit)
	d, _ := why.(*Damage)
	e := Entry{Address: w.at, Size: limit - w.at, State: Broken}
	if next != 0 {
		e.Size = next - w.at
	}
	if d != nil {
		d.Resumed = next
	}
	if !w.yield(e, why) {
		return false
	}
	w.before, w.prev, w.fits = e, e.Size, followed
	w.at += e.Size
	return true
}

// chained is how many headers in a row must fit each other where a walk that
// lost its way begins again.
const chained = 4

// maxHoles bounds how many missing pages a search steps over.
const maxHoles = 1 << 14

// search looks for the block behind a header that is broken: first one that
// names the broken block's size as the one before it, then any that begins a
// chain. It returns 0 when there is none in front of limit.
func (w *walk) search(limit uint64) (next uint64, followed bool) {
	unit := w.h.l.unit
	end := min(limit, w.at+0xffff*unit)
	holes := 0
	for pass := range 2 {
		if pass == 1 {
			end = limit
		}
		for va := w.at + unit; va < end; va += unit {
			if (va/unit)&0xfff == 0 && w.ctx.Err() != nil {
				return 0, false
			}
			raw, err := w.header(va)
			if err != nil {
				// The rest of this page cannot be read either.
				if holes++; holes > maxHoles {
					break
				}
				va |= pageSize - unit
				continue
			}
			if w.check(va, raw, limit) != nil || !raw.encoded && w.h.encode != 0 {
				continue
			}
			if pass == 0 && raw.previous*unit != va-w.at {
				continue
			}
			need := chained
			if pass == 0 {
				need = 1
			}
			if w.chain(va, raw, limit, need) {
				return va, pass == 0
			}
		}
	}
	return 0, false
}

// chain reports whether n blocks behind one fit it, or all up to the limit.
func (w *walk) chain(va uint64, raw rawHeader, limit uint64, n int) bool {
	for ; n > 0; n-- {
		size := raw.size
		va += size * w.h.l.unit
		if va >= limit {
			return va == limit
		}
		var err error
		if raw, err = w.header(va); err != nil {
			return false
		}
		if w.check(va, raw, limit) != nil || raw.previous != size || !raw.encoded && w.h.encode != 0 {
			return false
		}
	}
	return true
}
