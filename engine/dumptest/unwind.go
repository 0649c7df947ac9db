package dumptest

import "fmt"

// Registers by their number in instruction and unwind encoding.
const (
	rax = iota
	rcx
	rdx
	rbx
	rsp
	rbp
	rsi
	rdi
	r8
	r9
	r10
	r11
	r12
	r13
	r14
	r15
)

// A cpuState is what a thread's processor holds at one point.
type cpuState struct {
	reg [16]uint64
	rip uint64
}

// A prologOp is one step of a prolog, in the order in which it runs.
type prologOp struct {
	kind string // push, alloc, setfp, save, xmm, machine
	reg  int
	n    uint64 // bytes, offset; for machine: 1 if with an error code
	end  uint32 // where the instruction ends, from the function's start
}

// prolog decodes the UNWIND_INFO of a function into the steps of its prolog:
// the same data that a debugger reads backwards ("x64 exception handling",
// struct UNWIND_CODE). Chained parts come after what they chain to.
func (im *Image) prolog(f function) (ops []prologOp, size uint32) {
	b := im.mapped[f.unwind:]
	n := int(b[2])
	fp, fpOff := int(b[3]&15), uint64(b[3]>>4)*16
	size = uint32(b[1])
	var rev []prologOp
	for i := 0; i < n; i++ {
		c := b[4+2*i:]
		op, info := c[1]&15, int(c[1]>>4)
		add := func(kind string, reg int, n uint64) { rev = append(rev, prologOp{kind, reg, n, uint32(c[0])}) }
		next := func(k int) uint64 { return uint64(le.Uint16(c[2*k:])) }
		switch op {
		case 0:
			add("push", info, 8)
		case 1:
			if info == 0 {
				add("alloc", 0, next(1)*8)
				i++
			} else {
				add("alloc", 0, next(1)|next(2)<<16)
				i += 2
			}
		case 2:
			add("alloc", 0, uint64(info)*8+8)
		case 3:
			add("setfp", fp, fpOff)
		case 4:
			add("save", info, next(1)*8)
			i++
		case 5:
			add("save", info, next(1)|next(2)<<16)
			i += 2
		case 8:
			add("xmm", info, next(1)*16)
			i++
		case 9:
			add("xmm", info, next(1)|next(2)<<16)
			i += 2
		case 10:
			add("machine", 0, uint64(info))
		default:
			panic(fmt.Sprintf("dumptest: unwind code %d in %s", op, im.File))
		}
	}
	if parent, ok := im.chainedTo(f); ok {
		ops, _ = im.prolog(parent)
	}
	for i := len(rev) - 1; i >= 0; i-- {
		ops = append(ops, rev[i])
	}
	return ops, size
}

// chainedTo is the entry that a function's unwind data goes on in.
func (im *Image) chainedTo(f function) (function, bool) {
	b := im.mapped[f.unwind:]
	if b[0]>>3&4 == 0 {
		return function{}, false
	}
	p := b[4+2*roundUp(int(b[2]), 2):]
	return function{le.Uint32(p), le.Uint32(p[4:]), le.Uint32(p[8:])}, true
}

// parts are the entries that are chained to one.
func (im *Image) parts(f function) (all []function) {
	for _, c := range im.functions {
		if p, ok := im.chainedTo(c); ok && p.begin == f.begin {
			all = append(all, c)
		}
	}
	return all
}

// calls tells whether a function calls another directly.
func (im *Image) calls(f function, direct uint32) bool {
	for i := f.begin; i+5 <= f.end; i++ {
		if im.mapped[i] == 0xe8 && i+5+le.Uint32(im.mapped[i+1:]) == direct {
			return true
		}
	}
	return false
}

// returnAfterCall finds where the nth call in a function returns to: a direct
// call of target, a call through the import slot of that name, or else any
// indirect call; for 0 any direct call, too. It looks for the bytes: the targets
// make accidents unlikely.
func (im *Image) returnAfterCall(caller function, target string, direct uint32, nth int) uint32 {
	code := im.mapped[caller.begin:caller.end]
	indirect, anyCall := uint32(0), uint32(0)
	for i := 0; i+2 <= len(code); i++ {
		at := caller.begin + uint32(i)
		switch {
		case code[i] == 0xe8 && i+5 <= len(code):
			if to := at + 5 + le.Uint32(code[i+1:]); anyCall == 0 && to < im.Size {
				anyCall = at + 5
			}
			if direct != 0 && at+5+le.Uint32(code[i+1:]) == direct {
				if nth--; nth <= 0 {
					return at + 5
				}
			}
		case code[i] == 0xff && code[i+1] == 0x15 && i+6 <= len(code):
			slot := at + 6 + le.Uint32(code[i+2:])
			name := ""
			for _, s := range im.imports {
				if s.rva == slot {
					name = s.name
				}
			}
			switch {
			case name == target:
				if nth--; nth <= 0 {
					return at + 6
				}
			case name == "" && indirect == 0 && slot < im.Size:
				indirect = at + 6
			}
		case code[i] == 0xff && code[i+1] >= 0xd0 && code[i+1] <= 0xd7 && indirect == 0:
			indirect = at + 2
		case code[i] == 0xff && code[i+1] >= 0x10 && code[i+1] <= 0x13 && indirect == 0:
			indirect = at + 2
		}
	}
	if indirect == 0 && nth == 0 {
		indirect = anyCall
	}
	if indirect == 0 {
		s, _ := im.Nearest(caller.begin)
		panic(fmt.Sprintf("dumptest: %s!%s never calls %s", im.Module(), s.Name, target))
	}
	return indirect
}
