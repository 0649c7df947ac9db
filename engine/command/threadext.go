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

// threadView says what is shown of a thread below its first line.
type threadView struct {
	waits, figures, stack bool
	args                  bool // the stack with its arguments
}

// threadFlags reads the flags of !process as what to show of each thread.
func threadFlags(flags uint64) threadView {
	return threadView{
		waits:   flags&flagThreads != 0,
		figures: flags&flagThreads != 0 && flags&flagStacks != 0,
		stack:   flags&flagThreads != 0 && flags&flagStacks != 0,
		args:    flags&flagNoArgs == 0,
	}
}

const threadDefaultFlags = 0x6

func cmdThreadExt() *Command {
	return &Command{
		Names: []string{"!thread"}, Args: "[-p] [-t] [Address [Flags]]",
		Short: "show a thread: state, what it waits for, times, stack",
		Run:   runThread,
	}
}

func runThread(ctx context.Context, s *Session, c *Call) error {
	var withProcess, byTID bool
	for {
		w := c.Peek()
		if w != "-p" && w != "-t" {
			break
		}
		c.Word()
		withProcess = withProcess || w == "-p"
		byTID = byTID || w == "-t"
	}
	t, err := s.threadArgument(ctx, c, byTID)
	if err != nil {
		return err
	}
	flags, err := s.extensionNumberOr(c, threadDefaultFlags)
	if err != nil {
		return err
	}
	owner, ownerErr := t.Process()
	if withProcess && ownerErr == nil {
		if err := s.showProcess(ctx, owner, 0); err != nil {
			return err
		}
	}
	v := threadView{
		waits: flags&flagThreads != 0, figures: flags&flagThreads != 0,
		stack: flags&flagThreads != 0 && flags&flagStacks != 0, args: flags&flagNoArgs == 0,
	}
	if flags&flagSetContext != 0 && ownerErr == nil {
		defer s.borrowContext(ctx, owner)()
	}
	return s.showThread(ctx, t, v)
}

// threadArgument reads the thread of !thread: none or -1 is the current
// processor's, whatever .thread chose.
func (s *Session) threadArgument(ctx context.Context, c *Call, byTID bool) (windows.Thread, error) {
	addr, err := s.extensionNumberOr(c, ^uint64(0))
	if err != nil {
		return windows.Thread{}, err
	}
	switch {
	case byTID:
		return s.threadByTID(ctx, addr)
	case addr == ^uint64(0):
		current, err := s.sys.CurrentThread(s.scope.cpu)
		if err != nil {
			return windows.Thread{}, s.unable("Unable to get the current thread", err)
		}
		return s.sys.Thread(current), nil
	}
	t := s.sys.Thread(addr)
	if _, err := t.DispatcherType(); err != nil {
		return t, Failf("*** Invalid thread %016x", addr)
	}
	if !t.IsThread() {
		return t, Failf("TYPE mismatch for thread object at %016x", addr)
	}
	return t, nil
}

func (s *Session) threadByTID(ctx context.Context, tid uint64) (windows.Thread, error) {
	for p, err := range s.sys.Processes(ctx) {
		if err != nil {
			continue
		}
		for t, err := range p.Threads(ctx) {
			if err != nil {
				break
			}
			if id, err := t.TID(); err == nil && id == tid {
				return t, nil
			}
		}
	}
	return windows.Thread{}, Failf("No thread with id %x", tid)
}

// showThread prints a thread at the left edge.
func (s *Session) showThread(ctx context.Context, t windows.Thread, v threadView) error {
	var unread *memory.ReadError
	if _, err := t.DispatcherType(); errors.As(err, &unread) {
		s.printf("*** Error in reading nt!_ETHREAD @ %016x\n", t.Addr())
		s.notef("thread %x: %v", t.Addr(), err)
		return nil
	}
	d := t.Details()
	s.printf("THREAD %016x  Cid %s.%s  Teb: %s Win32Thread: %016x %s\n", t.Addr(),
		hexText("%04x", t.PID), hexText("%04x", t.TID), hexText("%016x", t.TEB), d.Win32Thread, s.threadState(t, d))
	if v.waits {
		s.showWaits(t)
	}
	if v.figures {
		s.showThreadFigures(ctx, t, d)
	}
	if !v.stack {
		return nil
	}
	return s.showThreadStack(ctx, t, v)
}

// threadState spells the state and, for a wait, its kind.
func (s *Session) threadState(t windows.Thread, d windows.ThreadDetails) string {
	state, err := t.State()
	if err != nil {
		return notAccessible
	}
	var text string
	switch state {
	case windows.StateReady:
		text = fmt.Sprintf("READY on processor %x", d.NextProcessor)
	case windows.StateRunning:
		text = fmt.Sprintf("RUNNING on processor %x", d.NextProcessor)
	case windows.StateWaiting:
		text = "WAIT: " + s.waitKind(t)
	case 8:
		text = "GATEWAIT"
	default:
		if name := s.sys.StateName(state); name != "" {
			text = strings.ToUpper(name)
		} else {
			text = fmt.Sprintf("UNKNOWN %d", state)
		}
	}
	if d.SuspendCount != 0 {
		text += fmt.Sprintf(" SuspendCount %d", d.SuspendCount)
	}
	if d.FreezeCount != 0 {
		text += fmt.Sprintf(" FreezeCount %d", d.FreezeCount)
	}
	return text
}

func (s *Session) waitKind(t windows.Thread) string {
	reason := notAccessible
	if r, err := t.WaitReason(); err == nil {
		if reason = s.sys.WaitReasonName(r); reason == "" {
			reason = fmt.Sprint(r)
		}
	}
	mode := "KernelMode"
	if m, err := t.WaitMode(); err == nil && m != 0 {
		mode = "UserMode"
	}
	alertable := "Non-Alertable"
	if a, err := t.Alertable(); err == nil && a {
		alertable = "Alertable"
	}
	return fmt.Sprintf("(%s) %s %s", reason, mode, alertable)
}

func (s *Session) showWaits(t windows.Thread) {
	if state, err := t.State(); err != nil || state != windows.StateWaiting {
		return
	}
	for w, err := range t.WaitObjects() {
		if err != nil {
			s.notef("%v", err)
			return
		}
		text := w.Type
		switch {
		case w.Owner != 0:
			text += fmt.Sprintf(" - owning thread %016x", w.Owner)
		case w.Type == "Semaphore":
			text += fmt.Sprintf(" Limit 0x%x", w.Limit)
		}
		s.printf("    %016x  %s\n", w.Addr, text)
	}
	s.showMessageWait(t)
}

// showMessageWait tells the answer that a thread waits for: WinDbg's words for a
// message that is still in a queue; who works on one that was taken is a note.
func (s *Session) showMessageWait(t windows.Thread) {
	w, ok, err := t.MessageWait()
	switch {
	case err != nil:
		s.notef("the message that thread %x waits for: %v", t.Addr(), err)
	case ok && w.Port != 0:
		s.printf("    Waiting for reply to ALPC Message %016x : queued at port %016x : owned by process %016x\n", w.Message, w.Port, w.Owner.Addr())
	case ok:
		s.notef("thread %x waits for the answer to ALPC message %x of process %x, which thread %x took", t.Addr(), w.Message, w.Owner.Addr(), w.Server)
	}
}

func (s *Session) showThreadFigures(ctx context.Context, t windows.Thread, d windows.ThreadDetails) {
	first := true
	for irp, err := range t.IRPs(ctx) {
		if err != nil {
			s.notef("IRPs of thread %x: %v", t.Addr(), err)
			break
		}
		if first {
			s.printf("IRP List:\n")
			first = false
		}
		s.printf("    %016x: (%04x,%04x) Flags: %08x  Mdl: %08x\n", irp.Addr, irp.Type, irp.Size, irp.Flags, irp.MDL)
	}
	if d.Impersonating {
		s.printf("Impersonation token:  %016x (Level %s)\n", d.ImpersonationToken, impersonationLevel(d.Level))
	} else {
		s.printf("Not impersonating\n")
	}
	s.showOwners(t)
	s.showTimes(t, d)
	s.showStart(ctx, t)
	s.printf("Stack Init %016x Current %016x\n", d.InitialStack, d.KernelStack)
	s.printf("Base %016x Limit %016x Call %016x\n", d.StackBase, d.StackLimit, d.Callback)
	s.printf("Priority %d BasePriority %d PriorityDecrement %d IoPriority %d PagePriority %d\n",
		d.Priority, d.BasePriority, d.PriorityDecrement, d.IoPriority, d.PagePriority)
	if len(d.Errs) > 0 {
		s.notef("thread %x: figures shown as 0 could not be read: %v", t.Addr(), errors.Join(d.Errs...))
	}
}

// impersonationLevel spells SECURITY_IMPERSONATION_LEVEL.
func impersonationLevel(level uint64) string {
	if names := []string{"Anonymous", "Identification", "Impersonation", "Delegation"}; level < uint64(len(names)) {
		return names[level]
	}
	return fmt.Sprint(level)
}

func (s *Session) showOwners(t windows.Thread) {
	owner, err := t.Process()
	if err != nil {
		s.printf("Owning Process            %s\n", notAccessible)
		return
	}
	if stats := owner.Stats(); stats.DeviceMap != 0 {
		s.printf("DeviceMap                 %016x\n", stats.DeviceMap)
	}
	s.printf("Owning Process            %016x       Image:         %s\n", owner.Addr(), imageText(owner))
	attached, err := t.AttachedProcess()
	if err != nil || attached.Addr() == owner.Addr() {
		s.printf("Attached Process          N/A            Image:         N/A\n")
		return
	}
	s.printf("Attached Process          %016x       Image:         %s\n", attached.Addr(), imageText(attached))
}

func imageText(p windows.Process) string {
	name, err := p.ImageName()
	if err != nil {
		return notAccessible
	}
	return visible(name)
}

func (s *Session) showTimes(t windows.Thread, d windows.ThreadDetails) {
	tick := s.sys.TickLength()
	since, err := t.WaitTicks()
	ticks := ""
	if now, nerr := s.sys.TickCount(); err == nil && nerr == nil {
		passed := uint32(now) - uint32(since) // the counter of a thread has 32 bits
		ticks = fmt.Sprintf("Ticks: %d", passed)
		if passed != 0 {
			ticks += " (" + daysText(time.Duration(passed)*tick) + ")"
		}
	}
	s.printf("Wait Start TickCount      %-15d%s\n", since, ticks)
	switches, _ := t.ContextSwitches()
	s.printf("Context Switch Count      %-15dIdealProcessor: %-14d\n", switches, d.IdealProcessor)
	user, _ := t.UserTicks()
	kernel, _ := t.KernelTicks()
	s.printf("UserTime                  %s\n", clockText(time.Duration(user)*tick))
	s.printf("KernelTime                %s\n", clockText(time.Duration(kernel)*tick))
}

// daysText spells a time as D:HH:MM:SS.mmm.
func daysText(d time.Duration) string {
	ms := d.Milliseconds()
	return fmt.Sprintf("%d:%02d:%02d:%02d.%03d", ms/86_400_000, ms/3_600_000%24, ms/60_000%60, ms/1000%60, ms%1000)
}

func (s *Session) showStart(ctx context.Context, t windows.Thread) {
	label, addr := "Win32 Start Address", uint64(0)
	var err error
	if addr, err = t.Win32StartAddress(); err != nil || addr == 0 {
		label = "Start Address"
		if addr, err = t.StartAddress(); err != nil {
			s.printf("%s %s\n", label, notAccessible)
			return
		}
	}
	if name := s.symbolText(ctx, addr); name != "" {
		s.printf("%s %s (0x%016x)\n", label, name, addr)
		return
	}
	s.printf("%s 0x%016x\n", label, addr)
}

func (s *Session) showThreadStack(ctx context.Context, t windows.Thread, v threadView) error {
	regs, err := t.Registers(ctx)
	switch {
	case errors.Is(err, windows.ErrNotResident):
		s.printf("Kernel stack not resident.\n")
		s.notef("thread %x: %v", t.Addr(), err)
		return nil
	case err != nil:
		s.notef("%v", err)
		return nil
	}
	// The thread's own stack is 64-bit code's, whatever machine is looked at.
	machine := s.settings.machine
	s.settings.machine = s.ownMachine()
	defer func() { s.settings.machine = machine }()
	view := stackView{}
	if v.args {
		view.letter = 'v'
	}
	return s.printStack(ctx, view, regs, s.settings.kframes)
}
