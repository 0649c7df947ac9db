package command

import (
	"fmt"
	"strings"
	"testing"

	"kdap/engine/dumptest"
)

// TestHeapSearches asks for lost blocks, values, pointers and damage on a heap
// whose blocks the test knows.
func TestHeapSearches(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{})
	p := m.AddProcess(dumptest.ProcessOptions{PPID: 4, Name: "lost.exe", Image: "svchost.exe"})
	p.AddThread(dumptest.ThreadOptions{Stack: mainStack})
	h := p.NewHeap(dumptest.HeapOptions{})
	kept, chained, lost, lostToo := h.Alloc(0x40), h.Alloc(0x48), h.Alloc(0x60), h.Alloc(0x60)
	p.Space.U64(p.DefaultHeap().Alloc(0x10), lost+1<<40) // no pointer
	root := p.Reserve(0x1000)
	p.Space.U64(root+0x20, kept)
	p.Space.U64(kept+8, chained+0x10) // into the middle
	p.Space.U64(chained, 0x1122334455667788)
	p.Space.U64(lost, lostToo) // each other's only friend
	p.Space.U64(lostToo, lost)
	p.Space.U32(lostToo+0x14, 0xfeedbeef)
	broken, after := h.Alloc(0x100), h.Alloc(0x100)
	p.Space.U64(root+0x28, broken)
	p.Space.U64(root+0x30, after)
	d := m.Finish()
	s := writtenSession(t, d)
	answer(s, fmt.Sprintf(".process /p %x", p.EPROCESS()))

	got := answer(s, "!heap -l")
	for _, lines := range []string{fmt.Sprintf("%016x  %016x  %016x", lost-16, lost, h.VA()), fmt.Sprintf("%016x  %016x  %016x", lostToo-16, lostToo, h.VA())} {
		if !strings.Contains(got, lines) {
			t.Errorf("!heap -l does not have %s:\n%s", lines, got)
		}
	}
	for _, user := range []uint64{kept, chained, broken, after} {
		if strings.Contains(got, fmt.Sprintf("  %016x  ", user)) {
			t.Errorf("!heap -l has the block %x, which is used:\n%s", user, got)
		}
	}
	for line, want := range map[string]string{
		"!heap -srch -q 1122334455667788":                 fmt.Sprintf("   %016x    00048 - (busy)", chained),
		"!heap -srch -d feedbeef":                         fmt.Sprintf("   %016x    00060 - (busy)", lostToo),
		fmt.Sprintf("!heap -x -v %x", kept):               fmt.Sprintf(" : %016x (%016x), \n", root+0x20, kept),
		fmt.Sprintf("!heap -i %x -h %x", kept-16, h.VA()): "Requested size     : 0x40 bytes (unused 0x10 bytes)\n",
		fmt.Sprintf("!heap -triage %x", h.VA()):           fmt.Sprintf("Heap %016x: no errors found\n", h.VA()),
		fmt.Sprintf("!heap -i %x", h.VA()):                fmt.Sprintf("Heap context set to the heap 0x%016x\n", h.VA()),
	} {
		if got := answer(s, line); !strings.Contains(got, want) {
			t.Errorf("%s: no %q in\n%s", line, want, got)
		}
	}
	// Somebody wrote beyond a block's end.
	p.Space.Write(after-8, []byte("AAAAAAAA"))
	s = writtenSession(t, d)
	answer(s, fmt.Sprintf(".process /p %x", p.EPROCESS()))
	got = answer(s, fmt.Sprintf("!heap -triage %x", h.VA()))
	for _, want := range []string{"HEAP ERROR DETECTED", fmt.Sprintf("Error address: %016x\n", after-16), fmt.Sprintf("Block before:  %016x (busy, 110 bytes)\n", broken-16)} {
		if !strings.Contains(got, want) {
			t.Errorf("!heap -triage: no %q in\n%s", want, got)
		}
	}
	if got := answer(s, fmt.Sprintf("!heap -a %x", h.VA())); !strings.Contains(got, fmt.Sprintf("%016x: 00070 . 00070 [101] - busy (60)", lostToo-16)) {
		t.Errorf("!heap -a does not show the good blocks:\n%s", got)
	}
}
