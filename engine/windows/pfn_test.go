package windows_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kdap/engine/memory"
	"kdap/engine/windows"
	"kdap/internal/truth"
)

// TestPFNSamples compares entries with what the reference dump's independent
// writer laid down, and every PTE they name with the tables it is in.
func TestPFNSamples(t *testing.T) {
	var want struct {
		PFN struct {
			Samples []struct{ PFN, State, Kind, PTE, Containing, Entry string }
		}
	}
	truth.JSON(t, &want, "dumps", "lab19041.json")
	sys := openLab(t).System
	db, err := sys.PFNDatabase()
	if err != nil {
		t.Fatal(err)
	}
	locations := map[string]windows.PageLocation{"active": windows.PageActive, "modified": windows.PageModified, "standby": windows.PageStandby}
	for _, w := range want.PFN.Samples {
		pfn := number(t, w.PFN)
		p, err := db.Entry(pfn)
		if err != nil {
			t.Errorf("%s: %v", w.PFN, err)
			continue
		}
		state := strings.TrimRight(w.State, "01234567")
		if p.Addr != number(t, w.Entry) || p.Location != locations[state] {
			t.Errorf("%s: entry %#x, on list %d; want %s, %s", w.PFN, p.Addr, p.Location, w.Entry, w.State)
		}
		if state != w.State && fmt.Sprint(p.Priority) != w.State[len(state):] {
			t.Errorf("%s: priority %d, want %s", w.PFN, p.Priority, w.State)
		}
		if w.PTE != "" && (p.PteAddress != number(t, w.PTE) || p.PteFrame != number(t, w.Containing)) {
			t.Errorf("%s: PTE %#x in %#x, want %s in %s", w.PFN, p.PteAddress, p.PteFrame, w.PTE, w.Containing)
		}
		if w.Kind == "large" || w.Kind == "bulk" || w.Containing == w.PFN {
			continue // without a PTE of its own, or a root, which is in no table
		}
		hits := 0
		err = sys.SearchPTEs(t.Context(), pfn, func(h windows.PTEHit) bool {
			if h.VA == p.PteAddress && h.Phys>>memory.PageShift == p.PteFrame {
				hits++
			}
			return true
		})
		if err != nil || hits == 0 {
			t.Errorf("%s (%s): no page table has its PTE %s in page %s (%v)", w.PFN, w.Kind, w.PTE, w.Containing, err)
		}
	}
}

// TestPFNCountCancel: a count ends with its context, and says how far it came.
func TestPFNCountCancel(t *testing.T) {
	sys := openLab(t).System
	db, err := sys.PFNDatabase()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var last, all uint64
	count, err := db.Count(ctx, func(done, total uint64) {
		if done < last || done > total {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last, all = done, total
		cancel()
	})
	if !errors.Is(err, context.Canceled) || count.Total() != last || last == 0 || last > all {
		t.Errorf("%d of %d pages, %d told, %v", count.Total(), all, last, err)
	}
}

// BenchmarkPFNCount is to be seen beside BenchmarkPFNRead, which only reads the
// database.
func BenchmarkPFNCount(b *testing.B) {
	db, err := openLab(b).System.PFNDatabase()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c, err := db.Count(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(c.Total() * db.EntrySize()))
	}
}

func BenchmarkPFNRead(b *testing.B) {
	sys := openLab(b).System
	db, err := sys.PFNDatabase()
	if err != nil {
		b.Fatal(err)
	}
	runs, err := sys.PhysicalRuns()
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 256<<10)
	for b.Loop() {
		total := uint64(0)
		for _, r := range runs {
			for at, end := db.Base()+r.First*db.EntrySize(), db.Base()+(r.First+r.Count)*db.EntrySize(); at < end; {
				n, err := sys.Kernel().Read(at, buf[:min(uint64(len(buf)), end-at)])
				if err != nil {
					b.Fatal(err)
				}
				at += uint64(n)
				total += uint64(n)
			}
		}
		b.SetBytes(int64(total))
	}
}
