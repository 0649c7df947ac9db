package analyze

import (
	"context"
	"slices"
	"sync"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
)

// FuzzExplain: whatever a header says, there is a verdict with a reason, and
// what is blamed is a frame of the stack or in a module.
func FuzzExplain(f *testing.F) {
	open := sync.OnceValue(func() *engine.Target {
		path, symbols := dumptest.WriteFile(f, dumptest.Faulted())
		t, err := engine.Open(context.Background(), path, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: f.TempDir()})
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { _ = t.Close() })
		return t
	})
	codes := make([]uint32, 0, len(families))
	for code := range families {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	sys := open().System
	modules := sys.KernelModules(context.Background())
	interesting := []uint64{0, 1, 3, 8, ^uint64(0), sys.Nt().Base, sys.Nt().Base + 0x1000, 0xffffc58f41000050}
	for i := range codes {
		v := func(n int) uint64 { return interesting[(i+n)%len(interesting)] }
		f.Add(uint16(i), v(0), v(2), v(3), v(5))
	}
	f.Fuzz(func(t *testing.T, which uint16, a, b, c, d uint64) {
		code := uint32(which)
		if int(which) < len(codes) {
			code = codes[which]
		}
		r := explain(t.Context(), sys, sys.Kernel(), modules, code, [4]uint64{a, b, c, d})
		if r.Why == "" || r.Bucket == "" || r.Blamed >= len(r.Frames) || len(r.Frames) > maxFrames {
			t.Fatalf("%#x: %+v", code, r)
		}
		if fr, ok := r.Culprit(); ok && fr.Module == "" {
			t.Fatalf("%#x: blamed %#x, which is in no module", code, fr.IP)
		}
	})
}
