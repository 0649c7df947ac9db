package windows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// KDBG is the kernel's KDDEBUGGER_DATA64: what the kernel tells debuggers
// about itself without symbols. Zero fields were not filled in or lie beyond
// the block's size.
//
// Offsets: the public KDDEBUGGER_DATA64 of the Windows SDK (wdbgexts.h), and,
// for the structure offsets behind it, values compared on 19041 and 22000.
type KDBG struct {
	Addr uint64 // virtual address of the block
	Size uint32

	KernBase             uint64
	PsLoadedModuleList   uint64
	PsActiveProcessHead  uint64
	PspCidTable          uint64
	ObpTypeObjectType    uint64
	ObpRootDirectory     uint64
	MmPfnDatabase        uint64
	KiProcessorBlock     uint64
	MmUnloadedDrivers    uint64
	MmLastUnloadedDriver uint64
	KeTimeIncrement      uint64
	NtBuildLab           uint64
	PteBase              uint64
	KThreadTeb           uint16
	KThreadKernelStack   uint16
	KThreadInitialStack  uint16
	KThreadApcProcess    uint16
	KThreadState         uint16
	SizeEProcess         uint16
	EprocessPeb          uint16
	EprocessParentCid    uint16
	EprocessDTB          uint16
	SizePrcb             uint16
	PrcbCurrentThread    uint16
	PrcbMhz              uint16
	PrcbCpuType          uint16
	PrcbVendorString     uint16
	PrcbProcStateContext uint16
	PrcbNumber           uint16
	PrcbSpecialRegs      uint16 // OffsetPrcbProcStateSpecialReg
	PcrContainedPrcb     uint16
	SizeEThread          uint16
	PrcbContext          uint16
	KThreadStackLimit    uint32
	KThreadStackBase     uint32
	PrcbIdleThread       uint16
	KThreadWaitReason    uint16
}

const (
	kdbgTag      = "KDBG"
	kdbgTagOff   = 0x10 // OwnerTag, after the list entry
	kdbgSizeOff  = 0x14
	kdbgMinSize  = 0x208 // up to the fields every supported kernel fills
	kdbgMaxSize  = 0x1000
	kdbgReadSize = 0x380
)

// parseKDBG decodes the block b that lies at addr. It fails when the tag or
// the size is not that of a block.
func parseKDBG(addr uint64, b []byte) (*KDBG, error) {
	if len(b) < kdbgMinSize {
		return nil, fmt.Errorf("KDBG at %#x: need %#x bytes, have %#x", addr, kdbgMinSize, len(b))
	}
	if string(b[kdbgTagOff:kdbgTagOff+4]) != kdbgTag {
		return nil, fmt.Errorf("KDBG at %#x: tag is %q", addr, b[kdbgTagOff:kdbgTagOff+4])
	}
	size := binary.LittleEndian.Uint32(b[kdbgSizeOff:])
	if size < kdbgMinSize || size > kdbgMaxSize {
		return nil, fmt.Errorf("KDBG at %#x: size %#x is not that of a block", addr, size)
	}
	if int(size) < len(b) {
		b = b[:size]
	}
	u64 := func(off int) uint64 {
		if off+8 > len(b) {
			return 0
		}
		return binary.LittleEndian.Uint64(b[off:])
	}
	u32 := func(off int) uint32 {
		if off+4 > len(b) {
			return 0
		}
		return binary.LittleEndian.Uint32(b[off:])
	}
	u16 := func(off int) uint16 {
		if off+2 > len(b) {
			return 0
		}
		return binary.LittleEndian.Uint16(b[off:])
	}
	return &KDBG{
		Addr: addr, Size: size,
		KernBase:             u64(0x18),
		PsLoadedModuleList:   u64(0x48),
		PsActiveProcessHead:  u64(0x50),
		PspCidTable:          u64(0x58),
		KeTimeIncrement:      u64(0x78),
		ObpRootDirectory:     u64(0x98),
		ObpTypeObjectType:    u64(0xa0),
		MmPfnDatabase:        u64(0xc0),
		NtBuildLab:           u64(0x208),
		KiProcessorBlock:     u64(0x218),
		MmUnloadedDrivers:    u64(0x220),
		MmLastUnloadedDriver: u64(0x228),
		KThreadTeb:           u16(0x29a),
		KThreadKernelStack:   u16(0x29c),
		KThreadInitialStack:  u16(0x29e),
		KThreadApcProcess:    u16(0x2a0),
		KThreadState:         u16(0x2a2),
		SizeEProcess:         u16(0x2a8),
		EprocessPeb:          u16(0x2aa),
		EprocessParentCid:    u16(0x2ac),
		EprocessDTB:          u16(0x2ae),
		SizePrcb:             u16(0x2b0),
		PrcbCurrentThread:    u16(0x2b4),
		PrcbMhz:              u16(0x2b6),
		PrcbCpuType:          u16(0x2b8),
		PrcbVendorString:     u16(0x2ba),
		PrcbProcStateContext: u16(0x2bc),
		PrcbNumber:           u16(0x2be),
		PrcbSpecialRegs:      u16(0x2f2),
		PcrContainedPrcb:     u16(0x2e6),
		SizeEThread:          u16(0x2c0),
		PrcbContext:          u16(0x338),
		KThreadStackLimit:    u32(0x340),
		KThreadStackBase:     u32(0x344),
		PrcbIdleThread:       u16(0x350),
		KThreadWaitReason:    u16(0x35c),
		PteBase:              u64(0x360),
	}, nil
}

// decodeKDBG undoes the encoding that Windows 8 and later keep the block in
// while no debugger is attached (nt!KdpDataBlockEncoded). Each quadword v was
// made from KiWaitNever, KiWaitAlways and an address, mixed.
//
// Source: agreed by the public readers Volatility 3 and LeechCore.
func decodeKDBG(b []byte, waitNever, waitAlways, mixed uint64) []byte {
	out := make([]byte, len(b))
	for i := 0; i+8 <= len(b); i += 8 {
		v := binary.LittleEndian.Uint64(b[i:]) ^ waitNever
		v = bits.RotateLeft64(v, int(waitNever&0x3f)) ^ mixed
		v = bits.ReverseBytes64(v) ^ waitAlways
		binary.LittleEndian.PutUint64(out[i:], v)
	}
	return out
}

// scanKDBG looks for a block in the size bytes at base (the kernel image):
// the tag followed by a plausible size. Unreadable pages are passed over.
func scanKDBG(space memory.Space, base, size uint64) (*KDBG, bool) {
	page := make([]byte, memory.PageSize)
	block := make([]byte, kdbgReadSize)
	for at := base; at < base+size; at += memory.PageSize {
		if n, _ := space.Read(at, page); n < memory.PageSize {
			continue
		}
		// The block is aligned to 8 and its tag does not cross a page.
		for off := 0; off+8 <= memory.PageSize; off += 8 {
			if string(page[off:off+4]) != kdbgTag {
				continue
			}
			addr := at + uint64(off) - kdbgTagOff
			n, _ := space.Read(addr, block)
			k, err := parseKDBG(addr, block[:n])
			if err == nil && (k.KernBase == 0 || k.KernBase == base) {
				return k, true
			}
		}
	}
	return nil, false
}

// offsets returns the structure offsets of the KDBG, zeros without one.
func (s *System) offsets() KDBG {
	if s.kdbg == nil {
		return KDBG{}
	}
	return *s.kdbg
}

// member reads a number that is a member of an object; where the symbols have
// no type for the object, or a profile not this member of it, by the offset
// that the KDBG has for debuggers. An offset of 0 is none: no such member is the
// first of its structure.
func (s *System) member(obj types.Object, path string, off uint16, size int) (uint64, error) {
	f := obj.Field(path)
	var missing *types.NoFieldError
	if obj.Err() == nil && !errors.As(f.Err(), &missing) || obj.Addr() == 0 || off == 0 {
		return f.Uint()
	}
	return memory.ReadUint(s.kernel, obj.Addr()+uint64(off), size)
}
