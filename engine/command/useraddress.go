package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/dump"
	"kdap/engine/format"
)

// userRegionCommands are those of a kernel dump's VADs, told from the list of
// regions that a user minidump may have.
func userRegionCommands() []*Command {
	return []*Command{
		{Names: []string{"!vprot"}, Args: "[Address]", Short: "protection of the memory at an address", Run: runUserVprot},
		{Names: []string{"!address"}, Args: "Address", Short: "what an address belongs to", Run: runUserAddress},
	}
}

// Names of winnt.h's constants.
var (
	memoryStates = map[uint32]string{memCommit: "MEM_COMMIT", memReserve: "MEM_RESERVE", memFree: "MEM_FREE"}
	memoryTypes  = map[uint32]string{memPrivate: "MEM_PRIVATE", memMapped: "MEM_MAPPED", memImage: "MEM_IMAGE"}
	pageRights   = []struct {
		flag uint32
		name string
	}{
		{0x01, "PAGE_NOACCESS"},
		{0x02, "PAGE_READONLY"},
		{0x04, "PAGE_READWRITE"},
		{0x08, "PAGE_WRITECOPY"},
		{0x10, "PAGE_EXECUTE"},
		{0x20, "PAGE_EXECUTE_READ"},
		{0x40, "PAGE_EXECUTE_READWRITE"},
		{0x80, "PAGE_EXECUTE_WRITECOPY"},
		{0x100, "PAGE_GUARD"},
		{0x200, "PAGE_NOCACHE"},
		{0x400, "PAGE_WRITECOMBINE"},
	}
)

func pageRightsText(flags uint32, sep string) string {
	var names []string
	for _, r := range pageRights {
		if flags&r.flag != 0 {
			names = append(names, r.name)
		}
	}
	return strings.Join(names, sep)
}

// userRegion reads the address argument and finds its region.
func (s *Session) userRegion(c *Call) (va uint64, region *dump.UserRegion, err error) {
	if c.Args.Done() {
		regs, err := s.frameRegs()
		if err != nil {
			return 0, nil, err
		}
		va = regs.ProgramCounter()
	} else if va, err = s.extensionNumber(c); err != nil {
		return 0, nil, err
	}
	regions := s.sys.User().File().Regions
	if len(regions) == 0 {
		s.notef("this minidump has no list of regions")
	}
	for i := range regions {
		if r := &regions[i]; va-r.Base < r.Size {
			return va, r, nil
		}
	}
	return va, nil, nil
}

func runUserVprot(_ context.Context, s *Session, c *Call) error {
	va, r, err := s.userRegion(c)
	switch {
	case err != nil:
		return err
	case r == nil:
		return Failf("!vprot: No containing memory region found.")
	}
	base := va &^ 0xfff
	s.printf("BaseAddress:       %016x\n", base)
	s.printf("AllocationBase:    %016x\n", r.AllocationBase)
	if r.AllocationProtect != 0 {
		s.printf("AllocationProtect: %08x  %s\n", r.AllocationProtect, pageRightsText(r.AllocationProtect, " + "))
	}
	s.printf("RegionSize:        %016x\n", r.Base+r.Size-base)
	s.printf("State:             %08x  %s\n", r.State, memoryStates[r.State])
	if r.Protect != 0 {
		s.printf("Protect:           %08x  %s\n", r.Protect, pageRightsText(r.Protect, " + "))
	}
	if r.Type != 0 {
		s.printf("Type:              %08x  %s\n", r.Type, memoryTypes[r.Type])
	}
	return nil
}

func runUserAddress(ctx context.Context, s *Session, c *Call) error {
	va, r, err := s.userRegion(c)
	switch {
	case err != nil:
		return err
	case r == nil:
		return Failf("No region of the dump holds %s", format.Addr(va))
	}
	use := "<unknown>"
	module := s.moduleSet(ctx).Find(va)
	switch {
	case r.State == memFree:
		use = "Free"
	case module != nil:
		use = "Image"
	case s.onUserStack(r):
		use = "Stack"
	}
	s.printf("\n")
	s.addressRow("Usage", use)
	s.addressBounds(r.Base, r.Size)
	s.addressRow("Region Size", regionSize(r.Size))
	s.addressRow("State", fmt.Sprintf("%08x          %s", r.State, memoryStates[r.State]))
	for _, w := range []struct {
		name  string
		value uint32
		text  string
	}{{"Protect", r.Protect, pageRightsText(r.Protect, "|")}, {"Type", r.Type, memoryTypes[r.Type]}} {
		if w.value == 0 {
			s.addressRow(w.name, "<info not present at the target>")
		} else {
			s.addressRow(w.name, fmt.Sprintf("%08x          %s", w.value, w.text))
		}
	}
	if r.State != memFree {
		s.addressRow("Allocation Base", format.Addr(r.AllocationBase))
		s.addressRow("Allocation Protect", fmt.Sprintf("%08x          %s", r.AllocationProtect, pageRightsText(r.AllocationProtect, "|")))
	}
	if module != nil {
		s.addressRow("Image Path", visible(module.Path))
		s.addressRow("Module Name", visible(module.Name))
		s.addressRow("More info", "lmv m "+visible(module.Name))
		s.addressRow("More info", "!lmi "+visible(module.Name))
		s.addressRow("More info", fmt.Sprintf("ln %#x", va))
		s.addressRow("More info", fmt.Sprintf("!dh %#x", module.Base))
	}
	s.printf("\n\n")
	return nil
}

// onUserStack reports whether a region holds the stack of a thread.
func (s *Session) onUserStack(r *dump.UserRegion) bool {
	for _, t := range s.sys.User().File().Threads {
		if t.Stack.VA-r.Base < r.Size {
			return true
		}
	}
	return false
}
