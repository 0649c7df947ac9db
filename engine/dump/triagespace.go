package dump

import (
	"encoding/binary"

	"kdap/engine/memory"
)

// Offsets in KDDEBUGGER_DATA64, checked on 19041 (x64) and 22000 (ARM64).
const (
	kdbgTag                  = 0x10
	kdbgKiProcessorBlock     = 0x218
	kdbgKThreadApcProcess    = 0x2a0
	kdbgSizeEProcess         = 0x2a8
	kdbgSizePrcb             = 0x2b0
	kdbgPrcbCurrentThread    = 0x2b4
	kdbgPrcbProcStateContext = 0x2bc
	kdbgPrcbNumber           = 0x2be
	kdbgSizeEThread          = 0x2c0
	kdbgOffsetPcrContained   = 0x2e6
)

// kdbg16 returns a structure offset or size that the KDBG block holds.
func (t *TriageDump) kdbg16(off int) (uint32, bool) {
	b := t.DebuggerData
	if len(b) < off+2 || string(b[kdbgTag:kdbgTag+4]) != "KDBG" {
		return 0, false
	}
	v := binary.LittleEndian.Uint16(b[off:])
	return uint32(v), v != 0
}

type structSizes struct{ prcb, process, thread uint32 }

// structSizes returns the sizes of the saved structures: the KDBG block has
// them; without it they reach to the part that follows.
func (t *TriageDump) structSizes() structSizes {
	size := func(kdbg int, off uint32) uint32 {
		if n, ok := t.kdbg16(kdbg); ok {
			return n
		}
		end := uint32(min(uint64(len(t.f.data)), uint64(off)+0x10000))
		x := &t.Fields
		for _, next := range []uint32{
			x.PrcbOffset, x.ProcessOffset, x.ThreadOffset, x.CallStackOffset, x.DebuggerDataOffset,
			x.DriverListOffset, x.StringPoolOffset, x.DataBlocksOffset, x.UnloadedDriversOffset, x.MmOffset,
		} {
			if next > off && next < end {
				end = next
			}
		}
		return end - min(off, end)
	}
	x := &t.Fields
	return structSizes{
		size(kdbgSizePrcb, x.PrcbOffset),
		size(kdbgSizeEProcess, x.ProcessOffset),
		size(kdbgSizeEThread, x.ThreadOffset),
	}
}

// TriageAddresses are the virtual addresses of the structures that a triage
// dump keeps apart from its data blocks; 0 where they are not known.
type TriageAddresses struct {
	DebuggerData, PRCB, Process, Thread uint64
}

// Addresses returns where the structures were in the machine's memory.
func (t *TriageDump) Addresses() TriageAddresses {
	t.Space()
	return t.addrs
}

// Space returns the virtual memory that the dump saved: the KDBG block, PRCB,
// process, thread and stack at their own addresses, then the data blocks; where
// they overlap the later one wins.
func (t *TriageDump) Space() *memory.Blocks {
	t.once.Do(func() {
		var data []memory.Block
		for _, b := range t.DataBlocks {
			data = append(data, memory.Block{VA: b.VA, Data: t.f.data[b.Offset:][:b.Size:b.Size]})
		}
		t.locate(memory.NewBlocks(data))
		var own []memory.Block
		add := func(va uint64, b []byte) {
			if va != 0 && len(b) > 0 {
				own = append(own, memory.Block{VA: va, Data: b})
			}
		}
		add(t.addrs.DebuggerData, t.DebuggerData)
		add(t.addrs.PRCB, t.PRCB)
		add(t.addrs.Process, t.Process)
		add(t.addrs.Thread, t.Thread)
		add(t.Fields.TopOfStack, t.CallStack)
		t.space = memory.NewBlocks(append(own, data...))
	})
	return t.space
}

// locate finds the addresses of the saved structures: the header knows the
// KDBG block, that leads to the PRCB, the PRCB to the thread and the thread to
// the process.
func (t *TriageDump) locate(data *memory.Blocks) {
	a := &t.addrs
	if t.f.Header.HasDebuggerData() {
		a.DebuggerData = t.f.Header.KdDebuggerDataBlock
	}
	field := func(b []byte, kdbg int) uint64 {
		off, ok := t.kdbg16(kdbg)
		if !ok || uint64(len(b)) < uint64(off)+8 {
			return 0
		}
		return binary.LittleEndian.Uint64(b[off:])
	}
	a.PRCB = t.prcbAddress(data)
	a.Thread = field(t.PRCB, kdbgPrcbCurrentThread)
	a.Process = field(t.Thread, kdbgKThreadApcProcess)
}

// prcbAddress finds the PRCB's address in KiProcessorBlock or, where that was
// not saved, by the processor's own pointer to its control region.
func (t *TriageDump) prcbAddress(data *memory.Blocks) uint64 {
	if off, ok := t.kdbg16(kdbgPrcbNumber); ok && len(t.DebuggerData) >= kdbgKiProcessorBlock+8 && uint64(len(t.PRCB)) >= uint64(off)+4 {
		block := binary.LittleEndian.Uint64(t.DebuggerData[kdbgKiProcessorBlock:])
		number := uint64(binary.LittleEndian.Uint32(t.PRCB[off:]))
		if va, err := memory.ReadUint(data, block+8*(number&0xffff), 8); err == nil && va != 0 {
			return va
		}
	}
	// _KPROCESSOR_STATE is _KSPECIAL_REGISTERS (0xf0 bytes on x64, MsrGsBase at
	// 0xa8) and the CONTEXT that the KDBG block knows.
	const special, msrGsBase = 0xf0, 0xa8
	ctx, ok1 := t.kdbg16(kdbgPrcbProcStateContext)
	contained, ok2 := t.kdbg16(kdbgOffsetPcrContained)
	if t.f.Header.MachineImageType == 0x8664 && ok1 && ok2 && ctx >= special && uint64(len(t.PRCB)) >= uint64(ctx) {
		pcr := binary.LittleEndian.Uint64(t.PRCB[ctx-special+msrGsBase:])
		if pcr >= 1<<63 && pcr%memory.PageSize == 0 {
			return pcr + uint64(contained)
		}
	}
	return 0
}
