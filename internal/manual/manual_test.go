package manual

import (
	"path/filepath"
	"strings"
	"testing"

	"kdap/docs"
	"kdap/engine/command"
	"kdap/internal/truth"
)

// TestCurrent checks that the examples, the syntax and the index are what the
// code gives now: "go run ./docs/gen" brings them up to date.
func TestCurrent(t *testing.T) {
	files, err := Generate(t.Context(), filepath.Join(truth.Root(t), "docs", "commands"), nil)
	if err != nil {
		t.Fatal(err)
	}
	root := truth.Root(t)
	page, err := ListFile(filepath.Join(root, "docs", "list.md"), filepath.Join(root, "engine", "list"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, page) {
		if f.Old != f.New {
			t.Errorf("%s is not current (run: go run ./docs/gen): %s", filepath.Base(f.Path), firstDifference(f.Old, f.New))
		}
	}
}

// refused are the examples that are there to show how a command fails, or why it
// does nothing here.
var refused = map[string]string{
	"!drivers":                "drivers.md",            // never does more
	".exptr 0":                "exception-pointers.md", // no process of the demo left one
	"!errrec nt":              "errrec.md",             // the same
	"!blackboxbsd":            "blackbox.md",           // the demo has none
	"!dbgprint":               "dbgprint.md",           // its kernel has no such buffer
	".fiber":                  "fiber.md",              // no thread of the demo runs one
	"!token ffffc58f410101b0": "security.md",           // the demo's tokens are bare
}

// TestExamplesWork fails for an example that shows only a failure, as one does
// whose address is not what it was.
func TestExamplesWork(t *testing.T) {
	files, err := Generate(t.Context(), filepath.Join(truth.Root(t), "docs", "commands"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, line := range f.Failed {
			if page := filepath.Base(f.Path); refused[line] != page {
				t.Errorf("%s: the example %q fails", page, line)
			}
		}
	}
}

func firstDifference(old, new string) string {
	a, b := strings.Split(old, "\n"), strings.Split(new, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "has " + a[i] + "\nwant " + b[i]
		}
	}
	return "one is longer"
}

func TestEveryCommandHasAPage(t *testing.T) {
	if missing := Missing(docs.Pages()); len(missing) > 0 {
		t.Errorf("no page in docs/commands for: %s", strings.Join(missing, " "))
	}
	for _, c := range command.All() {
		if c.Short == "" {
			t.Errorf("%s has no Short", c.Names[0])
		}
	}
}

// TestPages checks what a person writes: every page has an example or says why
// not, tells the differences, and its links go somewhere.
func TestPages(t *testing.T) {
	files := map[string]bool{docs.Index: true}
	for _, p := range docs.Pages() {
		files[p.File] = true
	}
	seen := map[string]string{}
	for _, p := range docs.Pages() {
		if p.Section("Example") == "" {
			t.Errorf("%s has no section Example", p.File)
		}
		for _, lost := range []string{"has invalid page directories", "type - context unchanged"} {
			if strings.Contains(p.Section("Example"), lost) {
				t.Errorf("%s: an address in the example is not the demo's any more", p.File)
			}
		}
		if p.Section(differences) == "" {
			t.Errorf("%s has no section %s", p.File, differences)
		}
		for _, w := range p.Words {
			if seen[w] != "" {
				t.Errorf("%s is on %s and on %s", w, seen[w], p.File)
			}
			seen[w] = p.File
		}
		for _, part := range strings.Split(p.Text, "](")[1:] {
			target, _, _ := strings.Cut(part, ")")
			target, _, _ = strings.Cut(target, "#")
			if strings.HasSuffix(target, ".md") && !strings.Contains(target, "/") && !files[target] {
				t.Errorf("%s links to %s, which is not there", p.File, target)
			}
		}
	}
}

// TestIndexIsWhole compares with a list of all commands of WinDbg's
// documentation: each stands in the index, and those that are said to be
// missing are not known.
func TestIndexIsWhole(t *testing.T) {
	text := indexText(docs.Pages())
	for _, w := range documented(t) {
		if !strings.Contains(text, codes([]string{strings.TrimSuffix(w, ".*")})) && !strings.Contains(text, codes([]string{w})) {
			t.Errorf("%s has no state in the index", w)
		}
	}
	for _, s := range subjects() {
		for _, w := range s.words {
			if command.Known(w) {
				t.Errorf("%s is said to be missing", w)
			}
		}
	}
}

// TestSpellings: each of them is the command's that it is listed with.
func TestSpellings(t *testing.T) {
	found := 0
	for _, c := range command.All() {
		for _, w := range spellings(c) {
			found++
			if !command.Known(w) {
				t.Errorf("%s is not known", w)
			}
		}
	}
	if want := len(strings.Fields(spellingList)); found == 0 || found > want {
		t.Errorf("%d spellings of %d words", found, want)
	}
}
