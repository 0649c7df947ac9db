package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kdap/engine/arch"
	"kdap/engine/inspect"
	"kdap/engine/model"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// value makes the line of a node and keeps it when it has something below.
func (c *client) value(ctx context.Context, n inspect.Node, in *where, at line) (Value, error) {
	v := Value{
		Name: n.Name, Text: n.Text, Type: n.Type, Kind: n.Kind, Expression: n.Expr, Unreadable: n.Unreadable,
		Address: Hex(n.Addr), Process: in.space.process,
	}
	if n.Target != 0 {
		v.Address = Hex(n.Target)
	}
	if !n.Open() {
		return v, nil
	}
	v.Named, v.Indexed = n.Size(ctx)
	v.Ref = c.values.keep(kept{n.Below(), in}, at)
	return v, nil
}

// valueList makes the lines of nodes; at is that of the first.
func (c *client) valueList(ctx context.Context, nodes []inspect.Node, in *where, at line) (ChildrenResult, error) {
	r := ChildrenResult{Values: make([]Value, 0, len(nodes))}
	for _, n := range nodes {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		at.name = n.Name
		v, err := c.value(ctx, n, in, at)
		if err != nil {
			return r, err
		}
		r.Values = append(r.Values, v)
		at.place++
	}
	return r, nil
}

func onChildren(c *client, ctx context.Context, t *target, p ChildrenParams) (any, error) {
	k, err := c.values.get(p.Ref)
	if err != nil {
		return nil, err
	}
	if k.in.from != nil {
		cons, err := k.in.from.console(ctx, t)
		if err != nil {
			return nil, err
		}
		cons.Model(ctx) // what the objects compute ends with this request
	}
	nodes, err := k.below.Children(ctx, p.Filter, p.Start, p.Count)
	if err != nil {
		return nil, err
	}
	return c.valueList(ctx, nodes, k.in, line{under: p.Ref, list: string(p.Filter), place: max(p.Start, 0)})
}

// viewer shows C++ values of a space.
func (t *target) viewer(sp space) *inspect.Viewer {
	return &inspect.Viewer{Machine: model.NewView(surroundings{sp}), Kernel: t.System.Type}
}

// surroundings are what the texts of a space's values depend on.
type surroundings struct{ space }

func (s surroundings) CodeName(ctx context.Context, va uint64) string {
	if m := s.modules.Find(va); m != nil {
		if p := m.SymbolAt(ctx, va); p.Name != "" && !p.Outside {
			return fmt.Sprintf("%s!%s+%#x", m.Name, p.Name, p.Offset)
		}
	}
	return fmt.Sprintf("%#x", va)
}

// Settings are dx's own without any command: a view does not change with the console's.
func (surroundings) Settings() *model.Settings { return &model.Settings{Radix: 16, RecursionDepth: 1} }

// A frame is one frame of a walked stack, looked up.
type frame struct {
	place
	walked *walked
	row    row // the zero row where the stack is empty
	space  space
}

func (t *target) frame(ctx context.Context, name Thread, n int) (frame, error) {
	at, err := t.place(name)
	if err != nil {
		return frame{}, err
	}
	w, err := t.walk(ctx, at)
	if err != nil {
		return frame{}, err
	}
	if _, err := w.frames(ctx, t); err != nil {
		return frame{}, err
	}
	if n < 0 || n >= max(1, len(w.rows)) {
		return frame{}, fmt.Errorf("thread %s has no frame %d, only %d", name, n, len(w.rows))
	}
	f := frame{place: at, walked: w, space: space{w.space, w.modules, w.process}}
	if n < len(w.rows) {
		f.row = w.rows[n]
	}
	return f, nil
}

// locals returns the variables of the frame's function. It fails with
// windows.ErrNoPrivateSymbols or ErrNoModuleSymbols where there are none.
func (f frame) locals(ctx context.Context, v *inspect.Viewer) ([]inspect.Node, error) {
	if len(f.walked.stack.Frames) == 0 {
		return nil, windows.ErrNoModuleSymbols
	}
	fr := &f.walked.stack.Frames[f.row.frame]
	if fr.Module == nil {
		return nil, windows.ErrNoModuleSymbols
	}
	regs := fr.Context()
	locals, err := fr.Module.Locals(ctx, fr.Module.Symbols(ctx), fr.IP, f.row.inlined, regs)
	if err != nil {
		return nil, err
	}
	return v.Locals(ctx, locals, regs, f.walked.space), nil
}

func (f frame) registers() (arch.Registers, error) {
	if len(f.walked.stack.Frames) == 0 {
		if f.walked.ended != nil {
			return nil, f.walked.ended
		}
		return nil, errors.New("the thread has no frames")
	}
	return f.walked.stack.Frames[f.row.frame].Registers(), nil
}

// registers returns the nodes of a frame's registers. What is kept of them
// looks the frame up again: registers of thousands of frames need much memory,
// their stack is kept or walked again.
func (t *target) registers(f frame, p FrameParams) ([]inspect.Node, error) {
	regs, err := f.registers()
	if err != nil {
		return nil, err
	}
	return inspect.Registers(regs, func(ctx context.Context) (arch.Registers, error) {
		f, err := t.frame(ctx, p.Thread, p.Frame)
		if err != nil {
			return nil, err
		}
		return f.registers()
	}), nil
}

func onScopes(c *client, ctx context.Context, t *target, p ScopesParams) (any, error) {
	f, err := t.frame(ctx, p.Thread, p.Frame)
	if err != nil {
		return nil, err
	}
	r := ScopesResult{Scopes: []Scope{}}
	v := t.viewer(f.space)
	under := c.values.frame(p)
	in := &where{space: f.space}
	add := func(n inspect.Node, expensive bool, in *where) error {
		val, err := c.value(ctx, n, in, line{under: under, list: inScopes, name: n.Name})
		r.Scopes = append(r.Scopes, Scope{Value: val, Expensive: expensive})
		return err
	}
	// Both are made again when they are opened: their lines are not kept.
	if locals, err := f.locals(ctx, v); err == nil {
		if err := add(inspect.Anew("Locals", "", len(locals), func(ctx context.Context) ([]inspect.Node, error) {
			f, err := t.frame(ctx, p.Thread, p.Frame)
			if err != nil {
				return nil, err
			}
			return f.locals(ctx, t.viewer(f.space))
		}), false, in); err != nil {
			return nil, err
		}
	} else if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var registers inspect.Node
	if regs, err := t.registers(f, p.FrameParams); err != nil {
		registers = inspect.Group("Registers", "", []inspect.Node{inspect.Failed("registers", "", err)})
	} else {
		registers = inspect.Anew("Registers", "", len(regs), func(ctx context.Context) ([]inspect.Node, error) {
			f, err := t.frame(ctx, p.Thread, p.Frame)
			if err != nil {
				return nil, err
			}
			return t.registers(f, p.FrameParams)
		})
	}
	if err := add(registers, false, in); err != nil {
		return nil, err
	}
	for _, n := range t.objectScopes(ctx, v, f) {
		if err := add(n, true, in); err != nil {
			return nil, err
		}
	}
	if s := c.session(p.Session); s != nil {
		from := &origin{s, p.Thread, p.Frame}
		if err := add(debuggerObjects(t, from), true, &where{f.space, from}); err != nil {
			return nil, err
		}
	}
	return r, ctx.Err()
}

// objectNames are the debugger's objects that a frame shows.
var objectNames = []string{"@$curprocess", "@$curthread", "@$curstack", "@$curframe", "@$curregisters", "@$cursession", "Debugger"}

// debuggerObjects are the objects that dx begins with, in a frame.
func debuggerObjects(t *target, from *origin) inspect.Node {
	return inspect.Lazily("Debugger", func(ctx context.Context) ([]inspect.Node, error) {
		m := from.session.aside.Model(ctx)
		v := inspect.Viewer{Machine: m, Kernel: t.System.Type}
		var out []inspect.Node
		for _, name := range objectNames {
			if val, _, err := m.Evaluate(ctx, name); err != nil {
				out = append(out, inspect.Failed(name, "", err))
			} else {
				out = append(out, v.Value(ctx, name, name, val))
			}
		}
		return out, ctx.Err()
	})
}

// objectScopes are the structures of the thread and its process. A kernel
// thread has no TEB, a kernel process no PEB.
func (t *target) objectScopes(ctx context.Context, v *inspect.Viewer, f frame) []inspect.Node {
	var out []inspect.Node
	add := func(name, expression string, o types.Object, err error) {
		if err != nil {
			o = types.Failed(err)
		} else if o.Err() == nil {
			// Pointers into user space are the process's own.
			o = types.NewObject(f.space.space, o.Type(), o.Addr())
		}
		n := v.Object(ctx, name, expression, o)
		if n.Unreadable {
			// A scope shows only what is below it: the reason has to be there.
			n = inspect.Group(name, "", []inspect.Node{inspect.Failed(name, n.Type, errors.New(strings.Trim(n.Text, "<>")))})
		}
		out = append(out, n)
	}
	if f.thread.Addr() != 0 {
		add("Thread", cast("_ETHREAD", f.thread.Addr()), f.thread.Object(), nil)
		if teb, err := f.thread.TEB(); err != nil || teb != 0 {
			o, err := f.thread.Block()
			add("TEB", cast("_TEB", teb), o, err)
		}
	}
	if f.process.Addr() != 0 {
		add("Process", cast("_EPROCESS", f.process.Addr()), f.process.Object(), nil)
		env, err := f.process.Environment()
		if !errors.Is(err, windows.ErrNoPEB) {
			o := types.Failed(err)
			if err == nil {
				o = env.Object()
			}
			add("PEB", cast("_PEB", o.Addr()), o, err)
		}
	}
	return out
}

// cast is the expression of a kernel structure at an address.
func cast(typ string, addr uint64) string { return fmt.Sprintf("(*(nt!%s *)%#x)", typ, addr) }

func onLocals(c *client, ctx context.Context, t *target, p FrameParams) (any, error) {
	f, err := t.frame(ctx, p.Thread, p.Frame)
	if err != nil {
		return nil, err
	}
	nodes, err := f.locals(ctx, t.viewer(f.space))
	if err != nil {
		return nil, err
	}
	return c.valueList(ctx, nodes, &where{space: f.space}, line{under: c.values.frame(ScopesParams{FrameParams: p}), list: inLocals})
}

func onRegisters(c *client, ctx context.Context, t *target, p FrameParams) (any, error) {
	f, err := t.frame(ctx, p.Thread, p.Frame)
	if err != nil {
		return nil, err
	}
	nodes, err := t.registers(f, p)
	if err != nil {
		return nil, err
	}
	return c.valueList(ctx, nodes, &where{space: f.space}, line{under: c.values.frame(ScopesParams{FrameParams: p}), list: inRegisters})
}

func onObject(c *client, ctx context.Context, t *target, p ObjectParams) (any, error) {
	sp, err := t.space(ctx, p.Process)
	if err != nil {
		return nil, err
	}
	typ, err := findType(ctx, t, sp, p.Type)
	if err != nil {
		return nil, err
	}
	name := typ.Name
	if _, _, qualified := strings.Cut(p.Type, "!"); qualified {
		name = p.Type
	}
	e := fmt.Sprintf("(*(%s *)%v)", name, p.Address)
	return c.value(ctx, t.viewer(sp).Object(ctx, p.Type, e, types.NewObject(sp.space, typ, uint64(p.Address))), &where{space: sp}, line{})
}

func findType(ctx context.Context, t *target, sp space, name string) (*types.Type, error) {
	module, bare, qualified := strings.Cut(name, "!")
	if !qualified {
		return t.System.Type(name)
	}
	for _, m := range sp.modules.All() {
		if !strings.EqualFold(m.Name, module) {
			continue
		}
		if src := m.Symbols(ctx).Types(); src != nil {
			if typ, ok := src.Type(bare); ok {
				return typ, nil
			}
		}
	}
	return nil, &types.NoTypeError{Name: name}
}
