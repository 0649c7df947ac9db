package windows

import (
	"fmt"
	"iter"
	"math/bits"

	"kdap/engine/types"
)

// A ReadyThread waits in a queue for a processor.
type ReadyThread struct {
	Thread   Thread
	Priority int
}

// A SharedQueue is a queue of ready threads that several processors serve.
type SharedQueue struct {
	sys *System
	obj types.Object
}

// Addr returns the address of the _KSHARED_READY_QUEUE.
func (q SharedQueue) Addr() uint64 { return q.obj.Addr() }

// Index returns the queue's number.
func (q SharedQueue) Index() (uint64, error) { return q.obj.Field("QueueIndex").Uint() }

// Affinity returns the processors of the group that serve the queue, as bits.
func (q SharedQueue) Affinity() (uint64, error) { return q.obj.Field("Affinity").Uint() }

// Threads yields the threads of the queue, the highest priority first.
func (q SharedQueue) Threads() iter.Seq2[ReadyThread, error] {
	return q.sys.readyThreads(q.obj, "ReadyListHead")
}

// SharedQueue returns the queue that the processor shares with others; false
// where the kernel has none (before Windows 10).
func (c Processor) SharedQueue() (SharedQueue, bool) {
	at, err := c.prcb.Field("SharedReadyQueue").Uint()
	if err != nil || at == 0 {
		return SharedQueue{}, false
	}
	return SharedQueue{c.sys, c.sys.Struct("_KSHARED_READY_QUEUE", at)}, true
}

// ReadyThreads yields the threads in the processor's own queues, the highest
// priority first.
func (c Processor) ReadyThreads() iter.Seq2[ReadyThread, error] {
	return c.sys.readyThreads(c.prcb, "DispatcherReadyListHead")
}

// readyThreads walks the 32 lists of an owner, those that ReadySummary says
// are not empty. A list that breaks off does not hide the others.
func (s *System) readyThreads(owner types.Object, lists string) iter.Seq2[ReadyThread, error] {
	return func(yield func(ReadyThread, error) bool) {
		summary, err := owner.Field("ReadySummary").Uint()
		if err != nil {
			yield(ReadyThread{}, err)
			return
		}
		t, err := s.Type("_KTHREAD")
		if err != nil {
			yield(ReadyThread{}, err)
			return
		}
		link := "WaitListEntry"
		if t.Field(link) == nil {
			yield(ReadyThread{}, &types.NoFieldError{Type: t.Name, Field: link})
			return
		}
		seen := map[uint64]bool{}
		for left := uint32(summary); left != 0; {
			n := bits.Len32(left) - 1
			left &^= 1 << n
			for obj, err := range types.ListEntries(owner.Field(lists).Index(n), t, link) {
				if err == nil && seen[obj.Addr()] {
					err = fmt.Errorf("thread %#x is in two ready queues", obj.Addr())
				}
				if err != nil {
					if !yield(ReadyThread{}, fmt.Errorf("ready threads at priority %d: %w", n, err)) {
						return
					}
					break
				}
				seen[obj.Addr()] = true
				if !yield(ReadyThread{s.Thread(obj.Addr()), n}, nil) {
					return
				}
			}
		}
	}
}

// LockQueue returns the state of the processor's 16 numbered queued spin locks:
// '.' free, 'O' owned by it, 'W' waited for.
func (c Processor) LockQueue() string {
	state := []byte("................")
	locks := c.prcb.Field("LockQueue")
	for i := range state {
		v, err := locks.Index(i + 1).Field("Lock").Uint() // number 0 is not used
		switch {
		case err != nil:
		case v&2 != 0:
			state[i] = 'O'
		case v&1 != 0:
			state[i] = 'W'
		}
	}
	return string(state)
}

// Idle reports whether the processor runs its idle thread and nothing is
// chosen to run next.
func (c Processor) Idle() bool {
	current, err := c.CurrentThread()
	idle, ierr := c.IdleThread()
	next, nerr := c.NextThread()
	return err == nil && ierr == nil && current == idle && (nerr != nil || next == 0)
}
