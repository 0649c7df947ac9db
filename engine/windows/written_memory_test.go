package windows_test

import (
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/engine/windows"
)

// TestWrittenMemory compares the count of pages and the memory manager's
// figures with what the dump writer was asked for.
func TestWrittenMemory(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{})
	m.SetPages(dumptest.PageCounts{
		Free: 41, Standby: 300, Modified: 77, ModifiedNoWrite: 3, Active: 3000, Transition: 60, Slist: 9, Bad: 2,
		DanglingCommit: 5, DanglingNoCommit: 14,
	})
	m.SetMemory(dumptest.MemoryCounters{
		Physical: 0xf9e, Available: 900, Modified: 77, NonPagedPoolNx: 123, KernelStacks: 31, SharedCommit: 7, Committed: 5000,
		SessionCommit: 11, DriverCommit: 13, PagingFiles: []dumptest.PagingFile{{Name: `\??\C:\pagefile.sys`, Size: 50, Free: 40, Minimum: 50, Maximum: 90}, {Size: 7}},
	})
	d := m.Finish()
	path, symbols := dumptest.WriteFile(t, d)
	target, err := engine.Open(t.Context(), path, engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	db, err := target.System.PFNDatabase()
	if err != nil {
		t.Fatal(err)
	}
	got, err := db.Count(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := windows.PageCount{
		Zeroed: uint64(d.Truth().Frames) - 3492, Free: 41, Standby: 300, Modified: 77, ModifiedNoWrite: 3, Active: 3000, Transition: 60,
		SlistTemp: 9, Bad: 2, DanglingCommit: 5, DanglingNoCommit: 14, StandbyByPriority: got.StandbyByPriority,
	}
	if got != want {
		t.Errorf("pages\n%+v, want\n%+v", got, want)
	}
	vm := target.System.VirtualMemory(t.Context())
	counters := map[string]uint64{}
	for _, c := range vm.Counters {
		if c.Err != nil {
			t.Errorf("%s: %v", c.Name, c.Err)
		}
		counters[c.Name] = c.Pages
	}
	for name, pages := range map[string]uint64{
		"Physical Memory": 0xf9e, "Available Pages": 900, "NonPagedPoolNx Usage": 123, "Kernel Stacks": 31, "Shared Commit": 7,
		"Session Commit": 11, "Sum System Commit": 31 + 7 + 11 + 13, "Committed pages": 5000,
	} {
		if counters[name] != pages {
			t.Errorf("%s: %d, want %d", name, counters[name], pages)
		}
	}
	if len(vm.Errs) > 0 || len(vm.PagingFiles) != 2 || vm.PagingFiles[0].Name != `\??\C:\pagefile.sys` || vm.PagingFiles[1].Size != 7 {
		t.Errorf("%+v %v", vm.PagingFiles, vm.Errs)
	}
	owners, err := target.System.PageOwners(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	uses, err := db.Usage(t.Context(), owners, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, tables := 0, uint64(0)
	for _, u := range uses {
		if u.ControlArea != 0 && u.Name != "" {
			files++
		}
		if u.Process.Addr() != 0 {
			tables += u.PageTables
		}
	}
	if files < 4 || tables < 20 {
		t.Errorf("%d files, %d page tables in %d rows", files, tables, len(uses))
	}
}
