package arm64

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"kdap/engine/arch"
)

// A Context is the registers of an ARM64 processor.
type Context struct {
	X    [29]uint64
	FP   uint64
	LR   uint64
	SP   uint64
	PC   uint64
	CPSR uint32
	V    [32][16]byte
	FPCR uint32
	FPSR uint32
	BVR  [8]uint64 // breakpoints: address and control
	BCR  [8]uint32
	WVR  [2]uint64 // watchpoints
	WCR  [2]uint32
}

// Offsets in ARM64_NT_CONTEXT of winnt.h.
const (
	contextCPSR = 0x004
	contextX    = 0x008
	contextFP   = 0x0f0
	contextLR   = 0x0f8
	contextSP   = 0x100
	contextPC   = 0x108
	contextV    = 0x110
	contextFPCR = 0x310
	contextFPSR = 0x314
	contextBCR  = 0x318
	contextBVR  = 0x338
	contextWCR  = 0x378
	contextWVR  = 0x380

	// ContextSize is the size of the record.
	ContextSize = 0x390
)

// contextARM64 is the bit of ContextFlags that says of which processor it is.
const contextARM64 = 0x400000

// ParseContext reads an ARM64_NT_CONTEXT.
func ParseContext(b []byte) (*Context, error) {
	if len(b) < ContextSize {
		return nil, fmt.Errorf("ARM64_NT_CONTEXT: need %d bytes, have %d", ContextSize, len(b))
	}
	le := binary.LittleEndian
	if flags := le.Uint32(b); flags&contextARM64 == 0 {
		return nil, fmt.Errorf("ARM64_NT_CONTEXT: flags %#x are those of another processor", flags)
	}
	c := &Context{
		CPSR: le.Uint32(b[contextCPSR:]),
		FP:   le.Uint64(b[contextFP:]), LR: le.Uint64(b[contextLR:]), SP: le.Uint64(b[contextSP:]), PC: le.Uint64(b[contextPC:]),
		FPCR: le.Uint32(b[contextFPCR:]), FPSR: le.Uint32(b[contextFPSR:]),
	}
	for i := range c.X {
		c.X[i] = le.Uint64(b[contextX+8*i:])
	}
	for i := range c.V {
		copy(c.V[i][:], b[contextV+16*i:])
	}
	for i := range c.BVR {
		c.BVR[i], c.BCR[i] = le.Uint64(b[contextBVR+8*i:]), le.Uint32(b[contextBCR+4*i:])
	}
	for i := range c.WVR {
		c.WVR[i], c.WCR[i] = le.Uint64(b[contextWVR+8*i:]), le.Uint32(b[contextWCR+4*i:])
	}
	return c, nil
}

// Get returns a general or control register by the debugger's name, in lower
// case, with its width in bits.
func (c *Context) Get(name string) (v uint64, bits int, ok bool) {
	switch name {
	case "fp", "x29":
		return c.FP, 64, name == "fp"
	case "lr", "x30":
		return c.LR, 64, name == "lr"
	case "sp":
		return c.SP, 64, true
	case "pc":
		return c.PC, 64, true
	case "cpsr", "psr":
		return uint64(c.CPSR), 32, name == "cpsr"
	}
	if len(name) < 2 || name[0] != 'x' && name[0] != 'w' {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(name[1:], 10, 8)
	if err != nil || n >= uint64(len(c.X)) || name[1:] != strconv.FormatUint(n, 10) {
		return 0, 0, false
	}
	if name[0] == 'w' {
		return c.X[n] & 0xffffffff, 32, true
	}
	return c.X[n], 64, true
}

var _ arch.Registers = (*Context)(nil)

// ProgramCounter implements arch.Registers.
func (c *Context) ProgramCounter() uint64 { return c.PC }

// StackPointer implements arch.Registers.
func (c *Context) StackPointer() uint64 { return c.SP }

// At implements arch.Registers.
func (c *Context) At(pc, sp uint64) arch.Registers {
	moved := *c
	moved.PC, moved.SP = pc, sp
	return &moved
}

// Set changes a register that Get knows.
func (c *Context) Set(name string, v uint64) bool {
	switch name {
	case "fp":
		c.FP = v
	case "lr":
		c.LR = v
	case "sp":
		c.SP = v
	case "pc":
		c.PC = v
	case "cpsr":
		c.CPSR = uint32(v)
	default:
		if _, _, ok := c.Get(name); !ok {
			return false
		}
		n, err := strconv.Atoi(name[1:])
		if err != nil {
			return false
		}
		if name[0] == 'w' {
			v &= 0xffffffff
		}
		c.X[n] = v
	}
	return true
}

// Flags writes the condition flags and the exception level as the debugger
// does: "N--- EL1".
func (c *Context) Flags() string {
	var b strings.Builder
	for i, letter := range "NZCV" {
		if c.CPSR>>(31-i)&1 == 0 {
			letter = '-'
		}
		b.WriteRune(letter)
	}
	return fmt.Sprintf("%s EL%d", b.String(), c.CPSR>>2&3)
}
