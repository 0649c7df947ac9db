package analyze

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kdap/engine/windows"
)

// ErrNoException says that a minidump of a process holds no exception.
var ErrNoException = errors.New("no exception is recorded in this dump")

// userCore are the modules that every program calls and that raise exceptions
// for it: what they were called by is to be blamed.
var userCore = map[string]bool{
	"ntdll": true, "kernelbase": true, "kernel32": true, "ucrtbase": true, "ucrtbased": true, "msvcrt": true, "win32u": true,
	"user32": true, "gdi32": true, "gdi32full": true, "wow64": true, "wow64cpu": true, "wow64win": true, "wow64base": true,
	"combase": true, "rpcrt4": true, "sechost": true, "vcruntime140": true, "vcruntime140_1": true, "msvcp140": true, "apphelp": true,
}

// NewUser explains the exception of a user minidump. Without one it explains
// the thread that the dump was made for, if force says so.
func NewUser(ctx context.Context, sys *windows.System, force bool) (*Report, error) {
	u := sys.User()
	e := u.File().Exception
	if e == nil && !force {
		return nil, ErrNoException
	}
	r := &Report{Blamed: -1, Processor: -1}
	x := &examiner{ctx, sys, sys.Kernel(), u.Modules(ctx), r}
	var err error
	if e != nil {
		r.Exception = &Exception{Exception: e.Exception}
		r.FaultIP = e.Address
		r.Registers, err = u.ExceptionRegisters()
	}
	if r.Registers == nil || err != nil {
		if err != nil {
			x.missing("registers of the exception", err)
		}
		if r.Registers, err = sys.StopRegisters(sys.CrashStop()); err != nil {
			r.StackErr = err
		}
	}
	if r.Registers != nil {
		x.walkFrom(r.Registers)
	}
	x.examineException()
	r.blameUser()
	r.Bucket = r.userBucket()
	return r, ctx.Err()
}

// blameUser chooses the first frame that is not of what all programs share.
func (r *Report) blameUser() {
	for i, f := range r.Frames {
		switch {
		case f.Module == "" && i == 0:
			continue // a call of a bad address: its caller tells more
		case f.Module == "" || f.Guessed:
			continue
		case userCore[strings.ToLower(f.Module)]:
			if r.Blamed < 0 {
				r.Blamed = i
			}
		default:
			r.Blamed, r.Sure = i, true
			r.Why = fmt.Sprintf("frame %d, %s, is the first one outside of what all programs share", i, f.Symbol())
			return
		}
	}
	r.Why = "no culprit found: only the system's own code is on the stack"
	if r.Blamed < 0 {
		r.Why = "no culprit found: no frame of the stack is in a module"
	}
}

// userNames are how the names of crashes begin, by the exception's code.
var userNames = map[uint32]string{
	0x80000003: "BREAKPOINT", 0x80000004: "SINGLE_STEP", 0xc0000006: "IN_PAGE_ERROR", 0xc0000008: "INVALID_HANDLE", 0xc000001d: "ILLEGAL_INSTRUCTION",
	0xc0000094: "INTEGER_DIVIDE_BY_ZERO", 0xc0000095: "INTEGER_OVERFLOW", 0xc0000096: "PRIVILEGED_INSTRUCTION", 0xc00000fd: "STACK_OVERFLOW",
	0xc0000374: "HEAP_CORRUPTION", 0xc0000602: "FAIL_FAST", 0xe06d7363: "CPP_EXCEPTION", 0xe0434352: "CLR_EXCEPTION", 0xc0000420: "ASSERTION_FAILURE",
}

// userBucket names the crash of a program.
func (r *Report) userBucket() string {
	name, code := "APPLICATION_FAULT", uint32(0)
	if e := r.Exception; e != nil {
		code = e.Code
		switch {
		case code == accessViolation && e.NumberParameters > 1:
			name = pointerName(e.Information[0], e.Information[1])
		case code == stackOverrun && fastFail[e.Information[0]] != "":
			name = "FAIL_FAST_" + fastFail[e.Information[0]]
		case userNames[code] != "":
			name = userNames[code]
		}
		name += fmt.Sprintf("_%x", code)
	}
	f, ok := r.Culprit()
	if !ok {
		return name
	}
	name += "_" + f.Image
	if f.Function != "" {
		name += "!" + f.Function
	}
	return name
}

// pointerName tells what kind of pointer an access violation used.
func pointerName(how, address uint64) string {
	const nullPage = 0x10000
	pointer := "INVALID_POINTER"
	if address < nullPage {
		pointer = "NULL_POINTER"
	}
	switch how {
	case 1:
		return pointer + "_WRITE"
	case 8:
		return "SOFTWARE_NX_FAULT"
	}
	return pointer + "_READ"
}
