package windows

import (
	"fmt"
	"testing"
)

func held(owner uint64, waiters ...uint64) Resource {
	return Resource{Owners: []ResourceOwner{{Thread: owner | 3, Count: 1}}, ExclusiveWaiters: waiters}
}

func TestWaitCycles(t *testing.T) {
	tests := []struct {
		name      string
		resources []Resource
		want      string
	}{
		{"none", []Resource{held(0x10, 0x20), held(0x20, 0x30)}, "[]"},
		{"two", []Resource{held(0x20, 0x10), held(0x10, 0x20)}, "[[10 20]]"},
		{"behind", []Resource{held(0x10, 0x30), held(0x20, 0x10), held(0x10, 0x20)}, "[[10 20]]"},
		{"itself", []Resource{held(0x10, 0x10)}, "[[10]]"},
		{"two circles", []Resource{held(0x10, 0x20), held(0x20, 0x10), held(0x40, 0x30), held(0x30, 0x40)}, "[[10 20] [30 40]]"},
	}
	for _, tt := range tests {
		if got := fmt.Sprintf("%x", WaitCycles(tt.resources)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestWaitCyclesDeep checks that a long chain of waits neither recurses nor runs forever.
func TestWaitCyclesDeep(t *testing.T) {
	var rs []Resource
	const n = 20_000
	for i := uint64(1); i < n; i++ {
		rs = append(rs, held(4*i, 4*(i+1)))
	}
	if got := WaitCycles(rs); got != nil {
		t.Errorf("%d circles in a chain", len(got))
	}
	rs = append(rs, held(4*n, 4))
	if got := WaitCycles(rs); len(got) != 1 || len(got[0]) != n {
		t.Errorf("%d circles in a ring", len(got))
	}
}

func TestQueuedLockOrder(t *testing.T) {
	at := map[uint64]int{0x10: 0, 0x20: 1, 0x30: 2, 0x40: 3}
	row := []QueuedLock{{Wait: -1}, {Owner: true}, {Wait: -1}, {Wait: -1}}
	orderWaiters(row, []uint64{0, 0x30, 0x10, 0}, at)
	got := ""
	for _, q := range row {
		got += "[" + q.String() + "]"
	}
	// Processor 3 waits for a lock whose queue does not have it.
	if got != "[2][O][1][C]" {
		t.Errorf("got %s", got)
	}
}
