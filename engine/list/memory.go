package list

import (
	"context"
	"iter"

	"kdap/engine/windows"
)

// Memory is the kind "memory": what the physical memory is used for, and what
// the memory manager counts.
type Memory struct {
	// Pages counts the pages by their list, as !memusage does; absent where the
	// PFN database cannot be read.
	Pages *PageCounts `json:"pages,omitempty"`
	// Counters are the figures of !vm, under its names.
	Counters    []Counter       `json:"counters,omitempty"`
	PagingFiles []PagingFile    `json:"pagingFiles,omitempty"`
	Processes   []ProcessMemory `json:"processes,omitempty"` // the largest commit first

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// PageCounts are numbers of pages.
type PageCounts struct {
	Zeroed            uint64   `json:"zeroed"`
	Free              uint64   `json:"free"`
	Standby           uint64   `json:"standby"`
	StandbyByPriority []uint64 `json:"standbyByPriority"` // from 0 to 7
	Modified          uint64   `json:"modified"`
	ModifiedNoWrite   uint64   `json:"modifiedNoWrite"`
	Active            uint64   `json:"active"`
	Transition        uint64   `json:"transition"` // read or written at this moment
	SlistTemp         uint64   `json:"slistTemp"`  // kept by the kernel for a moment
	Bad               uint64   `json:"bad"`
	Unknown           uint64   `json:"unknown"` // entries that cannot be read
	Total             uint64   `json:"total"`
	DanglingCommit    uint64   `json:"danglingYesCommit"` // active and charged, but no page table accounts for them
	DanglingNoCommit  uint64   `json:"danglingNoCommit"`  // the same, not charged
}

// A Counter is one figure of the memory manager.
type Counter struct {
	Name       string     `json:"name"`
	Pages      *uint64    `json:"pages,omitempty"` // absent where it cannot be read
	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// A PagingFile is one of the system's; the sizes are in pages.
type PagingFile struct {
	Address    Hex        `json:"address"`        // the _MMPAGING_FILE
	Name       string     `json:"name,omitempty"` // absent for the store of compressed memory
	Size       uint64     `json:"pages"`          // now
	Free       uint64     `json:"freePages"`
	Minimum    uint64     `json:"minimumPages"`
	Maximum    uint64     `json:"maximumPages"`
	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// ProcessMemory is what a process uses, in pages.
type ProcessMemory struct {
	PID        uint64  `json:"pid"`
	Name       string  `json:"name,omitempty"`
	Commit     uint64  `json:"commitPages"`
	Shared     uint64  `json:"sharedCommitPages"` // charged for sections that it shares
	Debt       uint64  `json:"commitDebtPages"`   // released commit that is still owed
	WorkingSet *uint64 `json:"workingSetPages,omitempty"`
	Private    *uint64 `json:"privatePages,omitempty"`

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// NewMemory reads the one object of the kind. What ended an enumeration early
// comes second.
func NewMemory(ctx context.Context, sys *windows.System, keep Filter) (Memory, []error) {
	var m Memory
	var errs []error
	db, err := sys.PFNDatabase()
	if err == nil {
		var c windows.PageCount
		if c, err = db.Count(ctx, nil); err == nil || c.Total() > 0 {
			m.Pages = newPageCounts(c)
		}
	}
	if err != nil {
		m.Unreadable.add("pages", err)
		errs = append(errs, err)
	}
	vm := sys.VirtualMemory(ctx)
	for _, c := range vm.Counters {
		e := Counter{Name: c.Name}
		e.Pages = read(&e.Unreadable, "pages", c.Pages, c.Err)
		m.Counters = append(m.Counters, e)
	}
	for _, f := range vm.PagingFiles {
		e := PagingFile{Address: Hex(f.Addr), Name: f.Name, Size: f.Size, Free: f.Free, Minimum: f.Minimum, Maximum: f.Maximum}
		if f.Err != nil {
			e.Unreadable.add("pages", f.Err)
		}
		m.PagingFiles = append(m.PagingFiles, e)
	}
	for _, p := range vm.Processes {
		if !keep.Process(p.Process) {
			continue
		}
		e := ProcessMemory{PID: p.PID, Name: p.Name, Commit: p.Commit, Shared: p.Shared, Debt: p.Debt}
		pages, err := p.Process.WorkingSetPages()
		e.WorkingSet = read(&e.Unreadable, "workingSetPages", pages, err)
		pages, err = p.Process.PrivatePages()
		e.Private = read(&e.Unreadable, "privatePages", pages, err)
		m.Processes = append(m.Processes, e)
	}
	return m, append(errs, vm.Errs...)
}

func newPageCounts(c windows.PageCount) *PageCounts {
	return &PageCounts{
		Zeroed: c.Zeroed, Free: c.Free, Standby: c.Standby, StandbyByPriority: c.StandbyByPriority[:],
		Modified: c.Modified, ModifiedNoWrite: c.ModifiedNoWrite, Active: c.Active, Transition: c.Transition,
		SlistTemp: c.SlistTemp, Bad: c.Bad, Unknown: c.Unknown, Total: c.Total(),
		DanglingCommit: c.DanglingCommit, DanglingNoCommit: c.DanglingNoCommit,
	}
}

func memoryEach(ctx context.Context, sys *windows.System, keep Filter) iter.Seq2[Memory, error] {
	return func(yield func(Memory, error) bool) {
		m, errs := NewMemory(ctx, sys, keep)
		if !yield(m, nil) {
			return
		}
		for _, err := range errs {
			if !yield(Memory{}, err) {
				return
			}
		}
	}
}
