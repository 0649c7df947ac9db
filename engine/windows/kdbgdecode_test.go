package windows

import (
	"context"
	"encoding/binary"
	"math/bits"
	"testing"

	"kdap/engine/dump"
	"kdap/engine/dumptest"
	"kdap/engine/symbols"
)

// An encoded block is found and decoded without symbols, and says what it says
// with them.
func TestEncodedKDBGWithoutKeys(t *testing.T) {
	open := func(file, path string) *System {
		f, err := dump.Open(context.Background(), file, dump.Options{CacheDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		sys, err := Open(context.Background(), f, &symbols.Finder{Path: symbols.ParsePath(path), CacheDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		return sys
	}
	file, folder := dumptest.WriteFile(t, dumptest.SmallWith(dumptest.Options{EncodeKDBG: true}).Finish())
	with, without := open(file, folder), open(file, t.TempDir())
	if with.KDBG() == nil || without.KDBG() == nil {
		t.Fatalf("with symbols %v, without %v", with.KDBG(), without.KDBG())
	}
	if *with.KDBG() != *without.KDBG() {
		t.Errorf("without symbols\n%+v\nwith\n%+v", *without.KDBG(), *with.KDBG())
	}
	if k := without.scanEncodedKDBG(); k == nil || *k != *with.KDBG() {
		t.Errorf("the scan finds %v", k)
	}
}

func FuzzDecodeByBase(f *testing.F) {
	f.Add(uint64(0xfffff80312400000), uint64(0x1234567890abcdef), uint64(0xfedcba0987654321), uint64(7), uint16(0x380))
	f.Fuzz(func(t *testing.T, base, never, always, mixed uint64, size uint16) {
		plain := make([]byte, kdbgReadSize)
		binary.LittleEndian.PutUint64(plain[kdbgTagOff:], uint64(size)<<32|kdbgTagValue)
		binary.LittleEndian.PutUint64(plain[kdbgBaseOff:], base)
		binary.LittleEndian.PutUint64(plain[0x48:], base+0x1234)
		encoded := make([]byte, len(plain))
		for i := 0; i < len(plain); i += 8 {
			v := bits.ReverseBytes64(le64(plain[i:])^always) ^ mixed
			binary.LittleEndian.PutUint64(encoded[i:], bits.RotateLeft64(v, -int(never&0x3f))^never)
		}
		got, ok := decodeByBase(encoded, base)
		if valid := size >= kdbgMinSize && size <= kdbgMaxSize; !valid {
			return
		}
		if !ok {
			t.Fatal("not decoded")
		}
		// Another rotation may give a tag too; then the caller's check of the
		// module list tells. The tag and the base are right in any case.
		if uint32(le64(got[kdbgTagOff:])) != kdbgTagValue || le64(got[kdbgBaseOff:]) != base {
			t.Fatalf("decoded to tag %#x and base %#x", le64(got[kdbgTagOff:]), le64(got[kdbgBaseOff:]))
		}
		if !maybeEncoded(encoded, base) {
			t.Fatal("the quick look rejects an encoded block")
		}
	})
}
