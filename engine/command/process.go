package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"kdap/engine/memory"
	"kdap/engine/windows"
)

// Flags of !process and !thread.
const (
	flagStats      = 0x1  // !process: figures
	flagThreads    = 0x2  // !process: threads with waits; !thread: waits and figures
	flagStacks     = 0x4  // stacks, with flagThreads
	flagNoArgs     = 0x8  // stacks without arguments
	flagSetContext = 0x10 // in the process's own context
)

const (
	processDefaultFlags = 0x3 // for all processes and the current one
	processOneFlags     = 0xf // for a named process
)

func processCommands() []*Command {
	return []*Command{cmdProcessExt(), cmdThreadExt(), cmdPeb(), cmdTeb()}
}

func cmdProcessExt() *Command {
	return &Command{
		Names: []string{"!process"}, Args: "[/s Session] [/m Module] [Process [Flags [ImageName]]]",
		Short: "list processes, or show one with its figures, threads and stacks",
		Run:   runProcess,
	}
}

// processArgs are the arguments of !process.
type processArgs struct {
	session   int64 // -1: any
	module    string
	process   uint64
	all       bool // Process is 0
	current   bool // Process is left out or -1
	flags     uint64
	imageName string
}

func (s *Session) parseProcessArgs(c *Call) (a processArgs, err error) {
	a.session = -1
	for {
		letters, ok := c.peekSwitch()
		if !ok {
			break
		}
		c.Word()
		switch letters {
		case "s":
			v, err := s.number(c.Args)
			if err != nil {
				return a, err
			}
			a.session = int64(v)
		case "m":
			a.module = c.Word()
		default:
			return a, Failf("!process: unknown option /%s", letters)
		}
	}
	a.current, a.flags = true, processDefaultFlags
	if c.Args.Done() {
		return a, nil
	}
	if a.process, err = s.extensionNumber(c); err != nil {
		return a, err
	}
	a.all = a.process == 0
	a.current = a.process == ^uint64(0)
	if !a.all && !a.current {
		a.flags = processOneFlags
	}
	if c.Args.Done() {
		return a, nil
	}
	if a.flags, err = s.extensionNumber(c); err != nil {
		return a, err
	}
	a.imageName = c.Word()
	return a, nil
}

// peekSwitch returns the letters of an option that begins with a slash.
func (c *Call) peekSwitch() (string, bool) {
	w := c.Peek()
	if len(w) > 1 && w[0] == '/' {
		return strings.ToLower(w[1:]), true
	}
	return "", false
}

// extensionNumber reads one argument of an extension command: a word, so that
// "0 0" are two numbers and a minus sign belongs to its number.
func (s *Session) extensionNumber(c *Call) (uint64, error) {
	word := c.Word()
	if word == "-1" {
		return ^uint64(0), nil
	}
	return s.evaluate(word)
}

// extensionNumberOr is extensionNumber for an argument that may be left out.
func (s *Session) extensionNumberOr(c *Call, absent uint64) (uint64, error) {
	if c.Args.Done() {
		return absent, nil
	}
	return s.extensionNumber(c)
}

func runProcess(ctx context.Context, s *Session, c *Call) error {
	a, err := s.parseProcessArgs(c)
	if err != nil {
		return err
	}
	switch {
	case a.current:
		if s.scope.process.Addr() == 0 {
			return Failf("Unable to get the current process data")
		}
		return s.showProcess(ctx, s.scope.process, a.flags)
	case a.all:
		return s.showProcesses(ctx, a)
	}
	p := s.sys.Process(a.process)
	if a.process>>47 == 0 { // no kernel address: a process id
		if p, err = s.searchProcess(ctx, a.process); err != nil {
			return err
		}
	} else if !p.IsProcess() {
		return Failf("TYPE mismatch for process object at %016x", a.process)
	}
	return s.showProcess(ctx, p, a.flags)
}

// searchProcess finds the process with an id, and says that it searches.
func (s *Session) searchProcess(ctx context.Context, pid uint64) (windows.Process, error) {
	s.printf("Searching for Process with Cid == %x\n\n", pid)
	p, err := s.sys.ProcessByPID(ctx, pid)
	if err != nil {
		return p, Failf("Process not found")
	}
	return p, nil
}

func (s *Session) showProcesses(ctx context.Context, a processArgs) error {
	if a.imageName == "" {
		s.printf("**** NT ACTIVE PROCESS DUMP ****\n")
	}
	shown := map[uint64]bool{}
	show := func(p windows.Process) error {
		shown[p.Addr()] = true
		if !s.wanted(ctx, p, a) {
			return nil
		}
		return s.showProcess(ctx, p, a.flags)
	}
	var broken error
	for p, err := range s.sys.ActiveProcesses(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			broken = err
			break
		}
		if err := show(p); err != nil {
			return err
		}
	}
	if broken == nil {
		return nil
	}
	s.printBroken(broken)
	return s.showOffList(ctx, shown, show)
}

// showOffList shows the processes that a broken list does not lead to: the
// system has other ways to those that run.
func (s *Session) showOffList(ctx context.Context, shown map[uint64]bool, show func(windows.Process) error) error {
	for p, err := range s.sys.Processes(ctx) {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			s.notef("%v", err)
			continue
		case shown[p.Addr()]:
			continue
		}
		if ended, err := p.Exited(); err == nil && !ended.IsZero() {
			continue
		}
		if err := show(p); err != nil {
			return err
		}
	}
	return nil
}

// printBroken prints why a list of the kernel ends early.
func (s *Session) printBroken(err error) {
	var unread *memory.ReadError
	switch {
	case errors.As(err, &unread):
		s.printf("Unable to read _LIST_ENTRY @ %016x\n", unread.Addr)
	case symbolsLack(err):
		s.printf("%s\n", wrongSymbols)
	}
	s.incomplete(err)
}

func (s *Session) wanted(ctx context.Context, p windows.Process, a processArgs) bool {
	if a.imageName != "" && !s.hasImageName(p, a.imageName) {
		return false
	}
	if a.session >= 0 {
		id, has, err := p.Session()
		if err != nil || !has || int64(id) != a.session {
			return false
		}
	}
	if a.module == "" {
		return true
	}
	for _, m := range p.UserModules(ctx).All() {
		if strings.EqualFold(m.Name, a.module) || strings.EqualFold(m.ImageName, a.module) {
			return true
		}
	}
	return false
}

// hasImageName compares with the name the kernel keeps, which is cut after 15
// bytes, and with the whole one.
func (s *Session) hasImageName(p windows.Process, want string) bool {
	short, err := p.Name()
	if err == nil && strings.EqualFold(short, want) {
		return true
	}
	full, err := p.ImageName()
	return err == nil && strings.EqualFold(full, want)
}

const notAccessible = "<Data Not Accessible>"

// showProcess prints one process; with flagSetContext in its own context.
func (s *Session) showProcess(ctx context.Context, p windows.Process, flags uint64) error {
	if flags&flagSetContext != 0 && flags&flagStats != 0 {
		defer s.borrowContext(ctx, p)()
	}
	s.printf("PROCESS %016x\n", p.Addr())
	s.printf("    SessionId: %s  Cid: %s    Peb: %s  ParentCid: %s\n",
		sessionText(p), hexText("%04x", p.PID), hexText("%08x", p.PEB), hexText("%04x", p.ParentPID))
	s.printf("    DirBase: %s  ObjectTable: %s  HandleCount: %s\n",
		hexText("%08x", p.DTB), hexText("%016x", p.ObjectTable), handleText(p))
	name, err := p.ImageName()
	if err != nil {
		name = notAccessible
	}
	s.printf("    Image: %s\n", visible(name))
	if flags&flagStats != 0 {
		s.showProcessStats(p)
	}
	s.printf("\n")
	if flags&(flagThreads|flagStacks) == 0 {
		return nil
	}
	if err := s.indented(8, func() error { return s.showThreads(ctx, p, flags) }); err != nil {
		return err
	}
	return nil
}

// borrowContext makes p the process context with its modules, and returns what
// puts back the old one.
func (s *Session) borrowContext(ctx context.Context, p windows.Process) func() {
	scope, modules := s.scope, s.modules
	s.setProcess(p)
	s.modules.loadUser(ctx, p)
	return func() { s.scope, s.modules = scope, modules }
}

func sessionText(p windows.Process) string {
	id, has, err := p.Session()
	switch {
	case err != nil:
		return notAccessible
	case !has:
		return "none"
	}
	return fmt.Sprint(id)
}

func hexText(layout string, value func() (uint64, error)) string {
	v, err := value()
	if err != nil {
		return notAccessible
	}
	return fmt.Sprintf(layout, v)
}

func handleText(p windows.Process) string {
	n, err := p.HandleCount()
	if err != nil {
		return notAccessible
	}
	return fmt.Sprintf("%3d.", n)
}

func (s *Session) showProcessStats(p windows.Process) {
	st := p.Stats()
	s.printf("    VadRoot %016x Vads %d Clone %x Private %d. Modified %d. Locked %d.\n",
		st.VadRoot, st.VadCount, st.CloneRoot, st.PrivatePages, st.ModifiedPages, st.LockedPages)
	s.printf("    DeviceMap %016x\n", st.DeviceMap)
	row := func(label, layout string, args ...any) {
		s.printf("    %-34s"+layout+"\n", append([]any{label}, args...)...)
	}
	row("Token", "%016x", st.Token)
	row("ElapsedTime", "%s", elapsedText(st.Elapsed))
	row("UserTime", "%s", clockText(st.UserTime))
	row("KernelTime", "%s", clockText(st.KernelTime))
	row("QuotaPoolUsage[PagedPool]", "%d", st.PagedQuota)
	row("QuotaPoolUsage[NonPagedPool]", "%d", st.NonPagedQuota)
	s.printf("    Working Set Sizes (now,min,max)  (%d, %d, %d) (%dKB, %dKB, %dKB)\n",
		st.WorkingSet, st.MinimumWorkingSet, st.MaximumWorkingSet,
		st.WorkingSet*4, st.MinimumWorkingSet*4, st.MaximumWorkingSet*4)
	row("PeakWorkingSetSize", "%d", st.PeakWorkingSet)
	row("VirtualSize", "%d Mb", st.VirtualSize>>20)
	row("PeakVirtualSize", "%d Mb", st.PeakVirtualSize>>20)
	row("PageFaultCount", "%d", st.PageFaults)
	priority := "BACKGROUND"
	if st.MemoryPriority != 0 {
		priority = "FOREGROUND"
	}
	row("MemoryPriority", "%s", priority)
	row("BasePriority", "%d", st.BasePriority)
	row("CommitCharge", "%d", st.Commit)
	if st.Job != 0 {
		row("Job", "%016x", st.Job)
	}
	if st.DebugPort != 0 {
		row("DebugPort", "%016x", st.DebugPort)
	}
	if len(st.Errs) > 0 {
		s.notef("process %x: figures shown as 0 could not be read: %v", p.Addr(), errors.Join(st.Errs...))
	}
}

// clockText spells a time of at most a day as 01:02:03.004, a longer one with
// its days in front.
func clockText(d time.Duration) string {
	ms := d.Milliseconds()
	days := ms / 86_400_000
	ms %= 86_400_000
	text := fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
	switch {
	case days == 1:
		return "1 Day " + text
	case days > 1:
		return fmt.Sprintf("%d Days %s", days, text)
	}
	return text
}

func elapsedText(d time.Duration) string {
	if d < 0 {
		return "<Invalid>"
	}
	return clockText(d)
}

// showThreads prints the threads of a process as the flags say.
func (s *Session) showThreads(ctx context.Context, p windows.Process, flags uint64) error {
	for t, err := range p.Threads(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.printBroken(err)
			s.printf("\n")
			return nil
		}
		if err := s.showThread(ctx, t, threadFlags(flags)); err != nil {
			return err
		}
		s.printf("\n")
	}
	return nil
}
