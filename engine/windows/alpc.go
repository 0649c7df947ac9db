package windows

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/types"
)

// An ALPCPort is a view over one _ALPC_PORT, an end of a channel on which
// processes send each other messages.
type ALPCPort struct {
	sys *System
	obj types.Object
}

// ALPCPort returns the view over the _ALPC_PORT at addr.
func (s *System) ALPCPort(addr uint64) ALPCPort { return ALPCPort{s, s.Struct("_ALPC_PORT", addr)} }

// Addr returns the address of the _ALPC_PORT.
func (p ALPCPort) Addr() uint64 { return p.obj.Addr() }

// Object returns the _ALPC_PORT itself.
func (p ALPCPort) Object() types.Object { return p.obj }

// IsPort reports whether the object manager knows the object as a port.
func (p ALPCPort) IsPort() bool {
	name, err := p.sys.ObjectAt(p.Addr()).TypeName()
	return err == nil && name == "ALPC Port"
}

// Name returns the port's name, "" for one without.
func (p ALPCPort) Name() (string, error) { return p.sys.ObjectAt(p.Addr()).Name() }

// Owner returns the process that the port is of.
func (p ALPCPort) Owner() (Process, error) {
	at, err := p.obj.Field("OwnerProcess").Uint()
	return p.sys.Process(at), err
}

// Channel returns the three ports of the port's channel: where clients
// connect, the server's and the client's end. 0 is one that is not there.
func (p ALPCPort) Channel() (connection, server, client uint64, err error) {
	info := p.obj.Field("CommunicationInfo").Deref()
	var errs [3]error
	connection, errs[0] = info.Field("ConnectionPort").Uint()
	server, errs[1] = info.Field("ServerCommunicationPort").Uint()
	client, errs[2] = info.Field("ClientCommunicationPort").Uint()
	return connection, server, client, errors.Join(errs[:]...)
}

// ALPCPortTypes are the words for the kinds of ports, by the bits of
// _ALPC_PORT.u1.s1.Type.
var ALPCPortTypes = []string{"", "ALPC_CONNECTION_PORT", "ALPC_SERVER_COMMUNICATION_PORT", "ALPC_CLIENT_COMMUNICATION_PORT"}

// Type returns the word for the port's kind.
func (p ALPCPort) Type() (string, error) {
	v, err := p.obj.Field("u1.s1.Type").Uint()
	if err != nil || v == 0 || v >= uint64(len(ALPCPortTypes)) {
		return "UNKNOWN", err
	}
	return ALPCPortTypes[v], nil
}

// ALPCQueues are the queues of a port: the member, and the words for it.
var ALPCQueues = []struct{ Member, Words string }{
	{"MainQueue", "Main queue"},
	{"LargeMessageQueue", "Large message queue"},
	{"PendingQueue", "Pending queue"},
	{"CanceledQueue", "Canceled queue"},
}

// Messages yields the messages in one of the port's queues.
func (p ALPCPort) Messages(ctx context.Context, queue string) iter.Seq2[ALPCMessage, error] {
	return func(yield func(ALPCMessage, error) bool) {
		t, err := p.sys.Type("_KALPC_MESSAGE")
		if err != nil {
			yield(ALPCMessage{}, err)
			return
		}
		link := "Entry"
		if t.Field(link) == nil {
			link = "Entry1"
		}
		for o, err := range types.ListEntries(p.obj.Field(queue), t, link) {
			if err = errors.Join(err, ctx.Err()); err != nil {
				yield(ALPCMessage{}, fmt.Errorf("%s of port %#x: %w", queue, p.Addr(), err))
				return
			}
			if !yield(ALPCMessage{p.sys, o}, nil) {
				return
			}
		}
	}
}

// An ALPCMessage is a view over one _KALPC_MESSAGE.
type ALPCMessage struct {
	sys *System
	obj types.Object
}

// ALPCMessage returns the view over the _KALPC_MESSAGE at addr.
func (s *System) ALPCMessage(addr uint64) ALPCMessage {
	return ALPCMessage{s, s.Struct("_KALPC_MESSAGE", addr)}
}

// Addr returns the address of the _KALPC_MESSAGE.
func (m ALPCMessage) Addr() uint64 { return m.obj.Addr() }

// Object returns the _KALPC_MESSAGE itself.
func (m ALPCMessage) Object() types.Object { return m.obj }

// ALPCMessageTypes are the words for the types of messages (LPC_* of the
// public headers of the port functions).
var ALPCMessageTypes = []string{
	"LPC_NEW_MESSAGE", "LPC_REQUEST", "LPC_REPLY", "LPC_DATAGRAM", "LPC_LOST_REPLY", "LPC_PORT_CLOSED", "LPC_CLIENT_DIED",
	"LPC_EXCEPTION", "LPC_DEBUG_EVENT", "LPC_ERROR_EVENT", "LPC_CONNECTION_REQUEST", "LPC_CONNECTION_REPLY", "LPC_CANCELED",
}

// Type returns the word for the message's type.
func (m ALPCMessage) Type() (string, error) {
	v, err := m.obj.Field("PortMessage.u2.s2.Type").Uint()
	v &= 0xff // above it are flags
	if err != nil || v >= uint64(len(ALPCMessageTypes)) {
		return fmt.Sprint(v), err
	}
	return ALPCMessageTypes[v], nil
}

// Ports yields the ports that the process has handles of.
func (p Process) Ports(ctx context.Context) iter.Seq2[ALPCPort, error] {
	return func(yield func(ALPCPort, error) bool) {
		seen := map[uint64]bool{}
		for h, err := range p.Handles(ctx) {
			if err != nil {
				if !yield(ALPCPort{}, err) {
					return
				}
				continue
			}
			o := p.sys.objectOfHeader(h.HandleEntry.Object)
			port := p.sys.ALPCPort(o.Addr())
			if seen[o.Addr()] || !port.IsPort() {
				continue
			}
			seen[o.Addr()] = true
			if !yield(port, nil) {
				return
			}
		}
	}
}
