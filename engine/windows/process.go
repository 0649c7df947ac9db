package windows

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// How a process was found.
const (
	SourceList     = "list"     // nt!PsActiveProcessHead
	SourceCid      = "cid"      // nt!PspCidTable
	SourceIdle     = "idle"     // owner of the processors' idle threads; it is in no list
	SourceTriage   = "triage"   // the one process that a triage dump saves
	SourceMinidump = "minidump" // that of a user minidump
)

// A Process is a view over one _EPROCESS. It holds no copies: its methods read
// the dump and say so when they cannot.
type Process struct {
	sys    *System
	obj    types.Object
	source string
}

// Process returns the view over the _EPROCESS at addr, which need not be one:
// IsProcess tells.
func (s *System) Process(addr uint64) Process {
	return Process{sys: s, obj: s.Struct("_EPROCESS", addr), source: SourceList}
}

// IsProcess reports whether the object looks like a process: its dispatcher
// header says so and it has page directories.
func (p Process) IsProcess() bool {
	t, err := p.obj.Field("Pcb.Header.Type").Uint()
	if err != nil || t&0x7f != dispatcherProcess {
		return false
	}
	dtb, err := p.DTB()
	return err == nil && dtb != 0
}

// isSomethingElse reports whether the object can be read and is no process. Of
// one that cannot be read nothing is known.
func (p Process) isSomethingElse() bool {
	t, err := p.obj.Field("Pcb.Header.Type").Uint()
	return err == nil && t&0x7f != dispatcherProcess
}

// Addr returns the address of the _EPROCESS.
func (p Process) Addr() uint64 { return p.obj.Addr() }

// Object returns the _EPROCESS itself.
func (p Process) Object() types.Object { return p.obj }

// System returns the system the process belongs to.
func (p Process) System() *System { return p.sys }

// Source tells how the process was found, one of the Source constants.
func (p Process) Source() string { return p.source }

// PID returns the process id.
func (p Process) PID() (uint64, error) { return p.obj.Field("UniqueProcessId").Uint() }

// ParentPID returns the id of the process that created this one.
func (p Process) ParentPID() (uint64, error) {
	return p.sys.member(p.obj, "InheritedFromUniqueProcessId", p.sys.offsets().EprocessParentCid, 8)
}

// Name returns the image name that the kernel keeps, cut to 15 bytes.
func (p Process) Name() (string, error) { return p.obj.Field("ImageFileName").CString() }

// ImageName returns the whole file name of the image where the kernel's audit
// record has it, else Name. The idle process is "Idle", which the kernel has
// in no structure.
func (p Process) ImageName() (string, error) {
	if p.source == SourceIdle {
		return "Idle", nil
	}
	short, err := p.Name()
	full, ferr := p.NTPath()
	if ferr != nil || full == "" {
		return short, err
	}
	if base := baseName(full); base != "" {
		return base, nil
	}
	return short, err
}

// NTPath returns the image's path as the kernel knows it
// (\Device\HarddiskVolume3\…), "" when it was not recorded.
func (p Process) NTPath() (string, error) {
	info := p.obj.Field("SeAuditProcessCreationInfo.ImageFileName").Deref()
	s, err := info.Field("Name").UnicodeString()
	if errors.Is(err, types.ErrNull) {
		return "", nil
	}
	return s, err
}

// DTB returns DirectoryTableBase as the process has it, PCID bits included.
func (p Process) DTB() (uint64, error) {
	return p.sys.member(p.obj, "Pcb.DirectoryTableBase", p.sys.offsets().EprocessDTB, 8)
}

// PEB returns the address of the process environment block, 0 for processes
// without a user part.
func (p Process) PEB() (uint64, error) {
	return p.sys.member(p.obj, "Peb", p.sys.offsets().EprocessPeb, 8)
}

// Space returns the process's address space: its user part and the kernel's.
// A dump without page tables has one space for all.
func (p Process) Space() (memory.Space, error) {
	if !p.sys.Paged() {
		return p.sys.Kernel(), nil
	}
	dtb, err := p.DTB()
	if err != nil {
		return nil, fmt.Errorf("process %#x: %w", p.Addr(), err)
	}
	if space, ok := p.sys.processSpaces.Load(p.Addr()); ok {
		return space.(*memory.AddressSpace), nil
	}
	space, _ := p.sys.processSpaces.LoadOrStore(p.Addr(), p.withPrototypes(p.sys.SpaceOf(dtb)))
	return space.(*memory.AddressSpace), nil
}

// Session returns the id of the session the process belongs to; false for
// processes outside all sessions (System, smss.exe).
func (p Process) Session() (uint32, bool, error) {
	ptr, err := p.obj.Field("Session").Uint()
	if err != nil || ptr == 0 {
		return 0, false, err
	}
	// Session space is mapped by the processes of that session alone.
	space, err := p.Space()
	if err != nil {
		return 0, false, err
	}
	id, err := memory.ReadUint(space, ptr+p.sys.fieldOr(p.sessionType(), "SessionId", sessionID), 4)
	return uint32(id), err == nil, err
}

// sessionID is where a session's structure has its id in every known build.
// Since Windows 11 24H2 the structure is _PSP_SESSION_SPACE, of whose members
// public symbols say nothing; its start is as that of its predecessor (Volatility
// 3, pull request 1399, found it so).
const sessionID = 8

// sessionType is the name of the structure that Session points at; the member
// was a pointer to nothing in particular once.
func (p Process) sessionType() string {
	if t := p.obj.Field("Session").Type(); t != nil && t.Elem() != nil && t.Elem().Name == pspSession {
		return pspSession
	}
	return "_MM_SESSION_SPACE"
}

const pspSession = "_PSP_SESSION_SPACE"

// ObjectTable returns the address of the handle table, 0 when the process has none any more.
func (p Process) ObjectTable() (uint64, error) { return p.obj.Field("ObjectTable").Uint() }

// HandleCount returns the number of open handles; a process without a handle table has 0.
func (p Process) HandleCount() (uint64, error) {
	table := p.obj.Field("ObjectTable").Deref()
	if errors.Is(table.Err(), types.ErrNull) {
		return 0, nil
	}
	if table.Has("HandleCount") {
		return table.Field("HandleCount").Uint()
	}
	return table.Field("FreeLists").Index(0).Field("HandleCount").Uint()
}

// ThreadCount returns ActiveThreads, the kernel's own count.
func (p Process) ThreadCount() (uint64, error) { return p.obj.Field("ActiveThreads").Uint() }

// Created returns when the process was created, UTC.
func (p Process) Created() (time.Time, error) { return fileTime(p.obj.Field("CreateTime.QuadPart")) }

// Exited returns when the process ended; the zero time while it lives.
func (p Process) Exited() (time.Time, error) { return fileTime(p.obj.Field("ExitTime.QuadPart")) }

// WorkingSetPages returns the size of the working set.
func (p Process) WorkingSetPages() (uint64, error) {
	return p.obj.FirstField("Vm.Instance.WorkingSetLeafSize", "Vm.Instance.WorkingSetSize", "Vm.WorkingSetSize").Uint()
}

// PrivatePages returns NumberOfPrivatePages.
func (p Process) PrivatePages() (uint64, error) {
	return p.obj.Field("NumberOfPrivatePages").Uint()
}

// CommitPages returns the commit charge.
func (p Process) CommitPages() (uint64, error) { return p.obj.Field("CommitCharge").Uint() }

// WOW64 reports whether the process runs 32-bit code on this 64-bit system.
func (p Process) WOW64() (bool, error) {
	v, err := p.obj.FirstField("WoW64Process", "Wow64Process").Uint()
	return v != 0, err
}

// Threads yields the process's threads in the order of its thread list. A list
// that breaks ends with an error after the good part.
func (p Process) Threads(ctx context.Context) iter.Seq2[Thread, error] {
	return func(yield func(Thread, error) bool) {
		switch p.source {
		case SourceIdle:
			p.idleThreads(ctx, yield)
			return
		case SourceTriage:
			if addr := p.sys.triage().Addresses().Thread; addr != 0 {
				yield(p.sys.Thread(addr), nil)
			}
			return
		}
		t, err := p.sys.Type("_ETHREAD")
		if err != nil {
			yield(Thread{}, err)
			return
		}
		for obj, err := range types.ListEntries(p.obj.Field("ThreadListHead"), t, "ThreadListEntry") {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Thread{}, fmt.Errorf("threads of process %#x: %w", p.Addr(), err))
				return
			}
			if !yield(Thread{sys: p.sys, obj: obj}, nil) {
				return
			}
		}
	}
}

func (p Process) idleThreads(ctx context.Context, yield func(Thread, error) bool) {
	for cpu, err := range p.sys.Processors(ctx) {
		if err != nil {
			yield(Thread{}, err)
			return
		}
		addr, err := cpu.IdleThread()
		if err != nil {
			yield(Thread{}, fmt.Errorf("idle thread of processor %d: %w", cpu.Number(), err))
			return
		}
		if !yield(p.sys.Thread(addr), nil) {
			return
		}
	}
}

// Processes yields the processes: those on nt!PsActiveProcessHead in list
// order, then those that only nt!PspCidTable knows. A list that breaks yields
// its good part, then what the table still has, then its error.
func (s *System) Processes(ctx context.Context) iter.Seq2[Process, error] {
	return func(yield func(Process, error) bool) {
		if t := s.triage(); t != nil {
			if addr := t.Addresses().Process; addr != 0 {
				p := s.Process(addr)
				p.source = SourceTriage
				yield(p, nil)
			}
			return
		}
		seen := map[uint64]bool{}
		for p, err := range s.ActiveProcesses(ctx) {
			if err == nil {
				seen[p.Addr()] = true
			}
			if !yield(p, err) {
				return
			}
		}
		for p, err := range s.cidProcesses(ctx) {
			if err == nil && seen[p.Addr()] {
				continue
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// ActiveProcesses yields the processes on nt!PsActiveProcessHead, in list order.
// One that breaks goes on with those that only nt!PspCidTable still has; its
// error comes last.
func (s *System) ActiveProcesses(ctx context.Context) iter.Seq2[Process, error] {
	return func(yield func(Process, error) bool) {
		seen := map[uint64]bool{}
		stop := func(why error) {
			for p, err := range s.cidProcesses(ctx) {
				if ctx.Err() != nil {
					break
				}
				if err == nil && !seen[p.Addr()] && !yield(p, nil) {
					return
				}
			}
			yield(Process{}, fmt.Errorf("active processes: %w", why))
		}
		t, err := s.Type("_EPROCESS")
		if err != nil {
			yield(Process{}, err)
			return
		}
		head, err := s.activeProcessHead()
		if err != nil {
			yield(Process{}, err)
			return
		}
		for obj, err := range types.ListEntries(head, t, "ActiveProcessLinks") {
			p := Process{sys: s, obj: obj, source: SourceList}
			switch {
			case err != nil:
			case ctx.Err() != nil:
				err = ctx.Err()
			case p.isSomethingElse():
				err = fmt.Errorf("the list leads to %#x, which is no process", p.Addr())
			}
			if err != nil {
				stop(err)
				return
			}
			seen[p.Addr()] = true
			if !yield(p, nil) {
				return
			}
		}
	}
}

// IdleProcess returns the process that owns the idle threads (nt!KiInitialProcess).
func (s *System) IdleProcess() (Process, error) {
	addr, err := s.Symbol("KiInitialProcess")
	if err != nil {
		return Process{}, err
	}
	return Process{sys: s, obj: s.Struct("_EPROCESS", addr), source: SourceIdle}, nil
}

func (s *System) activeProcessHead() (types.Object, error) {
	addr, err := s.Symbol("PsActiveProcessHead")
	if err != nil && s.kdbg != nil && s.kdbg.PsActiveProcessHead != 0 {
		addr, err = s.kdbg.PsActiveProcessHead, nil
	}
	if err != nil {
		return types.Object{}, err
	}
	return s.Struct("_LIST_ENTRY", addr), nil
}
