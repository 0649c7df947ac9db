package windows

import (
	"context"
	"errors"
	"iter"

	"kdap/engine/types"
)

// ThreadDetails are the figures of a thread that debuggers show beside its
// state. One that could not be read is zero, and Errs says which.
type ThreadDetails struct {
	Win32Thread                     uint64
	SuspendCount, FreezeCount       uint64
	NextProcessor, IdealProcessor   uint64
	InitialStack, KernelStack       uint64
	StackBase, StackLimit, Callback uint64
	Priority, BasePriority          int64
	PriorityDecrement               int64
	IoPriority, PagePriority        uint64
	Impersonating                   bool
	ImpersonationToken, Level       uint64
	Errs                            []error
}

// Details reads the thread's figures.
func (t Thread) Details() ThreadDetails {
	var d ThreadDetails
	keep := func(v uint64, err error) uint64 {
		var missing *types.NoFieldError
		if err != nil && !errors.As(err, &missing) {
			d.Errs = append(d.Errs, err)
		}
		return v
	}
	get := func(o types.Object) uint64 { return keep(o.Uint()) }
	signed := func(o types.Object) int64 {
		v, err := o.Int()
		keep(0, err)
		return v
	}
	tcb := t.obj.Field("Tcb")
	d.Win32Thread = get(tcb.Field("Win32Thread"))
	d.SuspendCount = get(tcb.Field("SuspendCount"))
	d.FreezeCount = get(tcb.Field("FreezeCount"))
	d.NextProcessor = get(tcb.Field("NextProcessor"))
	d.IdealProcessor = get(tcb.FirstField("IdealProcessor", "UserIdealProcessor"))
	d.InitialStack = get(tcb.Field("InitialStack"))
	d.KernelStack = get(tcb.Field("KernelStack"))
	d.StackBase = get(tcb.Field("StackBase"))
	d.StackLimit = get(tcb.Field("StackLimit"))
	d.Callback = get(tcb.Field("CallbackStack"))
	d.Priority = signed(tcb.Field("Priority"))
	d.BasePriority = signed(tcb.Field("BasePriority"))
	d.PriorityDecrement = signed(tcb.Field("PriorityDecrement"))
	d.IoPriority = get(t.obj.Field("ThreadIoPriority"))
	d.PagePriority = get(t.obj.Field("ThreadPagePriority"))
	if d.Impersonating = get(t.obj.Field("ActiveImpersonationInfo")) != 0; d.Impersonating {
		security := t.obj.Field("ClientSecurity")
		d.ImpersonationToken = get(security.Field("ImpersonationToken")) &^ 7
		d.Level = get(security.Field("ImpersonationLevel"))
	}
	return d
}

// An IRP is the head of an I/O request packet.
type IRP struct {
	Addr       uint64
	Type, Size uint64
	Flags, MDL uint64
}

// IRPs yields the requests the thread has under way.
func (t Thread) IRPs(ctx context.Context) iter.Seq2[IRP, error] {
	return func(yield func(IRP, error) bool) {
		typ, err := t.sys.Type("_IRP")
		if err != nil {
			yield(IRP{}, err)
			return
		}
		for o, err := range types.ListEntries(t.obj.Field("IrpList"), typ, "ThreadListEntry") {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(IRP{}, err)
				return
			}
			irp := IRP{Addr: o.Addr()}
			var errs [4]error
			irp.Type, errs[0] = o.Field("Type").Uint()
			irp.Size, errs[1] = o.Field("Size").Uint()
			irp.Flags, errs[2] = o.Field("Flags").Uint()
			irp.MDL, errs[3] = o.Field("MdlAddress").Uint()
			if !yield(irp, errors.Join(errs[:]...)) {
				return
			}
		}
	}
}
