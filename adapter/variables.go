package adapter

import (
	"github.com/google/go-dap"

	"kdap/engine/inspect"
	"kdap/session"
)

func onScopes(a *Adapter, c *call, args dap.ScopesArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	scopes, err := s.Scopes(c.ctx, args.FrameId)
	if err != nil {
		return nil, err
	}
	b := dap.ScopesResponseBody{Scopes: []dap.Scope{}}
	for _, sc := range scopes {
		out := dap.Scope{
			Name: sc.Name, VariablesReference: sc.Ref, NamedVariables: sc.Named, IndexedVariables: sc.Indexed, Expensive: sc.Expensive,
		}
		switch sc.Name {
		case "Locals":
			out.PresentationHint = "locals"
		case "Registers":
			out.PresentationHint = "registers"
		}
		b.Scopes = append(b.Scopes, out)
	}
	return b, nil
}

func onVariables(a *Adapter, c *call, args dap.VariablesArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	vars, err := s.Variables(c.ctx, args.VariablesReference, inspect.Filter(args.Filter), args.Start, args.Count)
	if err != nil {
		return nil, err
	}
	b := dap.VariablesResponseBody{Variables: []dap.Variable{}}
	for _, v := range vars {
		b.Variables = append(b.Variables, variable(v))
	}
	return b, nil
}

func variable(v session.Variable) dap.Variable {
	return dap.Variable{
		Name: v.Name, Value: session.Visible(v.Text), Type: session.Visible(v.Type), EvaluateName: v.Expression,
		VariablesReference: v.Ref, NamedVariables: v.Named, IndexedVariables: v.Indexed, MemoryReference: v.Memory,
		PresentationHint: hint(v),
	}
}

func hint(v session.Variable) *dap.VariablePresentationHint {
	h := &dap.VariablePresentationHint{Attributes: []string{"readOnly"}}
	switch v.Kind {
	case inspect.Property, "":
	default:
		h.Kind = string(v.Kind)
	}
	if v.Unreadable {
		h.Attributes = append(h.Attributes, "failedEvaluation")
	}
	return h
}
