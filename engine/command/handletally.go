package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"kdap/engine/windows"
)

// A handleTally counts the handles that !handle went through: which types, and
// which processes have the most. A leak of handles shows in it.
type handleTally struct {
	types     map[string]int
	processes []processHandles
}

type processHandles struct {
	process windows.Process
	count   int
	types   map[string]int
}

// begin starts the count of a process.
func (t *handleTally) begin(p windows.Process) {
	t.processes = append(t.processes, processHandles{process: p, types: map[string]int{}})
}

func (t *handleTally) add(kind string) {
	t.types[kind]++
	if n := len(t.processes); n > 0 {
		t.processes[n-1].count++
		t.processes[n-1].types[kind]++
	}
}

// most is how many types and processes are told.
const most = 5

// typesText tells the most frequent types.
func typesText(types map[string]int) string {
	names := make([]string, 0, len(types))
	for name := range types {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(types[b], types[a]), strings.Compare(a, b))
	})
	parts := make([]string, 0, most)
	for i, name := range names {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more types", len(names)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", name, types[name]))
	}
	return strings.Join(parts, ", ")
}

// noteHandles tells what the handles are of, and who has them.
func (s *Session) noteHandles(ctx context.Context, t *handleTally) {
	if len(t.types) == 0 || ctx.Err() != nil {
		return
	}
	s.notef("handles by type: %s", visible(typesText(t.types)))
	if len(t.processes) < 2 {
		return
	}
	byCount := slices.Clone(t.processes)
	slices.SortStableFunc(byCount, func(a, b processHandles) int { return cmp.Compare(b.count, a.count) })
	for _, p := range byCount[:min(most, len(byCount))] {
		name, err := p.process.ImageName()
		pid, perr := p.process.PID()
		if err != nil || perr != nil || p.count == 0 {
			continue
		}
		s.notef("%s (Cid %04x): %d handles: %s", visible(name), pid, p.count, visible(typesText(p.types)))
	}
}
