package profile

import "kdap/engine/types"

// waitReasons are the enumerators of _KWAIT_REASON from 0 on. New ones were
// added at the end only; the value of an enum's row is how many a family has.
//
// Source: KWAIT_REASON of the Windows Driver Kit's wdm.h.
var waitReasons = []string{
	"Executive", "FreePage", "PageIn", "PoolAllocation", "DelayExecution", "Suspended", "UserRequest",
	"WrExecutive", "WrFreePage", "WrPageIn", "WrPoolAllocation", "WrDelayExecution", "WrSuspended", "WrUserRequest",
	"WrEventPair", "WrQueue", "WrLpcReceive", "WrLpcReply", "WrVirtualMemory", "WrPageOut", "WrRendezvous",
	"WrKeyedEvent", "WrTerminated", "WrProcessInSwap", "WrCpuRateControl", "WrCalloutStack", "WrKernel",
	"WrResource", "WrPushLock", "WrMutex", "WrQuantumEnd", "WrDispatchInt", "WrPreempted", "WrYieldExecution",
	"WrFastMutex", "WrGuardedMutex", "WrRundown", "WrAlertByThreadId", "WrDeferredPreempt", "WrPhysicalFault",
	"WrIoRing", "WrMdlCache",
}

// threadStates are the enumerators of _KTHREAD_STATE.
//
// Source: the Windows Driver Kit's documentation of thread states; GateWait and
// its successors come in the order of the public symbols.
var threadStates = []string{
	"Initialized", "Ready", "Running", "Standby", "Terminated", "Waiting", "Transition", "DeferredReady",
	"GateWaitObsolete", "WaitingForProcessInSwap",
}

var enumNames = map[string][]string{
	"_KWAIT_REASON":  waitReasons,
	"_KTHREAD_STATE": threadStates,
}

// enumType makes an enum whose first v.offset enumerators the family has.
func enumType(r row, v value) *types.Type {
	t := &types.Type{Kind: types.Enum, Name: r.typ, Size: 4, MemberCount: -1}
	return t.NewLazy(func(l *types.Lazy) {
		l.Elem = number("i32")
		for i, name := range enumNames[r.typ] {
			if uint64(i) < v.offset {
				l.Enumerators = append(l.Enumerators, types.Enumerator{Name: name, Value: int64(i)})
			}
		}
	})
}
