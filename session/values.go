package session

import (
	"context"
	"fmt"

	"kdap/engine/inspect"
	"kdap/engine/rpc"
)

// A Variable is one line of a tree of values.
type Variable struct {
	rpc.Value
	Ref    int    // opens it; 0 for a leaf
	Memory string // reference to its memory, "" for none
}

// A Scope is a named group of values.
type Scope struct {
	Variable
	Expensive bool
}

func (s *Session) variable(v rpc.Value) Variable {
	out := Variable{Value: v}
	if v.Ref != 0 {
		out.Ref = s.handles.value(valueKey{s, v.Ref})
	}
	if v.Address != 0 {
		out.Memory = Reference(uint64(v.Address), v.Process)
	}
	return out
}

// Scopes returns the scopes of a frame.
func (s *Session) Scopes(ctx context.Context, frameID int) ([]Scope, error) {
	k, ok := s.handles.frameOf(s, frameID)
	if !ok {
		return nil, fmt.Errorf("frame %d: %w", frameID, ErrNoHandle)
	}
	r, err := s.engine.client.Scopes(ctx, rpc.ScopesParams{FrameParams: rpc.FrameParams{Thread: k.thread, Frame: k.index}, Session: s.console})
	if err != nil {
		return nil, s.engine.explain(err)
	}
	var out []Scope
	for _, sc := range r.Scopes {
		out = append(out, Scope{s.variable(sc.Value), sc.Expensive})
	}
	return out, nil
}

// Variables returns lines below a value or scope.
func (s *Session) Variables(ctx context.Context, ref int, filter inspect.Filter, start, count int) ([]Variable, error) {
	id, ok := s.handles.valueOf(s, ref)
	if !ok {
		return nil, fmt.Errorf("value %d: %w", ref, ErrNoHandle)
	}
	r, err := s.engine.client.Children(ctx, rpc.ChildrenParams{Ref: id, Filter: filter, Start: start, Count: count})
	if err != nil {
		return nil, s.engine.explain(err)
	}
	out := make([]Variable, 0, len(r.Values))
	for _, v := range r.Values {
		out = append(out, s.variable(v))
	}
	return out, nil
}

// Evaluate evaluates a C++ expression in a frame or, without one, in the
// console's context.
func (s *Session) Evaluate(ctx context.Context, expression string, frameID int) (Variable, error) {
	p := rpc.EvaluateParams{Session: s.console, Expression: expression}
	if frameID != 0 {
		k, ok := s.handles.frameOf(s, frameID)
		if !ok {
			return Variable{}, fmt.Errorf("frame %d: %w", frameID, ErrNoHandle)
		}
		p.Thread, p.Frame = k.thread, k.index
	}
	v, err := s.engine.client.Evaluate(ctx, p)
	if err != nil {
		return Variable{}, s.engine.explain(err)
	}
	return s.variable(v), nil
}
