package windows

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/memory"
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

// AllEntries yields the entries of the _HANDLE_TABLE at addr, also those that
// are free: their Object is 0.
func (s *System) AllEntries(ctx context.Context, addr uint64) iter.Seq2[Handle, error] {
	return func(yield func(Handle, error) bool) {
		for e, err := range s.handleEntries(ctx, addr, true) {
			if !yield(Handle{e, s}, err) {
				return
			}
		}
	}
}

// ErrNoHandle says that a table has no entry for a value.
var ErrNoHandle = errors.New("no such handle")

// HandleEntryAt finds the entry for a handle in the _HANDLE_TABLE at addr, also
// a free one.
func (s *System) HandleEntryAt(addr, handle uint64) (Handle, error) {
	t, err := s.Type("_HANDLE_TABLE_ENTRY")
	table := s.Struct("_HANDLE_TABLE", addr)
	code, cerr := table.Field("TableCode").Uint()
	limit, lerr := table.Field("NextHandleNeedingPool").Uint()
	if err := errors.Join(err, cerr, lerr); err != nil {
		return Handle{}, fmt.Errorf("handle table %#x: %w", addr, err)
	}
	level := int(code & tableLevelMask)
	if handle%handleStep != 0 || handle >= limit || level > maxTableLevels || t.Size == 0 {
		return Handle{}, ErrNoHandle
	}
	at := code &^ tableLevelMask
	perPage := memory.PageSize / t.Size
	index := handle / handleStep
	span := perPage
	for range level - 1 {
		span *= pointersPerPage
	}
	for ; level > 0; level-- {
		if at, err = memory.ReadUint(s.Kernel(), at+8*(index/span%pointersPerPage), 8); err != nil {
			return Handle{}, fmt.Errorf("handle %#x: %w", handle, err)
		}
		if at == 0 {
			return Handle{}, ErrNoHandle
		}
		index %= span
		span /= pointersPerPage
	}
	e := types.NewObject(s.Kernel(), t, at+index%perPage*t.Size)
	h := Handle{HandleEntry{Handle: handle, Entry: e}, s}
	if index%perPage != 0 { // entry 0 of a page is the kernel's own
		h.Object, err = entryObject(e)
	}
	return h, err
}

// NextFree returns what a free entry says about the next one.
func (h Handle) NextFree() (uint64, error) {
	return h.Entry.FirstField("NextFreeHandleEntry", "NextFreeTableEntry").Uint()
}

// CIDEntry finds the process or thread of an id in nt!PspCidTable. Entries of
// this table point at the objects, not at their headers.
func (s *System) CIDEntry(id uint64) (Handle, error) {
	table, err := s.cidTable()
	if err != nil {
		return Handle{}, err
	}
	h, err := s.HandleEntryAt(table, id)
	if err != nil || h.Object == 0 {
		return h, err
	}
	off, err := s.objectBody()
	h.Object -= off
	return h, err
}

// KernelHandleTable returns the address of the kernel's own handle table.
func (s *System) KernelHandleTable(ctx context.Context) (uint64, error) {
	if table, err := s.GlobalUint("ObpKernelHandleTable", 8); err == nil && table != 0 {
		return table, nil
	}
	p, err := s.ProcessByPID(ctx, systemPID)
	if err != nil {
		return 0, err
	}
	return p.ObjectTable()
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
