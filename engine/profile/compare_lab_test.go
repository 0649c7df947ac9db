package profile

import (
	"path/filepath"
	"strings"
	"testing"

	"kdap/engine/isf"
	"kdap/engine/pdb"
	"kdap/engine/types"
	"kdap/internal/truth"
)

// Every row of the lab kernel's family against its symbol files.
func TestAgainstSymbols(t *testing.T) {
	tables, err := filepath.Glob(filepath.Join(truth.Path(t, "symbols", "isf"), "*.json.xz"))
	if err != nil || len(tables) == 0 {
		t.Skip("no symbol tables")
	}
	table, err := isf.Open(tables[0], t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pdbs, _ := filepath.Glob(filepath.Join(truth.Path(t, "symbols", "ntkrnlmp.pdb"), "*", "ntkrnlmp.pdb"))
	if len(pdbs) == 0 {
		t.Fatal("no PDB of the kernel")
	}
	file, err := pdb.Open(pdbs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, src := range map[string]types.Source{"isf": table, "pdb": file} {
		wrong, untold, rows := For(19041)[0].Compare(src)
		for _, d := range append(wrong, untold...) {
			t.Errorf("%s: %v", name, d)
		}
		if rows < 280 {
			t.Errorf("%s: only %d rows compared", name, rows)
		}
		if wrong, _, _ := For(17763)[0].Compare(src); len(wrong) < 20 {
			t.Errorf("%s: another family differs in %d rows only", name, len(wrong))
		}
		columns := strings.Join(Column(src), "\n")
		for _, want := range []string{"_EPROCESS.UniqueProcessId", "440", "_MMVAD_FLAGS.PrivateMemory", "0:20:1"} {
			if !strings.Contains(columns, want) {
				t.Errorf("%s: the column has no %s", name, want)
			}
		}
	}
}
