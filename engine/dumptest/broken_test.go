package dumptest_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kdap/engine"
	"kdap/engine/dump"
	"kdap/engine/dumptest"
	"kdap/engine/list"
)

// TestBroken opens every broken dump and reads all that is in it. Each must
// end, without a panic, and a refusal must be one of the reader's own.
func TestBroken(t *testing.T) {
	dir := t.TempDir()
	if err := dumptest.WriteSymbols(filepath.Join(dir, "symbols"), dumptest.PDBs|dumptest.Images); err != nil {
		t.Fatal(err)
	}
	for _, v := range dumptest.Broken() {
		t.Run(v.Name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), v.Name+".dmp")
			if err := os.WriteFile(path, v.Make(), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			readAll(ctx, t, path, dir)
			if ctx.Err() != nil {
				t.Errorf("%s: no end in sight", v.About)
			}
		})
	}
}

func readAll(ctx context.Context, t *testing.T, path, dir string) {
	target, err := engine.Open(ctx, path, engine.Options{
		SymbolPath: filepath.Join(dir, "symbols"), ImagePath: filepath.Join(dir, "symbols"), CacheDir: filepath.Join(dir, "cache"),
	})
	if err != nil {
		if oe := (*dump.OpenError)(nil); !errors.As(err, &oe) {
			t.Errorf("refused without a *dump.OpenError: %v", err)
		}
		return
	}
	defer target.Close()
	for _, p := range target.Problems() {
		t.Log("problem:", p)
	}
	for _, k := range list.Kinds() {
		n := 0
		for _, err := range k.Each(ctx, target.System, list.Filter{}) {
			if err != nil {
				t.Logf("%s: %v", k.Name, err)
			} else {
				n++
			}
		}
		t.Logf("%d %s", n, k.Name)
	}
}
