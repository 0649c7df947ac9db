package command

import (
	"context"
	"iter"
	"time"

	"kdap/engine/dump"
	"kdap/engine/windows"
)

// userSideCommands are those about the user side of the process context, in
// kernel dumps and in the dumps of processes.
func userSideCommands() []*Command {
	all := append(errorCommands(), cmdGflag(), cmdDlls(), cmdRunaway(), cmdExchain())
	all = append(all, userLockCommands()...)
	all = append(all, threadBlockCommands()...)
	return append(all, threadStackCommands()...)
}

// A processThread is a thread of the process context, of a kernel dump or of a
// process's own.
type processThread struct {
	number   int
	pid, tid uint64
	addr     uint64 // ETHREAD; TEB in a process's dump
	teb      uint64

	stack func(ctx context.Context, limit int) (windows.Stack, error)
	times func() (threadTimes, error)
}

// threadTimes are how long a thread ran and since when it exists.
type threadTimes struct{ user, kernel, elapsed time.Duration }

func (kernelDebuggee) threads(ctx context.Context, s *Session) iter.Seq2[processThread, error] {
	return func(yield func(processThread, error) bool) {
		n := 0
		for t, err := range s.scope.process.Threads(ctx) {
			if err != nil {
				yield(processThread{}, err)
				return
			}
			p := processThread{number: n, addr: t.Addr(), stack: t.Stack, times: func() (threadTimes, error) { return s.kernelThreadTimes(t) }}
			p.pid, _ = t.PID()
			p.tid, _ = t.TID()
			p.teb, _ = t.TEB()
			n++
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (s *Session) kernelThreadTimes(t windows.Thread) (threadTimes, error) {
	tick := s.sys.TickLength()
	user, err := t.UserTicks()
	if err != nil {
		return threadTimes{}, err
	}
	kernel, err := t.KernelTicks()
	if err != nil {
		return threadTimes{}, err
	}
	created, err := t.Created()
	if err != nil {
		return threadTimes{}, err
	}
	return threadTimes{time.Duration(user) * tick, time.Duration(kernel) * tick, s.sys.CrashTime().Sub(created)}, nil
}

func (u userDebuggee) threads(_ context.Context, _ *Session) iter.Seq2[processThread, error] {
	return func(yield func(processThread, error) bool) {
		pid, _ := u.PID()
		for n, t := range u.File().Threads {
			p := processThread{
				number: n, pid: uint64(pid), tid: uint64(t.ID), addr: t.TEB, teb: t.TEB,
				stack: func(ctx context.Context, limit int) (windows.Stack, error) { return u.Stack(ctx, n, limit) },
				times: func() (threadTimes, error) { return u.threadTimes(t) },
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (u userDebuggee) threadTimes(t dump.UserThread) (threadTimes, error) {
	if !t.HasInfo {
		return threadTimes{}, errNoThreadTimes
	}
	hundred := func(v uint64) time.Duration { return time.Duration(min(v, 1<<55)) * 100 }
	return threadTimes{hundred(t.UserTime), hundred(t.KernelTime), u.Time().Sub(windows.FileTime(t.CreateTime))}, nil
}

// threadClock: a kernel dump's threads show their times in !thread.
func (kernelDebuggee) threadClock(int) (uint64, threadTimes, bool) { return 0, threadTimes{}, false }

func (u userDebuggee) threadClock(n int) (created uint64, times threadTimes, ok bool) {
	threads := u.File().Threads
	if n < 0 || n >= len(threads) {
		return 0, times, false
	}
	times, err := u.threadTimes(threads[n])
	return threads[n].CreateTime, times, err == nil
}

// errNoThreadTimes is what dumps without a ThreadInfoList stream give.
var errNoThreadTimes = Tellf("the dump has no times of threads")

// userPointer is the size of a pointer of the user code that is meant.
func (s *Session) userPointer() int {
	if s.machine() == x86Machine {
		return 4
	}
	return 8
}

// block returns the view over a TEB as the effective machine has it: the
// 64-bit block of a WOW64 thread begins with the address of its 32-bit one.
func (s *Session) block(addr uint64) (windows.TEB, error) {
	teb := windows.TEBAt(s.space(), addr, s.userPointer())
	if s.userPointer() == 8 || s.ownMachine() == x86Machine {
		return teb, nil
	}
	narrow, err := windows.TEBAt(s.space(), addr, 8).ExceptionList()
	return windows.TEBAt(s.space(), narrow, 4), err
}

// currentBlock returns the TEB of the current thread.
func (s *Session) currentBlock() (windows.TEB, error) {
	addr, err := s.debuggee.teb(s)
	if err != nil || addr == 0 {
		return windows.TEB{}, s.failure(err, "TEB NULL...")
	}
	return s.block(addr)
}

// failure is a Failure in WinDbg's words, with the reason as a note.
func (s *Session) failure(reason error, text string) error {
	if reason != nil {
		s.notef("%v", reason)
	}
	return Tellf("%s", text)
}

// A processBlock is the PEB of the process context as the effective machine
// has it.
type processBlock struct {
	process windows.Process
	peb     uint64
	pointer int
}

func (s *Session) processBlock() (b processBlock, err error) {
	if b.process, err = s.debuggee.process(s); err != nil {
		return b, err
	}
	b.pointer = s.userPointer()
	if b.pointer == 4 && s.ownMachine() != x86Machine {
		if b.peb, err = b.process.PEB32(); err != nil || b.peb == 0 {
			// The dump of a process has no EPROCESS that tells: its threads do.
			teb, terr := s.currentBlock()
			if terr == nil {
				b.peb, err = teb.PEB()
			}
		}
	} else {
		b.peb, err = s.debuggee.peb(s)
	}
	if err != nil || b.peb == 0 {
		return b, s.failure(err, "PEB NULL...")
	}
	return b, nil
}
