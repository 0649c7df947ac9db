package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kdap/engine/arch/amd64"
	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

func translationCommands() []*Command {
	return []*Command{
		{Names: []string{"!pte"}, Args: "Address | PTE | Address 1 | Start End", Short: "entries of the page tables that lead to an address", Run: runPTE},
		{Names: []string{"!pte2va"}, Args: "PTE", Short: "the address that an entry of the page tables maps", Run: runPTE2VA},
		{Names: []string{"!vtop"}, Args: "DirBase|0 Address", Short: "physical address of a virtual one, step by step", Run: runVtop},
		{Names: []string{"!ptov"}, Args: "DirBase [PhysicalAddress]", Short: "virtual addresses of physical pages", Run: runPtov},
		{Names: []string{"!searchpte"}, Args: "PFN", Short: "entries of all page tables that lead to a page", Run: runSearchPTE},
		{Names: []string{"!pfn"}, Args: "PFN", Short: "entry of a page in the PFN database", Run: runPFN},
		{Names: []string{"!vad"}, Args: "[Root|Address [1]]", Short: "address ranges of a process", Run: runVAD},
		{Names: []string{"!vprot"}, Args: "Address", Short: "protection of the memory at an address of the process", Run: runVprot},
		{Names: []string{"!address"}, Args: "[Address | -summary]", Short: "what an address belongs to", Run: runAddress},
		{Names: []string{".cache", "!cache"}, Args: "[Size | flushall | flushu | flush Address | …]", Short: "the memory cache of the debugger", Run: runCache},
	}
}

// errNoTables is what commands about page tables say of dumps without any.
func (s *Session) needTables() error {
	if !s.sys.Paged() {
		return Failf("This dump has no page tables: addresses cannot be translated.")
	}
	return nil
}

// tables returns the page tables of the context.
func (s *Session) tables() (*memory.AddressSpace, error) {
	if err := s.needTables(); err != nil {
		return nil, err
	}
	if space, ok := s.space().(*memory.AddressSpace); ok {
		return space, nil
	}
	return s.sys.SpaceOf(s.sys.DTB()), nil
}

// literalMark is the second argument of !pte that makes the first the address
// of an entry: any number that is no address.
const literalMark = 0x10000

func runPTE(ctx context.Context, s *Session, c *Call) error {
	space, err := s.tables()
	if err != nil {
		return err
	}
	va, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	first, last := va, va
	if !c.Args.Done() {
		second, err := s.extensionNumber(c)
		switch {
		case err != nil:
			return err
		case second > va:
			last = second
		case second < literalMark:
			return s.literalPTE(space, va)
		}
	}
	if mapped, ok := s.sys.PTEAddress(va); ok && first == last {
		first, last = mapped, mapped
	}
	for at := first; ; at += memory.PageSize {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.showPTE(space, at); err != nil {
			return err
		}
		if last-at < memory.PageSize {
			return nil
		}
	}
}

// A pteColumn is what !pte shows of one level.
type pteColumn struct {
	head, contains string
	details        []string
}

const pteColumnWidth = 27

// entryNames are the debugger's names of entries by level.
var entryNames = [...]string{"PTE", "PDE", "PPE", "PXE", "P5E"}

func (s *Session) showPTE(space *memory.AddressSpace, va uint64) error {
	way, err := s.sys.PTEWay(space, va)
	var failed *memory.ReadError
	if errors.As(err, &failed) && failed.Kind == memory.NonCanonical {
		return Failf("%016x is not a canonical address", va)
	}
	var columns []pteColumn
	for level := s.sys.TableLevels() - 1; level >= 0; level-- {
		columns = append(columns, pteColumn{head: fmt.Sprintf("%s at %016X", entryNames[level], s.sys.EntryAddress(va, level))})
	}
	for i, e := range way {
		columns[i].contains = fmt.Sprintf("contains %016X", e.Value)
		columns[i].details = pteDetails(e.PTE)
		if e.Kind != windows.PTEValid {
			break
		}
		if e.Large {
			last := len(columns) - 1
			page := e.PFN + va>>memory.PageShift&(1<<(9*e.Level)-1)
			columns[i].details = []string{pteFrameText(e.PFN, e.Value)}
			columns[last].contains = fmt.Sprintf("contains %016X", 0)
			columns[last].details = []string{fmt.Sprintf("LARGE PAGE pfn %-10x", page)}
		}
	}
	s.printf("%43sVA %016x\n", "", va)
	s.printColumns(columns)
	s.notePTE(space, va, way, err)
	return nil
}

// pteDetails are the lines below an entry's value.
func pteDetails(e windows.PTE) []string {
	if e.Kind == windows.PTEValid {
		return []string{pteFrameText(e.PFN, e.Value)}
	}
	d := []string{"not valid"}
	protect := fmt.Sprintf(" Protect: %x - %s", uint8(e.Protection), protectName(e.Protection))
	switch e.Kind {
	case windows.PTETransition:
		if e.PFN == 0 {
			return append(d, " Page has been freed")
		}
		return append(d, fmt.Sprintf(" Transition: %x", e.PFN), protect)
	case windows.PTEPageFile:
		return append(d, fmt.Sprintf(" PageFile: %2x", e.PageFile), fmt.Sprintf(" Offset: %x", e.Offset), protect)
	case windows.PTEDemandZero:
		return append(d, " DemandZero", protect)
	case windows.PTEPrototype:
		return append(d, fmt.Sprintf(" Proto: %016X", e.Proto), protect)
	case windows.PTEVADPrototype:
		return append(d, " Proto: VAD", protect)
	}
	return d
}

// pteFlags are the letters of a valid entry, each with the bit that shows it.
var pteFlags = [...]struct {
	bit     uint
	on, off byte
}{
	{9, 'C', '-'},
	{8, 'G', '-'},
	{7, 'L', '-'},
	{6, 'D', '-'},
	{5, 'A', '-'},
	{4, 'N', '-'},
	{3, 'T', '-'},
	{2, 'U', 'K'},
	{1, 'W', 'R'},
	{63, '-', 'E'},
	{0, 'V', '-'},
}

func pteFrameText(pfn, value uint64) string {
	var flags [len(pteFlags)]byte
	for i, f := range pteFlags {
		flags[i] = f.off
		if value>>f.bit&1 != 0 {
			flags[i] = f.on
		}
	}
	return fmt.Sprintf("pfn %-10x%s", pfn, flags[:])
}

// protectNames are the debugger's words for the rights of entries that are not
// valid.
var protectNames = [8]string{"NoAccess", "ReadOnly", "Execute", "ExecuteRead", "ReadWrite", "WriteCopy", "ExecuteReadWrite", "ExecuteWriteCopy"}

func protectName(p windows.PageProtection) string {
	name := protectNames[p&7]
	switch p >> 3 & 3 {
	case 1:
		name += " NoCache"
	case 2:
		name += " Guard"
	case 3:
		name += " WriteCombine"
	}
	if p == 0 {
		name = "Access unspecified"
	}
	return name
}

func (s *Session) printColumns(columns []pteColumn) {
	row := func(cell func(pteColumn) string) {
		var b strings.Builder
		for _, c := range columns {
			text := cell(c)
			if text == "" {
				continue
			}
			b.WriteString(text)
			if pad := pteColumnWidth - len(text); pad > 0 {
				b.WriteString(strings.Repeat(" ", pad))
			}
		}
		if text := b.String(); text != "" {
			s.printf("%s\n", strings.TrimRight(text, " "))
		}
	}
	row(func(c pteColumn) string { return c.head })
	row(func(c pteColumn) string { return c.contains })
	lines := 0
	for _, c := range columns {
		lines = max(lines, len(c.details))
	}
	for i := range lines {
		var b strings.Builder
		for _, c := range columns {
			text := ""
			if i < len(c.details) {
				text = c.details[i]
			}
			fmt.Fprintf(&b, "%-*s", pteColumnWidth, text)
		}
		s.printf("%s\n", trimColumns(b.String()))
	}
	s.printf("\n")
}

// trimColumns takes off the blanks behind the last column but leaves those that
// belong to the number of a large page.
func trimColumns(line string) string {
	const mark = "LARGE PAGE pfn "
	trimmed := strings.TrimRight(line, " ")
	if i := strings.Index(trimmed, mark); i >= 0 {
		return fmt.Sprintf("%-*s", i+len(mark)+10, trimmed)
	}
	return trimmed
}

// notePTE tells what became of the page where the entries alone do not.
func (s *Session) notePTE(space *memory.AddressSpace, va uint64, way []windows.PTELevel, err error) {
	if len(way) > 0 && way[len(way)-1].Kind == windows.PTEValid && err == nil {
		return
	}
	if err != nil {
		s.notef("%v", err)
		return
	}
	if t, err := space.Translate(va); err == nil {
		s.notef("the page is in memory: physical address %#x (%v)", t.PA, t.State)
	}
}

// literalPTE shows the number at an address as an entry of a page table.
func (s *Session) literalPTE(space *memory.AddressSpace, addr uint64) error {
	value, err := memory.ReadUint(space, addr, 8)
	if err != nil {
		s.notef("%v", err)
		return Failf("Unable to read PTE at %016X", addr)
	}
	s.printf("%43sVA %016x\n", "", addr)
	s.printColumns([]pteColumn{{
		head: fmt.Sprintf("PTE at %016X", addr), contains: fmt.Sprintf("contains %016X", value), details: pteDetails(s.sys.DecodePTE(value, 0)),
	}})
	return nil
}

func runPTE2VA(_ context.Context, s *Session, c *Call) error {
	if err := s.needTables(); err != nil {
		return err
	}
	pte, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	va, ok := s.sys.PTEAddress(pte)
	if !ok {
		base, err := s.sys.PteBase()
		if err != nil {
			return s.unable("Unable to get the address of the page tables", err)
		}
		s.notef("page tables are at %s", format.Addr(base))
		return Failf("%016x is not the address of a PTE", pte)
	}
	s.printf("%016x\n", va)
	return nil
}

// directoryArgument reads the page tables that !vtop and !ptov are about: 0 for
// those of the context, their address with or without bits of CR3, or its frame
// number. What the number is, the processes' own tables tell.
func (s *Session) directoryArgument(ctx context.Context, c *Call) (uint64, error) {
	v, err := s.extensionNumber(c)
	if err != nil {
		return 0, err
	}
	clean := amd64.CleanDTB(v)
	if v == 0 {
		space, err := s.tables()
		if err != nil {
			return 0, err
		}
		return space.DTB(), nil
	}
	frame := v << memory.PageShift
	if s.sys.DTB() == clean {
		return clean, nil
	}
	isFrame := s.sys.DTB() == frame
	for p, err := range s.sys.Processes(ctx) {
		if err != nil {
			break
		}
		dtb, err := p.DTB()
		switch {
		case err != nil:
		case amd64.CleanDTB(dtb) == clean:
			return clean, nil
		case amd64.CleanDTB(dtb) == frame:
			isFrame = true
		}
	}
	if isFrame || clean == 0 {
		return frame, nil
	}
	return clean, nil
}

// vtopNames are the names of entries in !vtop.
var vtopNames = [...]string{"PTE", "PDE", "PDPE", "PML4E", "PML5E"}

// noTranslation is what !vtop says of addresses that it cannot translate: the
// status for memory that no page file has.
const noTranslation = 0xD0000147

func runVtop(ctx context.Context, s *Session, c *Call) error {
	if err := s.needTables(); err != nil {
		return err
	}
	dtb, err := s.directoryArgument(ctx, c)
	if err != nil {
		return err
	}
	va, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	s.printf("Amd64VtoP: Virt %016x, pagedir %016x\n", va, dtb)
	pa, ok := s.walkVtop(s.sys.SpaceOf(dtb), va)
	if !ok {
		s.printf("Virtual address %x translation fails, error 0x%X.\n", va, uint32(noTranslation))
		return nil
	}
	s.printf("Virtual address %x translates to physical address %x.\n", va, pa)
	return nil
}

func (s *Session) walkVtop(space *memory.AddressSpace, va uint64) (pa uint64, ok bool) {
	way, err := s.sys.PTEWay(space, va)
	for _, e := range way {
		name := vtopNames[e.Level]
		s.printf("Amd64VtoP: %s %016x\n", name, e.Phys)
		switch {
		case e.Kind == windows.PTEValid && e.Large:
			size := uint64(1) << (memory.PageShift + 9*e.Level)
			pa = e.PFN<<memory.PageShift&^(size-1) | va&(size-1)
			s.printf("Amd64VtoP: Large page mapped phys %016x\n", pa)
			return pa, true
		case e.Kind == windows.PTEValid && e.Level == 0:
			pa = e.PFN<<memory.PageShift | va%memory.PageSize
			s.printf("Amd64VtoP: Mapped phys %016x\n", pa)
			return pa, true
		case e.Kind == windows.PTEValid:
			continue
		case e.Kind == windows.PTEZero && e.Level > 0:
			s.printf("Amd64VtoP: zero %s\n", name)
		case e.Kind == windows.PTETransition:
			s.printf("Amd64VtoP: %s not present, transition\n", name)
			s.notef("the page is still in memory: physical address %#x", e.PFN<<memory.PageShift|va%memory.PageSize)
		case e.Kind == windows.PTEPrototype || e.Kind == windows.PTEVADPrototype:
			s.printf("Amd64VtoP: %s not present, prototype\n", name)
		default:
			s.printf("Amd64VtoP: %s not present, pagefile %x:%x\n", name, e.PageFile, e.Offset)
		}
		if err != nil {
			s.notef("%v", err)
		}
		return 0, false
	}
	if err != nil {
		s.notef("%v", err)
	}
	return 0, false
}

func runPtov(ctx context.Context, s *Session, c *Call) error {
	if err := s.needTables(); err != nil {
		return err
	}
	dtb, err := s.directoryArgument(ctx, c)
	if err != nil {
		return err
	}
	wanted, one := uint64(0), !c.Args.Done()
	if one {
		if wanted, err = s.extensionNumber(c); err != nil {
			return err
		}
	}
	s.printf("Amd64PtoV: pagedir %x\n", dtb)
	for t, err := range s.sys.SpaceOf(dtb).Mapped(ctx, 0, ^uint64(0)) {
		if err != nil {
			return err
		}
		if t.State != memory.Valid || t.Flags&memory.ByPrototype != 0 {
			continue
		}
		pa, va := t.PA&^(t.PageSize-1), t.VA&^(t.PageSize-1)
		if one {
			if wanted-pa >= t.PageSize {
				continue
			}
			pa, va = wanted, va+(wanted-pa)
		}
		s.printf("%s %s\n", physicalAddr(pa), physicalAddr(va))
	}
	return ctx.Err()
}

func runSearchPTE(ctx context.Context, s *Session, c *Call) error {
	if err := s.needTables(); err != nil {
		return err
	}
	pfn, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	s.printf("Searching for PTE containing PFN %x\n", pfn)
	found := 0
	err = s.sys.SearchPTEs(ctx, pfn, func(h windows.PTEHit) bool {
		found++
		owner := ""
		if h.Process.Addr() != 0 {
			name, _ := h.Process.ImageName()
			owner = fmt.Sprintf("  process %016x %s", h.Process.Addr(), visible(name))
		}
		s.printf("%s at %016X contains %016X  VA %016x%s\n", entryNames[h.Level], h.VA, h.Value, h.Mapped, owner)
		return true
	})
	if err == nil && found == 0 {
		s.notef("no page table of the kernel or of a process leads to page %#x", pfn)
	}
	return err
}
