package windows

import (
	"errors"
	"time"

	"kdap/engine/types"
)

// ProcessStats are the figures of a process that the kernel counts. Pages are
// of 4 KB. A figure that could not be read is zero, and Errs says which.
type ProcessStats struct {
	VadRoot, VadCount, CloneRoot                     uint64
	PrivatePages, ModifiedPages, LockedPages         uint64
	DeviceMap, Token                                 uint64
	Elapsed                                          time.Duration // since its creation; negative when the clock says so
	UserTime, KernelTime                             time.Duration
	PagedQuota, NonPagedQuota                        uint64 // bytes
	WorkingSet, MinimumWorkingSet, MaximumWorkingSet uint64 // pages
	PeakWorkingSet                                   uint64 // pages
	VirtualSize, PeakVirtualSize                     uint64 // bytes
	PageFaults                                       uint64
	MemoryPriority                                   uint64 // 0: background
	BasePriority                                     int64
	Commit                                           uint64 // pages
	DebugPort, Job                                   uint64

	Errs []error
}

// Stats reads the process's figures.
func (p Process) Stats() ProcessStats {
	var st ProcessStats
	get := func(o types.Object) uint64 {
		v, err := o.Uint()
		if err != nil {
			st.Errs = append(st.Errs, err)
		}
		return v
	}
	// Members that only some builds have are no error.
	maybe := func(o types.Object) uint64 {
		var missing *types.NoFieldError
		if errors.As(o.Err(), &missing) {
			return 0
		}
		return get(o)
	}
	e := p.obj
	st.VadRoot = get(e.FirstField("VadRoot.Root", "VadRoot.BalancedRoot.RightChild"))
	st.VadCount = maybe(e.FirstField("VadCount", "VadRoot.NumberGenericTableElements"))
	st.CloneRoot = maybe(e.FirstField("CloneRoot.Root", "CloneRoot"))
	st.PrivatePages = get(e.Field("NumberOfPrivatePages"))
	st.ModifiedPages = maybe(e.Field("ModifiedPageCount"))
	st.LockedPages = maybe(e.Field("NumberOfLockedPages"))
	st.DeviceMap = maybe(e.FirstField("DeviceMap.Value", "DeviceMap")) &^ 0xf
	st.Token = get(e.FirstField("Token.Value", "Token.Object")) &^ 0xf // _EX_FAST_REF: count in the low bits
	if now, err := p.sys.SystemTime(); err == nil {
		if created, err := e.Field("CreateTime.QuadPart").Uint(); err == nil {
			st.Elapsed = time.Duration(int64(now-created) * 100)
		}
	}
	tick := p.sys.TickLength()
	st.UserTime = time.Duration(get(e.Field("Pcb.UserTime"))) * tick
	st.KernelTime = time.Duration(get(e.Field("Pcb.KernelTime"))) * tick
	quota := e.FirstField("QuotaUsage", "ProcessQuotaUsage")
	st.NonPagedQuota = maybe(quota.Index(0))
	st.PagedQuota = maybe(quota.Index(1))
	st.WorkingSet, _ = p.WorkingSetPages()
	vm := func(name string) types.Object { return e.FirstField("Vm.Instance."+name, "Vm."+name) }
	st.MinimumWorkingSet = maybe(vm("MinimumWorkingSetSize"))
	st.MaximumWorkingSet = maybe(vm("MaximumWorkingSetSize"))
	st.PeakWorkingSet = maybe(vm("PeakWorkingSetSize"))
	st.PageFaults = maybe(vm("PageFaultCount"))
	st.MemoryPriority = maybe(vm("Flags.MemoryPriority"))
	st.VirtualSize = maybe(e.Field("VirtualSize"))
	st.PeakVirtualSize = maybe(e.Field("PeakVirtualSize"))
	base, err := e.Field("Pcb.BasePriority").Int()
	if err != nil {
		st.Errs = append(st.Errs, err)
	}
	st.BasePriority = base
	st.Commit = get(e.Field("CommitCharge"))
	st.DebugPort = maybe(e.Field("DebugPort"))
	st.Job = maybe(e.Field("Job"))
	return st
}
