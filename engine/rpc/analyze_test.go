package rpc

import (
	"path/filepath"
	"testing"

	"kdap/engine/dumptest"
)

// openDump opens a dump that the writer makes.
func openDump(t *testing.T, d *dumptest.Dump) *Client {
	t.Helper()
	path, symbols := dumptest.WriteFile(t, d)
	c := dial(t, NewEngine("test"))
	if _, err := c.Open(t.Context(), OpenParams{Path: path, SymbolPath: symbols, ImagePath: symbols, CacheDir: filepath.Join(t.TempDir(), "cache")}, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAnalyze: the driver that the writer let crash the machine.
func TestAnalyze(t *testing.T) {
	r := must[AnalyzeResult](t)(openDump(t, dumptest.Faulted()).Analyze(t.Context()))
	if r.Name != "DRIVER_IRQL_NOT_LESS_OR_EQUAL" || r.Module != "keypad" || r.Image != "keypad.sys" || !r.Sure || r.Manual {
		t.Errorf("%+v", r)
	}
	if r.Bucket != "AV_keypad!KeypadCheckCrashKeys" || r.Description == "" || len(r.Meaning) != 4 || len(r.Details) != 2 {
		t.Errorf("%+v", r)
	}
}

// TestAnalyzeByHand: nobody is to blame for a crash that somebody asked for.
func TestAnalyzeByHand(t *testing.T) {
	r := must[AnalyzeResult](t)(openDump(t, dumptest.Small()).Analyze(t.Context()))
	if !r.Manual || r.Name != "MANUALLY_INITIATED_CRASH" || len(r.Next) == 0 {
		t.Errorf("%+v", r)
	}
}
