package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/types"
	"kdap/engine/windows"
)

// A KeyHandle is a handle that a process has to a key.
type KeyHandle struct {
	Process windows.Process
	Handle  windows.Handle
	Body    uint64 // of the object: a _CM_KEY_BODY
	Block   ControlBlock
}

// KeyHandles yields the handles of all processes to keys of a hive, of all
// hives when h is nil. What cannot be read of one process is an error in its
// place.
func (r *Registry) KeyHandles(ctx context.Context, h *Hive) iter.Seq2[KeyHandle, error] {
	return func(yield func(KeyHandle, error) bool) {
		for p, err := range r.sys.ActiveProcesses(ctx) {
			if err != nil {
				yield(KeyHandle{}, err)
				return
			}
			for handle, err := range p.Handles(ctx) {
				if ctx.Err() != nil {
					yield(KeyHandle{}, ctx.Err())
					return
				}
				k := KeyHandle{Process: p, Handle: handle}
				if err == nil {
					var ok bool
					if k, ok, err = r.keyHandle(k, h); err == nil && !ok {
						continue
					}
				}
				if err != nil {
					err = fmt.Errorf("process %#x, handle %#x: %w", p.Addr(), handle.Handle, err)
				}
				if !yield(k, err) {
					return
				}
			}
		}
	}
}

// keyHandle fills in what the handle is for; false when it is for something
// else.
func (r *Registry) keyHandle(k KeyHandle, h *Hive) (KeyHandle, bool, error) {
	o := k.Handle.Target()
	kind, err := o.TypeName()
	if err != nil || kind != "Key" {
		return k, false, err
	}
	k.Body = o.Addr()
	kcb, err := r.sys.Struct("_CM_KEY_BODY", k.Body).Field("KeyControlBlock").Uint()
	if err != nil {
		return k, false, err
	}
	k.Block = r.ControlBlock(kcb)
	of, err := k.Block.Hive()
	return k, err == nil && (h == nil || of == h.Addr()), err
}

// Notifications yields the _CM_NOTIFY_BLOCKs of all hives: who waits for a
// change of a key.
func (r *Registry) Notifications(ctx context.Context) iter.Seq2[types.Object, error] {
	return func(yield func(types.Object, error) bool) {
		block, err := r.sys.Type("_CM_NOTIFY_BLOCK")
		if err != nil {
			yield(types.Object{}, err)
			return
		}
		for h, err := range r.Hives() {
			if err != nil {
				yield(types.Object{}, err)
				return
			}
			for b, err := range types.ListEntries(h.obj.Field("NotifyList"), block, "HiveList") {
				if ctx.Err() != nil || !yield(b, err) {
					return
				}
			}
		}
	}
}

// UnitsOfWork yields the _CM_KCB_UOWs of the transaction at addr.
func (r *Registry) UnitsOfWork(ctx context.Context, addr uint64) iter.Seq2[types.Object, error] {
	return func(yield func(types.Object, error) bool) {
		unit, err := r.sys.Type("_CM_KCB_UOW")
		if err != nil {
			yield(types.Object{}, err)
			return
		}
		for u, err := range types.ListEntries(r.sys.Struct("_CM_TRANS", addr).Field("KCBUoWListHead"), unit, "TransactionListEntry") {
			if ctx.Err() != nil || !yield(u, err) {
				return
			}
		}
	}
}

// maxLockOwners is far above the transactions that share one lock.
const maxLockOwners = 1 << 16

// LockOwners returns the _CM_KCB_UOWs that own a _CM_INTENT_LOCK, and how many
// the lock says they are.
func (r *Registry) LockOwners(lock types.Object) (owners []uint64, count uint64, err error) {
	count, err = lock.Field("OwnerCount").Uint()
	table, terr := lock.Field("OwnerTable").Uint()
	if err = errors.Join(err, terr); err != nil {
		return nil, count, err
	}
	for i := range min(count, maxLockOwners) {
		v, err := r.pointer(table + 8*i)
		if err != nil {
			return owners, count, fmt.Errorf("owner %d of the lock %#x: %w", i, lock.Addr(), err)
		}
		owners = append(owners, v)
	}
	return owners, count, nil
}

// FreeHints returns the runs of bits that are set in a display of a storage:
// where free cells of the display's size are.
func (h *Hive) FreeHints(s Storage, display int) (DirtyVector, error) {
	o := h.obj.Field("Hive.Storage").Index(int(s)).Field("FreeDisplay").Index(display)
	return h.bitmap(o.Field("Display"), fmt.Sprintf("free display %d", display))
}
