package command

import (
	"context"
	"errors"

	"kdap/engine/types"
	"kdap/engine/windows"
)

func cmdJob() *Command {
	return &Command{
		Names: []string{"!job"}, Args: "[Process|Job [Flags]]",
		Short: "show a job: accounting, limits, processes",
		Run:   runJob,
	}
}

// Flags of !job.
const (
	jobFigures   = 0x1
	jobProcesses = 0x2
)

func runJob(ctx context.Context, s *Session, c *Call) error {
	addr, flags := uint64(0), uint64(jobFigures)
	for _, n := range []*uint64{&addr, &flags} {
		if c.Args.Done() {
			break
		}
		v, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		*n = v
	}
	j, err := s.jobArgument(ctx, addr)
	if err != nil {
		return err
	}
	return s.showJob(ctx, j, flags)
}

// jobArgument finds the job of a process, or takes the address of one.
func (s *Session) jobArgument(ctx context.Context, addr uint64) (windows.Job, error) {
	if addr != 0 && addr != ^uint64(0) && addr>>47 != 0 {
		if j := s.sys.Job(addr); j.IsJob() {
			return j, nil
		}
		if t := s.sys.Thread(addr); t.IsThread() {
			if p, err := t.Process(); err == nil {
				addr = p.Addr()
			}
		}
	}
	if addr == 0 {
		addr = ^uint64(0)
	}
	p, err := s.handleProcess(ctx, addr)
	if err != nil {
		return windows.Job{}, err
	}
	j, ok, err := p.Job()
	switch {
	case err != nil:
		s.notef("%v", err)
		return j, Failf("Unable to read the job of process %016x", p.Addr())
	case !ok:
		return j, Failf("Process %016x is not part of a job", p.Addr())
	}
	return j, nil
}

// jobMember is a member of _EJOB with its label. Members differ between
// builds; what a build does not have is not shown.
type jobMember struct{ label, member string }

var jobAccounting = []jobMember{
	{"TotalUserTime:", "TotalUserTime.QuadPart"},
	{"TotalKernelTime:", "TotalKernelTime.QuadPart"},
	{"TotalCycleTime:", "TotalCycleTime.QuadPart"},
	{"ThisPeriodTotalUserTime:", "ThisPeriodTotalUserTime.QuadPart"},
	{"ThisPeriodTotalKernelTime:", "ThisPeriodTotalKernelTime.QuadPart"},
	{"TotalPageFaultCount:", "TotalPageFaultCount"},
	{"TotalProcesses:", "TotalProcesses"},
	{"ActiveProcesses:", "ActiveProcesses"},
	{"FreezeCount:", "EffectiveFreezeCount"},
	{"BackgroundCount:", "EffectiveBackgroundCount"},
	{"TotalTerminatedProcesses:", "TotalTerminatedProcesses"},
	{"PeakJobMemoryUsed:", "PeakJobMemoryUsed"},
	{"PeakProcessMemoryUsed:", "PeakProcessMemoryUsed"},
}

// jobLimits are the limits with the bits that put them in force
// (JOB_OBJECT_LIMIT_* of winnt.h).
var jobLimits = []struct {
	bit           uint64
	label, member string
}{
	{0x1, "MinimumWorkingSetSize:", "MinimumWorkingSetSize"},
	{0x1, "MaximumWorkingSetSize:", "MaximumWorkingSetSize"},
	{0x2, "PerProcessUserTimeLimit:", "PerProcessUserTimeLimit.QuadPart"},
	{0x4, "PerJobUserTimeLimit:", "PerJobUserTimeLimit.QuadPart"},
	{0x8, "ActiveProcessLimit:", "ActiveProcessLimit"},
	{0x20, "PriorityClass:", "PriorityClass"},
	{0x80, "SchedulingClass:", "SchedulingClass"},
	{0x100, "ProcessMemoryLimit:", "ProcessMemoryLimit"},
	{0x200, "JobMemoryLimit:", "JobMemoryLimit"},
}

// jobFlags are the bits of _EJOB.JobFlags with names of their own.
var jobFlags = []string{
	"CloseDone", "MultiGroup", "CpuRateControlActive", "Terminating", "JobFrozen", "Background", "WakeNotificationAllocated",
	"WakeNotificationEnabled", "DisallowNewProcesses", "Silo", "NetRateControlActive", "IoRateControlActive",
}

func (s *Session) showJob(ctx context.Context, j windows.Job, flags uint64) error {
	o := j.Object()
	limits, err := o.Field("LimitFlags").Uint()
	if err != nil {
		s.notef("%v", err)
		return Failf("Unable to read job %016x", j.Addr())
	}
	s.printf("Job at %016x\n", j.Addr())
	if flags&jobFigures != 0 {
		s.printf("  Basic Accounting Information\n")
		for _, m := range jobAccounting {
			s.jobFigure(o, m)
		}
		s.printf("  Job Flags\n")
		for _, name := range jobFlags {
			if v, err := o.Field(name).Uint(); err == nil && v != 0 {
				s.printf("    [%s]\n", name)
			}
		}
		s.printf("  Limit Information (LimitFlags: 0x%x)\n", limits)
		for _, l := range jobLimits {
			if limits&l.bit != 0 {
				s.jobFigure(o, jobMember{l.label, l.member})
			}
		}
		if v, err := o.Field("EffectiveLimitFlags").Uint(); err == nil {
			s.printf("  Limit Information (EffectiveLimitFlags: 0x%x)\n", v)
		}
	}
	if flags&jobProcesses == 0 {
		return nil
	}
	s.printf("  Processes assigned to this job:\n")
	for p, err := range j.Processes(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			break
		}
		if err := s.indented(4, func() error { return s.showProcess(ctx, p, 0) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) jobFigure(o types.Object, m jobMember) {
	v, err := o.Field(m.member).Uint()
	var missing *types.NoFieldError
	switch {
	case errors.As(err, &missing):
	case err != nil:
		s.notef("%v", err)
		s.printf("    %-26s %s\n", m.label, notAccessible)
	default:
		s.printf("    %-26s 0x%x\n", m.label, v)
	}
}
