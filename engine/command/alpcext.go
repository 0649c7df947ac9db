package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/types"
	"kdap/engine/windows"
)

func alpcCommands() []*Command {
	return []*Command{
		{
			Names: []string{"!alpc"}, Args: "/p Port | /m Message | /lpp [Process]",
			Short: "show an ALPC port, a message, or the ports of a process", Run: runALPC,
		},
		{Names: []string{"!lpc"}, Args: "port Port | message Message", Short: "older spelling of !alpc", Run: runLPC},
	}
}

func runALPC(ctx context.Context, s *Session, c *Call) error {
	word := strings.ToLower(c.Word())
	var addr uint64
	if !c.Args.Done() {
		var err error
		if addr, err = s.extensionNumber(c); err != nil {
			return err
		}
	}
	switch strings.TrimLeft(word, "/-") {
	case "p":
		return s.showPort(ctx, addr)
	case "m":
		return s.showMessage(addr)
	case "lpp":
		return s.listPorts(ctx, addr)
	}
	return Failf("usage: !alpc /p Port | /m Message | /lpp [Process]")
}

func runLPC(ctx context.Context, s *Session, c *Call) error {
	word := strings.ToLower(c.Word())
	if (word != "port" && word != "message") || c.Args.Done() {
		return Failf("LPC is gone since Windows Vista: use !alpc")
	}
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	if word == "port" {
		return s.showPort(ctx, addr)
	}
	return s.showMessage(addr)
}

// alpcRow prints a label and a value.
func (s *Session) alpcRow(label, format string, args ...any) {
	s.printf("  %-26s: %s\n", label, fmt.Sprintf(format, args...))
}

// portFlags are the flags of _ALPC_PORT.u1.s1 with the words for them; those
// that say that something is not so are shown turned around.
var portFlags = []struct {
	label, member string
	not           bool
}{
	{"ConnectionPending", "ConnectionPending", false},
	{"ConnectionRefused", "ConnectionRefused", false},
	{"Disconnected", "Disconnected", false},
	{"Closed", "Closed", false},
	{"FlushOnClose", "NoFlushOnClose", true},
	{"ReturnExtendedInfo", "ReturnExtendedInfo", false},
	{"Waitable", "Waitable", false},
}

func (s *Session) showPort(ctx context.Context, addr uint64) error {
	p := s.sys.ALPCPort(addr)
	kind, err := p.Type()
	if err != nil || !p.IsPort() {
		if err != nil {
			s.notef("%v", err)
		}
		return Failf("%016x is not a valid ALPC port", addr)
	}
	number := func(o types.Object) uint64 {
		v, err := o.Uint()
		if err != nil {
			s.notef("%v", err)
		}
		return v
	}
	o := p.Object()
	s.printf("Port %016x\n", addr)
	s.alpcRow("Type", "%s", kind)
	s.alpcRow("CommunicationInfo", "%016x", number(o.Field("CommunicationInfo")))
	connection, server, client, err := p.Channel()
	if err != nil {
		s.notef("%v", err)
	}
	s.alpcRow("  ConnectionPort", "%016x%s", connection, s.portName(connection))
	s.alpcRow("  ClientCommunicationPort", "%016x", client)
	s.alpcRow("  ServerCommunicationPort", "%016x", server)
	if owner, err := p.Owner(); err == nil {
		s.alpcRow("OwnerProcess", "%016x (%s)", owner.Addr(), imageText(owner))
	}
	sequence := number(o.Field("SequenceNo"))
	s.alpcRow("SequenceNo", "0x%08X (%d)", uint32(sequence), int32(sequence))
	s.alpcRow("CompletionPort", "%016x", number(o.Field("CompletionPort")))
	s.alpcRow("CompletionList", "%016x", number(o.Field("CompletionList")))
	flags := o.Field("u1.s1")
	for _, f := range portFlags {
		s.alpcRow(f.label, "%s", yesNoText((number(flags.Field(f.member)) != 0) != f.not))
	}
	security := "Static"
	if number(flags.Field("DynamicSecurity")) != 0 {
		security = "Dynamic"
	}
	s.alpcRow("Security", "%s", security)
	s.alpcRow("Wow64CompletionList", "%s", yesNoText(number(flags.Field("Wow64CompletionList")) != 0))
	s.printf("\n")
	for _, q := range windows.ALPCQueues {
		if err := s.showQueue(ctx, p, q.Member, q.Words); err != nil {
			return err
		}
	}
	return nil
}

// portName is a port's name in words of its own, "" for one without.
func (s *Session) portName(addr uint64) string {
	if addr == 0 {
		return ""
	}
	name, err := s.sys.ALPCPort(addr).Name()
	if err != nil || name == "" {
		return ""
	}
	return " (" + visible(name) + ")"
}

func (s *Session) showQueue(ctx context.Context, p windows.ALPCPort, member, words string) error {
	n := 0
	for m, err := range p.Messages(ctx, member) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			return nil
		}
		if n == 0 {
			s.printf("  %s:\n", words)
		}
		n++
		kind, _ := m.Type()
		id, _ := m.Object().Field("PortMessage.MessageId").Uint()
		waiting, _ := m.Object().Field("WaitingThread").Uint()
		s.printf("    %016x %04x %s WaitingThread: %016x\n", m.Addr(), id, kind, waiting)
	}
	if n == 0 {
		s.printf("  %s is empty.\n", words)
	} else {
		s.printf("    %d message(s)\n", n)
	}
	return nil
}

func (s *Session) showMessage(addr uint64) error {
	m := s.sys.ALPCMessage(addr)
	kind, err := m.Type()
	if err != nil || addr == 0 {
		if err != nil {
			s.notef("%v", err)
		}
		return Failf("Unable to read the message at %016x", addr)
	}
	o := m.Object()
	number := func(path string) uint64 {
		v, err := o.Field(path).Uint()
		if err != nil {
			s.notef("%v", err)
		}
		return v
	}
	decimal := func(label string, v uint64) { s.alpcRow(label, "0x%04X (%d)", v, v) }
	s.printf("Message %016x\n", addr)
	decimal("MessageID", number("PortMessage.MessageId"))
	decimal("CallbackID", number("PortMessage.CallbackId"))
	decimal("SequenceNumber", number("SequenceNo")&0xffffffff)
	s.alpcRow("Type", "%s", kind)
	decimal("DataLength", number("PortMessage.u1.s1.DataLength"))
	decimal("TotalLength", number("PortMessage.u1.s1.TotalLength"))
	port := func(label, member string) {
		at := number(member)
		if at == 0 {
			s.alpcRow(label, "%016x", at)
			return
		}
		kind, _ := s.sys.ALPCPort(at).Type()
		s.alpcRow(label, "%016x [%s]", at, kind)
	}
	port("OwnerPort", "OwnerPort")
	s.alpcRow("WaitingThread", "%016x", number("WaitingThread"))
	port("QueuePort", "PortQueue")
	if at := number("PortQueue"); at != 0 {
		if owner, err := s.sys.ALPCPort(at).Owner(); err == nil {
			s.alpcRow("QueuePortOwnerProcess", "%016x (%s)", owner.Addr(), imageText(owner))
		}
	}
	s.alpcRow("ServerThread", "%016x", number("ServerThread"))
	port("CancelQueuePort", "CancelQueuePort")
	port("CancelSequencePort", "CancelSequencePort")
	s.alpcRow("CancelSequenceNumber", "0x%04X (%d)", number("CancelSequenceNo")&0xffffffff, int32(number("CancelSequenceNo")))
	return nil
}

// listPorts lists the ports that a process made and those it is connected to.
func (s *Session) listPorts(ctx context.Context, addr uint64) error {
	p, err := s.debuggee.process(s)
	if addr != 0 {
		p, err = s.sys.Process(addr), nil
	}
	if err != nil {
		return err
	}
	if !p.IsProcess() {
		return Failf("TYPE mismatch for process object at %016x", p.Addr())
	}
	var made, connected []windows.ALPCPort
	for port, err := range p.Ports(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			continue
		}
		if kind, err := port.Type(); err == nil && kind == windows.ALPCPortTypes[1] {
			made = append(made, port)
			continue
		}
		connected = append(connected, port)
	}
	s.printf("\nPorts created by the process %016x (%s):\n\n", p.Addr(), imageText(p))
	for _, port := range made {
		name, _ := port.Name()
		s.printf("\t%016x('%s')\n", port.Addr(), visible(name))
	}
	s.printf("\nPorts the process %016x (%s) is connected to:\n\n", p.Addr(), imageText(p))
	for _, port := range connected {
		connection, server, client, err := port.Channel()
		if err != nil {
			s.notef("%v", err)
			continue
		}
		other := ""
		if owner, err := s.sys.ALPCPort(connection).Owner(); err == nil && connection != 0 {
			other = fmt.Sprintf(" %016x (%s)", owner.Addr(), imageText(owner))
		}
		s.printf("\t%016x -> %016x%s server %016x client %016x%s\n", port.Addr(), connection, s.portName(connection), server, client, other)
	}
	return nil
}
