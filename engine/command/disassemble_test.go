package command

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kdap/engine"
	"kdap/internal/truth"
)

// TestRecordedCode replays the recorded sessions about code.
func TestRecordedCode(t *testing.T) {
	tests := []struct {
		record, dump string
		symbols      bool
		but          *regexp.Regexp // commands that differ, and why
	}{
		{"lab/disasm-u.txt", "lab19041", true, nil},
		// WinDbg takes the pointer that a thunk jumps through for code; a
		// warning stands within two lines.
		{"lab/disasm-uf.txt", "lab19041", true, regexp.MustCompile(`^uf .*(1712|SleepConditionVariableSRW|RtlUserThreadStart)$|^uf /c PotionShop!TendShop$`)},
		{"lab/disasm-current.txt", "lab19041", true, nil},
		{"lab/disasm-options.txt", "lab19041", true, nil},
		{"triage_x64/disasm.txt", "triage_x64", false, nil},
		{"triage_arm64/disasm.txt", "triage_arm64", false, nil},
		{"minidump_calc/disasm.txt", "minidump_calc", false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.record, func(t *testing.T) {
			replay(t, dumpSession(t, tt.dump, tt.symbols), tt.record, func(command string) bool {
				return tt.but == nil || !tt.but.MatchString(command)
			})
		})
	}
}

// TestRecordedMachines replays the recorded sessions on small minidumps that
// hold all shapes of instructions.
func TestRecordedMachines(t *testing.T) {
	tests := []struct {
		name string
		but  *regexp.Regexp // WinDbg takes other registers than the instruction names
	}{
		{"machine-x64", regexp.MustCompile(`^r rip=400690;`)},
		{"machine-x86", regexp.MustCompile(`^r eip=4004[23]0;`)},
		{"symbols-x64", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := truth.Path(t, "reference", "windbg", "disasm", tt.name+".dmp")
			symbols := truth.Path(t, "symbols")
			target, err := engine.Open(t.Context(), path, engine.Options{
				SymbolPath: symbols, ImagePath: symbols, CacheDir: filepath.Join(os.TempDir(), "kdap-test-cache"),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer target.Close()
			s := NewSession(target, Options{Record: true, DumpPath: path})
			replay(t, s, "disasm/"+tt.name+".txt", func(command string) bool {
				return tt.but == nil || !tt.but.MatchString(command)
			})
		})
	}
}

// TestThunk: the function behind a pointer is shown where WinDbg takes the
// pointer for code.
func TestThunk(t *testing.T) {
	s := labSession(t)
	answer(s, ".process /p /r 0xffffe387110b1080")
	got := answer(s, "uf PotionShop!SleepConditionVariableSRW")
	for _, want := range []string{
		"PotionShop!SleepConditionVariableSRW:\n", "\nKERNELBASE!SleepConditionVariableSRW:\n", "ret\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "Flow analysis was incomplete") {
		t.Errorf("incomplete:\n%s", got)
	}
}

// TestFunctionEntries replays .fnent: all but the debugger's own address.
func TestFunctionEntries(t *testing.T) {
	s := labSession(t)
	pointer := regexp.MustCompile(`(?m)^Debugger function entry \S+ for:$`)
	answer(s, ".process /p /r 0xffffe387110b1080")
	compared := 0
	for _, b := range recordBlocks(t, "lab/modules-info.txt") {
		if !strings.HasPrefix(b.command, ".fnent") || strings.Contains(b.command, "@") {
			continue
		}
		compared++
		got, want := pointer.ReplaceAllString(level(answer(s, b.command)), ""), pointer.ReplaceAllString(level(b.output), "")
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", b.command, got, want)
		}
	}
	if compared == 0 {
		t.Error("no command was compared")
	}
}
