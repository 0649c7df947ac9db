package windows

import (
	"context"
	"errors"

	"kdap/engine/arch/amd64"
	"kdap/engine/arch/x86"
	"kdap/engine/memory"
)

// A Frame32 is what a walk knows of a frame of 32-bit code.
type Frame32 struct {
	Rule     x86.Rule
	Info     x86.Info // what its symbols tell
	ReturnAt uint64   // where the return address lies, 0 when it was not found
}

// ChildEBP is where ebp points in a function that links its frames: below the
// return address.
func (f *Frame) ChildEBP() uint64 {
	const word = 4
	if f.X86 != nil && f.X86.ReturnAt != 0 {
		return f.X86.ReturnAt - word
	}
	if c := f.Context(); c != nil {
		return c.GPR[amd64.RBP]
	}
	return 0
}

// walkX86 walks the stack of 32-bit code, of a process of 32-bit Windows or of
// one that runs under WOW64. The frames are numbered from first on.
func walkX86(ctx context.Context, w Walk, regs x86.Context, kind FrameKind, first int) Stack {
	var st Stack
	s := x86.Stepper{Memory: w.Space, Returns: func(va uint64) bool { return mayReturnTo(w, va) }}
	callee := uint32(0)
	for i := first; i < w.Limit; i++ {
		if err := ctx.Err(); err != nil {
			st.Ended = err
			return st
		}
		here := regs
		m := w.Modules.Find(here.RIP)
		f := Frame{Index: i, SP: here.SP(), IP: here.RIP, Module: m, Kind: kind, other: &here}
		// A call can end its function: what it returns to is then another's.
		code := here.RIP
		if i > first && m != nil && m.Contains(code-1) {
			code--
		}
		info := m.info32(ctx, code)
		step, err := s.Step(&regs, info, i == first, callee)
		f.X86 = &Frame32{Rule: step.Rule, Info: info}
		if err == nil && regs.SP() <= here.SP() {
			err = errors.New("the chain of frames does not lead up the stack")
		}
		if err != nil {
			if here.GPR[amd64.RBP] != 0 {
				st.Ended = err
			}
			st.Frames = append(st.Frames, f)
			return st
		}
		f.X86.ReturnAt, f.Return, f.CallerSP = step.ReturnAt, regs.RIP, regs.SP()
		st.Frames = append(st.Frames, f)
		if regs.RIP == 0 {
			return st
		}
		callee, _ = info.Params()
	}
	return st
}

// mayReturnTo tells whether a call can return to va: to code of a module that
// stands behind a call. Where the code cannot be read the module must do.
func mayReturnTo(w Walk, va uint64) bool {
	if w.Modules.Find(va) == nil {
		return false
	}
	if _, err := memory.ReadUint(w.Space, va-1, 1); err != nil {
		return true
	}
	return followsCall(w.Space, va)
}

// info32 returns what the module's symbols tell about the frame of 32-bit code
// at va.
func (m *Module) info32(ctx context.Context, va uint64) (info x86.Info) {
	if m == nil {
		return info
	}
	t, rva := m.Symbols(ctx), uint32(va-m.Base)
	if sym, off, ok := t.Nearest(rva); ok && uint64(sym.RVA)+off == uint64(rva) {
		info.Function = m.Base + uint64(sym.RVA)
	}
	file := t.PDB()
	if file == nil {
		return info
	}
	if d, ok := file.FrameDataAt(rva); ok {
		info.Data, info.Piece = &d, m.Base+uint64(d.RVA)
	}
	if f, ok := file.FPOAt(rva); ok {
		info.FPO = &f
	}
	return info
}
