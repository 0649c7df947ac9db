package command

import (
	"context"
	"errors"

	"kdap/engine/windows"
)

// pageStates are the debugger's words for the lists that pages are on.
var pageStates = [...]string{"Zeroed", "Free", "Standby", "Modified", "ModNoWrite", "Bad", "Active", "Transition"}

// cacheAttributes are its words for how a page is cached (_MI_PFN_CACHE_ATTRIBUTE).
var cacheAttributes = [...]string{"NonCached", "Cached", "WriteComb", "NotMapped"}

func runPFN(_ context.Context, s *Session, c *Call) error {
	number, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	db, err := s.sys.PFNDatabase()
	if err != nil {
		return s.unable("Unable to read the PFN database", err)
	}
	p, err := db.Entry(number)
	switch {
	case errors.Is(err, windows.ErrNoPFN):
		return Failf("%X is not in the PFN database range", number)
	case err != nil:
		s.notef("%v", err)
		return Failf("unable to get PFN element at %016X", p.Addr)
	}
	if runs, err := s.sys.PhysicalRuns(); err == nil && !inRuns(runs, number) {
		s.notef("the machine has no page %#x", number)
	}
	s.printf("    PFN %08X at address %016X\n", p.Number, p.Addr)
	s.printf("    flink       %08X  blink / share count %08X  pteaddress %016X\n", p.Flink, p.ShareCount, p.PteAddress)
	s.printf("    reference count %04X    used entry count  %04X      %-9s color 0   Priority %X\n",
		p.ReferenceCount, p.UsedEntries, cacheAttributes[p.CacheAttribute&3], p.Priority)
	s.printf("    restore pte %08X  containing page %08X  %-10s %s\n", p.OriginalPte, p.PteFrame, pageStates[p.Location&7], pageLetters(p))
	s.printf("    %-9s%-7s%-6s\n", wordIf(p.Modified, "Modified"), wordIf(p.Prototype, "Shared"), wordIf(p.ParityError, "Parity"))
	return nil
}

func inRuns(runs []windows.PageRun, pfn uint64) bool {
	for _, r := range runs {
		if pfn-r.First < r.Count {
			return true
		}
	}
	return false
}

func wordIf(yes bool, word string) string { return either(yes, word, "") }

// pageLetters are the flags of an entry: modified, prototype, read and write in
// progress, error, removal, read-only memory.
func pageLetters(p windows.PFN) string {
	b := []byte("        ")
	for i, f := range []struct {
		on     bool
		letter byte
	}{
		{p.Modified, 'M'},
		{p.Prototype, 'P'},
		{p.ReadInProgress, 'R'},
		{p.WriteInProgress, 'W'},
		{p.InPageError, 'E'},
		{p.ParityError, 'X'},
		{p.RemovalRequested, 'Y'},
		{p.Rom, 'r'},
	} {
		if f.on {
			b[i] = f.letter
		}
	}
	return string(b)
}
