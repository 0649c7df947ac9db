package command

import (
	"context"
	"errors"
	"iter"

	"kdap/engine/arch"
	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/model"
	"kdap/engine/windows"
)

// processList yields the processes in the order of the data model: the idle
// process, then the kernel's list. While the idle process is the session's own
// it comes twice.
func (h *modelHost) processList(ctx context.Context) iter.Seq2[windows.Process, error] {
	return func(yield func(windows.Process, error) bool) {
		if _, err := h.s.sys.Type("_EPROCESS"); err != nil || !h.s.sys.Paged() {
			return // nothing can be listed; a triage dump has its one process as the current one
		}
		if idle, err := h.s.sys.IdleProcess(); err == nil {
			if !yield(idle, nil) {
				return
			}
			if h.s.scope.process.Addr() == idle.Addr() && !yield(idle, nil) {
				return
			}
		}
		for p, err := range h.s.sys.ActiveProcesses(ctx) {
			if !yield(p, err) {
				return
			}
		}
	}
}

// processes is the container of all processes by their ids.
func (h *modelHost) processes() *model.Object {
	return model.Container(func(ctx context.Context, yield func(key, v model.Value) bool) error {
		if u := h.s.sys.User(); u != nil {
			pid, _ := u.PID()
			yield(model.U64(uint64(pid)), h.userProcess(u))
			return nil
		}
		for p, err := range h.processList(ctx) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				h.s.notef("%v", err)
				return nil
			}
			id, err := p.PID()
			if err != nil {
				continue
			}
			if !yield(model.U64(id), h.process(p)) {
				return nil
			}
		}
		return nil
	})
}

// asIdle returns the idle process as such, others as they are.
func (h *modelHost) asIdle(p windows.Process) windows.Process {
	if idle, err := h.s.sys.IdleProcess(); err == nil && idle.Addr() == p.Addr() {
		return idle
	}
	return p
}

const (
	processIDHelp    = "The OS process identifier for this process (PID)"
	processIndexHelp = "The index of this process in the debugger process list"
	threadIDHelp     = "The OS thread identifier for this thread (TID)"
	threadIndexHelp  = "The index of this thread in the debugger thread list"
)

const (
	unknownImage = "<Unknown Image>"
	noHandle     = 0xf0f0f0f0 // what the engine has for a process of a kernel dump
)

// errDereference is what ids of objects without a type say.
var errDereference = model.Errorf("Unexpected failure to dereference object")

func orDereference(v uint64, err error) (model.Value, error) {
	if err != nil {
		return nil, errDereference
	}
	return model.U64(v), nil
}

// spaceOf is the memory of a process, the kernel's where that is not known.
func (h *modelHost) spaceOf(p windows.Process) memory.Space {
	if p.Addr() == 0 {
		return h.s.sys.Kernel()
	}
	space, err := p.Space()
	if err != nil {
		return h.s.sys.Kernel()
	}
	return space
}

// kernelObject is an object of a kernel type, or its address where the type is
// not known.
func (h *modelHost) kernelObject(typeName string, addr uint64, space memory.Space) model.Value {
	t, err := h.s.sys.Type(typeName)
	if err != nil {
		return model.NativeValue(space, model.PointerTo(model.Basic("void")), addr)
	}
	return model.NativeAt(space, t, addr)
}

func (h *modelHost) processName(p windows.Process) string {
	if p.System() == nil {
		return unknownImage
	}
	name, err := p.ImageName()
	if err != nil || name == "" {
		return unknownImage
	}
	return name
}

func (h *modelHost) process(p windows.Process) *model.Object {
	p = h.asIdle(p)
	known := p.System() != nil // a damaged dump may not tell which process it was
	o := &model.Object{
		Text: func(context.Context) (string, error) { return h.processName(p), nil },
		Members: func(context.Context) []model.Member {
			return []model.Member{
				model.Lazily("KernelObject", func(context.Context) (model.Value, error) {
					return h.kernelObject("_EPROCESS", p.Addr(), h.spaceOf(p)), nil
				}),
				model.Lazily("Name", func(context.Context) (model.Value, error) { return model.String(h.processName(p)), nil }),
				withHelp(model.Lazily("Id", func(context.Context) (model.Value, error) {
					if !known {
						return nil, errDereference
					}
					return orDereference(p.PID())
				}),
					processIDHelp),
				withHelp(model.Property("Index", model.U64(0)), processIndexHelp),
				model.Property("Handle", model.U64(noHandle)),
				model.Lazily("Threads", func(context.Context) (model.Value, error) { return h.threads(p), nil }),
				model.Lazily("Modules", func(context.Context) (model.Value, error) { return h.modulesObject(), nil }),
				hidden(model.Property("Debug", model.NewObject(model.Property("Breakpoints", emptyContainer())))),
				model.Method("SwitchTo", "SwitchTo() - Switch to this process as the default context", true,
					func(context.Context, []model.Value) (model.Value, error) {
						h.remember(&p, nil)
						return model.Void{}, nil
					}),
				environment(func(context.Context) (model.Value, error) {
					if !known {
						return nil, errDereference
					}
					peb, err := p.PEB()
					if err != nil {
						return nil, errDereference
					}
					return h.kernelObject("_PEB", peb, h.spaceOf(p)), nil
				}),
			}
		},
	}
	return o
}

func withHelp(m model.Member, help string) model.Member {
	m.Help = help
	return m
}

func hidden(m model.Member) model.Member {
	m.Hidden = true
	return m
}

// remember keeps what SwitchTo chose, for as long as the session's own process
// and thread stay.
func (h *modelHost) remember(p *windows.Process, t *windows.Thread) {
	st := &h.s.model
	h.forgetStale()
	if p != nil {
		st.process = p
	}
	if t != nil {
		st.thread = t
	}
	st.from = h.scopeKey()
}

func (h *modelHost) scopeKey() [2]uint64 {
	return [2]uint64{h.s.scope.process.Addr(), h.s.scope.thread.Addr()}
}

func (h *modelHost) forgetStale() {
	if st := &h.s.model; st.from != h.scopeKey() {
		st.process, st.thread = nil, nil
	}
}

func (h *modelHost) currentProcess(context.Context) (model.Value, error) {
	if u := h.s.sys.User(); u != nil {
		return h.userProcess(u), nil
	}
	h.forgetStale()
	if p := h.s.model.process; p != nil {
		return h.process(*p), nil
	}
	return h.process(h.s.scope.process), nil
}

func (h *modelHost) currentThread(context.Context) (model.Value, error) {
	if u := h.s.sys.User(); u != nil {
		return h.userThread(u, h.s.scope.cpu, h.sessionRegisters), nil
	}
	h.forgetStale()
	if t := h.s.model.thread; t != nil {
		return h.thread(*t, h.sessionRegisters), nil
	}
	return h.thread(h.s.scope.thread, h.sessionRegisters), nil
}

// sessionRegisters are the session's register context.
func (h *modelHost) sessionRegisters(context.Context) (arch.Registers, error) {
	return h.s.anyRegisters()
}

// threads is the container of a process's threads by their ids.
func (h *modelHost) threads(p windows.Process) *model.Object {
	return model.Container(func(ctx context.Context, yield func(key, v model.Value) bool) error {
		if p.System() == nil {
			return nil
		}
		for t, err := range p.Threads(ctx) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				h.s.notef("%v", err)
				return nil
			}
			id, err := t.TID()
			if err != nil {
				continue
			}
			if !yield(model.U64(id), h.thread(t, threadRegisters(t))) {
				return nil
			}
		}
		return nil
	})
}

// registersOf computes the registers of a thread.
type registersOf func(ctx context.Context) (arch.Registers, error)

// threadRegisters computes the registers that a thread stopped with.
func threadRegisters(t windows.Thread) registersOf {
	return func(ctx context.Context) (arch.Registers, error) {
		regs, err := t.Registers(ctx)
		if err != nil {
			return nil, err
		}
		return regs, nil
	}
}

// ownerSpace is the memory of the process that owns a thread.
func (h *modelHost) ownerSpace(t windows.Thread) memory.Space {
	if t.System() == nil {
		return h.s.sys.Kernel()
	}
	p, err := t.Process()
	if err != nil {
		return h.s.sys.Kernel()
	}
	return h.spaceOf(p)
}

func (h *modelHost) thread(t windows.Thread, regs registersOf) *model.Object {
	known := t.System() != nil
	return &model.Object{
		Text: func(ctx context.Context) (string, error) { return h.threadText(ctx, regs), nil },
		Members: func(context.Context) []model.Member {
			return []model.Member{
				model.Lazily("KernelObject", func(context.Context) (model.Value, error) {
					return h.kernelObject("_ETHREAD", t.Addr(), h.ownerSpace(t)), nil
				}),
				withHelp(model.Lazily("Id", func(context.Context) (model.Value, error) {
					if !known {
						return nil, errDereference
					}
					return orDereference(t.TID())
				}),
					threadIDHelp),
				withHelp(model.Property("Index", model.U64(0)), threadIndexHelp),
				model.Lazily("Stack", func(context.Context) (model.Value, error) { return h.stack(regs), nil }),
				model.Lazily("Registers", func(context.Context) (model.Value, error) { return h.registers(regs), nil }),
				model.Method("SwitchTo", "SwitchTo() - Switch to this thread as the default context", true,
					func(ctx context.Context, _ []model.Value) (model.Value, error) {
						return model.Void{}, h.switchToThread(ctx, t, regs)
					}),
				environment(func(context.Context) (model.Value, error) {
					if !known {
						return nil, errDereference
					}
					teb, err := t.TEB()
					if err != nil {
						return nil, errDereference
					}
					return h.kernelObject("_TEB", teb, h.ownerSpace(t)), nil
				}),
			}
		},
	}
}

// threadText names where a thread stands; the text ends with a blank.
func (h *modelHost) threadText(ctx context.Context, get registersOf) string {
	regs, err := get(ctx)
	if err != nil || regs == nil || regs.ProgramCounter() == 0 {
		return "<Unable to get stack trace>"
	}
	addr := format.Addr(regs.ProgramCounter())
	name := h.s.symbolText(ctx, regs.ProgramCounter())
	if name == "" {
		return addr
	}
	return name + " (" + addr + ") "
}

// switchToThread makes the thread's registers the session's, and the thread
// and its owner the model's current ones.
func (h *modelHost) switchToThread(ctx context.Context, t windows.Thread, get registersOf) error {
	regs, err := get(ctx)
	if err != nil {
		return errors.Join(model.SystemError(model.Fail), err)
	}
	h.s.setRegisters(regs)
	if t.System() == nil {
		return nil
	}
	p, err := t.Process()
	if err != nil {
		h.remember(nil, &t)
		return nil
	}
	h.remember(&p, &t)
	return nil
}
