package windows

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A HandleEntry is one used slot of a handle table.
type HandleEntry struct {
	Handle uint64       // the value programs hold; a process or thread id in the CID table
	Object uint64       // what the entry points at: an _OBJECT_HEADER, in the CID table the body
	Entry  types.Object // the _HANDLE_TABLE_ENTRY
}

// Handle tables have up to three levels: TableCode's low two bits say how many
// tables of pointers stand above the tables of entries. Handles count in
// fours. Source: _HANDLE_TABLE of the public symbols; the levels are
// described in "Windows Internals", part 2, "Handles and the process handle table".
const (
	handleStep      = 4
	tableLevelMask  = 3
	maxTableLevels  = 2
	maxHandles      = 1 << 24
	pointersPerPage = memory.PageSize / 8
)

// Handles yields the used entries of the _HANDLE_TABLE at addr, in order of
// the handles. Pages of the table that cannot be read yield an error each, and
// the walk goes on.
func (s *System) Handles(ctx context.Context, addr uint64) iter.Seq2[HandleEntry, error] {
	return s.handleEntries(ctx, addr, false)
}

// handleEntries yields the entries of a table; with free also those that are
// in no use, whose Object is 0.
func (s *System) handleEntries(ctx context.Context, addr uint64, free bool) iter.Seq2[HandleEntry, error] {
	return func(yield func(HandleEntry, error) bool) {
		w := handleWalk{sys: s, ctx: ctx, yield: yield, free: free}
		w.entry, w.err = s.Type("_HANDLE_TABLE_ENTRY")
		code, err := s.Struct("_HANDLE_TABLE", addr).Field("TableCode").Uint()
		if err = errors.Join(w.err, err); err != nil {
			yield(HandleEntry{}, fmt.Errorf("handle table %#x: %w", addr, err))
			return
		}
		level := int(code & tableLevelMask)
		if level > maxTableLevels {
			yield(HandleEntry{}, fmt.Errorf("handle table %#x: level %d in TableCode %#x", addr, level, code))
			return
		}
		limit, err := s.Struct("_HANDLE_TABLE", addr).Field("NextHandleNeedingPool").Uint()
		if err != nil || limit == 0 || limit > maxHandles*handleStep {
			limit = maxHandles * handleStep
		}
		w.limit = limit
		w.table(code&^tableLevelMask, level, 0)
	}
}

type handleWalk struct {
	sys   *System
	ctx   context.Context
	yield func(HandleEntry, error) bool
	entry *types.Type
	err   error
	limit uint64 // first handle value beyond the table
	free  bool   // yield free entries too
}

// table walks the table at addr, whose first handle is first; it reports
// whether to go on.
func (w *handleWalk) table(addr uint64, level int, first uint64) bool {
	if err := w.ctx.Err(); err != nil {
		w.yield(HandleEntry{}, err)
		return false
	}
	perPage := memory.PageSize / max(w.entry.Size, 1)
	if level == 0 {
		return w.entries(addr, first, perPage)
	}
	span := uint64(handleStep) * perPage
	for range level - 1 {
		span *= pointersPerPage
	}
	for i := uint64(0); i < pointersPerPage && first+i*span < w.limit; i++ {
		ptr, err := memory.ReadUint(w.sys.Kernel(), addr+8*i, 8)
		if err != nil {
			return w.yield(HandleEntry{}, fmt.Errorf("handles from %#x: %w", first+i*span, err))
		}
		if ptr == 0 {
			return true
		}
		if !w.table(ptr, level-1, first+i*span) {
			return false
		}
	}
	return true
}

func (w *handleWalk) entries(addr, first, perPage uint64) bool {
	// One read a page; the objects made from it see the same bytes through the space.
	if _, err := memory.ReadUint(w.sys.Kernel(), addr, 8); err != nil {
		return w.yield(HandleEntry{}, fmt.Errorf("handles from %#x: %w", first, err))
	}
	// Entry 0 of each table is the kernel's own (audit information).
	start := uint64(1)
	if w.free {
		start = 0
	}
	for i := start; i < perPage && first+i*handleStep < w.limit; i++ {
		e := types.NewObject(w.sys.Kernel(), w.entry, addr+i*w.entry.Size)
		object, err := entryObject(e)
		if i == 0 {
			object = 0
		}
		if err != nil || object == 0 && !w.free {
			continue
		}
		if !w.yield(HandleEntry{Handle: first + i*handleStep, Object: object, Entry: e}, nil) {
			return false
		}
	}
	return true
}

// entryObject decodes what a handle table entry points at, 0 for a free entry.
// Since Windows 8.1 the pointer is a bit field without its low 4 bits and high
// 16; before that it was a pointer with flags in its low 3 bits.
func entryObject(e types.Object) (uint64, error) {
	if e.Has("ObjectPointerBits") {
		bits, err := e.Field("ObjectPointerBits").Uint()
		if err != nil || bits == 0 {
			return 0, err
		}
		return uint64(int64(bits<<20)>>16) &^ 0xf, nil
	}
	v, err := e.Field("Object").Uint()
	return v &^ 7, err
}

// cidProcesses yields the processes of nt!PspCidTable.
func (s *System) cidProcesses(ctx context.Context) iter.Seq2[Process, error] {
	return func(yield func(Process, error) bool) {
		for e, err := range s.cidEntries(ctx) {
			if err != nil {
				if !yield(Process{}, fmt.Errorf("PspCidTable: %w", err)) {
					return
				}
				continue
			}
			p := s.Process(e.Object)
			p.source = SourceCid
			if pid, err := p.PID(); err != nil || pid != e.Handle || !p.IsProcess() {
				continue // a thread, or an entry that was freed
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (s *System) cidEntries(ctx context.Context) iter.Seq2[HandleEntry, error] {
	return func(yield func(HandleEntry, error) bool) {
		table, err := s.cidTable()
		if err != nil {
			yield(HandleEntry{}, err)
			return
		}
		for e, err := range s.Handles(ctx, table) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// cidTable returns the address of the table of process and thread ids.
func (s *System) cidTable() (uint64, error) {
	ptr, err := s.symbolOr("PspCidTable", func(k *KDBG) uint64 { return k.PspCidTable })
	if err != nil {
		return 0, err
	}
	return memory.ReadUint(s.Kernel(), ptr, 8)
}

// ProcessByPID looks the process id up in nt!PspCidTable and, when the table
// cannot tell, in the list of processes.
func (s *System) ProcessByPID(ctx context.Context, pid uint64) (Process, error) {
	for p, err := range s.Processes(ctx) {
		if err != nil {
			continue
		}
		if id, err := p.PID(); err == nil && id == pid {
			return p, nil
		}
	}
	return Process{}, fmt.Errorf("no process with id %#x", pid)
}
