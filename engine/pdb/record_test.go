package pdb

import (
	"fmt"
	"path/filepath"
	"testing"
)

func globOne(t testing.TB, pattern string) string {
	t.Helper()
	m, err := filepath.Glob(filepath.Join(sharedDir(t), pattern))
	if err != nil || len(m) == 0 {
		t.Skipf("no %s: %v", pattern, err)
	}
	return m[0]
}

// TestLocalsAsRecorded compares with WinDbg's "dv /i /t /V" in the frame
// KERNELBASE!ReadConsoleA+0x6b of the lab dump (record lab/locals.txt).
func TestLocalsAsRecorded(t *testing.T) {
	f := openTest(t, globOne(t, "kernelbase.pdb/*/kernelbase.pdb"))
	sym, ok := f.LookupGlobal("ReadConsoleA")
	if !ok {
		t.Fatal("no ReadConsoleA")
	}
	p, ok := f.Resolve(sym)
	if !ok {
		t.Fatal("no procedure ReadConsoleA")
	}
	body, err := p.Body()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"param h nowhere", "param buffer nowhere", "param n nowhere", "param read rsi", "param control rsp+0xb0", "local io rsp+0x50",
		"local msg rsp+0x60", "local s eax",
	}
	var got []string
	at := p.RVA + 0x6b
	for _, s := range body.Path(at) {
		for i := range s.Locals {
			l := &s.Locals[i]
			text := "local "
			if l.IsParam() {
				text = "param "
			}
			text += l.Name
			locs := l.At(at)
			if len(locs) == 0 {
				text += " nowhere"
			}
			for _, loc := range locs {
				text += " " + RegName(f.Machine(), loc.Reg)
				if loc.Kind == LocRegRel {
					text += fmt.Sprintf("%+#x", loc.Offset)
				}
			}
			got = append(got, text)
		}
	}
	diff(t, "variable", got, want)
}
