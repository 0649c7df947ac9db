package analyze

import (
	"fmt"
	"strings"

	"kdap/engine/windows"
)

// machinery are the kernel's routines that handle crashes and exceptions: the
// frames of them stand above the code that is to be blamed. A name that ends
// in * stands for all that begin so.
var machinery = []string{
	"KeBugCheck*", "KiBugCheck*", "KiPageFault*", "KiExceptionDispatch*", "KiFastFailDispatch*", "KiRaiseSecurityCheckFailure*",
	"KiInterrupt*", "KiDispatchException*", "RtlDispatchException*", "RtlpExecuteHandler*", "RtlFailFast*", "KiDoubleFaultAbort*",
	"KiGeneralProtectionFault*", "KiInvalidOpcodeFault*", "KiSystemServiceHandler*", "KiFatalExceptionHandler*", "MmAccessFault*",
	"MiSystemFault*", "ExFreePool*", "ExFreeHeapPool*", "memcpy*", "memset*", "memmove*", "PspSystemThreadStartup$filt$*", "_C_specific_handler*",
	"VerifierBugCheck*", "VfBugCheck*", "KiSwapContext*", "KiSwapThread*", "KiCommitThreadWait*", "PopTransitionToSleep*",
}

// core are the modules that are Windows itself: seldom at fault, always there.
var core = map[string]bool{"nt": true, "hal": true, "classpnp": true, "storport": true, "watchdog": true, "ci": true}

// passThrough are parts of Windows that call other drivers and are on the
// stack of whatever goes wrong in those.
var passThrough = map[string]bool{"fltmgr": true, "wdf01000": true, "ndis": true, "tcpip": true, "netio": true}

// contextParameter is which parameter is the address of a CONTEXT that shows
// the crash.
var contextParameter = map[uint32]int{0x7e: 3, 0x3b: 2}

// faultChecks are the bug checks that a trap raises in the middle of the code
// at fault: the stack below the trap's frame is what counts.
var faultChecks = map[uint32]bool{0xa: true, 0xd1: true, 0x50: true, 0x1e: true, 0x139: true, 0x8e: true, 0x7f: true}

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

// blame chooses the frame.
func (r *Report) blame() {
	start := 0
	if faultChecks[r.Plain()] {
		for i, f := range r.Frames {
			if f.Kind == windows.TrapFrame {
				start, r.TrapFrame = i+1, f.Trap
				break
			}
		}
	}
	for i := range r.Frames {
		f := &r.Frames[i]
		f.Machinery = i < start || isMachinery(*f)
		f.PassesOthersCode = passThrough[strings.ToLower(f.Module)]
	}
	left, passing, unknown := -1, -1, -1
	for i, f := range r.Frames {
		switch {
		case f.Machinery || f.Guessed:
		case f.Kind == windows.UserFrame:
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
	default:
		r.Why = "no culprit found: the stack shows only the handling of the crash"
	}
	if r.Deliberate() && r.Blamed >= 0 {
		r.Why = fmt.Sprintf("%s made the crash that somebody asked for", r.Frames[r.Blamed].Symbol())
	}
}

// Culprit returns the blamed frame.
func (r *Report) Culprit() (Frame, bool) {
	if r.Blamed < 0 || r.Blamed >= len(r.Frames) {
		return Frame{}, false
	}
	return r.Frames[r.Blamed], true
}

// bucket names the kind of crash: crashes with one name have one cause.
func (r *Report) bucket() string {
	if r.Plain() == 0xe2 {
		return r.Name
	}
	prefix := fmt.Sprintf("0x%X", r.Plain())
	switch r.Plain() {
	case 0xa, 0xd1:
		prefix = "AV"
	case 0x50:
		prefix = "AV_R_INVALID"
		if r.Args[1].Value&1 != 0 || r.Args[1].Value == 2 {
			prefix = "AV_W_INVALID"
		}
	case 0x7e, 0x1e, 0x3b, 0x8e:
		if uint32(r.Args[0].Value) == 0xc0000005 {
			prefix = "AV"
		}
	case 0x139:
		prefix += fmt.Sprintf("_%x", r.Args[0].Value)
		if name := fastFail[r.Args[0].Value]; name != "" {
			prefix += "_" + name
		}
	}
	f, ok := r.Culprit()
	switch {
	case !ok && len(r.Frames) > 0:
		return prefix + "_ANALYSIS_INCONCLUSIVE"
	case !ok:
		return prefix
	case f.Function != "":
		return prefix + "_" + f.Module + "!" + f.Function
	}
	return prefix + "_" + f.Module
}

// fastFail are codes of __fastfail (winnt.h, FAST_FAIL_*).
var fastFail = map[uint64]string{
	0: "LEGACY_GS_VIOLATION", 1: "VTGUARD_CHECK_FAILURE", 2: "MISSING_GSFRAME", 3: "CORRUPT_LIST_ENTRY", 4: "INCORRECT_STACK",
	5: "INVALID_ARG", 6: "GS_COOKIE_INIT", 7: "FATAL_APP_EXIT", 8: "RANGE_CHECK_FAILURE", 9: "UNSAFE_REGISTRY_ACCESS",
	10: "GUARD_ICALL_CHECK_FAILURE", 14: "INVALID_REFERENCE_COUNT", 18: "INVALID_JUMP_BUFFER", 30: "INVALID_NEXT_THREAD",
}
