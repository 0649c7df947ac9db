package command

import (
	"context"
	"strings"

	"kdap/engine/windows"
)

func threadBlockCommands() []*Command {
	return []*Command{
		{Names: []string{"!tls"}, Args: "Slot | -1 [TEB | 0 | -1]", Short: "show a slot of TlsAlloc, or all that are in use; -1: of every thread", Run: runTLS},
		{Names: []string{"!envvar"}, Args: "Name", Short: "show a variable of the process's environment", Run: runEnvironmentVariable},
	}
}

func runTLS(ctx context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		s.printf("Usage: !tls <slot> [teb]\n  slot: -1 to dump all allocated slots\n  {0-0n1088} to dump a specific slot\n" +
			"  teb: <empty> or 0 for the current thread\n  -1 for all threads in this process\n")
		return nil
	}
	slot, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	addr, err := s.extensionNumberOr(c, 0)
	if err != nil {
		return err
	}
	switch addr {
	case 0:
		teb, err := s.currentBlock()
		if err != nil {
			return err
		}
		return s.showTLS(teb, slot)
	case ^uint64(0):
		for t, err := range s.debuggee.threads(ctx, s) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				return s.failure(err, "Unable to list the threads")
			}
			if t.teb == 0 {
				continue
			}
			teb, err := s.block(t.teb)
			if err == nil {
				err = s.showTLS(teb, slot)
			}
			if err != nil {
				s.notef("thread %x: %v", t.tid, err)
				s.interp.failed = true
			}
		}
		return nil
	}
	return s.showTLS(windows.TEBAt(s.space(), addr, s.userPointer()), slot)
}

// showTLS prints one slot of a thread, or all those in use.
func (s *Session) showTLS(teb windows.TEB, slot uint64) error {
	pid, tid, err := teb.ClientID()
	if err != nil {
		return s.failure(err, "Unable to read TEB")
	}
	digits := 2 * teb.PointerSize()
	if slot != ^uint64(0) {
		if slot >= windows.TLSSlots+windows.TLSExpansionSlots {
			return Failf("Invalid TLS slot: %x", slot)
		}
		v, err := teb.TLSSlot(int(slot))
		if err != nil {
			return s.failure(err, "Unable to read the TLS slot")
		}
		s.printf("%x.%x: %0*x\n", pid, tid, digits, v)
		return nil
	}
	s.printf("TLS slots on thread: %x.%x\n", pid, tid)
	for n, err := range teb.TLSInUse() {
		var v uint64
		if err == nil {
			v, err = teb.TLSSlot(n)
		}
		if err != nil {
			return s.failure(err, "Unable to read the TLS slots")
		}
		s.printf("0x%04x : %0*x\n", n, digits, v)
	}
	return nil
}

func runEnvironmentVariable(ctx context.Context, s *Session, c *Call) error {
	name := c.Word()
	if name == "" {
		s.printf("Usage: !envvar <name>\n")
		return nil
	}
	p, err := s.debuggee.process(s)
	if err != nil {
		return err
	}
	addr, err := s.debuggee.peb(s)
	if err != nil || addr == 0 {
		return s.failure(err, "PEB NULL...")
	}
	block, err := p.EnvironmentAt(addr)
	if err != nil {
		return s.failure(err, "Unable to read PEB")
	}
	found := false
	for v, err := range block.Variables() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return s.failure(err, "Unable to read the environment")
		}
		if strings.EqualFold(v.Name, name) {
			s.printf("        %s = %s\n", visible(v.Name), visible(v.Value))
			found = true
		}
	}
	if !found {
		return Failf("%s is not in the environment", name)
	}
	return nil
}
