package windows_test

import (
	"testing"

	"kdap/engine/memory"
)

// Whoever steps over the holes of a process's memory meets every page that can
// be read, also those that only a VAD knows of.
func TestHolesHideNothing(t *testing.T) {
	sys := openLab(t).System
	compared := 0
	for p, err := range sys.ActiveProcesses(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		space, err := p.Space()
		if err != nil {
			continue
		}
		var probe [1]byte
		met := map[uint64]bool{}
		const end = 1 << 47
		for va, steps := uint64(0), 0; va < end; steps++ {
			if steps > 1<<20 {
				t.Fatalf("%#x: too many steps, now at %#x", p.Addr(), va)
			}
			if _, err := space.Read(va, probe[:]); err != nil {
				next, ok := memory.Behind(space, va, err)
				if !ok || next <= va {
					break
				}
				va = next
				continue
			}
			met[va] = true
			va += memory.PageSize
		}
		for v, err := range p.VADs(t.Context()) {
			if err != nil {
				continue
			}
			for va := v.Start; va <= v.End && va-v.Start < 16<<20; va += memory.PageSize {
				if _, err := space.Read(va, probe[:]); err == nil {
					compared++
					if !met[va] {
						t.Fatalf("%#x: the page at %#x is missed", p.Addr(), va)
					}
				}
			}
		}
	}
	if compared < 1000 {
		t.Errorf("only %d pages compared", compared)
	}
	t.Logf("%d pages", compared)
}
