package command

import (
	"context"
	"strings"

	"kdap/engine/windows"
)

func cmdApc() *Command {
	return &Command{
		Names: []string{"!apc"}, Args: "[proc Process | thre Thread | KAPC]",
		Short: "show the asynchronous procedure calls that wait for threads",
		Run:   runApc,
	}
}

func runApc(ctx context.Context, s *Session, c *Call) error {
	word := c.Word()
	switch {
	case word == "":
		return s.showAllAPCs(ctx)
	case strings.HasPrefix(strings.ToLower(word), "proc"):
		v, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		p, err := s.handleProcess(ctx, v)
		if err != nil {
			return err
		}
		return s.showProcessAPCs(ctx, p)
	case strings.HasPrefix(strings.ToLower(word), "thre"):
		v, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		t := s.sys.Thread(v)
		if !t.IsThread() {
			return Failf("*** Invalid thread %016x", v)
		}
		s.showThreadAPCs(ctx, t)
		return nil
	}
	addr, err := s.evaluate(word)
	if err != nil {
		return err
	}
	a, err := s.sys.APC(addr)
	if err != nil {
		s.notef("%v", err)
		return Failf("Unable to read KAPC at %016x", addr)
	}
	s.showAPC(ctx, a)
	return nil
}

func (s *Session) showAllAPCs(ctx context.Context) error {
	s.printf("*** Enumerating APCs in all processes\n")
	for p, err := range s.sys.ActiveProcesses(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			break
		}
		if err := s.showProcessAPCs(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) showProcessAPCs(ctx context.Context, p windows.Process) error {
	s.printf("Process %016x %s\n", p.Addr(), imageText(p))
	for t, err := range p.Threads(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			break
		}
		s.showThreadAPCs(ctx, t)
	}
	return nil
}

func (s *Session) showThreadAPCs(ctx context.Context, t windows.Thread) {
	var list uint64
	for a, err := range t.APCs() {
		if err != nil {
			s.notef("APCs of thread %x: %v", t.Addr(), err)
			return
		}
		if a.List != list {
			list = a.List
			s.printf("    Thread %016x ApcStateIndex %d ApcListHead %016x [%s]\n", t.Addr(), a.StateIndex, a.List, either(a.User, "USER", "KERNEL"))
		}
		s.showAPC(ctx, a)
	}
}

func (s *Session) showAPC(ctx context.Context, a windows.APC) {
	s.printf("        KAPC @ %016x\n          Type           %x\n", a.Addr, a.Type)
	for _, r := range []struct {
		name string
		at   uint64
	}{{"KernelRoutine", a.Kernel}, {"RundownRoutine", a.Rundown}, {"NormalRoutine", a.Normal}} {
		s.printf("          %-14s %016x %s\n", r.name, r.at, s.symbolText(ctx, r.at))
	}
	s.printf("          NormalContext  %016x\n          SysArg1        %016x\n          SysArg2        %016x\n", a.Context, a.Arg1, a.Arg2)
}
