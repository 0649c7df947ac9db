package windows_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"kdap/engine"
	"kdap/engine/windows"
	"kdap/internal/truth"
)

func openLab(t testing.TB) *engine.Target {
	t.Helper()
	o := engine.Options{SymbolPath: truth.Path(t, "symbols"), CacheDir: t.TempDir()}
	target, err := engine.Open(context.Background(), truth.Dump(t, "lab19041"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target
}

type labThread struct {
	ETHREAD string `json:"ethread"`
	Stack   []struct {
		ChildSP string `json:"childSp"`
		Symbol  string `json:"symbol"`
	} `json:"stack"`
}

// TestScannedStack takes the idle thread that was switched out while its
// switch frame was not written: a scan finds its callers.
func TestScannedStack(t *testing.T) {
	var lab struct {
		Processes []struct {
			Threads []labThread `json:"threads"`
		} `json:"processes"`
	}
	truth.JSON(t, &lab, "dumps", "lab19041.json")
	target := openLab(t)
	ctx := context.Background()
	scanned := 0
	for _, want := range lab.Processes[0].Threads {
		addr, err := strconv.ParseUint(strings.TrimPrefix(want.ETHREAD, "0x"), 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		st, err := target.System.Thread(addr).Stack(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !errors.Is(st.Ended, windows.ErrGuessed) {
			continue
		}
		scanned++
		// The innermost frame is not on the stack, its callers are.
		if len(st.Frames) != len(want.Stack)-1 {
			t.Fatalf("%d frames, want %d", len(st.Frames), len(want.Stack)-1)
		}
		for i, f := range st.Frames {
			w := want.Stack[i+1]
			name := f.Module.SymbolAt(ctx, f.IP).String()
			if sp := "0x" + strconv.FormatUint(f.SP, 16); sp != w.ChildSP || name != w.Symbol || !f.Guessed {
				t.Errorf("frame %d: %s %s guessed %v, want %s %s", i, sp, name, f.Guessed, w.ChildSP, w.Symbol)
			}
		}
	}
	if scanned != 1 {
		t.Errorf("%d stacks were scanned, want 1", scanned)
	}
}

// BenchmarkStacks walks the stack of every thread.
func BenchmarkStacks(b *testing.B) {
	target := openLab(b)
	ctx := context.Background()
	var threads []windows.Thread
	for p, err := range target.System.Processes(ctx) {
		if err != nil {
			b.Fatal(err)
		}
		for t, err := range p.Threads(ctx) {
			if err == nil {
				threads = append(threads, t)
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, t := range threads {
			_, _ = t.Stack(ctx, 0)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(threads)), "µs/stack")
}
