package command

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kdap/internal/truth"
)

// investigation returns the commands of the leak story in the order of
// reference/transcripts.md, for a process of the reference dump, whose ntdll
// does not have the kernel's types.
func investigation(t testing.TB) []string {
	t.Helper()
	var lab struct {
		Processes []struct {
			Eprocess, Name string
			Threads        []struct{ Ethread, Teb string }
			Heaps          []struct{ Segments []struct{ Base string } }
		}
	}
	truth.JSON(t, &lab, "dumps", "lab19041.json")
	for _, p := range lab.Processes {
		if p.Name != "PotionShop.exe" {
			continue
		}
		script := []string{
			"!analyze -v", "!sysinfo cpuinfo", "!sysinfo machineid", "!cpuinfo", "!mex.ver", "!mex.computername",
			"!reg hivelist", `!reg querykey \REGISTRY\MACHINE\SYSTEM`, "!vm", "!memusage 0x08", "!process 0 0",
			"!process 0 0 " + p.Name, "!process 0 7 " + p.Name, `!for_each_process ".echo @#Process"`, "!mex.tlist",
			"!mex.commandline -a", ".process /r /p " + p.Eprocess, "!peb", "lm", "!process 0 2 " + p.Name,
		}
		for _, thread := range p.Threads {
			script = append(script, ".thread "+thread.Ethread+"; k", "!thread "+thread.Ethread,
				"dt nt!_ETHREAD "+thread.Ethread+" Tcb->Teb", "!teb "+thread.Teb)
		}
		script = append(script, "!heap", "!heap -a")
		for _, heap := range p.Heaps {
			for _, segment := range heap.Segments {
				script = append(script, "s -[1]b "+segment.Base+" L?1000 ff ee; db "+segment.Base)
			}
		}
		return script
	}
	t.Fatal("the truth has no PotionShop.exe")
	return nil
}

// TestInvestigation goes the whole way through the leak story in one session:
// every command answers, and the log holds what all of them printed.
func TestInvestigation(t *testing.T) {
	dir := t.TempDir()
	s := dumpSession(t, "lab19041", true)
	s.opts.OutputDir = dir
	var all bytes.Buffer
	run := func(line string) string {
		var out bytes.Buffer
		if err := s.Execute(t.Context(), line, Output{Out: &out}); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		return out.String()
	}
	run(".logopen story.log")
	for _, line := range investigation(t) {
		text := run(line)
		if strings.TrimSpace(text) == "" || strings.Contains(text, "error at '") || strings.Contains(text, "No export") || strings.Contains(text, "not found") {
			t.Errorf("%s answers:\n%s", line, text)
		}
		all.WriteString(text)
	}
	run(".logclose")
	log, err := os.ReadFile(filepath.Join(dir, "story.log"))
	if err != nil {
		t.Fatal(err)
	}
	// The log begins with .logopen's own line, ends with .logclose's, and has the commands between their answers.
	at := 0
	for line := range strings.Lines(all.String()) {
		i := strings.Index(string(log[at:]), line)
		if i < 0 {
			t.Fatalf("the log lacks %q", line)
		}
		at += i + len(line)
	}
}

// BenchmarkInvestigation measures the leak story as one script, and the
// longest time in which a command shows nothing yet.
func BenchmarkInvestigation(b *testing.B) {
	script := investigation(b)
	var longest time.Duration
	var slowest string
	for b.Loop() {
		s := dumpSession(b, "lab19041", true)
		for _, line := range script {
			out := &firstWrite{start: time.Now()}
			if err := s.Execute(context.Background(), line, Output{Out: out}); err != nil {
				b.Fatal(line, err)
			}
			if out.after > longest {
				longest, slowest = out.after, line
			}
		}
	}
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms-first-output")
	b.Logf("the last to show anything: %s, %v", slowest, longest)
}

// A firstWrite notes when the first output came.
type firstWrite struct {
	start time.Time
	after time.Duration
}

func (w *firstWrite) Write(p []byte) (int, error) {
	if w.after == 0 {
		w.after = time.Since(w.start)
	}
	return len(p), nil
}
