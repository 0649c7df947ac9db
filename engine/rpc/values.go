package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/sourcegraph/jsonrpc2"

	"kdap/engine/expr"
	"kdap/engine/inspect"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// maxValues is how many values a client can hold open.
const maxValues = 1 << 20

// values are the nodes that a client can open. References count up and are
// never used twice.
type values struct {
	mu   sync.Mutex
	next uint64
	kept map[uint64]kept
}

type kept struct {
	node  inspect.Node
	space space
}

var errManyValues = &jsonrpc2.Error{
	Code: CodeBusy, Message: fmt.Sprintf("%d values are open: open the dump again to start anew", maxValues),
}

// value makes the line of a node and keeps it when it has something below.
func (c *client) value(ctx context.Context, n inspect.Node, sp space) (Value, error) {
	v := Value{
		Name: n.Name, Text: n.Text, Type: n.Type, Kind: n.Kind, Expression: n.Expr, Unreadable: n.Unreadable,
		Address: Hex(n.Addr), Process: sp.process,
	}
	if n.Target != 0 {
		v.Address = Hex(n.Target)
	}
	if v.Named, v.Indexed = n.Size(ctx); v.Named+v.Indexed == 0 {
		return v, nil
	}
	c.values.mu.Lock()
	defer c.values.mu.Unlock()
	if len(c.values.kept) >= maxValues {
		return v, errManyValues
	}
	if c.values.kept == nil {
		c.values.kept = map[uint64]kept{}
	}
	c.values.next++
	v.Ref = c.values.next
	c.values.kept[v.Ref] = kept{n, sp}
	return v, nil
}

func (c *client) valueList(ctx context.Context, nodes []inspect.Node, sp space) (ChildrenResult, error) {
	r := ChildrenResult{Values: make([]Value, 0, len(nodes))}
	for _, n := range nodes {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		v, err := c.value(ctx, n, sp)
		if err != nil {
			return r, err
		}
		r.Values = append(r.Values, v)
	}
	return r, nil
}

func onChildren(c *client, ctx context.Context, _ *target, p ChildrenParams) (any, error) {
	c.values.mu.Lock()
	k, ok := c.values.kept[p.Ref]
	c.values.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("no value %d", p.Ref)
	}
	nodes, err := k.node.Children(ctx, p.Filter, p.Start, p.Count)
	if err != nil {
		return nil, err
	}
	if p.Count <= 0 && len(nodes) == inspect.MaxPage {
		// Whoever asks for all has to be told that it is not all.
		named, indexed := k.node.Size(ctx)
		nodes = append(nodes, inspect.Group("…", fmt.Sprintf("of %d, %d are shown; the others can be asked for in pages", named+indexed, len(nodes)), nil))
	}
	return c.valueList(ctx, nodes, k.space)
}

func (t *target) viewer(sp space) *inspect.Viewer {
	return &inspect.Viewer{Symbol: sp.name, Kernel: t.System.Type}
}

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

func (f frame) registers() ([]inspect.Node, error) {
	if len(f.walked.stack.Frames) == 0 {
		if f.walked.ended != nil {
			return nil, f.walked.ended
		}
		return nil, errors.New("the thread has no frames")
	}
	return inspect.Registers(f.walked.stack.Frames[f.row.frame].Registers()), nil
}

func onScopes(c *client, ctx context.Context, t *target, p FrameParams) (any, error) {
	f, err := t.frame(ctx, p.Thread, p.Frame)
	if err != nil {
		return nil, err
	}
	r := ScopesResult{Scopes: []Scope{}}
	v := t.viewer(f.space)
	add := func(n inspect.Node, expensive bool) error {
		val, err := c.value(ctx, n, f.space)
		r.Scopes = append(r.Scopes, Scope{Value: val, Expensive: expensive})
		return err
	}
	if locals, err := f.locals(ctx, v); err == nil {
		if err := add(inspect.Group("Locals", "", locals), false); err != nil {
			return nil, err
		}
	} else if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	regs, err := f.registers()
	if err != nil {
		regs = []inspect.Node{inspect.Failed("registers", "", err)}
	}
	if err := add(inspect.Group("Registers", "", regs), false); err != nil {
		return nil, err
	}
	for _, n := range t.objectScopes(ctx, v, f) {
		if err := add(n, true); err != nil {
			return nil, err
		}
	}
	return r, ctx.Err()
}

// objectScopes are the structures of the thread and its process. A kernel
// thread has no TEB, a kernel process no PEB.
func (t *target) objectScopes(ctx context.Context, v *inspect.Viewer, f frame) []inspect.Node {
	var out []inspect.Node
	add := func(name, expression string, o types.Object, err error) {
		if err != nil {
			o = types.Failed(err)
		}
		n := v.Object(ctx, name, expression, o)
		if named, indexed := n.Size(ctx); n.Unreadable && named+indexed == 0 {
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

// cast is the C++ expression of a kernel structure at an address.
func cast(typ string, addr uint64) string { return fmt.Sprintf("((nt!%s *)%#x)->", typ, addr) }

func onLocals(c *client, ctx context.Context, t *target, p FrameParams) (any, error) {
	f, err := t.frame(ctx, p.Thread, p.Frame)
	if err != nil {
		return nil, err
	}
	nodes, err := f.locals(ctx, t.viewer(f.space))
	if err != nil {
		return nil, err
	}
	return c.valueList(ctx, nodes, f.space)
}

func onRegisters(c *client, ctx context.Context, t *target, p FrameParams) (any, error) {
	f, err := t.frame(ctx, p.Thread, p.Frame)
	if err != nil {
		return nil, err
	}
	nodes, err := f.registers()
	if err != nil {
		return nil, err
	}
	return c.valueList(ctx, nodes, f.space)
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
	o := types.NewObject(sp.space, typ, uint64(p.Address))
	return c.value(ctx, t.viewer(sp).Object(ctx, p.Type, "", o), sp)
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

func onEvaluate(c *client, ctx context.Context, t *target, p EvaluateParams) (any, error) {
	s := c.session(p.Session)
	if s == nil {
		return nil, errNoSession(p.Session)
	}
	cons := s.console
	if p.Thread != "" {
		cons = s.aside
		if err := t.focus(ctx, cons, p.Thread, p.Frame); err != nil {
			return nil, err
		}
	}
	sp := space{cons.Space(), cons.Modules(ctx), Hex(cons.Focus().Process.Addr())}
	cur := expr.NewCursor(p.Expression)
	env := cons.Env(ctx)
	val, err := expr.Cpp(env, cur)
	if err == nil {
		err = cur.Extra()
	}
	if err != nil {
		return nil, err
	}
	return c.value(ctx, t.viewer(sp).Evaluated(ctx, strings.TrimSpace(p.Expression), val, sp.space), sp)
}
