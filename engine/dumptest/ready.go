package dumptest

// A readyThread is a thread that shall wait in a processor's queue.
type readyThread struct {
	thread   *Thread
	cpu      int
	priority int
}

// QueueReady makes a thread ready: it waits in a processor's own queue of the
// priority, behind those that were put there before.
func (m *Machine) QueueReady(t *Thread, cpu, priority int) {
	t.o.set("Tcb.State", m.l.enum("_KTHREAD_STATE", "Ready")).set("Tcb.Priority", uint64(priority)).set("Tcb.NextProcessor", uint64(cpu))
	t.truth.State = "Ready"
	m.ready = append(m.ready, readyThread{t, cpu, priority})
}

// linkReady links the queues of a processor, whose heads are there already.
func (m *Machine) linkReady(c *cpu) {
	o := m.Kernel.obj("_KPRCB", c.prcb)
	for _, r := range m.ready {
		if r.cpu != c.number {
			continue
		}
		m.Kernel.append(o.addr("DispatcherReadyListHead")+16*uint64(r.priority), r.thread.o.addr("Tcb.WaitListEntry"))
		o.set("ReadySummary", o.get("ReadySummary")|1<<r.priority)
	}
}

// append puts an entry at the end of a list.
func (s *Space) append(head, entry uint64) {
	last := s.u64(head + 8)
	s.U64(entry, head)
	s.U64(entry+8, last)
	s.U64(last, entry)
	s.U64(head+8, entry)
}
