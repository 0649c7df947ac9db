package pdb

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// A big PDB as a large program has one: so many public symbols and structures
// that the file has more than 20 MB.
const (
	bigPublics = 200_000
	bigTypes   = 100_000
)

var bigPDB = sync.OnceValue(func() []byte {
	p := sample()
	p.blockSize = 4096
	p.typeHash = true
	p.tpi, p.symrecs, p.publics = nil, nil, nil
	for i := range uint32(bigTypes) {
		members := rec(lfFieldList, rec(lfMember)[2:4], u16s(3), u32s(0x74), u16s(0), z(fmt.Sprintf("first_%d", i)), []byte{0xf1},
			u16s(lfMember, 3), u32s(0x74), u16s(4), z("n"))
		p.tpi = append(p.tpi, members...)
		p.tpi = append(p.tpi, rec(lfStructure, u16s(2, 0), u32s(firstTI+2*i, 0, 0), u16s(8), z(bigType(i)))...)
	}
	for i := range uint32(bigPublics) {
		p.publics = append(p.publics, uint32(len(p.symrecs)))
		p.symrecs = append(p.symrecs, pubRec(bigPublic(i), 16*i)...)
	}
	p.globals = nil
	p.sections = cat([]byte(".text\x00\x00\x00"), u32s(16*bigPublics, 0x1000, 16*bigPublics), make([]byte, 16), u32s(0x60000020))
	return p.build()
})

func bigType(i uint32) string   { return fmt.Sprintf("_GENERATED_STRUCTURE_%d", i) }
func bigPublic(i uint32) string { return fmt.Sprintf("GeneratedRoutineWithAName%d", i) }

// TestBigIsLazy counts how many bytes of a big file a question looks at: what
// the answer needs, not what the file has.
func TestBigIsLazy(t *testing.T) {
	data := bigPDB()
	if len(data) < 20<<20 {
		t.Fatalf("the file has %d bytes", len(data))
	}
	m, err := openMSF(data)
	if err != nil {
		t.Fatal(err)
	}
	total := uint64(len(m.dir))
	f := &File{m: m}
	m.read = func(n uint32) { total += uint64(n) }
	if err := f.init(); err != nil {
		t.Fatal(err)
	}
	step := func(what string, most uint64, ask func() error) {
		t.Helper()
		if err := ask(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		t.Logf("%s: %d of %d bytes", what, total, len(data))
		if total > most {
			t.Errorf("%s looked at %d bytes, %d at most are needed", what, total, most)
		}
		total = 0
	}
	want := func(s Symbol, ok bool, i uint32) error {
		if !ok || s.Name != bigPublic(i) || s.RVA != 0x1000+16*i {
			return fmt.Errorf("symbol %d: %+v, %v", i, s, ok)
		}
		return nil
	}
	step("the first symbol at an address", 64<<10, func() error {
		s, ok := f.NearestPublic(0x1000 + 16*123_456 + 7)
		return want(s, ok, 123_456)
	})
	step("another", 4<<10, func() error {
		s, ok := f.NearestPublic(0x1000 + 16*7 + 15)
		return want(s, ok, 7)
	})
	step("the first name", 32<<10, func() error {
		s, ok := f.LookupPublic(bigPublic(199_999))
		return want(s, ok, 199_999)
	})
	step("a name without case", 16<<10, func() error {
		s, ok := f.LookupPublicFold("GENERATEDROUTINEWITHANAME5")
		return want(s, ok, 5)
	})
	step("a name that is not there", 8<<10, func() error {
		if s, ok := f.LookupPublic("NoSuchRoutineAnywhere"); ok {
			return fmt.Errorf("found %v", s)
		}
		return nil
	})
	typeAt := func(i uint32) error {
		typ, ok := f.Type(bigType(i))
		if !ok || typ.Size != 8 || len(typ.Fields()) != 2 || typ.Fields()[0].Name != fmt.Sprintf("first_%d", i) {
			return fmt.Errorf("type %d: %v, %v", i, typ, ok)
		}
		return nil
	}
	// All hash values, four bytes for each record, and the index of the records.
	step("the first type", 4*2*bigTypes+64<<10, func() error { return typeAt(77_777) })
	step("another type", 16<<10, func() error { return typeAt(3) })
	for i := uint32(0); i < bigPublics; i += 997 {
		s, ok := f.LookupPublic(bigPublic(i))
		if err := want(s, ok, i); err != nil {
			t.Error(err)
		}
		s, ok = f.NearestPublic(0x1000 + 16*i)
		if err := want(s, ok, i); err != nil {
			t.Error(err)
		}
	}
	for i := uint32(0); i < bigTypes; i += 997 {
		if err := typeAt(i); err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkBig opens a file of more than 20 MB and asks one thing of it.
func BenchmarkBig(b *testing.B) {
	path := filepath.Join(b.TempDir(), "big.pdb")
	if err := os.WriteFile(path, bigPDB(), 0o600); err != nil {
		b.Fatal(err)
	}
	for name, ask := range map[string]func(f *File) bool{
		"FirstSymbol": func(f *File) bool { _, ok := f.NearestPublic(0x1000 + 16*123_456); return ok },
		"FirstName":   func(f *File) bool { _, ok := f.LookupPublic(bigPublic(123_456)); return ok },
		"FirstType":   func(f *File) bool { _, ok := f.Type(bigType(77_777)); return ok },
		"AllNames": func(f *File) bool {
			n := 0
			for range f.Publics() {
				n++
			}
			return n == bigPublics
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, err := Open(path)
				if err != nil {
					b.Fatal(err)
				}
				if !ask(f) {
					b.Fatal("no answer")
				}
				f.Close()
			}
		})
	}
}
