package windows_test

import (
	"testing"

	"kdap/engine/memory"
)

// BenchmarkSearchAll searches all memory of the reference dump: the physical
// pages, and the kernel's half of the address space. What reading the same
// bytes costs stands beside it.
func BenchmarkSearchAll(b *testing.B) {
	sys := openLab(b).System
	phys := memory.PhysicalSpace{Phys: sys.Dump()}
	last := uint64(0)
	for r := range sys.Dump().Runs() {
		last = max(last, (r.BasePage+r.PageCount)<<memory.PageShift-1)
	}
	pattern := []byte{0x01, 0xbe, 0xad, 0xde, 0x55, 0x66}
	for _, c := range []struct {
		name        string
		space       memory.Space
		first, last uint64
	}{
		{"physical", phys, 0, last},
		{"kernel", sys.Kernel(), 0xffff800000000000, ^uint64(0)},
	} {
		b.Run(c.name+"/read", func(b *testing.B) {
			for b.Loop() {
				n := uint64(0)
				buf := make([]byte, 1<<20)
				for at := c.first; ; {
					want := min(c.last-at, uint64(len(buf)-1)) + 1
					got, err := c.space.Read(at, buf[:want])
					n += uint64(got)
					next := at + uint64(got)
					if err != nil {
						var ok bool
						if next, ok = memory.Behind(c.space, next, err); !ok {
							break
						}
					}
					if next <= at || next > c.last {
						break
					}
					at = next
				}
				b.SetBytes(int64(n))
			}
		})
		b.Run(c.name+"/search", func(b *testing.B) {
			for b.Loop() {
				if err := memory.Search(b.Context(), c.space, memory.Query{First: c.first, Last: c.last, Pattern: pattern}, func(uint64) bool { return true }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
