// Package x86 reads the registers of 32-bit code, of a process of 32-bit Windows
// or of one that runs under WOW64, and leaves its frames.
//
// The layout is that of the CONTEXT of winnt.h for this machine; FPO_DATA is of
// that file too. The programs of frame data are not documented: their words are
// those that PDBs hold, their meaning agrees with the code that they stand for.
package x86

import (
	"encoding/binary"
	"fmt"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
)

// A Context is the registers of 32-bit code. They are a part of those of a
// 64-bit processor and are kept as such: the upper halves are zero.
type Context struct{ amd64.Context }

var _ arch.Registers = (*Context)(nil)

// Offsets in the 32-bit CONTEXT.
const (
	contextDebug   = 0x04 // Dr0-3, Dr6, Dr7
	contextFloat   = 0x1c
	contextSegGs   = 0x8c
	contextEdi     = 0x9c
	contextEip     = 0xb8
	contextSegCs   = 0xbc
	contextEFlags  = 0xc0
	contextEsp     = 0xc4
	contextSegSs   = 0xc8
	contextFxsave  = 0xcc
	ContextMinimum = 0xcc  // up to SegSs: what every writer has
	ContextSize    = 0x2cc // with ExtendedRegisters
)

// ParseContext decodes a 32-bit CONTEXT, with or without the extended registers.
func ParseContext(b []byte) (*Context, error) {
	if len(b) < ContextMinimum {
		return nil, fmt.Errorf("32-bit CONTEXT: need %#x bytes, have %#x", ContextMinimum, len(b))
	}
	u32 := func(off int) uint64 { return uint64(binary.LittleEndian.Uint32(b[off:])) }
	c := &Context{amd64.Context{Flags: amd64.ContextControl | amd64.ContextInteger | amd64.ContextSegments}}
	for i, r := range []*uint64{&c.DR0, &c.DR1, &c.DR2, &c.DR3, &c.DR6, &c.DR7} {
		*r = u32(contextDebug + 4*i)
	}
	for i, seg := range []*uint16{&c.GS, &c.FS, &c.ES, &c.DS} {
		*seg = uint16(u32(contextSegGs + 4*i))
	}
	for i, r := range []int{amd64.RDI, amd64.RSI, amd64.RBX, amd64.RDX, amd64.RCX, amd64.RAX, amd64.RBP} {
		c.GPR[r] = u32(contextEdi + 4*i)
	}
	c.RIP, c.CS = u32(contextEip), uint16(u32(contextSegCs))
	c.EFlags = uint32(u32(contextEFlags))
	c.GPR[amd64.RSP], c.SS = u32(contextEsp), uint16(u32(contextSegSs))
	if len(b) >= ContextSize {
		c.SetFXSave(b[contextFxsave:ContextSize])
	} else {
		c.FPControl, c.FPStatus = uint16(u32(contextFloat)), uint16(u32(contextFloat+4))
	}
	return c, nil
}

// Lower returns what 32-bit code sees of the registers of a 64-bit processor.
func Lower(c *amd64.Context) *Context {
	low := *c
	low.RIP &= 0xffffffff
	for i := range low.GPR {
		low.GPR[i] &= 0xffffffff
	}
	return &Context{low}
}

// At implements arch.Registers.
func (c *Context) At(pc, sp uint64) arch.Registers {
	moved := *c
	moved.RIP, moved.GPR[amd64.RSP] = pc&0xffffffff, sp&0xffffffff
	return &moved
}
