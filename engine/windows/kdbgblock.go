package windows

import (
	"errors"
	"fmt"
)

// A KDBGField is a field of the kernel's debugger block.
type KDBGField struct {
	Name         string
	Offset, Size int
	Bits         uint // of a bit field that begins the field, else 0
}

// kdbgLayout is the public KDDEBUGGER_DATA64 of the Windows SDK (wdbgexts.h)
// behind its header: fields of a size one after the other, from an offset on.
var kdbgLayout = []struct {
	offset, size int
	names        []string
}{
	{0x18, 8, []string{"KernBase", "BreakpointWithStatus", "SavedContext"}},
	{0x30, 2, []string{"ThCallbackStack", "NextCallback", "FramePointer", "PaeEnabled"}},
	{0x38, 8, []string{
		"KiCallUserMode", "KeUserCallbackDispatcher", "PsLoadedModuleList", "PsActiveProcessHead", "PspCidTable", "ExpSystemResourcesList",
		"ExpPagedPoolDescriptor", "ExpNumberOfPagedPools", "KeTimeIncrement", "KeBugCheckCallbackListHead", "KiBugcheckData",
		"IopErrorLogListHead", "ObpRootDirectoryObject", "ObpTypeObjectType", "MmSystemCacheStart", "MmSystemCacheEnd", "MmSystemCacheWs",
		"MmPfnDatabase", "MmSystemPtesStart", "MmSystemPtesEnd", "MmSubsectionBase", "MmNumberOfPagingFiles", "MmLowestPhysicalPage",
		"MmHighestPhysicalPage", "MmNumberOfPhysicalPages", "MmMaximumNonPagedPoolInBytes", "MmNonPagedSystemStart", "MmNonPagedPoolStart",
		"MmNonPagedPoolEnd", "MmPagedPoolStart", "MmPagedPoolEnd", "MmPagedPoolInformation", "MmPageSize", "MmSizeOfPagedPoolInBytes",
		"MmTotalCommitLimit", "MmTotalCommittedPages", "MmSharedCommit", "MmDriverCommit", "MmProcessCommit", "MmPagedPoolCommit",
		"MmExtendedCommit", "MmZeroedPageListHead", "MmFreePageListHead", "MmStandbyPageListHead", "MmModifiedPageListHead",
		"MmModifiedNoWritePageListHead", "MmAvailablePages", "MmResidentAvailablePages", "PoolTrackTable", "NonPagedPoolDescriptor",
		"MmHighestUserAddress", "MmSystemRangeStart", "MmUserProbeAddress", "KdPrintCircularBuffer", "KdPrintCircularBufferEnd",
		"KdPrintWritePointer", "KdPrintRolloverCount", "MmLoadedUserImageList", "NtBuildLab", "KiNormalSystemCall", "KiProcessorBlock",
		"MmUnloadedDrivers", "MmLastUnloadedDriver", "MmTriageActionTaken", "MmSpecialPoolTag", "KernelVerifier", "MmVerifierData",
		"MmAllocatedNonPagedPool", "MmPeakCommitment", "MmTotalCommitLimitMaximum", "CmNtCSDVersion", "MmPhysicalMemoryBlock",
		"MmSessionBase", "MmSessionSize", "MmSystemParentTablePage", "MmVirtualTranslationBase",
	}},
	{0x298, 2, []string{
		"OffsetKThreadNextProcessor", "OffsetKThreadTeb", "OffsetKThreadKernelStack", "OffsetKThreadInitialStack", "OffsetKThreadApcProcess",
		"OffsetKThreadState", "OffsetKThreadBStore", "OffsetKThreadBStoreLimit", "SizeEProcess", "OffsetEprocessPeb", "OffsetEprocessParentCID",
		"OffsetEprocessDirectoryTableBase", "SizePrcb", "OffsetPrcbDpcRoutine", "OffsetPrcbCurrentThread", "OffsetPrcbMhz", "OffsetPrcbCpuType",
		"OffsetPrcbVendorString", "OffsetPrcbProcStateContext", "OffsetPrcbNumber", "SizeEThread",
	}},
	{0x2c8, 8, []string{"KdPrintCircularBufferPtr", "KdPrintBufferSize", "KeLoaderBlock"}},
	{0x2e0, 2, []string{
		"SizePcr", "OffsetPcrSelfPcr", "OffsetPcrCurrentPrcb", "OffsetPcrContainedPrcb", "OffsetPcrInitialBStore", "OffsetPcrBStoreLimit",
		"OffsetPcrInitialStack", "OffsetPcrStackLimit", "OffsetPrcbPcrPage", "OffsetPrcbProcStateSpecialReg", "GdtR0Code", "GdtR0Data",
		"GdtR0Pcr", "GdtR3Code", "GdtR3Data", "GdtR3Teb", "GdtLdt", "GdtTss", "Gdt64R3CmCode", "Gdt64R3CmTeb",
	}},
	{0x308, 8, []string{
		"IopNumTriageDumpDataBlocks", "IopTriageDumpDataBlocks", "VfCrashDataBlock", "MmBadPagesDetected",
		"MmZeroedPageSingleBitErrorsDetected", "EtwpDebuggerData",
	}},
	{0x338, 2, []string{"OffsetPrcbContext", "OffsetPrcbMaxBreakpoints", "OffsetPrcbMaxWatchpoints"}},
	{0x340, 4, []string{"OffsetKThreadStackLimit", "OffsetKThreadStackBase", "OffsetKThreadQueueListEntry", "OffsetEThreadIrpList"}},
	{0x350, 2, []string{
		"OffsetPrcbIdleThread", "OffsetPrcbNormalDpcState", "OffsetPrcbDpcStack", "OffsetPrcbIsrStack", "SizeKDPC_STACK_FRAME",
		"OffsetKPriQueueThreadListHead", "OffsetKThreadWaitReason", "Padding1",
	}},
	{0x360, 8, []string{"PteBase", "RetpolineStubFunctionTable"}},
	{0x370, 4, []string{"RetpolineStubFunctionTableSize", "RetpolineStubOffset", "RetpolineStubSize"}},
	{0x37c, 2, []string{"OffsetEProcessMmHotPatchContext"}},
}

// KDBGFields returns the fields of the debugger block in their order.
func KDBGFields() []KDBGField {
	var out []KDBGField
	for _, g := range kdbgLayout {
		for i, name := range g.names {
			f := KDBGField{Name: name, Offset: g.offset + i*g.size, Size: g.size}
			if name == "PaeEnabled" {
				f.Bits = 1
			}
			out = append(out, f)
		}
	}
	return out
}

// KDBGBlock returns the bytes of the kernel's debugger block, decoded where
// the kernel keeps it encoded.
func (s *System) KDBGBlock() ([]byte, error) {
	if s.kdbg == nil {
		return nil, errors.New("no debugger block was found")
	}
	b := make([]byte, min(s.kdbg.Size, kdbgReadSize))
	n, err := s.kernel.Read(s.kdbg.Addr, b)
	if n < len(b) {
		return nil, fmt.Errorf("KDBG at %#x: %w", s.kdbg.Addr, err)
	}
	if string(b[kdbgTagOff:kdbgTagOff+4]) == kdbgTag {
		return b, nil
	}
	never, err := s.GlobalUint("KiWaitNever", 8)
	if err != nil {
		return nil, err
	}
	always, err := s.GlobalUint("KiWaitAlways", 8)
	if err != nil {
		return nil, err
	}
	encoded, err := s.Symbol("KdpDataBlockEncoded")
	if err != nil {
		return nil, err
	}
	// Which of two addresses goes into the encoding, the tag tells.
	for _, mixed := range []uint64{encoded, s.kdbg.Addr} {
		if d := decodeKDBG(b, never, always, mixed); string(d[kdbgTagOff:kdbgTagOff+4]) == kdbgTag {
			return d, nil
		}
	}
	return nil, fmt.Errorf("KDBG at %#x: it cannot be decoded", s.kdbg.Addr)
}
