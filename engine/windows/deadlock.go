package windows

import (
	"context"
	"errors"
	"strconv"
)

// VerifierDeadlock is what Driver Verifier's deadlock detection has recorded.
type VerifierDeadlock struct {
	Enabled            bool
	Resources, Threads uint64 // tracked
	Instigator         uint64 // the thread that closed the circle, 0 while there is none
	Participants       []DeadlockNode
}

// A DeadlockNode is one acquisition of a deadlock: a thread took a resource
// while it held that of the node before.
type DeadlockNode struct {
	Node     uint64
	Thread   uint64
	Resource uint64
	Type     string // "VfDeadlockMutex" …
}

// maxParticipants is the size of _VI_DEADLOCK_GLOBALS.Participant.
const maxParticipants = 32

// VerifierDeadlock reads the globals of Driver Verifier's deadlock detection.
func (s *System) VerifierDeadlock() (VerifierDeadlock, error) {
	var d VerifierDeadlock
	enabled, err := s.GlobalUint("ViDeadlockDetectionEnabled", 4)
	if err != nil || enabled == 0 {
		return d, err
	}
	globals, err := s.GlobalUint("ViDeadlockGlobals", 8)
	if err != nil || globals == 0 {
		return d, err
	}
	d.Enabled = true
	o := s.Struct("_VI_DEADLOCK_GLOBALS", globals)
	var errs [4]error
	d.Resources, errs[0] = o.Field("ResourceDatabaseCount").Uint()
	d.Threads, errs[1] = o.Field("ThreadDatabaseCount").Uint()
	d.Instigator, errs[2] = o.Field("Instigator").Uint()
	n, err := o.Field("NumberOfParticipants").Uint()
	errs[3] = err
	for i := range int(min(n, maxParticipants)) {
		node := o.Field("Participant").Index(i).Deref()
		p := DeadlockNode{Node: node.Addr()}
		p.Thread, _ = node.Field("ThreadEntry").Deref().Field("Thread").Uint()
		root := node.Field("Root").Deref()
		p.Resource, _ = root.Field("ResourceAddress").Uint()
		if kind, err := root.Field("Type").Uint(); err == nil {
			p.Type = s.enumName("_VI_DEADLOCK_RESOURCE_TYPE", kind)
		}
		d.Participants = append(d.Participants, p)
	}
	return d, errors.Join(errs[:]...)
}

// A QueuedLock says how one processor stands to a numbered queued spin lock.
type QueuedLock struct {
	Owner, Corrupt bool
	Wait           int // place in the queue of waiters, from 1; 0: does not wait
}

// String is the debugger's sign for the state.
func (q QueuedLock) String() string {
	switch {
	case q.Corrupt:
		return "C"
	case q.Owner:
		return "O"
	case q.Wait > 0:
		return strconv.Itoa(q.Wait)
	}
	return ""
}

// Low bits of _KSPIN_LOCK_QUEUE.Lock (LOCK_QUEUE_* of ntosp.h as debuggers use them).
const (
	lockQueueWait  = 1
	lockQueueOwner = 2
)

// QueuedLocks returns the state of the numbered queued spin locks: a row a
// lock, a column a processor.
func (s *System) QueuedLocks(ctx context.Context) ([][]QueuedLock, error) {
	var rows [][]QueuedLock
	var errs []error
	at := map[uint64]int{} // address of a queue entry → processor
	var next [][]uint64
	column := 0
	for cpu, err := range s.Processors(ctx) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		queue := cpu.prcb.Field("LockQueue")
		if err := queue.Err(); err != nil {
			return nil, err
		}
		count := int(min(queue.Type().Size/16, 64))
		for len(rows) < count {
			rows = append(rows, nil)
			next = append(next, nil)
		}
		for i := range count {
			for len(rows[i]) < column {
				rows[i], next[i] = append(rows[i], QueuedLock{}), append(next[i], 0)
			}
			e := queue.Index(i)
			lock, err := e.Field("Lock").Uint()
			link, lerr := e.Field("Next").Uint()
			if err := errors.Join(err, lerr); err != nil {
				errs = append(errs, err)
			}
			q := QueuedLock{Owner: lock&lockQueueOwner != 0}
			if lock&lockQueueWait != 0 {
				q.Wait = -1 // which place the owner's chain tells
			}
			q.Corrupt = q.Owner && q.Wait != 0
			rows[i], next[i] = append(rows[i], q), append(next[i], link)
			at[e.Addr()] = column
		}
		column++
	}
	for i := range rows {
		orderWaiters(rows[i], next[i], at)
	}
	return rows, errors.Join(errs...)
}

// orderWaiters numbers the waiters of a lock along the chain that begins at
// its owner. A waiter that no chain reaches stands for a corrupt lock.
func orderWaiters(row []QueuedLock, next []uint64, at map[uint64]int) {
	for owner := range row {
		if !row[owner].Owner {
			continue
		}
		place := 1
		for cpu, ok := at[next[owner]]; ok && cpu < len(row) && row[cpu].Wait == -1; cpu, ok = at[next[cpu]] {
			row[cpu].Wait = place
			place++
		}
	}
	for cpu := range row {
		if row[cpu].Wait == -1 {
			row[cpu].Wait, row[cpu].Corrupt = 0, true
		}
	}
}
