package command

import (
	"fmt"
	"strings"
	"testing"
)

// TestControlArea: the control area behind a mapped image names its file; what
// is none is refused.
func TestControlArea(t *testing.T) {
	s := labSession(t)
	vads := answer(s, ".process ffffe387110b1080; !vad")
	vad := ""
	for _, line := range strings.Split(vads, "\n") {
		if strings.Contains(line, `\Windows\System32\ntdll.dll`) {
			vad, _, _ = strings.Cut(line, " ")
		}
	}
	answer(s, ".process")
	got := answer(s, fmt.Sprintf("!ca @@c++(((nt!_MMVAD*)0x%s)->Subsection->ControlArea)", vad))
	for _, want := range []string{"\nControlArea  @ ffffe387", "Image File\n", "\n      \\Windows\\System32\\ntdll.dll\n", "\nSegment @ ", "\nSubsection 1 @ "} {
		if !strings.Contains(got, want) {
			t.Errorf("!ca lacks %q:\n%s", want, got)
		}
	}
	if got := answer(s, "!ca ffffe387110b1080"); !strings.HasSuffix(got, "is not a valid control area\n") {
		t.Errorf("a process is told to be a control area: %q", got)
	}
}

// TestProcessorSets: every processor is in a node and has its row.
func TestProcessorSets(t *testing.T) {
	s := labSession(t)
	numa := answer(s, "!numa")
	if !strings.Contains(numa, "    Number of Processors : 4\n") || strings.Count(numa, "\n        Processor ") != 4 {
		t.Errorf("!numa:\n%s", numa)
	}
	smt := answer(s, "!smt")
	for i, apic := range []int{0, 1, 2, 3} {
		if !strings.Contains(smt, fmt.Sprintf("\n%3d ffff8d80", i)) || !strings.Contains(smt, fmt.Sprintf(") 0x%08x\n", apic)) {
			t.Errorf("!smt lacks processor %d:\n%s", i, smt)
		}
	}
}
