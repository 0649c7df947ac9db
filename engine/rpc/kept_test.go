package rpc

import (
	"runtime"
	"strings"
	"testing"
)

// TestForgotten: what is shown or opened now and then stays; the rest is
// forgotten, says so, and is a new value when it is shown again.
func TestForgotten(t *testing.T) {
	var v values
	at := func(i int) line { return line{under: 1, list: inLocals, place: i} }
	v.frame(ScopesParams{}) // takes number 1, which at's lines are below
	used, shown, left := v.keep(kept{}, at(0)), v.keep(kept{}, at(1)), v.keep(kept{}, at(2))
	for i := range 3 * maxGeneration {
		v.keep(kept{}, at(10+i))
		if i%1000 != 0 {
			continue
		}
		if _, err := v.get(used); err != nil {
			t.Fatalf("a value that is opened every now and then: %v", err)
		}
		if again := v.keep(kept{}, at(1)); again != shown {
			t.Fatalf("a value that is shown every now and then is %d, was %d", again, shown)
		}
		if n := len(v.young.kept) + len(v.old.kept); n > 2*maxGeneration {
			t.Fatalf("%d values are kept", n)
		}
	}
	if _, err := v.get(left); err == nil || !strings.Contains(err.Error(), "forgotten") {
		t.Errorf("a value that was left alone: %v", err)
	}
	if again := v.keep(kept{}, at(2)); again <= left {
		t.Errorf("a forgotten value is %d again, was %d", again, left)
	}
	for _, never := range []uint64{0, v.next + 1, 1 << 60} {
		if _, err := v.get(never); err == nil || strings.Contains(err.Error(), "forgotten") {
			t.Errorf("value %d, which was never given: %v", never, err)
		}
	}
}

// valuesOf returns the values of an engine's only client.
func valuesOf(t testing.TB, e *Engine) *values {
	t.Helper()
	for _, o := range e.targets {
		for c := range o.clients {
			return &c.values
		}
	}
	t.Fatal("no client has a dump open")
	return nil
}

// BenchmarkKept opens trees of every frame until many values are kept, and
// measures the heap that each takes.
func BenchmarkKept(b *testing.B) {
	var took, held float64
	for b.Loop() {
		var before, after runtime.MemStats
		e := NewEngine("test")
		c := openMade(b, e)
		groups := must[GroupsResult](b)(c.Groups(b.Context())).Groups
		open := func() {
			for _, g := range groups {
				for _, th := range g.Threads {
					for f := range must[StackResult](b)(c.Stack(b.Context(), StackParams{Thread: th.Thread})).Total {
						p := ScopesParams{FrameParams: FrameParams{Thread: th.Thread, Frame: f}}
						for _, s := range must[ScopesResult](b)(c.Scopes(b.Context(), p)).Scopes {
							for _, v := range must[ChildrenResult](b)(c.Children(b.Context(), ChildrenParams{Ref: s.Ref})).Values {
								if v.Ref != 0 {
									_, _ = c.Children(b.Context(), ChildrenParams{Ref: v.Ref})
								}
							}
						}
					}
				}
			}
		}
		open() // symbols, types and stacks are not the values'
		store := valuesOf(b, e)
		store.young, store.old = generation{}, generation{}
		runtime.GC()
		runtime.ReadMemStats(&before)
		open()
		runtime.GC()
		runtime.ReadMemStats(&after)
		held += float64(len(store.young.kept) + len(store.old.kept))
		took += float64(after.HeapAlloc) - float64(before.HeapAlloc)
	}
	b.ReportMetric(took/held, "B/value")
	b.ReportMetric(held/float64(b.N), "values")
}
