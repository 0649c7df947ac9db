package pdb

import "testing"

// BenchmarkFirstSymbol opens the kernel's PDB and names one address.
func BenchmarkFirstSymbol(b *testing.B) {
	path := kernelPath(b)
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if _, ok := f.NearestPublic(0x3f5a83); !ok {
			b.Fatal("no symbol")
		}
		f.Close()
	}
}

// BenchmarkFirstType opens it and reads the members of one type.
func BenchmarkFirstType(b *testing.B) {
	path := kernelPath(b)
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		typ, ok := f.Type("_EPROCESS")
		if !ok || len(typ.Fields()) == 0 {
			b.Fatal("no type")
		}
		f.Close()
	}
}

func BenchmarkNearestPublic(b *testing.B) {
	f := openTest(b, kernelPath(b))
	b.ReportAllocs()
	rva := uint32(0x200000)
	for b.Loop() {
		f.NearestPublic(rva)
		rva = 0x200000 + (rva*7+13)%0x700000
	}
}

func BenchmarkLookupPublic(b *testing.B) {
	f := openTest(b, kernelPath(b))
	b.ReportAllocs()
	for b.Loop() {
		f.LookupPublic("PsActiveProcessHead")
	}
}

// BenchmarkAllPublics walks the 39,832 public symbols.
func BenchmarkAllPublics(b *testing.B) {
	f := openTest(b, kernelPath(b))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range f.Publics() {
			n++
		}
		if n < 10000 {
			b.Fatal(n)
		}
	}
}

// BenchmarkAllTypes decodes the members of every type of the kernel.
func BenchmarkAllTypes(b *testing.B) {
	path := kernelPath(b)
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		for typ := range f.Types() {
			typ.Fields()
		}
		f.Close()
	}
}
