package dumptest

import (
	"fmt"
)

// A Thread is a thread in the making.
type Thread struct {
	p   *Process
	va  uint64 // _ETHREAD
	o   object
	opt ThreadOptions
	teb uint64

	cpuArea, narrowBase uint64  // of a 32-bit process's thread: its registers, its stack
	narrowFrames        []Frame // behind those of 64-bit code

	kernelTop, kernelLimit uint64
	state                  cpuState // of a running thread
	truth                  TruthThread
}

// ETHREAD is the thread's address.
func (t *Thread) ETHREAD() uint64 { return t.va }

// ThreadOptions says what a thread does.
type ThreadOptions struct {
	TID  uint32 // default: the next free
	Name string // description

	// Stack is the user part of the call stack, outermost first, after the
	// two frames that start each thread ("quillpress!PreviewThread", …), in a
	// 32-bit process after those that lead to the system service. If
	// its last function is a system call of ntdll, the kernel part follows
	// from it. For a kernel thread it is the kernel part, after
	// KiStartSystemThread and PspSystemThreadStartup.
	Stack []string
	// Stack32 is the call stack of the 32-bit code of a WOW64 process, outermost
	// first, after the three functions that every such thread begins in. Its last
	// function is a system call of the 32-bit ntdll.
	Stack32 []string
	// Fault32: the last function of Stack32, which may then be any, touched a page
	// that is being read in. There is no 64-bit user code on the stack then.
	Fault32   bool
	Parameter uint64
	Start     string // Win32 start; default the first function of Stack

	Objects   []uint64 // that it waits for
	Reason    string   // of the wait; default from the system call
	Alertable bool
	WaitAll   bool

	// Kernel is the kernel part of a waiting thread's stack, outermost first,
	// where it is not the usual one of its system call.
	Kernel []string

	ETHREAD     uint64 // where it lies; 0: anywhere
	KernelStack uint64 // end of its kernel stack

	// Running is 1 + the processor on which it runs, in user mode, in the last
	// function of Stack: behind its prolog, or Where says ("prolog2": behind two
	// of its steps, "epilog1": behind the first pop).
	Running int
	Where   string
	// Fault: the last function touched a page that is being read in.
	Fault bool
	// NotResident moves the kernel stack to the page file.
	NotResident bool
	// Transition leaves the kernel stack's pages in transition.
	Transition bool

	Priority   int
	LastError  uint32
	LastStatus uint32
	UserTicks  uint32
	KernelTick uint32
}

// waits gives each system call's kernel part and the reason of its wait.
var waits = map[string]struct {
	reason string
	kernel []string
}{
	"NtWaitForSingleObject":         {"UserRequest", []string{"NtWaitForSingleObject", "ObWaitForSingleObject", "KeWaitForSingleObject"}},
	"NtWaitForMultipleObjects":      {"UserRequest", []string{"NtWaitForMultipleObjects", "ObWaitForMultipleObjects", "KeWaitForMultipleObjects"}},
	"NtDelayExecution":              {"DelayExecution", []string{"NtDelayExecution", "KeDelayExecutionThread"}},
	"NtRemoveIoCompletion":          {"WrQueue", []string{"NtRemoveIoCompletion", "IoRemoveIoCompletion", "KeRemoveQueueEx"}},
	"NtWaitForWorkViaWorkerFactory": {"WrQueue", []string{"NtWaitForWorkViaWorkerFactory", "IoRemoveIoCompletion", "KeRemoveQueueEx"}},
	"NtAlpcSendWaitReceivePort": {"WrLpcReply", []string{
		"NtAlpcSendWaitReceivePort", "AlpcpProcessSynchronousRequest", "AlpcpReceiveSynchronousReply", "AlpcpSignalAndWait", "KeWaitForSingleObject",
	}},
	"NtWaitForAlertByThreadId": {"WrAlertByThreadId", []string{"NtWaitForAlertByThreadId", "KeWaitForAlertByThreadId"}},
	"NtReadFile":               {"Executive", []string{"NtReadFile", "IopSynchronousServiceTail", "KeWaitForSingleObject"}},
	"fault":                    {"WrPageIn", []string{"MmAccessFault", "MiWaitForInPageComplete", "KeWaitForSingleObject"}},
}

// wow64Start is how the 64-bit stack of a 32-bit process's thread begins.
var wow64Start = []string{
	"ntdll!LdrpInitialize", "wow64!Wow64LdrpInitialize", "wow64!RunCpuSimulation", "wow64cpu!BTCpuSimulate",
	"wow64cpu!ServiceNoTurbo", "wow64!Wow64SystemServiceEx",
}

var switchOut = []string{"KiCommitThreadWait", "KiSwapThread", "KiSwapContext", "SwapContext"}

// AddThread makes a thread and lays its stacks.
func (p *Process) AddThread(opt ThreadOptions) *Thread {
	m := p.m
	t := &Thread{p: p, opt: opt}
	if opt.TID == 0 {
		t.opt.TID = m.nextID()
	}
	t.va = m.placeObject(opt.ETHREAD, "Thread", "_ETHREAD")
	t.init()
	p.threads = append(p.threads, t)
	m.cid.entries[uint64(t.opt.TID)] = handleEntry{target: t.va, access: 0}
	w := &stackWriter{s: p.Space, find: p.find, seed: uint64(t.opt.TID)}
	if p.user() {
		t.makeTEB()
		if p.opt.Wow64 {
			t.makeTEB32()
		}
		if len(opt.Stack32) > 0 {
			t.layNarrow(w)
		}
		t.userStack(w)
	} else {
		t.systemStack(w)
	}
	t.finish(w)
	return t
}

// init fills what each thread has, and maps its kernel stack.
func (t *Thread) init() {
	m := t.p.m
	t.o = m.Kernel.obj("_ETHREAD", t.va)
	m.dispatcher(t.va, "Thread", false)
	k := m.Kernel
	k.obj("_DISPATCHER_HEADER", t.va).set("Size", uint64(t.p.m.l.size("_KTHREAD")/4))
	if t.kernelTop = t.opt.KernelStack; t.kernelTop == 0 {
		t.kernelTop = roundUp(m.stacks, pageSize) + (kernelStackPages+1)*pageSize
		m.stacks = t.kernelTop
	}
	t.kernelLimit = t.kernelTop - kernelStackPages*pageSize
	if t.p.pid != 0 {
		k.MapNew(t.kernelTop-pageSize, pageSize, ReadWrite)
	}
	for _, f := range []string{"ApcState.ApcListHead[0]", "ApcState.ApcListHead[1]", "MutantListHead", "QueueListEntry"} {
		k.link(t.o.addr("Tcb." + f))
	}
	k.link(t.o.addr("IrpList"))
	t.o.set("Tcb.StackBase", t.kernelTop).set("Tcb.StackLimit", t.kernelLimit)
	t.o.set("Tcb.InitialStack", t.initialStack())
	t.o.set("Tcb.Process", t.p.va).set("Tcb.ApcState.Process", t.p.va).set("Tcb.KernelStackResident", 1)
	t.o.set("Cid.UniqueProcess", uint64(t.p.pid)).set("Cid.UniqueThread", uint64(t.opt.TID))
	pri := t.opt.Priority
	if pri == 0 {
		pri = 8
	}
	t.o.set("Tcb.Priority", uint64(pri)).set("Tcb.BasePriority", uint64(pri))
	t.o.set("Tcb.UserTime", uint64(t.opt.UserTicks)).set("Tcb.KernelTime", uint64(t.opt.KernelTick))
	t.o.set("Tcb.ContextSwitches", uint64(t.opt.TID)*7%1000+3).set("Tcb.WaitTime", uptimeTicks-uint64(t.opt.TID)%900-1)
	t.o.set("Tcb.IdealProcessor", uint64(t.opt.TID)/4%uint64(m.opts.Processors))
	t.o.set("CreateTime.QuadPart", t.p.created()+uint64(len(t.p.threads))*12_500_000)
	t.o.set("ThreadIoPriority", 2).set("ThreadPagePriority", 5).set("ThreadInserted", 1)
	t.truth = TruthThread{TID: t.opt.TID, ETHREAD: t.va}
	if t.opt.Name != "" {
		t.describe(t.opt.Name)
	}
}

// describe gives the thread a description, as SetThreadDescription does.
func (t *Thread) describe(name string) {
	m := t.p.m
	if _, ok := m.relative("_ETHREAD", "ThreadName"); !ok {
		return
	}
	s := m.allocPaged(t.p.m.l.size("_UNICODE_STRING") + 2*len(name))
	n := uint64(m.Kernel.UTF16(s+uint64(t.p.m.l.size("_UNICODE_STRING")), name))
	m.Kernel.obj("_UNICODE_STRING", s).set("Length", n).set("MaximumLength", n).set("Buffer", s+uint64(t.p.m.l.size("_UNICODE_STRING")))
	t.o.set("ThreadName", s)
	t.truth.Name = name
}

func (t *Thread) initialStack() uint64 { return t.kernelTop - 0x30 - t.p.m.opts.XSave }

// userStack lays a user thread's stacks: the user part, the system call or
// fault, the kernel part.
func (t *Thread) userStack(w *stackWriter) {
	if t.opt.Fault32 {
		t.start32()
		t.enterKernel(w, "nt!KiPageFault")
		t.wait(w, waits["fault"].reason, waits["fault"].kernel)
		return
	}
	w.kind = "user"
	teb := t.p.Space.obj("_TEB", t.teb)
	top := teb.get("NtTib.StackBase")
	w.state.reg[rcx] = t.opt.Parameter
	w.begin(top - 0x20)
	if t.p.opt.Wow64 {
		w.enter("ntdll!LdrInitializeThunk")
		for _, f := range wow64Start {
			w.call(f)
		}
	} else {
		w.enter("ntdll!RtlUserThreadStart")
		w.call("kernel32!BaseThreadInitThunk")
	}
	last := ""
	for i, f := range t.opt.Stack {
		if t.opt.Running > 0 && i == len(t.opt.Stack)-1 {
			w.stopWithin(f, t.opt.Where)
		} else {
			w.call(f)
		}
		if i == 0 {
			t.truth.Start = w.cur.base + uint64(w.fn.begin)
			if t.opt.Start != "" {
				t.truth.Start = t.p.Symbol(t.opt.Start)
			}
			t.o.set("Win32StartAddress", t.truth.Start)
		}
		_, last, _, _ = parseFrame(f)
	}
	nd := t.p.find("ntdll")
	t.o.set("StartAddress", nd.base+uint64(nd.im.Sym("RtlUserThreadStart")))
	t.o.set("Tcb.Teb", t.teb)
	switch wait, ok := waits[last]; {
	case t.opt.Running > 0:
		w.note(w.state.rip, "user")
		t.run(w.state, true)
		return
	case t.opt.Fault:
		w.runAt(w.afterProlog())
		t.enterKernel(w, "nt!KiPageFault")
		t.wait(w, waits["fault"].reason, waits["fault"].kernel)
	case ok:
		w.systemCall()
		t.enterKernel(w, "nt!KiSystemCall64")
		t.o.set("Tcb.SystemCallNumber", uint64(le.Uint32(w.find("ntdll").im.mapped[w.find("ntdll").im.Sym(last)+4:])))
		kernel := wait.kernel
		if t.opt.Kernel != nil {
			kernel = t.opt.Kernel
		}
		t.wait(w, wait.reason, kernel)
	default:
		panic(fmt.Sprintf("dumptest: thread %d ends in %s, which is no system call", t.opt.TID, last))
	}
}

// enterKernel lays the trap frame, at the very top of the kernel stack.
func (t *Thread) enterKernel(w *stackWriter, entry string) {
	user := w.state
	w.trap(entry, t.initialStack(), w.kind, true)
	frame := w.state.reg[rsp]
	if frame != t.initialStack()-uint64(t.p.m.l.size("_KTRAP_FRAME")) {
		panic("dumptest: the trap frame is not where the kernel keeps it")
	}
	f := t.p.m.Kernel.obj("_KTRAP_FRAME", frame)
	f.set("PreviousMode", 1).set("MxCsr", 0x1f80).set("Rcx", user.rip).set("R11", 0x246).set("Rax", user.reg[rax])
	t.o.set("Tcb.TrapFrame", frame).set("Tcb.PreviousMode", 1)
}

// wait switches the thread out below a chain of kernel functions.
func (t *Thread) wait(w *stackWriter, reason string, kernel []string) {
	for _, f := range kernel {
		w.call("nt!" + f)
	}
	for _, f := range switchOut {
		w.call("nt!" + f)
	}
	t.o.set("Tcb.KernelStack", w.state.reg[rsp])
	if t.opt.Reason != "" {
		reason = t.opt.Reason
	}
	t.setWait(reason)
}

func (t *Thread) setWait(reason string) {
	k := t.p.m.Kernel
	t.truth.State, t.truth.WaitReason, t.truth.Objects = "Waiting", reason, t.opt.Objects
	t.o.set("Tcb.State", t.p.m.l.enum("_KTHREAD_STATE", "Waiting")).set("Tcb.WaitReason", t.p.m.l.enum("_KWAIT_REASON", reason))
	if t.p.user() {
		t.o.set("Tcb.WaitMode", 1)
	}
	if t.opt.Alertable {
		t.o.set("Tcb.Alertable", 1)
	}
	objects := t.opt.Objects
	if reason == "DelayExecution" {
		timer := t.o.addr("Tcb.Timer")
		t.p.m.dispatcher(timer, "NotificationTimer", false)
		objects = []uint64{timer}
		t.truth.Objects = objects
	}
	if len(objects) == 0 && t.p.pid != 0 {
		if obj := t.p.m.defaultObject(reason); obj != 0 {
			objects = []uint64{obj}
			t.truth.Objects = objects
		}
	}
	t.o.set("Tcb.WaitBlockCount", uint64(len(objects)))
	if len(objects) == 0 {
		return
	}
	first := t.o.addr("Tcb.WaitBlock")
	at := func(i int) uint64 { return first + uint64(i*t.p.m.l.size("_KWAIT_BLOCK")) }
	t.o.set("Tcb.WaitBlockList", first)
	objects = objects[:min(len(objects), 4)]
	for i, obj := range objects {
		b := k.obj("_KWAIT_BLOCK", at(i))
		if t.p.m.opts.Relative == "older" {
			b.set("NextWaitBlock", at((i+1)%len(objects)))
		}
		b.set("Object", obj).set("Thread", t.va).set("WaitType", 1).set("BlockState", 4).set("WaitKey", uint64(i))
		if t.opt.WaitAll {
			b.set("WaitType", 0)
		}
		head := obj + uint64(t.p.m.l.offset("_DISPATCHER_HEADER", "WaitListHead"))
		k.append(head, b.addr("WaitListEntry"))
	}
}

// defaultObject makes what a thread waits for when the caller named nothing.
func (m *Machine) defaultObject(reason string) uint64 {
	switch reason {
	case "WrQueue":
		return m.NewQueue()
	case "WrLpcReply":
		return m.NewSemaphore("", 1)
	case "WrAlertByThreadId":
		return 0
	default:
		return m.NewEvent("", true, false)
	}
}

// systemStack lays a kernel thread's stack.
func (t *Thread) systemStack(w *stackWriter) {
	w.kind = "kernel"
	w.begin(t.initialStack() - 0x40)
	w.enter("nt!KiStartSystemThread")
	w.call("nt!PspSystemThreadStartup")
	for i, f := range t.opt.Stack {
		w.call("nt!" + f)
		if i == 0 {
			start := w.cur.base + uint64(w.fn.begin)
			t.o.set("StartAddress", start).set("Win32StartAddress", start)
			t.truth.Start = start
		}
	}
	t.o.set("Tcb.SystemThread", 1)
	reason := t.opt.Reason
	if reason == "" {
		reason = "Executive"
	}
	t.wait(w, reason, nil)
}

// run stands the thread on its processor.
func (t *Thread) run(s cpuState, user bool) {
	c := t.p.m.cpus[t.opt.Running-1]
	c.current, c.state, c.user = t, s, user
	t.state = s
	t.truth.State = "Running"
	t.o.set("Tcb.State", t.p.m.l.enum("_KTHREAD_STATE", "Running")).set("Tcb.Running", 1)
	t.o.set("Tcb.NextProcessor", uint64(c.number)).set("Tcb.KernelStack", t.initialStack()-0x400)
}

// finish records the stack and moves it out where that is asked for.
func (t *Thread) finish(w *stackWriter) {
	t.truth.Teb = t.teb
	t.truth.Stack = append(w.stack(), t.narrowFrames...)
	if t.opt.Running > 0 {
		t.p.m.cpus[t.opt.Running-1].stack = t.truth.Stack
	}
	k := t.p.m.Kernel
	for va := t.kernelLimit; va < t.kernelTop; va += pageSize {
		_, mapped := k.lookup(va)
		switch {
		case !mapped:
		case t.opt.NotResident:
			k.PageFile(va, 0, uint64(t.opt.TID)<<4|va>>12&15, ReadWrite)
		case t.opt.Transition:
			k.Transition(va, ReadWrite)
		}
	}
	if t.opt.NotResident || t.opt.Transition {
		t.o.set("Tcb.KernelStackResident", 0)
	}
	t.truth.NotResident = t.opt.NotResident
}
