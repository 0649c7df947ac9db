package command

import (
	"fmt"
	"strings"
	"testing"

	"kdap/engine/dumptest"
)

// TestHeapWithHoles: a page of a heap that is not in the dump hides the blocks
// whose headers lie in it; the rest is shown, and a note names the place.
func TestHeapWithHoles(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{})
	p := m.AddProcess(dumptest.ProcessOptions{PPID: 4, Name: "holes.exe", Image: "svchost.exe"})
	h := p.NewHeap(dumptest.HeapOptions{})
	var users []uint64
	for range 60 {
		user := h.Alloc(0x200)
		p.Space.Write(user, make([]byte, 0x200))
		users = append(users, user)
	}
	d := m.Finish()
	gone := users[30] &^ 0xfff
	d.Drop(p.Space, gone)
	s := writtenSession(t, d)
	answer(s, fmt.Sprintf(".process /p %x", p.EPROCESS()))
	var out strings.Builder
	var notes []string
	err := s.Execute(t.Context(), fmt.Sprintf("!heap -a %x", h.VA()), Output{Out: &out, Note: func(n string) { notes = append(notes, n) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range users {
		entry := fmt.Sprintf("        %016x: ", user-16)
		if hidden := (user-8)&^0xfff == gone; strings.Contains(out.String(), entry) == hidden {
			t.Errorf("block %x: shown %v", user, !hidden)
		}
	}
	if !strings.Contains(strings.Join(notes, "\n"), fmt.Sprintf("heap %#x: segment %#x: block ", h.VA(), h.VA())) {
		t.Errorf("no note names the hole: %q", notes)
	}
}
