package x86

import (
	"errors"
	"fmt"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/pdb"
)

// 32-bit images have no unwind data. How a function keeps its frame stands in
// the PDB: as a program over the registers (frame data), or as the sizes of
// what lies between the stack pointer and the return address (FPO_DATA of
// winnt.h). Without either, ebp is taken to link the frames, and where it leads
// nowhere the stack is searched for a return address.

// A Rule says how a frame's caller was found.
type Rule uint8

// The ways out of a frame.
const (
	FrameData    Rule = iota + 1 // by a program of the PDB
	FPO                          // by FPO_DATA
	FramePointer                 // ebp links the frames
	Leaf                         // the return address is on top, or as far below it as the prolog pushed
	Scan                         // the first return address on the stack
)

func (r Rule) String() string {
	switch r {
	case FrameData, FPO:
		return "fpo"
	case FramePointer:
		return "frame-pointer"
	case Leaf:
		return "leaf"
	case Scan:
		return "scan"
	}
	return ""
}

// Info is what symbols tell about the code of a frame.
type Info struct {
	Data *pdb.FrameData
	FPO  *pdb.FPO
	// Function and Piece are addresses: of the function, 0 when it is not known,
	// and of the code that Data or FPO describe.
	Function, Piece uint64
}

// Params returns how many bytes of parameters the function takes.
func (i Info) Params() (uint32, bool) {
	switch {
	case i.Data != nil:
		return i.Data.Params, true
	case i.FPO != nil:
		return i.FPO.Params, true
	}
	return 0, false
}

// A Stepper leaves frames.
type Stepper struct {
	Memory memory.Space
	// Returns tells whether an address can be one that a call returns to.
	Returns func(va uint64) bool
}

// A Step is how one frame was left.
type Step struct {
	Rule     Rule
	ReturnAt uint64 // where the return address lies
}

const word = 4

// maxScan is how many words of a stack are searched for a return address.
const maxScan = 128

// maxParams bounds what symbols may say about parameters and locals: the size
// of the largest stack that is sensible.
const maxParams = 16 << 20

var errNoCaller = errors.New("no return address was found")

// Step changes regs to those of the caller. innermost tells that the frame was
// stopped anywhere, not in a call; callee is how many bytes of parameters the
// function that it called takes, which lie on top of its stack.
func (s *Stepper) Step(regs *Context, info Info, innermost bool, callee uint32) (Step, error) {
	start := *regs
	if innermost {
		if at, ebp, ok := s.early(regs, info); ok {
			return s.leaveAt(regs, Leaf, at, ebp)
		}
	}
	if callee > maxParams {
		callee = 0
	}
	if info.Data != nil && info.Data.Program != "" {
		step, err := s.runProgram(regs, info.Data, callee)
		if err == nil {
			return step, nil
		}
		*regs = start
	}
	if info.FPO != nil && info.FPO.FrameType == fpoFrame && info.FPO.Locals < maxParams {
		if step, err := s.leaveFPO(regs, info.FPO, callee); err == nil {
			return step, nil
		}
		*regs = start
	}
	return s.guess(regs, info, callee)
}

// fpoFrame is the FrameType of a function without a frame pointer.
const fpoFrame = 0

func (s *Stepper) load(addr uint32) (uint32, error) {
	v, err := memory.ReadUint(s.Memory, uint64(addr), word)
	return uint32(v), err
}

// runProgram leaves a frame by its program.
func (s *Stepper) runProgram(regs *Context, d *pdb.FrameData, callee uint32) (Step, error) {
	names := map[string]int{
		"$eax": amd64.RAX, "$ecx": amd64.RCX, "$edx": amd64.RDX, "$ebx": amd64.RBX,
		"$esp": amd64.RSP, "$ebp": amd64.RBP, "$esi": amd64.RSI, "$edi": amd64.RDI,
	}
	at := uint32(0)
	p := program{vars: map[string]uint32{"$eip": uint32(regs.RIP)}, load: func(addr uint32) (uint32, error) {
		at = addr
		return s.load(addr)
	}}
	for name, r := range names {
		p.vars[name] = uint32(regs.GPR[r])
	}
	esp := uint32(regs.GPR[amd64.RSP])
	begin := esp + callee + d.Locals + uint32(d.SavedRegs)
	p.constant = func(name string) (uint32, error) {
		switch name {
		case ".raSearchStart":
			return begin, nil
		case ".raSearch":
			return s.search(begin, callee)
		case ".cbLocals":
			return d.Locals, nil
		case ".cbParams":
			return d.Params, nil
		case ".cbSavedRegs":
			return uint32(d.SavedRegs), nil
		case ".cbCalleeParams":
			return callee, nil
		}
		return 0, fmt.Errorf("%w: %s is not known", errProgram, name)
	}
	if err := p.run(d.Program); err != nil {
		return Step{}, err
	}
	if p.vars["$esp"] <= esp {
		return Step{}, errNotUp
	}
	eip := p.vars["$eip"]
	if !s.returns(eip) {
		return Step{}, errNoCaller
	}
	regs.RIP = uint64(eip)
	for name, r := range names {
		regs.GPR[r] = uint64(p.vars[name])
	}
	if ret := p.vars["$esp"] - word; ret != 0 {
		at = ret
	}
	return Step{Rule: FrameData, ReturnAt: uint64(at)}, nil
}

var errNotUp = errors.New("the chain of frames does not lead up the stack")

// returns tells whether a frame may return to eip: to code behind a call, or to
// 0, where stacks end.
func (s *Stepper) returns(eip uint32) bool { return eip == 0 || s.Returns(uint64(eip)) }

// search returns where the first return address from at on lies. Some compilers
// count the parameters of a call among the locals: then it is callee bytes lower.
func (s *Stepper) search(at, callee uint32) (uint32, error) {
	for _, exact := range []uint32{at, at - callee} {
		if v, err := s.load(exact); err == nil && v != 0 && s.Returns(uint64(v)) {
			return exact, nil
		}
	}
	for i := range uint32(maxScan) {
		v, err := s.load(at + word*i)
		if err != nil {
			return 0, err
		}
		if v != 0 && s.Returns(uint64(v)) {
			return at + word*i, nil
		}
	}
	// Where stacks end there is none; the place itself says so.
	if v, err := s.load(at); err == nil && v == 0 {
		return at, nil
	}
	return 0, errNoCaller
}

// leaveFPO leaves a frame by FPO_DATA: above the parameters of what it called
// lie the saved registers, the locals and the return address.
func (s *Stepper) leaveFPO(regs *Context, f *pdb.FPO, callee uint32) (Step, error) {
	saved := uint32(f.SavedRegs) * word
	at, err := s.search(uint32(regs.GPR[amd64.RSP])+callee+f.Locals+saved, callee)
	if err != nil {
		return Step{}, err
	}
	ebp := uint64(0)
	if f.UsesBP && saved >= word {
		// The compiler pushes ebx, ebp, esi, edi in this order, behind the locals.
		ebp = uint64(at - f.Locals - min(saved, 2*word))
	}
	return s.leaveAt(regs, FPO, uint64(at), ebp)
}

// leaveAt takes the return address from at, and ebp from where it was saved
// unless that is 0.
func (s *Stepper) leaveAt(regs *Context, rule Rule, at, saved uint64) (Step, error) {
	ret, err := memory.ReadUint(s.Memory, at, word)
	if err != nil {
		return Step{Rule: rule}, err
	}
	if saved != 0 {
		if regs.GPR[amd64.RBP], err = memory.ReadUint(s.Memory, saved, word); err != nil {
			return Step{Rule: rule}, err
		}
	}
	regs.RIP, regs.GPR[amd64.RSP] = ret, (at+word)&0xffffffff
	return Step{Rule: rule, ReturnAt: at}, nil
}

// guess leaves a frame that symbols tell nothing about.
func (s *Stepper) guess(regs *Context, info Info, callee uint32) (Step, error) {
	esp, ebp := regs.GPR[amd64.RSP], regs.GPR[amd64.RBP]
	var ret uint64
	err := errNoCaller
	linked := ebp != 0 && ebp+word >= esp
	if linked {
		ret, err = memory.ReadUint(s.Memory, ebp+word, word)
		if err == nil && s.returns(uint32(ret)) {
			return s.leaveAt(regs, FramePointer, ebp+word, ebp)
		}
	}
	if info.Function != 0 || s.Returns(regs.RIP) {
		if at, serr := s.search(uint32(esp)+callee, callee); serr == nil {
			return s.leaveAt(regs, Scan, uint64(at), 0)
		}
	}
	if linked && err == nil { // code that is in no module
		return s.leaveAt(regs, FramePointer, ebp+word, ebp)
	}
	return Step{}, err
}
