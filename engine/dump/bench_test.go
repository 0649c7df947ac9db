package dump

import (
	"testing"

	"kdap/internal/truth"
)

// BenchmarkOpen opens dumps that the system has in its cache.
func BenchmarkOpen(b *testing.B) {
	for _, name := range []string{"lab19041", "lab19041_t6", "lab_ka", "triage_x64"} {
		path := truth.Dump(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, err := Open(b.Context(), path, Options{})
				if err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}

// BenchmarkPage looks up pages all over the dump.
func BenchmarkPage(b *testing.B) {
	for _, name := range []string{"lab19041", "lab19041_t6", "lab19041_t5", "lab_ka"} {
		f := sample(b, name)
		var pfns []uint64
		for r := range f.Runs() {
			pfns = append(pfns, r.BasePage+r.PageCount/2)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, ok := f.Page(pfns[i*7%len(pfns)]); !ok {
					b.Fatal("missing")
				}
			}
		})
	}
}
