package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kdap/engine/windows"
)

func memoryUseCommands() []*Command {
	return []*Command{
		{Names: []string{"!vm"}, Args: "[Flags]", Short: "figures of the memory manager, processes by commit", Run: runVM},
		{Names: []string{"!memusage"}, Args: "[Flags]", Short: "physical memory by page list, by file and by process", Run: runMemusage},
	}
}

// Flags of !vm.
const (
	vmNoProcesses = 0x1
	vmSessions    = 0x4
	vmRegions     = 0x20
	vmStacks      = 0x2 | 0x10 // stacks of the memory manager's threads
	vmLog         = 0x8        // of writes to the page files
)

func runVM(ctx context.Context, s *Session, c *Call) error {
	flags, err := s.extensionNumberOr(c, 0)
	if err != nil {
		return err
	}
	if flags&vmRegions != 0 {
		return s.showRegions()
	}
	vm := s.sys.VirtualMemory(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(vm.Counters) == 0 {
		for _, err := range vm.Errs {
			s.notef("%v", err)
		}
		return Failf("Unable to read the memory manager's counters.")
	}
	for _, f := range vm.PagingFiles {
		s.showPagingFile(f)
	}
	s.printf("\n")
	for _, v := range vm.Counters {
		if v.Err != nil {
			s.notef("%s: %v", v.Name, v.Err)
			continue
		}
		s.printf("%s%*d (%11d Kb)\n", v.Name+":", counterWidth-len(v.Name)-1, v.Pages, v.Pages*4)
		if v.Name == "Free System PTEs" {
			s.showFailures(vm)
		}
	}
	for _, err := range vm.Errs {
		s.notef("%v", err)
	}
	if flags&(vmStacks|vmLog) != 0 {
		s.notef("!vm shows no stacks of the memory manager and no log of writes; !stacks shows all threads")
	}
	if flags&vmSessions != 0 {
		s.showSessionUse(vm.Sessions)
	}
	if flags&vmNoProcesses != 0 {
		return nil
	}
	s.printf("\n  Pid ImageName                        Commit   SharedCommit        Debt\n\n")
	for _, p := range vm.Processes {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.printf(" %4x %-26s %10d Kb %11d Kb %8d Kb\n", p.PID, visible(p.Name), p.Commit*4, p.Shared*4, p.Debt*4)
	}
	return nil
}

// showSessionUse tells what each session is charged for.
func (s *Session) showSessionUse(sessions []windows.SessionCommit) {
	s.printf("\nTerminal Server Memory Usage By Session:\n\n")
	for _, v := range sessions {
		s.printf("Session ID %d @ %016x:\n", v.ID, v.Addr)
		if v.HasPaged {
			s.printf("Paged Pool Usage: %12d Kb\n", v.Paged*4)
		}
		s.printf("Commit Usage:     %12d Kb\n\n", v.Commit*4)
	}
}

// counterWidth is the column that the numbers of !vm end in.
const counterWidth = 33

func (s *Session) showPagingFile(f windows.PagingFile) {
	if f.Name == "" {
		s.printf("No Name for Paging File\n")
	} else {
		s.printf("Page File: %s\n", visible(f.Name))
	}
	if f.Err != nil {
		s.notef("paging file %#x: %v", f.Addr, f.Err)
	}
	s.printf("  Current: %9d Kb  Free Space: %9d Kb\n", f.Size*4, f.Free*4)
	s.printf("  Minimum: %9d Kb  Maximum:    %9d Kb\n", f.Minimum*4, f.Maximum*4)
}

// showFailures tells of kernel stacks that could not be made.
func (s *Session) showFailures(vm windows.VirtualMemory) {
	for _, f := range []struct {
		n    uint64
		what string
	}{{vm.StackPteFailures, "kernel stack PTE allocations"}, {vm.StackGrowthFailures, "kernel stack growth attempts"}} {
		if f.n != 0 {
			s.printf("\n******* %d %s have failed ******\n\n", f.n, f.what)
		}
	}
}

// showRegions lists the regions that the kernel's addresses are divided into.
func (s *Session) showRegions() error {
	regions, err := s.sys.SystemRegions()
	if err != nil && len(regions) == 0 {
		return s.unable("Unable to read the system's regions", err)
	}
	s.printf("System Region               Base Address    NumberOfBytes\n\n")
	for _, r := range regions {
		s.printf("%-22s: %18x %16x\n", r.Name, r.Base, r.Size)
	}
	if err != nil {
		s.notef("%v", err)
	}
	return nil
}

// Flags of !memusage.
const (
	memusageNoWrite        = 0x1
	memusageNoWriteDetails = 0x2
	memusageSummary        = 0x8
)

// progressEvery is how often a long walk is told about.
const progressEvery = time.Second

func runMemusage(ctx context.Context, s *Session, c *Call) error {
	flags, err := s.extensionNumberOr(c, 0)
	if err != nil {
		return err
	}
	db, err := s.sys.PFNDatabase()
	if err != nil {
		return s.unable("Unable to read the PFN database", err)
	}
	s.printf("loading PFN database\n")
	count, err := db.Count(ctx, s.progressNotes("loading PFN database"))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && count.Total() == 0 {
		return s.unable("Unable to read the PFN database", err)
	}
	s.printf("loading (100%% complete)\nCompiling memory usage data (99%% Complete).\n")
	if err != nil {
		s.notef("%v", err)
	}
	if flags&(memusageNoWrite|memusageNoWriteDetails) != 0 {
		s.printf(" ModifiedNoWrite: %8d (%8d kb)\n", count.ModifiedNoWrite, count.ModifiedNoWrite*4)
		if flags&memusageNoWriteDetails == 0 {
			return nil
		}
		return s.showUsage(ctx, db, func(p windows.PageLocation) bool { return p == windows.PageModifiedNoWrite })
	}
	s.showPageCount(count)
	if flags&memusageSummary != 0 {
		return nil
	}
	return s.showUsage(ctx, db, nil)
}

// progressNotes tells from time to time how far a walk has come.
func (s *Session) progressNotes(what string) func(done, total uint64) {
	last := time.Now()
	return func(done, total uint64) {
		if now := time.Now(); total > 0 && now.Sub(last) >= progressEvery {
			last = now
			s.notef("%s: %d%%", what, done*100/total)
		}
	}
}

func (s *Session) showPageCount(c windows.PageCount) {
	line := func(name string, n uint64) { s.printf("%16s: %8d (%8d kb)\n", name, n, n*4) }
	line("Zeroed", c.Zeroed)
	line("Free", c.Free)
	line("Standby", c.Standby)
	line("Modified", c.Modified)
	line("ModifiedNoWrite", c.ModifiedNoWrite)
	line("Active/Valid", c.Active)
	line("Transition", c.Transition)
	line("SLIST/Temp", c.SlistTemp)
	line("Bad", c.Bad)
	line("Unknown", c.Unknown)
	line("TOTAL", c.Total())
	s.printf("\n")
	s.printf("Dangling Yes Commit: %8d (%8d kb)\n", c.DanglingCommit, c.DanglingCommit*4)
	s.printf(" Dangling No Commit: %8d (%8d kb)\n", c.DanglingNoCommit, c.DanglingNoCommit*4)
}

// showUsage prints what the pages belong to.
func (s *Session) showUsage(ctx context.Context, db *windows.PFNDatabase, keep func(windows.PageLocation) bool) error {
	s.printf("  Building kernel map\n")
	owners, err := s.sys.PageOwners(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.notef("%v", err)
	}
	s.printf("  Finished building kernel map\n\n")
	uses, err := db.Usage(ctx, owners, keep, s.progressNotes("scanning PFN database"))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.notef("%v", err)
	}
	s.printf("Scanning PFN database - (100%% complete) \n\n\n  Usage Summary (in Kb):\n")
	s.printf("Control       Valid Standby Dirty Shared Locked PageTables  name\n")
	for _, u := range uses {
		if u.ControlArea != 0 {
			s.printf("%016x %5d %6d %5d %5d %5d %5d  mapped_file( %s )\n", u.ControlArea,
				u.Valid*4, u.Standby*4, u.Dirty*4, u.Shared*4, u.Locked*4, u.PageTables*4, s.usageFile(u))
			continue
		}
		s.printf("-------- %6d %6d %5d ----- ----- %5d  %s\n", u.Valid*4, u.Standby*4, u.Dirty*4, u.PageTables*4, usageOwner(u))
	}
	return nil
}

func usageOwner(u windows.PageUse) string {
	if u.Process.Addr() == 0 {
		return u.Name
	}
	return fmt.Sprintf("process ( %s )", visible(u.Name))
}

// usageFile names the file of a control area as the debugger does: without its
// folders.
func (s *Session) usageFile(u windows.PageUse) string {
	if u.Err != nil {
		if o, ok := u.FileNameBuffer(); ok {
			return fmt.Sprintf("Can't read file name buffer at %016x", o)
		}
		s.notef("control area %#x: %v", u.ControlArea, u.Err)
		return "No name for file"
	}
	if u.Name == "" {
		return "No name for file"
	}
	return visible(u.Name[strings.LastIndexByte(u.Name, '\\')+1:])
}
