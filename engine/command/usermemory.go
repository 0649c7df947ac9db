package command

import (
	"context"

	"kdap/engine/windows"
)

// userMemoryCommands are about the address ranges of the process context.
func userMemoryCommands() []*Command {
	return []*Command{
		{Names: []string{"!mapped_file"}, Args: "Address", Short: "tell the file that is mapped at an address", Run: runMappedFile},
		{Names: []string{"!vadump"}, Args: "[-v]", Short: "show all address ranges of the process with their protection", Run: runVadump},
		{Names: []string{"!imgreloc"}, Args: "[Address]", Short: "tell which images of the process were relocated, from where", Run: runImageRelocations},
	}
}

// noMappedFile is what the system says to a debugger that asks for the file of
// memory that has none: an invalid parameter.
const noMappedFile = 87

func runMappedFile(_ context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		s.printf("Usage: !mapped_file <Address>\n")
		return nil
	}
	va, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	_, v, ok, err := s.contextVAD(va)
	if err != nil {
		return err
	}
	if ok {
		if path, err := v.NTPath(); err == nil && path != "" {
			s.printf("Mapped file name for %016x: '%s'\n", va, visible(path))
			return nil
		}
	}
	return Failf("No information found for %016x: error %d", va, noMappedFile)
}

func runVadump(ctx context.Context, s *Session, c *Call) error {
	verbose := false
	for !c.Args.Done() {
		if option, _ := c.Option(); option != "v" {
			s.printf("Usage: !vadump [-v]\n")
			return nil
		}
		verbose = true
	}
	if err := s.needTables(); err != nil {
		return err
	}
	p, err := s.contextProcess()
	if err != nil {
		return err
	}
	next := uint64(0)
	for v, err := range p.VADs(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.incomplete(err)
			continue
		}
		s.freeRange(next, v.Start)
		for at := v.Start; at <= v.End && at >= v.Start; {
			r, err := v.RegionFrom(ctx, at)
			if err != nil || r.Size == 0 {
				s.notef("%v", err)
				break
			}
			if err := s.showRange(v, r, verbose); err != nil {
				return err
			}
			at = r.Base + r.Size
		}
		next = v.End + 1
	}
	s.freeRange(next, userLimit)
	return nil
}

// freeRange shows the addresses between two ranges.
func (s *Session) freeRange(first, end uint64) {
	if first < end {
		s.printf("BaseAddress: %016x\nRegionSize:  %016x\nState:       %08x  %s\nProtect:     00000001  PAGE_NOACCESS\n\n",
			first, end-first, memFree, memoryStates[memFree])
	}
}

func (s *Session) showRange(v windows.VAD, r windows.Region, verbose bool) error {
	s.printf("BaseAddress: %016x\n", r.Base)
	if verbose {
		protection, err := v.Protection()
		if err != nil {
			return err
		}
		s.printf("AllocationBase: %016x\nAllocationProtect: %08x  %s\n", v.Start, protection.Flags(), pageRightsText(protection.Flags(), " + "))
	}
	n, name := stateWord(r.State)
	s.printf("RegionSize:  %016x\nState:       %08x  %s\n", r.Size, n, name)
	if r.State != windows.StateReserved {
		s.printf("Protect:     %08x  %s\n", r.Protection.Flags(), pageRightsText(r.Protection.Flags(), " + "))
	}
	n, name = typeWord(v)
	s.printf("Type:        %08x  %s\n\n", n, name)
	return nil
}

// userMinidumpMemoryCommands are the same of a minidump, which has a list of
// regions in the place of VADs.
func userMinidumpMemoryCommands() []*Command {
	all := userMemoryCommands()
	all[0].Run = func(ctx context.Context, s *Session, c *Call) error {
		va, _, err := s.userRegion(c)
		if err != nil {
			return err
		}
		if m := s.moduleSet(ctx).Find(va); m != nil {
			s.printf("Mapped file name for %s: '%s'\n", s.addressText(va), visible(m.Path))
			return nil
		}
		return Failf("No information found for %s: error %d", s.addressText(va), noMappedFile)
	}
	all[1].Run = func(ctx context.Context, s *Session, c *Call) error {
		if !c.Args.Done() {
			c.Word()
		}
		for _, r := range s.sys.User().File().Regions {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.printf("BaseAddress: %016x\nRegionSize:  %016x\nState:       %08x  %s\n", r.Base, r.Size, r.State, memoryStates[r.State])
			if r.Protect != 0 {
				s.printf("Protect:     %08x  %s\n", r.Protect, pageRightsText(r.Protect, " + "))
			}
			if r.Type != 0 {
				s.printf("Type:        %08x  %s\n", r.Type, memoryTypes[r.Type])
			}
			s.printf("\n")
		}
		if len(s.sys.User().File().Regions) == 0 {
			return Failf("The dump has no list of regions")
		}
		return nil
	}
	return all
}

func runImageRelocations(ctx context.Context, s *Session, c *Call) error {
	only, err := s.extensionNumberOr(c, 0)
	if err != nil {
		return err
	}
	b, err := s.processBlock()
	if err != nil {
		return err
	}
	for d, err := range b.process.LoadedDLLs(ctx, b.peb, b.pointer, windows.LoadOrder) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.incomplete(err)
			break
		}
		if only != 0 && !d.Contains(only) {
			continue
		}
		name := visible(d.Name)
		if m := s.moduleSet(ctx).Find(d.Base); m != nil {
			name = visible(m.Name)
		}
		switch preferred := s.preferredBase(ctx, d); preferred {
		case 0:
			s.printf("%0*x %s - preferred address not known\n", 2*b.pointer, d.Base, name)
		case d.Base:
			s.printf("%0*x %s - at preferred address\n", 2*b.pointer, d.Base, name)
		default:
			s.printf("%0*x %s - RELOCATED from %0*x\n", 2*b.pointer, d.Base, name, 2*b.pointer, preferred)
		}
	}
	return nil
}

// preferredBase is where an image was linked for: the loader keeps it since
// Windows 8; before, the file has it. The header in memory holds the real base.
func (s *Session) preferredBase(ctx context.Context, d windows.LoadedDLL) uint64 {
	if d.OriginalBase != 0 {
		return d.OriginalBase
	}
	m := s.moduleSet(ctx).Find(d.Base)
	if m == nil {
		return 0
	}
	img, _, err := m.LocalFile(ctx, s.finder())
	if err != nil {
		return 0
	}
	defer img.Close()
	return img.ImageBase
}
