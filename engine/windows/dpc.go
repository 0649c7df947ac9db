package windows

import (
	"context"
	"fmt"
	"iter"
	"math/bits"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A DPC is a deferred procedure call that waits in a processor's queue.
type DPC struct {
	Addr, Routine, Context uint64
	Threaded               bool
}

// maxDPCs bounds a queue of DPCs.
const maxDPCs = 1 << 16

// DPCs yields the calls that wait in the processor's queues, first the normal
// ones, then those for the DPC thread.
func (c Processor) DPCs() iter.Seq2[DPC, error] {
	return func(yield func(DPC, error) bool) {
		t, err := c.sys.Type("_KDPC")
		if err != nil {
			yield(DPC{}, err)
			return
		}
		for kind := range 2 {
			data := c.prcb.Field("DpcData").Index(kind)
			for addr, err := range c.dpcList(data, t) {
				d := DPC{Addr: addr, Threaded: kind == 1}
				if err == nil {
					o := c.sys.Struct("_KDPC", addr)
					if d.Routine, err = o.Field("DeferredRoutine").Uint(); err == nil {
						d.Context, err = o.Field("DeferredContext").Uint()
					}
				}
				if !yield(d, err) {
					return
				}
			}
		}
	}
}

// dpcList yields the addresses of a queue. It is a list of single links since
// Windows 8.1, of double ones before.
func (c Processor) dpcList(data types.Object, t *types.Type) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		link := t.Field("DpcListEntry")
		if link == nil {
			yield(0, &types.NoFieldError{Type: t.Name, Field: "DpcListEntry"})
			return
		}
		if data.Has("DpcListHead") {
			for o, err := range types.ListEntries(data.Field("DpcListHead"), t, "DpcListEntry") {
				if !yield(o.Addr(), err) {
					return
				}
			}
			return
		}
		next, err := data.Field("DpcList.ListHead.Next").Uint()
		seen := map[uint64]bool{}
		for err == nil && next != 0 {
			if seen[next] || len(seen) == maxDPCs {
				err = fmt.Errorf("cycle at %#x", next)
				break
			}
			seen[next] = true
			if !yield(next-link.Offset, nil) {
				return
			}
			next, err = memory.ReadUint(c.sys.Kernel(), next, 8)
		}
		if err != nil {
			yield(0, fmt.Errorf("DPC queue of processor %d: %w", c.number, err))
		}
	}
}

// A Timer is a timer that waits in a processor's table.
type Timer struct {
	Addr    uint64
	Kind    int    // row of the table, where it has several: 0 for high precision
	List    int    // of the table
	DueTime uint64 // interrupt time
	Period  uint64 // milliseconds, 0 for a timer that fires once
	DPC     uint64 // 0 for none
	Routine uint64 // of the DPC
	Thread  uint64 // whose wait the timer ends, 0 for none
}

// TimerTable returns the address of the processor's table of timers and how
// many kinds of lists it has.
func (c Processor) TimerTable() (addr uint64, kinds int, err error) {
	t := c.prcb.Field("TimerTable")
	lists := t.Field("TimerEntries")
	if err := lists.Err(); err != nil {
		return 0, 0, err
	}
	kinds = 1
	if e := lists.Type().Elem(); e != nil && e.Kind == types.Array && e.Size > 0 {
		kinds = int(min(lists.Type().Size/e.Size, 8))
	}
	return t.Addr(), kinds, nil
}

// Timers yields the timers of one kind in the processor's table, list by list.
func (c Processor) Timers(ctx context.Context, kind int) iter.Seq2[Timer, error] {
	return func(yield func(Timer, error) bool) {
		t, err := c.sys.Type("_KTIMER")
		if err != nil {
			yield(Timer{}, err)
			return
		}
		lists := c.prcb.Field("TimerTable.TimerEntries")
		if e := lists.Type(); e != nil && e.Elem() != nil && e.Elem().Kind == types.Array {
			lists = lists.Index(kind)
		}
		if err := lists.Err(); err != nil {
			yield(Timer{}, err)
			return
		}
		elem := lists.Type().Elem()
		if elem == nil || elem.Size == 0 {
			return
		}
		decode := c.sys.timerDecoder()
		for i := range int(min(lists.Type().Size/elem.Size, 4096)) {
			if err := ctx.Err(); err != nil {
				yield(Timer{}, err)
				return
			}
			head := lists.Index(i).Field("Entry")
			if first, err := head.Field("Flink").Uint(); err == nil && first == 0 {
				continue // a table that was never used
			}
			for o, err := range types.ListEntries(head, t, "TimerListEntry") {
				v := Timer{Addr: o.Addr(), Kind: kind, List: i}
				if err == nil {
					err = c.sys.readTimer(o, &v, decode)
				}
				if !yield(v, err) {
					return
				}
			}
		}
	}
}

func (s *System) readTimer(o types.Object, v *Timer, decode func(timer, dpc uint64) uint64) (err error) {
	if v.DueTime, err = o.Field("DueTime.QuadPart").Uint(); err != nil {
		return err
	}
	if v.Period, err = o.Field("Period").Uint(); err != nil {
		return err
	}
	dpc, err := o.Field("Dpc").Uint()
	if err != nil {
		return err
	}
	if v.DPC = decode(v.Addr, dpc); v.DPC != 0 {
		if routine, err := s.Struct("_KDPC", v.DPC).Field("DeferredRoutine").Uint(); err == nil {
			v.Routine = routine
		}
	}
	if t, err := s.Type("_KTHREAD"); err == nil {
		// Each thread has a timer of its own for waits with a time limit.
		if f := t.Field("Timer"); f != nil && v.Addr > f.Offset {
			if thread := s.Thread(v.Addr - f.Offset); thread.IsThread() {
				v.Thread = thread.Addr()
			}
		}
	}
	return nil
}

// timerDecoder returns what decodes _KTIMER.Dpc. Since Windows 7 the pointer is
// hidden behind nt!KiWaitNever, nt!KiWaitAlways and the timer's address; public
// memory analysis tools use the same steps.
func (s *System) timerDecoder() func(timer, dpc uint64) uint64 {
	never, err := s.GlobalUint("KiWaitNever", 8)
	always, aerr := s.GlobalUint("KiWaitAlways", 8)
	if err != nil || aerr != nil {
		return func(_, dpc uint64) uint64 { return dpc }
	}
	return func(timer, dpc uint64) uint64 {
		v := bits.RotateLeft64(dpc^never, int(never&0xff))
		return bits.ReverseBytes64(v^timer) ^ always
	}
}

// InterruptTime returns the time since the start that timers count by.
func (s *System) InterruptTime() (uint64, error) {
	return memory.ReadUint(s.kernel, sharedUserData+sharedInterrupt, 8)
}

// An APC is an asynchronous procedure call that waits in a thread's queue.
type APC struct {
	Addr, List              uint64
	StateIndex              uint64 // of the environment it is for
	User                    bool
	Type                    uint64
	Kernel, Rundown, Normal uint64 // routines
	Context, Arg1, Arg2     uint64
}

// APCs yields the calls that wait for the thread: those of its current process
// and, while it is attached to another, those of its own.
func (t Thread) APCs() iter.Seq2[APC, error] {
	return func(yield func(APC, error) bool) {
		typ, err := t.sys.Type("_KAPC")
		if err != nil {
			yield(APC{}, err)
			return
		}
		index, err := t.tcb("ApcStateIndex").Uint()
		if err != nil {
			yield(APC{}, err)
			return
		}
		states := []string{"ApcState"}
		if index != 0 {
			states = append(states, "SavedApcState")
		}
		for _, state := range states {
			for mode := range 2 {
				head := t.tcb(state + ".ApcListHead").Index(mode)
				if first, err := head.Field("Flink").Uint(); err == nil && first == 0 {
					continue // a thread that was not started
				}
				for o, err := range types.ListEntries(head, typ, "ApcListEntry") {
					a := APC{Addr: o.Addr(), List: head.Addr(), StateIndex: index, User: mode == 1}
					if err == nil {
						err = a.read(o)
					}
					if !yield(a, err) {
						return
					}
				}
			}
		}
	}
}

// APC reads the _KAPC at addr.
func (s *System) APC(addr uint64) (APC, error) {
	a := APC{Addr: addr}
	o := s.Struct("_KAPC", addr)
	mode, err := o.Field("ApcMode").Uint()
	if err != nil {
		return a, err
	}
	a.User = mode != 0
	return a, a.read(o)
}

func (a *APC) read(o types.Object) (err error) {
	for _, m := range []struct {
		to   *uint64
		name string
	}{
		{&a.Type, "Type"},
		{&a.Kernel, "KernelRoutine"},
		{&a.Rundown, "RundownRoutine"},
		{&a.Normal, "NormalRoutine"},
		{&a.Context, "NormalContext"},
		{&a.Arg1, "SystemArgument1"},
		{&a.Arg2, "SystemArgument2"},
	} {
		if *m.to, err = o.Field(m.name).Uint(); err != nil {
			return err
		}
	}
	return nil
}
