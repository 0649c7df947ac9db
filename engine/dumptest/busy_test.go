package dumptest

import "testing"

func TestBusy(t *testing.T) {
	load := Load{
		Pages: 0x4000, Processes: 10, Threads: 40, Drivers: 3, Handles: 1500, Leaked: 700, Modules: 12, Ranges: 50,
		Blocks: 3000, Keys: 1000, Open: 20, Names: 100, Requests: 8, Waiters: 20, Locks: 10,
	}
	truth := Busy(load).Truth()
	threads, handles, most := 0, 0, 0
	for _, p := range truth.Processes {
		threads += len(p.Threads)
		handles += len(p.Handles)
		most = max(most, len(p.Handles))
	}
	if threads < load.Threads || handles < load.Handles || most < load.Leaked {
		t.Errorf("%d threads, %d handles, %d of one process; wanted %+v", threads, handles, most, load)
	}
	keys := 0
	for _, h := range truth.Hives {
		keys += len(h.Keys)
	}
	if keys < load.Keys || len(truth.Drivers) < load.Drivers {
		t.Errorf("%d keys, %d drivers; wanted %+v", keys, len(truth.Drivers), load)
	}
}
