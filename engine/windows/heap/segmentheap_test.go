package heap

import (
	"context"
	"encoding/binary"
	"testing"

	"kdap/engine/memory"
)

// FuzzSegmentRanges walks the blocks of a range made of any bytes: walks end,
// and every block lies in the range. Offsets are those of 19041's public types.
func FuzzSegmentRanges(f *testing.F) {
	vs := make([]byte, 0x100)
	binary.LittleEndian.PutUint16(vs[0x20:], 4)
	binary.LittleEndian.PutUint16(vs[0x22:], (4^0x2bed)&0x7fff)
	binary.LittleEndian.PutUint64(vs[0x30:], (2<<16|1<<48)^(0x20000+0x30))
	binary.LittleEndian.PutUint64(vs[0x50:], (2<<16|2<<32)^(0x20000+0x50))
	f.Add(vs, false)
	lfh := make([]byte, 0x1000)
	binary.LittleEndian.PutUint16(lfh[0x22:], 8)
	binary.LittleEndian.PutUint32(lfh[0x28:], (0x20|0x40<<16)^0x20)
	lfh[0x30] = 1
	f.Add(lfh, true)
	f.Fuzz(func(t *testing.T, data []byte, front bool) {
		const base, size = 0x20000, 0x10000
		blocks := 0
		space := memory.NewBlocks([]memory.Block{{VA: base, Data: data}})
		w := &segmentHeap{
			Heap: Heap{Address: 0x1000, Kind: Segment, space: space}, ctx: context.Background(), r: newReader(space),
			vsSize: 0x20, vsSignature: 0x22, vsHeader: 0x30, chunkSize: 16, chunkBits: 8,
			lfhCount: 0x22, lfhWithheld: 0x27, lfhOffsets: 0x28, lfhBitmap: 0x30,
		}
		w.yield = func(b Block, err error) bool {
			if err == nil {
				blocks++
				if b.Entry.Address < base || b.Entry.End() > base+size || b.Size > b.Total {
					t.Fatalf("%+v in %#x-%#x", b, base, base+size)
				}
			}
			return true
		}
		if front {
			w.lfh(base, base, size)
		} else {
			w.vs(base, base, size)
		}
		if blocks > size {
			t.Fatalf("%d blocks", blocks)
		}
	})
}
