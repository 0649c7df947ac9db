package analyze

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"kdap/engine/windows"
)

// A Wait is a thread that waits for others.
type Wait struct {
	Thread uint64
	Kind   string // what it waits for: "Resource", "Mutant", "Fast mutex", "Thread", "Critical section"
	Object uint64
	Owners []uint64 // threads that can end the wait
	// Guessed: that the thread waits for this object was found on its stack.
	Guessed bool
}

// A Chain is threads that wait for each other in turn: each but the last has
// the wait that the next one can end. The last of a deadlock is the first again.
type Chain struct {
	Waits    []Wait
	End      uint64 // the thread that all wait for and that waits for none of what is known
	Deadlock bool
}

// A Hang tells who waits for whom.
type Hang struct {
	Waits  map[uint64]Wait // by thread
	Chains []Chain         // the deadlocks first, then the longest
	// Blocked is how many threads wait for a thread, directly or not.
	Blocked map[uint64]int
	Errs    []error
}

// maxChain bounds the threads of a chain.
const maxChain = 1 << 12

// FindHang looks for threads that wait for what other threads hold: executive
// resources, mutants, fast mutexes, critical sections, and threads themselves.
func FindHang(ctx context.Context, sys *windows.System) *Hang {
	h := &Hang{Waits: map[uint64]Wait{}, Blocked: map[uint64]int{}}
	h.resources(ctx, sys)
	for p, err := range sys.Processes(ctx) {
		if err != nil {
			h.Errs = append(h.Errs, err)
			continue
		}
		h.process(ctx, sys, p)
		if err := ctx.Err(); err != nil {
			h.Errs = append(h.Errs, err)
			return h
		}
	}
	h.link()
	return h
}

func (h *Hang) add(w Wait) {
	if _, known := h.Waits[w.Thread]; !known && len(w.Owners) > 0 {
		h.Waits[w.Thread] = w
	}
}

func (h *Hang) resources(ctx context.Context, sys *windows.System) {
	for r, err := range sys.Resources(ctx) {
		if err != nil {
			h.Errs = append(h.Errs, err)
			return
		}
		var owners []uint64
		for _, o := range r.Owners {
			owners = append(owners, o.ThreadAddr())
		}
		for _, list := range [][]uint64{r.ExclusiveWaiters, r.SharedWaiters} {
			for _, t := range list {
				h.add(Wait{Thread: t, Kind: "Resource", Object: r.Addr, Owners: owners})
			}
		}
	}
}

// process adds the waits of a process's threads.
func (h *Hang) process(ctx context.Context, sys *windows.System, p windows.Process) {
	var sections *sectionFinder
	for t, err := range p.Threads(ctx) {
		if err != nil {
			h.Errs = append(h.Errs, err)
			return
		}
		if state, err := t.State(); err != nil || state != windows.StateWaiting {
			continue
		}
		if w, ok := waitOf(sys, t); ok {
			h.add(w)
			continue
		}
		if _, known := h.Waits[t.Addr()]; known || !waitsByID(t) {
			continue
		}
		if sections == nil {
			sections = newSectionFinder(ctx, p)
		}
		if w, ok := sections.find(ctx, t); ok {
			h.add(w)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// waitOf returns the wait of a thread for one object that has an owner.
func waitOf(sys *windows.System, t windows.Thread) (Wait, bool) {
	var objects []windows.WaitObject
	for o, err := range t.WaitObjects() {
		if err != nil {
			return Wait{}, false
		}
		objects = append(objects, o)
	}
	if len(objects) != 1 {
		return Wait{}, false // which of several would end the wait is not known
	}
	o := objects[0]
	w := Wait{Thread: t.Addr(), Object: o.Addr, Kind: o.Type}
	switch {
	case o.Owner != 0:
		w.Owners = []uint64{o.Owner}
	case o.Type == "Thread" && o.Addr != t.Addr():
		w.Owners = []uint64{o.Addr}
	default:
		if !waitsFor(t, "WrFastMutex", reasonFastMutex) && !waitsFor(t, "WrGuardedMutex", reasonGuardedMutex) {
			return Wait{}, false
		}
		owner, at, ok := fastMutexOwner(sys, o.Addr)
		if !ok {
			return Wait{}, false
		}
		w.Kind, w.Object, w.Owners = "Fast mutex", at, []uint64{owner}
	}
	return w, true
}

// Wait reasons (_KWAIT_REASON of the kernel's public types), for use without them.
const (
	reasonFastMutex    = 34
	reasonGuardedMutex = 35
	reasonAlertByID    = 37
)

func waitsByID(t windows.Thread) bool { return waitsFor(t, "WrAlertByThreadId", reasonAlertByID) }

// waitsFor tells whether a thread waits for a reason, by its name where the
// kernel's symbols have it.
func waitsFor(t windows.Thread, name string, number uint64) bool {
	reason, err := t.WaitReason()
	if err != nil {
		return false
	}
	if known := t.System().WaitReasonName(reason); known != "" {
		return known == name
	}
	return reason == number
}

// fastMutexOwner reads the owner of the _FAST_MUTEX that holds an event.
func fastMutexOwner(sys *windows.System, event uint64) (owner, at uint64, ok bool) {
	t, err := sys.Type("_FAST_MUTEX")
	if err != nil {
		return 0, 0, false
	}
	f := t.Field("Event")
	if f == nil {
		return 0, 0, false
	}
	at = event - f.Offset
	owner, err = sys.Struct("_FAST_MUTEX", at).Field("Owner").Uint()
	owner &^= 3
	return owner, at, err == nil && owner != 0 && sys.Thread(owner).IsThread()
}

// link makes chains of the waits. A chain begins with a thread that nobody
// waits for, or is a circle.
func (h *Hang) link() {
	waited := map[uint64]bool{}
	for _, w := range h.Waits {
		for _, o := range w.Owners {
			waited[o] = true
		}
	}
	threads := make([]uint64, 0, len(h.Waits))
	for t := range h.Waits {
		threads = append(threads, t)
	}
	slices.Sort(threads)
	inCircle := map[uint64]bool{}
	for _, t := range threads {
		c := h.follow(t)
		for _, b := range h.behind(t) {
			h.Blocked[b]++
		}
		if c.circle() && !inCircle[t] {
			for _, w := range c.Waits {
				inCircle[w.Thread] = true
			}
			h.Chains = append(h.Chains, c)
		}
	}
	for _, t := range threads {
		if !waited[t] {
			h.Chains = append(h.Chains, h.follow(t))
		}
	}
	slices.SortStableFunc(h.Chains, func(a, b Chain) int {
		if a.circle() != b.circle() {
			return boolOrder(a.circle())
		}
		return cmp.Compare(len(b.Waits), len(a.Waits))
	})
}

func boolOrder(first bool) int {
	if first {
		return -1
	}
	return 1
}

// circle tells whether the chain itself is the deadlock, not a way into one.
func (c Chain) circle() bool { return c.Deadlock && c.End == c.Waits[0].Thread }

// follow goes from a thread to whom it waits for, in turn.
func (h *Hang) follow(t uint64) Chain {
	var c Chain
	seen := map[uint64]bool{}
	for len(c.Waits) < maxChain {
		w, waits := h.Waits[t]
		if !waits || seen[t] {
			c.End, c.Deadlock = t, seen[t]
			return c
		}
		seen[t] = true
		c.Waits = append(c.Waits, w)
		t = h.next(w, seen)
	}
	c.End = t
	return c
}

// next chooses among several owners one that waits itself.
func (h *Hang) next(w Wait, seen map[uint64]bool) uint64 {
	for _, o := range w.Owners {
		if _, waits := h.Waits[o]; waits && seen[o] {
			return o
		}
	}
	for _, o := range w.Owners {
		if _, waits := h.Waits[o]; waits {
			return o
		}
	}
	return w.Owners[0]
}

// behind returns all threads that a thread waits for, directly or not.
func (h *Hang) behind(t uint64) []uint64 {
	seen := map[uint64]bool{t: true}
	var all []uint64
	todo := []uint64{t}
	for len(todo) > 0 && len(all) < maxChain {
		w, ok := h.Waits[todo[0]]
		todo = todo[1:]
		if !ok {
			continue
		}
		for _, o := range w.Owners {
			if !seen[o] {
				seen[o] = true
				all, todo = append(all, o), append(todo, o)
			}
		}
	}
	return all
}

// Worst returns the thread that most others wait for and that waits for none
// itself; of deadlocks their first thread. 0 when nobody waits.
func (h *Hang) Worst() uint64 {
	worst, most := uint64(0), 0
	for _, c := range h.Chains {
		if c.circle() {
			return c.End
		}
		if n := h.Blocked[c.End]; n > most {
			worst, most = c.End, n
		}
	}
	return worst
}

// String tells what a wait is for.
func (w Wait) String() string { return fmt.Sprintf("%s %016x", w.Kind, w.Object) }
