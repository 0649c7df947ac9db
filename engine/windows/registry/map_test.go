package registry

import (
	"encoding/binary"
	"testing"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// TestBlockFamilies: the three forms of a map entry (reference, "Cell →
// address"). The reference dump is of the last one only.
func TestBlockFamilies(t *testing.T) {
	number := &types.Type{Kind: types.Uint, Name: "unsigned __int64", Size: 8}
	entry := func(names ...string) *types.Type {
		e := &types.Type{Kind: types.Struct, Name: "_HMAP_ENTRY", Size: uint64(8 * len(names)), MemberCount: len(names)}
		return e.NewLazy(func(l *types.Lazy) {
			for i, n := range names {
				l.Fields = append(l.Fields, types.Field{Name: n, Offset: uint64(8 * i), Type: number})
			}
		})
	}
	vista := entry("BlockAddress", "BinAddress")
	ten := entry("BlockOffset", "PermanentBinAddress", "TemporaryBinAddress")
	newer := entry("BlockOffset", "PermanentBinAddress")
	for _, tt := range []struct {
		name      string
		typ       *types.Type
		words     []uint64
		addr, bin uint64
	}{
		{"8.1", vista, []uint64{0xfffff8a000011000, 0xfffff8a000010001}, 0xfffff8a000011000, 0xfffff8a000010000},
		{"1507", ten, []uint64{0x2000, 0xffffc000a0000001, 0xdead}, 0xffffc000a0002000, 0xffffc000a0000000},
		{"1507, a temporary bin", ten, []uint64{0x1000, 0, 0xffffc000b0000005}, 0xffffc000b0001000, 0xffffc000b0000000},
		{"1803", newer, []uint64{0x1000, 0x22eaab61001}, 0x22eaab62000, 0x22eaab61000},
		{"empty", newer, []uint64{0x1000, 0}, 0, 0},
	} {
		var data []byte
		for _, w := range tt.words {
			data = binary.LittleEndian.AppendUint64(data, w)
		}
		space := memory.NewBlocks([]memory.Block{{VA: 0x1000, Data: data}})
		b, err := blockOf(types.NewObject(space, tt.typ, 0x1000))
		if b.Addr != tt.addr || b.Bin != tt.bin || (err != nil) != (tt.addr == 0) {
			t.Errorf("%s: got %#x in bin %#x, %v", tt.name, b.Addr, b.Bin, err)
		}
	}
}

func TestCheckSum(t *testing.T) {
	for _, tt := range []struct {
		words []uint32
		want  uint32
	}{
		{[]uint32{0x66676572, 0x12345678}, 0x66676572 ^ 0x12345678},
		{[]uint32{5, 5}, 1},
		{[]uint32{0xffffffff, 0}, 0xfffffffe},
	} {
		var b []byte
		for _, w := range tt.words {
			b = binary.LittleEndian.AppendUint32(b, w)
		}
		if got := checkSum(b); got != tt.want {
			t.Errorf("%x: got %#x, want %#x", tt.words, got, tt.want)
		}
	}
}

func TestDirtyRuns(t *testing.T) {
	d := DirtyVector{Bits: 20, words: []byte{0x06, 0x80, 0x07}}
	var got []uint64
	for first, last := range d.Runs() {
		got = append(got, first, last)
	}
	want := []uint64{1, 2, 15, 18}
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}
