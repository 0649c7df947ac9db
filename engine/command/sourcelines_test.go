package command

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"kdap/internal/truth"
)

// TestRecordedSourceLines replays the recorded session about source lines. Its
// folder S:\src is made in the current folder, which takes a system that
// allows such names.
func TestRecordedSourceLines(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip(`S:\src cannot be made here`)
	}
	sources, err := filepath.Abs(truth.Path(t, "symbols", "src", "lab"))
	if err != nil {
		t.Fatal(err)
	}
	s := labSession(t)
	t.Chdir(t.TempDir())
	for _, link := range []struct{ to, name string }{{sources, `S:\src`}, {t.TempDir(), `S:\none`}} {
		if err := os.Symlink(link.to, link.name); err != nil {
			t.Fatal(err)
		}
	}
	but := regexp.MustCompile(`^\.process`) // a warning in a line of dots
	replay(t, s, "lab/source-lines.txt", func(command string) bool { return !but.MatchString(command) })
}
