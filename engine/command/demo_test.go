package command

import (
	"context"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest/demo"
)

// openWithDemoSymbols opens a dump that is the demo's, or was made of it.
func openWithDemoSymbols(t testing.TB, path, symbols string) *engine.Target {
	t.Helper()
	target, err := engine.Open(context.Background(), path, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return target
}

// demoSession starts a session on the demo dump.
func demoSession(t testing.TB) *Session {
	t.Helper()
	dump, symbols, err := demo.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return NewSession(openWithDemoSymbols(t, dump, symbols), Options{DumpPath: "demo.dmp"})
}
