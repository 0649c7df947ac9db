package inspect

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/model"
	"kdap/engine/types"
	"kdap/engine/windows"
)

var errNowhere = errors.New("not available at this place: the compiler keeps it nowhere, or in pieces")

// Locals returns the nodes of a frame's variables.
func (v *Viewer) Locals(ctx context.Context, locals []windows.Local, regs *amd64.Context, space memory.Space) []Node {
	out := make([]Node, 0, len(locals))
	seen := map[string]bool{}
	for i := range locals {
		l := &locals[i]
		expression := l.Name
		if seen[l.Name] {
			expression = "" // a name means the first that has it
		}
		seen[l.Name] = true
		out = append(out, v.local(ctx, l, expression, regs, space))
	}
	return out
}

func (v *Viewer) local(ctx context.Context, l *windows.Local, expression string, regs *amd64.Context, space memory.Space) Node {
	if l.Type == nil {
		return Failed(l.Name, "", errors.New("its type is not in the symbols"))
	}
	fail := func(err error) Node { return Failed(l.Name, model.TypeName(l.Type), err) }
	if n, ok := unwindNumber[l.Register]; ok && regs != nil && regs.Unknown&(1<<n) != 0 {
		return fail(fmt.Errorf("register %s was not saved in this frame", l.Register))
	}
	switch l.Place {
	case windows.InMemory, windows.InStaticData:
		return v.Value(ctx, l.Name, expression, model.NativeAt(space, l.Type, l.Addr))
	case windows.InRegister, windows.AsConstant:
		if l.Type.Kind.IsAggregate() || l.Type.Kind == types.Array {
			return fail(fmt.Errorf("in register %s", l.Register))
		}
		return v.Value(ctx, l.Name, expression, model.NativeValue(space, l.Type, l.Bits))
	}
	return fail(errNowhere)
}
