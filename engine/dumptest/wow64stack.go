package dumptest

import (
	"fmt"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// A narrowWriter lays the stack of 32-bit code from its outer end to its inner
// one by running each function's instructions, in a straight line, up to its
// call of the next.
type narrowWriter struct {
	*stackWriter
	p  *Process
	at uint32 // RVA of the next instruction in cur
}

var narrowRegister = map[x86asm.Reg]int{
	x86asm.EAX: rax, x86asm.ECX: rcx, x86asm.EDX: rdx, x86asm.EBX: rbx, x86asm.ESP: rsp, x86asm.EBP: rbp, x86asm.ESI: rsi, x86asm.EDI: rdi,
}

// narrowStart is how the stack of every 32-bit thread begins.
var narrowStart = []string{"wntdll!__RtlUserThreadStart@8", "wntdll!___RtlUserThreadStart@8", "wkernel32!_BaseThreadInitThunk@12"}

// layNarrow lays the 32-bit stack of a thread up to the innermost function's
// call of the 64-bit side; with Fault32 up to its body.
func (t *Thread) layNarrow(w *stackWriter) {
	n := &narrowWriter{stackWriter: &stackWriter{s: w.s, find: w.find, kind: "wow64", seed: w.seed * 3}, p: t.p}
	n.state.reg[rsp] = t.narrowBase - 8
	n.push(uint32(t.opt.Parameter))
	n.push(uint32(t.p.Symbol(t.opt.Stack32[0])))
	n.push(0)
	n.enter(narrowStart[0])
	for _, f := range append(narrowStart[1:len(narrowStart):len(narrowStart)], t.opt.Stack32...) {
		n.run(f)
		n.push(uint32(n.cur.base) + n.at)
		n.enter(f)
	}
	if t.opt.Fault32 {
		n.run("")
		w.state, w.frames, w.cur, w.kind, w.narrow = n.state, n.frames, n.cur, n.kind, true
		w.state.rip = n.cur.base + uint64(n.at)
		return
	}
	n.run("wntdll!_Wow64SystemServiceCall")
	n.state.rip = n.cur.base + uint64(n.at)
	t.saveNarrow(n.state)
	t.narrowFrames = n.stack()
}

func (n *narrowWriter) push(v uint32) {
	n.state.reg[rsp] -= 4
	n.s.U32(n.state.reg[rsp], v)
}

func (n *narrowWriter) enter(spec string) {
	module, name, _, _ := parseFrame(spec)
	n.cur = n.find(module)
	n.at = n.cur.im.Sym(name)
}

// run runs the innermost function until it calls target, and records it. An
// empty target stops it before it first writes to memory, unrecorded.
func (n *narrowWriter) run(target string) {
	const most = 200 // instructions
	for range most {
		const longest = 15
		inst, err := x86asm.Decode(n.s.Read(n.cur.base+uint64(n.at), longest), 32)
		if err != nil {
			panic(fmt.Sprintf("dumptest: %s+%#x: %v", n.cur.name, n.at, err))
		}
		next := n.at + uint32(inst.Len)
		_, writes := inst.Args[0].(x86asm.Mem)
		switch {
		case target == "" && (writes && inst.Op == x86asm.MOV || inst.Op == x86asm.RET):
			return // the trap records it
		case inst.Op == x86asm.CALL:
			called, pops := n.callee(inst, next)
			n.at = next
			if called == target || called == "" {
				n.note(n.cur.base+uint64(n.at), n.kind)
				return
			}
			n.state.reg[rsp] += pops
			n.state.reg[rax] = n.noise()
		default:
			n.step(inst)
			n.at = next
		}
	}
	panic(fmt.Sprintf("dumptest: %s+%#x: no call of %s", n.cur.name, n.at, target))
}

// callee names what a call calls, "" for a call through a register or memory
// that no import is, and how many bytes of parameters it takes away.
func (n *narrowWriter) callee(inst x86asm.Inst, next uint32) (name string, pops uint64) {
	switch a := inst.Args[0].(type) {
	case x86asm.Rel:
		sym, _ := n.cur.im.Nearest(next + uint32(a))
		return n.cur.im.Module() + "!" + sym.Name, popped(sym.Name)
	case x86asm.Mem:
		if a.Base != 0 || a.Index != 0 {
			break
		}
		for _, i := range n.cur.im.imports {
			if uint64(i.rva) != uint64(uint32(a.Disp))-n.cur.base {
				continue
			}
			im := n.p.narrowImage(i.dll)
			for _, s := range im.Symbols {
				if strings.HasPrefix(s.Name, "_"+i.name+"@") {
					return im.Module() + "!" + s.Name, popped(s.Name)
				}
			}
		}
	}
	return "", 0
}

// popped is what the decoration of a __stdcall function says: the bytes of its
// parameters.
func popped(name string) uint64 {
	var n uint64
	_, size, _ := strings.Cut(name, "@")
	_, _ = fmt.Sscanf(size, "%d", &n) // none: the caller takes them away
	return n
}

// step runs an instruction as far as the stack and the kept registers need it.
func (n *narrowWriter) step(inst x86asm.Inst) {
	reg := &n.state.reg
	to, isReg := inst.Args[0].(x86asm.Reg)
	r, whole := narrowRegister[to]
	switch inst.Op {
	case x86asm.PUSH:
		n.push(n.value(inst.Args[0]))
	case x86asm.POP:
		reg[r] = uint64(n.load(reg[rsp]))
		reg[rsp] += 4
	case x86asm.SUB, x86asm.ADD, x86asm.AND, x86asm.MOV, x86asm.LEA:
		if !isReg || !whole {
			return
		}
		v := uint64(n.value(inst.Args[1]))
		switch inst.Op {
		case x86asm.SUB:
			v = reg[r] - v
		case x86asm.ADD:
			v += reg[r]
		case x86asm.AND:
			v &= reg[r]
		}
		reg[r] = v & 0xffffffff
	case x86asm.XOR:
		if whole {
			reg[r] = 0
		}
	}
}

// value is an operand's; of what this does not follow it makes one up.
func (n *narrowWriter) value(a x86asm.Arg) uint32 {
	switch a := a.(type) {
	case x86asm.Imm:
		return uint32(a)
	case x86asm.Reg:
		if r, ok := narrowRegister[a]; ok {
			return uint32(n.state.reg[r])
		}
	case x86asm.Mem:
		if a.Index != 0 || a.Segment != 0 {
			break
		}
		at := uint64(uint32(a.Disp))
		if a.Base != 0 {
			at = uint64(uint32(n.state.reg[narrowRegister[a.Base]]) + uint32(a.Disp))
		}
		if _, ok := n.s.lookup(at); ok {
			return n.load(at)
		}
	}
	return uint32(n.noise())
}

func (n *narrowWriter) load(at uint64) uint32 { return le.Uint32(n.s.Read(at, 4)) }

// narrowImage is the image of a DLL that 32-bit code imports from.
func (p *Process) narrowImage(dll string) *Image { return LoadImage("w" + strings.ToLower(dll)) }
