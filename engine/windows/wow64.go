package windows

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/arch/amd64"
	"kdap/engine/arch/x86"
	"kdap/engine/memory"
)

// A thread of a WOW64 process has two sides: 64-bit code with its TEB and
// stack, and the 32-bit program with a TEB and a stack of its own. What WOW64
// keeps for itself lies in fixed slots of the 64-bit thread's TLS.
//
// Sources: the documentation of WOW64_CONTEXT (slot 1 points at a block with the
// context at +4) and of the TEB (the first pointer of the 64-bit one is the
// address of the 32-bit one); the member WowTebOffset of later symbol files.

// A WOW64Thread is the 32-bit side of a thread.
type WOW64Thread struct {
	space memory.Space

	TEB   uint64 // the 64-bit TEB
	TEB32 uint64
	// Slots are the first slots of the 64-bit thread's TLS, which WOW64 uses.
	Slots [WOW64Slots]uint64
}

// WOW64Slots is how many TLS slots of a thread are WOW64's own.
const WOW64Slots = 11

// The slot that points at the block of the processor's simulation, and where
// the registers are in it.
const (
	cpuReservedSlot    = 1
	cpuReservedContext = 4
)

// Selectors and offsets of 32-bit code, as Windows for x64 has them.
const (
	codeSelector32 = 0x23
	teb64TLSSlots  = 0x1480 // winternl.h
	teb32Self      = 0x18   // NT_TIB32.Self
)

// ErrNotWOW64 says that a thread runs no 32-bit code.
var ErrNotWOW64 = errors.New("the thread runs no 32-bit code")

// WOW64 returns the 32-bit side of a thread, ErrNotWOW64 where it has none.
func (t Thread) WOW64() (*WOW64Thread, error) {
	if u := t.sys.user; u != nil {
		return u.wow64Thread(t.Addr())
	}
	p, err := t.Process()
	if err != nil {
		return nil, err
	}
	wow, err := p.WOW64()
	if err != nil {
		return nil, err
	}
	if !wow {
		return nil, fmt.Errorf("thread %#x: %w", t.Addr(), ErrNotWOW64)
	}
	space, err := p.Space()
	if err != nil {
		return nil, err
	}
	w := &WOW64Thread{space: space}
	if w.TEB, err = t.TEB(); err == nil && w.TEB == 0 {
		err = errors.New("it has no TEB")
	}
	if err == nil {
		err = w.read(t.sys)
	}
	if err != nil {
		return nil, fmt.Errorf("32-bit side of thread %#x: %w", t.Addr(), err)
	}
	return w, nil
}

// wow64Thread returns the 32-bit side of a minidump's thread by its TEB. Such a
// dump of both sides has the 64-bit layer's modules.
func (p *UserProcess) wow64Thread(teb uint64) (*WOW64Thread, error) {
	if !p.wow64 {
		return nil, ErrNotWOW64
	}
	w := &WOW64Thread{space: p.sys.Kernel(), TEB: teb}
	if err := w.read(p.sys); err != nil {
		return nil, fmt.Errorf("32-bit side of the thread with TEB %#x: %w", teb, err)
	}
	return w, nil
}

func (w *WOW64Thread) read(s *System) error {
	slots := w.TEB + s.fieldOr("_TEB", "TlsSlots", teb64TLSSlots)
	for i := range w.Slots {
		var err error
		if w.Slots[i], err = memory.ReadUint(w.space, slots+8*uint64(i), 8); err != nil {
			return err
		}
	}
	w.TEB32 = w.findTEB32(s)
	return nil
}

// findTEB32 returns the address of the 32-bit TEB: the one that names itself.
func (w *WOW64Thread) findTEB32(s *System) uint64 {
	var candidates []uint64
	if off := s.fieldOr("_TEB", "WowTebOffset", 0); off != 0 {
		if v, err := memory.ReadUint(w.space, w.TEB+off, 4); err == nil && v != 0 {
			candidates = append(candidates, w.TEB+uint64(int64(int32(v))))
		}
	}
	if v, err := memory.ReadUint(w.space, w.TEB, 8); err == nil && v != 0 {
		candidates = append(candidates, v)
	}
	const behind = 0x2000 // where Windows makes it
	for _, at := range append(candidates, w.TEB+behind) {
		if self, err := memory.ReadUint(w.space, at+teb32Self, 4); err == nil && self == at {
			return at
		}
	}
	return 0
}

// PEB32 returns the address of the 32-bit PEB by the 32-bit TEB.
func (w *WOW64Thread) PEB32() (uint64, error) {
	if w.TEB32 == 0 {
		return 0, errors.New("the 32-bit TEB was not found")
	}
	return memory.ReadUint(w.space, w.TEB32+TEB32PEB, 4)
}

// CPU returns the address of the block that the registers are kept in.
func (w *WOW64Thread) CPU() uint64 { return w.Slots[cpuReservedSlot] }

// Registers returns the registers that the 32-bit code had when it went into
// 64-bit code.
func (w *WOW64Thread) Registers() (*x86.Context, error) {
	if w.CPU() == 0 {
		return nil, errors.New("the thread has not run 32-bit code yet")
	}
	at := w.CPU() + cpuReservedContext
	b := make([]byte, x86.ContextSize)
	n, err := w.space.Read(at, b)
	if n < x86.ContextMinimum {
		return nil, fmt.Errorf("32-bit registers: %w", err)
	}
	if n < len(b) {
		b = b[:x86.ContextMinimum]
	}
	return x86.ParseContext(b)
}

// WholeStack walks the thread's stack as Stack does and, in a WOW64 process, goes
// on with that of the 32-bit code. A thread that was interrupted in 32-bit code has
// both in one.
func (t Thread) WholeStack(ctx context.Context, limit int) (Stack, error) {
	st, err := t.Stack(ctx, limit)
	if err != nil || ctx.Err() != nil {
		return st, err
	}
	side, err := t.WOW64()
	if errors.Is(err, ErrNotWOW64) {
		return st, nil
	}
	var modules *ModuleSet
	if p, perr := t.Process(); perr == nil {
		modules = p.UserModules(ctx)
	}
	return st.with32(ctx, side, err, modules, limit), nil
}

// with32 appends the stack of the 32-bit side, or the reason why there is none.
func (st Stack) with32(ctx context.Context, side *WOW64Thread, err error, modules *ModuleSet, limit int) Stack {
	if limit <= 0 {
		limit = DefaultFrames
	}
	n := len(st.Frames)
	if n >= limit || n > 0 && st.Frames[n-1].X86 != nil {
		return st
	}
	var regs *x86.Context
	if err == nil {
		regs, err = side.Registers()
	}
	more := Stack{Ended: err}
	if err == nil {
		more = walkX86(ctx, Walk{Space: side.space, Modules: modules, Limit: limit}, *regs, WOW64Frame, n)
	}
	return Stack{Frames: append(st.Frames, more.Frames...), Ended: errors.Join(st.Ended, more.Ended)}
}

// Registers32 returns the registers of the thread's 32-bit code: those it was
// interrupted with, else those it had when it went into 64-bit code.
func (t Thread) Registers32(ctx context.Context) (*x86.Context, error) {
	side, err := t.WOW64()
	if err != nil {
		return nil, err
	}
	if t.sys.user != nil {
		return side.Registers()
	}
	if st, err := t.Stack(ctx, 0); err == nil {
		for i := range st.Frames {
			if c, ok := st.Frames[i].Registers().(*x86.Context); ok {
				return c, nil
			}
		}
	}
	return side.Registers()
}

// InCode32 tells registers that a processor has in the 32-bit code of a process.
func InCode32(regs *amd64.Context) bool { return regs.CS == codeSelector32 && regs.RIP>>32 == 0 }
