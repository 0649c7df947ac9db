package main

import (
	"bufio"
	"io"
	"sync"
	"time"
)

// A stream joins small writes, but holds none of them for longer than
// streamDelay: what a command has found is seen while it goes on.
type stream struct {
	mu      sync.Mutex
	out     *bufio.Writer
	pending bool // a flush is on its way
}

const streamDelay = 20 * time.Millisecond

func newStream(w io.Writer) *stream { return &stream{out: bufio.NewWriterSize(w, 1<<15)} }

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.pending {
		s.pending = true
		time.AfterFunc(streamDelay, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.pending = false
			_ = s.out.Flush() // the next write or Flush has the error too
		})
	}
	return s.out.Write(p)
}

// Flush writes what is still held.
func (s *stream) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Flush()
}
