package command

import (
	"context"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// scope is what is current. The debugger keeps three contexts apart: the
// process (page tables and user modules), the registers (what r, k and $ip
// use) and the frame (for variables). Setting the registers puts the frame
// back to 0; setting the process touches neither.
type scope struct {
	cpu     int             // current processor
	process windows.Process // $proc
	thread  windows.Thread  // $thread
	regs    *amd64.Context  // nil when they cannot be read: regsErr
	regsErr error
	set     bool // the registers were set by .thread, .trap, .cxr or .frame /c

	frame frameScope
}

// frameScope is the chosen frame.
type frameScope struct {
	number int
	base   int            // number that the register context stands for (.frame /c)
	regs   *amd64.Context // of the frame; nil means those of the register context
}

// resetScope goes back to the crashing processor, its thread and process.
func (s *Session) resetScope() { s.switchProcessor(s.sys.CrashProcessor()) }

// switchProcessor makes processor n current, with its registers, thread and
// the process that thread runs in.
func (s *Session) switchProcessor(n int) {
	s.scope = scope{cpu: n}
	s.scope.thread, s.scope.process = s.processorThread(n)
	s.resetRegisters()
}

// processorThread returns the thread that runs on processor n and the process
// it runs in.
func (s *Session) processorThread(n int) (t windows.Thread, p windows.Process) {
	addr, err := s.sys.CurrentThread(n)
	if err != nil {
		return t, p
	}
	t = s.sys.Thread(addr)
	if owner, err := t.AttachedProcess(); err == nil {
		p = owner
	}
	return t, p
}

// resetRegisters drops a set register context.
func (s *Session) resetRegisters() {
	s.scope.regs, s.scope.regsErr = s.sys.CrashRegisters(s.scope.cpu)
	s.scope.set = false
	s.scope.frame = frameScope{}
}

// setRegisters makes regs the register context.
func (s *Session) setRegisters(regs *amd64.Context) {
	s.scope.regs, s.scope.regsErr = regs, nil
	s.scope.set = true
	s.scope.frame = frameScope{}
}

// setProcess makes p the process context; registers and frame stay.
func (s *Session) setProcess(p windows.Process) { s.scope.process = p }

// space is the memory that commands read: the process context's.
func (s *Session) space() memory.Space {
	if s.scope.process.Addr() == 0 {
		return s.sys.Kernel()
	}
	space, err := s.scope.process.Space()
	if err != nil {
		return s.sys.Kernel()
	}
	return space
}

// frameRegs returns the registers of the chosen frame.
func (s *Session) frameRegs() (*amd64.Context, error) {
	if s.scope.frame.regs != nil {
		return s.scope.frame.regs, nil
	}
	return s.scope.regs, s.scope.regsErr
}

// moduleSet returns the modules that addresses of the session are looked up
// in: the kernel's and those user modules that were loaded.
func (s *Session) moduleSet(ctx context.Context) *windows.ModuleSet { return s.modules.set(ctx, s) }
