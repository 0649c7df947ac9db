package dumptest

import (
	"fmt"
	"strconv"
	"strings"
)

// A Frame is one frame of a stack that this package laid, with what a
// debugger must find.
type Frame struct {
	SP     uint64 // Child-SP: rsp in this frame after its callee returned
	IP     uint64
	Return uint64 // what stands where this frame returns to; 0 at the end
	Module string
	Symbol string
	Offset uint32
	Kind   string // kernel, trap, user
}

// A mapping is an image at its place.
type mapping struct {
	im   *Image
	base uint64
	name string // module name as a debugger writes it
}

// A stackWriter lays a call stack from its outer end to its inner one by
// running the prologs: what it leaves is what the processor would have left.
type stackWriter struct {
	s      *Space
	find   func(module string) mapping
	state  cpuState
	frames []Frame // outermost first
	kind   string

	narrow bool // the code is 32-bit

	cur  mapping
	fn   function
	leaf bool
	seed uint64
}

func (w *stackWriter) push(v uint64) {
	w.state.reg[rsp] -= 8
	w.s.U64(w.state.reg[rsp], v)
}

// noise gives a register some value that no other frame has.
func (w *stackWriter) noise() uint64 {
	w.seed = w.seed*6364136223846793005 + 1442695040888963407
	return w.seed >> 20 & 0xffff_ffff
}

// begin starts a thread's stack: below top lies a return address of 0.
func (w *stackWriter) begin(top uint64) {
	w.state.reg[rsp] = top
	w.push(0)
}

// enter runs the prolog of a function. The return address, or for a trap the
// interrupted state, is there already.
func (w *stackWriter) enter(spec string) {
	module, name, _, more := parseFrame(spec)
	w.cur = w.find(module)
	rva := w.cur.im.Sym(name)
	fn, ok := w.cur.im.functionAt(rva)
	w.fn = fn
	if w.leaf = !ok; w.leaf {
		w.fn = function{begin: rva, end: rva + 32}
		return
	}
	ops, _ := w.cur.im.prolog(w.fn)
	w.run(ops)
	w.state.reg[rsp] -= more
}

// parseFrame takes "module!name" apart, and what may follow: "#2", the second
// place in the caller that calls it ("#0": any call will do), and "+bytes", what the function takes
// from the stack by itself (alloca).
func parseFrame(spec string) (module, name string, nth int, more uint64) {
	rest, plus, _ := strings.Cut(spec, "+")
	rest, hash, _ := strings.Cut(rest, "#")
	module, name, ok := strings.Cut(rest, "!")
	nth = 1
	var err error
	if plus != "" {
		more, err = strconv.ParseUint(plus, 0, 32)
	}
	if hash != "" && err == nil {
		nth, err = strconv.Atoi(hash)
	}
	if !ok || err != nil {
		panic("dumptest: bad frame " + spec)
	}
	return module, name, nth, more
}

// run runs steps of a prolog. What a function saved it may change: it does.
func (w *stackWriter) run(ops []prologOp) {
	var changed []int
	fixed := -1
	for _, op := range ops {
		switch op.kind {
		case "push":
			w.push(w.state.reg[op.reg])
			changed = append(changed, op.reg)
		case "alloc":
			w.state.reg[rsp] -= op.n
		case "setfp":
			w.state.reg[op.reg] = w.state.reg[rsp] + op.n
			fixed = op.reg
		}
	}
	for _, op := range ops {
		switch op.kind {
		case "save":
			w.s.U64(w.state.reg[rsp]+op.n, w.state.reg[op.reg])
			changed = append(changed, op.reg)
		case "xmm":
			w.s.U64(w.state.reg[rsp]+op.n, w.noise())
			w.s.U64(w.state.reg[rsp]+op.n+8, 0)
		}
	}
	for _, r := range changed {
		if r != fixed {
			w.state.reg[r] = w.noise()
		}
	}
}

// stopWithin enters a function and stops it on the way: "body" is behind its
// prolog; "prolog2" behind two steps of it; "epilog1" behind one pop, "epilog0"
// at the first. Without unwind data all are its start.
func (w *stackWriter) stopWithin(spec, where string) {
	at := w.site(spec)
	w.note(at, w.kind)
	w.push(at)
	name := strings.TrimRight(where, "0123456789")
	n, _ := strconv.Atoi(where[len(name):])
	before := w.state
	w.enter(spec)
	if w.leaf || name == "body" || name == "" {
		w.runAt(w.afterProlog())
		return
	}
	ops, _ := w.cur.im.prolog(w.fn)
	switch name {
	case "prolog":
		w.state = before
		w.run(ops[:n])
		rva := w.fn.begin
		if n > 0 {
			rva += ops[n-1].end
		}
		w.runAt(rva)
	case "epilog":
		w.epilog(ops, n)
	default:
		panic("dumptest: no place " + where)
	}
}

// epilog undoes a prolog of pushes and one allocation, up to the n-th pop.
func (w *stackWriter) epilog(ops []prologOp, n int) {
	code, sizes, pops := "", []int{}, []int{}
	for i := len(ops) - 1; i >= 0; i-- {
		switch op := ops[i]; {
		case op.kind == "alloc":
			w.state.reg[rsp] += op.n
		case op.kind == "push" && op.reg >= r8:
			code += string([]byte{0x41, byte(0x58 + op.reg - 8)})
			sizes, pops = append(sizes, 2), append(pops, op.reg)
		case op.kind == "push":
			code += string([]byte{byte(0x58 + op.reg)})
			sizes, pops = append(sizes, 1), append(pops, op.reg)
		default:
			panic("dumptest: no epilog for a prolog that does " + op.kind)
		}
	}
	rva := w.afterBytes(code+"\xc3") - uint32(len(code)) - 1
	for i := range n {
		w.state.reg[pops[i]] = w.s.u64(w.state.reg[rsp])
		w.state.reg[rsp] += 8
		rva += uint32(sizes[i])
	}
	w.runAt(rva)
}

// trap makes the processor enter a function through an interrupt, exception or
// system call: the frame it pushes at top keeps the interrupted state.
func (w *stackWriter) trap(spec string, top uint64, kind string, user bool) {
	before := w.state
	w.note(before.rip, kind)
	module, name, _ := strings.Cut(spec, "!")
	m := w.find(module)
	f, _ := m.im.functionAt(m.im.Sym(name))
	ops, _ := m.im.prolog(f)
	cs, ss := uint64(0x10), uint64(0x18)
	if user {
		cs, ss = 0x33, 0x2b
	}
	if w.narrow {
		cs, w.narrow = 0x23, false
	}
	w.state.reg[rsp] = top
	for _, v := range []uint64{ss, before.reg[rsp], 0x246, cs, before.rip} {
		w.push(v)
	}
	if ops[0].kind == "machine" && ops[0].n == 1 {
		w.push(6) // the error code: a write from user mode
	}
	w.enter(spec)
	w.kind = "trap" // this frame; its callees are kernel frames
}

// note records the frame that is now innermost, resumed at ip.
func (w *stackWriter) note(ip uint64, kind string) {
	sym, off := w.cur.im.Nearest(uint32(ip - w.cur.base))
	w.frames = append(w.frames, Frame{
		SP: w.state.reg[rsp], IP: ip, Module: w.cur.name, Symbol: sym.Name, Offset: off, Kind: kind,
	})
}

// call makes the innermost function call another ("#2" behind its name: at
// the second place where it does so).
func (w *stackWriter) call(spec string) {
	ret := w.site(spec)
	w.note(ret, w.kind)
	if w.kind == "trap" {
		w.kind = "kernel"
	}
	w.arguments()
	w.push(ret)
	w.enter(spec)
}

// arguments fills the home space that each caller keeps for four of them, as
// if the callee had stored its own there.
func (w *stackWriter) arguments() {
	for i, v := range []uint64{w.noise(), w.noise() & 0xff, w.noise() & 1, 0} {
		w.s.U64(w.state.reg[rsp]+8*uint64(i), v)
	}
}

// site finds where the innermost function returns to from a call. A call in
// one of its chained parts runs that part's own prolog first.
func (w *stackWriter) site(spec string) uint64 {
	module, name, nth, _ := parseFrame(spec)
	direct := uint32(0)
	if m := w.find(module); m.base == w.cur.base {
		direct = m.im.Sym(name)
	}
	if direct != 0 && !w.cur.im.calls(w.fn, direct) {
		for _, part := range w.cur.im.parts(w.fn) {
			if w.cur.im.calls(part, direct) {
				whole, _ := w.cur.im.prolog(part)
				shared, _ := w.cur.im.prolog(w.fn)
				w.run(whole[len(shared):])
				w.fn = part
			}
		}
	}
	return w.cur.base + uint64(w.cur.im.returnAfterCall(w.fn, name, direct, nth))
}

// stop makes the innermost function call another that has run no instruction
// yet.
func (w *stackWriter) stop(spec string) {
	ret := w.site(spec)
	w.note(ret, w.kind)
	w.push(ret)
	module, name, _, _ := parseFrame(spec)
	w.cur = w.find(module)
	w.state.rip = w.cur.base + uint64(w.cur.im.Sym(name))
}

// runAt stands the innermost function at an offset behind its prolog.
func (w *stackWriter) runAt(rva uint32) { w.state.rip = w.cur.base + uint64(rva) }

// afterProlog is the first place of the innermost function's body.
func (w *stackWriter) afterProlog() uint32 {
	if w.leaf {
		return w.fn.begin
	}
	_, size := w.cur.im.prolog(w.fn)
	return w.fn.begin + size
}

// afterBytes is the place behind the first occurrence of code in the
// innermost function.
func (w *stackWriter) afterBytes(code string) uint32 {
	b := string(w.cur.im.mapped[w.fn.begin:w.fn.end])
	i := strings.Index(b, code)
	if i < 0 {
		panic(fmt.Sprintf("dumptest: no % x in %s+%#x", code, w.cur.name, w.fn.begin))
	}
	return w.fn.begin + uint32(i+len(code))
}

// systemCall stands the innermost function, a stub of ntdll, behind its
// system-call instruction.
func (w *stackWriter) systemCall() { w.runAt(w.afterBytes("\x0f\x05")) }

// stack returns the frames, innermost first, with their return addresses.
func (w *stackWriter) stack() []Frame {
	n := len(w.frames)
	out := make([]Frame, n)
	for i, f := range w.frames {
		if i > 0 {
			f.Return = w.frames[i-1].IP
		}
		out[n-1-i] = f
	}
	return out
}
