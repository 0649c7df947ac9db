package windows

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A Thread is a view over one _ETHREAD.
type Thread struct {
	sys *System
	obj types.Object
}

// Thread returns the view over the _ETHREAD at addr; IsThread tells whether it is one.
func (s *System) Thread(addr uint64) Thread {
	return Thread{sys: s, obj: s.Struct("_ETHREAD", addr)}
}

// Thread states, _KTHREAD_STATE of the kernel's public types.
const (
	StateInitialized = 0
	StateReady       = 1
	StateRunning     = 2
	StateStandby     = 3
	StateTerminated  = 4
	StateWaiting     = 5
)

// IsThread reports whether the object's dispatcher header is a thread's.
func (t Thread) IsThread() bool {
	v, err := t.DispatcherType()
	return err == nil && v == dispatcherThread
}

// DispatcherType returns the type byte of the object's dispatcher header.
func (t Thread) DispatcherType() (uint64, error) {
	v, err := t.tcb("Header.Type").Uint()
	if err != nil && t.obj.Err() != nil {
		v, err = memory.ReadUint(t.sys.kernel, t.Addr(), 1) // it begins the object in all builds
	}
	return v & 0x7f, err
}

func (t Thread) tcb(path string) types.Object { return t.obj.Field("Tcb").Field(path) }

// Addr returns the address of the _ETHREAD.
func (t Thread) Addr() uint64 { return t.obj.Addr() }

// Object returns the _ETHREAD itself.
func (t Thread) Object() types.Object { return t.obj }

// System returns the system the thread belongs to.
func (t Thread) System() *System { return t.sys }

// TID returns the thread id.
func (t Thread) TID() (uint64, error) { return t.obj.Field("Cid.UniqueThread").Uint() }

// PID returns the id of the owning process, as the thread has it.
func (t Thread) PID() (uint64, error) { return t.obj.Field("Cid.UniqueProcess").Uint() }

// Process returns the owning process.
func (t Thread) Process() (Process, error) {
	addr, err := t.tcb("Process").Uint()
	if err != nil {
		return Process{}, fmt.Errorf("owner of thread %#x: %w", t.Addr(), err)
	}
	if idle, err := t.sys.IdleProcess(); err == nil && idle.Addr() == addr {
		return idle, nil
	}
	return t.sys.Process(addr), nil
}

// AttachedProcess returns the process whose address space the thread runs in,
// which differs from its owner while it is attached to another.
func (t Thread) AttachedProcess() (Process, error) {
	addr, err := t.sys.member(t.obj, "Tcb.ApcState.Process", t.sys.offsets().KThreadApcProcess, 8)
	if err != nil {
		return Process{}, fmt.Errorf("process of thread %#x: %w", t.Addr(), err)
	}
	return t.sys.Process(addr), nil
}

// TEB returns the address of the thread environment block, 0 for kernel threads.
func (t Thread) TEB() (uint64, error) {
	return t.sys.member(t.obj, "Tcb.Teb", t.sys.offsets().KThreadTeb, 8)
}

// State returns the scheduling state, one of the State constants.
func (t Thread) State() (uint64, error) {
	return t.sys.member(t.obj, "Tcb.State", t.sys.offsets().KThreadState, 1)
}

// stateNames are the kernel's _KTHREAD_STATE, for use without symbols.
var stateNames = []string{
	"Initialized", "Ready", "Running", "Standby", "Terminated", "Waiting", "Transition", "DeferredReady", "GateWait",
}

// StateName spells a state as the kernel's _KTHREAD_STATE does.
func (s *System) StateName(state uint64) string {
	if name := s.enumName("_KTHREAD_STATE", state); name != "" || state >= uint64(len(stateNames)) {
		return name
	}
	return stateNames[state]
}

// WaitReason returns why the thread waits, a _KWAIT_REASON.
func (t Thread) WaitReason() (uint64, error) {
	return t.sys.member(t.obj, "Tcb.WaitReason", t.sys.offsets().KThreadWaitReason, 1)
}

// WaitReasonName spells a reason as the kernel's _KWAIT_REASON does.
func (s *System) WaitReasonName(reason uint64) string { return s.enumName("_KWAIT_REASON", reason) }

// WaitMode returns 0 for a wait in kernel mode, 1 for user mode.
func (t Thread) WaitMode() (uint64, error) { return t.tcb("WaitMode").Uint() }

// Alertable reports whether an APC may end the wait.
func (t Thread) Alertable() (bool, error) {
	v, err := t.tcb("Alertable").Uint()
	return v != 0, err
}

// Priority and BasePriority return the scheduling priorities, 0 to 31.
func (t Thread) Priority() (int64, error) { return t.tcb("Priority").Int() }

// BasePriority returns the priority before boosts.
func (t Thread) BasePriority() (int64, error) { return t.tcb("BasePriority").Int() }

// Created returns when the thread was created, UTC.
func (t Thread) Created() (time.Time, error) { return fileTime(t.obj.Field("CreateTime.QuadPart")) }

// UserTicks and KernelTicks return processor time in clock interrupts of
// System.TickLength each.
func (t Thread) UserTicks() (uint64, error) { return t.tcb("UserTime").Uint() }

// KernelTicks returns the time spent in kernel mode, in clock interrupts.
func (t Thread) KernelTicks() (uint64, error) { return t.tcb("KernelTime").Uint() }

// ContextSwitches returns how often the thread was switched to.
func (t Thread) ContextSwitches() (uint64, error) { return t.tcb("ContextSwitches").Uint() }

// WaitTicks returns the tick count at which the wait began.
func (t Thread) WaitTicks() (uint64, error) { return t.tcb("WaitTime").Uint() }

// StartAddress returns where the thread began: a system routine for kernel
// threads, the loader's for user threads.
func (t Thread) StartAddress() (uint64, error) { return t.obj.Field("StartAddress").Uint() }

// Win32StartAddress returns the routine the program gave.
func (t Thread) Win32StartAddress() (uint64, error) {
	return t.obj.Field("Win32StartAddress").Uint()
}

// CPU returns the processor the thread runs on or last ran on. Since Windows 10
// the top bit of the word says whether it waits in a shared queue.
func (t Thread) CPU() (uint64, error) {
	return t.obj.Field("Tcb").FirstField("NextProcessorNumber", "NextProcessor").Uint()
}

// RunsOn returns the number of the processor that runs the thread.
func (t Thread) RunsOn(ctx context.Context) (int, bool) {
	c, ok, _ := t.runningOn(ctx)
	return c.number, ok
}

// KernelStack returns the saved stack pointer of a thread that does not run.
func (t Thread) KernelStack() (uint64, error) {
	return t.sys.member(t.obj, "Tcb.KernelStack", t.sys.offsets().KThreadKernelStack, 8)
}

// InitialStack returns the top of the kernel stack's usable part.
func (t Thread) InitialStack() (uint64, error) {
	return t.sys.member(t.obj, "Tcb.InitialStack", t.sys.offsets().KThreadInitialStack, 8)
}

// StackBounds returns the kernel stack's limit and base.
func (t Thread) StackBounds() (limit, base uint64, err error) {
	if base, err = t.tcb("StackBase").Uint(); err != nil {
		return 0, 0, err
	}
	limit, err = t.tcb("StackLimit").Uint()
	return limit, base, err
}

// StackResident reports whether the kernel stack is in memory. Builds without
// the bit keep all stacks resident or are told by the read that fails.
func (t Thread) StackResident() (bool, error) {
	v, err := t.tcb("KernelStackResident").Uint()
	var missing *types.NoFieldError
	if errors.As(err, &missing) {
		return true, nil
	}
	return v != 0, err
}

// Name returns the thread's description, "" if it was given none. The member
// came with Windows 10 1607.
func (t Thread) Name() (string, error) {
	name := t.obj.Field("ThreadName")
	var missing *types.NoFieldError
	if errors.As(name.Err(), &missing) {
		return "", nil
	}
	s, err := name.Deref().UnicodeString()
	if errors.Is(err, types.ErrNull) {
		return "", nil
	}
	return s, err
}

// A WaitObject is one dispatcher object a thread waits for.
type WaitObject struct {
	Addr  uint64
	Type  string // "SynchronizationEvent", "Mutant", "Thread" …
	Name  string // its name in the object manager, "" without one
	Owner uint64 // mutants: the owning _ETHREAD, 0 when free
	Limit int64  // semaphores
}

// maxWaitBlocks is the kernel's limit of objects in one wait (MAXIMUM_WAIT_OBJECTS).
const maxWaitBlocks = 64

// WaitObjects yields the objects of the thread's wait blocks. Those of a thread
// whose wait is over, but that has not run yet, are the last wait's.
func (t Thread) WaitObjects() iter.Seq2[WaitObject, error] {
	return func(yield func(WaitObject, error) bool) {
		i := 0
		for block := range t.waitBlocks {
			addr, err := block.Field("Object").Uint()
			if errors.Is(err, types.ErrNull) {
				return // no wait blocks at all
			}
			if err != nil {
				yield(WaitObject{}, fmt.Errorf("wait block %d of thread %#x: %w", i, t.Addr(), err))
				return
			}
			if !yield(t.sys.WaitObject(addr), nil) {
				return
			}
			i++
		}
	}
}

// waitBlocks yields the thread's wait blocks: an array since Windows 8, whose
// number is counted; before that a ring of them.
func (t Thread) waitBlocks(yield func(types.Object) bool) {
	list := t.tcb("WaitBlockList")
	count, err := t.tcb("WaitBlockCount").Uint()
	var missing *types.NoFieldError
	if !errors.As(err, &missing) {
		if err != nil {
			yield(types.Failed(err))
			return
		}
		for i := range min(count, maxWaitBlocks) {
			if !yield(list.Index(int(i))) {
				return
			}
		}
		return
	}
	first := list.Deref()
	block := first
	for range maxWaitBlocks + 1 { // and the one of the timeout
		if !yield(block) {
			return
		}
		block = block.Field("NextWaitBlock").Deref()
		if block.Addr() == first.Addr() || errors.Is(block.Err(), types.ErrNull) {
			return
		}
	}
}
