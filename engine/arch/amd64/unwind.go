package amd64

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"kdap/engine/memory"
)

// A Rule says how a frame was left.
type Rule uint8

// The rules of unwinding.
const (
	// RuleLeaf: no unwind data, the return address is on top of the stack.
	RuleLeaf Rule = iota + 1
	// RulePData: by the image's unwind data.
	RulePData
	// RuleMachineFrame: by unwind data that says the processor pushed a frame: an
	// interrupt, exception or system call came here.
	RuleMachineFrame
)

func (r Rule) String() string {
	switch r {
	case RuleLeaf:
		return "leaf"
	case RulePData:
		return "pdata"
	case RuleMachineFrame:
		return "machine frame"
	}
	return fmt.Sprintf("rule %d", uint8(r))
}

// A StepResult tells how a Step got from a frame to its caller.
type StepResult struct {
	Rule Rule

	// MachineFrame is the address of the interrupted rip that the processor
	// pushed, with RuleMachineFrame. The KTRAP_FRAME begins its member Rip's
	// offset below.
	MachineFrame uint64
	ErrorCode    bool // the processor pushed an error code, too

	// EstablisherFrame is what the function's exception handler would get: the
	// stack pointer after the prolog, from the frame register when there is one.
	EstablisherFrame uint64
	Function         RuntimeFunction // entry of the unwind data used, unless RuleLeaf
	Info             *UnwindInfo     // its decoded data
	InProlog         bool
	InEpilog         bool

	ReturnSlot uint64     // address that the caller's rip was read from
	SavedAt    [16]uint64 // where a general register was restored from, or 0

	// DataErr is the reason when there should be unwind data but it cannot be
	// read or is damaged, so that the leaf rule had to do.
	DataErr error
}

// ErrUnknownRegister is returned when a frame can only be found through a
// register whose value was lost.
var ErrUnknownRegister = errors.New("the frame register's value is not known")

// Step changes ctx from a frame to its caller. t is the function table of the
// image that holds rip, nil when there is none. On error ctx is as it was.
//
// The rules are those of "x64 exception handling" in Microsoft's documentation of
// the x64 software conventions: an epilog is told by decoding forward from rip, a
// prolog that is not finished is undone as far as it ran. Registers that cannot
// be restored because their slot is unreadable become Unknown; only what rip and
// rsp depend on fails the step.
func Step(ctx *Context, mem memory.Space, t *FunctionTable) (StepResult, error) {
	s := steppers.Get().(*stepper)
	defer steppers.Put(s)
	s.ctx, s.mem, s.table, s.res = *ctx, mem, t, StepResult{}
	err := s.step()
	if err == nil {
		*ctx = s.ctx
	}
	res := s.res
	s.mem, s.table, s.res = nil, nil, StepResult{}
	return res, err
}

// steppers are kept because a step needs little more than the memory for one.
var steppers = sync.Pool{New: func() any { return new(stepper) }}

type stepper struct {
	ctx   Context
	mem   memory.Space
	table *FunctionTable
	res   StepResult

	// Buffers that reads fill: one allocation a step instead of one a read.
	word [8]byte
	code [epilogWindow]byte
}

func (s *stepper) read8(at uint64) (uint64, error) {
	if _, err := s.mem.Read(at, s.word[:]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(s.word[:]), nil
}

// A fragment is an entry with its unwind data. That of a function whose code is
// in several places continues that of other entries.
type fragment struct {
	f RuntimeFunction
	u *UnwindInfo
}

func (s *stepper) step() error {
	var buf [4]fragment
	rva, chain := s.lookup(buf[:0])
	if len(chain) == 0 {
		s.res.Rule = RuleLeaf
		s.res.EstablisherFrame = s.ctx.SP()
		return s.ret(0)
	}
	f, u := chain[0].f, chain[0].u
	s.res.Rule, s.res.Function, s.res.Info = RulePData, f, u
	offset := rva - f.Begin
	s.res.InProlog = offset < uint32(u.PrologSize)
	if err := s.establish(u, offset); err != nil {
		return err
	}
	if !s.res.InProlog {
		if e, ok := s.epilog(rva, f, u); ok {
			s.res.InEpilog = true
			return s.runEpilog(e)
		}
	}
	return s.undo(rva, chain)
}

// lookup finds the unwind data for rip, with all that it continues. There is none
// for a leaf function, or when it is unreadable or damaged, as DataErr then says.
func (s *stepper) lookup(chain []fragment) (rva uint32, _ []fragment) {
	if s.table == nil || s.ctx.RIP < s.table.base || s.ctx.RIP-s.table.base > 0xffffffff {
		return 0, nil
	}
	rva = uint32(s.ctx.RIP - s.table.base)
	f, ok, err := s.table.Lookup(rva)
	for err == nil && ok {
		var u *UnwindInfo
		if u, err = s.table.Info(f); err != nil {
			break
		}
		if chain = append(chain, fragment{f, u}); u.Flags&UnwindChained == 0 {
			return rva, chain
		}
		if len(chain) > maxChain {
			err = &UnwindFormatError{f.UnwindData, fmt.Sprintf("more than %d chained entries", maxChain)}
			break
		}
		f, err = s.table.resolve(u.Chained)
	}
	s.res.DataErr = err
	return rva, nil
}

// establish computes the base that registers were saved relative to.
func (s *stepper) establish(u *UnwindInfo, offset uint32) error {
	s.res.EstablisherFrame = s.ctx.SP()
	if u.FrameRegister == 0 {
		return nil
	}
	set := !s.res.InProlog || u.Flags&UnwindChained != 0
	for _, c := range u.Codes {
		if c.Op == OpSetFPReg && uint32(c.PrologOffset) <= offset {
			set = true
		}
	}
	if !set {
		return nil
	}
	if s.ctx.Unknown>>u.FrameRegister&1 != 0 {
		return fmt.Errorf("frame of the function at RVA %#x: %w", s.res.Function.Begin, ErrUnknownRegister)
	}
	s.res.EstablisherFrame = s.ctx.GPR[u.FrameRegister] - uint64(u.FrameOffset)
	return nil
}

// undo reverses the prolog, that of the first entry as far as it ran and those it
// continues completely.
func (s *stepper) undo(rva uint32, chain []fragment) error {
	for _, p := range chain {
		for _, c := range p.u.Codes {
			// Of a chained entry rva lies behind the prolog, or before its start:
			// the difference wraps and is large.
			if c.Op != OpEpilog && rva-p.f.Begin < uint32(c.PrologOffset) {
				continue
			}
			if err := s.undoCode(p.u, c); err != nil {
				return err
			}
		}
	}
	if s.res.Rule == RuleMachineFrame {
		return nil
	}
	return s.ret(0)
}

func (s *stepper) undoCode(u *UnwindInfo, c UnwindCode) error {
	switch c.Op {
	case OpPushNonvol:
		s.pop(c.Info)
	case OpAllocLarge, OpAllocSmall:
		s.ctx.GPR[RSP] += uint64(c.Value)
	case OpSetFPReg:
		if s.ctx.Unknown>>u.FrameRegister&1 != 0 {
			return fmt.Errorf("frame of the function at RVA %#x: %w", s.res.Function.Begin, ErrUnknownRegister)
		}
		s.ctx.GPR[RSP] = s.ctx.GPR[u.FrameRegister] - uint64(u.FrameOffset)
	case OpSaveNonvol, OpSaveNonvolFar:
		s.restore(c.Info, s.res.EstablisherFrame+uint64(c.Value))
	case OpSaveXMM128, OpSaveXMM128Far:
		var b [16]byte
		if _, err := s.mem.Read(s.res.EstablisherFrame+uint64(c.Value), b[:]); err == nil {
			s.ctx.XMM[c.Info] = b
		}
	case OpPushMachFrame:
		return s.machineFrame(c.Info != 0)
	}
	return nil
}

// machineFrame leaves a frame that the processor pushed: [error code,] rip, cs,
// rflags, rsp, ss.
func (s *stepper) machineFrame(errorCode bool) error {
	at := s.ctx.SP()
	if errorCode {
		at += 8
	}
	var v [5]uint64
	for i := range v {
		var err error
		if v[i], err = s.read8(at + uint64(i)*8); err != nil {
			return fmt.Errorf("machine frame: %w", err)
		}
	}
	s.res.Rule, s.res.MachineFrame, s.res.ErrorCode = RuleMachineFrame, at, errorCode
	s.res.ReturnSlot = at
	s.ctx.RIP, s.ctx.CS, s.ctx.EFlags = v[0], uint16(v[1]), uint32(v[2])
	s.ctx.GPR[RSP], s.ctx.SS = v[3], uint16(v[4])
	return nil
}

// restore reads a general register from its slot.
func (s *stepper) restore(reg uint8, at uint64) {
	v, err := s.read8(at)
	if err != nil {
		s.ctx.Unknown |= 1 << reg
		return
	}
	s.ctx.GPR[reg] = v
	s.ctx.Unknown &^= 1 << reg
	s.res.SavedAt[reg] = at
}

func (s *stepper) pop(reg uint8) {
	sp := s.ctx.SP()
	s.restore(reg, sp)
	s.ctx.GPR[RSP] = sp + 8
}

// ret does what the instruction does; extra bytes of arguments go, too.
func (s *stepper) ret(extra uint64) error {
	sp := s.ctx.SP()
	v, err := s.read8(sp)
	if err != nil {
		return fmt.Errorf("return address: %w", err)
	}
	s.res.ReturnSlot = sp
	s.ctx.RIP = v
	s.ctx.GPR[RSP] = sp + 8 + extra
	return nil
}
