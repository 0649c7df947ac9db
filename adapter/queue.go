package adapter

import (
	"slices"
	"sync"
)

// A queue holds requests until a worker takes them, in order. Putting never
// waits.
type queue struct {
	mu    sync.Mutex
	more  sync.Cond
	calls []*call
	ended bool
	done  chan struct{} // closed by finish
	once  sync.Once
}

func (q *queue) init() {
	q.more.L = &q.mu
	q.done = make(chan struct{})
}

func (q *queue) put(c *call) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls = append(q.calls, c)
	q.more.Signal()
}

// take waits for a request; false when the queue was closed and is empty.
func (q *queue) take() (*call, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.calls) == 0 {
		if q.ended {
			return nil, false
		}
		q.more.Wait()
	}
	c := q.calls[0]
	q.calls = slices.Delete(q.calls, 0, 1)
	return c, true
}

// remove takes a request back; false when a worker has it.
func (q *queue) remove(c *call) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.calls, c)
	if i < 0 {
		return false
	}
	q.calls = slices.Delete(q.calls, i, i+1)
	return true
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.more.Broadcast()
}

// finish tells whoever waits on done that the last request was answered.
func (q *queue) finish() { q.once.Do(func() { close(q.done) }) }
