package command

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"kdap/engine/dump"
	"kdap/engine/format"
)

// runUserDumpDebug prints the header of a user minidump and what its streams
// hold. Layouts are those of minidumpapiset.h, packed to 4 bytes.
func runUserDumpDebug(ctx context.Context, s *Session, _ *Call) error {
	u := s.sys.User().File()
	s.printf("----- User Mini Dump Analysis\n\nMINIDUMP_HEADER:\n")
	s.printf("%-16s%04X (%04X)\n", "Version", u.Version&0xffff, u.Version>>16)
	s.printf("%-16s%d\n", "NumberOfStreams", len(u.Streams))
	s.printf("%-16s%08X\n", "Flags", u.Flags)
	for bit, name := range minidumpFlags {
		if u.Flags>>bit&1 != 0 {
			s.printf("%-16s%08X %s\n", "", uint64(1)<<bit, name)
		}
	}
	s.printf("\nStreams:\n")
	shown := map[dump.StreamType]bool{}
	for i, st := range u.Streams {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.printf("Stream %d: type %v (%d), size %08X, RVA %08X\n", i, st.Type, uint32(st.Type), st.Size, st.RVA)
		// Of several streams of a type the first is the one that is read.
		if show := streamContents[st.Type]; show != nil && !shown[st.Type] {
			shown[st.Type] = true
			if err := show(ctx, s, u, st); err != nil {
				return err
			}
		}
	}
	return nil
}

// minidumpFlags are the names of MINIDUMP_TYPE, by their bits.
var minidumpFlags = []string{
	"MiniDumpWithDataSegs", "MiniDumpWithFullMemory", "MiniDumpWithHandleData", "MiniDumpFilterMemory", "MiniDumpScanMemory",
	"MiniDumpWithUnloadedModules", "MiniDumpWithIndirectlyReferencedMemory", "MiniDumpFilterModulePaths", "MiniDumpWithProcessThreadData",
	"MiniDumpWithPrivateReadWriteMemory", "MiniDumpWithoutOptionalData", "MiniDumpWithFullMemoryInfo", "MiniDumpWithThreadInfo",
	"MiniDumpWithCodeSegs", "MiniDumpWithoutAuxiliaryState", "MiniDumpWithFullAuxiliaryState", "MiniDumpWithPrivateWriteCopyMemory",
	"MiniDumpIgnoreInaccessibleMemory", "MiniDumpWithTokenInformation", "MiniDumpWithModuleHeaders", "MiniDumpFilterTriage",
	"MiniDumpWithAvxXStateContext", "MiniDumpWithIptTrace", "MiniDumpScanInaccessiblePartialPages", "MiniDumpFilterWriteCombinedMemory",
}

// Streams that only .dumpdebug knows.
const (
	tokenStream        dump.StreamType = 19
	systemMemoryStream dump.StreamType = 21
	vmCountersStream   dump.StreamType = 22
)

var streamContents = map[dump.StreamType]func(ctx context.Context, s *Session, u *dump.UserFile, st dump.Stream) error{
	dump.ThreadListStream:   showThreadStream,
	dump.ModuleListStream:   showModuleStream,
	dump.MemoryListStream:   showMemoryStream,
	dump.Memory64ListStream: showMemoryStream,
	dump.ExceptionStream:    showExceptionStream,
	dump.SystemInfoStream:   showSystemStream,
	dump.HandleDataStream: func(_ context.Context, s *Session, u *dump.UserFile, _ dump.Stream) error {
		return s.counted(len(u.Handles), "handles")
	},
	dump.UnloadedModuleListStream: func(_ context.Context, s *Session, u *dump.UserFile, _ dump.Stream) error {
		return s.counted(len(u.Unloaded), "unloaded modules")
	},
	dump.MemoryInfoListStream: func(_ context.Context, s *Session, u *dump.UserFile, _ dump.Stream) error {
		return s.counted(len(u.Regions), "regions")
	},
	tokenStream: showTokenStream,
	systemMemoryStream: func(_ context.Context, s *Session, _ *dump.UserFile, st dump.Stream) error {
		return s.showCounters(st.Data, systemMemoryRows)
	},
	vmCountersStream: showVMCounters,
}

// counted is what is said of streams whose layout in WinDbg is not known.
func (s *Session) counted(n int, what string) error {
	s.printf("  %d %s\n", n, what)
	return nil
}

// Sizes of the entries of the lists, whose place in the file is told.
const (
	threadEntrySize     = 48
	moduleEntrySize     = 108
	moduleReservedField = 0x5c // DllCharacteristics since Windows 8's writer
	listHeaderSize      = 4
)

func showThreadStream(ctx context.Context, s *Session, u *dump.UserFile, st dump.Stream) error {
	s.printf("  %d threads\n", len(u.Threads))
	for i, t := range u.Threads {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.printf("  RVA %08X, ID %X, Teb:%016X\n", st.RVA+listHeaderSize+threadEntrySize*uint32(i), t.ID, t.TEB)
	}
	return nil
}

func showModuleStream(ctx context.Context, s *Session, u *dump.UserFile, st dump.Stream) error {
	s.printf("  %d modules\n", len(u.Modules))
	for i, m := range u.Modules {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := listHeaderSize + moduleEntrySize*i
		characteristics := uint32(0)
		if len(st.Data) >= at+moduleEntrySize {
			characteristics = le32(st.Data[at+moduleReservedField:])
		}
		s.printf("  RVA %08X, %s - %s: '%s', DllCharacteristics: %x, Timestamp: %x, CheckSum: %x\n", st.RVA+uint32(at),
			format.Addr(m.Base), format.Addr(m.Base+uint64(m.Size)), visible(m.Name), characteristics, m.TimeDateStamp, m.CheckSum)
	}
	return nil
}

func showMemoryStream(ctx context.Context, s *Session, u *dump.UserFile, _ dump.Stream) error {
	ranges := u.Ranges()
	s.printf("  %d memory ranges\n  range#    RVA      Address             Size\n", len(ranges))
	var total uint64
	for i, r := range ranges {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.printf("%8d %08X    %s   %s\n", i, r.Off, format.Addr(r.VA), format.Addr(r.Size))
		total += r.Size
	}
	s.printf("  Total memory: %x\n", total)
	return nil
}

func showExceptionStream(_ context.Context, s *Session, u *dump.UserFile, _ dump.Stream) error {
	if e := u.Exception; e != nil {
		s.printf("  ThreadID %d\n  ExceptionCode %x\n  ExceptionRecord %x\n  ExceptionAddress %x\n  Context record RVA %x, size %x\n",
			e.ThreadID, e.Code, e.Record, e.Address, e.ContextRVA, len(e.Context))
	}
	return nil
}

func showSystemStream(_ context.Context, s *Session, u *dump.UserFile, _ dump.Stream) error {
	sys := u.System
	if sys == nil {
		return nil
	}
	row := func(name, value string) { s.printf("  %-24s%s\n", name, value) }
	architecture := map[uint16]string{0: "INTEL", 5: "ARM", 6: "IA64", 9: "AMD64", 12: "ARM64"}[sys.ProcessorArchitecture]
	if architecture == "" {
		architecture = "UNKNOWN"
	}
	row("ProcessorArchitecture", fmt.Sprintf("%04X (PROCESSOR_ARCHITECTURE_%s)", sys.ProcessorArchitecture, architecture))
	row("ProcessorLevel", fmt.Sprintf("%04X", sys.ProcessorLevel))
	row("ProcessorRevision", fmt.Sprintf("%04X", sys.ProcessorRevision))
	row("NumberOfProcessors", fmt.Sprintf("%02X", sys.NumberOfProcessors))
	row("MajorVersion", fmt.Sprintf("%08X", sys.MajorVersion))
	row("MinorVersion", fmt.Sprintf("%08X", sys.MinorVersion))
	row("BuildNumber", fmt.Sprintf("%08X (%d)", sys.BuildNumber, sys.BuildNumber))
	platform := map[uint32]string{0: " (VER_PLATFORM_WIN32s)", 1: " (VER_PLATFORM_WIN32_WINDOWS)", 2: " (VER_PLATFORM_WIN32_NT)"}[sys.PlatformID]
	row("PlatformId", fmt.Sprintf("%08X%s", sys.PlatformID, platform))
	row("CSDVersionRva", fmt.Sprintf("%08X", sys.CSDVersionRVA))
	row("", fmt.Sprintf("  Length: %d", 2*len(sys.CSDVersion)))
	row("", fmt.Sprintf("  Buffer: {'%s'}", visible(sys.CSDVersion)))
	s.printf("  ")
	s.printProduct(uint32(sys.ProductType), uint32(sys.SuiteMask))
	return nil
}

// showTokenStream prints the tokens of a TOKEN_INFO_LIST: a header of list
// size, count, header sizes; then entries of size, process id and handle.
func showTokenStream(_ context.Context, s *Session, _ *dump.UserFile, st dump.Stream) error {
	b := st.Data
	if len(b) < 16 {
		return nil
	}
	count, header := le32(b[4:]), le32(b[8:])
	s.printf("  %d Tokens\n", count)
	for at := uint64(header); count > 0 && at+16 <= uint64(len(b)); count-- {
		size := le32(b[at:])
		s.printf("    Token %x for %d\n", le64(b[at+8:]), le32(b[at+4:]))
		if size < 16 {
			break
		}
		at += uint64(size)
	}
	return nil
}

func showVMCounters(_ context.Context, s *Session, _ *dump.UserFile, st dump.Stream) error {
	if len(st.Data) >= 2 && binary.LittleEndian.Uint16(st.Data) == 1 {
		return s.showCounters(st.Data, vmCounterRows[:strings.Index(vmCounterRows, "PrivateWorkingSetSize")-2])
	}
	return s.showCounters(st.Data, vmCounterRows)
}

// showCounters prints numbers as rows says, one field a word: "2Name" has two
// bytes and is decimal, "2xName" hexadecimal; a word with a colon is a heading,
// one in brackets takes its bytes and is not shown, and one with an equals
// sign shows again the value of the field it names.
func (s *Session) showCounters(b []byte, rows string) error {
	values := map[string]string{}
	depth := 1
	for _, word := range strings.Fields(rows) {
		if heading, ok := strings.CutSuffix(word, ":"); ok {
			s.printf("  %s\n", strings.ReplaceAll(heading, "_", " "))
			depth = 2
			continue
		}
		indent := strings.Repeat("  ", depth)
		if name, ok := strings.CutPrefix(word, "="); ok {
			s.printf("%-44s:%33s\n", indent+name, values[name])
			continue
		}
		hidden := word[0] == '('
		word = strings.Trim(word, "()")
		size := int(word[0] - '0')
		name, hex := strings.CutPrefix(word[1:], "x")
		if len(b) < size {
			return nil // an older writer's is shorter
		}
		var raw [8]byte
		copy(raw[:], b[:size])
		b = b[size:]
		value := withCommas(le64(raw[:]))
		if hex {
			value = fmt.Sprintf("%#x", le64(raw[:]))
			if le64(raw[:]) == 0 {
				value = "0"
			}
		}
		values[name] = value
		if !hidden {
			s.printf("%-44s:%33s\n", indent+name, value)
		}
	}
	return nil
}

func withCommas(v uint64) string {
	digits := strconv.FormatUint(v, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// systemMemoryRows are the fields of MINIDUMP_SYSTEM_MEMORY_INFO_1. WinDbg
// shows the commit limit twice.
const systemMemoryRows = `2Revision 2xFlags BasicInfo:
4TimerResolution 4xPageSize 4NumberOfPhysicalPages 4xLowestPhysicalPageNumber 4xHighestPhysicalPageNumber 4xAllocationGranularity
8xMinimumUserModeAddress 8xMaximumUserModeAddress 8xActiveProcessorsAffinityMask 4NumberOfProcessors
FileCacheInfo: 8CurrentSize 8PeakSize 4PageFaultCount 8xMinimumWorkingSet 8xMaximumWorkingSet 8CurrentSizeIncludingTransitionInPages
8PeakSizeIncludingTransitionInPages 4TransitionRePurposeCount 4xFlags
BasicPerfInfo: 8AvailablePages 8CommittedPages 8CommitLimit 8PeakCommitment
PerfInfo: 8IdleProcessTime 8IoReadTransferCount 8IoWriteTransferCount 8IoOtherTransferCount 4IoReadOperationCount 4IoWriteOperationCount
4IoOtherOperationCount 4AvailablePages 4CommittedPages 4CommitLimit 4PeakCommitment =CommitLimit
4PageFaultCount 4CopyOnWriteCount 4TransitionCount 4CacheTransitionCount 4DemandZeroCount 4PageReadCount 4PageReadIoCount 4CacheReadCount
4CacheIoCount 4DirtyPagesWriteCount 4DirtyWriteIoCount 4MappedPagesWriteCount 4MappedWriteIoCount 4PagedPoolPages 4NonPagedPoolPages
4PagedPoolAllocs 4PagedPoolFrees 4NonPagedPoolAllocs 4NonPagedPoolFrees 4FreeSystemPtes 4ResidentSystemCodePage 4TotalSystemDriverPages
4TotalSystemCodePages 4NonPagedPoolLookasideHits 4PagedPoolLookasideHits 4AvailablePagedPoolPages 4ResidentSystemCachePage
4ResidentPagedPoolPage 4ResidentSystemDriverPage 4CcFastReadNoWait 4CcFastReadWait 4CcFastReadResourceMiss 4CcFastReadNotPossible
4CcFastMdlReadNoWait 4CcFastMdlReadWait 4CcFastMdlReadResourceMiss 4CcFastMdlReadNotPossible 4CcMapDataNoWait 4CcMapDataWait
4CcMapDataNoWaitMiss 4CcMapDataWaitMiss 4CcPinMappedDataCount 4CcPinReadNoWait 4CcPinReadWait 4CcPinReadNoWaitMiss 4CcPinReadWaitMiss
4CcCopyReadNoWait 4CcCopyReadWait 4CcCopyReadNoWaitMiss 4CcCopyReadWaitMiss 4CcMdlReadNoWait 4CcMdlReadWait 4CcMdlReadNoWaitMiss
4CcMdlReadWaitMiss 4CcReadAheadIos 4CcLazyWriteIos 4CcLazyWritePages 4CcDataFlushes 4CcDataPages 4ContextSwitches 4FirstLevelTbFills
4SecondLevelTbFills 4SystemCalls 8CcTotalDirtyPages 8CcDirtyPageThreshold 8ResidentAvailablePages 8SharedCommittedPages`

// vmCounterRows are the fields of MINIDUMP_PROCESS_VM_COUNTERS_2; those of
// version 1 end with PrivateUsage.
const vmCounterRows = `2Revision (2Flags) Process_Counters: 4PageFaultCount 8xPeakWorkingSetSize 8xWorkingSetSize 8xQuotaPeakPagedPoolUsage
8xQuotaPagedPoolUsage 8xQuotaPeakNonPagedPoolUsage 8xQuotaNonPagedPoolUsage 8xPagefileUsage 8xPeakPagefileUsage 8xPeakVirtualSize
8xVirtualSize 8xPrivateUsage 8xPrivateWorkingSetSize 8xSharedCommitUsage Job_Counters: 8xJobSharedCommitUsage 8xJobPrivateCommitUsage
8xJobPeakPrivateCommitUsage 8xJobPrivateCommitLimit 8xJobTotalCommitLimit`
