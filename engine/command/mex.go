package command

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"kdap/engine/windows"
	"kdap/engine/windows/machine"
)

// Commands in the manner of MEX, a debugger extension whose tables many know
// better than WinDbg's own. Their layouts follow published sessions.

func mexCommands() []*Command {
	return []*Command{
		{Names: []string{"!ver", "!mex.ver"}, Short: "the version of Windows, as flags", Run: runMexVer},
		{Names: []string{"!computername", "!cn"}, Short: "the computer's name", Run: runComputerName},
		{Names: []string{"!tl", "!tlist"}, Args: "[-s [Session]] [-u] [-cpu] [-mem] [-proc] [-t] [-m Module] [-z] [-r] [Name|Address]", Short: "processes: id, address, name", Run: runMexTlist},
		{Names: []string{"!commandline", "!cl"}, Args: "[-a] [-p PID]", Short: "command lines of processes", Run: runCommandLine},
		{Names: []string{"!p"}, Args: "[Address | -p PID]", Short: "a process in a table; makes it the process context", Run: runMexProcess},
	}
}

func runMexVer(_ context.Context, s *Session, _ *Call) error {
	major, minor, err := s.sys.Version()
	if err != nil {
		s.notef("the version: %v", err)
	}
	is := func(a, b uint32) string { return flagWord(major == a && minor == b) }
	lab, err := s.sys.BuildLab()
	if err != nil {
		s.notef("the build: %v", err)
	}
	lab = visible(lab)
	build := s.sys.Build()
	s.printf("Platform ID: 2\nMajor Version: %d\nMinor Version: %d\n", major, minor)
	s.printf("WinXP: %s\nWin2K3: %s\n", is(5, 1), is(5, 2))
	s.printf("Win2k3SP1OrNewer: %s\n", flagWord(major > 5 || major == 5 && minor == 2 && build > 3790))
	s.printf("Vista: %s\nVistaOrNewer: %s\n", is(6, 0), flagWord(major >= 6))
	s.printf("Win7: %s\nWin8: %s\nBlue: %s\n", is(6, 1), is(6, 2), is(6, 3))
	s.printf("%s\nBuild Number: %d\nKernel Start Address: %016x\nSystem Version Build String: %s\n",
		lab, build, s.sys.SystemRangeStart(), lab)
	return nil
}

func flagWord(v bool) string { return either(v, "True", "False") }

func runComputerName(ctx context.Context, s *Session, _ *Call) error {
	name, err := machine.Name(ctx, s.sys)
	switch {
	case err != nil:
		return s.unable("Unable to get the computer name", err)
	case name == "":
		return Failf("Unable to get the computer name")
	}
	s.printf("Computer Name: %s\n", visible(name))
	return nil
}

// idleAndActive yields the idle process and then those of the list.
func (s *Session) idleAndActive(ctx context.Context) iter.Seq2[windows.Process, error] {
	return func(yield func(windows.Process, error) bool) {
		if idle, err := s.sys.IdleProcess(); err == nil && !yield(idle, nil) {
			return
		}
		for p, err := range s.sys.ActiveProcesses(ctx) {
			if !yield(p, err) {
				return
			}
		}
	}
}

// isZombie reports whether a process has ended and is only kept by references.
func isZombie(p windows.Process) bool {
	t, err := p.Exited()
	return err == nil && !t.IsZero()
}

// mexName is a process's whole file name, marked when it is a 32-bit one.
func mexName(p windows.Process) string {
	name := imageText(p)
	if pid, err := p.PID(); err == nil && pid == 0 {
		return "Idle"
	}
	if w, err := p.WOW64(); err == nil && w {
		name += "*32"
	}
	return name
}

func mexSession(p windows.Process) string {
	id, has, err := p.Session()
	if err != nil || !has {
		return ""
	}
	return fmt.Sprint(id)
}

func runCommandLine(ctx context.Context, s *Session, c *Call) error {
	all := false
	p, err := s.debuggee.process(s)
	for !c.Args.Done() {
		switch word := c.Word(); strings.ToLower(word) {
		case "-a":
			all = true
		case "-p":
			v, verr := s.extensionNumber(c)
			if verr != nil {
				return verr
			}
			if p, err = s.sys.ProcessByPID(ctx, v); err != nil {
				return Failf("Process not found")
			}
		default:
			v, verr := s.evaluate(word)
			if verr != nil {
				return verr
			}
			p, err = s.sys.Process(v), nil
		}
	}
	list := func(yield func(windows.Process, error) bool) { yield(p, err) }
	if all {
		list = s.sys.ActiveProcesses(ctx)
	}
	g := newGrid("Address", "PID", "Command Line")
	for p, err := range list {
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		if err != nil {
			s.notef("%v", err)
			break
		}
		line, ok := s.commandLine(p)
		if !ok && all {
			continue
		}
		pid, _ := p.PID()
		g.add(fmt.Sprintf("%016x", p.Addr()), fmt.Sprintf("%x", pid), line)
	}
	g.print(s, "")
	return nil
}

// commandLine returns a process's command line; false for one that has no
// memory of its own. Where it cannot be read a note tells why.
func (s *Session) commandLine(p windows.Process) (string, bool) {
	peb, err := p.PEB()
	if err == nil && peb == 0 {
		return "", false
	}
	block, err := p.Environment()
	if err == nil {
		var line string
		if line, err = block.CommandLine(); err == nil {
			return visible(line), true
		}
	}
	s.notef("command line of process %x: %v", p.Addr(), err)
	return notAccessible, true
}

func runMexProcess(ctx context.Context, s *Session, c *Call) error {
	p, err := s.mexProcessArgument(ctx, c)
	if err != nil {
		return err
	}
	s.setProcess(p)
	st := p.Stats()
	pid, _ := p.PID()
	parent, _ := p.ParentPID()
	peb, _ := p.PEB()
	created, _ := p.Created()
	handles, _ := p.HandleCount()
	threads, _ := p.ThreadCount()
	g := newGrid("Name", "Address", ">Ses", "PID", "Parent", "PEB", "Create Time", ">Mods", ">Handle", ">Thrd", "User Name")
	g.add(mexName(p), fmt.Sprintf("%016x (E|K|O)", p.Addr()), mexSession(p), fmt.Sprintf("%x (0n%d)", pid, pid), fmt.Sprintf("%x (0n%d)", parent, parent),
		fmt.Sprintf("%016x", peb), mexDate(created), fmt.Sprint(len(p.UserModules(ctx).All())), fmt.Sprint(handles), fmt.Sprint(threads), s.userName(p))
	g.print(s, "")
	line, _ := s.commandLine(p)
	s.printf("\nCommand Line: %s\n\nMemory Details:\n\n", line)
	m := newGrid("VM", "Peak", ">Commit Size", ">PP Quota", ">NPP Quota")
	m.add(mexSize(st.VirtualSize), mexSize(st.PeakVirtualSize), mexSize(st.Commit<<12), mexSize(st.PagedQuota), mexSize(st.NonPagedQuota))
	m.print(s, "    ")
	s.printf("\nShow LPC Port information for process\n\nShow Threads: Unique Stacks    !mex.listthreads (!lt) %x    !process %x 7\n", p.Addr(), p.Addr())
	return nil
}

// mexProcessArgument is the process that an address, -p or nothing names.
func (s *Session) mexProcessArgument(ctx context.Context, c *Call) (windows.Process, error) {
	if c.Args.Done() {
		return s.debuggee.process(s)
	}
	byPID := false
	if w := strings.ToLower(c.Peek()); w == "-p" || w == "-pid" {
		c.Word()
		byPID = true
	}
	v, err := s.extensionNumber(c)
	if err != nil {
		return windows.Process{}, err
	}
	if byPID || v>>47 == 0 {
		p, err := s.sys.ProcessByPID(ctx, v)
		if err != nil {
			return p, Failf("Process not found")
		}
		return p, nil
	}
	p := s.sys.Process(v)
	if !p.IsProcess() {
		return p, Failf("TYPE mismatch for process object at %016x", v)
	}
	return p, nil
}
