package windows

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A Resource is what an _ERESOURCE, the kernel's reader-writer lock, says.
type Resource struct {
	Addr       uint64
	Exclusive  bool
	Owners     []ResourceOwner
	Contention uint64

	NumberOfSharedWaiters, NumberOfExclusiveWaiters uint64
	SharedWaiters, ExclusiveWaiters                 []uint64 // threads, as far as they were found

	Errs []error // what could not be read
}

// A ResourceOwner is one owner of a resource.
type ResourceOwner struct {
	Thread uint64 // as the kernel keeps it: its low two bits are not part of the address
	Count  uint64
}

// ThreadAddr returns the address of the owning thread.
func (o ResourceOwner) ThreadAddr() uint64 { return o.Thread &^ 3 }

// Held reports whether somebody owns the resource.
func (r Resource) Held() bool { return len(r.Owners) > 0 }

// Bounds of a resource: owners and waiters are threads.
const (
	maxOwners  = 1 << 14
	maxWaiters = 1 << 14
)

// resourceOwnedExclusive is the bit of _ERESOURCE.Flag (ex.h of the public WDK
// documentation: ResourceOwnedExclusive).
const resourceOwnedExclusive = 0x80

// Resources yields the resources on nt!ExpSystemResourcesList.
func (s *System) Resources(ctx context.Context) iter.Seq2[Resource, error] {
	return func(yield func(Resource, error) bool) {
		t, err := s.Type("_ERESOURCE")
		if err != nil {
			yield(Resource{}, err)
			return
		}
		finder := &waiterFinder{sys: s, ctx: ctx}
		for o, err := range types.ListEntries(s.Global("ExpSystemResourcesList", "_LIST_ENTRY"), t, "SystemResourcesList") {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Resource{}, fmt.Errorf("resources: %w", err))
				return
			}
			if !yield(s.readResource(o, finder), nil) {
				return
			}
		}
	}
}

// Resource reads the _ERESOURCE at addr.
func (s *System) Resource(ctx context.Context, addr uint64) (Resource, error) {
	o := s.Struct("_ERESOURCE", addr)
	// Its neighbours in the list know it.
	next, err := o.Field("SystemResourcesList.Flink").Uint()
	if err != nil {
		return Resource{}, err
	}
	if back, err := memory.ReadUint(s.Kernel(), next+8, 8); err != nil || back != addr {
		return Resource{}, errors.Join(fmt.Errorf("%#x is no resource", addr), err)
	}
	return s.readResource(o, &waiterFinder{sys: s, ctx: ctx}), nil
}

func (s *System) readResource(o types.Object, finder *waiterFinder) Resource {
	r := Resource{Addr: o.Addr()}
	get := func(path string) uint64 {
		v, err := o.Field(path).Uint()
		if err != nil {
			r.Errs = append(r.Errs, err)
		}
		return v
	}
	r.Exclusive = get("Flag")&resourceOwnedExclusive != 0
	r.Contention = get("ContentionCount")
	r.NumberOfSharedWaiters = get("NumberOfSharedWaiters")
	r.NumberOfExclusiveWaiters = get("NumberOfExclusiveWaiters")
	if get("ActiveCount") != 0 {
		r.readOwners(o)
	}
	wait := func(field string, n uint64) []uint64 {
		if n == 0 {
			return nil
		}
		threads, err := finder.waiters(o.Field(field), n)
		if err != nil {
			r.Errs = append(r.Errs, fmt.Errorf("%s: %w", field, err))
		}
		return threads
	}
	r.SharedWaiters = wait("SharedWaiters", r.NumberOfSharedWaiters)
	r.ExclusiveWaiters = wait("ExclusiveWaiters", r.NumberOfExclusiveWaiters)
	return r
}

// readOwners reads the owner in the resource itself and those of its table,
// whose first entry holds only the table's size.
func (r *Resource) readOwners(o types.Object) {
	add := func(e types.Object) bool {
		thread, err := e.Field("OwnerThread").Uint()
		count, cerr := e.Field("OwnerCount").Uint()
		if err := errors.Join(err, cerr); err != nil {
			r.Errs = append(r.Errs, err)
			return false
		}
		if thread != 0 && count != 0 {
			r.Owners = append(r.Owners, ResourceOwner{thread, count})
		}
		return true
	}
	add(o.Field("OwnerEntry"))
	table := o.Field("OwnerTable")
	if at, err := table.Uint(); err != nil || at == 0 {
		return
	}
	size, err := table.Deref().Field("TableSize").Uint()
	if err != nil {
		r.Errs = append(r.Errs, err)
		return
	}
	for i := 1; i < int(min(size, maxOwners)); i++ {
		if !add(table.Index(i)) {
			return
		}
	}
}

// A waiterFinder finds the threads that wait for resources.
type waiterFinder struct {
	sys    *System
	ctx    context.Context
	stacks []threadStack
}

type threadStack struct{ limit, base, thread uint64 }

// waiters returns the threads behind a member SharedWaiters or
// ExclusiveWaiters. Before Windows 8 it is a semaphore or event that they wait
// for; since then it leads to a structure on the stack of each waiter
// (_KWAIT_CHAIN_ENTRY, where symbols have it), and in any case the stack tells
// whose it is.
func (f *waiterFinder) waiters(member types.Object, n uint64) ([]uint64, error) {
	head, err := member.Uint()
	if err != nil || head == 0 {
		return nil, err
	}
	if e := member.Type().Elem(); e != nil && e.Has("Header") {
		return f.blockedOn(member.Deref().Field("Header.WaitListHead"))
	}
	var found []uint64
	seen := map[uint64]bool{}
	for at := head; at != 0 && !seen[at] && uint64(len(found)) < min(n, maxWaiters); {
		seen[at] = true
		thread, err := f.waiterAt(at)
		if err != nil {
			return found, err
		}
		found = append(found, thread)
		if at, err = memory.ReadUint(f.sys.Kernel(), at, 8); err != nil {
			return found, err
		}
	}
	return found, nil
}

// blockedOn returns the threads whose wait blocks hang on a dispatcher object.
func (f *waiterFinder) blockedOn(head types.Object) ([]uint64, error) {
	t, err := f.sys.Type("_KWAIT_BLOCK")
	if err != nil {
		return nil, err
	}
	var found []uint64
	for b, err := range types.ListEntries(head, t, "WaitListEntry") {
		if err != nil {
			return found, err
		}
		thread, err := b.Field("Thread").Uint()
		if err != nil {
			return found, err
		}
		if found = append(found, thread); len(found) == maxWaiters {
			break
		}
	}
	return found, nil
}

func (f *waiterFinder) waiterAt(at uint64) (uint64, error) {
	if e := f.sys.Struct("_KWAIT_CHAIN_ENTRY", at).Field("Thread"); e.Err() == nil {
		if thread, err := e.Uint(); err == nil && thread != 0 && f.sys.Thread(thread).IsThread() {
			return thread, nil
		}
	}
	for _, st := range f.threadStacks() {
		if at >= st.limit && at < st.base {
			return st.thread, nil
		}
	}
	return 0, fmt.Errorf("the waiter at %#x is on no thread's stack", at)
}

func (f *waiterFinder) threadStacks() []threadStack {
	if f.stacks != nil {
		return f.stacks
	}
	f.stacks = []threadStack{}
	for p, err := range f.sys.Processes(f.ctx) {
		if err != nil {
			continue
		}
		for t, err := range p.Threads(f.ctx) {
			if err != nil {
				break
			}
			if limit, base, err := t.StackBounds(); err == nil {
				f.stacks = append(f.stacks, threadStack{limit, base, t.Addr()})
			}
		}
	}
	return f.stacks
}

// WaitCycles returns the circles among threads that hold resources and wait
// for others: deadlocks. Each begins with its smallest thread address.
func WaitCycles(resources []Resource) [][]uint64 {
	waitsFor := map[uint64][]uint64{} // thread → owners of what it waits for
	for _, r := range resources {
		for _, list := range [][]uint64{r.ExclusiveWaiters, r.SharedWaiters} {
			for _, w := range list {
				for _, o := range r.Owners {
					waitsFor[w] = append(waitsFor[w], o.ThreadAddr())
				}
			}
		}
	}
	var cycles [][]uint64
	done := map[uint64]bool{}
	for _, r := range resources {
		for _, o := range r.Owners {
			if c := cycleFrom(o.ThreadAddr(), waitsFor, done); c != nil {
				cycles = append(cycles, c)
			}
		}
	}
	return cycles
}

// cycleFrom follows the waits from a thread, depth first, until they close.
func cycleFrom(start uint64, waitsFor map[uint64][]uint64, done map[uint64]bool) []uint64 {
	var path []uint64
	on := map[uint64]int{}
	type step struct {
		thread uint64
		next   int
	}
	stack := []step{{start, 0}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.next == 0 {
			if at, ok := on[top.thread]; ok {
				cycle := path[at:]
				for _, t := range path {
					done[t] = true
				}
				return rotated(cycle)
			}
			if done[top.thread] {
				stack = stack[:len(stack)-1]
				continue
			}
			on[top.thread] = len(path)
			path = append(path, top.thread)
		}
		if top.next < len(waitsFor[top.thread]) {
			next := waitsFor[top.thread][top.next]
			top.next++
			stack = append(stack, step{next, 0})
			continue
		}
		done[top.thread] = true
		delete(on, top.thread)
		if len(path) > 0 && path[len(path)-1] == top.thread {
			path = path[:len(path)-1]
		}
		stack = stack[:len(stack)-1]
	}
	return nil
}

// rotated returns the cycle beginning with its smallest element.
func rotated(cycle []uint64) []uint64 {
	least := 0
	for i, v := range cycle {
		if v < cycle[least] {
			least = i
		}
	}
	return append(append([]uint64{}, cycle[least:]...), cycle[:least]...)
}
