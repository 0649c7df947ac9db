package command

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/types"
	"kdap/engine/windows/registry"
)

// The words of !reg about who uses keys: handles, transactions, locks,
// notifications. WinDbg's documentation names them without a sample; the
// layouts are ours.

func regOpenHandles(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	var h *registry.Hive
	if addr != 0 {
		h = r.Hive(addr)
		if signature, err := h.Signature(); err != nil || signature != registry.HiveSignature {
			return Failf("Invalid Hive signature: %x", signature)
		}
		s.printf("\nHive: %s", visible(h.Path()))
	}
	s.printf("\n%s", keyRule)
	g := gaps{s: s}
	defer g.end()
	count, process := 0, uint64(0)
	for k, err := range r.KeyHandles(ctx, h) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			g.add(err)
			continue
		}
		if at := k.Process.Addr(); at != process {
			process = at
			name, _ := k.Process.ImageName()
			s.printf("Process %016x %s (%s)\n", at, visible(name), hexText("%x", k.Process.PID))
		}
		count++
		path, err := k.Block.Path()
		if err != nil {
			g.add(err)
		}
		s.printf(" %04x: body=%016x kcb=%016x access=%s %s\n", k.Handle.Handle, k.Body, k.Block.Addr(), hexText("%08x", k.Handle.Access), visible(path))
	}
	s.printf("%s0x%x handles found\n", keyRule, count)
	return nil
}

func regFreeHints(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	h, err := s.regHive(r, c)
	if err != nil {
		return err
	}
	storage, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	display, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	if storage > 1 || display > 0xff {
		return Failf("usage: !reg freehints HiveAddr Storage Display")
	}
	d, err := h.FreeHints(registry.Storage(storage), int(display))
	if err != nil {
		s.notef("%v", err)
		return Failf("Could not read the free display %x of %016x", display, h.Addr())
	}
	s.printf("\nDisplay = %016x, %d bits\n\n[FirstBlock] [LastBlock]\n", d.Addr, d.Bits)
	for first, last := range d.Runs() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.printf("%10x   %9x\n", first, last)
	}
	return nil
}

func regUnitsOfWork(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	s.printf("\n")
	n := 0
	for u, err := range r.UnitsOfWork(ctx, addr) {
		if err != nil {
			s.notef("%v", err)
			break
		}
		n++
		s.regUnit(r, u)
	}
	s.printf("%d units of work\n", n)
	return ctx.Err()
}

// regUnit prints one unit of work of a transaction.
func (s *Session) regUnit(r *registry.Registry, u types.Object) {
	kcb, err := u.Field("KeyControlBlock").Uint()
	if err != nil {
		s.notef("unit of work %x: %v", u.Addr(), err)
	}
	path, err := r.ControlBlock(kcb).Path()
	if err != nil {
		s.notef("%v", err)
	}
	s.printf("UoW = %016x  Trans = %s  Action = %s  Kcb = %016x %s\n", u.Addr(), hexText("%016x", u.Field("Transaction").Uint),
		hexText("%x", u.Field("ActionType").Uint), kcb, visible(path))
}

func regIntentLock(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	s.printf("\n")
	return s.intentLock(ctx, r, "Lock", s.sys.Struct("_CM_INTENT_LOCK", addr))
}

func (s *Session) intentLock(ctx context.Context, r *registry.Registry, name string, lock types.Object) error {
	owners, count, err := r.LockOwners(lock)
	if err != nil {
		s.notef("%v", err)
		if len(owners) == 0 {
			return Failf("Could not read the lock at %016x", lock.Addr())
		}
	}
	s.printf("%-8s = %016x  OwnerCount = %x\n", name, lock.Addr(), count)
	for _, u := range owners {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.regUnit(r, s.sys.Struct("_CM_KCB_UOW", u))
	}
	return nil
}

func regLockTable(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	thread, err := s.extensionNumberOr(c, 0)
	if err != nil {
		return err
	}
	o := r.ControlBlock(addr).Object()
	owner, err := o.Field("Owner").Uint()
	if err != nil {
		s.notef("%v", err)
		return Failf("Could not read the key control block at %016x", addr)
	}
	word := ""
	if thread != 0 && owner == thread {
		word = " (the thread)"
	}
	s.printf("\nKcb      = %016x  Pushlock = %s  Owner = %016x%s\n", addr, hexText("%016x", o.Field("KcbPushlock.Value").Uint), owner, word)
	for _, name := range []string{"KCBLock", "KeyLock"} {
		if lock := o.Field(name); lock.Err() == nil {
			if err := s.intentLock(ctx, r, name, lock); err != nil {
				return err
			}
		}
	}
	return nil
}

func regNotifications(ctx context.Context, s *Session, r *registry.Registry, _ *Call) error {
	s.printf("\n[NotifyBlock]     [KeyBody]         [Kcb]\n")
	g := gaps{s: s}
	defer g.end()
	n := 0
	for b, err := range r.Notifications(ctx) {
		if err != nil {
			g.add(err)
			continue
		}
		n++
		kcb, err := b.Field("KeyControlBlock").Uint()
		path, perr := r.ControlBlock(kcb).Path()
		if err := errors.Join(err, perr); err != nil {
			g.add(fmt.Errorf("notify block %x: %w", b.Addr(), err))
		}
		s.printf("%016x  %s  %016x  %s\n", b.Addr(), hexText("%016x", b.Field("KeyBody").Uint), kcb, visible(path))
	}
	s.printf("%d notify blocks\n", n)
	return ctx.Err()
}

// regPostBlocks lists the threads that notifications are waited for in: those
// whose list of post blocks is not empty.
func regPostBlocks(ctx context.Context, s *Session, _ *registry.Registry, _ *Call) error {
	s.printf("\n[Thread]          [FirstPostBlock]\n")
	n := 0
	for p, err := range s.sys.ActiveProcesses(ctx) {
		if err != nil {
			s.notef("%v", err)
			break
		}
		for t, err := range p.Threads(ctx) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				s.notef("%v", err)
				continue
			}
			list := t.Object().Field("PostBlockList")
			first, err := list.Field("Flink").Uint()
			if err != nil || first == 0 || first == list.Addr() {
				continue
			}
			n++
			s.printf("%016x  %016x\n", t.Addr(), first)
		}
	}
	s.printf("%d threads with post blocks\n", n)
	return nil
}
