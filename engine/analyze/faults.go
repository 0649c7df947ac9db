package analyze

import (
	"fmt"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
)

// Exception codes with a meaning of their own here.
const (
	accessViolation = 0xc0000005
	stackOverrun    = 0xc0000409
)

// examineKernelException: the parameters of the exception are those of the
// bug check.
func examineKernelException(x *examiner) {
	e := x.r.Exception
	if e == nil || e.At != 0 {
		return
	}
	e.NumberParameters, e.Information[0], e.Information[1] = 2, x.arg(3), x.arg(4)
}

// examineException tells what an access violation touched.
func (x *examiner) examineException() {
	e := x.r.Exception
	if e == nil || e.Code != accessViolation || e.NumberParameters < 2 || x.r.family().address != 0 {
		return
	}
	how := map[uint64]string{0: "READ", 1: "WRITE", 8: "EXECUTE"}[e.Information[0]]
	if how != "" {
		x.touchedAt(how, e.Information[1])
	}
}

func examinePageFault(x *examiner) { x.detail("MM_INTERNAL_CODE", "%x", x.arg(4)) }

// examineReadOnly and examineNoExecute: the trap frame, on the builds that pass it.
func examineReadOnly(x *examiner)  { x.optionalTrap(3) }
func examineNoExecute(x *examiner) { x.optionalTrap(3) }

// optionalTrap reads a trap frame that not all builds pass.
func (x *examiner) optionalTrap(n int) {
	if x.arg(n) == 0 {
		return
	}
	before := len(x.r.Missing)
	x.readTrap(x.arg(n))
	x.r.Missing = x.r.Missing[:before]
}

// examineTrap: a double fault passes its trap frame, and where the stack ended.
func examineTrap(x *examiner) {
	if name := traps[x.arg(1)]; name != "" {
		x.detail("TRAP_NUMBER", "%x - %s", x.arg(1), name)
	}
	const doubleFault = 8
	if x.arg(1) != doubleFault {
		return
	}
	x.optionalTrap(2)
	c := x.r.trapRegisters
	if c == nil {
		return
	}
	addr, err := x.sys.CurrentThread(x.sys.CrashProcessor())
	if err != nil {
		return
	}
	limit, base, err := x.sys.Thread(addr).StackBounds()
	if err != nil || base <= limit {
		return
	}
	sp := c.GPR[amd64.RSP]
	x.detail("KERNEL_STACK", "limit %016x, base %016x, rsp %016x", limit, base, sp)
	if sp < limit+0x1000 && sp+0x10000 > limit {
		x.detail("STACK_OVERFLOW", "Stack Limit: %016x. Use (kF) and (!stackusage) to investigate stack usage.", limit)
		x.r.StackOverflow = true
	}
}

func examineFastFail(x *examiner) {
	if e := x.r.Exception; e != nil && e.At == 0 {
		e.Code = stackOverrun
	}
	if name := fastFail[x.arg(1)]; name != "" {
		x.detail("FAST_FAIL", "%#x FAST_FAIL_%s", x.arg(1), name)
	}
}

// examineStore: the store manager passes what an exception filter gets.
func examineStore(x *examiner) {
	at := x.arg(2)
	if at == 0 {
		return
	}
	record, err := memory.ReadUint(x.space, at, 8)
	var registers uint64
	if err == nil {
		registers, err = memory.ReadUint(x.space, at+8, 8)
	}
	if err != nil {
		x.missing(fmt.Sprintf("exception pointers at %#x", at), err)
		return
	}
	x.readException(record)
	x.readContext(registers)
}

func examineCookie(x *examiner) {
	x.detail("SECURITY_COOKIE", "Expected %016x found %016x", x.arg(2), x.arg(1))
}

// examineInPage: what a page could not be read for.
func examineInPage(x *examiner) {
	x.detail("DISK_HARDWARE_ERROR", "%s", diskText(uint32(x.arg(2)), x.arg(4)))
}

func diskText(status uint32, va uint64) string {
	why := "the page could not be read"
	switch status {
	case 0xc000000e, 0xc000009c, 0xc000009d, 0xc0000185:
		why = "There was error with disk hardware"
	case 0xc000009a:
		why = "there was no nonpaged pool left to read the page"
	case 0xc000016a:
		why = "a sector of the page file is damaged"
	}
	return fmt.Sprintf("%s (%08x, address %016x)", why, status, va)
}
