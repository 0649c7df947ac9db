package inspect

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/pdb"
	"kdap/engine/symbols"
	"kdap/engine/types"
)

// A Frame is where local variables are looked up.
type Frame struct {
	Base  uint64 // of the module
	IP    uint64
	Call  bool // IP is a return address: the code in question is before it
	Regs  *amd64.Context
	Space memory.Space
}

// ErrNoLocals says that a frame's function has no private symbols.
var ErrNoLocals = errors.New("no private symbols for this function")

// machineAMD64 is IMAGE_FILE_MACHINE_AMD64, which chooses register names.
const machineAMD64 = 0x8664

// Locals returns the parameters and variables of the function that a frame
// runs, those of inner scopes last. It fails with ErrNoLocals where the symbols
// do not have any.
func (v *Viewer) Locals(ctx context.Context, t *symbols.Table, f Frame) ([]Node, error) {
	rva := uint32(f.IP - f.Base)
	if f.Call && rva > 0 {
		rva--
	}
	proc, ok := t.Proc(rva)
	if !ok {
		return nil, ErrNoLocals
	}
	body, err := proc.Body()
	if body == nil {
		return nil, errors.Join(ErrNoLocals, err)
	}
	var out []Node
	for _, scope := range body.Path(rva) {
		for i := range scope.Locals {
			l := &scope.Locals[i]
			if l.Duplicate {
				continue
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			out = append(out, v.local(ctx, l, rva, f))
		}
	}
	return out, nil
}

var errNoPlace = errors.New("not available at this place: the compiler keeps it nowhere")

func (v *Viewer) local(ctx context.Context, l *pdb.Local, rva uint32, f Frame) Node {
	t := l.Type()
	fail := func(err error) Node { return Failed(l.Name, typeName(t), err) }
	if l.Kind == pdb.SConstant {
		return v.Value(ctx, l.Name, l.Name, t, l.Value, f.Space)
	}
	places := l.At(rva)
	switch {
	case len(places) == 0:
		return fail(errNoPlace)
	case len(places) > 1 || places[0].Part:
		return fail(errors.New("kept in several pieces"))
	}
	switch p := places[0]; p.Kind {
	case pdb.LocConst:
		return v.Value(ctx, l.Name, l.Name, t, l.Value, f.Space)
	case pdb.LocStatic:
		return v.Object(ctx, l.Name, l.Name, types.NewObject(f.Space, t, f.Base+uint64(p.RVA)))
	case pdb.LocThread:
		return fail(errors.New("in the thread's static data, which is not looked up"))
	case pdb.LocRegRel:
		base, err := registerValue(f.Regs, p.Reg)
		if err != nil {
			return fail(err)
		}
		return v.Object(ctx, l.Name, l.Name, types.NewObject(f.Space, t, base+uint64(int64(p.Offset))))
	default:
		bits, err := registerValue(f.Regs, p.Reg)
		if err != nil {
			return fail(err)
		}
		if t.Kind.IsAggregate() || t.Kind == types.Array {
			return fail(fmt.Errorf("in register %s", pdb.RegName(machineAMD64, p.Reg)))
		}
		if t.Size < 8 {
			bits &= 1<<(8*t.Size) - 1
		}
		return v.Value(ctx, l.Name, l.Name, t, bits, f.Space)
	}
}

func registerValue(regs *amd64.Context, reg uint16) (uint64, error) {
	name := pdb.RegName(machineAMD64, reg)
	if regs == nil {
		return 0, fmt.Errorf("register %s is not known", name)
	}
	if i, ok := unwindNumber[name]; ok && regs.Unknown&(1<<i) != 0 {
		return 0, fmt.Errorf("register %s was not saved in this frame", name)
	}
	if v, ok := regs.Vector(name); ok && len(v) >= 8 {
		var bits uint64
		for i := range 8 {
			bits |= uint64(v[i]) << (8 * i)
		}
		return bits, nil
	}
	v, _, ok := regs.Get(name)
	if !ok {
		return 0, fmt.Errorf("register %s is not known", name)
	}
	return v, nil
}
