package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/types"
	"kdap/engine/typetext"
	"kdap/engine/windows"
)

// dtLocal shows a variable of the chosen frame; ok is false when there is none
// of that name. A subscript is shown, but the variable is not indexed.
func (s *Session) dtLocal(ctx context.Context, d *dtCall, name string, index int, indexed bool) (ok bool, err error) {
	plain := strings.TrimPrefix(name, "&")
	v, ok := s.localNamed(ctx, plain)
	if !ok {
		return false, nil
	}
	typeName := "Type " + localTypeName(v.Type)
	if v.Type != nil && v.Type.Kind == types.Pointer && v.Type.Elem() != nil && v.Type.Elem().Kind == types.Function {
		typeName = "" // pointers to functions have none
	}
	if plain != name || indexed {
		typeName = "Type " + plain
	}
	flags := ""
	if d.options.Verbose {
		flags = localFlags(v)
	}
	switch v.Place {
	case windows.Nowhere:
		s.printf("Local var %s%s\nValue unavailable.\n", flags, typeName)
		return true, nil
	case windows.InRegister:
		s.printf("Local var %s@ %s %s\n", flags, v.Register, typeName)
	case windows.AsConstant:
		s.printf("Local var %s%s\n", flags, typeName)
	case windows.InMemory:
		s.printf("Local var %s@ %#x %s\n", flags, v.Addr, typeName)
	case windows.InStaticData:
	}
	if plain != name {
		s.printf("%s ", s.addressText(v.Addr))
	}
	if indexed {
		s.printf("[%d] ", index)
	}
	if !v.Located() {
		return true, s.dtValue(ctx, d, v)
	}
	return true, s.dtShow(ctx, d, dtTarget{name: v.Name, typ: v.Type, addr: v.Addr, located: true}, 0, false)
}

// localTypeName spells the type of a local: "Shop*", "char[]".
func localTypeName(t *types.Type) string {
	if t != nil && t.Kind == types.Array {
		return expr.ShortTypeName(t.Elem()) + "[]"
	}
	return expr.ShortTypeName(t)
}

// dtValue shows a variable that is not in memory: of a pointer only what it
// points to.
func (s *Session) dtValue(ctx context.Context, d *dtCall, v windows.Local) error {
	if v.Type != nil && v.Type.Kind == types.Pointer && v.Type.Elem() != nil {
		return s.dtShow(ctx, d, dtTarget{name: v.Name, typ: v.Type.Elem(), addr: v.Bits, located: true}, 0, false)
	}
	p := s.printer(ctx, d.options, false)
	if d.options.Verbose {
		s.printf("%s = %s\n", v.Name, p.NumberText(v.Type, v.Bits))
	}
	p.Space = valueSpace(v.Bits)
	return p.Dump(ctx, s.out, typetext.Request{Type: v.Type, Located: true})
}

// valueSpace shows the bytes of a register as memory at address 0.
type valueSpace uint64

// Read implements memory.Space.
func (v valueSpace) Read(va uint64, p []byte) (int, error) {
	for i := range p {
		p[i] = byte(uint64(v) >> (8 * ((va + uint64(i)) & 7)))
	}
	return len(p), nil
}

// The flags of a variable, as the symbol interface numbers them.
const (
	symflagRegister  = 0x08
	symflagRegRel    = 0x10
	symflagParameter = 0x40
	symflagLocal     = 0x80
)

// The debugger numbers registers in the order it shows them; their lower
// halves come later.
var (
	registerOrder = strings.Fields("rax rbx rcx rdx rsi rdi rip rsp rbp r8 r9 r10 r11 r12 r13 r14 r15")
	halfOrder     = strings.Fields("eax ebx ecx edx esi edi eip esp ebp r8d r9d r10d r11d r12d r13d r14d r15d")
)

const firstHalf = 0xc8

// localFlags is what dt -v says of a variable's place.
func localFlags(v windows.Local) string {
	flags := symflagLocal
	if v.Param {
		flags |= symflagParameter
	}
	switch v.Place {
	case windows.InMemory:
		flags |= symflagRegRel
	case windows.InRegister:
		flags |= symflagRegister
	default:
		return ""
	}
	number := slices.Index(registerOrder, v.Register)
	if i := slices.Index(halfOrder, v.Register); i >= 0 {
		number = firstHalf + i
	}
	return fmt.Sprintf("[AddrFlags %x  AddrOff %016x  Reg/Val %s (%x)] ", flags, uint64(int64(v.Offset)), v.Register, max(number, 0))
}
