package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// A progress shows how far long work has come, on a terminal only, and not
// before the work has taken half a second.
type progress struct {
	w       io.Writer
	started time.Time
	last    time.Time
	shown   bool
}

const (
	progressDelay    = 500 * time.Millisecond
	progressInterval = 100 * time.Millisecond
)

func newProgress(f *os.File) *progress {
	p := &progress{started: time.Now()}
	if term.IsTerminal(int(f.Fd())) {
		p.w = f
	}
	return p
}

func (p *progress) update(done, total uint64) {
	now := time.Now()
	if p.w == nil || now.Sub(p.started) < progressDelay || now.Sub(p.last) < progressInterval {
		return
	}
	p.last, p.shown = now, true
	if total == 0 {
		fmt.Fprintf(p.w, "\runpacking %d MB", done>>20)
		return
	}
	fmt.Fprintf(p.w, "\runpacking %d of %d MB", done>>20, total>>20)
}

func (p *progress) done() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
