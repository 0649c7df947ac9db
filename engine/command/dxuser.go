package command

import (
	"context"

	"kdap/engine/arch"
	"kdap/engine/model"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// userProcess is the process of a user minidump: it has no kernel object.
func (h *modelHost) userProcess(u *windows.UserProcess) *model.Object {
	pid, known := u.PID()
	name := u.Name()
	if name == "" {
		name = unknownImage
	}
	id := func(context.Context) (model.Value, error) {
		if !known {
			return nil, errDereference
		}
		return model.U64(uint64(pid)), nil
	}
	return model.NewObject(
		model.Property("Name", model.String(name)),
		withHelp(model.Lazily("Id", id), processIDHelp),
		withHelp(model.Property("Index", model.U64(0)), processIndexHelp),
		model.Lazily("Handle", id), // the engine gives them ids for handles
		model.Property("Threads", h.userThreads(u)),
		model.Lazily("Modules", func(context.Context) (model.Value, error) { return h.modulesObject(), nil }),
		hidden(model.Property("Debug", model.NewObject(model.Property("Breakpoints", emptyContainer())))),
		model.Method("SwitchTo", "SwitchTo() - Switch to this process as the default context", true,
			func(context.Context, []model.Value) (model.Value, error) { return model.Void{}, nil }),
		environment(func(ctx context.Context) (model.Value, error) {
			peb, err := h.s.debuggee.peb(h.s)
			if err != nil {
				return nil, errDereference
			}
			return h.userObject(ctx, "_PEB", peb), nil
		}),
	).WithText(name)
}

// environment is the member that holds a process's or thread's block.
func environment(block func(ctx context.Context) (model.Value, error)) model.Member {
	return model.Property("Environment", model.NewObject(model.Lazily("EnvironmentBlock", block)))
}

// userObject is an object of a type that some module's symbols have, or its
// address.
func (h *modelHost) userObject(ctx context.Context, typeName string, addr uint64) model.Value {
	var t *types.Type
	if found, ok := h.Type(ctx, "ntdll", typeName); ok {
		t = found
	}
	if t == nil {
		return model.NativeValue(h.s.space(), model.PointerTo(model.Basic("void")), addr)
	}
	return model.NativeAt(h.s.space(), t, addr)
}

// userThreads are the threads of a minidump by their ids.
func (h *modelHost) userThreads(u *windows.UserProcess) *model.Object {
	return model.Container(func(ctx context.Context, yield func(k, v model.Value) bool) error {
		for n, t := range u.File().Threads {
			if err := ctx.Err(); err != nil {
				return err
			}
			get := func(context.Context) (arch.Registers, error) { return h.s.sys.StopRegisters(n) }
			if !yield(model.U64(uint64(t.ID)), h.userThread(u, n, get)) {
				return nil
			}
		}
		return nil
	})
}

// userThread is thread n; its text is the name it was given.
func (h *modelHost) userThread(u *windows.UserProcess, n int, regs registersOf) model.Value {
	threads := u.File().Threads
	if n < 0 || n >= len(threads) {
		return model.Failure{Err: model.SystemError(model.Bounds)}
	}
	t := threads[n]
	return model.NewObject(
		withHelp(model.Property("Id", model.U64(uint64(t.ID))), threadIDHelp),
		withHelp(model.Property("Index", model.U64(uint64(n))), threadIndexHelp),
		model.Lazily("Stack", func(context.Context) (model.Value, error) { return h.stack(regs), nil }),
		model.Lazily("Registers", func(context.Context) (model.Value, error) { return h.registers(regs), nil }),
		model.Method("SwitchTo", "SwitchTo() - Switch to this thread as the default context", true,
			func(context.Context, []model.Value) (model.Value, error) {
				if n != h.s.scope.cpu {
					h.s.flushRegisters()
					h.s.switchProcessor(n)
				}
				return model.Void{}, nil
			}),
		environment(func(ctx context.Context) (model.Value, error) { return h.userObject(ctx, "_TEB", t.TEB), nil }),
	).WithText(t.Name)
}
