package manual

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"kdap/internal/truth"
)

var code = regexp.MustCompile("`([^`]+)`")

// documented returns the words of the reference's list of commands: what
// stands in backquotes in the first column of its tables.
func documented(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(truth.Path(t, "reference", "commands", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "\n## Native commands\n")
	if !ok {
		t.Fatal("the list has another form than expected")
	}
	text, _, _ = strings.Cut(text, "\n## Detail files")
	var words []string
	for line := range strings.Lines(text) {
		row, ok := strings.CutPrefix(line, "| ")
		if !ok {
			continue
		}
		row = strings.ReplaceAll(row, `\|`, "\x00")
		first, _, _ := strings.Cut(row, " | ")
		for _, m := range code.FindAllStringSubmatch(first, -1) {
			w, _, _ := strings.Cut(strings.ReplaceAll(m[1], "\x00", "|"), " ")
			if notWord[w] {
				continue
			}
			w = strings.TrimSuffix(w, "…")
			words = append(words, w)
		}
	}
	if len(words) < 500 {
		t.Fatalf("%d words, expected more", len(words))
	}
	return words
}

// notWord is syntax and options, which are no commands.
var notWord = map[string]bool{";": true, "{": true, "${": true, "-v": true, "-show": true, "-hang": true, "~N": true, "~Ns": true, "Nk": true, "Nr": true}
