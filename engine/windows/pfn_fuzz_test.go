package windows

import (
	"context"
	"encoding/binary"
	"testing"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// pfnType is an _MMPFN of the tests' own, with members at places of no build.
func pfnType() *types.Type {
	u64 := &types.Type{Kind: types.Uint, Name: "u64", Size: 8}
	u8 := &types.Type{Kind: types.Uint, Name: "u8", Size: 1}
	bits := func(storage *types.Type, pos, n uint8) *types.Type {
		return (&types.Type{Kind: types.BitField, Size: storage.Size, BitPos: pos, BitLen: n}).NewLazy(func(l *types.Lazy) { l.Elem = storage })
	}
	group := func(name string, size uint64, fields ...types.Field) *types.Type {
		return (&types.Type{Kind: types.Struct, Name: name, Size: size}).NewLazy(func(l *types.Lazy) { l.Fields = fields })
	}
	e1 := group("e1", 1, types.Field{Name: "PageLocation", Type: bits(u8, 1, 3)}, types.Field{Name: "Modified", Type: bits(u8, 4, 1)})
	e3 := group("e3", 1, types.Field{Name: "Priority", Type: bits(u8, 2, 3)}, types.Field{Name: "SystemChargedPage", Type: bits(u8, 5, 1)},
		types.Field{Name: "RemovalRequested", Type: bits(u8, 6, 1)}, types.Field{Name: "ParityError", Type: bits(u8, 7, 1)})
	return group("_MMPFN", 24,
		types.Field{Name: "PteAddress", Offset: 0, Type: u64},
		types.Field{Name: "u4", Offset: 8, Type: group("u4", 8, types.Field{Name: "PteFrame", Type: bits(u64, 3, 36)})},
		types.Field{Name: "u3", Offset: 16, Type: group("u3", 8, types.Field{Name: "e1", Offset: 2, Type: e1}, types.Field{Name: "e3", Offset: 3, Type: e3})})
}

// FuzzPFNCount: the fast count says what entries taken apart one by one say, and
// every page is counted once, whatever cannot be read.
func FuzzPFNCount(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0c\x20"), uint16(3), uint16(9))
	f.Fuzz(func(t *testing.T, entries []byte, holeAt, holeLen uint16) {
		const base, size = 0xffff800000001000, 24
		typ := pfnType()
		blocks := []memory.Block{{VA: base, Data: entries}}
		if at := int(holeAt); at < len(entries) {
			end := min(len(entries), at+int(holeLen))
			blocks = []memory.Block{{VA: base, Data: entries[:at]}, {VA: base + uint64(end), Data: entries[end:]}}
		}
		pages := uint64(len(entries)/size + 2)
		db := &PFNDatabase{sys: &System{kernel: memory.NewBlocks(blocks)}, base: base, size: size, f: newPFNFields(typ)}
		var want PageCount
		location := func(b []byte) PageLocation { return PageLocation(b[18] >> 1 & 7) }
		w := pfnWalk{PFNDatabase: db, ctx: context.Background(), total: pages}
		read, missed := uint64(0), uint64(0)
		tally := pfnTally{db: db}
		tally.location, _ = db.f.location.narrow()
		tally.priority, _ = db.f.priority.narrow()
		var got PageCount
		err := w.run(PageRun{0, pages}, make([]byte, 5*size), func(pfn uint64, b []byte) {
			tally.count(&got, b)
			for ; len(b) >= size; pfn, b = pfn+1, b[size:] {
				read++
				if string(b[:size]) != string(entries[pfn*size:(pfn+1)*size]) {
					t.Fatalf("entry %d is not where it should be", pfn)
				}
				p := db.decode(pfn, 0, b)
				if p.Location != location(b) {
					t.Fatalf("entry %d: location %d", pfn, p.Location)
				}
				none := binary.LittleEndian.Uint64(b) == 0 && binary.LittleEndian.Uint64(b[8:])>>3&(1<<36-1) == 0
				switch {
				case p.Location == PageBad && (b[19]&0xc0 != 0):
					want.Bad++
				case p.Location == PageBad:
					want.SlistTemp++
				case p.Location == PageActive && none && b[19]&0x20 != 0:
					want.DanglingCommit++
				case p.Location == PageActive && none:
					want.DanglingNoCommit++
				}
			}
		}, func(_, n uint64) { missed += n })
		if err != nil || read+missed != pages || w.done != pages {
			t.Fatalf("%d read, %d missed, %d done of %d: %v", read, missed, w.done, pages, err)
		}
		if got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		sum := uint64(0)
		for l := PageZeroed; l <= PageTransition; l++ {
			sum += tally.at(l)
		}
		if sum != read {
			t.Fatalf("%d of %d counted", sum, read)
		}
	})
}
