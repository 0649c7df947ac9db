package list

import (
	"fmt"
	"testing"

	"kdap/internal/truth"
)

// memoryTruth is the part of lab19041.json about address ranges and pages.
type memoryTruth struct {
	Processes []struct {
		Name     string
		PID      uint64
		VadCount int
		Vads     []struct {
			Start, End, Kind, Protection, Path, Vad string
			Commit                                  uint64
		}
		Numbers struct{ WorkingSet, PrivatePages, Commit uint64 }
	}
	PFN struct {
		Memusage          map[string]uint64
		StandbyByPriority map[string]uint64 `json:"standby_by_priority"`
		VM                []struct {
			Label string
			Pages uint64
		}
		PagingFiles []struct {
			VA, Name                      string
			Pages, Free, Minimum, Maximum uint64
		} `json:"paging_files"`
	}
}

func readMemoryTruth(t *testing.T) (v memoryTruth) {
	t.Helper()
	truth.JSON(t, &v, "dumps", "lab19041.json")
	return v
}

// protections are the truth's short forms.
var protections = map[string]string{"ro": "READONLY", "rw": "READWRITE", "wcx": "EXECUTE_WRITECOPY"}

func TestLabVADs(t *testing.T) {
	want := readMemoryTruth(t)
	sys := openLab(t, "lab19041.dmp", truth.Path(t, "symbols"))
	byPID := map[uint64]map[string]VAD{}
	for _, v := range collect(t, VADs(t.Context(), sys, Filter{}), nil) {
		if byPID[deref(v.PID)] == nil {
			byPID[deref(v.PID)] = map[string]VAD{}
		}
		byPID[deref(v.PID)][v.VAD.String()] = v
	}
	for _, p := range want.Processes {
		got := byPID[p.PID]
		equal(t, p.Name+" VADs", len(got), p.VadCount)
		for _, w := range p.Vads {
			g, what := got[w.Vad], fmt.Sprintf("%s VAD %s ", p.Name, w.Vad)
			equal(t, what+"start", g.Start.String(), w.Start)
			equal(t, what+"end", g.End.String(), w.End)
			equal(t, what+"kind", string(g.Kind), w.Kind)
			equal(t, what+"protection", g.Protection, protections[w.Protection])
			equal(t, what+"commit", deref(g.Commit), w.Commit)
			equal(t, what+"file", g.File, w.Path)
			equal(t, what+"unreadable", len(g.Unreadable), 0)
		}
	}
}

func TestLabMemory(t *testing.T) {
	want := readMemoryTruth(t)
	sys := openLab(t, "lab19041.dmp", truth.Path(t, "symbols"))
	m, errs := NewMemory(t.Context(), sys, Filter{})
	for _, err := range errs {
		t.Error(err)
	}
	p := *m.Pages
	for name, got := range map[string]uint64{
		"Zeroed": p.Zeroed, "Free": p.Free, "Standby": p.Standby, "Modified": p.Modified, "ModifiedNoWrite": p.ModifiedNoWrite,
		"Active/Valid": p.Active, "Transition": p.Transition, "SLIST/Temp": p.SlistTemp, "Bad": p.Bad, "Unknown": p.Unknown,
		"TOTAL": p.Total, "Dangling Yes Commit": p.DanglingCommit, "Dangling No Commit": p.DanglingNoCommit,
	} {
		equal(t, name, got, want.PFN.Memusage[name])
	}
	for i, got := range p.StandbyByPriority {
		equal(t, fmt.Sprint("standby ", i), got, want.PFN.StandbyByPriority[fmt.Sprint(i)])
	}
	equal(t, "counters", len(m.Counters), len(want.PFN.VM))
	for i, w := range want.PFN.VM {
		if i < len(m.Counters) {
			equal(t, "counter", m.Counters[i].Name, w.Label)
			equal(t, w.Label, deref(m.Counters[i].Pages), w.Pages)
		}
	}
	equal(t, "paging files", len(m.PagingFiles), len(want.PFN.PagingFiles))
	for i, w := range want.PFN.PagingFiles {
		g := m.PagingFiles[i]
		equal(t, "paging file", g.Address.String()+g.Name, w.VA+w.Name)
		equal(t, w.Name, [4]uint64{g.Size, g.Free, g.Minimum, g.Maximum}, [4]uint64{w.Pages, w.Free, w.Minimum, w.Maximum})
	}
	byPID := map[uint64]ProcessMemory{}
	for i, g := range m.Processes {
		byPID[g.PID] = g
		if i > 0 && g.Commit > m.Processes[i-1].Commit {
			t.Errorf("process %d is not in its place", g.PID)
		}
	}
	for _, w := range want.Processes[1:] { // the idle process is in no list
		g := byPID[w.PID]
		equal(t, w.Name, [3]uint64{g.Commit, deref(g.WorkingSet), deref(g.Private)}, [3]uint64{w.Numbers.Commit, w.Numbers.WorkingSet, w.Numbers.PrivatePages})
	}
}
