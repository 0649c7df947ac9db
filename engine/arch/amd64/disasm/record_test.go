package disasm

import (
	"bufio"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// shared returns a path in the folder of reference material, and skips the
// test where it is not there.
func shared(t testing.TB, elem ...string) string {
	t.Helper()
	root := os.Getenv("KDAP_SHARED")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			up := filepath.Dir(dir)
			if up == dir {
				t.Fatal("no go.mod above the test")
			}
			dir = up
		}
		root = filepath.Join(dir, "..", "shared")
	}
	path := filepath.Join(append([]string{root}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("reference material is not here: %v", err)
	}
	return path
}

// TestRecordedBytes compares with what WinDbg's engine printed for single
// instructions.
func TestRecordedBytes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mode   Mode
		digits int
		base   uint64
	}{
		{"x64.tsv", Mode64, 16, 0},
		{"x86.tsv", Mode32, 8, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := os.Open(shared(t, "reference", "windbg", "disasm", tt.name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			rows, bad := 0, 0
			for s := bufio.NewScanner(f); s.Scan(); {
				cols := strings.Split(s.Text(), "\t")
				if len(cols) < 2 {
					continue
				}
				code, err := hex.DecodeString(cols[0])
				if err != nil {
					t.Fatal(err)
				}
				addr := tt.base
				if len(cols) > 2 {
					if addr, err = strconv.ParseUint(cols[2], 16, 64); err != nil {
						t.Fatal(err)
					}
				}
				rows++
				inst, _ := Decode(tt.mode, code)
				o := Options{AddressDigits: tt.digits}
				line := Line(addr, code, &inst, o)
				got := strings.TrimSpace(line[len(o.Address(addr))+1+len(cols[0]):])
				if strings.HasPrefix(cols[1], "???") {
					code = code[:1]
				}
				if got != strings.TrimSpace(cols[1]) || inst.Len != len(code) {
					bad++
					t.Errorf("%s: %q (%d bytes), want %q", cols[0], got, inst.Len, cols[1])
				}
			}
			t.Logf("%d rows, %d differ", rows, bad)
		})
	}
}
