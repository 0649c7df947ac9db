package model

import (
	"context"
	"math"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// storage returns the type that a bit field is stored as, others as they are.
func storage(t *types.Type) *types.Type {
	if t.Kind == types.BitField && t.Elem() != nil {
		return t.Elem()
	}
	return t
}

// widthOf returns the number of bits of a scalar.
func widthOf(t *types.Type) uint {
	if t.Kind == types.BitField {
		return uint(t.BitLen)
	}
	return uint(min(t.Size, 8)) * 8
}

func truncate(bits uint64, t *types.Type) uint64 {
	if w := widthOf(t); w < 64 {
		bits &= 1<<w - 1
	}
	return bits
}

func isPointer(t *types.Type) bool { return t != nil && t.Kind == types.Pointer }

func isSigned(t *types.Type) bool {
	switch t.Kind {
	case types.Int, types.Char, types.WChar, types.HResult, types.Enum:
		return true
	}
	return false
}

// isScalar reports whether the object is one number.
func (n Native) isScalar() bool {
	if n.Type == nil {
		return false
	}
	t := storage(n.Type)
	switch t.Kind {
	case types.Bool, types.Char, types.UChar, types.WChar, types.Int, types.Uint, types.HResult, types.Pointer, types.Enum, types.Float:
		return t.Size == 1 || t.Size == 2 || t.Size == 4 || t.Size == 8
	}
	return false
}

// A ReadError says which memory could not be read.
type ReadError struct {
	Addr uint64
	Err  error
}

func (e *ReadError) Error() string { return "Unable to read memory at Address " + hex(e.Addr) }

func (e *ReadError) Unwrap() error { return e.Err }

// load reads a scalar.
func (n Native) load() (uint64, error) {
	if !n.Located {
		return n.Bits, nil
	}
	v, err := readUint(n.Space, n.Addr, int(storage(n.Type).Size))
	if err != nil {
		return 0, err
	}
	if n.Type.Kind == types.BitField {
		v >>= n.Type.BitPos
	}
	return truncate(v, n.Type), nil
}

func readUint(space memory.Space, addr uint64, size int) (uint64, error) {
	if space == nil {
		return 0, &ReadError{Addr: addr}
	}
	v, err := memory.ReadUint(space, addr, size)
	if err != nil {
		return 0, &ReadError{addr, err}
	}
	return v, nil
}

// An UntypedError says that nothing is known of an object but where it lies.
type UntypedError struct{ Addr uint64 }

func (e *UntypedError) Error() string {
	return "No type (or void) for object at Address " + hex(e.Addr)
}

func (n Native) noType() error { return &UntypedError{n.Addr} }

func (n Native) isVoid() bool {
	return n.Type == nil || n.Type.Kind == types.Void || n.Type.Kind == types.Unknown
}

// at returns an object of another type in the same memory.
func (n Native) at(t *types.Type, addr uint64) Native {
	return Native{Type: t, Space: n.Space, Addr: addr, Located: true, raw: n.raw}
}

// deref follows a pointer.
func (n Native) deref() (Native, error) {
	if n.isVoid() && n.Located {
		return Native{}, n.noType()
	}
	if !isPointer(n.Type) {
		return Native{}, Errorf("Unable to dereference non pointer object")
	}
	p, err := n.load()
	if err != nil {
		return Native{}, err
	}
	target := n.at(n.Type.Elem(), p)
	if target.Type == nil {
		target.Type = typeVoid
	}
	return target, nil
}

var errArrow = Errorf("-> must be used on pointers and . on structures")

// field returns a member of a structure.
func (n Native) field(name string) (Native, bool) {
	if n.Type == nil || !n.Type.Kind.IsAggregate() {
		return Native{}, false
	}
	f := n.Type.Field(name)
	if f == nil || f.Type == nil {
		return Native{}, false
	}
	return n.part(*f), true
}

// part returns a member by its description. A structure that is not in memory
// has only what fits a register.
func (n Native) part(f types.Field) Native {
	if n.Located {
		out := n.at(f.Type, n.Addr+f.Offset)
		out.of, out.member = n.Type, f.Name
		return out
	}
	out := Native{Type: f.Type, Space: n.Space, raw: n.raw}
	if f.Offset < 8 {
		out.Bits = n.Bits >> (8 * f.Offset)
		if f.Type.Kind == types.BitField {
			out.Bits >>= f.Type.BitPos
		}
		out.Bits = truncate(out.Bits, f.Type)
	}
	return out
}

// element returns an element of an array or of what a pointer points to.
// Bounds are not checked.
func (n Native) element(i int64) (Native, error) {
	elem := n.Type.Elem()
	base := n.Addr
	if isPointer(n.Type) {
		p, err := n.load()
		if err != nil {
			return Native{}, err
		}
		base = p
	}
	if elem == nil || elem.Kind == types.Void {
		return Native{}, Native{Addr: base}.noType()
	}
	return n.at(elem, base+uint64(i)*elem.Size), nil
}

// convert casts a value to a C type.
func convert(h Host, v Value, t *types.Type) (Value, error) {
	space := h.Memory()
	var bits uint64
	switch v := v.(type) {
	case Native:
		space = v.Space
		switch {
		case v.Type != nil && (v.Type.Kind == types.Array || v.Type.Kind == types.Function):
			bits = v.Addr
			if !isPointer(t) && t.Size < 8 && v.Type.Kind == types.Array {
				return nil, SystemError(TypeMismatch)
			}
			return NativeValue(space, t, bits), nil
		case v.isVoid():
			return nil, v.noType()
		case !v.isScalar():
			if v.Located && t.Kind.IsAggregate() {
				return v.at(t, v.Addr), nil
			}
			return nil, SystemError(Unexpected)
		}
	case Failure:
		return nil, v.Err
	}
	n, ok, err := numberOf(v)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, SystemError(Unexpected)
	}
	switch t.Kind {
	case types.Float:
		f := n.Float()
		if t.Size == 4 {
			return NativeValue(space, t, uint64(math.Float32bits(float32(f)))), nil
		}
		return NativeValue(space, t, math.Float64bits(f)), nil
	case types.Bool:
		yes, err := truth(v)
		return NativeValue(space, t, Truth(yes).Bits), err
	case types.Array, types.Function, types.Void, types.Struct, types.Class, types.Union, types.Unknown:
		return nil, SystemError(Unexpected)
	}
	return NativeValue(space, t, uint64(n.Int())), nil
}

// addressOf is the operator &.
func addressOf(v Value) (Value, error) {
	n, ok := v.(Native)
	if !ok || !n.Located {
		return nil, Errorf("Unable to take address of object")
	}
	t := n.Type
	if t == nil {
		t = typeVoid
	}
	return NativeValue(n.Space, pointerTo(t), n.Addr), nil // a bit field's pointer knows its bits
}

// iterable returns the elements of a container or array.
func iterable(v Value) (*Items, bool) {
	switch v := v.(type) {
	case *Object:
		return v.Items, v.Items != nil
	case Native:
		if v.Type != nil && v.Type.Kind == types.Array {
			return v.items(), true
		}
	}
	return nil, false
}

func (n Native) items() *Items {
	return &Items{Each: func(ctx context.Context, yield func(key, v Value) bool) error {
		for i := range n.Type.Count {
			if err := ctx.Err(); err != nil {
				return err
			}
			e, err := n.element(int64(i))
			if err != nil {
				return err
			}
			if !yield(Number{Int64, i}, e) {
				return nil
			}
		}
		return nil
	}}
}

// AsNative converts a number to a C++ value of the type that the language has
// for it; objects stay as they are.
func AsNative(h Host, v Value) (Native, error) {
	switch v := v.(type) {
	case Native:
		return v, nil
	case Number:
		t := map[NumberKind]*types.Type{
			Bool: typeBool, Int16: typeShort, Uint16: typeUShort, Int32: typeInt, Uint32: typeUInt, Int64: typeInt64,
			Uint64: typeUInt64, BigDecimal: typeUInt64, Double: typeDouble,
		}[v.Kind]
		return NativeValue(h.Memory(), t, v.Bits), nil
	}
	return Native{}, SystemError(TypeMismatch)
}
