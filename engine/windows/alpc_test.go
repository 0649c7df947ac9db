package windows

import (
	"context"
	"testing"

	"kdap/engine/types"
)

// alpcSystem is a system with a thread that waits for the answer to a message
// in the queue of a port, with the layouts of Windows 10's public symbols as
// far as they matter.
func alpcSystem(m pages) *System {
	s := handleSystem(m)
	quad, tiny := number("unsigned __int64", 8), number("unsigned char", 1)
	structure := func(name string, size uint64, fields ...types.Field) *types.Type {
		t := &types.Type{Name: name, Kind: types.Struct, Size: size}
		t = t.NewLazy(func(l *types.Lazy) { l.Fields = fields })
		s.typeCache.Store(name, t)
		return t
	}
	list := structure("_LIST_ENTRY", 16, types.Field{Name: "Flink", Type: quad}, types.Field{Name: "Blink", Offset: 8, Type: quad})
	tcb := structure("_KTHREAD", 0x40, types.Field{Name: "WaitReason", Offset: 0x10, Type: tiny})
	structure("_ETHREAD", 0x80, types.Field{Name: "Tcb", Type: tcb}, types.Field{Name: "AlpcMessage", Offset: 0x40, Type: quad})
	structure("_KALPC_MESSAGE", 0x100, types.Field{Name: "Entry", Type: list}, types.Field{Name: "PortQueue", Offset: 0x10, Type: quad},
		types.Field{Name: "ConnectionPort", Offset: 0x20, Type: quad}, types.Field{Name: "ServerThread", Offset: 0x28, Type: quad})
	structure("_ALPC_PORT", 0x100, types.Field{Name: "OwnerProcess", Offset: 0x18, Type: quad}, types.Field{Name: "MainQueue", Offset: 0x20, Type: list})
	structure("_EPROCESS", 0x40)
	return s
}

const (
	testThread, testMessage, testPort, testServer, testOwner = 0x1000, 0x2000, 0x3000, 0x4000, 0x5000
)

// TestMessageWait: a message in a queue, one that a thread took, none at all.
func TestMessageWait(t *testing.T) {
	m := pages{}
	m.put(testThread+0x10, waitLpcReply)
	m.put(testThread+0x40, testMessage)
	m.put(testMessage+0x10, testPort)
	m.put(testMessage+0x20, testPort)
	m.put(testMessage+0x28, 0)
	m.put(testPort+0x18, testOwner)
	s := alpcSystem(m)
	thread := s.Thread(testThread)
	w, ok, err := thread.MessageWait()
	if err != nil || !ok || w.Message != testMessage || w.Port != testPort || w.Owner.Addr() != testOwner || w.Server != 0 {
		t.Errorf("in a queue: %+v %v %v", w, ok, err)
	}
	m.put(testMessage+0x10, 0)
	m.put(testMessage+0x28, testServer|1)
	w, ok, err = thread.MessageWait()
	if err != nil || !ok || w.Port != 0 || w.Owner.Addr() != testOwner || w.Server != testServer {
		t.Errorf("taken: %+v %v %v", w, ok, err)
	}
	m.put(testThread+0x40, 0)
	if _, ok, err = thread.MessageWait(); ok || err != nil {
		t.Errorf("no message: %v %v", ok, err)
	}
	m.put(testThread+0x10, 6) // UserRequest
	m.put(testThread+0x40, testMessage)
	if _, ok, err = thread.MessageWait(); ok || err != nil {
		t.Errorf("another wait: %v %v", ok, err)
	}
}

// TestPortQueue: messages come in their order; a list that does not end does.
func TestPortQueue(t *testing.T) {
	m := pages{}
	head := uint64(testPort + 0x20)
	m.put(head, testMessage)
	m.put(head+8, testMessage+0x800)
	m.put(testMessage, testMessage+0x800)
	m.put(testMessage+8, head)
	m.put(testMessage+0x800, head)
	m.put(testMessage+0x808, testMessage)
	s := alpcSystem(m)
	walk := func() (got []uint64, err error) {
		for msg, merr := range s.ALPCPort(testPort).Messages(context.Background(), "MainQueue") {
			if merr != nil {
				return got, merr
			}
			got = append(got, msg.Addr())
		}
		return got, nil
	}
	got, err := walk()
	if err != nil || len(got) != 2 || got[0] != testMessage || got[1] != testMessage+0x800 {
		t.Errorf("%x, %v", got, err)
	}
	m.put(testMessage+0x800, testMessage) // a circle without the head
	if _, err := walk(); err == nil {
		t.Error("a circle is no error")
	}
}
