package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestNotesAreCounted: what is said a thousand times is told a few times, with
// how often it was at the end.
func TestNotesAreCounted(t *testing.T) {
	var got []string
	f := newNoteFilter(func(text string) { got = append(got, text) })
	for i := range 1000 {
		f.add(fmt.Sprintf("list %#x: page not in the dump", i))
	}
	for range 1000 {
		f.add("the walk ended")
	}
	f.add("something else")
	if n := maxAlikeNotes + maxSameNotes + 1; len(got) != n {
		t.Errorf("%d notes at once, want %d", len(got), n)
	}
	f.end()
	end := got[len(got)-2:]
	if end[0] != "998 more like: the walk ended" || end[1] != "988 more like: list 0xc: page not in the dump" {
		t.Errorf("at the end: %q", end)
	}
	got = nil
	f = newNoteFilter(f.note)
	for i := range 100000 {
		f.add(strings.Repeat("a", i%5000) + " kind")
	}
	f.end()
	if len(got) > maxNotes+maxAlikeNotes+1 {
		t.Errorf("%d notes of many kinds", len(got))
	}
}

// TestFaultOfOurOwn: a fault in a command ends its line; the session goes on
// and is in nothing any more.
func TestFaultOfOurOwn(t *testing.T) {
	s := demoSession(t)
	process := s.scope.process.Addr()
	out := faultyWriter{at: "here"}
	err := s.Execute(context.Background(), `!for_each_process ".catch { .echo here }"`, Output{Out: &out})
	var p *Panic
	if !errors.As(err, &p) || len(p.Stack) == 0 || !strings.Contains(out.String(), "internal error in") {
		t.Errorf("%v, output %q", err, out.String())
	}
	if got := answer(s, ".echo b"); got != "b\n" {
		t.Errorf("afterwards: %q", got)
	}
	if n := len(s.interp.locals) + s.interp.loops + s.interp.catches + s.interp.nesting; n != 0 || s.scope.process.Addr() != process {
		t.Errorf("still inside: %+v, process %x", s.interp, s.scope.process.Addr())
	}
}

// A faultyWriter has a fault when it meets a text.
type faultyWriter struct {
	bytes.Buffer
	at string
}

func (w *faultyWriter) Write(p []byte) (int, error) {
	if string(p) == w.at+"\n" {
		panic("as planned")
	}
	return w.Buffer.Write(p)
}
