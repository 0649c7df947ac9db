package command

import (
	"cmp"
	"context"
	"strings"

	"kdap/engine/memory"
	"kdap/engine/windows"
)

func processorBlockCommands() []*Command {
	return []*Command{cmdCPUInfo(), cmdCPUID(), cmdIRQL(), cmdPrcb(), cmdPcr()}
}

// chosenProcessors are the processors that an argument names, or all of them.
func (s *Session) chosenProcessors(c *Call) (list []int, err error) {
	if c.Args.Done() {
		for n := range s.sys.ProcessorCount() {
			list = append(list, n)
		}
		return list, nil
	}
	n, err := s.processorArgument(c)
	return []int{n}, err
}

// processorArgument is the processor an argument names, else the current one.
func (s *Session) processorArgument(c *Call) (int, error) {
	if c.Args.Done() {
		return s.scope.cpu, nil
	}
	n, err := s.extensionNumber(c)
	if err != nil {
		return 0, err
	}
	if n >= uint64(s.sys.ProcessorCount()) {
		return 0, Failf("%d is not a valid processor", n)
	}
	return int(n), nil
}

func cmdCPUInfo() *Command {
	return &Command{
		Names: []string{"!cpuinfo"}, Args: "[Processor]", Short: "processors: model, clock, microcode, features",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			list, err := s.chosenProcessors(c)
			if err != nil {
				return err
			}
			s.printf("CP  F/M/S Manufacturer  MHz PRCB Signature    MSR 8B Signature Features ArchitectureClass\n")
			for _, n := range list {
				if err := ctx.Err(); err != nil {
					return err
				}
				if p, ok := s.processorBlock(n); ok {
					m := s.processorModel(p)
					signature, _ := p.UpdateSignature()
					features, _ := p.Features()
					class, _ := p.Object().FirstField("ArchitectureClass", "EfficiencyClass").Uint()
					s.printf("%2d %2d,%d,%d %-12s %4d %016x                   %08x %d\n", n, m.family, m.model, m.stepping, m.vendor, m.mhz,
						signature, uint32(features), class)
				}
			}
			cached, initial, hasCached, hasInitial := s.updateSignatures(ctx)
			if hasCached {
				s.printf("%45s %016x\n", "Cached Update Signature", cached)
			}
			if hasInitial {
				s.printf("%45s %016x\n", "Initial Update Signature", initial)
			}
			return nil
		},
	}
}

func cmdCPUID() *Command {
	return &Command{
		Names: []string{"!cpuid"}, Args: "[Processor]", Short: "processors: model and clock",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			list, err := s.chosenProcessors(c)
			if err != nil {
				return err
			}
			s.printf("CP  F/M/S  Manufacturer     MHz\n")
			for _, n := range list {
				if err := ctx.Err(); err != nil {
					return err
				}
				if p, ok := s.processorBlock(n); ok {
					m := s.processorModel(p)
					s.printf("%2d %2d,%d,%d %-12s %7d\n", n, m.family, m.model, m.stepping, m.vendor, m.mhz)
				}
			}
			return nil
		},
	}
}

// processorBlock returns processor n, or tells why the dump has it not.
func (s *Session) processorBlock(n int) (windows.Processor, bool) {
	p, err := s.sys.Processor(n)
	if err != nil {
		s.notef("%v", err)
		return p, false
	}
	return p, true
}

type processorModel struct {
	family, model, stepping, mhz uint64
	vendor                       string
}

func (s *Session) processorModel(p windows.Processor) (m processorModel) {
	var err error
	if m.family, m.model, m.stepping, err = p.Model(); err != nil {
		s.notef("processor %d: %v", p.Number(), err)
	}
	if m.vendor, err = p.Vendor(); err != nil {
		s.notef("processor %d: %v", p.Number(), err)
	}
	m.vendor = visible(m.vendor)
	if m.mhz, err = p.MHz(); err != nil {
		s.notef("processor %d: %v", p.Number(), err)
	}
	return m
}

// irqlNames are the levels of x64 that have names.
var irqlNames = map[uint64]string{
	0: "LOW_LEVEL", 1: "APC_LEVEL", 2: "DISPATCH_LEVEL", 12: "SYNCH_LEVEL", 13: "CLOCK_LEVEL", 14: "IPI_LEVEL", 15: "HIGH_LEVEL",
}

// withProcessor makes the Run of a command whose only argument is a processor,
// by default the current one.
func withProcessor(show func(s *Session, n int, p windows.Processor) error) func(context.Context, *Session, *Call) error {
	return func(_ context.Context, s *Session, c *Call) error {
		n, err := s.processorArgument(c)
		if err != nil {
			return err
		}
		p, ok := s.processorBlock(n)
		if !ok {
			return Failf("Cannot get PRCB address")
		}
		return show(s, n, p)
	}
}

func cmdIRQL() *Command {
	return &Command{
		Names: []string{"!irql"}, Args: "[Processor]", Short: "interrupt level a processor was stopped at",
		Run: withProcessor(func(s *Session, n int, p windows.Processor) error {
			level, err := p.SavedIRQL()
			if err != nil {
				s.notef("processor %d: %v", n, err)
				return Failf("Cannot get PRCB address")
			}
			s.printf("Debugger saved IRQL for processor 0x%x -- %d (%s)\n", n, level, irqlNames[level])
			return nil
		}),
	}
}

func cmdPrcb() *Command {
	return &Command{
		Names: []string{"!prcb"}, Args: "[Processor]", Short: "a processor's control block: threads, times, interrupts",
		Run: withProcessor(func(s *Session, n int, p windows.Processor) error {
			var problem error
			u := func(v uint64, err error) uint64 {
				if err != nil && problem == nil {
					problem = err
				}
				return v
			}
			field := func(names ...string) uint64 { return u(p.Object().FirstField(names...).Uint()) }
			s.printf("PRCB for Processor %d at %016x:\n", n, p.Addr())
			s.printf("Current IRQL -- %d\n", u(p.SavedIRQL()))
			s.printf("Threads--  Current %016x Next %016x Idle %016x\n", u(p.CurrentThread()), u(p.NextThread()), u(p.IdleThread()))
			s.printf("Processor Index %d Number (%d, %d) GroupSetMember %x\n", field("Number"), field("Group"), field("GroupIndex"), field("GroupSetMember"))
			s.printf("Interrupt Count -- %08x\n", field("InterruptCount"))
			s.printf("Times -- Dpc    %08x Interrupt %08x \n", field("DpcTime", "DpcTimeCount"), field("InterruptTime"))
			s.printf("         Kernel %08x User      %08x \n", field("KernelTime"), field("UserTime"))
			if problem != nil {
				s.notef(zeroNote, n, problem)
			}
			return nil
		}),
	}
}

// pcrZero are the lines of !pcr that show members of 32-bit systems: on x64
// the debugger finds nothing there and prints 0.
var pcrZero = []string{"Irql", "IRR", "IDR", "InterruptMode", "IDT", "GDT", "TSS"}

func cmdPcr() *Command {
	return &Command{
		Names: []string{"!pcr"}, Args: "[Processor]", Short: "a processor's control region",
		Run: withProcessor(func(s *Session, n int, p windows.Processor) error {
			pcr, err := p.KPCR()
			if err != nil {
				s.notef("processor %d: %v", n, err)
				return Failf("Cannot get PCR address")
			}
			return s.showPcr(p, pcr)
		}),
	}
}

// showPcr prints the region as the debugger does: its first words under the
// names of the _NT_TIB that begins it on 32-bit systems.
func (s *Session) showPcr(p windows.Processor, pcr uint64) error {
	if _, err := memory.ReadUint(s.sys.Kernel(), pcr, 8); err != nil {
		s.notef("processor %d: %v", p.Number(), err)
		return Failf("Unable to read the PCR at %016x", pcr)
	}
	var problem error
	u := func(v uint64, err error) uint64 {
		problem = cmp.Or(problem, err)
		return v
	}
	word := func(off uint64, size int) uint64 { return u(memory.ReadUint(s.sys.Kernel(), pcr+off, size)) }
	obj := s.sys.Struct("_KPCR", pcr)
	major, _ := obj.Field("MajorVersion").Uint()
	minor, _ := obj.Field("MinorVersion").Uint()
	line := func(label string, v uint64) { s.printf("\t%20s %016x\n", label+":", v) }
	s.printf("KPCR for Processor %d at %016x:\n    Major %d Minor %d\n", p.Number(), pcr, major, minor)
	for i, name := range strings.Fields("ExceptionList StackBase StackLimit SubSystemTib Version UserPointer SelfTib") {
		size := 8
		if name == "Version" {
			size = 4
		}
		line("NtTib."+name, word(8*uint64(i), size))
	}
	s.printf("\n")
	line("SelfPcr", 0)
	line("Prcb", p.Addr())
	for _, name := range pcrZero {
		line(name, 0)
	}
	s.printf("\n")
	line("CurrentThread", u(p.CurrentThread()))
	line("NextThread", u(p.NextThread()))
	line("IdleThread", u(p.IdleThread()))
	s.printf("\n\t%19s \n", "DpcQueue:")
	if problem != nil {
		s.notef(zeroNote, p.Number(), problem)
	}
	return nil
}

// zeroNote goes with figures that have no words of the debugger's for a gap.
const zeroNote = "processor %d: figures shown as 0 could not be read: %v"
