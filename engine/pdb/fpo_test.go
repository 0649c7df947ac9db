package pdb

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// TestFPOAgainstLLVM compares the frame records of the x86 samples.
func TestFPOAgainstLLVM(t *testing.T) {
	tool, err := exec.LookPath("llvm-pdbutil-16")
	if err != nil {
		t.Skip("llvm-pdbutil-16 is not installed (package llvm-16)")
	}
	for _, name := range []string{"vs2019_cpp_override.pdb", "minimal.pdb"} {
		t.Run(name, func(t *testing.T) {
			path := globOne(t, "samples/"+name)
			f := openTest(t, path)
			out, err := exec.Command(tool, "dump", "--fpo", path).Output()
			if err != nil {
				t.Fatal(err)
			}
			var want, got []string
			for _, line := range strings.Split(string(out), "\n") {
				cols := strings.Split(line, "|")
				for i := range cols {
					cols[i] = strings.TrimSpace(cols[i])
				}
				if len(cols) < 9 || cols[0] == "RVA" {
					continue
				}
				if len(cols) == 9 {
					// The tool looks for fHasSEH in another bit than winnt.h's FPO_DATA.
					cols[7] = "-"
				}
				want = append(want, strings.Join(cols, " "))
			}
			for _, r := range f.FPOs() {
				kind := [4]string{"FPO", "Trap", "TSS", "Non-FPO"}[r.FrameType]
				got = append(got, fmt.Sprintf("%08X %d %d %d %d %d %v - %s", r.RVA, r.Size, r.Locals/4, r.Params/4, r.Prolog, r.SavedRegs, r.UsesBP, kind))
				if at, ok := f.FPOAt(r.RVA + r.Size - 1); !ok || at != r {
					t.Errorf("FPOAt(%#x) = %v, %v", r.RVA, at, ok)
				}
			}
			for _, r := range f.FrameDataAll() {
				got = append(got, fmt.Sprintf("%08X %d %d %d %d %d %d %v %v %v %s", r.RVA, r.Size, r.Locals, r.Params, r.MaxStack, r.Prolog, r.SavedRegs,
					r.HasSEH, r.HasEH, r.Start, strings.TrimSpace(r.Program)))
				if at, ok := f.FrameDataAt(r.RVA); !ok || at.RVA != r.RVA {
					t.Errorf("FrameDataAt(%#x) = %v, %v", r.RVA, at, ok)
				}
			}
			diff(t, "frame record", got, want)
		})
	}
}

// TestOmap translates by a map as images that were rearranged have: a piece
// moved, a piece taken out.
func TestOmap(t *testing.T) {
	om := []omapEntry{{0x1000, 0x3000}, {0x1100, 0}, {0x1200, 0x2000}}
	tests := []struct {
		rva, to uint32
		ok      bool
	}{
		{0xfff, 0, false}, {0x1000, 0x3000, true}, {0x10ff, 0x30ff, true}, {0x1150, 0, false}, {0x1200, 0x2000, true}, {0x1300, 0x2100, true},
	}
	for _, tt := range tests {
		if to, ok := omapLookup(om, tt.rva); to != tt.to || ok != tt.ok {
			t.Errorf("%#x: %#x, %v, want %#x, %v", tt.rva, to, ok, tt.to, tt.ok)
		}
	}
	if to, ok := omapLookup(nil, 5); to != 5 || !ok {
		t.Errorf("without a map: %#x, %v", to, ok)
	}
}
