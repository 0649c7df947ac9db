package list

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/windows"
)

// A Thread is an entry of the kind "threads".
type Thread struct {
	PID               *uint64      `json:"pid,omitempty"`
	TID               *uint64      `json:"tid,omitempty"`
	Process           Hex          `json:"process,omitzero"` // the owner's EPROCESS; absent in user minidumps
	ETHREAD           Hex          `json:"ethread,omitzero"`
	TEB               *Hex         `json:"teb,omitempty"`          // absent for kernel threads
	State             string       `json:"state,omitempty"`        // as _KTHREAD_STATE has it: "Waiting", "Running" ...
	WaitReason        string       `json:"waitReason,omitempty"`   // waiting threads
	WaitObjects       []WaitObject `json:"waitObjects,omitempty"`  // what it waits for
	MessageWait       *MessageWait `json:"messageWait,omitempty"`  // threads that wait for an answer
	IRPs              []Hex        `json:"irps,omitempty"`         // requests that are under way
	Priority          *int64       `json:"priority,omitempty"`     // now
	BasePriority      *int64       `json:"basePriority,omitempty"` // without boosts
	Created           *Time        `json:"created,omitempty"`
	KernelTime        *uint64      `json:"kernelTime,omitempty"` // clock interrupts, as the kernel counts
	UserTime          *uint64      `json:"userTime,omitempty"`   // clock interrupts
	ContextSwitches   *uint64      `json:"contextSwitches,omitempty"`
	CPU               *int         `json:"cpu,omitempty"`               // running threads
	StartAddress      *Hex         `json:"startAddress,omitempty"`      // where the kernel began it
	Win32StartAddress *Hex         `json:"win32StartAddress,omitempty"` // the program's own routine
	StartSymbol       string       `json:"startSymbol,omitempty"`       // at the latter
	Name              string       `json:"name,omitempty"`              // that the program gave it

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// A WaitObject is one object a thread waits for.
type WaitObject struct {
	Object Hex    `json:"object"`
	Type   string `json:"type"` // "SynchronizationEvent", "Mutant", "Thread" ...
	Name   string `json:"name,omitempty"`
	Owner  Hex    `json:"owner,omitzero"`  // the thread that holds a mutant
	Limit  int64  `json:"limit,omitempty"` // of a semaphore
}

// A MessageWait is a wait for the answer to an ALPC message.
type MessageWait struct {
	Message Hex `json:"message"`          // the ALPC message
	Port    Hex `json:"port,omitzero"`    // whose queue it is still in
	Process Hex `json:"process,omitzero"` // the port's owner
	Thread  Hex `json:"thread,omitzero"`  // that took the message
}

// Threads yields the threads of the processes that keep accepts, process by
// process in the order of the lists.
func Threads(ctx context.Context, sys *windows.System, keep Filter) iter.Seq2[Thread, error] {
	return func(yield func(Thread, error) bool) {
		for t, err := range AllThreads(ctx, sys, keep) {
			if err != nil {
				if !yield(Thread{}, err) {
					return
				}
				continue
			}
			if !yield(NewThread(ctx, t.Process, t.Thread), nil) {
				return
			}
		}
	}
}

// An OwnedThread is a thread with the process whose list has it.
type OwnedThread struct {
	Process windows.Process
	Thread  windows.Thread
}

// AllThreads yields the views behind Threads.
func AllThreads(ctx context.Context, sys *windows.System, keep Filter) iter.Seq2[OwnedThread, error] {
	return ofProcesses(AllProcesses(ctx, sys), keep, func(p windows.Process, yield func(OwnedThread, error) bool) bool {
		for t, err := range p.Threads(ctx) {
			if !yield(OwnedThread{p, t}, err) {
				return false
			}
		}
		return true
	})
}

// NewThread reads the values of one thread of process p.
func NewThread(ctx context.Context, p windows.Process, t windows.Thread) Thread {
	v := Thread{Process: Hex(p.Addr()), ETHREAD: Hex(t.Addr())}
	u := &v.Unreadable
	pid, err := p.PID()
	v.PID = read(u, "pid", pid, err)
	tid, err := t.TID()
	v.TID = read(u, "tid", tid, err)
	if teb, err := t.TEB(); err != nil || teb != 0 {
		v.TEB = readHex(u, "teb", teb, err)
	}
	v.readState(ctx, t)
	v.readRequests(ctx, t)
	n, err := t.Priority()
	v.Priority = read(u, "priority", n, err)
	n, err = t.BasePriority()
	v.BasePriority = read(u, "basePriority", n, err)
	created, err := t.Created()
	v.Created = readTime(u, "created", created, err)
	ticks, err := t.KernelTicks()
	v.KernelTime = read(u, "kernelTime", ticks, err)
	ticks, err = t.UserTicks()
	v.UserTime = read(u, "userTime", ticks, err)
	switches, err := t.ContextSwitches()
	v.ContextSwitches = read(u, "contextSwitches", switches, err)
	start, err := t.StartAddress()
	v.StartAddress = readHex(u, "startAddress", start, err)
	win32, err := t.Win32StartAddress()
	v.Win32StartAddress = readHex(u, "win32StartAddress", win32, err)
	if win32 == 0 {
		win32 = start
	}
	if win32 != 0 {
		v.StartSymbol = p.Modules(ctx).Name(ctx, win32)
	}
	name, err := t.Name()
	v.Name = readText(u, "name", name, err)
	return v
}

// readRequests reads the requests of the thread, where types tell how.
func (v *Thread) readRequests(ctx context.Context, t windows.Thread) {
	if _, err := t.System().Type("_IRP"); err != nil {
		return
	}
	for irp, err := range t.IRPs(ctx) {
		if err != nil {
			v.Unreadable.add("irps", err)
			return
		}
		v.IRPs = append(v.IRPs, Hex(irp.Addr))
	}
}

func (v *Thread) readState(ctx context.Context, t windows.Thread) {
	u := &v.Unreadable
	sys := t.System()
	state, err := t.State()
	if err != nil {
		u.add("state", err)
		return
	}
	v.State = orNumber(sys.StateName(state), state)
	switch state {
	case windows.StateRunning:
		cpu, ok := t.RunsOn(ctx)
		if ok {
			v.CPU = &cpu
		}
	case windows.StateWaiting:
		reason, err := t.WaitReason()
		if err != nil {
			u.add("waitReason", err)
		} else {
			v.WaitReason = orNumber(sys.WaitReasonName(reason), reason)
		}
	}
	if state == windows.StateRunning {
		return // its wait blocks are those of a wait long over
	}
	for w, err := range t.WaitObjects() {
		if err != nil {
			u.add("waitObjects", err)
			return
		}
		v.WaitObjects = append(v.WaitObjects, WaitObject{Hex(w.Addr), w.Type, w.Name, Hex(w.Owner), w.Limit})
	}
	w, waits, err := t.MessageWait()
	if err != nil {
		u.add("messageWait", err)
	}
	if waits {
		v.MessageWait = &MessageWait{Hex(w.Message), Hex(w.Port), Hex(w.Owner.Addr()), Hex(w.Server)}
	}
}

func orNumber(name string, n uint64) string {
	if name == "" {
		return fmt.Sprint(n)
	}
	return name
}
