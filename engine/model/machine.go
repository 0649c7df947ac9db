package model

import "context"

// A Machine evaluates expressions and shows what they give.
type Machine struct {
	host Host
	ev   *evaluator
}

// NewMachine returns a Machine over a host. With native set only C++ is known.
func NewMachine(h Host, native bool) *Machine {
	return &Machine{h, &evaluator{h, native}}
}

func (m *Machine) parse(ctx context.Context, text string) (Parsed, error) {
	return parse(text, func(module, name string) bool {
		_, ok := m.host.Type(ctx, module, name)
		return ok
	})
}

// Evaluate computes an expression; what stands behind a comma is its format.
func (m *Machine) Evaluate(ctx context.Context, text string) (Value, Spec, error) {
	if len(text) > maxExpression {
		return nil, Spec{}, Errorf("The expression is longer than %d characters", maxExpression)
	}
	p, err := m.parse(ctx, text)
	if err != nil {
		return nil, Spec{}, err
	}
	v, err := m.ev.value(ctx, p.root, nil)
	if err != nil {
		return nil, Spec{}, err
	}
	if n, ok := v.(Native); ok && n.Located && n.isVoid() {
		return nil, Spec{}, n.noType()
	}
	var spec Spec
	if p.given {
		if spec, err = m.spec(ctx, p.format); err != nil {
			return nil, spec, err
		}
	}
	return v, spec, nil
}
