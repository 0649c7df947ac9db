package windows

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/arch/arm64"
	"kdap/engine/arch/x86"
	"kdap/engine/memory"
)

// A FrameKind says what a stack frame runs.
type FrameKind string

// The kinds of frames.
const (
	KernelFrame FrameKind = "kernel"
	TrapFrame   FrameKind = "trap" // a kernel routine that an interrupt, exception or system call entered
	UserFrame   FrameKind = "user"
	WOW64Frame  FrameKind = "wow64"
)

// A Frame is one frame of a stack.
type Frame struct {
	Index  int
	SP, IP uint64
	Return uint64 // IP of the next frame, 0 for the last
	// CallerSP is the SP of the next frame; it is known for the last one too,
	// where the walk came to its natural end. 0 when the step failed.
	CallerSP uint64
	Kind     FrameKind
	Rule     amd64.Rule // how the caller was found
	X86      *Frame32   // of 32-bit code: how its caller was found; nil for others
	Module   *Module    // that holds IP, or nil

	// Trap is the address of the _KTRAP_FRAME of a TrapFrame.
	Trap uint64
	// Guessed tells that a scan of the stack found where the frames begin.
	Guessed bool
	// Missing is why unwind data that should be there could not be used, so
	// that the frame was left as a function without a frame of its own.
	Missing error

	// A walk changes the general registers with every frame, the others
	// seldom, so frames share those.
	general [16]uint64
	unknown uint16
	rest    *amd64.Context
	other   arch.Registers // of another machine than x64
}

// Registers returns the registers in this frame, as far as a walk can restore
// them.
func (f *Frame) Registers() arch.Registers {
	if f.other != nil {
		return f.other
	}
	return f.Context()
}

// Context returns the registers in a frame of x64 or x86 code, nil in those of
// other machines.
func (f *Frame) Context() *amd64.Context {
	if f.rest == nil {
		if c, ok := f.other.(*x86.Context); ok {
			return &c.Context
		}
		return nil
	}
	c := *f.rest
	c.GPR, c.Unknown, c.RIP = f.general, f.unknown, f.IP
	return &c
}

// keep remembers the frame's registers, sharing with an earlier frame what is
// the same there.
func (f *Frame) keep(regs, earlier *amd64.Context) {
	f.general, f.unknown, f.rest = regs.GPR, regs.Unknown, earlier
	if earlier == nil || regs.XMM != earlier.XMM || regs.MXCSR != earlier.MXCSR {
		c := *regs
		f.rest = &c
	}
}

// A Stack is a walked stack.
type Stack struct {
	Frames []Frame
	// Ended says why the walk stopped before the stack's natural end; nil when
	// it came to the end or to the limit.
	Ended error
}

// Doubt says why what was walked may not be all: Ended, or that its end was left
// by the guess that its return address is on top of the stack, for want of
// unwind data. No stack has its end in such a function. In a WOW64 process each
// side has an end.
func (s Stack) Doubt() error {
	all := []error{s.Ended}
	for i := range s.Frames {
		f := &s.Frames[i]
		switch {
		case f.Rule != amd64.RuleLeaf || f.Return != 0:
		case f.Module == nil:
			all = append(all, fmt.Errorf("no module is known at %#x", f.IP))
		case f.Missing != nil:
			all = append(all, fmt.Errorf("no unwind data at %#x: %w", f.IP, f.Missing))
		default:
			all = append(all, fmt.Errorf("no unwind data at %#x", f.IP))
		}
	}
	return errors.Join(all...)
}

// A Walk is where a stack walk starts and what it may look at.
type Walk struct {
	Regs    arch.Registers
	Space   memory.Space
	Modules *ModuleSet
	Limit   int // most frames; 0 for DefaultFrames
}

// DefaultFrames bounds a walk without a limit of its own.
const DefaultFrames = 1024

// Walk walks a stack by the unwind data of the modules: through interrupts,
// exceptions and system calls into user mode. What was walked before the walk
// must stop is returned with the reason.
func (s *System) Walk(ctx context.Context, w Walk) Stack {
	if w.Limit <= 0 {
		w.Limit = DefaultFrames
	}
	switch regs := w.Regs.(type) {
	case *amd64.Context:
		if InCode32(regs) {
			return walkX86(ctx, w, *x86.Lower(regs), WOW64Frame, 0)
		}
		return s.walkAMD64(ctx, w, *regs)
	case *x86.Context:
		return walkX86(ctx, w, *regs, s.kind32(), 0)
	case *arm64.Context:
		return walkARM64(ctx, w, *regs)
	}
	return Stack{Ended: errors.New("no registers to begin from")}
}

func (s *System) walkAMD64(ctx context.Context, w Walk, regs amd64.Context) Stack {
	var st Stack
	traps := s.TrapFrameLayout()
	var rest *amd64.Context
	for i := range w.Limit {
		if err := ctx.Err(); err != nil {
			st.Ended = err
			return st
		}
		f := Frame{Index: i, SP: regs.SP(), IP: regs.RIP, Module: w.Modules.Find(regs.RIP)}
		f.keep(&regs, rest)
		rest = f.rest
		f.Kind = KernelFrame
		if f.IP < userEnd {
			f.Kind = UserFrame
			if f.Module != nil && f.Module.WOW64 {
				f.Kind = WOW64Frame
			}
		}
		next := regs
		step, err := amd64.Step(&next, w.Space, f.Module.FunctionTable(ctx))
		f.Rule = step.Rule
		f.Missing = step.DataErr
		if step.MachineFrame != 0 {
			f.Kind, f.Trap = TrapFrame, traps.TrapFrameAt(step)
			// What the trap frame keeps of the interrupted registers is lost
			// where it cannot be read; the walk does not need it.
			if trap, terr := amd64.ReadTrapFrame(w.Space, f.Trap, traps); terr == nil {
				trap.ApplyVolatile(&next)
			}
		}
		if err == nil && next.RIP == regs.RIP && next.SP() == regs.SP() {
			err = fmt.Errorf("frame %d leads to itself", i)
		}
		if err != nil {
			st.Frames = append(st.Frames, f)
			st.Ended = err
			return st
		}
		f.Return, f.CallerSP = next.RIP, next.SP()
		st.Frames = append(st.Frames, f)
		if next.RIP == 0 {
			return st
		}
		if step.MachineFrame != 0 && InCode32(&next) {
			more := walkX86(ctx, w, *x86.Lower(&next), WOW64Frame, i+1)
			return Stack{Frames: append(st.Frames, more.Frames...), Ended: more.Ended}
		}
		regs = next
	}
	return st
}

// kind32 is the kind of frames of 32-bit code.
func (s *System) kind32() FrameKind {
	if s.user != nil && s.user.Machine() == imageMachineX86 {
		return UserFrame
	}
	return WOW64Frame
}

// ErrNotResident says that a thread's kernel stack is not in memory.
var ErrNotResident = errors.New("the kernel stack is not resident")

// layout takes a register structure's layout from the kernel's symbols, where
// they have it.
func (s *System) layout(known amd64.FrameLayout) amd64.FrameLayout {
	if l, ok := s.layouts.Load(known.Name); ok {
		return l.(amd64.FrameLayout)
	}
	l := known
	if t, err := s.Type(known.Name); err == nil {
		l = known.Resolve(t.Size, func(name string) (uint64, bool) {
			f := t.Field(name)
			if f == nil {
				return 0, false
			}
			return f.Offset, true
		})
	}
	s.layouts.Store(known.Name, l)
	return l
}

// TrapFrameLayout returns the layout of a _KTRAP_FRAME.
func (s *System) TrapFrameLayout() amd64.FrameLayout { return s.layout(amd64.DefaultTrapFrame) }

// Registers returns the registers the thread stopped with: its processor's for
// a running thread, else those its switch frame saved, the rest being zero.
func (t Thread) Registers(ctx context.Context) (arch.Registers, error) {
	c, ok, lost := t.runningOn(ctx)
	if ok {
		return t.sys.StopRegisters(c.number)
	}
	if lost != nil { // what its last switch left on the stack is not where it is
		return nil, fmt.Errorf("thread %#x runs on a processor that cannot be read: %w", t.Addr(), lost)
	}
	if err := t.sys.checkMachine(); err != nil {
		return nil, err // the switch frames of other machines are not known
	}
	sp, err := t.KernelStack()
	if err != nil {
		return nil, fmt.Errorf("thread %#x: %w", t.Addr(), err)
	}
	regs, err := amd64.ReadSwitchFrame(t.sys.kernel, sp, t.sys.layout(amd64.DefaultSwitchFrame))
	if err != nil {
		if resident, rerr := t.StackResident(); rerr == nil && !resident {
			err = errors.Join(ErrNotResident, err)
		}
		return nil, fmt.Errorf("thread %#x: %w", t.Addr(), err)
	}
	return regs, nil
}

// runningOn returns the processor that runs the thread. lost is why that of a
// thread that runs cannot be told.
func (t Thread) runningOn(ctx context.Context) (c Processor, ok bool, lost error) {
	state, err := t.State()
	if err == nil && state != StateRunning {
		return Processor{}, false, nil
	}
	for c, cerr := range t.sys.Processors(ctx) {
		var current uint64
		if cerr == nil {
			current, cerr = c.CurrentThread()
		}
		if cerr != nil {
			lost = cmp.Or(lost, cerr)
			continue
		}
		if current == t.Addr() {
			return c, true, nil
		}
	}
	if err != nil {
		return Processor{}, false, nil // whether it runs is not known
	}
	return Processor{}, false, lost
}

// Stack walks the thread's stack: kernel frames, then, through the system
// call, the user frames in its owner's address space. Where the switch frame
// leads to no code the stack is scanned for a beginning, and Ended says so.
func (t Thread) Stack(ctx context.Context, limit int) (Stack, error) {
	regs, err := t.Registers(ctx)
	if err != nil {
		return Stack{}, err
	}
	w := Walk{Regs: regs, Space: t.sys.kernel, Modules: t.sys.KernelModules(ctx), Limit: limit}
	if p, err := t.Process(); err == nil {
		if space, err := p.Space(); err == nil {
			w.Space = space
			w.Modules = p.Modules(ctx)
		}
	}
	if c, ok := regs.(*amd64.Context); ok && w.Modules.Find(c.RIP) == nil {
		if _, running, _ := t.runningOn(ctx); !running {
			if st, ok := t.scanStack(ctx, w, *c); ok {
				return st, nil
			}
		}
	}
	return t.sys.Walk(ctx, w), nil
}

// CrashRegisters returns the registers of processor n at the crash; for the
// crashing processor the header's record when no PRCB can be read.
func (s *System) CrashRegisters(n int) (*amd64.Context, error) {
	if err := s.checkMachine(); err != nil {
		return nil, err
	}
	c, err := s.Processor(n)
	if err == nil {
		var regs *amd64.Context
		if regs, err = c.Context(); err == nil {
			return regs, nil
		}
	}
	if n != s.CrashProcessor() {
		return nil, err
	}
	regs, herr := amd64.ParseContext(s.dump.Header.ContextBytes())
	if herr != nil {
		return nil, errors.Join(err, herr)
	}
	return regs, nil
}
