package command

import (
	"context"
	"errors"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/arch/x86"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// scope is what is current. The debugger keeps three contexts apart: the
// process (page tables and user modules), the registers (what r, k and $ip
// use) and the frame (for variables). Setting the registers puts the frame
// back to 0; setting the process touches neither.
type scope struct {
	cpu     int             // current processor; thread of a user minidump
	process windows.Process // $proc
	thread  windows.Thread  // $thread

	// memory is the process whose page tables are used: that of the process
	// context until a command ran on another processor. dtb, when set, is what
	// .context chose instead.
	memory windows.Process
	dtb    *uint64

	regs    arch.Registers // nil when they cannot be read: regsErr
	regsErr error
	set     bool // the registers were set by .thread, .trap, .cxr or .frame /c
	foreign bool // a command runs on another processor for once
	ofOther bool // the registers were set by .trap or .cxr: they need not be the thread's

	// wide are the thread's 64-bit registers while those of its 32-bit code are
	// the context.
	wide arch.Registers

	// own are the current processor's registers with what r changed in them,
	// kept while a context is set. special are changed control registers.
	own     arch.Registers
	special map[string]uint64

	base  int // number of the frame that the register context stands for
	frame frameScope
}

// frameScope is the chosen frame.
type frameScope struct {
	number int            // counted from the register context's, scope.base
	walked *windows.Frame // nil until a frame was chosen: the register context itself

	inlined int // of the functions inlined at the frame's address, the chosen one counted from the outermost; 0 for the function itself
}

// resetScope goes back to the crashing processor, its thread and process.
func (s *Session) resetScope() { s.switchProcessor(s.sys.CrashStop()) }

// switchProcessor makes processor n current, with its registers, thread and
// the process that thread runs in.
func (s *Session) switchProcessor(n int) {
	s.scope = scope{cpu: n}
	s.scope.thread, s.scope.process = s.processorThread(n)
	s.scope.memory = s.scope.process
	s.resetRegisters()
}

// processorThread returns the thread that runs on processor n and the process
// it runs in. Those that the dump does not tell have address 0.
func (s *Session) processorThread(n int) (t windows.Thread, p windows.Process) {
	addr, err := s.sys.StopThread(n)
	if err != nil {
		return s.sys.Thread(0), s.sys.Process(0)
	}
	t = s.sys.Thread(addr)
	if p, err = t.AttachedProcess(); err != nil {
		p = s.sys.Process(0)
	}
	return t, p
}

// resetRegisters drops a set register context.
func (s *Session) resetRegisters() {
	if s.scope.own != nil {
		s.scope.regs, s.scope.regsErr = s.scope.own, nil
	} else {
		s.scope.regs, s.scope.regsErr = s.sys.StopRegisters(s.scope.cpu)
	}
	s.scope.set, s.scope.ofOther, s.scope.wide = false, false, nil
	s.scope.base, s.scope.frame = 0, frameScope{}
}

// setRegisters makes regs the register context.
func (s *Session) setRegisters(regs arch.Registers) {
	s.scope.regs, s.scope.regsErr = regs, nil
	s.scope.set, s.scope.ofOther, s.scope.wide = true, true, nil
	s.scope.base, s.scope.frame = 0, frameScope{}
	s.code.next = nil // u begins at the new instruction
}

// setProcess makes p the process context; registers and frame stay.
func (s *Session) setProcess(p windows.Process) {
	s.scope.process, s.scope.memory, s.scope.dtb = p, p, nil
}

// space is the memory that commands read: the process context's.
func (s *Session) space() memory.Space {
	if s.scope.dtb != nil && s.sys.Paged() {
		return s.sys.TablesAt(*s.scope.dtb)
	}
	if s.scope.memory.Addr() == 0 {
		return s.sys.Kernel()
	}
	space, err := s.scope.memory.Space()
	if err != nil {
		return s.sys.Kernel()
	}
	return space
}

// frameRegs returns the registers of the chosen frame.
func (s *Session) frameRegs() (arch.Registers, error) {
	f := s.scope.frame.walked
	if s.scope.regs == nil {
		return nil, errors.Join(errNoRegisters, s.scope.regsErr)
	}
	if f == nil {
		return s.scope.regs, nil
	}
	regs, o := f.Context(), amd64Part(s.scope.regs)
	if regs == nil || o == nil || f.X86 != nil {
		return f.Registers(), nil
	}
	// Flags and segments are not followed through frames.
	regs.EFlags, regs.CS, regs.SS = o.EFlags, o.CS, o.SS
	regs.DS, regs.ES, regs.FS, regs.GS = o.DS, o.ES, o.FS, o.GS
	return regs, nil
}

// amd64Part returns registers as those of a 64-bit processor, which 32-bit code
// uses a part of; nil for those of other machines.
func amd64Part(regs arch.Registers) *amd64.Context {
	switch c := regs.(type) {
	case *amd64.Context:
		return c
	case *x86.Context:
		return &c.Context
	}
	return nil
}

// x86Code tells registers of 32-bit code.
func x86Code(regs arch.Registers) bool {
	_, ok := regs.(*x86.Context)
	return ok
}

// moduleSet returns the modules that addresses of the session are looked up
// in: the kernel's and those user modules that were loaded.
func (s *Session) moduleSet(ctx context.Context) *windows.ModuleSet { return s.modules.set(ctx, s) }
