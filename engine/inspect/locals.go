package inspect

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/types"
	"kdap/engine/windows"
)

var errNowhere = errors.New("not available at this place: the compiler keeps it nowhere, or in pieces")

// Locals returns the nodes of a frame's variables.
func (v *Viewer) Locals(ctx context.Context, locals []windows.Local, regs *amd64.Context, space memory.Space) []Node {
	out := make([]Node, 0, len(locals))
	for i := range locals {
		out = append(out, v.local(ctx, &locals[i], regs, space))
	}
	return out
}

func (v *Viewer) local(ctx context.Context, l *windows.Local, regs *amd64.Context, space memory.Space) Node {
	fail := func(err error) Node { return Failed(l.Name, typeName(l.Type), err) }
	if l.Type == nil {
		return fail(errors.New("its type is not in the symbols"))
	}
	if n, ok := unwindNumber[l.Register]; ok && regs != nil && regs.Unknown&(1<<n) != 0 {
		return fail(fmt.Errorf("register %s was not saved in this frame", l.Register))
	}
	switch l.Place {
	case windows.InMemory, windows.InStaticData:
		return v.Object(ctx, l.Name, l.Name, types.NewObject(space, l.Type, l.Addr))
	case windows.InRegister, windows.AsConstant:
		if l.Type.Kind.IsAggregate() || l.Type.Kind == types.Array {
			return fail(fmt.Errorf("in register %s", l.Register))
		}
		return v.Value(ctx, l.Name, l.Name, l.Type, l.Bits, space)
	}
	return fail(errNowhere)
}
