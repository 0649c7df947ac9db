package model

import (
	"context"
	"slices"

	"kdap/engine/types"
)

// A TypeNameValue is what the name of a type stands for: no value.
type TypeNameValue struct{ Type *types.Type }

func (TypeNameValue) isValue() {}

// An evaluator computes one expression.
type evaluator struct {
	host   Host
	native bool // names of the model are not known
}

// A scope holds the arguments of the lambdas around an expression.
type scope struct {
	names  []string
	values []Value
	outer  *scope
	depth  int // of calls
}

func (s *scope) lookup(name string) (Value, bool) {
	for ; s != nil; s = s.outer {
		if i := slices.Index(s.names, name); i >= 0 {
			return s.values[i], true
		}
	}
	return nil, false
}

func (s *scope) calls() int {
	if s == nil {
		return 0
	}
	return s.depth
}

// value evaluates a node to something that is no Failure.
func (ev *evaluator) value(ctx context.Context, n node, s *scope) (Value, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	v, err := n.eval(ctx, ev, s)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case Failure:
		return nil, v.Err
	case TypeNameValue:
		return nil, Errorf("Illegal use of type name as an expression")
	case nil:
		return Void{}, nil
	}
	return v, nil
}

// operand evaluates a node whose contents are used: symbols without a type
// will not do.
func (ev *evaluator) operand(ctx context.Context, n node, s *scope) (Value, error) {
	v, err := ev.value(ctx, n, s)
	if err != nil {
		return nil, err
	}
	if x, ok := v.(Native); ok && x.Located && x.isVoid() {
		return nil, x.noType()
	}
	return v, nil
}

func (n *valueNode) eval(context.Context, *evaluator, *scope) (Value, error) { return n.v, nil }

func (n *symbolNode) eval(ctx context.Context, ev *evaluator, s *scope) (Value, error) {
	h := ev.host
	if n.module != "" {
		if !h.HasModule(ctx, n.module) {
			return nil, Errorf("Unable to find module '%s' for qualified name lookup", n.module)
		}
		if v, ok := h.Symbol(ctx, n.module, n.name); ok {
			return v, nil
		}
		return nil, unbound(n.name)
	}
	if v, ok := s.lookup(n.name); ok {
		return v, nil
	}
	if v, ok := h.Local(ctx, n.name); ok {
		return v, nil
	}
	if v, ok := h.Root(n.name); ok && !ev.native {
		return v, nil
	}
	if v, ok := h.Symbol(ctx, "", n.name); ok {
		return v, nil
	}
	h.Unqualified(n.name)
	return nil, unbound(n.name)
}

func (n *registerNode) eval(ctx context.Context, ev *evaluator, _ *scope) (Value, error) {
	if v, ok := ev.host.Register(ctx, n.name); ok {
		return v, nil
	}
	return nil, unbound("@" + n.name)
}

func (n *variableNode) eval(ctx context.Context, ev *evaluator, _ *scope) (Value, error) {
	v, err := ev.host.Variable(ctx, n.name)
	if _, isNative := v.(Native); err == nil && ev.native && !isNative {
		return nil, ErrUndefined
	}
	return v, err
}

func (n *unaryNode) eval(ctx context.Context, ev *evaluator, s *scope) (Value, error) {
	if n.op == '&' {
		v, err := ev.value(ctx, n.x, s)
		if err != nil {
			return nil, err
		}
		return addressOf(v)
	}
	v, err := ev.operand(ctx, n.x, s)
	if err != nil {
		return nil, err
	}
	if n.op != '*' {
		return ev.unaryOp(ctx, n.op, v)
	}
	x, ok := v.(Native)
	if !ok {
		return nil, Errorf("Unable to dereference non pointer object")
	}
	return x.deref()
}

func (n *binaryNode) eval(ctx context.Context, ev *evaluator, s *scope) (Value, error) {
	left, err := ev.operand(ctx, n.left, s)
	if err != nil {
		return nil, err
	}
	if n.op == "&&" || n.op == "||" {
		yes, err := truth(left)
		if err != nil || yes == (n.op == "||") {
			return Truth(yes), err
		}
		right, err := ev.operand(ctx, n.right, s)
		if err != nil {
			return nil, err
		}
		yes, err = truth(right)
		return Truth(yes), err
	}
	right, err := ev.operand(ctx, n.right, s)
	if err != nil {
		return nil, err
	}
	return ev.binaryOp(n.op, left, right)
}

func (n *condNode) eval(ctx context.Context, ev *evaluator, s *scope) (Value, error) {
	c, err := ev.operand(ctx, n.cond, s)
	if err != nil {
		return nil, err
	}
	yes, err := truth(c)
	if err != nil {
		return nil, err
	}
	if yes {
		return ev.value(ctx, n.yes, s)
	}
	return ev.value(ctx, n.no, s)
}

var errAssign = Errorf("Unable to assign to the object on the left side of an assignment operation")

func (n *assignNode) eval(ctx context.Context, ev *evaluator, s *scope) (Value, error) {
	right, err := ev.value(ctx, n.right, s)
	if err != nil {
		return nil, err
	}
	if n.op != "=" {
		left, err := ev.operand(ctx, n.left, s)
		if err != nil {
			return nil, err
		}
		if right, err = ev.binaryOp(n.op[:len(n.op)-1], left, right); err != nil {
			return nil, err
		}
	}
	switch left := n.left.(type) {
	case *variableNode:
		return ev.host.SetVariable(ctx, left.name, right)
	case *memberNode:
		base, err := ev.value(ctx, left.x, s)
		if err != nil {
			return nil, err
		}
		if o, ok := base.(*Object); ok {
			m, ok := o.member(ctx, left.name)
			switch {
			case !ok:
				return nil, unbound(left.name)
			case m.Set == nil:
				return nil, errAssign
			}
			return m.Set(ctx, right)
		}
	}
	v, err := ev.value(ctx, n.left, s)
	if err != nil {
		return nil, err
	}
	x, ok := v.(Native)
	switch {
	case !ok || !x.Located:
		return nil, errAssign
	case x.Type != nil && x.Type.Kind == types.Array:
		return nil, Errorf("Cannot assign integral value to pointer without explicit conversion.")
	}
	return nil, Errorf("Unable to write memory for assignment")
}

func (n *lambdaNode) eval(_ context.Context, ev *evaluator, s *scope) (Value, error) {
	return &Function{lambda: true, Call: func(ctx context.Context, args []Value) (Value, error) {
		if len(args) != len(n.params) {
			return nil, Errorf("Lambda argument count mismatch: expected %d, got %d instead.", len(n.params), len(args))
		}
		depth, err := deeper(ctx, s.calls())
		if err != nil {
			return nil, err
		}
		inner := &scope{names: n.params, values: args, outer: s, depth: depth}
		return ev.value(withDepth(ctx, depth), n.body, inner)
	}}, nil
}

// depthKey carries the number of calls that are under way.
type depthKey struct{}

func withDepth(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, depthKey{}, n)
}

// deeper counts a call.
func deeper(ctx context.Context, _ int) (int, error) {
	n, _ := ctx.Value(depthKey{}).(int)
	if n >= maxDepth {
		return 0, Errorf("Calls are nested more than %d deep", maxDepth)
	}
	return n + 1, nil
}

func (n *callNode) eval(ctx context.Context, ev *evaluator, s *scope) (Value, error) {
	f, err := ev.value(ctx, n.f, s)
	if err != nil {
		return nil, err
	}
	fn, ok := f.(*Function)
	if !ok {
		return nil, Errorf("Object on left side of a call operation is not callable")
	}
	args := make([]Value, len(n.args))
	for i, a := range n.args {
		if args[i], err = ev.operand(ctx, a, s); err != nil {
			return nil, err
		}
	}
	v, err := fn.Call(ctx, args)
	if v == nil && err == nil {
		v = Void{}
	}
	return v, err
}

func (n *castNode) eval(ctx context.Context, ev *evaluator, s *scope) (Value, error) {
	t, err := n.t.resolve(ctx, ev.host)
	if err != nil {
		return nil, err
	}
	v, err := ev.operand(ctx, n.x, s)
	if err != nil {
		return nil, err
	}
	return convert(ev.host, v, t)
}

func (n *sizeofNode) eval(ctx context.Context, ev *evaluator, s *scope) (Value, error) {
	if n.t != nil {
		t, err := n.t.resolve(ctx, ev.host)
		if err == nil {
			return U64(t.Size), nil
		}
		if n.x == nil {
			return nil, err
		}
	}
	v, err := n.x.eval(ctx, ev, s)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case TypeNameValue:
		return U64(v.Type.Size), nil
	case Native:
		if v.Type != nil {
			return U64(storage(v.Type).Size), nil
		}
	case Number:
		return U64(uint64(v.Kind.bits() / 8)), nil
	}
	return nil, SystemError(Unexpected)
}

func (n *newNode) eval(ctx context.Context, ev *evaluator, s *scope) (Value, error) {
	members := make([]Member, len(n.names))
	for i, name := range n.names {
		v, err := ev.value(ctx, n.values[i], s)
		if err != nil {
			return nil, err
		}
		members[i] = Property(name, v)
	}
	return NewObject(members...), nil
}
