package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"kdap/internal/truth"
)

func TestRun(t *testing.T) {
	tables, _ := filepath.Glob(filepath.Join(truth.Path(t, "symbols", "isf"), "*.json.xz"))
	if len(tables) == 0 {
		t.Skip("no symbol tables")
	}
	for _, c := range []struct {
		args   []string
		agrees bool
		want   string
	}{
		{[]string{"--isf", tables[0]}, true, "column 19041"},
		{[]string{"--isf", tables[0], "--family", "22000"}, false, "wrong  _KPRCB"},
		{[]string{"--isf", tables[0], "--column"}, true, "_EPROCESS.ActiveProcessLinks"},
	} {
		var out bytes.Buffer
		agrees, err := run(c.args, &out)
		if err != nil || agrees != c.agrees || !strings.Contains(out.String(), c.want) {
			t.Errorf("%q: agrees %v, %v:\n%s", c.args, agrees, err, out.String())
		}
	}
	for _, args := range [][]string{{}, {"--isf", "a", "--pdb", "b"}, {"--isf", tables[0], "--family", "1"}, {"--pdb", "no such file"}} {
		if _, err := run(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
