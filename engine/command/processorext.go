package command

import (
	"context"

	"kdap/engine/format"
	"kdap/engine/windows"
)

func queueCommands() []*Command {
	return []*Command{cmdIdt(), cmdGdt(), cmdDg(), cmdDpcs(), cmdTimer(), cmdApc()}
}

func cmdIdt() *Command {
	return &Command{
		Names: []string{"!idt"}, Args: "[-a] [Vector]",
		Short: "show the interrupt descriptor table: the vectors of devices, or all",
		Run:   runIdt,
	}
}

// lastVector is the highest interrupt vector.
const lastVector = 255

func runIdt(ctx context.Context, s *Session, c *Call) error {
	all := false
	if letters, ok := c.Option(); ok {
		if letters != "a" {
			return Failf("!idt: unknown option -%s", letters)
		}
		all = true
	}
	first, last := 0, lastVector
	if !c.Args.Done() {
		v, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		if v > lastVector {
			return Failf("Invalid vector %x", v)
		}
		first, last, all = int(v), int(v), true
	}
	cpu, err := s.sys.Processor(s.scope.cpu)
	if err != nil {
		return Failf("%v", err)
	}
	base, err := cpu.IDT()
	if err != nil {
		s.notef("%v", err)
		return Failf("Unable to read the IDT of processor %d", s.scope.cpu)
	}
	s.printf("\nDumping IDT: %016x\n\n", base)
	for v := first; v <= last; v++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		in, err := cpu.Interrupt(base, v)
		if err != nil {
			s.notef("vector %x: %v", v, err)
			continue
		}
		if in.Present && (all || len(in.Objects) > 0) {
			s.showInterrupt(ctx, in)
		}
	}
	s.printf("\n")
	return nil
}

func (s *Session) showInterrupt(ctx context.Context, in windows.Interrupt) {
	s.printf("%02x:\t%016x ", in.Vector, in.Handler)
	if len(in.Objects) == 0 {
		s.printf("%s", s.symbolText(ctx, in.Handler))
	}
	for i, o := range in.Objects {
		if i > 0 {
			s.printf("\n\t")
		}
		s.printf("%s (KINTERRUPT %016x)", s.symbolText(ctx, o.Routine), o.Addr)
	}
	if in.Stack != 0 {
		s.printf("\tStack = 0x%016X", in.Stack)
	}
	s.printf("\n")
}

func cmdDg() *Command {
	return &Command{
		Names: []string{"dg"}, Args: "FirstSelector [LastSelector]",
		Short: "show segment descriptors of the current processor",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			first, err := s.number(c.Args)
			if err != nil {
				return err
			}
			last := first
			if !c.Args.Done() {
				if last, err = s.number(c.Args); err != nil {
					return err
				}
			}
			return s.showSegments(ctx, first, last)
		},
	}
}

func cmdGdt() *Command {
	return &Command{
		Names: []string{"!gdt"},
		Short: "show the global descriptor table of the current processor",
		Run: func(ctx context.Context, s *Session, _ *Call) error {
			return s.showSegments(ctx, 0, lastSelector)
		},
	}
}

// lastSelector is the last one that 64-bit Windows uses (KGDT64_R3_CMTEB, 0x50).
const lastSelector = 0x50

// maxSelector bounds what one dg shows.
const maxSelector = 0xffff

func (s *Session) showSegments(ctx context.Context, first, last uint64) error {
	cpu, err := s.sys.Processor(s.scope.cpu)
	if err != nil {
		return Failf("%v", err)
	}
	base, err := cpu.GDT()
	if err != nil {
		s.notef("%v", err)
		return Failf("Unable to read the GDT of processor %d", s.scope.cpu)
	}
	s.printf("                                                    P Si Gr Pr Lo\n")
	s.printf("Sel        Base              Limit          Type    l ze an es ng Flags\n")
	s.printf("---- ----------------- ----------------- ---------- - -- -- -- -- --------\n")
	for sel := first &^ 7; sel <= min(last, maxSelector); sel += 8 {
		if err := ctx.Err(); err != nil {
			return err
		}
		g, err := cpu.Segment(base, sel)
		if err != nil {
			s.notef("%v", err)
			return Failf("%04x Unable to get descriptor", sel)
		}
		s.printf("%04x %s %s %-10s %d %s %s %s %s %08x\n", sel, format.Addr(g.Base), format.Addr(g.Limit), segmentType(g), g.Privilege(),
			either(g.Flags&windows.SegmentBig != 0, "Bg", "Nb"), either(g.Flags&windows.SegmentPages != 0, "Pg", "By"),
			either(g.Access&windows.SegmentPresent != 0, "P ", "NP"), either(g.Flags&windows.SegmentLong != 0, "Lo", "Nl"),
			uint64(g.Flags)<<8|uint64(g.Access))
	}
	return nil
}

// systemSegments are the types of descriptors that are neither code nor data.
var systemSegments = map[uint8]string{
	0x2: "LDT", 0x9: "TSS32 Avl", 0xb: "TSS32 Busy", 0xc: "CallG32", 0xe: "IntG32", 0xf: "TrapG32",
}

func segmentType(g windows.Segment) string {
	if g.Access&windows.SegmentNotGate == 0 {
		if name, ok := systemSegments[g.Access&0xf]; ok {
			return name
		}
		return "<Reserved>"
	}
	accessed := either(g.Access&windows.SegmentAccessed != 0, "Ac", "")
	if g.Access&windows.SegmentCode != 0 {
		return "Code " + either(g.Access&windows.SegmentReadable != 0, "RE ", "EO ") + accessed
	}
	return "Data " + either(g.Access&windows.SegmentReadable != 0, "RW ", "RO ") + accessed
}

func cmdDpcs() *Command {
	return &Command{
		Names: []string{"!dpcs"}, Args: "[Processor]",
		Short: "show the deferred procedure calls that wait in the processors' queues",
		Run:   runDpcs,
	}
}

func runDpcs(ctx context.Context, s *Session, c *Call) error {
	first, last := 0, s.sys.ProcessorCount()-1
	if !c.Args.Done() {
		n, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		if n >= uint64(s.sys.ProcessorCount()) {
			return Failf("%d is not a valid processor number", n)
		}
		first, last = int(n), int(n)
	}
	s.printf("CPU Type      KDPC       Function\n")
	for n := first; n <= last; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		cpu, err := s.sys.Processor(n)
		if err != nil {
			s.notef("%v", err)
			continue
		}
		for d, err := range cpu.DPCs() {
			if err != nil {
				s.notef("%v", err)
				if d.Addr != 0 {
					s.printf("Failed to read DPC at 0x%016x\n", d.Addr)
				}
				continue
			}
			s.printf("%2d: %-8s: 0x%016x 0x%016x %s\n", n, either(d.Threaded, "Threaded", "Normal"), d.Addr, d.Routine, s.symbolText(ctx, d.Routine))
		}
	}
	return nil
}
