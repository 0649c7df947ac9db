package command

import (
	"context"
	"slices"

	"kdap/engine/expr"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// A Focus is what a session works on, for clients that show it elsewhere.
type Focus struct {
	Process windows.Process // the process context
	Thread  windows.Thread  // $thread
	CPU     int
	Frame   int // number of the chosen frame
}

// Focus returns what is current.
func (s *Session) Focus() Focus {
	return Focus{s.scope.process, s.scope.thread, s.scope.cpu, s.scope.base + s.scope.frame.number}
}

// A Row is one of those that a walked stack is shown by: a frame, or a function
// that was inlined where it stands.
type Row struct {
	Number  int // from the top
	Frame   int // index of the frame
	Inlined int // how deep below the frame's own function, 0 for that function
}

// SetFocus makes a thread current, with its owner's memory and user modules
// and the registers at frames[0], and chooses a row of its walked stack, as
// .process /p /r, .thread and .frame would; a thread that runs becomes current
// with its processor, as by ~Ns. A thread without frames leaves the session
// without registers, for the reason why.
func (s *Session) SetFocus(ctx context.Context, p windows.Process, t windows.Thread, frames []windows.Frame, row Row, why error) {
	s.catchUp(ctx)
	p = s.rebound(p)
	s.setMachine(ctx, s.ownMachine())
	if p.Addr() != s.scope.process.Addr() || s.modules.user == nil {
		s.modules.loadUser(ctx, p)
	}
	cpu, running := t.RunsOn(ctx)
	switch {
	case running:
		s.switchProcessor(cpu)
	case len(frames) > 0:
		s.setRegisters(frames[0].Registers())
	default:
		s.setRegisters(nil)
		s.scope.regsErr = why
	}
	s.scope.thread = s.sys.Thread(t.Addr())
	s.setProcess(p)
	s.chooseRow(frames, row)
}

// SetStop makes a stop current, as ~Ns does: a processor, or a thread of a user
// minidump; and chooses a row of its walked stack.
func (s *Session) SetStop(ctx context.Context, stop int, frames []windows.Frame, row Row) {
	s.catchUp(ctx)
	s.switchProcessor(stop)
	s.chooseRow(frames, row)
}

// chooseRow chooses a row of a walk from the register context; the first is
// chosen already.
func (s *Session) chooseRow(frames []windows.Frame, row Row) {
	if first := firstX86(frames); first > 0 && row.Frame >= first && row.Frame < len(frames) {
		// The 32-bit part of the stack: its code is meant from here on.
		s.scope.wide, s.scope.regs = s.scope.regs, frames[first].Registers()
		s.settings.machine = x86Machine
		s.scope.base = row.Number - (row.Frame - first)
		s.scope.frame = frameScope{number: row.Frame - first, walked: &frames[row.Frame], inlined: row.Inlined}
		return
	}
	if row.Number > 0 && row.Frame < len(frames) {
		s.scope.frame = frameScope{number: row.Number, walked: &frames[row.Frame], inlined: row.Inlined}
	}
}

// firstX86 is the index of the first frame of 32-bit code, -1 for none.
func firstX86(frames []windows.Frame) int {
	return slices.IndexFunc(frames, func(f windows.Frame) bool { return f.X86 != nil })
}

// Env shows the session to the evaluators, until the next command line runs.
func (s *Session) Env(ctx context.Context) expr.Env { return env{s, ctx} }

// Space is the memory that the session's commands read.
func (s *Session) Space() memory.Space { return s.space() }

// Modules are the modules that addresses of the session are looked up in.
func (s *Session) Modules(ctx context.Context) *windows.ModuleSet {
	s.catchUp(ctx)
	return s.moduleSet(ctx)
}
