package windows

import (
	"context"
	"errors"

	"kdap/engine/arch/amd64"
	"kdap/engine/arch/x86"
	"kdap/engine/memory"
)

// walkX86 follows the frames that ebp links. 32-bit code without such frames is
// passed over, and its caller with it.
func walkX86(ctx context.Context, w Walk, regs *x86.Context) Stack {
	const word = 4
	var st Stack
	for i := range w.Limit {
		if err := ctx.Err(); err != nil {
			st.Ended = err
			return st
		}
		f := Frame{Index: i, SP: regs.SP(), IP: regs.RIP, Module: w.Modules.Find(regs.RIP), Kind: UserFrame, other: regs}
		ebp := regs.GPR[amd64.RBP]
		ret, err := memory.ReadUint(w.Space, ebp+word, word)
		if err != nil || ebp == 0 {
			st.Frames = append(st.Frames, f)
			if ebp != 0 {
				st.Ended = err
			}
			return st
		}
		next := *regs
		next.RIP, next.GPR[amd64.RSP] = ret, ebp+2*word
		next.GPR[amd64.RBP], err = memory.ReadUint(w.Space, ebp, word)
		f.Return, f.CallerSP = ret, next.GPR[amd64.RSP]
		st.Frames = append(st.Frames, f)
		up := next.GPR[amd64.RBP] > ebp
		switch {
		case ret == 0, err == nil && !up && next.GPR[amd64.RBP] == 0:
			return st
		case err == nil && !up:
			err = errors.New("the chain of frames does not lead up the stack")
		}
		if err != nil {
			st.Ended = err
			return st
		}
		regs = &next
	}
	return st
}
