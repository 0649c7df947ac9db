package list

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/windows"
)

// A Stack is an entry of the kind "stacks".
type Stack struct {
	PID     *uint64 `json:"pid,omitempty"`
	TID     *uint64 `json:"tid,omitempty"`
	ETHREAD Hex     `json:"ethread,omitzero"` // absent in user minidumps
	Frames  []Frame `json:"frames"`           // from the innermost
	Ended   string  `json:"ended,omitempty"`  // why the walk stopped, when not at its natural end
}

// A Frame is one frame of a stack.
type Frame struct {
	Index  int    `json:"index"`
	SP     Hex    `json:"sp"`     // stack pointer
	IP     Hex    `json:"ip"`     // instruction
	Return Hex    `json:"return"` // where its caller goes on
	Module string `json:"module,omitempty"`
	Symbol string `json:"symbol,omitempty"` // without the module
	Offset *Hex   `json:"offset,omitempty"` // from the symbol, or from the module without one
	Kind   string `json:"kind"`             // "kernel", "trap" (entered by an interrupt, exception or system call), "user", "wow64", "inline"
	Source string `json:"source,omitempty"` // file
	Line   uint32 `json:"line,omitempty"`
	Unwind string `json:"unwind,omitempty"` // how its caller was found: "pdata", "leaf", "fpo", "frame-pointer", "scan" ...
}

// Stacks yields the stacks of the threads of the processes that keep accepts.
// A thread whose registers cannot be had yields a stack without frames that
// says why.
func Stacks(ctx context.Context, sys *windows.System, keep Filter) iter.Seq2[Stack, error] {
	return func(yield func(Stack, error) bool) {
		for t, err := range AllThreads(ctx, sys, keep) {
			if err != nil {
				if !yield(Stack{}, err) {
					return
				}
				continue
			}
			if !yield(NewStack(ctx, t, 0), nil) {
				return
			}
		}
	}
}

// NewStack walks the stack of one thread, at most limit frames (0 for all).
func NewStack(ctx context.Context, t OwnedThread, limit int) Stack {
	v := Stack{ETHREAD: Hex(t.Thread.Addr()), Frames: []Frame{}}
	if pid, err := t.Process.PID(); err == nil {
		v.PID = &pid
	}
	if tid, err := t.Thread.TID(); err == nil {
		v.TID = &tid
	}
	st, err := t.Thread.WholeStack(ctx, limit)
	v.fill(ctx, st, err)
	return v
}

// fill puts the frames of a walked stack in, and why it ended.
func (v *Stack) fill(ctx context.Context, st windows.Stack, err error) {
	if err == nil {
		err = st.Ended
	}
	if err != nil {
		v.Ended = err.Error()
	}
	for _, f := range st.Frames {
		v.Frames = append(v.Frames, NewFrames(ctx, f, len(v.Frames))...)
	}
}

// inlineFrame is the kind of a function that was inlined into a frame's own.
const inlineFrame = "inline"

// NewFrames gives a walked frame its names: the functions inlined at its
// address, the innermost first, then its own. They are numbered from index on.
func NewFrames(ctx context.Context, f windows.Frame, index int) []Frame {
	var all []Frame
	own := NewFrame(ctx, f)
	if f.Module != nil {
		for in := range f.Module.Inlined(f.Module.Symbols(ctx), f.IP) {
			v, off := own, Hex(in.Offset)
			v.Index, v.Kind = index+len(all), inlineFrame
			v.Symbol, v.Offset = in.Name, &off
			v.Source, v.Line, v.Unwind = in.File, in.Line, ""
			all = append(all, v)
		}
	}
	own.Index = index + len(all)
	return append(all, own)
}

// NewFrame gives a walked frame its names.
func NewFrame(ctx context.Context, f windows.Frame) Frame {
	v := Frame{
		Index: f.Index, SP: Hex(f.SP), IP: Hex(f.IP), Return: Hex(f.Return),
		Kind: string(f.Kind), Unwind: unwindName(f),
	}
	if f.Module == nil {
		return v
	}
	v.Module = f.Module.Name
	sym := f.Module.SymbolAt(ctx, f.IP)
	v.Symbol = sym.Name
	off := Hex(sym.Offset)
	v.Offset = &off
	v.Source, v.Line = sym.File, sym.Line
	return v
}

func unwindName(f windows.Frame) string {
	switch {
	case f.Guessed:
		return "scan"
	case f.X86 != nil:
		return f.X86.Rule.String()
	case f.Rule == 0:
		return ""
	case f.Kind == windows.TrapFrame:
		return "pdata" // a machine frame is told by unwind data
	}
	return fmt.Sprint(f.Rule)
}
