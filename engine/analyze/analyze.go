// Package analyze explains a crash: what the bug check says, which stack shows
// it, and which code is to be blamed and why.
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
	"strings"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/bugcheck"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// A BugCheck is what is known of a code with its parameters.
type BugCheck struct {
	Code        uint32 // as the dump has it
	Name        string
	Description []string
	Args        [4]Arg
}

// An Arg is a parameter with its meaning, "" where none is known.
type Arg struct {
	Value   uint64
	Meaning string
}

// markOfMinidumps is set in the codes that some dumps hold for those without it.
const markOfMinidumps = 0x10000000

// Plain is the code without the mark that minidumps add.
func (b BugCheck) Plain() uint32 { return b.Code &^ markOfMinidumps }

// Deliberate tells that a person asked for the crash, so that its context does
// not show what was wrong.
func (b BugCheck) Deliberate() bool {
	return b.Plain() == bugcheck.Manual || b.Plain() == powerButtonHold
}

const powerButtonHold = 0x1c8

// Recorded tells that the dump was made by a bug check, not by a tool of a
// running system.
func (b BugCheck) Recorded() bool {
	return b.Code != 0 && b.Code != bugcheck.Live && b.Code != bugcheck.DumpIt
}

// Describe says what a code with its parameters means.
func Describe(code uint32, params [4]uint64) BugCheck {
	b := BugCheck{Code: code, Name: bugcheck.Name(code)}
	known, _ := bugcheck.Lookup(code)
	if plain, ok := bugcheck.Lookup(b.Plain()); ok {
		b.Name, known = plain.Name, plain
	}
	b.Description = descriptions[b.Plain()]
	for i, v := range params {
		b.Args[i].Value = v
		if i < len(known.Params) && meaningful(known.Params[i]) {
			b.Args[i].Meaning = known.Params[i]
		}
	}
	return b
}

// meaningful reports whether a parameter's text says more than that it has no
// meaning.
func meaningful(text string) bool { return text != "0" && !strings.HasPrefix(text, "reserved") }

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
	Registers arch.Registers // that the stack begins with, nil without
	Context   uint64         // address of the record they are from, 0 for the processor's own
	TrapFrame uint64         // of the code that was interrupted by the fault, 0 for none
	Frames    []Frame
	StackErr  error // why the stack is missing or ends early

	Blamed int    // index in Frames, -1 for none
	Why    string // why that frame, or why none
	Sure   bool   // false: the frame is only what is left

	Bucket string
	Next   []string // commands worth running next, with what they tell
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
	r := &Report{BugCheck: Describe(code, params), Blamed: -1}
	r.findRegisters(sys, space)
	if r.Registers != nil {
		st := sys.Walk(ctx, windows.Walk{Regs: r.Registers, Space: space, Modules: modules, Limit: maxFrames})
		r.StackErr = st.Ended
		for _, f := range st.Frames {
			r.Frames = append(r.Frames, named(ctx, f))
		}
	}
	r.blame()
	r.Bucket = r.bucket()
	r.Next = nextSteps(r.BugCheck)
	return r
}

// named adds the names of a frame's place.
func named(ctx context.Context, f windows.Frame) Frame {
	n := Frame{Frame: f}
	if f.Module == nil {
		return n
	}
	p := f.Module.SymbolAt(ctx, f.IP)
	n.Module, n.Image, n.Function, n.Offset = f.Module.Name, f.Module.ImageName, p.Name, p.Offset
	return n
}

// findRegisters finds where the stack that shows the crash begins: the context
// record that the bug check names, else the crashing processor.
func (r *Report) findRegisters(sys *windows.System, space memory.Space) {
	if i, ok := contextParameter[r.Plain()]; ok && r.Args[i].Value != 0 {
		at := r.Args[i].Value
		b, err := memory.ReadBytes(space, at, amd64.ContextSize)
		if err == nil {
			var c *amd64.Context
			if c, err = amd64.ParseContext(b); err == nil {
				r.Registers, r.Context = c, at
				return
			}
		}
		r.StackErr = fmt.Errorf("context record at %#x: %w", at, err)
	}
	regs, err := sys.StopRegisters(sys.CrashStop())
	if err != nil {
		r.StackErr = err
		return
	}
	r.Registers = regs
}
