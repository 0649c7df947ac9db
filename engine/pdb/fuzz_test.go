package pdb

import (
	"errors"
	"testing"
)

// checkError wants errors that say where: a place, or why the file is not for us.
func checkError(t *testing.T, err error) {
	t.Helper()
	fe, ue := (*FormatError)(nil), (*UnsupportedError)(nil)
	if !errors.As(err, &fe) && !errors.As(err, &ue) {
		t.Fatalf("error without a place: %v", err)
	}
}

// FuzzFile changes a whole file: superblock, directory, everything.
func FuzzFile(f *testing.F) {
	f.Add(sample().build())
	f.Add(sample().build()[:2048])
	f.Add(rearranged().build())
	f.Add(separatedSample(false).build())
	f.Add(separatedSample(true).build())
	f.Fuzz(func(t *testing.T, b []byte) {
		pdb, err := New(b)
		if err != nil {
			checkError(t, err)
			return
		}
		exercise(t, pdb)
	})
}

// FuzzTypes changes the type records of a file that is good otherwise. The
// members of a type must lie where Field says.
func FuzzTypes(f *testing.F) {
	s := sample()
	f.Add(s.tpi, s.ipi)
	f.Fuzz(func(t *testing.T, tpi, ipi []byte) {
		p := sample()
		p.tpi, p.ipi = tpi, ipi
		pdb, err := New(p.build())
		if err != nil {
			checkError(t, err)
			return
		}
		for typ := range pdb.Types() {
			if got, ok := pdb.Type(typ.Name); !ok || got.Name != typ.Name {
				t.Fatalf("Type(%q) = %v, %v", typ.Name, got, ok)
			}
			if back := pdb.TypeByIndex(typ.ID); back != typ {
				t.Fatalf("type %#x is not the same twice", typ.ID)
			}
		}
		exercise(t, pdb)
	})
}

// FuzzSymbols changes the symbol records, the publics hash and the module.
func FuzzSymbols(f *testing.F) {
	s := sample()
	f.Add(s.symrecs, s.module, s.c13, []byte(nil))
	f.Add(s.symrecs, separatedSample(false).module, s.c13, []byte(nil))
	good := gsiBytes(s.symrecs, s.publics)
	f.Add(s.symrecs, s.module, s.c13, cat(u32s(uint32(len(good)), 8, 0, 0, 0, 0, 0), good, u32s(0, s.publics[1])))
	f.Fuzz(func(t *testing.T, symrecs, module, c13, publics []byte) {
		p := sample()
		p.module, p.c13 = module, c13
		if len(publics) > 0 {
			p.symrecs, p.rawPublics = symrecs, publics
			p.publics, p.globals = nil, nil
		}
		pdb, err := New(p.build())
		if err != nil {
			checkError(t, err)
			return
		}
		exercise(t, pdb)
	})
}

// FuzzAnnotations changes the program of an inline site: no range may lie
// outside what its numbers can reach, and rows must not be more than its bytes.
func FuzzAnnotations(f *testing.F) {
	f.Add([]byte{3, 8, 4, 4, 0x0b, 0x23, 0x0c, 3, 0x0d, 0, 0})
	f.Add([]byte{1, 0x31, 1, 0x30}) // steps back
	f.Fuzz(func(t *testing.T, prog []byte) {
		pdb, err := New(sample().build())
		if err != nil {
			t.Fatal(err)
		}
		p, _ := pdb.ProcAt(0x1010)
		in := pdb.module(0).inline(p, 0x1000, prog)
		if len(in.rows) > len(prog) {
			t.Fatalf("%d rows of %d bytes", len(in.rows), len(prog))
		}
		for _, r := range in.Ranges {
			if r.Size == 0 {
				t.Fatalf("empty range %v", r)
			}
		}
	})
}
