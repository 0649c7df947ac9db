package windows_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"kdap/engine/windows"
	"kdap/internal/truth"
)

// TestLabResources compares resources, requests and the deadlock with what the
// dump's independent writer laid down.
func TestLabResources(t *testing.T) {
	var want struct {
		Resources []struct {
			Resource, Owner                 string
			OwnerCount, Contention          uint64
			ExclusiveWaiters, SharedWaiters []string
		}
		Deadlock struct{ Threads []string }
		IRPs     []struct {
			IRP, IOCTL, Device, File, Thread string
			Major                            uint64
			StackCount, CurrentLocation      int64
		}
	}
	b, err := os.ReadFile(truth.Path(t, "dumps", "lab19041.json"))
	if err != nil {
		t.Skip(err)
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	sys := openLab(t).System
	var got []windows.Resource
	for r, err := range sys.Resources(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if len(got) != len(want.Resources) {
		t.Fatalf("%d resources, want %d", len(got), len(want.Resources))
	}
	for i, w := range want.Resources {
		g := got[i]
		text := fmt.Sprintf("%#x %v %d %v %v %v", g.Addr, g.Owners, g.Contention, hexes(g.ExclusiveWaiters), hexes(g.SharedWaiters), g.Errs)
		owner := []windows.ResourceOwner{{Thread: number(t, w.Owner), Count: w.OwnerCount}}
		expected := fmt.Sprintf("%s %v %d %v %v []", w.Resource, owner, w.Contention, w.ExclusiveWaiters, w.SharedWaiters)
		if text != expected {
			t.Errorf("got %s, want %s", text, expected)
		}
	}
	cycles := windows.WaitCycles(got)
	if len(cycles) != 1 || !slices.Equal(hexes(cycles[0]), want.Deadlock.Threads) {
		t.Errorf("deadlocks %x, want one of %v", cycles, want.Deadlock.Threads)
	}
	i := 0
	for r, err := range sys.Requests(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if i == len(want.IRPs) {
			t.Fatalf("more than %d requests", i)
		}
		w := want.IRPs[i]
		i++
		n, _ := r.StackCount()
		at, _ := r.CurrentLocation()
		thread, _ := r.Thread()
		l, ok, err := r.Current()
		if err != nil || !ok {
			t.Fatalf("%#x: no current location: %v", r.Addr(), err)
		}
		text := fmt.Sprintf("%#x %d %#x %#x %#x %#x %d %d", r.Addr(), l.Major, l.Args[2], l.Device, l.File, thread, n, at)
		expected := fmt.Sprintf("%s %d %s %s %s %s %d %d", w.IRP, w.Major, w.IOCTL, w.Device, w.File, w.Thread, w.StackCount, w.CurrentLocation)
		if text != expected {
			t.Errorf("got %s, want %s", text, expected)
		}
	}
	if i != len(want.IRPs) {
		t.Errorf("%d requests, want %d", i, len(want.IRPs))
	}
}

func number(t *testing.T, text string) (v uint64) {
	t.Helper()
	if _, err := fmt.Sscanf(text, "0x%x", &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func hexes(list []uint64) []string {
	out := []string{}
	for _, v := range list {
		out = append(out, fmt.Sprintf("%#x", v))
	}
	return out
}
