package windows

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"strings"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/pdb"
	"kdap/engine/symbols"
	"kdap/engine/types"
)

// A PlaceKind is the sort of place where a variable lies.
type PlaceKind uint8

// The kinds of places.
const (
	Nowhere      PlaceKind = iota // the compiler keeps it nowhere at this address, or in pieces
	InMemory                      // at Addr, relative to a register
	InRegister                    // its value is Bits
	InStaticData                  // at Addr, whatever the frame
	AsConstant                    // the symbols keep its value: Bits
)

// A Local is a variable or parameter of a function, as it is at one address.
type Local struct {
	Name  string
	Type  *types.Type
	Param bool

	Place    PlaceKind
	Addr     uint64
	Register string // that holds it, or that its address is relative to
	Offset   int32  // from that register
	Bits     uint64 // the value, cut to the type's size
}

// Located reports whether the variable is in memory.
func (l *Local) Located() bool { return l.Place == InMemory || l.Place == InStaticData }

// Why a function has no variables to show.
var (
	ErrNoModuleSymbols  = errors.New("no symbols for this address")
	ErrNoPrivateSymbols = errors.New("no private symbols for this function")
)

// Locals returns the variables of the function at an address of the module, by
// the symbols of a table: parameters and variables of the function, then those
// of the blocks around the address from the outer to the inner one. Functions
// that were inlined at the address have their own: inlined counts them from the
// outermost, 0 is the function itself. Without registers places are not looked up.
func (m *Module) Locals(ctx context.Context, t *symbols.Table, ip uint64, inlined int, regs arch.Registers) ([]Local, error) {
	scopes, err := m.scopes(t, ip, inlined)
	if err != nil {
		return nil, err
	}
	rva := uint32(ip - m.Base)
	machine := t.PDB().Machine() // scopes come from a PDB only
	var out []Local
	for _, scope := range scopes {
		for i := range scope.Locals {
			l := &scope.Locals[i]
			if l.Duplicate || l.Flags&(pdb.LocalAlias|pdb.LocalGlobal) != 0 {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			out = append(out, m.local(l, machine, rva, regs))
		}
	}
	return out, nil
}

// scopes returns the scopes whose variables code at an address sees.
func (m *Module) scopes(t *symbols.Table, ip uint64, inlined int) ([]*pdb.Scope, error) {
	if t == nil || t.Rank == symbols.NoSymbols || t.Rank == symbols.ExportSymbols {
		return nil, ErrNoModuleSymbols
	}
	rva := uint32(ip - m.Base)
	proc, ok := t.Proc(rva)
	if !ok {
		return nil, ErrNoPrivateSymbols
	}
	body, err := proc.Body()
	if body == nil {
		return nil, errors.Join(ErrNoPrivateSymbols, err)
	}
	var out []*pdb.Scope
	for _, s := range body.Path(rva) {
		if s.Inline != nil {
			if inlined == 0 {
				break
			}
			inlined--
			out = nil
		}
		out = append(out, s)
	}
	return out, nil
}

func (m *Module) local(l *pdb.Local, machine uint16, rva uint32, regs arch.Registers) Local {
	out := Local{Name: l.Name, Type: l.Type(), Param: l.IsParam()}
	if l.Kind == pdb.SConstant {
		out.Place, out.Bits = AsConstant, cutTo(l.Value, out.Type)
		return out
	}
	places := l.At(rva)
	if len(places) != 1 || places[0].Part {
		return out
	}
	switch p := places[0]; p.Kind {
	case pdb.LocConst:
		out.Place, out.Bits = AsConstant, cutTo(l.Value, out.Type)
	case pdb.LocStatic:
		out.Place, out.Addr = InStaticData, m.Base+uint64(p.RVA)
	case pdb.LocRegRel:
		out.Register, out.Offset = pdb.RegName(machine, p.Reg), p.Offset
		if base, ok := RegisterBits(regs, out.Register); ok {
			out.Place, out.Addr = InMemory, base+uint64(int64(p.Offset))
		}
	case pdb.LocRegister:
		out.Register = pdb.RegName(machine, p.Reg)
		if bits, ok := RegisterBits(regs, out.Register); ok {
			out.Place, out.Bits = InRegister, cutTo(bits, out.Type)
		}
	}
	return out
}

// cutTo drops the bits that a value of the type has not.
func cutTo(bits uint64, t *types.Type) uint64 {
	if t == nil || t.Size == 0 || t.Size >= 8 {
		return bits
	}
	return bits & (1<<(8*t.Size) - 1)
}

// RegisterBits returns a register's value by its name, of vectors the low 64
// bits. Registers that a walk could not restore keep the value that an inner
// frame has, as debuggers show it.
func RegisterBits(regs arch.Registers, name string) (uint64, bool) {
	if regs == nil || name == "" {
		return 0, false
	}
	if c, ok := regs.(*amd64.Context); ok {
		if c == nil {
			return 0, false
		}
		if v, ok := c.Vector(strings.Replace(name, "ymm", "xmm", 1)); ok && len(v) >= 8 {
			return binary.LittleEndian.Uint64(v), true
		}
	}
	v, _, ok := regs.Get(name)
	return v, ok
}

// An InlineFrame is a function that was inlined at an address: a frame without
// a stack of its own.
type InlineFrame struct {
	Name   string // with class or namespace
	Offset uint64 // of the address from the start of the inlined code
	File   string // where the address is in the inlined function; "" without lines
	Line   uint32
}

// Inlined yields the functions that were inlined at an address of the module,
// the innermost first.
func (m *Module) Inlined(t *symbols.Table, ip uint64) iter.Seq[InlineFrame] {
	return func(yield func(InlineFrame) bool) {
		if t == nil {
			return
		}
		rva := uint32(ip - m.Base)
		proc, ok := t.Proc(rva)
		if !ok {
			return
		}
		for _, in := range proc.InlinesAt(rva) {
			f := InlineFrame{Name: in.Name}
			for i, r := range in.Ranges {
				if i == 0 || uint64(rva-r.RVA) < f.Offset {
					f.Offset = uint64(rva - r.RVA)
				}
			}
			if line, ok := in.LineAt(rva); ok {
				f.File, f.Line = line.File.Name, line.Number
			}
			if !yield(f) {
				return
			}
		}
	}
}
