package analyze

import (
	"fmt"

	"kdap/engine/bugcheck"
)

// examineCriticalProcess: which process or thread ended, and with what status.
// Who ended it the stack shows: it is that of the thread that did.
func examineCriticalProcess(x *examiner) {
	x.r.elsewhereOf = "the stack is that of the thread that ended it"
	if x.arg(2) == 1 {
		x.criticalThread(x.arg(1))
		return
	}
	x.criticalProcess(x.arg(1))
}

func examineCriticalObject(x *examiner) {
	x.r.elsewhereOf = "the stack is that of the thread that ended it"
	const thread = 6
	if x.arg(1) == thread {
		x.criticalThread(x.arg(2))
	} else {
		x.criticalProcess(x.arg(2))
	}
	if why := x.text(x.arg(4)); why != "" {
		x.detail("TERMINATION_REASON", "%s", why)
	}
}

func (x *examiner) criticalProcess(addr uint64) {
	if addr == 0 {
		return
	}
	x.detail("PROCESS_OBJECT", "%016x", addr)
	p := x.sys.Process(addr)
	name, err := p.ImageName()
	if err != nil {
		x.missing(fmt.Sprintf("name of process %#x", addr), err)
		return
	}
	x.r.Critical = name
	x.detail("CRITICAL_PROCESS", "%s", name)
	if pid, err := p.PID(); err == nil {
		x.detail("CRITICAL_PROCESS_ID", "%d", pid)
	}
	if status, err := p.Object().Field("ExitStatus").Uint(); err == nil {
		x.exitStatus(uint32(status))
	}
}

func (x *examiner) criticalThread(addr uint64) {
	if addr == 0 {
		return
	}
	x.detail("THREAD_OBJECT", "%016x", addr)
	t := x.sys.Thread(addr)
	if p, err := t.Process(); err == nil {
		if name, err := p.ImageName(); err == nil {
			x.r.Critical = name
			x.detail("CRITICAL_PROCESS", "%s", name)
		}
	}
	if status, err := t.Object().Field("ExitStatus").Uint(); err == nil {
		x.exitStatus(uint32(status))
	}
}

// stillActive is the exit status of what has not ended (STATUS_PENDING).
const stillActive = 0x103

func (x *examiner) exitStatus(status uint32) {
	if status == stillActive {
		return
	}
	x.r.ExitStatus = status
	name := bugcheck.StatusName(status)
	if name == "" {
		name = "<Unable to get error code text>"
	}
	x.detail("EXIT_STATUS", "%08x - %s", status, name)
}
