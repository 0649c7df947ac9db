package analyze

import (
	"fmt"
	"strings"

	"kdap/engine/windows"
)

// machinery are the kernel's routines that handle crashes, exceptions and
// interrupts, and those that others call in a wrong way: the frames of them
// stand above the code that is to be blamed. A name that ends in * stands for
// all that begin so.
var machinery = []string{
	"KeBugCheck*", "KiBugCheck*", "KiPageFault*", "KiExceptionDispatch*", "KiFastFailDispatch*", "KiRaiseSecurityCheckFailure*",
	"KiInterrupt*", "KiDispatchException*", "RtlDispatchException*", "RtlpExecuteHandler*", "RtlFailFast*", "KiDoubleFaultAbort*",
	"KiGeneralProtectionFault*", "KiInvalidOpcodeFault*", "KiDivideErrorFault*", "KiStackFault*", "KiBreakpointTrap*", "KiNmiInterrupt*",
	"KiSystemServiceHandler*", "KiFatalExceptionHandler*", "MmAccessFault*", "MiSystemFault*", "MiRaisedIrqlFault*", "MiZeroPageFault*",
	"ExFreePool*", "ExFreeHeapPool*", "ExAllocatePool*", "ExAllocateHeapPool*", "ExpAllocatePool*", "ExpFreePool*", "ExpPool*",
	"RtlpHp*", "RtlpInterlocked*", "ExInterlocked*", "memcpy*", "memset*", "memmove*", "RtlCopyMemory*", "RtlMoveMemory*",
	"PspSystemThreadStartup$filt$*", "_C_specific_handler*", "VerifierBugCheck*", "VfBugCheck*", "Vf*", "ViBugcheck*",
	"KiSwapContext*", "KiSwapThread*", "KiCommitThreadWait*", "PopTransitionToSleep*", "RtlRaiseStatus*", "RtlRaiseException*",
	"KiCallInterruptServiceRoutine*", "KeClockInterruptNotify*", "KiUpdateRunTime*", "KeAccumulateTicks*", "KeUpdateRunTime*",
	"KiUpdateTime*", "HalpTimerClockInterrupt*", "KxWaitForSpinLock*", "KeAcquireSpinLock*", "KiAcquire*", "KeAcquireInStackQueuedSpinLock*",
	"ObfDereferenceObject*", "ObDereferenceObject*", "HalpWatchdog*", "WheaReportHwError*", "KeCheckForTimer*", "PopIrpWatchdog*",
	"_report_gsfailure*", "_GSHandlerCheck*", "KeWaitFor*",
}

// core are the modules that are Windows itself: seldom at fault, always there.
var core = map[string]bool{
	"nt": true, "hal": true, "classpnp": true, "storport": true, "watchdog": true, "ci": true, "pshed": true, "intelppm": false,
	"win32k": true, "win32kbase": true, "win32kfull": true, "verifierext": true,
}

// passThrough are parts of Windows that call other drivers and are on the
// stack of whatever goes wrong in those.
var passThrough = map[string]bool{
	"fltmgr": true, "wdf01000": true, "ndis": true, "tcpip": true, "netio": true, "dxgkrnl": true, "dxgmms1": true, "dxgmms2": true,
	"portcls": true, "ks": true, "usbport": true, "usbxhci": true, "ucx01000": true, "usbhub": true, "usbhub3": true, "acpi": true, "pci": true,
	"hidclass": true, "videoprt": true, "fwpkclnt": true, "afd": true, "partmgr": true, "volmgr": true, "mountmgr": true, "volsnap": true,
}

func isMachinery(f Frame) bool {
	if f.Module != "nt" && f.Module != "hal" {
		return false
	}
	for _, m := range machinery {
		if prefix, star := strings.CutSuffix(m, "*"); star && strings.HasPrefix(f.Function, prefix) || m == f.Function {
			return true
		}
	}
	return false
}

// blame chooses the frame, or code that the bug check's parameters name.
func (x *examiner) blame() {
	r := x.r
	if r.suspectFirst && x.blameSuspect() {
		return
	}
	r.blame()
	if r.Sure || r.hardware || r.Deliberate() {
		return
	}
	x.blameSuspect()
}

// blameSuspect blames the code that the parameters name, if it is no part of
// Windows itself.
func (x *examiner) blameSuspect() bool {
	r := x.r
	if r.suspect == 0 {
		return false
	}
	f := x.named(windows.Frame{IP: r.suspect, Module: x.modules.Find(r.suspect)})
	if f.Module == "" || core[strings.ToLower(f.Module)] {
		return false
	}
	for i := range r.Frames {
		if r.Frames[i].IP == r.suspect {
			r.Blamed = i
		}
	}
	if r.Blamed < 0 || r.Frames[r.Blamed].IP != r.suspect {
		r.culprit = &f
	}
	r.Sure = !passThrough[strings.ToLower(f.Module)]
	r.Why = f.Symbol() + ": " + r.suspectWhy
	return true
}

// blame chooses among the frames.
func (r *Report) blame() {
	start := 0
	if r.family().inTrap && !r.FromTrap {
		for i, f := range r.Frames {
			if f.Kind == windows.TrapFrame {
				start = i + 1
				if r.TrapFrame == 0 {
					r.TrapFrame = f.Trap
				}
				break
			}
		}
	}
	for i := range r.Frames {
		f := &r.Frames[i]
		f.Machinery = i < start || isMachinery(*f)
		f.PassesOthersCode = passThrough[strings.ToLower(f.Module)]
	}
	if r.hardware {
		r.Why = "the hardware reported the error: the stack shows who was told of it, not what caused it"
		return
	}
	left, passing, unknown, user := -1, -1, -1, -1
	for i, f := range r.Frames {
		switch {
		case f.Machinery || f.Guessed:
		case f.Kind == windows.UserFrame || f.Kind == windows.WOW64Frame:
			user = max(user, i)
		case f.Module == "":
			if unknown < 0 && passing < 0 && left < 0 {
				unknown = i
			}
		case core[strings.ToLower(f.Module)]:
			if left < 0 {
				left = i
			}
		case f.PassesOthersCode:
			if passing < 0 {
				passing = i
			}
		default:
			r.Blamed, r.Sure = i, unknown < 0
			r.Why = fmt.Sprintf("frame %d, %s, is the first one outside of the kernel and the code that handles crashes", i, f.Symbol())
			r.explain()
			return
		}
	}
	switch {
	case len(r.Frames) == 0:
		r.Why = "no culprit found: there is no stack"
	case unknown >= 0:
		r.Why = fmt.Sprintf("no culprit found: frame %d is in no module", unknown)
	case passing >= 0:
		r.Blamed = passing
		r.Why = fmt.Sprintf("no culprit found: %s passes on what other drivers ask for, and none of them is on the stack", r.Frames[passing].Symbol())
	case left >= 0:
		r.Blamed = left
		r.Why = "no culprit found: only the kernel's own code is on the stack"
	case user >= 0:
		r.Why = "no culprit found: only user-mode code is on the stack"
	default:
		r.Why = "no culprit found: the stack shows only the handling of the crash"
	}
	r.explain()
}

// explain adds what stack it is, where that is not obvious.
func (r *Report) explain() {
	switch {
	case r.Deliberate() && r.Blamed >= 0:
		r.Why = fmt.Sprintf("%s made the crash that somebody asked for", r.Frames[r.Blamed].Symbol())
	case r.threadWhy != "":
		r.Why += fmt.Sprintf("; the stack is that of thread %016x: %s", r.Thread, r.threadWhy)
	case r.elsewhereOf != "":
		r.Why += "; " + r.elsewhereOf
	case r.family().elsewhere:
		r.Why += "; the stack is that of who noticed the damage, which another may have done before"
		r.Sure = false
	}
}

// Culprit returns the blamed frame. That it is not in Frames tells that the
// parameters of the bug check name it.
func (r *Report) Culprit() (Frame, bool) {
	if r.culprit != nil {
		return *r.culprit, true
	}
	if r.Blamed < 0 || r.Blamed >= len(r.Frames) {
		return Frame{}, false
	}
	return r.Frames[r.Blamed], true
}
