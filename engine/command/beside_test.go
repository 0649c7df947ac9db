package command

import (
	"context"
	"strings"
	"sync"
	"testing"

	"kdap/engine/dumptest"
)

// Sessions on one target, which load and forget symbols, walk stacks and change
// their contexts at the same time, each answer as they do alone.
func TestSessionsBesideEachOther(t *testing.T) {
	dump, store := dumptest.WriteFile(t, dumptest.Small())
	lines := []string{
		".reload /f; lm; k",
		"!process 0 17",
		"!for_each_thread \"!thread @#Thread 16\"",
		"dx -r2 @$cursession.Processes",
		"!for_each_process \".process /p /r @#Process; lm u; !peb; dt nt!_PEB @$peb\"",
		".reload; x nt!*; .reload /f /user; ~*k; !analyze -v",
		"!handle 0 3 0; !vm; !heap -s; .for (r $t0=0; @$t0 < 50; r $t0=@$t0+1) { ?? @$t0 * 2; u @rip L3 }",
	}
	alone := map[string]string{}
	target := openWithDemoSymbols(t, dump, store)
	for _, line := range lines {
		alone[line] = answer(NewSession(target, Options{Record: true, DumpPath: dump}), line)
		if strings.TrimSpace(alone[line]) == "" {
			t.Errorf("%s: no answer", line)
		}
	}
	// Anew, so that what is read once is read by all at the same time.
	target = openWithDemoSymbols(t, dump, store)
	var all sync.WaitGroup
	for _, line := range lines {
		all.Go(func() {
			s := NewSession(target, Options{Record: true, DumpPath: dump})
			if got := answer(s, line); got != alone[line] {
				t.Errorf("%s: other than alone:\n%s\nalone:\n%s", line, got, alone[line])
			}
		})
	}
	// One leads the target to symbols of its own, another one is cancelled.
	all.Go(func() { answer(NewSession(target, Options{Record: true}), ".sympath "+store+"; .reload /f") })
	all.Go(func() {
		ctx, cancel := context.WithCancel(t.Context())
		var out cancelling = func() { cancel() }
		if err := NewSession(target, Options{}).Execute(ctx, "!process 0 7", Output{Out: out}); err == nil {
			t.Error("a command that was cancelled does not say so")
		}
	})
	all.Wait()
}

// cancelling is a writer that cancels what writes to it.
type cancelling func()

func (c cancelling) Write(p []byte) (int, error) {
	c()
	return len(p), nil
}
