package symbols

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kdap/engine/pdb"
	"kdap/engine/symbols/undecorate"
)

// wording is what llvm-undname says in other words than Microsoft's library.
var wording = strings.NewReplacer("deletingdtor'", "deletingdestructor'", `extern"C"`, "")

// TestAgainstLLVM compares the declarations of all C++ publics of the samples
// with llvm-undname's, but for blanks and a few words.
func TestAgainstLLVM(t *testing.T) {
	tool, err := exec.LookPath("llvm-undname-16")
	if err != nil {
		t.Skip("llvm-undname-16 is not installed")
	}
	files, _ := filepath.Glob(filepath.Join(sharedDir(t), "samples", "*.pdb"))
	more, _ := filepath.Glob(filepath.Join(sharedDir(t), "samples", "*", "*.pdb"))
	var names []string
	for _, file := range append(files, more...) {
		p, err := pdb.Open(file)
		if err != nil {
			continue // one sample is damaged on purpose
		}
		for s := range p.Publics() {
			// llvm tells a conversion's type twice, and a literal's text.
			if strings.HasPrefix(s.Name, "?") && !strings.HasPrefix(s.Name, "??_C@") && !strings.HasPrefix(s.Name, "??B") {
				names = append(names, s.Name)
			}
		}
		_ = p.Close()
	}
	if len(names) == 0 {
		t.Skip("no samples with C++ names")
	}
	cmd := exec.Command(tool)
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	normal := func(s string) string { return wording.Replace(strings.ReplaceAll(s, " ", "")) }
	n := 0
	for block := range strings.SplitSeq(string(out), "\n\n") {
		raw, want, ok := strings.Cut(strings.TrimSpace(block), "\n")
		if !ok {
			continue
		}
		n++
		if got := undecorate.Full(raw); normal(got) != normal(want) {
			t.Errorf("%s\n\tgot  %s\n\twant %s", raw, got, want)
		}
	}
	if n < len(names)/2 {
		t.Errorf("%d of %d names compared", n, len(names))
	}
}
