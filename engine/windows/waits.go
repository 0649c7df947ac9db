package windows

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/types"
)

// Waiters yields the threads that wait for the dispatcher object at addr. Its
// list links wait blocks of theirs.
func (s *System) Waiters(ctx context.Context, addr uint64) iter.Seq2[Thread, error] {
	return func(yield func(Thread, error) bool) {
		block, err := s.Type("_KWAIT_BLOCK")
		if err != nil {
			yield(Thread{}, err)
			return
		}
		head := s.Struct("_DISPATCHER_HEADER", addr).Field("WaitListHead")
		for o, err := range types.ListEntries(head, block, "WaitListEntry") {
			var at uint64
			if err == nil {
				at, err = o.Field("Thread").Uint()
			}
			if err = errors.Join(err, ctx.Err()); err != nil {
				yield(Thread{}, fmt.Errorf("who waits for %#x: %w", addr, err))
				return
			}
			if !yield(s.Thread(at), nil) {
				return
			}
		}
	}
}

// A MessageWait is a thread's wait for the answer to an ALPC message.
type MessageWait struct {
	Message uint64
	Port    uint64  // whose queue the message is in; 0: in none any more
	Owner   Process // of the port
	Server  uint64  // the thread that took the message, 0 for none yet
}

// MessageWait returns what answer the thread waits for; false for a thread that
// waits for none.
func (t Thread) MessageWait() (w MessageWait, ok bool, err error) {
	reason, err := t.WaitReason()
	if err != nil || reason != waitLpcReply {
		return w, false, err
	}
	if w.Message, err = t.obj.Field("AlpcMessage").Uint(); err != nil || w.Message == 0 {
		var missing *types.NoFieldError
		if errors.As(err, &missing) {
			err = nil
		}
		return w, false, err
	}
	m := t.sys.Struct("_KALPC_MESSAGE", w.Message)
	if w.Port, err = m.Field("PortQueue").Uint(); err != nil {
		return w, true, err
	}
	if w.Server, err = m.Field("ServerThread").Uint(); err != nil {
		return w, true, err
	}
	w.Server &^= pointerTag
	port := w.Port
	if port == 0 { // taken: the port it came through is still known
		if port, err = m.Field("ConnectionPort").Uint(); err != nil || port == 0 {
			return w, true, err
		}
	}
	owner, err := t.sys.Struct("_ALPC_PORT", port).Field("OwnerProcess").Uint()
	w.Owner = t.sys.Process(owner)
	return w, true, err
}

const (
	waitLpcReply = 17 // _KWAIT_REASON of the kernel's public types: WrLpcReply
	pointerTag   = 7  // bits of a pointer to an aligned structure that may be flags
)
