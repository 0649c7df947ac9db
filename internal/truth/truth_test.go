package truth

import (
	"os"
	"testing"
)

func TestDump(t *testing.T) {
	for _, name := range []string{"lab19041", "triage_x64.dmp", "lab_k"} {
		f, err := os.Open(Dump(t, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var sig [8]byte
		if _, err := f.ReadAt(sig[:], 0); err != nil || string(sig[:]) != "PAGEDU64" {
			t.Errorf("%s starts with %q, %v", name, sig[:], err)
		}
	}
}
