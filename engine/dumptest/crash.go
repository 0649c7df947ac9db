package dumptest

import "strings"

// A Crash says how the machine came to stop.
type Crash struct {
	// Stack is what ran on the first processor between its idle loop and
	// KeBugCheckEx, outermost first: functions ("keypad!KeypadCheckCrashKeys")
	// and, marked with "trap ", kernel routines that the processor entered by
	// itself there ("trap nt!KiPageFault"). nil is the crash by hand. Behind
	// "#0" any call of the caller will do.
	Stack []string

	// Lay is called when the stack but for its last call is there. It may add
	// to the machine, and returns the bug check's parameters; nil leaves those
	// of the options.
	Lay func(m *Machine, c *CrashState) [4]uint64
}

// byHand is a keyboard driver that crashes the machine on request.
var byHand = []string{
	"trap nt!KiInterruptDispatchNoLockNoEtw", "nt!KiInterruptSubDispatchNoLock", "nt!KiCallInterruptServiceRoutine",
	"keypad!KeypadInterruptService", "keypad!KeypadCheckCrashKeys",
}

// Faulted is the small machine, crashed by its keyboard driver: the interrupt
// routine wrote to an address of no memory, bug check 0xD1.
func Faulted() *Dump {
	return SmallWith(Options{BugCheck: 0xd1, Crash: Crash{
		Stack: append(append([]string{}, byHand...), "trap nt!KiPageFault"),
		Lay: func(_ *Machine, c *CrashState) [4]uint64 {
			return [4]uint64{poolBase + 0x3f000010, 2, 1, c.IP()}
		},
	}}).Finish()
}

// CrashState is what the last trap of a crash interrupted.
type CrashState struct {
	m     *Machine
	state cpuState
	Trap  uint64 // address of the last trap frame, 0 without one
}

// IP is the instruction that was interrupted.
func (c *CrashState) IP() uint64 { return c.state.rip }

// SP is its stack pointer.
func (c *CrashState) SP() uint64 { return c.state.reg[rsp] }

// Context lays a CONTEXT with the interrupted registers and returns its address.
func (c *CrashState) Context() uint64 { return c.m.Lay(c.m.contextBytes(c.state, false)) }

// Exception lays an EXCEPTION_RECORD for the interrupted instruction and
// returns its address.
func (c *CrashState) Exception(code uint32, parameters ...uint64) uint64 {
	b := make([]byte, 0x98)
	le.PutUint32(b, code)
	le.PutUint64(b[0x10:], c.state.rip)
	le.PutUint32(b[0x18:], uint32(len(parameters)))
	for i, p := range parameters {
		le.PutUint64(b[0x20+8*i:], p)
	}
	return c.m.Lay(b)
}

// Lay puts data into nonpaged pool and returns its address.
func (m *Machine) Lay(data []byte) uint64 {
	at := m.alloc(len(data))
	m.Kernel.Write(at, data)
	return at
}

// PRCB is the address of a processor's block.
func (m *Machine) PRCB(n int) uint64 { return m.cpus[n].prcb }

// IdleThread is the address of a processor's idle thread.
func (m *Machine) IdleThread(n int) uint64 { return m.cpus[n].idle.va }

// DriverBase tells where a driver lies.
func (m *Machine) DriverBase(module string) uint64 { return m.findKernel(module).base }

// Set writes a member of a structure of the kernel.
func (m *Machine) Set(typ string, addr uint64, member string, value uint64) {
	m.Kernel.obj(typ, addr).set(member, value)
}

// keepArgument writes what a routine on the thread's stack calls the next one
// with into the home space of that call, where compilers keep it.
func (t *Thread) keepArgument(caller string, v uint64) {
	for _, f := range t.truth.Stack {
		if f.Symbol == caller {
			t.p.Space.U64(f.SP, v)
			return
		}
	}
	panic("dumptest: no frame of " + caller)
}

// layCrash lays the stack that ends in KeBugCheckEx.
func (m *Machine) layCrash(c *cpu, w *stackWriter) {
	stack := m.opts.Crash.Stack
	if stack == nil {
		stack = byHand
	}
	state := &CrashState{m: m, state: w.state}
	first := true
	for _, spec := range stack {
		entry, trap := strings.CutPrefix(spec, "trap ")
		if !trap {
			w.call(spec)
			w.runAt(w.afterProlog())
			continue
		}
		top := roundDown(w.state.reg[rsp]-0x80, 0x10)
		if first {
			top = m.interruptStack(c)
			first = false
		}
		state.state = w.state
		w.trap(entry, top, "kernel", false)
		state.Trap = w.state.reg[rsp]
	}
	if m.opts.Crash.Lay != nil {
		m.opts.Parameters = m.opts.Crash.Lay(m, state)
	}
	w.stop("nt!KeBugCheckEx#0")
	w.state.reg[rcx] = uint64(m.opts.BugCheck)
	for i, r := range []int{rdx, r8, r9} {
		w.state.reg[r] = m.opts.Parameters[i]
	}
	m.crash = w.state
}

// interruptStack maps the stack that a processor takes interrupts on.
func (m *Machine) interruptStack(c *cpu) uint64 {
	isr := roundUp(m.stacks, pageSize) + (kernelStackPages+1)*pageSize
	m.stacks = isr
	m.Kernel.MapNew(isr-pageSize, pageSize, ReadWrite)
	m.Kernel.obj("_KPRCB", c.prcb).set("IsrStack", isr)
	return isr - 0x10
}

func roundDown(v, to uint64) uint64 { return v &^ (to - 1) }
