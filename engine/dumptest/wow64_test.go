package dumptest_test

import (
	"testing"

	"kdap/engine/dumptest"
)

// TestReadBackWow64 reads both sides of a 32-bit process, by its symbols.
func TestReadBackWow64(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{})
	dumptest.AddLedger(m, 4)
	d := m.Finish()
	target := open(t, d, dumptest.Full, dumptest.PDBs)
	readProcesses(t, target, d.Truth())
	readThreads(t, target, d.Truth(), true)
	readModules(t, target, d.Truth())
	readEnvs(t, target, d.Truth())
}
