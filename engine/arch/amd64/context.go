package amd64

import (
	"encoding/binary"
	"fmt"

	"kdap/engine/arch"
)

// General registers, in the order that instructions and unwind codes number
// them.
const (
	RAX = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
)

// Flags of ContextFlags: which parts of a CONTEXT hold values.
const (
	ContextAMD64         = 0x00100000
	ContextControl       = ContextAMD64 | 1
	ContextInteger       = ContextAMD64 | 2
	ContextSegments      = ContextAMD64 | 4
	ContextFloatingPoint = ContextAMD64 | 8
	ContextDebug         = ContextAMD64 | 0x10
)

// ContextSize is the size of the CONTEXT structure of 64-bit Windows.
const ContextSize = 0x4d0

// A Context holds the registers of a processor as a CONTEXT structure does. It is
// a plain value: an assignment copies it.
type Context struct {
	Flags uint32 // ContextFlags

	GPR    [16]uint64 // by number: RAX … R15
	RIP    uint64
	EFlags uint32

	CS, DS, ES, FS, GS, SS uint16

	DR0, DR1, DR2, DR3, DR6, DR7 uint64

	MXCSR          uint32
	FPControl      uint16 // fpcw
	FPStatus       uint16 // fpsw
	FPTag          uint8  // abridged tag word
	FPOpcode       uint16
	FPErrorOffset  uint32
	FPDataOffset   uint32
	FPErrorSegment uint16
	FPDataSegment  uint16
	MXCSRMask      uint32
	ST             [8][16]byte  // st0 … st7, 10 bytes used
	XMM            [16][16]byte // xmm0 … xmm15

	VectorControl        uint64
	DebugControl         uint64
	LastBranchToRip      uint64
	LastBranchFromRip    uint64
	LastExceptionToRip   uint64
	LastExceptionFromRip uint64

	// Unknown has a bit for every general register whose value could not be
	// restored while unwinding, by number. Its GPR entry is stale.
	Unknown uint16
}

// SP returns the stack pointer.
func (c *Context) SP() uint64 { return c.GPR[RSP] }

var _ arch.Registers = (*Context)(nil)

// ProgramCounter implements arch.Registers.
func (c *Context) ProgramCounter() uint64 { return c.RIP }

// StackPointer implements arch.Registers.
func (c *Context) StackPointer() uint64 { return c.GPR[RSP] }

// At implements arch.Registers.
func (c *Context) At(pc, sp uint64) arch.Registers {
	moved := *c
	moved.RIP, moved.GPR[RSP] = pc, sp
	return &moved
}

// ParseContext decodes a CONTEXT structure. The layout is that of winnt.h. Parts
// that Flags does not name are decoded all the same: dumps fill them.
func ParseContext(b []byte) (*Context, error) {
	if len(b) < ContextSize {
		return nil, fmt.Errorf("CONTEXT: need %#x bytes, have %#x", ContextSize, len(b))
	}
	le := binary.LittleEndian
	c := &Context{
		Flags:  le.Uint32(b[0x30:]),
		MXCSR:  le.Uint32(b[0x34:]),
		CS:     le.Uint16(b[0x38:]),
		DS:     le.Uint16(b[0x3a:]),
		ES:     le.Uint16(b[0x3c:]),
		FS:     le.Uint16(b[0x3e:]),
		GS:     le.Uint16(b[0x40:]),
		SS:     le.Uint16(b[0x42:]),
		EFlags: le.Uint32(b[0x44:]),
		DR0:    le.Uint64(b[0x48:]),
		DR1:    le.Uint64(b[0x50:]),
		DR2:    le.Uint64(b[0x58:]),
		DR3:    le.Uint64(b[0x60:]),
		DR6:    le.Uint64(b[0x68:]),
		DR7:    le.Uint64(b[0x70:]),
		RIP:    le.Uint64(b[0xf8:]),

		VectorControl:        le.Uint64(b[0x4a0:]),
		DebugControl:         le.Uint64(b[0x4a8:]),
		LastBranchToRip:      le.Uint64(b[0x4b0:]),
		LastBranchFromRip:    le.Uint64(b[0x4b8:]),
		LastExceptionToRip:   le.Uint64(b[0x4c0:]),
		LastExceptionFromRip: le.Uint64(b[0x4c8:]),
	}
	for i := range c.GPR {
		c.GPR[i] = le.Uint64(b[0x78+8*i:])
	}
	c.SetFXSave(b[0x100:0x300])
	return c, nil
}

// SetFXSave takes the floating-point and vector registers from the 512 bytes
// that FXSAVE writes.
func (c *Context) SetFXSave(b []byte) {
	le := binary.LittleEndian
	c.FPControl = le.Uint16(b)
	c.FPStatus = le.Uint16(b[2:])
	c.FPTag = b[4]
	c.FPOpcode = le.Uint16(b[6:])
	c.FPErrorOffset = le.Uint32(b[8:])
	c.FPErrorSegment = le.Uint16(b[12:])
	c.FPDataOffset = le.Uint32(b[16:])
	c.FPDataSegment = le.Uint16(b[20:])
	c.MXCSRMask = le.Uint32(b[28:])
	for i := range c.ST {
		copy(c.ST[i][:], b[32+16*i:])
	}
	for i := range c.XMM {
		copy(c.XMM[i][:], b[160+16*i:])
	}
}

// A Descriptor is the content of GDTR or IDTR.
type Descriptor struct {
	Limit uint16
	Base  uint64
}

// SpecialRegisters are the registers of a processor that no CONTEXT has:
// KSPECIAL_REGISTERS in KPRCB.ProcessorState.
type SpecialRegisters struct {
	CR0, CR2, CR3, CR4, CR8 uint64
	DR0, DR1, DR2, DR3      uint64 // the kernel's own debug registers
	DR6, DR7                uint64
	GDTR, IDTR              Descriptor
	TR, LDTR                uint16
	MXCSR                   uint32
	DebugControl            uint64
	GSBase, GSSwap          uint64
	STAR, LSTAR, CSTAR      uint64
	SyscallMask             uint64
	XCR0                    uint64
}
