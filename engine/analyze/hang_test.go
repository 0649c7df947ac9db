package analyze

import (
	"context"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
)

// TestHangOfResources: the deadlock that lab19041.json tells of, and a third
// thread that waits for one of the two.
func TestHangOfResources(t *testing.T) {
	h := FindHang(context.Background(), open(t, "lab19041", true))
	for _, err := range h.Errs {
		t.Error(err)
	}
	const first, second, third = 0xffffe38711017080, 0xffffe38711018080, 0xffffe38711019080
	if len(h.Chains) != 2 || h.Worst() != first || h.Blocked[first] != 2 {
		t.Fatalf("%d chains, worst %x: %+v", len(h.Chains), h.Worst(), h.Chains)
	}
	if c := h.Chains[0]; !c.circle() || len(c.Waits) != 2 || c.Waits[0].Thread != first || c.Waits[1].Thread != second {
		t.Errorf("the deadlock: %+v", c)
	}
	if c := h.Chains[1]; !c.Deadlock || c.circle() || len(c.Waits) != 3 || c.Waits[0].Thread != third {
		t.Errorf("who waits for it: %+v", c)
	}
}

// TestHangOfSections: two threads of a program, each in a critical section
// that the other wants; the writer knows which.
func TestHangOfSections(t *testing.T) {
	d := dumptest.Demo()
	path, symbols := dumptest.WriteFile(t, d)
	target, err := engine.Open(context.Background(), path, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	want := map[string]uint64{}
	for _, p := range d.Truth().Processes {
		for _, th := range p.Threads {
			if th.Name == "loading" || th.Name == "unloading" {
				want[th.Name] = th.ETHREAD
			}
		}
	}
	h := FindHang(context.Background(), target.System)
	for _, c := range h.Chains {
		if c.circle() && len(c.Waits) == 2 && c.Waits[0].Thread == want["loading"] && c.Waits[1].Thread == want["unloading"] {
			for _, w := range c.Waits {
				if w.Kind != "Critical section" || !w.Guessed {
					t.Errorf("%+v", w)
				}
			}
			return
		}
	}
	t.Errorf("no deadlock of %x and %x: %+v", want["loading"], want["unloading"], h.Chains)
}

// TestChains: waits that the kernel does not have.
func TestChains(t *testing.T) {
	h := &Hang{Waits: map[uint64]Wait{}, Blocked: map[uint64]int{}}
	h.add(Wait{Thread: 1, Owners: []uint64{2}})
	h.add(Wait{Thread: 2, Owners: []uint64{3, 4}})
	h.add(Wait{Thread: 4, Owners: []uint64{5}})
	h.add(Wait{Thread: 6, Owners: []uint64{6}}) // for itself
	h.add(Wait{Thread: 7, Owners: []uint64{5}})
	h.link()
	if len(h.Chains) != 3 || !h.Chains[0].circle() || len(h.Chains[1].Waits) != 3 || h.Chains[1].End != 5 || h.Chains[2].End != 5 {
		t.Errorf("%+v", h.Chains)
	}
	if h.Blocked[5] != 4 || h.Blocked[3] != 2 || h.Worst() != 6 {
		t.Errorf("blocked %v, worst %d", h.Blocked, h.Worst())
	}
}
