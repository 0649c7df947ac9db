package dump

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"sync"
	"sync/atomic"

	"kdap/engine/memory"
)

// openBitmap reads the record of a summary or bitmap dump.
func (f *File) openBitmap() error {
	d := f.record("BITMAP_DUMP", HeaderSize, 0x38)
	if f.typ == Summary {
		d.record = "SUMMARY_DUMP64"
	}
	sig := d.text(4)
	d.skip(4) // "DUMP", not checked by anyone
	l := Layout{DumpOptions: d.u32()}
	at := uint64(HeaderSize + 0x38)
	if f.typ == Summary {
		l.FirstPage, l.BitmapBits = uint64(d.u32()), uint64(d.u32())
		l.Pages, l.SizeOfBitMap = uint64(d.u32()), d.u32()
		at = HeaderSize + 0x28
	} else {
		d.skip(0x20 - 0xc)
		l.FirstPage, l.Pages, l.BitmapBits = d.u64(), d.u64(), d.u64()
	}
	if d.err == nil && sig != "FDMP" && sig != "SDMP" {
		return &FormatError{d.record, fmt.Sprintf("signature %q is neither FDMP nor SDMP", sig), HeaderSize}
	}
	if d.err != nil {
		f.warn(Truncated, 60, []string{"WARNING: Dump file has been truncated.  Data may be missing."},
			"The file ends within the record behind the header, %v: it holds no pages.", d.err)
		f.index = newSegments(nil, 0)
		return nil
	}
	f.layout = l

	room := min(l.FirstPage, uint64(len(f.data)))
	room = (room - min(room, at)) * 8
	n := l.BitmapBits
	if n > room {
		f.warn(BitmapCut, 0, nil, "The bitmap at %#x should have %d bits, but there is room for %d.", at, n, room)
		n = room
	}
	n = min(n, maxPFN+1)
	b := &bitmap{bits: f.data[at : at+(n+7)/8], n: n, first: l.FirstPage}
	f.index = b

	f.checkSize(l.FirstPage, l.Pages, l.Pages)
	// Counting the bits of a 1 TB machine's bitmap takes some milliseconds;
	// beyond that, opening doesn't wait for it.
	if n <= 1<<28 {
		set := b.rank(n)
		if set != l.Pages {
			f.warn(BitCount, 72, []string{"WARNING: Dump file has inconsistent set-bit count.  Data may be missing."},
				"The bitmap has %d set bits, but the record at %#x promises %d pages.", set, HeaderSize, l.Pages)
		}
		f.present = func() uint64 { return min(set, f.wholePages(l.FirstPage)) }
	}
	h := f.Header
	if end := min(f.blobsAt, uint64(len(f.data))); f.typ != Summary && h.RequiredDumpSpace != Filler64 && h.RequiredDumpSpace < end {
		f.warn(SpaceExceeded, 0, nil, "RequiredDumpSpace at offset 0xfa0 is %#x, but the pages reach to %#x; WinDbg does not read those behind it, kdap does.",
			h.RequiredDumpSpace, end)
	}
	return nil
}

// A bitmap indexes pages by one bit each: the k-th set bit's page is the k-th
// in the file. Bits before a position are counted by a table with one entry
// for each block of bits, which grows as far as it is needed.
type bitmap struct {
	bits  []byte
	n     uint64 // bits that count
	first uint64 // file offset of the first page

	mu     sync.Mutex
	counts atomic.Pointer[[]uint64] // set bits before each block
}

// blockBits is the number of bits that one entry of the table stands for.
const blockBits = 2048

// word returns the 64 bits from bit 64·i on; bits at or above n are 0.
func (b *bitmap) word(i uint64) uint64 {
	var w uint64
	if rest := b.bits[i*8:]; len(rest) >= 8 {
		w = binary.LittleEndian.Uint64(rest)
	} else {
		for j, c := range rest {
			w |= uint64(c) << (8 * j)
		}
	}
	if left := b.n - i*64; left < 64 {
		w &= 1<<left - 1
	}
	return w
}

// before returns the number of set bits before a block.
func (b *bitmap) before(block uint64) uint64 {
	if p := b.counts.Load(); p != nil && block < uint64(len(*p)) {
		return (*p)[block]
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := []uint64{0}
	if p := b.counts.Load(); p != nil {
		counts = *p // readers see its length as it was: appending does not disturb them
	}
	for k := uint64(len(counts)); k <= block; k++ {
		sum := counts[k-1]
		for i := (k - 1) * blockBits / 64; i < k*blockBits/64 && i*64 < b.n; i++ {
			sum += uint64(bits.OnesCount64(b.word(i)))
		}
		counts = append(counts, sum)
	}
	b.counts.Store(&counts)
	return counts[block]
}

// rank returns the number of set bits before bit n, which is at most b.n.
func (b *bitmap) rank(n uint64) uint64 {
	sum := b.before(n / blockBits)
	for i := n / blockBits * blockBits / 64; i < n/64; i++ {
		sum += uint64(bits.OnesCount64(b.word(i)))
	}
	if n%64 != 0 {
		sum += uint64(bits.OnesCount64(b.word(n/64) & (1<<(n%64) - 1)))
	}
	return sum
}

func (b *bitmap) find(pfn uint64) (uint64, bool) {
	if pfn >= b.n || b.bits[pfn/8]>>(pfn%8)&1 == 0 {
		return 0, false
	}
	return b.first + b.rank(pfn)*memory.PageSize, true
}

func (b *bitmap) runs() iter.Seq2[Run, uint64] {
	return func(yield func(Run, uint64) bool) {
		off := b.first
		var run Run // the one being built
		for i := uint64(0); i*64 < b.n; i++ {
			for w, at := b.word(i), uint64(0); w != 0; {
				skip := uint64(bits.TrailingZeros64(w))
				w >>= skip
				n := uint64(bits.TrailingZeros64(^w))
				start := i*64 + at + skip
				if run.PageCount > 0 && run.BasePage+run.PageCount == start {
					run.PageCount += n
				} else {
					if run.PageCount > 0 && !yield(run, off) {
						return
					}
					off += run.PageCount * memory.PageSize
					run = Run{start, n}
				}
				if n == 64 {
					break
				}
				w >>= n
				at += skip + n
			}
		}
		if run.PageCount > 0 {
			yield(run, off)
		}
	}
}
