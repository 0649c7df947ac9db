// Package analyze explains a crash: what the bug check says, which stack shows
// it, which code is to be blamed and why; and of a system that hangs, who waits
// for whom.
//
// Bug checks and the meaning of their parameters follow Microsoft's public
// reference (package bugcheck); the choice of stack and frame follows the
// practice that the same reference describes: go past the code that handles
// crashes, then past the parts of Windows that run other people's code. Where
// that leaves nothing but the kernel itself the report says that no culprit
// was found. It never guesses a driver from memory that merely lies about.
//
// A Report holds values; commands and services print them.
package analyze

import (
	"context"
	"fmt"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/whea"
	"kdap/engine/windows"
)

// A Frame is a frame of the stack that shows the crash.
type Frame struct {
	windows.Frame
	Module, Image    string // "" in no module
	Function         string // "" without symbols
	Offset           uint64 // in the function, else in the module
	Machinery        bool   // the frame belongs to the handling of the crash
	PassesOthersCode bool   // a part of Windows that calls drivers
}

// Symbol spells the frame's place: "mod!Func+1a", "mod+3b8e", without 0x.
func (f Frame) Symbol() string {
	name := f.Module
	if f.Function != "" {
		name += "!" + f.Function
	}
	if f.Offset == 0 {
		return name
	}
	return fmt.Sprintf("%s+%x", name, f.Offset)
}

// A Report is the explanation of a crash.
type Report struct {
	BugCheck
	Details   []Detail       // more facts, in the order in which they are shown
	Exception *Exception     // nil for none
	Registers arch.Registers // that the stack begins with, nil without
	Context   uint64         // address of the record they are from, 0 for another source
	TrapFrame uint64         // of the code that was interrupted by the fault, 0 for none
	FromTrap  bool           // the stack begins with the registers of TrapFrame
	Thread    uint64         // whose stack it is, 0 for the current one
	Processor int            // whose stack it is, -1 for the crashing one
	FaultIP   uint64         // the instruction at fault, 0 where that is not known
	Frames    []Frame
	StackErr  error   // why the stack is missing or ends early
	Missing   []error // what else could not be read

	Blamed int    // index in Frames, -1 for none
	Why    string // why that frame, or why none
	Sure   bool   // false: the frame is only what is left

	Critical      string // the process that the system cannot run without
	ExitStatus    uint32
	Unloaded      string // the driver that memory was touched of after it was unloaded
	PoolTag       string
	ErrorRecord   *whea.Record
	StackOverflow bool

	Bucket string
	Next   []string // commands worth running next, with what they tell

	trapRegisters *amd64.Context
	suspect       uint64 // address of code that is to be blamed without a frame
	suspectWhy    string
	suspectFirst  bool   // it comes before the frames of the stack
	culprit       *Frame // not in Frames
	hardware      bool   // no code is to be blamed
	threadWhy     string // why the stack of Thread
	elsewhereOf   string // whose the stack is, where it does not show the cause
}

// maxFrames is how much of a stack is looked at.
const maxFrames = 256

// Code returns the bug check of the dump: the kernel's own record where it can
// be read and differs from the header, which tools may have changed.
func Code(sys *windows.System) (code uint32, params [4]uint64) {
	b := sys.BugCheck()
	code, params = b.Code, b.Params
	at, err := sys.Symbol("KiBugCheckData")
	if err != nil {
		return code, params
	}
	var own [5]uint64
	for i := range own {
		if own[i], err = memory.ReadUint(sys.Kernel(), at+8*uint64(i), 8); err != nil {
			return code, params
		}
	}
	if own[0] == 0 || own[0]>>32 != 0 || uint32(own[0]) == code&^markOfMinidumps {
		return code, params
	}
	return uint32(own[0]), [4]uint64(own[1:])
}

// New explains the crash of a system. modules are those that name the stack's
// addresses; they may be the crashing process's.
func New(ctx context.Context, sys *windows.System, space memory.Space, modules *windows.ModuleSet) *Report {
	code, params := Code(sys)
	return explain(ctx, sys, space, modules, code, params)
}

// explain explains a crash with a code and parameters.
func explain(ctx context.Context, sys *windows.System, space memory.Space, modules *windows.ModuleSet, code uint32, params [4]uint64) *Report {
	r := &Report{BugCheck: Describe(code, params), Blamed: -1, Processor: -1}
	x := &examiner{ctx, sys, space, modules, r}
	x.run()
	x.examineException()
	x.walk()
	x.blame()
	r.Bucket = r.bucket()
	r.Next = nextSteps(r)
	return r
}

// walk walks the stack that shows the crash: from the context record that the
// bug check names or the thread or processor it is about, else the crashing
// processor's. Where that does not lead to the code that was interrupted, the
// trap frame that the bug check names begins it.
func (x *examiner) walk() {
	r := x.r
	if r.Registers == nil {
		regs, err := x.sys.StopRegisters(x.sys.CrashStop())
		if err != nil {
			r.StackErr = err
		} else {
			r.Registers = regs
		}
	}
	if r.Registers != nil {
		x.walkFrom(r.Registers)
	}
	if r.trapRegisters == nil || r.Context != 0 {
		return
	}
	for _, f := range r.Frames {
		if f.Kind == windows.TrapFrame && f.Trap == r.TrapFrame {
			return
		}
	}
	r.Registers, r.FromTrap = r.trapRegisters, true
	x.walkFrom(r.trapRegisters)
}

func (x *examiner) walkFrom(regs arch.Registers) {
	w := windows.Walk{Regs: regs, Space: x.space, Modules: x.modules, Limit: maxFrames}
	if x.r.Thread != 0 {
		if p, err := x.sys.Thread(x.r.Thread).Process(); err == nil {
			if space, err := p.Space(); err == nil {
				w.Space, w.Modules = space, p.Modules(x.ctx)
			}
		}
	}
	st := x.sys.Walk(x.ctx, w)
	x.r.StackErr, x.r.Frames = st.Ended, nil
	for _, f := range st.Frames {
		x.r.Frames = append(x.r.Frames, x.named(f))
	}
}

// named adds the names of a frame's place.
func (x *examiner) named(f windows.Frame) Frame {
	n := Frame{Frame: f}
	if f.Module == nil {
		if d, ok := x.unloaded(f.IP); ok {
			n.Module, n.Image, n.Offset = "Unloaded_"+d.Name, d.Name, f.IP-d.Start
			x.r.Unloaded = d.Name
		}
		return n
	}
	n.Module, n.Image, n.Offset = f.Module.Name, f.Module.ImageName, f.IP-f.Module.Base
	if p := f.Module.SymbolAt(x.ctx, f.IP); p.Name != "" && !p.Outside && f.IP != f.Module.Base {
		n.Function, n.Offset = p.Name, p.Offset
	}
	return n
}
