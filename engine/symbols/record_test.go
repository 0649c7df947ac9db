package symbols

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// TestAllAsRecorded compares every row of WinDbg's x nt!*, in its order, with
// the symbols of the PDB. With the ISF table the rows must be the same, in any
// order within a bucket.
func TestAllAsRecorded(t *testing.T) {
	p, isf := kernelTables(t)
	path := filepath.Join(sharedDir(t), "..", "reference", "windbg", "lab", "x-all.txt.xz")
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("no record: %v", err)
	}
	defer f.Close()
	r, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	const base = 0xfffff80451a00000
	var want []string
	for s := bufio.NewScanner(r); s.Scan(); {
		// The first block is x nt!*.
		if s.Text() == ">>>" {
			break
		}
		if strings.Contains(s.Text(), " nt!") && !strings.HasPrefix(s.Text(), "<<<") {
			want = append(want, s.Text())
		}
	}
	row := func(s Symbol) string {
		va := base + uint64(s.RVA)
		rest := " = <no type information>"
		if s.Kind.IsFunction() {
			rest = " (" + Prototype(s.Raw) + ")"
		}
		return fmt.Sprintf("%08x`%08x nt!%s%s", va>>32, va&0xffffffff, s.Name, rest)
	}
	i, bad := 0, 0
	count := map[string]int{}
	for s := range p.All() {
		got := row(s)
		count[got]++
		if i >= len(want) || got != want[i] {
			if bad++; bad < 10 && i < len(want) {
				t.Errorf("row %d: %q, want %q", i, got, want[i])
			}
		}
		i++
	}
	if i != len(want) || bad > 0 {
		t.Errorf("%d rows, want %d; %d differ", i, len(want), bad)
	}
	for s := range isf.All() {
		count[row(s)]--
	}
	for text, n := range count {
		if n != 0 {
			if bad++; bad < 20 {
				t.Errorf("PDB and ISF table differ by %d in %q", n, text)
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d rows differ", bad)
	}
}
