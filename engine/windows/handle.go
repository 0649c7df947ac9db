package windows

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/types"
)

// A Handle is an open handle of a process.
type Handle struct {
	HandleEntry
	sys *System
}

// Attributes of a handle, as OBJECT_ATTRIBUTES numbers them.
const (
	HandleProtect = 1 << iota // it cannot be closed
	HandleInherit             // children get it
	HandleAudit               // closing it is audited
)

// Handles yields the open handles of the process, in order of their values. A
// process without a handle table has none.
func (p Process) Handles(ctx context.Context) iter.Seq2[Handle, error] {
	return func(yield func(Handle, error) bool) {
		table, err := p.ObjectTable()
		if err != nil {
			yield(Handle{}, fmt.Errorf("handles of process %#x: %w", p.Addr(), err))
			return
		}
		if table == 0 {
			return
		}
		for h, err := range p.sys.TableHandles(ctx, table) {
			if err != nil {
				err = fmt.Errorf("process %#x: %w", p.Addr(), err)
			}
			if !yield(h, err) {
				return
			}
		}
	}
}

// TableHandles yields the open handles of the _HANDLE_TABLE at addr.
func (s *System) TableHandles(ctx context.Context, addr uint64) iter.Seq2[Handle, error] {
	return func(yield func(Handle, error) bool) {
		for e, err := range s.Handles(ctx, addr) {
			if !yield(Handle{e, s}, err) {
				return
			}
		}
	}
}

// KernelHandleTable returns the address of the kernel's own handle table.
func (s *System) KernelHandleTable() (uint64, error) {
	return s.GlobalUint("ObpKernelHandleTable", 8)
}

// Target returns the object the handle is for.
func (h Handle) Target() KernelObject { return h.sys.objectOfHeader(h.Object) }

// Access returns the access that was granted.
func (h Handle) Access() (uint64, error) {
	if h.Entry.Has("GrantedAccessBits") {
		return h.Entry.Field("GrantedAccessBits").Uint()
	}
	v, err := h.Entry.Field("GrantedAccess").Uint()
	return v &^ oldProtect, err
}

// Before Windows 8.1 the attributes were flags in the low bits of the pointer,
// and "protect" was a bit of the access mask. Source: the members of
// _HANDLE_TABLE_ENTRY in public symbols of those versions; OBJ_* of ntdef.h.
const (
	oldInherit = 1 << 1
	oldAudit   = 1 << 2
	oldProtect = 1 << 25
)

// Attributes returns the handle's attributes, the Handle constants.
func (h Handle) Attributes() (uint64, error) {
	if bits := h.Entry.Field("Attributes"); bits.Err() == nil {
		v, err := bits.Uint()
		if own := h.Entry.Field("ProtectFromClose"); own.Err() == nil {
			// 32-bit kernels keep this one elsewhere.
			p, perr := own.Uint()
			return v<<1 | p, errors.Join(err, perr)
		}
		return v, err
	}
	flags, err := h.Entry.FirstField("ObAttributes", "Object").Uint()
	access, aerr := h.Entry.Field("GrantedAccess").Uint()
	if err := errors.Join(err, aerr); err != nil {
		return 0, err
	}
	var v uint64
	if flags&oldInherit != 0 {
		v |= HandleInherit
	}
	if flags&oldAudit != 0 {
		v |= HandleAudit
	}
	if access&oldProtect != 0 {
		v |= HandleProtect
	}
	return v, nil
}

// HandleTable is a view over one _HANDLE_TABLE.
type HandleTable struct{ obj types.Object }

// HandleTable returns the view over the _HANDLE_TABLE at addr.
func (s *System) HandleTable(addr uint64) HandleTable {
	return HandleTable{s.Struct("_HANDLE_TABLE", addr)}
}

// Count returns the number of used entries, as the kernel counts them.
func (t HandleTable) Count() (uint64, error) {
	if t.obj.Has("HandleCount") {
		return t.obj.Field("HandleCount").Uint()
	}
	return t.obj.Field("FreeLists").Index(0).Field("HandleCount").Uint()
}
