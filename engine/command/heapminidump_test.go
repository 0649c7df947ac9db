package command

import (
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
)

// TestHeapsOfMinidump: heaps say the same in a user minidump with all of the
// process's memory.
func TestHeapsOfMinidump(t *testing.T) {
	path, symbols := dumptest.WriteFile(t, leakMachine(t))
	target, err := engine.Open(t.Context(), path, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	kernel := NewSession(target, Options{DumpPath: path})
	answer(kernel, inLeak)
	user := minidumpOf(t, kernel, symbols)
	for _, line := range []string{
		"!heap", "!heap -s", "!heap -a", "!heap -hl 1", "!heap -stat -h 1", "!heap -flt s 1000", "!heap -x 1244ea51c60", "!heap -p -a 1244ea51c60",
		"!heap -p -all", "!heap -i 1244ea51c50 -h 1", "!heap -triage", "!heap -srch -q 6f6c6c41203e3d3d", "!heap -l",
	} {
		if got, want := answer(user, line), answer(kernel, line); got != want {
			t.Errorf("%s in the minidump:\n%.600s\nin the kernel dump:\n%.600s", line, got, want)
		}
	}
}
