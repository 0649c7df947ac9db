package windows

import (
	"context"
	"encoding/binary"
	"errors"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
)

// ErrGuessed says that a thread's saved stack pointer led nowhere, so that its
// frames begin at the first address on the stack from which the walk comes to
// the stack's end.
var ErrGuessed = errors.New("the saved stack pointer leads to no code; the frames were found by a scan of the stack and are a guess")

// maxStack bounds how much of a kernel stack is scanned: large ones have 96 KB.
const maxStack = 128 << 10

// scanStack looks on the kernel stack of a thread that does not run for the
// first return address from which a walk reaches the stack's end.
func (t Thread) scanStack(ctx context.Context, w Walk, start amd64.Context) (Stack, bool) {
	from, err := t.KernelStack()
	if err != nil {
		return Stack{}, false
	}
	_, base, err := t.StackBounds()
	if err != nil || base <= from || base-from > maxStack {
		return Stack{}, false
	}
	stack := make([]byte, base-from)
	n, _ := w.Space.Read(from, stack)
	stack = stack[:n&^7]
	for off := 0; off < len(stack); off += 8 {
		if ctx.Err() != nil {
			return Stack{}, false
		}
		ip := binary.LittleEndian.Uint64(stack[off:])
		m := w.Modules.Find(ip)
		if m == nil || m.User || !followsCall(w.Space, ip) {
			continue
		}
		regs := start
		regs.RIP = ip
		regs.GPR[amd64.RSP] = from + uint64(off) + 8
		w := w
		w.Regs = &regs
		st := t.sys.Walk(ctx, w)
		if !st.reachesEnd(from, base) {
			continue
		}
		for i := range st.Frames {
			st.Frames[i].Guessed = true
		}
		st.Ended = ErrGuessed
		return st, true
	}
	return Stack{}, false
}

// topFrames is how near to the stack's base its outermost frame begins: the
// space for the floating-point state and a trap frame lies above it.
const topFrames = 0x1000

// reachesEnd reports whether the walk came to the end of the kernel stack that
// reaches up to base: near its base, or through a system call into user mode.
func (s *Stack) reachesEnd(from, base uint64) bool {
	const fewest = 2 // one frame alone proves nothing
	if s.Ended != nil || len(s.Frames) < fewest {
		return false
	}
	for i, f := range s.Frames {
		if f.IP >= userEnd {
			if f.Module == nil || f.SP < from || f.SP > base {
				return false
			}
			continue
		}
		return i > 0 && s.Frames[i-1].Kind == TrapFrame
	}
	last := s.Frames[len(s.Frames)-1]
	return last.CallerSP <= base && base-last.CallerSP < topFrames && last.Rule != amd64.RuleLeaf
}

// followsCall reports whether the instruction before ip can be a call: a near
// call with its 32-bit distance, or one through a register or memory.
func followsCall(space memory.Space, ip uint64) bool {
	const longest = 7
	b, err := memory.ReadBytes(space, ip-longest, longest)
	if err != nil {
		return false
	}
	if b[longest-5] == 0xe8 {
		return true
	}
	// FF /2 with the lengths that its operand can have.
	for _, n := range []int{2, 3, 4, 6, 7} {
		op := b[longest-n:]
		if op[0] == 0xff && op[1]>>3&7 == 2 && n == callLength(op) {
			return true
		}
	}
	return false
}

// callLength returns the length of the FF /2 call at op by its operand.
func callLength(op []byte) int {
	mod, rm := op[1]>>6, op[1]&7
	n := 2
	if mod != 3 && rm == 4 {
		n++ // a SIB byte
	}
	switch {
	case mod == 1:
		n++
	case mod == 2, mod == 0 && rm == 5:
		n += 4
	}
	return n
}
