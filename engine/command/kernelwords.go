package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kdap/engine/memory"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// kernelWordCommands are small views of a kernel's own structures.
func kernelWordCommands() []*Command {
	return []*Command{
		{Names: []string{"!kuser"}, Short: "show what the kernel shares with all processes (KUSER_SHARED_DATA)", Run: runKuser},
		{Names: []string{"!zombies"}, Short: "list the processes that ended and are still referenced", Run: runZombies},
		fieldCommand("!processfields", "_EPROCESS", "EPROCESS"),
		fieldCommand("!threadfields", "_ETHREAD", "ETHREAD"),
		fieldCommand("!tokenfields", "_TOKEN", "TOKEN"),
		{Names: []string{"!threadtoken"}, Args: "[Thread]", Short: "show the token that a thread acts with", Run: runThreadToken},
		{Names: []string{"!processirps"}, Args: "[Process]", Short: "show the I/O requests of a process's threads", Run: runProcessIRPs},
		{Names: []string{"!findthreads"}, Args: "[-v] -t Thread | -i Irp | -d Device | -a Address [-e End | -l Length]", Short: "find threads that have to do with a driver or an address", Run: runFindThreads},
	}
}

// KUSER_SHARED_DATA (ntddk.h) and its members, which keep their places.
const (
	kuserData       = 0xfffff78000000000
	kuserMultiplier = 0x4
	kuserTicks      = 0x320
	kuserImageLow   = 0x2c
	kuserRoot       = 0x30
	kuserRootSize   = 520
	kuserCrypto     = 0x23c
	kuserZone       = 0x240
)

func runKuser(_ context.Context, s *Session, _ *Call) error {
	b, err := memory.ReadBytes(s.sys.Kernel(), kuserData, kuserTicks+8)
	if err != nil {
		return s.failure(err, "Unable to read KUSER_SHARED_DATA")
	}
	ticks := le64(b[kuserTicks:])
	passed := time.Duration(scaled(ticks, uint64(s.sys.TickLength()/100), 1)/10_000) * time.Millisecond
	root, _, _ := strings.Cut(types.UTF16(b[kuserRoot:kuserRoot+kuserRootSize]), "\x00")
	s.printf("_KUSER_SHARED_DATA at %016x\n", uint64(kuserData))
	s.printf("TickCount:    %x * %016x (%s)\n", le32(b[kuserMultiplier:]), ticks, daysText(passed))
	s.printf("TimeZone Id: %d\nImageNumber Range: [%x .. %x]\nCrypto Exponent: %d\nSystemRoot: '%s'\n",
		le32(b[kuserZone:]), le32(b[kuserImageLow:])&0xffff, le32(b[kuserImageLow:])>>16, le32(b[kuserCrypto:]), visible(root))
	return nil
}

func runZombies(ctx context.Context, s *Session, _ *Call) error {
	for p, err := range s.sys.Processes(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			continue
		}
		threads, err := p.ThreadCount()
		exited, eerr := p.Exited()
		if err != nil || eerr != nil || threads > 0 || exited.IsZero() {
			continue
		}
		s.printf("PROCESS %016x has 0 threads\n", p.Addr())
		s.notef("process %x was %s", p.Addr(), imageText(p))
	}
	return nil
}

// fieldCommand lists the members of a structure with their offsets.
func fieldCommand(name, typeName, title string) *Command {
	return &Command{
		Names: []string{name}, Short: "list the members of " + title + " with their offsets; dt tells more",
		Run: func(_ context.Context, s *Session, _ *Call) error {
			t, err := s.sys.Type(typeName)
			if err != nil {
				return s.failure(err, "NT symbols are incorrect, please fix symbols")
			}
			s.printf(" %s structure offsets: (use 'dt nt!%s')\n\n", title, typeName)
			for _, f := range t.Fields() {
				s.printf("    %-34s 0x%x\n", f.Name+":", f.Offset)
			}
			return nil
		},
	}
}

// contextThread reads a thread's address, or takes the current one.
func (s *Session) contextThread(c *Call) (windows.Thread, error) {
	if c.Args.Done() {
		if s.scope.thread.Addr() == 0 {
			return windows.Thread{}, Failf("Unable to get the current thread")
		}
		return s.scope.thread, nil
	}
	addr, err := s.extensionNumber(c)
	if err != nil {
		return windows.Thread{}, err
	}
	t := s.sys.Thread(addr)
	if !t.IsThread() {
		return t, Failf("TYPE mismatch for thread object at %016x", addr)
	}
	return t, nil
}

func runThreadToken(ctx context.Context, s *Session, c *Call) error {
	t, err := s.contextThread(c)
	if err != nil {
		return err
	}
	if token := t.Details().ImpersonationToken; token != 0 {
		s.printf("_ETHREAD %016x, impersonation token: %016x\n", t.Addr(), token)
		return s.runText(ctx, fmt.Sprintf("!token %x", token), 0)
	}
	p, err := t.Process()
	if err != nil {
		return err
	}
	s.printf("Thread is not impersonating. Using process token...\n_EPROCESS %016x\n", p.Addr())
	token, err := p.Object().Field("Token.Value").Uint()
	if err != nil {
		return s.failure(err, "Unable to read the token of the process")
	}
	return s.runText(ctx, fmt.Sprintf("!token %x", token&^0xf), 0)
}

func runProcessIRPs(ctx context.Context, s *Session, c *Call) error {
	addr, err := s.extensionNumberOr(c, 0)
	if err != nil {
		return err
	}
	p, err := s.debuggee.process(s)
	if addr != 0 {
		if p, err = s.sys.Process(addr), nil; !p.IsProcess() {
			return Failf("TYPE mismatch for process object at %016x", addr)
		}
	}
	if err != nil {
		return err
	}
	found := 0
	s.printf("**** PROCESS %016x (Image: %s) ****\n\n", p.Addr(), imageText(p))
	for t, err := range p.Threads(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.incomplete(err)
			break
		}
		for irp, err := range t.IRPs(ctx) {
			if err != nil {
				s.notef("thread %x: %v", t.Addr(), err)
				break
			}
			found++
			s.printf("Thread %016x:  Irp %016x\n", t.Addr(), irp.Addr)
		}
	}
	s.printf("Found %d IRPs\n", found)
	return nil
}
