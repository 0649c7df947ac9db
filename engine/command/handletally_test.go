package command

import (
	"context"
	"strings"
	"testing"

	"kdap/engine/dumptest"
	"kdap/engine/format"
)

// TestHandleTally: the writer tells how many handles of which type each
// process has.
func TestHandleTally(t *testing.T) {
	d := dumptest.Demo()
	s := laidSession(t, d)
	notes := func(line string) string {
		var all []string
		_ = s.Execute(context.Background(), line, Output{Out: &strings.Builder{}, Note: func(text string) { all = append(all, text) }})
		return strings.Join(all, "\n")
	}
	types, processes := map[string]int{}, 0
	for _, p := range d.Truth().Processes {
		own := map[string]int{}
		for _, h := range p.Handles {
			own[h.Type]++
			types[h.Type]++
		}
		if len(own) > 0 {
			processes++
			if got, want := notes("!handle 0 0 "+format.Hex16(p.EPROCESS)), "handles by type: "+typesText(own); !strings.Contains(got, want) {
				t.Errorf("%s: %q, want %q", p.Name, got, want)
			}
		}
	}
	got := notes("!handle 0 0 0")
	if !strings.Contains(got, "handles by type: "+typesText(types)) || strings.Count(got, " handles: ") != min(processes, most) {
		t.Errorf("all: %q", got)
	}
}
