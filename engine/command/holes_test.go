package command

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kdap/internal/truth"
)

// documentedLines are the command lines of the manual's examples: every command
// of the console is among them.
func documentedLines(t testing.TB) []string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(truth.Root(t), "docs", "commands", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatal("no manual: ", err)
	}
	var lines []string
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(bytes.NewReader(b))
		for sc.Scan() {
			if _, line, ok := strings.Cut(sc.Text(), "kd> "); ok && !slices.Contains(lines, line) && !strings.HasPrefix(line, "q") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}
