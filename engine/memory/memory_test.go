package memory_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"kdap/engine/memory"
)

// identity translates every address to the same physical one, but for those
// with bit 40 set, and counts how often it is asked.
type identity struct{ asked map[uint64]int }

func (tr identity) Translate(m *memory.Tables, va uint64, t *memory.Translation, _ bool) error {
	if va&(1<<40) != 0 {
		return &memory.ReadError{Addr: va, DTB: m.DTB, Kind: memory.NotValid}
	}
	if tr.asked != nil {
		tr.asked[va>>memory.PageShift]++
	}
	*t = memory.Translation{VA: va, PA: va + m.DTB, State: memory.Valid, PageSize: memory.PageSize}
	return nil
}

// numbered has pages below n, filled with their number.
type numbered uint64

func (n numbered) Page(pfn uint64) ([]byte, bool) {
	return bytes.Repeat([]byte{byte(pfn), byte(pfn >> 8)}, memory.PageSize/2), pfn < uint64(n)
}

func TestAddressSpaceRead(t *testing.T) {
	asked := map[uint64]int{}
	a := memory.NewAddressSpace(numbered(4), identity{asked}, 0, nil)
	p := make([]byte, 2*memory.PageSize)
	for range 3 {
		if n, err := a.Read(0x800, p); n != len(p) || err != nil || p[0] != 0 || p[0x800] != 1 || p[0x1800] != 2 {
			t.Fatalf("%d, %v", n, err)
		}
	}
	for vpn, n := range asked {
		if n != 1 {
			t.Errorf("page %#x was translated %d times", vpn, n)
		}
	}
	n, err := a.Read(0x3ff0, p)
	var e *memory.ReadError
	if n != 0x10 || !errors.As(err, &e) || e.Kind != memory.NotInDump || e.Addr != 0x4000 || e.PFN != 4 {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := a.Read(1<<40-1, p); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := a.Read(0x123, nil); n != 0 || err != nil {
		t.Errorf("no bytes: %d, %v", n, err)
	}
	if n, err := memory.ReadPhysical(numbered(4), 0x3ffe, p[:4]); n != 2 || !errors.As(err, &e) || !e.Physical || e.Addr != 0x4000 {
		t.Errorf("physical: %d, %v", n, err)
	}
}

// TestAddressSpaceEnd: reads do not wrap.
func TestAddressSpaceEnd(t *testing.T) {
	a := memory.NewAddressSpace(numbered(math.MaxUint64), top{}, 0, nil)
	p := make([]byte, 16)
	if n, err := a.Read(math.MaxUint64-7, p); n != 8 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	b := memory.NewBlocks([]memory.Block{{VA: math.MaxUint64 - 7, Data: make([]byte, 16)}, {VA: 0, Data: make([]byte, 8)}})
	if n, err := b.Read(math.MaxUint64-7, p); n != 8 || err == nil {
		t.Errorf("blocks: %d, %v", n, err)
	}
}

type top struct{}

func (top) Translate(_ *memory.Tables, va uint64, t *memory.Translation, _ bool) error {
	*t = memory.Translation{VA: va, PA: va, State: memory.Valid}
	return nil
}

// TestAddressSpaceConcurrent has readers fight for the same slots: each must
// see its own pages. Run it with the race detector.
func TestAddressSpaceConcurrent(t *testing.T) {
	a := memory.NewAddressSpace(numbered(1<<16), identity{}, 0, nil)
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 0))
			var p [2]byte
			for range 20000 {
				vpn := r.Uint64N(1 << 16)
				if _, err := a.Read(vpn<<memory.PageShift, p[:]); err != nil || p != [2]byte{byte(vpn), byte(vpn >> 8)} {
					t.Errorf("page %#x: %x, %v", vpn, p, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestBlocks compares with a plain array that the blocks are copied into.
func TestBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var want, have [256]byte
		var blocks []memory.Block
		for i := range r.IntN(8) {
			va := r.Uint64N(256)
			data := bytes.Repeat([]byte{byte(i + 1)}, int(r.Uint64N(257-va)))
			blocks = append(blocks, memory.Block{VA: va, Data: data})
			copy(want[va:], data)
			copy(have[va:], bytes.Repeat([]byte{1}, len(data)))
		}
		b := memory.NewBlocks(blocks)
		va, n := r.IntN(256), r.IntN(64)
		p := make([]byte, min(n, 256-va))
		got, err := b.Read(uint64(va), p)
		end := 0
		for end < len(p) && have[va+end] == 1 {
			end++
		}
		var e *memory.ReadError
		if got != end || !bytes.Equal(p[:got], want[va:va+got]) || (err == nil) != (end == len(p)) ||
			errors.As(err, &e) && (e.Addr != uint64(va+end) || e.Kind != memory.NoAddressSpace) {
			t.Fatalf("read %d of %d at %d: %v; want %d", got, len(p), va, err, end)
		}
		next, ok := b.Next(uint64(va))
		for i := va; i <= 256; i++ {
			if i == 256 && ok || i < 256 && have[i] == 1 && (!ok || next != uint64(i)) {
				t.Fatalf("Next(%d) = %d, %v", va, next, ok)
			}
			if i < 256 && have[i] == 1 {
				break
			}
		}
	}
}

func TestReadBytes(t *testing.T) {
	a := memory.NewAddressSpace(numbered(5000), identity{}, 0, nil)
	for _, n := range []int{0, 1, 4096, 1<<20 + 5, 3<<20 + 1} {
		b, err := memory.ReadBytes(a, 0x1003, n)
		if err != nil || len(b) != n || n > 4096 && b[n-1] != byte((0x1003+n-1)>>12>>(8*((0x1003+n-1)%2))) {
			t.Errorf("%d bytes: %d, %v", n, len(b), err)
		}
	}
	if b, err := memory.ReadBytes(a, 0, 1<<40); err == nil || len(b) != 5000<<12 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if v, err := memory.ReadUint(a, 0x2fff, 2); err != nil || v != 0x300 {
		t.Errorf("across pages: %#x, %v", v, err)
	}
	if v, err := memory.ReadUint(a, 0x3ffc, 4); err != nil || v != 0x30003 {
		t.Errorf("at the end of a page: %#x, %v", v, err)
	}
}
