package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// Constants of winnt.h, as !vprot and !address spell them.
const (
	memCommit  = 0x1000
	memReserve = 0x2000
	memFree    = 0x10000
	memPrivate = 0x20000
	memMapped  = 0x40000
	memImage   = 0x1000000
)

func stateWord(st windows.PageState) (uint32, string) {
	n := uint32(memCommit)
	if st == windows.StateReserved {
		n = memReserve
	}
	return n, memoryStates[n]
}

func typeWord(v windows.VAD) (uint32, string) {
	n := uint32(memMapped)
	private, err := v.Private()
	switch {
	case v.Image():
		n = memImage
	case err == nil && private:
		n = memPrivate
	}
	return n, memoryTypes[n]
}

// contextVAD finds the range of the process context that an address is in.
func (s *Session) contextVAD(va uint64) (p windows.Process, v windows.VAD, found bool, err error) {
	if p, err = s.contextProcess(); err != nil {
		return p, v, false, err
	}
	v, found, err = p.VADAt(va)
	if err != nil {
		s.notef("%v", err) // of a part of the tree: the range may lie in another
	}
	return p, v, found, nil
}

func runVprot(ctx context.Context, s *Session, c *Call) error {
	va := uint64(0)
	if ip, err := s.frameRegs(); err == nil && ip != nil {
		va = ip.ProgramCounter()
	}
	if !c.Args.Done() {
		var err error
		if va, err = s.extensionNumber(c); err != nil {
			return err
		}
	}
	if err := s.needTables(); err != nil {
		return err
	}
	_, v, ok, err := s.contextVAD(va)
	if err != nil {
		return err
	}
	if !ok {
		return Failf("!vprot: No containing memory region found.")
	}
	r, err := v.RegionFrom(ctx, va)
	if err != nil {
		return err
	}
	protection, err := v.Protection()
	if err != nil {
		return err
	}
	s.printf("BaseAddress:       %016x\n", r.Base)
	s.printf("AllocationBase:    %016x\n", v.Start)
	s.printf("AllocationProtect: %08x  %s\n", protection.Flags(), pageRightsText(protection.Flags(), " + "))
	s.printf("RegionSize:        %016x\n", r.Size)
	n, name := stateWord(r.State)
	s.printf("State:             %08x  %s\n", n, name)
	if r.State != windows.StateReserved {
		s.printf("Protect:           %08x  %s\n", r.Protection.Flags(), pageRightsText(r.Protection.Flags(), " + "))
	}
	n, name = typeWord(v)
	s.printf("Type:              %08x  %s\n", n, name)
	if r.State == windows.StateUnknown {
		s.notef("page tables of this region are not in the dump: what stands here is the protection of the range")
	}
	return nil
}

func runAddress(ctx context.Context, s *Session, c *Call) error {
	if c.Args.Done() || strings.HasPrefix(c.Peek(), "-") {
		if w := strings.ToLower(c.Word()); w != "" && w != "-summary" {
			return Failf("!address: unknown option %s", w)
		}
		return s.addressSummary(ctx)
	}
	va, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	if va >= userLimit {
		return s.kernelAddress(ctx, va)
	}
	if err := s.needTables(); err != nil {
		return err
	}
	p, v, ok, err := s.contextVAD(va)
	if err != nil {
		return err
	}
	if !ok {
		return s.freeAddress(ctx, p, va)
	}
	return s.userAddress(ctx, p, v, va)
}

func (s *Session) addressRow(name, value string) {
	s.printf("%s\n", strings.TrimRight(fmt.Sprintf("%-24s%s", name+":", value), " "))
}

func (s *Session) addressBounds(base, size uint64) {
	s.addressRow("Base Address", format.Addr(base))
	end := base + size
	if end == 0 { // the last region ends with the addresses
		end--
	}
	s.addressRow("End Address", format.Addr(end))
}

// kernelAddress tells the module, stack or region that a kernel address is of.
func (s *Session) kernelAddress(ctx context.Context, va uint64) error {
	use, useErr := s.sys.KernelUse(va)
	if m := s.moduleSet(ctx).Find(va); m != nil {
		if m == s.sys.Nt() && use.Name == windows.UnusedVA {
			use.Name = "BootLoaded" // which the kernel always is
		}
		s.kernelRegion("Module", m.Base, m.Size, use, useErr)
		s.addressRow("Module name", visible(m.ImageName))
		s.addressRow("Module path", "["+visible(m.Path)+"]")
		return nil
	}
	if t, limit, top, ok := s.kernelStackAt(ctx, va); ok {
		s.kernelRegion("Stack", limit, top-limit, use, useErr)
		s.addressRow("Thread", format.Addr(t.Addr()))
		return nil
	}
	if useErr != nil {
		s.notef("%v", useErr)
		return Failf("Unable to find what %s is used for", format.Addr(va))
	}
	name := use.Name
	if name == windows.UnusedVA {
		if _, err := memory.ReadUint(s.sys.Kernel(), va, 1); err == nil {
			name = "<unknown>"
			s.notef("the kernel's table of its addresses says that these are not used, but memory is mapped there")
		}
	}
	s.kernelRegion(name, use.Base, use.Size, use, nil)
	return nil
}

func (s *Session) kernelRegion(usage string, base, size uint64, use windows.SystemRegion, err error) {
	s.addressRow("Usage", usage)
	s.addressBounds(base, size)
	s.addressRow("Region Size", format.Addr(size))
	switch {
	case err != nil:
		s.notef("%v", err)
	case use.Name != windows.UnusedVA:
		s.addressRow("VA Type", use.Name)
	}
}

// kernelStackAt finds the thread whose kernel stack an address is in.
func (s *Session) kernelStackAt(ctx context.Context, va uint64) (t windows.Thread, limit, base uint64, ok bool) {
	for p, err := range s.sys.Processes(ctx) {
		if err != nil {
			break
		}
		for t, err := range p.Threads(ctx) {
			if err != nil {
				break
			}
			if limit, base, err := t.StackBounds(); err == nil && limit <= va && va < base {
				return t, limit, base, true
			}
		}
	}
	return t, 0, 0, false
}

func (s *Session) freeAddress(ctx context.Context, p windows.Process, va uint64) error {
	before, after := uint64(0), uint64(userLimit)
	for v, err := range p.VADs(ctx) {
		switch {
		case err != nil:
			s.notef("%v", err)
		case v.End < va:
			before = max(before, v.End+1)
		case v.Start > va:
			after = min(after, v.Start)
		}
	}
	s.printf("\n")
	s.addressRow("Usage", "Free")
	s.addressBounds(before, after-before)
	s.addressRow("Region Size", regionSize(after-before))
	s.addressRow("State", fmt.Sprintf("%08x          MEM_FREE", memFree))
	s.addressRow("Protect", "00000001          PAGE_NOACCESS")
	s.addressRow("Type", "<info not present at the target>")
	return ctx.Err()
}

// regionSize writes a size as number and in words.
func regionSize(n uint64) string {
	text, unit := float64(n), 0
	for ; text >= 1024 && unit < 4; unit++ {
		text /= 1024
	}
	return fmt.Sprintf("%s (%8.3f %s)", format.Addr(n), text, [...]string{"B ", "kB", "MB", "GB", "TB"}[unit])
}

func (s *Session) userAddress(ctx context.Context, p windows.Process, v windows.VAD, va uint64) error {
	r, err := v.RegionAt(ctx, va)
	if err != nil {
		return err
	}
	use := s.addressUses(ctx, p).of(v, va)
	s.printf("\n")
	s.addressRow("Usage", use.name)
	s.addressBounds(r.Base, r.Size)
	s.addressRow("Region Size", regionSize(r.Size))
	n, word := stateWord(r.State)
	s.addressRow("State", fmt.Sprintf("%08x          %s", n, word))
	if r.State != windows.StateReserved {
		s.addressRow("Protect", fmt.Sprintf("%08x          %s", r.Protection.Flags(), pageRightsText(r.Protection.Flags(), "|")))
	} else {
		s.addressRow("Protect", "<info not present at the target>")
	}
	n, word = typeWord(v)
	s.addressRow("Type", fmt.Sprintf("%08x          %s", n, word))
	s.addressRow("Allocation Base", format.Addr(v.Start))
	if protection, err := v.Protection(); err == nil {
		s.addressRow("Allocation Protect", fmt.Sprintf("%08x          %s", protection.Flags(), pageRightsText(protection.Flags(), "|")))
	}
	file, err := v.File()
	if err != nil {
		s.notef("%v", err)
	}
	switch {
	case v.Image():
		s.addressRow("Image Path", visible(file))
		if m := p.Modules(ctx).Find(v.Start); m != nil {
			s.addressRow("Module Name", visible(m.Name))
			s.addressRow("Loaded Image Name", "")
			s.addressRow("Mapped Image Name", "")
			s.addressRow("More info", "lmv m "+visible(m.Name))
			s.addressRow("More info", "!lmi "+visible(m.Name))
			s.addressRow("More info", fmt.Sprintf("ln %#x", va))
			s.addressRow("More info", fmt.Sprintf("!dh %#x", m.Base))
		}
	case file != "":
		s.addressRow("Mapped file name", visible(file))
	}
	for _, text := range use.more {
		s.addressRow("More info", text)
	}
	s.printf("\n\n")
	s.addressContent(p, r, va)
	return nil
}

// addressContent says whether the dump has the page.
func (s *Session) addressContent(p windows.Process, r windows.Region, va uint64) {
	if r.State != windows.StateCommitted {
		return
	}
	space, err := p.Space()
	if err != nil {
		return
	}
	if _, err := memory.ReadUint(space, va, 1); err != nil {
		s.notef("%v", err)
	}
}
