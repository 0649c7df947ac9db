package dumptest

// Placement says where the parts of a process lie, for tests that compare
// addresses; 0 leaves a place to the writer.
type Placement struct {
	EPROCESS, ObjectTable uint64
	Root                  uint64 // page of its page table root
	PEB, Heap             uint64
	Stacks                uint64 // end of the first thread's stack
	StackCommit           uint64 // bytes of a stack that are in memory
	EnvironmentBlock      uint64
	Handles               int // that the table counts, where that is more than are made
}

// A field is a value for a member of a structure.
type field struct {
	path  string
	value uint64
}

// Set gives a field of the _EPROCESS a value that stays, whatever the writer
// would have computed.
func (p *Process) Set(path string, v uint64) { p.fixed = append(p.fixed, field{path, v}) }

// Set gives a field of the _ETHREAD a value.
func (t *Thread) Set(path string, v uint64) { t.o.set(path, v) }

// SetTEB gives a field of the _TEB a value.
func (t *Thread) SetTEB(path string, v uint64) { t.p.Space.obj("_TEB", t.teb).set(path, v) }

// placeObject is newObject at a place of the caller's choice, or anywhere.
func (m *Machine) placeObject(va uint64, typ, structure string) uint64 {
	size := m.l.size(structure)
	if va == 0 {
		return m.newObject(typ, size, "", 0)
	}
	header := va - uint64(m.l.offset("_OBJECT_HEADER", "Body"))
	m.Kernel.MapNew(header, va-header+uint64(size), ReadWrite)
	m.makeHeader(header, typ, false)
	return va
}

// PlaceEvent makes an event without a name at a place.
func (m *Machine) PlaceEvent(va uint64, synchronization bool) uint64 {
	m.placeObject(va, "Event", "_KEVENT")
	kind := "NotificationEvent"
	if synchronization {
		kind = "SynchronizationEvent"
	}
	m.dispatcher(va, kind, false)
	return va
}

// PlaceImage makes every process of the machine load an image at a place.
func (m *Machine) PlaceImage(name string, base uint64) { m.userBases[name] = base }

// AllocAt takes a block whose user data lies at a place, behind the blocks so
// far; what is between becomes a block of its own.
func (h *Heap) AllocAt(user, size uint64) uint64 {
	if gap := user - heapHeader - h.last().next; gap > 0 {
		h.take(gap, gap-heapHeader/2, blockBusy)
	}
	if h.Alloc(size) != user {
		panic("dumptest: a block of a heap is not where it was wanted")
	}
	return user
}

// DefaultHeap is the process's first heap.
func (p *Process) DefaultHeap() *Heap { return p.heaps[0] }

// Commit fixes how many bytes of the last segment have memory.
func (h *Heap) Commit(n uint64) { h.last().commit = n }
