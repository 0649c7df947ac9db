package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/dump"
	"kdap/engine/format"
	"kdap/engine/memory"
)

// runDumpDebug prints the records of the dump file: the header, the table of
// its pages, and where the processors' blocks are.
func runDumpDebug(ctx context.Context, s *Session, _ *Call) error {
	d := s.target.Dump
	s.printf("----- 64 bit %s\n\nDUMP_HEADER64:\n", d.Type().AnalysisTitle())
	s.printHeader(d.Header)
	s.printf("\n")
	switch d.Type() {
	case dump.Triage:
		return s.printTriage(ctx)
	case dump.Full:
		s.printRuns(ctx)
	case dump.Summary:
		l := d.Layout()
		s.printf("SUMMARY_DUMP64:\n")
		s.printRow32("DumpOptions", l.DumpOptions)
		s.printRowHex("HeaderSize", l.FirstPage)
		s.printRowHex("BitmapSize", l.BitmapBits)
		s.printRowHex("Pages", l.Pages)
		s.printRow32("Bitmap.SizeOfBitMap", l.SizeOfBitMap)
	case dump.BitmapFull, dump.BitmapKernel:
		l := d.Layout()
		s.printf("BITMAP_DUMP:\n")
		s.printRow32("DumpOptions", l.DumpOptions)
		s.printRowHex("HeaderSize", l.FirstPage)
		s.printRowHex("BitmapSize", l.BitmapBits)
		s.printRowHex("Pages", l.Pages)
	case dump.RangeKernel, dump.RangeActive, dump.RangeFull:
		l := d.Layout()
		s.printf("RANGE_DUMP:\n")
		s.printRowHex("HeaderSize", l.FirstPage)
		s.printRowHex("DescriptorSize", l.MetadataSize)
		s.printf("\nPhysical Memory Range Description:\n")
		s.printRowHex("Pages", l.Pages)
		s.printRowHex("NumberOfRanges", uint64(l.Ranges))
		s.printTable(ctx)
	}
	s.printProcessorBlock()
	return nil
}

func (s *Session) printRow32(name string, v uint32)  { s.printf("%-20s%08x\n", name, v) }
func (s *Session) printRow64(name string, v uint64)  { s.printf("%-20s%s\n", name, format.Addr(v)) }
func (s *Session) printRowHex(name string, v uint64) { s.printf("%-20s%x\n", name, v) }

func (s *Session) printHeader(h *dump.Header) {
	s.printRow32("MajorVersion", h.MajorVersion)
	s.printRow32("MinorVersion", h.MinorVersion)
	s.printRow32("KdSecondaryVersion", uint32(h.KdSecondaryVersion))
	s.printRow64("DirectoryTableBase", h.DirectoryTableBase)
	s.printRow64("PfnDataBase", h.PfnDatabase)
	s.printRow64("PsLoadedModuleList", h.PsLoadedModuleList)
	s.printRow64("PsActiveProcessHead", h.PsActiveProcessHead)
	s.printRow32("MachineImageType", h.MachineImageType)
	s.printRow32("NumberProcessors", h.NumberProcessors)
	s.printRow32("BugCheckCode", h.BugCheckCode)
	for i, p := range h.BugCheckParameter {
		s.printRow64(fmt.Sprintf("BugCheckParameter%d", i+1), p)
	}
	if h.HasVersionUser() {
		s.printf("%-20s'%s'\n", "VersionUser", visible(h.VersionUserText()))
	}
	s.printRow64("KdDebuggerDataBlock", h.KdDebuggerDataBlock)
	s.printRow32("ProductType", h.ProductType)
	s.printRow32("SuiteMask", h.SuiteMask)
	s.printRow32("WriterStatus", h.WriterStatus)
	if h.HasAttributes() {
		s.printRow32("Attributes", h.Attributes)
	}
	if h.DumpType == dump.Triage {
		s.printf("%-20s%08x \n", "MiniDumpFields", h.MiniDumpFields)
	}
}

// maxHeaderRuns is how many runs the header has room for.
const maxHeaderRuns = 42

func (s *Session) printRuns(ctx context.Context) {
	n := s.target.Dump.Header.NumberOfRuns
	s.printf("Physical Memory Description:\nNumber of runs: %d (limited to %d)\n", n, min(n, maxHeaderRuns))
	s.printTable(ctx)
}

// tableStart is where WinDbg lets the first page begin: one page before it does.
const tableStart = 0x1000

// printTable prints the runs in the order of the file's table.
func (s *Session) printTable(ctx context.Context) {
	s.printf("          FileOffset           Start Address           Length\n")
	off, last, rows := uint64(tableStart), uint64(0), 0
	for run := range s.target.Dump.Table() {
		if ctx.Err() != nil {
			return
		}
		start, length := run.BasePage<<memory.PageShift, run.PageCount<<memory.PageShift
		s.printf("           %s     %s     %s\n", format.Addr(off), format.Addr(start), format.Addr(length))
		off += length
		last = start + length - memory.PageSize
		rows++
	}
	if rows > 0 {
		s.printf("Last Page: %s     %s\n", format.Addr(off-memory.PageSize), format.Addr(last))
	}
}

func (s *Session) printProcessorBlock() {
	addr, err := s.sys.Symbol("KiProcessorBlock")
	if k := s.sys.KDBG(); k != nil && k.KiProcessorBlock != 0 {
		addr, err = k.KiProcessorBlock, nil
	}
	if err != nil {
		return
	}
	n := s.sys.ProcessorCount()
	s.printf("\nKiProcessorBlock at %s\n  %d KiProcessorBlock entries:\n ", format.Addr(addr), n)
	for i := range n {
		v, err := memory.ReadUint(s.sys.Kernel(), addr+8*uint64(i), 8)
		if err != nil {
			break
		}
		s.printf(" %s", format.Addr(v))
	}
	s.printf("\n")
}

// printTriage prints TRIAGE_DUMP64 and the blocks of memory.
func (s *Session) printTriage(ctx context.Context) error {
	t, _ := s.target.Dump.Triage()
	f := t.Fields
	s.printf("TRIAGE_DUMP64:\n")
	row := func(name string, v uint32) { s.printf("%-22s%08x \n", name, v) }
	row64 := func(name string, v uint64) { s.printf("%-22s%s \n", name, format.Addr(v)) }
	row("ServicePackBuild", f.ServicePackBuild)
	row("SizeOfDump", f.SizeOfDump)
	row("ValidOffset", f.ValidOffset)
	row("ContextOffset", f.ContextOffset)
	row("ExceptionOffset", f.ExceptionOffset)
	row("MmOffset", f.MmOffset)
	row("UnloadedDriversOffset", f.UnloadedDriversOffset)
	row("PrcbOffset", f.PrcbOffset)
	row("ProcessOffset", f.ProcessOffset)
	row("ThreadOffset", f.ThreadOffset)
	row("CallStackOffset", f.CallStackOffset)
	row("SizeOfCallStack", f.SizeOfCallStack)
	row("DriverListOffset", f.DriverListOffset)
	row("DriverCount", f.DriverCount)
	row("StringPoolOffset", f.StringPoolOffset)
	row("StringPoolSize", f.StringPoolSize)
	row("BrokenDriverOffset", f.BrokenDriverOffset)
	row("TriageOptions", f.TriageOptions)
	row64("TopOfStack", f.TopOfStack)
	row("BStoreOffset", f.BStoreOffset)
	row("SizeOfBStore", f.SizeOfBStore)
	row64("LimitOfBStore", f.LimitOfBStore)
	row("DebuggerDataOffset", f.DebuggerDataOffset)
	row("DebuggerDataSize", f.DebuggerDataSize)
	row("DataBlocksOffset", f.DataBlocksOffset)
	row("DataBlocksCount", f.DataBlocksCount)
	var most uint64
	for _, b := range t.DataBlocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.printf("  %s - %s at offset %08x\n", format.Addr(b.VA), format.Addr(b.VA+uint64(b.Size)-1), b.Offset)
		most = max(most, uint64(b.Offset)+uint64(b.Size))
	}
	s.printf("  Max offset %x, %x from end of file\n", most, s.target.Dump.Size()-min(most, s.target.Dump.Size()))
	// No dump seen so far has these blocks; the debugger then prints what its
	// memory happens to hold.
	s.printf("\nDUMP EXTENSION DATA BLOCKS:\n")
	for _, name := range []string{"Version", "ArrayCount", "SizeRequired", "SizeAvailable", "SizingStatus", "Flags"} {
		s.printf("%-22s%08x\n", name+":", 0)
	}
	return nil
}

// enumRow is how many bytes a row of .enumtag has.
const enumRow = 16

// runEnumTag prints the blobs behind the dump's own data.
func runEnumTag(ctx context.Context, s *Session, _ *Call) error {
	if !s.target.Dump.HasBlobs() {
		return Tellf("Unable to start enumeration, HRESULT 0x80004002")
	}
	for b, err := range s.target.Dump.Blobs() {
		if err != nil && b.Size == 0 && len(b.Data) == 0 {
			s.notef("%v", err)
			break
		}
		s.printf("%s - %#x bytes\n", b.Tag.EnumTag(), b.Size)
		if len(b.Data) < int(b.Size) {
			s.printf("  Unable to read data\n")
			break
		}
		for off := 0; off < len(b.Data); off += enumRow {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.printf("%s", enumTagRow(b.Data[off:min(off+enumRow, len(b.Data))]))
		}
	}
	return nil
}

func enumTagRow(b []byte) string {
	var hex, text strings.Builder
	for _, c := range b {
		fmt.Fprintf(&hex, "%02X ", c)
		if c < 0x20 || c > 0x7e {
			c = '.'
		}
		text.WriteByte(c)
	}
	return fmt.Sprintf("  %-*s %s\n", 3*enumRow, hex.String(), text.String())
}
