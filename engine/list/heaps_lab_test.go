package list

import (
	"fmt"
	"strings"
	"testing"

	"kdap/engine"
	"kdap/internal/truth"
)

// heapTruth is the part of lab19041.json about heaps.
type heapTruth struct {
	Processes []struct {
		Name  string
		PID   uint64
		Heaps []struct {
			Type, Base string
			Flags      uint64
			FreeUnits  uint64 `json:"total_free_units"`
			Counters   struct{ TotalMemoryReserved, TotalMemoryCommitted uint64 }
			Stats      map[string]uint64
			FreeList   []struct {
				Addr string
				Size uint64
			} `json:"free_list"`
			Subsegments []struct{ Count uint64 }
			LFH         []struct{ Count uint64 } `json:"lfh_subsegments"`
			VS          []struct {
				Chunks []struct {
					VA   string
					Size uint64
					Busy bool
				}
			} `json:"vs_subsegments"`
			Summary     []struct{ Blocks, Total uint64 }
			Allocations []struct {
				Kind, User, State, Entry string
				Requested, Total         uint64
			}
		}
	}
	HeapDamage struct {
		Heap, Culprit, Broken, Reason string
		Process                       uint64
	}
	Holes []struct{ VA, State string }
}

func readHeapTruth(t *testing.T) (v heapTruth, missing []string) {
	t.Helper()
	truth.JSON(t, &v, "dumps", "lab19041.json")
	for _, h := range v.Holes {
		if h.State != "transition" {
			missing = append(missing, strings.TrimRight(h.VA, "0"))
		}
	}
	return v, missing
}

// damaged is the one block whose header the truth says is written over.
func (v heapTruth) damaged(pid uint64, entry string) bool {
	return pid == v.HeapDamage.Process && entry == v.HeapDamage.Broken
}

func TestLabHeaps(t *testing.T) {
	want, missing := readHeapTruth(t)
	sys := openLab(t, "lab19041.dmp", truth.Path(t, "symbols"))
	got := map[string]Heap{}
	var damage []string
	for h, err := range Heaps(t.Context(), sys, Filter{}) {
		if err != nil {
			if strings.Contains(err.Error(), "block") {
				damage = append(damage, err.Error())
			} else {
				comparison{holes: missing}.isHole(t, "heaps", err.Error())
			}
			continue
		}
		got[fmt.Sprintf("%d %s", h.PID, h.Heap)] = h
	}
	if len(damage) != 1 || !strings.Contains(damage[0], want.HeapDamage.Broken+": "+want.HeapDamage.Reason) ||
		!strings.Contains(damage[0], "the block before it is "+want.HeapDamage.Culprit) {
		t.Errorf("damage: got %q, want %v", damage, want.HeapDamage)
	}
	kinds := map[string]string{"NT Heap": "nt", "Segment Heap": "segment"}
	count := 0
	for _, p := range want.Processes {
		for _, w := range p.Heaps {
			count++
			g, ok := got[fmt.Sprintf("%d %s", p.PID, w.Base)]
			what := fmt.Sprintf("%s %d heap %s ", p.Name, p.PID, w.Base)
			if !ok {
				t.Errorf("%sis missing", what)
				continue
			}
			if why := g.Unreadable["kind"]; why != "" {
				comparison{holes: missing}.isHole(t, what, why)
				continue
			}
			equal(t, what+"kind", string(g.Kind), kinds[w.Type])
			if w.Type != "NT Heap" {
				equal(t, what+"reserved", deref(g.Reserved), (w.Stats["TotalReservedPages"]+w.Stats["LargeReservedPages"])*4096)
				equal(t, what+"committed", deref(g.Committed), (w.Stats["TotalCommittedPages"]+w.Stats["LargeCommittedPages"])*4096)
			}
			var blocks, bytes, front, large uint64
			for _, a := range w.Allocations {
				if a.State != "busy" || want.damaged(p.PID, a.Entry) {
					continue
				}
				blocks++
				bytes += a.Requested
				switch a.Kind {
				case "lfh":
					front++
				case "virtual", "large":
					large++
				}
			}
			equal(t, what+"busy", [4]uint64{deref(g.BusyBlocks), deref(g.BusyBytes), deref(g.LFHBlocks), deref(g.LargeBlocks)},
				[4]uint64{blocks, bytes, front, large})
			equal(t, what+"unreadable", len(g.Unreadable), 0)
			if w.Type != "NT Heap" {
				continue
			}
			equal(t, what+"flags", uint64(deref(g.Flags)), w.Flags)
			equal(t, what+"reserved", deref(g.Reserved), w.Counters.TotalMemoryReserved)
			equal(t, what+"committed", deref(g.Committed), w.Counters.TotalMemoryCommitted)
			equal(t, what+"free", deref(g.Free), w.FreeUnits*16)
		}
	}
	equal(t, "heaps", len(got), count)
}

// TestLabAllocations compares every block with the truth: with symbols, and NT
// heaps without any, where the front end's key is not known.
func TestLabAllocations(t *testing.T) {
	t.Run("symbols", func(t *testing.T) { compareAllocations(t, truth.Path(t, "symbols"), true) })
	t.Run("none", func(t *testing.T) { compareAllocations(t, t.TempDir(), false) })
}

func compareAllocations(t *testing.T, symbols string, keys bool) {
	want, missing := readHeapTruth(t)
	target, err := engine.Open(t.Context(), truth.Dump(t, "lab19041.dmp"), engine.Options{SymbolPath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	sys := target.System
	byHeap := map[string]map[string]Allocation{}
	for a, err := range Allocations(t.Context(), sys, Filter{}) {
		switch {
		case err == nil:
			key := fmt.Sprintf("%d %s", a.PID, a.Heap)
			if byHeap[key] == nil {
				byHeap[key] = map[string]Allocation{}
			}
			if _, twice := byHeap[key][a.Address.String()]; twice {
				t.Errorf("heap %s: block %v twice", key, a.Address)
			}
			byHeap[key][a.Address.String()] = a
		case strings.Contains(err.Error(), want.HeapDamage.Broken):
		case !keys && strings.Contains(err.Error(), "_SEGMENT_HEAP"): // there is no table of its types
		default:
			comparison{t: t, holes: missing}.isHole(t, "allocations", err.Error())
		}
	}
	var unread []string
	kinds := map[string]string{"backend": "backend", "lfh": "lfh", "virtual": "large", "vs": "vs", "page": "backend", "large": "large"}
	for _, p := range want.Processes {
		for _, w := range p.Heaps {
			got := byHeap[fmt.Sprintf("%d %s", p.PID, w.Base)]
			if !keys && w.Type != "NT Heap" {
				continue
			}
			if got == nil && len(w.Subsegments)+len(w.Allocations) > 0 {
				unread = append(unread, w.Base)
				continue // its header is out
			}
			busy, vs := 0, map[string]uint64{}
			for _, sub := range w.VS {
				for _, c := range sub.Chunks {
					if !c.Busy {
						vs[c.VA] = c.Size
					}
				}
			}
			for _, a := range w.Allocations {
				g, ok := got[a.User]
				if a.Kind == "vs" && a.State == "free" {
					continue // joined with its neighbours since
				}
				if want.damaged(p.PID, a.Entry) || a.State != "busy" {
					if ok {
						t.Errorf("%s heap %s: %s is listed", p.Name, w.Base, a.User)
					}
					continue
				}
				busy++
				what := fmt.Sprintf("%s heap %s block %s ", p.Name, w.Base, a.User)
				equal(t, what+"size", deref(g.Size), a.Requested)
				equal(t, what+"total", g.Total, a.Total)
				equal(t, what+"state", g.Kind+" "+g.State, kinds[a.Kind]+" busy")
			}
			// What is left are the free blocks: of the lists, and of the front end.
			free, front := map[string]uint64{}, 0
			for _, g := range got {
				switch {
				case g.State == "busy":
					busy--
				case g.Kind == "lfh":
					front++
				case g.Kind == "vs":
					chunk := Hex(g.Address - 16).String()
					equal(t, w.Base+" free chunk "+chunk, g.Total, vs[chunk])
					delete(vs, chunk)
				default:
					free[Hex(uint64(g.Address)-16).String()] = g.Total
				}
			}
			equal(t, w.Base+" more busy blocks", busy, 0)
			equal(t, w.Base+" free chunks not listed", len(vs), 0)
			equal(t, w.Base+" free blocks", len(free), len(w.FreeList))
			for _, f := range w.FreeList {
				equal(t, w.Base+" free block "+f.Addr, free[f.Addr], f.Size)
			}
			for _, s := range append(w.Subsegments, w.LFH...) {
				front -= int(s.Count)
			}
			for _, a := range w.Allocations {
				if a.Kind == "lfh" && a.State == "busy" {
					front++
				}
			}
			equal(t, w.Base+" free blocks of the front end", front, 0)
		}
	}
	for _, base := range unread {
		comparison{holes: missing}.isHole(t, "heap", base)
	}
}
