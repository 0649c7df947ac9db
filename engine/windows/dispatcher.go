package windows

import (
	"kdap/engine/types"
)

// Dispatcher object types, _KOBJECTS of the kernel's public types: the type
// byte of a _DISPATCHER_HEADER without its top bit.
const (
	dispatcherMutant    = 2
	dispatcherProcess   = 3
	dispatcherSemaphore = 5
	dispatcherThread    = 6
)

// dispatcherNames are the debugger's words for the types.
var dispatcherNames = map[uint64]string{
	0: "NotificationEvent", 1: "SynchronizationEvent", dispatcherMutant: "Mutant",
	dispatcherProcess: "ProcessObject", 4: "QueueObject", dispatcherSemaphore: "Semaphore",
	dispatcherThread: "Thread", 7: "Gate", 8: "NotificationTimer", 9: "SynchronizationTimer",
}

// WaitObject describes the dispatcher object at addr. What cannot be read stays
// zero. Waits that are ended by thread id alone have no object: their wait block
// names address 0, which debuggers show as a notification event (type 0).
func (s *System) WaitObject(addr uint64) WaitObject {
	w := WaitObject{Addr: addr, Type: "Unknown"}
	if addr == 0 {
		w.Type = dispatcherNames[0]
		return w
	}
	kind, err := s.Struct("_DISPATCHER_HEADER", addr).Field("Type").Uint()
	if err != nil {
		return w
	}
	kind &= 0x7f
	if name, ok := dispatcherNames[kind]; ok {
		w.Type = name
	}
	switch kind {
	case dispatcherMutant:
		w.Owner, _ = s.Struct("_KMUTANT", addr).Field("OwnerThread").Uint()
	case dispatcherSemaphore:
		w.Limit, _ = s.Struct("_KSEMAPHORE", addr).Field("Limit").Int()
	}
	// Most dispatcher objects are embedded in other structures; only those
	// that the object manager made have a header with a type before them.
	if o := s.ObjectAt(addr); o.isDispatcher() {
		w.Name, _ = o.Name()
	}
	return w
}

// dispatcherObjects are the object manager's types whose bodies can be waited for.
var dispatcherObjects = map[string]bool{
	"Event": true, "Mutant": true, "Semaphore": true, "Timer": true,
	"Thread": true, "Process": true, "KeyedEvent": true, "IoCompletion": true,
}

func (o KernelObject) isDispatcher() bool {
	name, err := o.TypeName()
	return err == nil && dispatcherObjects[name]
}

// enumName returns the enumerator of a kernel enum, "" when the symbols do not have it.
func (s *System) enumName(enum string, value uint64) string {
	t, err := s.Type(enum)
	if err != nil || t.Kind != types.Enum {
		return ""
	}
	for _, e := range t.Enumerators() {
		if uint64(e.Value) == value {
			return e.Name
		}
	}
	return ""
}
