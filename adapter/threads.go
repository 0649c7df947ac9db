package adapter

import (
	"fmt"

	"github.com/google/go-dap"

	"kdap/session"
)

func onThreads(a *Adapter, c *call, _ struct{}) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	b := dap.ThreadsResponseBody{Threads: []dap.Thread{}}
	for _, g := range s.Groups() {
		for _, t := range g.Threads {
			b.Threads = append(b.Threads, dap.Thread{Id: t.ID, Name: t.Name})
		}
	}
	return b, nil
}

func onStackTrace(a *Adapter, c *call, args dap.StackTraceArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	st, err := s.Stack(c.ctx, args.ThreadId)
	if err != nil {
		return nil, err
	}
	from := min(max(args.StartFrame, 0), len(st.Frames))
	to := len(st.Frames)
	if args.Levels > 0 {
		to = min(to, from+args.Levels)
	}
	b := dap.StackTraceResponseBody{StackFrames: []dap.StackFrame{}, TotalFrames: len(st.Frames)}
	for _, f := range st.Frames[from:to] {
		b.StackFrames = append(b.StackFrames, a.stackFrame(f))
	}
	return b, nil
}

func (a *Adapter) stackFrame(f session.Frame) dap.StackFrame {
	out := dap.StackFrame{Id: f.ID, Name: session.Visible(f.Name)}
	switch f.Kind {
	case session.Note:
		out.PresentationHint = "label"
		return out
	case session.NoStack:
		out.Source, out.Line, out.Column = source(f.Source), a.line(f.Line), a.column(1)
		return out
	}
	out.InstructionPointerReference = fmt.Sprintf("%#x", f.IP)
	out.Source, out.Line, out.Column = source(f.Source), a.line(f.Line), a.column(1)
	if f.Module != 0 {
		out.ModuleId = f.Module.String()
	}
	return out
}

// line and column convert what begins at 1 to what the client counts.
func (a *Adapter) line(n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client.zeroLines {
		return n - 1
	}
	return n
}

func (a *Adapter) column(n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client.zeroColumns {
		return n - 1
	}
	return n
}
