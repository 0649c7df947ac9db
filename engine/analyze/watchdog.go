package analyze

import (
	"fmt"

	"kdap/engine/windows"
)

// examineWatchdog: a processor did not come down from DISPATCH_LEVEL.
func examineWatchdog(x *examiner) {
	if x.arg(1) == 0 {
		x.detail("DPC_TIMEOUT_TYPE", "SINGLE_DPC_TIMEOUT_EXCEEDED")
	} else {
		x.detail("DPC_TIMEOUT_TYPE", "DPC_QUEUE_EXECUTION_TIMEOUT_EXCEEDED")
	}
	c, err := x.sys.Processor(x.sys.CrashProcessor())
	if err != nil {
		return
	}
	x.runningDPC(c)
}

// runningDPC tells which DPC a processor runs, where its block says so.
func (x *examiner) runningDPC(c windows.Processor) {
	routine, err := c.Object().Field("DpcRoutineActive").Uint()
	if err == nil {
		x.detail("DPC_ROUTINE_ACTIVE", "%d", routine)
	}
	for kind := range 2 {
		dpc, err := c.Object().Field("DpcData").Index(kind).Field("ActiveDpc").Uint()
		if err != nil || dpc == 0 {
			continue
		}
		x.detail("DPC_RUNNING", "%016x", dpc)
		routine, err := x.sys.Struct("_KDPC", dpc).Field("DeferredRoutine").Uint()
		if err != nil || routine == 0 {
			continue
		}
		text := fmt.Sprintf("%016x", routine)
		if name := x.modules.Name(x.ctx, routine); name != "" {
			text += " " + name
		}
		x.detail("DPC_ROUTINE", "%s", text)
		x.suspect(routine, "the DPC that ran is its")
	}
}

// examineClock: a processor does not answer; its stack is the one to look at.
func examineClock(x *examiner) {
	n := -1
	for c, err := range x.sys.Processors(x.ctx) {
		if err == nil && c.Addr() == x.arg(3) {
			n = c.Number()
			break
		}
	}
	if n < 0 {
		if n = int(x.arg(4) & 0xffff); n >= x.sys.ProcessorCount() {
			x.missing("processor", fmt.Errorf("no processor block lies at %#x", x.arg(3)))
			return
		}
	}
	x.detail("FAULTING_PROCESSOR", "%x", n)
	x.r.Processor = n
	regs, err := x.sys.StopRegisters(n)
	if err != nil {
		x.missing(fmt.Sprintf("registers of processor %d", n), err)
		return
	}
	x.r.Registers = regs
	x.r.elsewhereOf = fmt.Sprintf("the stack is that of processor %d, which did not answer", n)
	if thread, err := x.sys.CurrentThread(n); err == nil {
		x.r.Thread = thread
	}
	if c, err := x.sys.Processor(n); err == nil {
		x.runningDPC(c)
	}
}

// examineStuckThread: a thread of a display driver spins.
func examineStuckThread(x *examiner) {
	x.useThread(x.arg(1))
	if name, err := x.unicode(x.arg(4)); err == nil && name != "" {
		x.detail("DRIVER_NAME", "%s", name)
	}
}

// examineDisplay: the second parameter leads into the driver that hangs.
func examineDisplay(x *examiner) {
	x.blameModule(x.arg(2), "the display driver that did not answer is its")
	if m := x.modules.Find(x.arg(2)); m != nil {
		x.detail("FAULTING_MODULE", "%016x %s", m.Base, m.Name)
	}
}

func examineDisplayScheduler(x *examiner) {
	for n := 2; n <= 4; n++ {
		x.blameModule(x.arg(n), "the bug check names an address in it")
	}
}
