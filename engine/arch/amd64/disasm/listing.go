package disasm

import "slices"

// A Fetch reads code: it returns how many bytes of p it could fill from va on
// before the first unreadable one. The engine's address spaces have it as Read.
type Fetch func(va uint64, p []byte) int

// A State says what is at an address.
type State uint8

// The states of an Item.
const (
	Decoded    State = iota
	Undefined        // the byte begins no instruction
	Cut              // an instruction that unreadable memory cuts off
	Unreadable       // the first byte cannot be read
)

// An Item is one line of a listing: an instruction, or what stands there
// instead of one.
type Item struct {
	Addr  uint64
	State State
	Code  []byte // the bytes to show; none when Unreadable
	Inst  Inst
	Step  int // distance to the item behind it
}

// Next returns the address behind the item.
func (it *Item) Next() uint64 { return it.Addr + uint64(it.Step) }

// At decodes what is at va. An instruction that unreadable memory cuts off is
// as long as it would be with zeros there.
func At(mode Mode, fetch Fetch, va uint64) Item {
	var buf [MaxLen]byte
	n := fetch(va, buf[:])
	n = max(0, min(n, MaxLen))
	clear(buf[n:])
	it := Item{Addr: va, Step: 1, Inst: undecodable(mode)}
	if n == 0 {
		it.State = Unreadable
		return it
	}
	inst, err := Decode(mode, buf[:])
	switch {
	case err != nil:
		it.State = Undefined
		it.Code = slices.Clone(buf[:1])
	case inst.Len > n:
		it.State = Cut
		it.Code = slices.Clone(buf[:n])
		it.Step = inst.Len
	default:
		it.Inst, it.Step = inst, inst.Len
		it.Code = slices.Clone(buf[:inst.Len])
	}
	return it
}

// Line returns the item as a line.
func (it *Item) Line(o Options) string {
	if it.State == Unreadable && !o.NoCodeBytes {
		return layout(it.Addr, "??", "???", "", &o)
	}
	return Line(it.Addr, it.Code, &it.Inst, o)
}

// maxBefore bounds what Before looks at, so that no request runs away.
const maxBefore = 1 << 16

// Before finds the n instructions that stand before va, as ub does: it tries
// starts before va, 16·n bytes away first, then nearer and nearer ones from
// va-1 outwards, and takes the first from which decoding runs without a break
// through at least n instructions to end exactly at va. It returns their
// addresses, or false when there is no such start.
func Before(mode Mode, fetch Fetch, va uint64, n int) ([]uint64, bool) {
	if n <= 0 || n > maxBefore {
		return nil, false
	}
	span := uint64(16 * n)
	// length[d] is the length of the instruction d bytes before va, 0 when there
	// is none that ends at va or before; steps[d] how many lead to va, 0 for none.
	length := make([]int, span+1)
	steps := make([]int, span+1)
	known := make([]bool, span+1)
	walk := func(d uint64) {
		var path []uint64
		for d != 0 && !known[d] {
			known[d] = true
			it := At(mode, fetch, va-d)
			if it.State != Decoded || uint64(it.Step) > d {
				break
			}
			length[d] = it.Step
			path = append(path, d)
			d -= uint64(it.Step)
		}
		for _, p := range slices.Backward(path) {
			if next := p - uint64(length[p]); next == 0 || steps[next] > 0 {
				steps[p] = steps[next] + 1
			}
		}
	}
	try := func(d uint64) ([]uint64, bool) {
		walk(d)
		if steps[d] < n {
			return nil, false
		}
		var all []uint64
		for ; d != 0; d -= uint64(length[d]) {
			all = append(all, va-d)
		}
		return all[len(all)-n:], true
	}
	if found, ok := try(span); ok {
		return found, true
	}
	for d := uint64(1); d < span; d++ {
		if found, ok := try(d); ok {
			return found, true
		}
	}
	return nil, false
}
