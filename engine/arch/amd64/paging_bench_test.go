package amd64_test

import (
	"testing"

	"kdap/engine/memory"
)

// readable collects n user and kernel pages that can be read.
func readable(b *testing.B, a *memory.AddressSpace, from, to uint64, n int) (vas []uint64) {
	for va := from; va < to && len(vas) < n; va += 4096 {
		if _, err := a.Page(va); err == nil {
			vas = append(vas, va)
		}
	}
	if len(vas) == 0 {
		b.Fatal("no page can be read")
	}
	return vas
}

// BenchmarkRead reads 4 KB at a time: warm from the translations that are
// remembered, cold with a walk for every page.
func BenchmarkRead(b *testing.B) {
	lab := readTruth(b)
	for _, name := range []string{"lab19041", "lab19041_t5", "lab_ka"} {
		kernel, _ := spaces(openLab(b, name), lab)
		base := uint64(lab.System.KernelBase)
		buf := make([]byte, 4096)
		vas := readable(b, kernel, base, base+64<<20, 512)
		b.Run(name+"/warm", func(b *testing.B) {
			b.SetBytes(4096)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := kernel.Read(vas[i%len(vas)], buf); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.SetBytes(4096)
			b.RunParallel(func(pb *testing.PB) {
				buf := make([]byte, 4096)
				for i := 0; pb.Next(); i++ {
					kernel.Read(vas[i%len(vas)], buf)
				}
			})
		})
		many := readable(b, kernel, base, base+64<<20, 1<<20)
		b.Run(name+"/cold", func(b *testing.B) {
			b.SetBytes(4096)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := kernel.Read(many[i*1031%len(many)], buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
