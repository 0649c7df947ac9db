package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kdap/engine/analyze"
	"kdap/engine/dump"
	"kdap/engine/windows"
	"kdap/engine/windows/machine"
)

func mexMachineCommands() []*Command {
	return []*Command{
		{Names: []string{"!di", "!dumpinfo"}, Short: "machine, system and dump on one page", Run: runMexDumpInfo},
		{Names: []string{"!crash", "!mex.crash"}, Short: "the dump's page, the bug check, the stack that crashed", Run: runMexCrash},
		{Names: []string{"!mods", "!m"}, Args: "[Text]", Short: "modules of the context with versions and paths", Run: runMexModules},
		{Names: []string{"!w"}, Short: "what is current: session, process, thread, frame", Run: runMexWhere},
	}
}

func runMexDumpInfo(ctx context.Context, s *Session, _ *Call) error {
	name, err := machine.Name(ctx, s.sys)
	if err != nil {
		s.notef("the computer's name: %v", err)
	}
	s.printf("Computer Name: %s\n", visible(name))
	s.debuggee.printTarget(s)
	s.debuggee.printTimes(s, 0)
	s.printMachineNames(ctx)
	code, params := analyze.Code(s.sys)
	s.printf("Bugcheck: %X (%x, %x, %x, %x)\n", code, params[0], params[1], params[2], params[3])
	kind := "KernelMode Dump"
	if s.target.Dump.Type() == dump.Full {
		kind = "KernelMode Full Memory Dump"
	}
	s.printf("%s Path: %s\n", kind, s.opts.DumpPath)
	return nil
}

// crashRule underlines the headings of !crash.
var crashRule = strings.Repeat("=", 44)

// runMexCrash puts what is asked of a crash first on one page. The stack is the
// crash's, whatever context is set.
func runMexCrash(ctx context.Context, s *Session, c *Call) error {
	s.printf("Dump Info\n%s\n", crashRule)
	if err := runMexDumpInfo(ctx, s, c); err != nil {
		return err
	}
	s.printf("\n\nBugcheck details\n%s\n", crashRule)
	if err := s.runText(ctx, ".bugcheck", 0); err != nil {
		return err
	}
	s.printf("\n\nCrashing Stack\n%s\n", crashRule)
	before := s.scope
	defer func() { s.scope = before }()
	s.resetScope()
	return s.runText(ctx, "kn", 0)
}

// printMachineNames prints who made the machine and what processor it has.
func (s *Session) printMachineNames(ctx context.Context) {
	t, err := machine.SMBIOS(ctx, s.sys)
	if err != nil {
		s.notef("the machine: %v", err)
	} else {
		for _, v := range t.Machine() {
			if v.Name == "SystemManufacturer" || v.Name == "SystemProductName" {
				s.printf("%s = %s\n", v.Name, visible(v.Text))
			}
		}
	}
	values, err := machine.Processor(ctx, s.sys)
	if v, ok := namedValue(values, "ProcessorNameString"); ok {
		s.printf("Processor: %s\n", visible(strings.TrimRight(v.Text(), " ")))
	} else if err != nil {
		s.notef("the processor: %v", err)
	}
}

// Widths of !mods: its rows come one by one, so they are not those of the
// widest cells.
const (
	modsName    = 16
	modsVersion = 38
)

func runMexModules(ctx context.Context, s *Session, c *Call) error {
	filter := strings.ToLower(c.restOfCall())
	list := s.moduleSet(ctx).All()
	unloaded := 0
	for _, err := range s.sys.UnloadedDrivers() {
		if err == nil {
			unloaded++
		}
	}
	s.printf("Number of modules: loaded: %d unloaded: %d \n", len(list), unloaded)
	head := fmt.Sprintf("%-16s %-16s   %-5s   %-19s   %3s   %-*s   %-*s   %s", "Base", "End", "Flags", "Time stamp", "CLR", modsName, "Module name", modsVersion, "Version", "Path")
	s.printf("%s\n%s\n", head, strings.Repeat("=", len(head)))
	for _, m := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if filter != "" && !strings.Contains(strings.ToLower(m.Name+" "+m.Path), filter) {
			continue
		}
		s.printf("%016x %016x |       | %-19s |  No | %-*s | %-*s | %s\n", m.Base, m.End(), moduleStamp(m), modsName, visible(m.Name), modsVersion,
			s.versionText(ctx, m), visible(modulePath(m)))
	}
	return nil
}

func moduleStamp(m *windows.Module) string {
	if !m.HasTimeDateStamp || m.TimeDateStamp == 0 {
		return ""
	}
	return time.Unix(int64(m.TimeDateStamp), 0).UTC().Format(time.DateTime)
}

func modulePath(m *windows.Module) string {
	if m.Path != "" {
		return m.Path
	}
	return m.ImageName
}

// versionText is the version that the module's resource has as text, else its
// numbers.
func (s *Session) versionText(ctx context.Context, m *windows.Module) string {
	v := s.moduleVersion(ctx, m)
	if v == nil {
		return ""
	}
	if text := v.String("FileVersion"); text != "" {
		return visible(text)
	}
	if !v.Fixed {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d.%d", v.File[0], v.File[1], v.File[2], v.File[3])
}

func runMexWhere(_ context.Context, s *Session, _ *Call) error {
	p, err := s.debuggee.process(s)
	if err != nil {
		return err
	}
	t := s.scope.thread
	s.printf("Session: %s\nProcess: %016x %s\n", mexSession(p), p.Addr(), mexName(p))
	if owner, err := t.Process(); err == nil {
		s.printf("Thread:  %016x %s %016x\n", t.Addr(), mexName(owner), owner.Addr())
	}
	s.printf("Pid: %s\n", hexText("%x", p.PID))
	if t.Addr() != 0 {
		s.printf("Tid: %s\n", hexText("%x", t.TID))
	}
	s.printf("Frame: %x\n", s.scope.frame.number)
	if t.Addr() != 0 {
		s.printf("Teb: %s\n", hexText("%x", t.TEB))
	}
	s.printf("Dbgid: %x (Debugger thread ID in usermode / Processor ID in kernelmode)\n", s.scope.cpu)
	return nil
}
